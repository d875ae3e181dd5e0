/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process has in its memory that can be executed. */
#ifndef TCPWHY_MAPPINGS_H
#define TCPWHY_MAPPINGS_H

#include "base/base.h"

struct mapping {
	uint64_t start, end;
	uint64_t offset; /* in the file */
	uint32_t major, minor;
	uint64_t inode; /* 0: no file */
	char *path;	/* as the process sees it, or "[vdso]"; "" none */
};

struct mappings {
	VEC(struct mapping) v; /* by address */
};

/* text: /proc/PID/maps. Lines that make no sense are left out. */
void mappings_parse(const char *text, struct mappings *ret);
void mappings_free(struct mappings *m);
const struct mapping *mappings_find(const struct mappings *m, uint64_t addr);
/*
 * The file behind a mapping of pid, and no other: by /proc/PID/map_files, else by its path in the process's own root if that
 * still leads to it. An open file; -ESTALE: another one is there by now; or another negative errno.
 */
int mapping_open(uint32_t pid, const struct mapping *m);

/*
 * Opens a regular file by its path in the root of pid (0: ours) that may be anybody's: it never blocks. An open file or a
 * negative errno.
 */
int process_file(uint32_t pid, const char *path);

#endif
