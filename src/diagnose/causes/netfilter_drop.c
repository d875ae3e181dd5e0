/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

static bool is_netfilter_drop(const struct judge *j, const struct rec_event *e)
{
	if (e->hdr.kind != REC_DROP)
		return false;
	if (e->has_reason && strcmp(e->reason_name, "NOT_SPECIFIED") != 0)
		return strcmp(e->reason_name, "NETFILTER_DROP") == 0;
	return fact_stack_of(j, e, "nf_hook_slow") || fact_stack_of(j, e, "nft_do_chain");
}

/*
 * One lost segment of a running connection is repaired by TCP, and a rule that drops what conntrack
 * calls INVALID does so on purpose. It is a failure when it goes on: the same segment is dropped
 * again, or the connection ends with an error. An ICMP error that is lost hurts if something waits
 * for it.
 */
static bool connection_suffers(const struct judge *j)
{
	const struct rec_event *ev = j->ev;
	bool icmp = ev->pkt.icmp_type != 0;

	if (ev->pkt.tuple.proto != IPPROTO_TCP)
		return true;
	/* A SYN, or its answer: the connection can't even begin. */
	if (!icmp && ev->pkt.tcp_flags & TCPHDR_SYN && !(ev->pkt.tcp_flags & TCPHDR_RST))
		return true;
	timeline_each_event(j->tl, e) {
		if (e == ev || e->hdr.mono_ns < ev->hdr.mono_ns)
			continue;
		if (is_netfilter_drop(j, e) && tuple_equal(&e->pkt.tuple, &ev->pkt.tuple) &&
		    e->pkt.seq == ev->pkt.seq)
			return true;
		if (e->hdr.kind == REC_SYNACK_RETRANS || e->hdr.kind == REC_SOCK_ERR ||
		    (icmp && e->hdr.kind == REC_RETRANS))
			return true;
	}
	return false;
}

static bool judge(struct judge *j)
{
	const struct rec_event *ev = j->ev;
	const struct rec_tuple *t = &ev->pkt.tuple;
	bool icmp = ev->pkt.icmp_type && t->proto == IPPROTO_TCP;
	struct hook_place w;

	/* With an answer it is a REJECT: reject-rule. */
	if (!is_netfilter_drop(j, ev) || !connection_suffers(j) || fact_reject(j))
		return false;
	fact_hook(j, ev, &w);
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"Netfilter, the kernel's firewall, dropped %s %s at the %s hook (IPv%u, %s "
			"chains) of %s.",
			icmp ? "an ICMP error about" : "the packet", say_tuple(t),
			w.hook ? w.hook : "(unknown)", t->family, w.chain ? w.chain : "its",
			say_netns(j, ev->hdr.netns));
	if (icmp)
		verdict_explain(j->v,
				"It was an ICMP error about this connection (%s), which its sender "
				"needs to hear.",
				say_icmp(&ev->pkt));
	else if (packet_is_syn(&ev->pkt) && !fact_event(j, REC_ICMP_RECV) &&
		 !fact_event(j, REC_RST_RECV))
		verdict_explain(j->v, "It was a SYN: the connection can't even begin, and the "
				      "client hears nothing.");
	verdict_evidence(j->v, "%s, %s: %s", say_packet(&ev->pkt), say_reason(ev),
			 say_stack(j, ev));
	verdict_evidence(j->v,
			 w.sure ? "the stack shows who decided: %s" : "the decision was made by %s",
			 w.made_by);
	if (ev->pkt.ctinfo == CTINFO_NONE)
		verdict_evidence(j->v, "the packet has no conntrack entry: it is INVALID, or "
				       "conntrack is not used here");
	hit_all(j);
	fix_rules(j, &w, t);
	return true;
}

const struct cause cause_netfilter_drop = {
	.id = "netfilter-drop",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.judge = judge,
};
