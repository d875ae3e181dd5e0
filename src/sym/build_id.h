/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which build of the kernel or of a module: what ties debug information to what runs. */
#ifndef TCPWHY_BUILD_ID_H
#define TCPWHY_BUILD_ID_H

#include "base/base.h"

#define BUILD_ID_TEXT 129 /* hexadecimal */

/* Of what runs: path is /sys/kernel/notes, or a module's. 0, -ENOENT if there is none, or another errno. */
int build_id_of_notes(const char *path, char ret[BUILD_ID_TEXT]);
/*
 * Of an ELF file. 0; -ENODATA if it has no build id; -ENOEXEC if it is no ELF file; or another errno.
 * *ret_debug: does it have debug information?
 */
int build_id_of_file(const char *path, char ret[BUILD_ID_TEXT], bool *ret_debug);

#endif
