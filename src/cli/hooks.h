/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcpwhy hooks. */
#ifndef TCPWHY_CLI_HOOKS_H
#define TCPWHY_CLI_HOOKS_H

#include "abi/record.h"
#include "cli/options.h"

struct hooks_options {
	const char *netns; /* as in struct watch_options */
	bool all_netns;
	bool json;
	bool graph;
	bool help;
};

extern const struct option_def hooks_option_defs[];

/* Tells options that can't go together: 0, or -EINVAL with one sentence in err. */
int hooks_options_check(const struct hooks_options *o, struct strbuf *err);

/* The exit status. */
int cmd_hooks(const struct hooks_options *o);

typedef VEC(struct rec_hook) hook_list;

/*
 * What differs between the hooks that were read and those of the kernel's own list, one namespace's
 * both; a line for each, nothing if they agree.
 */
void hooks_compare(const hook_list *read, const hook_list *listed, struct strbuf *out);

#endif
