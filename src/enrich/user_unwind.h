/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stack of a process, from what was kept of it: who called whom, by the unwind tables of its files, as debuggers find it,
 * and by frame pointers as far as those tables say that there are any.
 */
#ifndef TCPWHY_USER_UNWIND_H
#define TCPWHY_USER_UNWIND_H

#include "enrich/mappings.h"
#include "record/question.h"
#include "sym/user_file.h"

/* Files that were read, kept for the next process that has them. */
struct user_files;
int user_files_open(struct user_files **ret);
void user_files_close(struct user_files *f);

struct user_process {
	uint32_t pid;
	struct mappings maps;
	struct user_files *files;
	char *perf_map; /* NULL: not read yet */
};

struct user_code {
	const struct mapping *map; /* NULL: no code is there */
	struct user_file *file; /* NULL: none, or it can't be read; until the next user_code_at() */
	uint64_t addr;		/* in the file's symbols */
};

/* What is at pc. call: it is where a call returns to, which may already be the next function's. */
struct user_code user_code_at(struct user_process *p, uint64_t pc, bool call);

/*
 * From r to its caller; USER_GOES_ON: done, else nobody knows it. *ret_unsure: only the frame pointer was there to tell.
 */
enum user_stack_end user_caller(const struct rec_user *s, const struct user_code *c,
				struct user_regs *r, bool *ret_unsure);

#endif
