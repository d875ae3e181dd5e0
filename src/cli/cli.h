/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What main.c calls: one function per subcommand, each in its own cmd_*.c. They return the exit
 * status.
 */
#ifndef TCPWHY_CLI_CLI_H
#define TCPWHY_CLI_CLI_H

#include "cli/options.h"

#define EXIT_USAGE 2 /* the command line is wrong */

int cmd_watch(const struct watch_options *o);
int cmd_replay(const struct watch_options *o, int n, char *const *files);
int cmd_stacks(const struct watch_options *o);
int cmd_doctor(const struct doctor_options *o);
int cmd_addr2line(const struct addr2line_options *o, int n, char *const *words);

/* id NULL: lists all. */
int cmd_explain(const char *id);

/* The pages of docs/causes, made at build time; id NULL ends the table. */
struct cause_page {
	const char *id;
	const char *title; /* the first line's sentence */
	const char *text;  /* Markdown */
};

extern const struct cause_page cause_pages[];

#endif
