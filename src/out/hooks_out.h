/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netfilter's hooks of one namespace, for people. For programs: jsonl_record. */
#ifndef TCPWHY_HOOKS_OUT_H
#define TCPWHY_HOOKS_OUT_H

#include "out/out.h"

struct out_hooks {
	const char *netns;	  /* its name, raw */
	const struct rec_hook *v; /* complete, in call order at each point */
	size_t n;
};

/* A list; true if something in it was marked. */
bool text_hooks(const struct out_options *o, const struct out_hooks *hooks);
/* The packets' way from point to point; likewise. */
bool text_hooks_graph(const struct out_options *o, const struct out_hooks *hooks);
/* What the marks mean. */
void text_hooks_legend(const struct out_options *o);

/* ---- what both have of one hook; raw --------------------------------------------------------- */

/* Not one of the kernel's own. */
bool hook_is_strange(const struct rec_hook *hook);
/* "nft_do_chain_inet", or an address. */
void hook_function_text(const struct rec_hook *hook, struct strbuf *out);
/* "chain inet filter input (filter, policy drop)", "program 12 drop_it, held by pid 7 (loader)", "" */
void hook_what_text(const struct rec_hook *hook, struct strbuf *out);

#endif
