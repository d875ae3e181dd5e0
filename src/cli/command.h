/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command behind `--`: started only when the probes are in place. */
#ifndef TCPWHY_CLI_COMMAND_H
#define TCPWHY_CLI_COMMAND_H

#include "base/base.h"

#include <sys/types.h>

struct command_run {
	pid_t pid; /* 0: there is none */
	int go;	   /* closing it lets the command start */
	bool ended;
	unsigned signals; /* that were passed on */
	int status;	  /* exit status, 128 + signal */
};

/* Forks; the child waits for command_go() before it runs argv. 0 or a negative errno. */
int command_fork(char *const *argv, struct command_run *ret);
void command_go(struct command_run *c);
/* Collects its end, if it has ended. */
void command_reap(struct command_run *c);
/* Waits for its end, unwatched: --count or --duration is over before it is. */
void command_wait(struct command_run *c);
/* Passes a signal on. */
void command_signal(const struct command_run *c, int sig);

#endif
