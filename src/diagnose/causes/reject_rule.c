/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/netfilter/nf_reject_ipv4.c, net/ipv6/netfilter/nf_reject_ipv6.c: a rule that refuses a
 * packet aloud. Seen where it refuses (REJECT: the packet itself), or by its answer leaving.
 */

const struct rec_event *fact_reject(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_REJECT || world_by_reject(j->world, e))
			return e;
	}
	return NULL;
}

/* Chains of the hooks, include/uapi/linux/netfilter.h enum nf_inet_hooks. */
static const char *const chains[] = {"prerouting", "input",	  "forward",
				     "output",	   "postrouting", "netdev ingress"};

static void find_hook(const struct judge *j, struct hook_place *w)
{
	const struct rec_event *e = j->ev;

	fact_hook(j, e, w);
	if (w->hook || e->hdr.kind != REC_REJECT || e->step >= ARRAY_SIZE(chains))
		return;
	w->hook = hook_name(e->step);
	w->chain = chains[e->step];
	if (e->step < 5) {
		w->pf = e->pkt.tuple.family == 6 ? 10 : 2;
		w->number = e->step;
	}
}

static const char *answer(const struct rec_event *e)
{
	struct rec_packet icmp = e->pkt;

	if (e->hdr.kind == REC_RST_OUT || (e->hdr.kind == REC_REJECT && !e->reason))
		return "a TCP reset";
	if (e->hdr.kind == REC_REJECT) {
		icmp.icmp_type = (uint8_t)(e->reason >> 8);
		icmp.icmp_code = (uint8_t)e->reason;
	}
	return say_icmp(&icmp);
}

/* A SYN that gets a reset, or an ICMP error that ends connect() with ECONNREFUSED. */
static bool looks_refused(const struct rec_event *e)
{
	bool v6 = e->pkt.tuple.family == 6;
	uint8_t type = e->hdr.kind == REC_REJECT ? (uint8_t)(e->reason >> 8) : e->pkt.icmp_type;
	uint8_t code = e->hdr.kind == REC_REJECT ? (uint8_t)e->reason : e->pkt.icmp_code;

	/* The reset for a SYN has no number of its own: it acknowledges. RFC 9293 section 3.10.7.1. */
	if (e->hdr.kind == REC_RST_OUT)
		return e->pkt.tcp_flags & TCPHDR_ACK && !e->pkt.seq;
	if (!packet_is_syn(&e->pkt) && e->pkt.tuple.proto != IPPROTO_UDP)
		return false;
	return !type || (v6 ? type == 1 && code == 4 : type == 3 && code == 3);
}

/* Where only the answer is seen, it has no socket. */
static bool concerns(const struct rec_event *e)
{
	bool unreachable = e->pkt.icmp_type == (e->pkt.tuple.family == 6 ? 1 : 3);

	if (e->hdr.kind == REC_REJECT)
		return true;
	return !(e->sock.flags & SOCK_PRESENT) && (e->hdr.kind == REC_RST_OUT || unreachable);
}

/* Once the answer has left, the rule drops the packet: within the same call. */
#define SAME_CALL_NS (10 * NSEC_PER_MSEC)

/* The event whose netfilter part names the rule: ev itself, or the drop that the kernel has traced. */
static const struct rec_event *rule_event(const struct judge *j, const struct rec_tuple *refused)
{
	if (nf_has_rule(j->ev))
		return j->ev;
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_DROP && e->nf.has & NF_TRACED && nf_has_rule(e) &&
		    e->hdr.netns == j->ev->hdr.netns && e->cpu == j->ev->cpu &&
		    e->hdr.mono_ns >= j->ev->hdr.mono_ns &&
		    e->hdr.mono_ns - j->ev->hdr.mono_ns < SAME_CALL_NS &&
		    tuple_equal(&e->pkt.tuple, refused))
			return e;
	}
	return j->ev;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	struct rec_tuple refused = e->pkt.tuple;
	struct judge of_rule = *j;
	struct hook_place w;
	struct dropper d = {.function = ""};
	struct rules rules;

	if (e->hdr.kind != REC_REJECT && !world_by_reject(j->world, e))
		return false;
	/* The reset goes back; an ICMP error is recorded with the packet that it is about. */
	if (e->hdr.kind == REC_RST_OUT)
		refused = tuple_reverse(&refused);
	find_hook(j, &d.at);
	w = d.at;
	of_rule.ev = rule_event(j, &refused);
	fact_rules(&of_rule, &d, true, &rules);
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"A REJECT rule of netfilter, the kernel's firewall, rejected the packet %s "
			"at the %s hook (IPv%u, %s chains) of %s, and answered it with %s.",
			say_tuple(&refused), w.hook ? w.hook : "(unknown)", refused.family,
			w.chain ? w.chain : "its", say_netns(j, e->hdr.netns), answer(e));
	if (looks_refused(e))
		verdict_explain(j->v, "To its sender it looks as if nobody listened there.");
	if (e->hdr.kind == REC_REJECT)
		verdict_evidence(j->v, "the rule's own function was called for %s: %s",
				 say_packet(&e->pkt), say_stack(j, e));
	else
		verdict_evidence(j->v, "the answer to it left, made by the rule: %s",
				 say_stack(j, e));
	if (w.made_by && (w.sure || !rules.exact))
		verdict_evidence(j->v,
				 w.sure ? "the stack shows who decided: %s"
					: "the decision was made by %s",
				 w.made_by);
	tell_rules(&of_rule, &d, &rules);
	if (e->nf.has & NF_INVALID)
		verdict_evidence(j->v, "the packet was INVALID for conntrack: %s", say_invalid(e));
	hit_all(j);
	return true;
}

const struct cause cause_reject_rule = {
	.id = "reject-rule",
	.rank = RANK_ROOT,
	.kinds = KIND(REJECT) | KIND(RST_OUT) | KIND(ICMP_SENT),
	.needs = Q_RULE | Q_DROP_RULES | Q_HOOKS,
	.concerns = concerns,
	.judge = judge,
};
