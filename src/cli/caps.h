/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dropping privileges once the probes are in place. */
#ifndef TCPWHY_CLI_CAPS_H
#define TCPWHY_CLI_CAPS_H

#include <stddef.h>

/*
 * Keeps only the named capabilities (CAP_* of linux/capability.h), and of these only what the
 * thread has now: permitted and effective; inheritable and ambient become empty; the bounding set
 * is cut to the same; no_new_privs is set, so that nothing run from here gets more.
 *
 * All of this belongs to the calling thread and those it starts later. Call it after attaching,
 * before the first thread starts, and after the watched command was forked: that command keeps the
 * user's own privileges.
 *
 * 0 or a negative errno; after an error some may already be gone.
 */
int caps_keep(const int *caps, size_t n);

#endif
