/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

#include <linux/netfilter/nf_conntrack_common.h>

/*
 * NAT takes care that no two connections look the same behind it: net/netfilter/nf_nat_core.c
 * get_unique_tuple gives the younger one another source port. It knows of the older one only as long as
 * conntrack has its entry, which is not as long as its socket may wait in FIN_WAIT2 or TIME_WAIT.
 */
static const char *const sysctls[] = {"net.netfilter.nf_conntrack_tcp_timeout_time_wait",
				      "net.netfilter.nf_conntrack_tcp_timeout_close_wait", NULL};

static bool is_clients_reset(const struct rec_event *e)
{
	return e->hdr.kind == REC_RST_SENT && !e->active && e->sock.state == TCP_SYN_SENT &&
	       !(e->pkt.tcp_flags & TCPHDR_SYN);
}

static bool concerns(const struct rec_event *e)
{
	switch (e->hdr.kind) {
	case REC_DROP:
		return e->sock.flags & SOCK_TIMEWAIT ||
		       strcmp(e->reason_name, "TCP_INVALID_SYN") == 0;
	case REC_RST_SENT:
		return e->sock.flags & SOCK_TIMEWAIT || is_clients_reset(e);
	default:
		return true;
	}
}

/*
 * What the sender of this SYN, which has been translated, took for its addresses and ports; NULL: not
 * known to be translated. An entry that is assured is the old connection's own: its client came back.
 */
static const struct rec_tuple *before_nat(const struct judge *j, const struct rec_tuple *syn)
{
	struct rec_tuple back = tuple_reverse(syn);
	const struct rec_tuple *orig = NULL;

	timeline_each_event(j->tl, e) {
		if (e->hdr.mono_ns < j->ev->hdr.mono_ns)
			continue;
		if (e->pkt.has & PKT_CT && tuple_equal(&e->pkt.ct_reply, &back) &&
		    !(e->pkt.ct_status & IPS_ASSURED))
			orig = &e->pkt.ct_orig;
		if (e->mem.syn_count && e->sock.state == TCP_SYN_SENT &&
		    tuple_equal(&e->mem.syn_tuple, syn))
			orig = &e->sock.tuple;
	}
	timeline_each(j->tl, REC_CT, struct rec_ct, ct) {
		if (ct->found && tuple_equal(&ct->reply, &back) && !(ct->status & IPS_ASSURED))
			orig = &ct->orig;
	}
	return orig && !tuple_equal(orig, syn) ? orig : NULL;
}

/* What a lookup found at the SYN's other end; one that lives may be the next attempt's. */
static const struct rec_sock_info *remains(const struct judge *j, const struct rec_tuple *syn)
{
	struct rec_tuple there = tuple_reverse(syn);

	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match == SOCK_MATCH_EXACT && tuple_equal(&s->tuple, &there) &&
		    (s->state == TCP_TIME_WAIT || s->state == TCP_FIN_WAIT2))
			return s;
	}
	return NULL;
}

/* Who holds the socket that the SYN met. */
static const struct rec_sock_info *owner(const struct judge *j, const struct rec_tuple *syn)
{
	struct rec_tuple there = tuple_reverse(syn);

	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->pid && s->state != TCP_LISTEN && tuple_equal(&s->tuple, &there))
			return s;
	}
	return NULL;
}

static void evidence(struct judge *j, const struct rec_tuple *syn, const struct rec_tuple *orig,
		     const char *state)
{
	const struct rec_sock_info *holder = owner(j, syn);
	const struct rec_event *e = j->ev;

	verdict_evidence(j->v, "the new connection is %s for its client, and %s after NAT",
			 say_tuple(orig), say_tuple(syn));
	verdict_evidence(j->v, "the old one is %s <- %s, in %s%s%s", say_dst(syn), say_src(syn),
			 state, holder ? ", held by " : "", holder ? say_owner(j, holder) : "");
	if (j->v->certainty == CERTAINTY_CERTAIN)
		verdict_evidence(j->v, "%s met it: %s", say_packet(&e->pkt), say_stack(j, e));
	else
		verdict_evidence(j->v,
				 "%s answered the SYN; that it is the old connection's is inferred "
				 "from a lookup, which found that",
				 say_packet(&e->pkt));
	verdict_evidence(j->v, "conntrack's entry is the new connection's, so it has none of the "
			       "old one");
}

static void fixes(struct judge *j, const struct rec_tuple *syn, bool time_wait)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	const char *name = sysctls[time_wait ? 0 : 1];
	int64_t now;

	if (fact_sysctl(j, name, &now) && now < 120)
		verdict_fix(j->v,
			    "conntrack remembers old connections, and NAT gives a new one another "
			    "port; more entries at a time",
			    "%ssysctl -w %s=%u   (now %d)", prefix, name, time_wait ? 120 : 3600,
			    (int)now);
	if (!time_wait)
		verdict_fix(j->v, "the old connection ends at once; its process sees ECONNABORTED",
			    "%sss -tK src %s dst %s", prefix, say_dst(syn), say_src(syn));
	verdict_fix(j->v, "none",
		    time_wait ? "let the client close first: it then avoids the port by itself"
			      : "let both ends close what is half closed, after a time");
	verdict_fix(j->v, "collisions get rarer",
		    "let the client use more source ports (net.ipv4.ip_local_port_range there)");
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	/* The old connection's SYN would not have passed under an entry that is new. */
	bool challenged = judge_challenge(j, true), time_wait = judge_time_wait(j), likely;
	const struct rec_tuple *orig;
	const struct rec_sock_info *old;
	struct rec_tuple syn = e->pkt.tuple;

	likely = !challenged && !time_wait && is_clients_reset(e) && e->mem.syn_count &&
		 !fact_event(j, REC_CHALLENGE) && !fact_event(j, REC_TW_ANSWER);
	if (!challenged && !time_wait && !likely)
		return false;
	if (likely)
		syn = e->mem.syn_tuple;
	orig = before_nat(j, &syn);
	old = remains(j, &syn);
	if (!orig || (likely && !old))
		return false;
	time_wait |= likely && old->state == TCP_TIME_WAIT;
	j->v->certainty = likely ? CERTAINTY_LIKELY : CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"A new connection %s met the socket of an old one: NAT makes it %s, and "
			"these are the old one's very addresses and ports. One source port may "
			"serve several connections that go to different places; behind NAT they "
			"can look the same.",
			say_tuple(orig), say_tuple(&syn));
	verdict_explain(j->v, "conntrack had forgotten the old one, or NAT would have given the "
			      "new one "
			      "another source port; the kernel here still has it. So no SYN-ACK "
			      "comes, at "
			      "the most an ACK of the old connection.");
	evidence(j, &syn, orig,
		 time_wait ? "TIME_WAIT"
		 : likely  ? tcp_state_name(old->state)
			   : challenge_state(j));
	hit_all(j);
	fixes(j, &syn, time_wait);
	return true;
}

const struct cause cause_port_collision_behind_nat = {
	.id = "port-collision-behind-nat",
	.rank = RANK_ROOT,
	.kinds = KIND(CHALLENGE) | KIND(TW_ANSWER) | KIND(DROP) | KIND(RST_SENT),
	.needs = Q_CONNTRACK,
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
