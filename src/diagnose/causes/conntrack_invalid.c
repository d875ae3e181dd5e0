/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

static const char *const sysctls[] = {"net.netfilter.nf_conntrack_tcp_be_liberal", NULL};

static bool concerns(const struct rec_event *e)
{
	return e->pkt.tuple.proto == IPPROTO_TCP && e->pkt.ctinfo == CTINFO_NONE &&
	       !packet_is_syn(&e->pkt);
}

/*
 * Combinations that no window setting makes valid: net/netfilter/nf_conntrack_proto_tcp.c
 * tcp_valid_flags.
 */
static bool flags_impossible(uint8_t flags)
{
	switch (flags & (TCPHDR_FIN | TCPHDR_SYN | TCPHDR_RST | TCPHDR_ACK)) {
	case TCPHDR_SYN:
	case TCPHDR_SYN | TCPHDR_ACK:
	case TCPHDR_RST:
	case TCPHDR_RST | TCPHDR_ACK:
	case TCPHDR_FIN | TCPHDR_ACK:
	case TCPHDR_ACK:
		return false;
	default:
		return true;
	}
}

/* Did the flags alone make it INVALID? Conntrack's own word goes before what they look like. */
static bool is_by_flags(const struct rec_event *e)
{
	enum invalid_kind kind = invalid_kind(e);

	return kind == INVALID_UNTOLD ? flags_impossible(e->pkt.tcp_flags) : kind == INVALID_FLAGS;
}

static bool is_by_window(const struct rec_event *e)
{
	enum invalid_kind kind = invalid_kind(e);

	return kind == INVALID_UNTOLD ? !flags_impossible(e->pkt.tcp_flags)
				      : kind == INVALID_WINDOW;
}

/* What was wrong with it, as far as it is known. */
static const char *misfit(const struct rec_event *e)
{
	if (is_by_flags(e))
		return "had an impossible combination of TCP flags";
	switch (invalid_kind(e)) {
	case INVALID_WINDOW:
		return "was outside of the window that conntrack thinks the connection is in";
	case INVALID_CHECKSUM:
		return "had a wrong checksum";
	case INVALID_SHORT:
		return "was damaged";
	default:
		return "did not fit what conntrack knows of it";
	}
}

/* A SYN-ACK has no window to be outside of: conntrack looked for its connection in another place. */
static void explain_odd(struct judge *j, bool undone)
{
	verdict_explain(j->v,
			"A packet of this connection was INVALID for conntrack, though there is an "
			"entry for it, "
			"so %s. With the address %s it found no socket on this host, which "
			"answered with a "
			"reset. Perhaps a rule puts the two directions into different conntrack "
			"zones.",
			undone ? "its NAT was not undone" : "it was not translated",
			say_dst(&j->ev->pkt.tuple));
	verdict_fix(j->v, "both directions are then found by the same entry",
		    "look for zone rules: %snft list ruleset | grep zone; %siptables -t raw -S | "
		    "grep zone",
		    say_netns_prefix(j, j->ev->hdr.netns), say_netns_prefix(j, j->ev->hdr.netns));
}

static void explain(struct judge *j, const struct rec_ct *ct, const struct rec_sock_info *victim,
		    bool undone)
{
	const struct rec_packet *p = &j->ev->pkt;
	_cleanup_strbuf_ struct strbuf flags = {0};

	tcp_flags_text(p->tcp_flags, &flags);
	verdict_explain(j->v, "A packet of this connection (%s, seq %u, ack %u, %u bytes) %s.",
			flags.s ? flags.s : "no flags", p->seq, p->ack, p->payload, misfit(j->ev));
	verdict_explain(j->v, "So conntrack called it INVALID and %s.",
			undone ? "its NAT was not undone" : "it was not translated");
	verdict_explain(j->v,
			"With the address %s it found no socket on this host, which answered with "
			"a reset.",
			say_dst(&p->tuple));
	if (!victim && (fact_open_questions(j->tl) || !fact_answered(j, Q_SOCKETS, NULL)))
		verdict_explain(j->v, "Who sits behind the NAT is not known.");
	else if (!victim)
		verdict_explain(j->v, "The connection behind the NAT is closed already.");
	else if (undone)
		verdict_explain(j->v,
				"The sender's end is dead now, and the end behind the NAT (%s) is "
				"not told: it "
				"waits for an answer that never comes.",
				say_src(&ct->orig));
	else
		verdict_explain(j->v,
				"The sender's end is dead now, and the service (%s) is not told.",
				say_src(&ct->reply));
}

static void fixes(struct judge *j, bool window)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	int64_t liberal = 0;

	fact_sysctl(j, sysctls[0], &liberal);
	if (!liberal && window)
		verdict_fix(j->v,
			    "packets outside the window keep their NAT; conntrack stops judging "
			    "TCP windows in this namespace",
			    "%ssysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1", prefix);
	verdict_fix(j->v,
		    "no reset for what conntrack calls INVALID: the sender repeats itself and the "
		    "connection lives on; "
		    "coarser, since packets that conntrack wrongly calls INVALID are dropped too",
		    "%s%s -I INPUT -m conntrack --ctstate INVALID -j DROP", prefix,
		    j->ev->pkt.tuple.family == 6 ? "ip6tables" : "iptables");
}

static bool judge(struct judge *j)
{
	const struct rec_packet *p = &j->ev->pkt;
	const struct rec_sock_info *victim;
	const struct rec_ct *ct;
	bool told = j->ev->nf.has & NF_INVALID, undone, active, odd;

	if (!reset_without_socket(j) || !concerns(j->ev))
		return false;
	ct = fact_ct(j, &p->tuple, j->ev->hdr.netns);
	if (!ct || !ct->found || !ct_is_nat(ct))
		return false;
	undone = tuple_equal(&ct->reply, &p->tuple);
	if (!undone && !tuple_equal(&ct->orig, &p->tuple))
		return false;
	victim = undone ? fact_sock(j, &ct->orig) : fact_sock(j, &ct->reply);
	/*
	 * Without the hook list (a drop instead of a reset, on older kernels) _nfct 0 could also
	 * mean: not active here.
	 */
	active = told || fact_conntrack_active(j);
	/* A SYN-ACK has no window to be outside of: perhaps zones keep the two directions apart. */
	odd = invalid_kind(j->ev) == INVALID_UNTOLD &&
	      ((p->tcp_flags & TCPHDR_SYN && !flags_impossible(p->tcp_flags)) || ct->zone);
	j->v->certainty = active && !odd ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	if (odd)
		explain_odd(j, undone);
	else
		explain(j, ct, victim, undone);
	verdict_evidence(j->v, "%s: no socket", say_stack(j, j->ev));
	if (told)
		verdict_evidence(j->v, "conntrack called this very packet INVALID: %s",
				 say_invalid(j->ev));
	else if (active)
		verdict_evidence(j->v,
				 "conntrack judges packets in %s, and this one has no entry "
				 "attached: it was INVALID",
				 say_netns(j, j->ev->hdr.netns));
	else
		verdict_evidence(j->v, "the packet has no conntrack entry attached, though one "
				       "exists for it");
	verdict_evidence(j->v,
			 "conntrack holds %s, translated to %s, state %s; this packet is its %s "
			 "direction",
			 say_tuple(&ct->orig), undone ? say_dst(&ct->reply) : say_src(&ct->reply),
			 ct_tcp_state_name(ct->tcp_state), undone ? "reply" : "original");
	if (victim)
		verdict_evidence(j->v, "the socket behind the NAT is alive: %s, %s, %s",
				 say_owner(j, victim), say_netns(j, victim->hdr.netns),
				 tcp_state_name(victim->state));
	hit_all(j);
	if (!odd)
		fixes(j, is_by_window(j->ev));
	return true;
}

const struct cause cause_conntrack_invalid = {
	.id = "conntrack-invalid",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT) | KIND(DROP),
	.needs = Q_CONNTRACK,
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
