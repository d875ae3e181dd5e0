/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files in the format of zstd (RFC 8878). */
#ifndef TCPWHY_CLI_ZST_H
#define TCPWHY_CLI_ZST_H

#include "base/base.h"

/* Compresses what can be read from one file into the other: 0 or a negative errno. */
int zst_compress(int from, int to);

bool zst_is(const void *file, size_t size);

/*
 * Unpacks into *ret, which the caller frees. 0; -EBADMSG if it is damaged or cut off, with one sentence in why,
 * after unpacking what stands before that; -EFBIG, likewise, if it is far larger than recordings are.
 */
int zst_unpack(const void *file, size_t size, void **ret, size_t *ret_size, struct strbuf *why);

#endif
