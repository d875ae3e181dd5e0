/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/netfilter/nf_nat_core.c get_unique_tuple: where no free port is found, the last one that was tried
 * is taken, and __nf_conntrack_confirm finds that another connection has it.
 */

static const char *const counters[] = {"ConntrackInsertFailed", "ConntrackDrop", NULL};

static bool judge(struct judge *j)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	const struct rec_packet *p = &j->ev->pkt;
	const struct rec_ct *other = other_entry(j);
	struct dropper d;

	if (!other || !source_is_translated(p) || !judge_insert(j, true, &d))
		return false;
	j->v->certainty = d.certainty;
	tell_netfilter(j, &d);
	verdict_explain(j->v,
			"NAT found no free port for it: as %s, which it was to be sent as, it "
			"would be taken "
			"for another connection. All ports of %s that the rule allows are in use "
			"towards %s.",
			say_dst(&p->ct_reply), say_addr(p->ct_reply.dst), say_src(&p->ct_reply));
	verdict_evidence(j->v, "%s is in use by %s", say_dst(&p->ct_reply),
			 say_tuple(&other->orig));
	verdict_evidence(j->v, "its own entry was for %s, and could not be put into the table",
			 say_tuple(&p->ct_orig));
	evidence_netfilter(j, &d);
	verdict_fix(j->v, "lists only: how many connections share the address and that destination",
		    "%sconntrack -L -p %s --orig-dst %s | wc -l", prefix,
		    proto_name(p->tuple.proto), say_addr(p->ct_orig.dst));
	verdict_fix(j->v, "each address has ports of its own for each destination",
		    "widen the port range of the SNAT or masquerade rule, or let it use more "
		    "addresses");
	verdict_fix(j->v, "ports are free again sooner; connections that close slowly may be cut",
		    "%ssysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30", prefix);
	return true;
}

const struct cause cause_nat_port_exhausted = {
	.id = "nat-port-exhausted",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_CONNTRACK,
	.counters = counters,
	.concerns = entry_is_new,
	.judge = judge,
};
