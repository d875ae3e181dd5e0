/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How commands that watch the kernel begin, and how they wait. */
#ifndef TCPWHY_CLI_START_H
#define TCPWHY_CLI_START_H

#include "cli/command.h"
#include "cli/session.h"

/* Says it on stderr; EXIT_FAILURE. */
int start_fail(const char *sentence);
/* The filters and limits: 0, or a negative errno after it has said why. */
int start_config(const struct watch_options *o, struct config *c);
/* Opens s->live: 0, or a negative errno after it has said why. */
int start_live(struct session *s, const struct command_run *command, const struct config *config);
void start_say_armed(const struct session *s);
void start_drop_privileges(void);

/* From here on they are read from this file: it, or a negative errno. */
int start_signals(void);
/* True: one of them ends the watch. */
bool start_handle_signals(int fd, struct command_run *command);
/* For poll(); until UINT64_MAX: for ever. */
int start_timeout_ms(uint64_t now, uint64_t until);

#endif
