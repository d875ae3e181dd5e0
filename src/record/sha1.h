/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SHA-1 (RFC 3174) of a short message. For community ids, which are made of it; not for security.
 */
#ifndef TCPWHY_SHA1_H
#define TCPWHY_SHA1_H

#include "base/base.h"

#define SHA1_SIZE 20

void sha1(const void *data, size_t len, uint8_t ret[SHA1_SIZE]);

#endif
