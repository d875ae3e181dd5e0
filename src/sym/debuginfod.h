/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Debug information from the servers in $DEBUGINFOD_URLS, by the library of elfutils if that is there. */
#ifndef TCPWHY_DEBUGINFOD_H
#define TCPWHY_DEBUGINFOD_H

#include "base/base.h"

#include <limits.h>

/* Has the user named servers? */
bool debuginfod_wanted(void);
/*
 * Fetches the file of a build id into the library's own cache: 0 and its path, or a negative errno. May take minutes;
 * stops soon after *stop is true.
 */
int debuginfod_fetch(const char *build_id, const bool *stop, char ret[PATH_MAX]);

#endif
