/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that print what the kernel holds, such as iptables-save. */
#ifndef TCPWHY_ENRICH_CHILD_H
#define TCPWHY_ENRICH_CHILD_H

#include "base/base.h"

/* Looks for a program where administrators' programs are. 0; -ENOENT. Caller frees. */
int child_find(const char *name, char **ret);

/*
 * Runs argv[0] (an absolute path) in the calling thread's network namespace, without a shell and
 * with an environment of its own, and hands back what it printed. 0; -ETIMEDOUT, -E2BIG (more than
 * max bytes), -EIO (it failed), or another negative errno. Caller frees.
 */
int child_output(const char *const argv[], size_t max, char **ret);

#endif
