/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the debug information of the running kernel and its modules is. */
#ifndef TCPWHY_DEBUG_FIND_H
#define TCPWHY_DEBUG_FIND_H

#include "sym/build_id.h"

#include <limits.h>

struct debug_host {
	const char *root;    /* stands before all paths: "" */
	const char *release; /* uname -r */
};

/* The build id of what runs; module "": the kernel itself. 0 or a negative errno. */
int debug_running_id(const struct debug_host *h, const char *module, char ret[BUILD_ID_TEXT]);

/*
 * The file with the debug information of that build. 0; -ENOENT if there is none; -ESTALE if there are files, but of
 * other builds, with one sentence in why.
 */
int debug_find(const struct debug_host *h, const char *module, const char *id, char ret[PATH_MAX],
	       struct strbuf *why);

/*
 * Does this file belong to build id (NULL: any will do)? 0 and its own id in ret; else a negative errno, with one
 * sentence in why.
 */
int debug_check(const char *path, const char *id, char ret[BUILD_ID_TEXT], struct strbuf *why);

#endif
