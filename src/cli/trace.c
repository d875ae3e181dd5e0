/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --nft-trace: says what it changes, and what it missed. */
#include "cli/session.h"

#define NAMES_SAID 5

static void add_name(void *arg, const struct rec_netns *ns)
{
	struct strbuf *out = arg;

	if (*ns->name)
		strbuf_add(out, ns->name);
	else
		strbuf_addf(out, "%u (pid %u %s)", ns->hdr.netns, ns->pid, ns->comm);
}

/* Also with --quiet: it changes something. */
static void say_tables(const struct session *s, const struct config *c)
{
	_cleanup_strbuf_ struct strbuf names = {0};
	char table[64];
	uint32_t netns;
	size_t n;

	for (n = 0; (netns = nft_trace_netns(s->trace, n)); n++) {
		if (n >= NAMES_SAID)
			continue;
		strbuf_add(&names, n ? ", " : "");
		(void)enrich_netns_list(netns, add_name, &names);
	}
	if (n > NAMES_SAID)
		strbuf_addf(&names, " and %zu more", n - NAMES_SAID);
	nft_trace_table(table, sizeof(table));
	if (!n)
		fprintf(stderr, "tcpwhy: --nft-trace: no rule added: there is no base chain of "
				"nftables to trace\n");
	else
		fprintf(stderr,
			"tcpwhy: --nft-trace: added a rule, table inet %s, that marks %s; the "
			"kernel takes it away when this ends, however it ends; netns %s\n",
			table,
			c->flow_filter || c->proto ? "packets of these addresses, ports and "
						     "protocols"
						   : "all packets",
			names.s ? names.s : "");
}

int session_trace_open(struct session *s, const struct config *c)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	int err = enrich_nft_trace(c->netns, c, &s->trace, &why);

	if (err)
		fprintf(stderr, "tcpwhy: --nft-trace: %s\n", why.s ? why.s : strerror(-err));
	else
		say_tables(s, c);
	return err;
}

void session_trace_take(struct session *s)
{
	if (!s->trace)
		return;
	nft_trace_take(s->trace);
	if (!nft_trace_lost(s->trace) || s->trace_lost)
		return;
	s->trace_lost = true;
	fprintf(stderr, "tcpwhy: --nft-trace: more packets than can be followed: the rule of some "
			"is not told; --host or --port makes them fewer\n");
}

void session_trace_end(const struct session *s)
{
	uint64_t lost = s->trace ? nft_trace_lost(s->trace) : 0;

	if (lost)
		fprintf(stderr, "tcpwhy: --nft-trace: messages were lost, %llu time%s\n",
			(unsigned long long)lost, lost == 1 ? "" : "s");
}
