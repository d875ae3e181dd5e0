/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which kernel modules are loaded, from /proc/modules. */
#ifndef TCPWHY_MODULES_H
#define TCPWHY_MODULES_H

#include <stdint.h>

/*
 * Stands for the modules of path (NULL: /proc/modules), where they are, and whether they are still being loaded (their
 * init code is gone after that, and another module may be where it was); not for who uses them. 0 if it can't be read.
 */
uint64_t modules_fingerprint(const char *path);

#endif
