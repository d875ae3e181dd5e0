/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/* net/xfrm/xfrm_policy.c __xfrm_policy_check; for what this host sends, xfrm_lookup_with_ifid. */
static const struct {
	const char *counter, *words;
	bool out;
} refusals[] = {
	{"XfrmInNoPols", "no policy lets it pass, and the default is to block"},
	{"XfrmInPolBlock", "a policy blocks it"},
	{"XfrmInTmplMismatch", "a policy wants it encrypted, or otherwise than it came"},
	{"XfrmInPolError", "its policy could not be looked up"},
	{"XfrmOutPolBlock", "a policy blocks it", .out = true},
};

static const char *const counters[] = {"XfrmInNoPols",	 "XfrmInPolBlock",  "XfrmInTmplMismatch",
				       "XfrmInPolError", "XfrmOutPolBlock", NULL};

/* Before 5.17 no reason is told: where the policy is asked, net/ipv4/ip_forward.c and tcp_ipv4.c. */
static const char *const places[] = {"ip_forward", "ip6_forward", "tcp_v4_rcv", "tcp_v6_rcv", NULL};

/* connect() looks up the policy with the route, before a packet is sent. */
static bool is_refused_call(const struct rec_event *e)
{
	return e->hdr.kind == REC_CONNECT && e->err == EPERM;
}

static bool concerns(const struct rec_event *e)
{
	if (e->hdr.kind == REC_CONNECT)
		return is_refused_call(e);
	return !*fact_reason(e) || fact_reason_is(e, "XFRM_POLICY");
}

static bool judge(struct judge *j)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns), *words = "";
	const struct rec_event *e = j->ev;
	bool told = fact_reason_is(e, "XFRM_POLICY"), call = is_refused_call(e);

	if (!concerns(e))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		uint64_t n = fact_counter(j, refusals[i].counter);

		if (!n || refusals[i].out != call)
			continue;
		words = refusals[i].words;
		verdict_evidence(j->v, "%s rose by %llu since tcpwhy looked first: %s",
				 refusals[i].counter, (unsigned long long)n, words);
	}
	if (!told && (!*words || (!call && (!fact_dropped_in(j, e, places) || !fact_suffers(j)))))
		return false;
	j->v->certainty = told ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v, "An IPsec policy (xfrm) of %s forbids %s%s%s.",
			say_netns(j, e->hdr.netns), say_tuple(&e->pkt.tuple), *words ? ": " : "",
			words);
	if (call)
		verdict_evidence(j->v,
				 "connect() to %s failed at once with EPERM, before a packet was "
				 "sent",
				 say_dst(&e->pkt.tuple));
	else
		verdict_evidence(j->v, "%s, %s: %s", say_packet(&e->pkt), say_reason(e),
				 say_stack(j, e));
	hit_all(j);
	verdict_fix(j->v, "lists only",
		    "%sip xfrm policy; %sip -s xfrm state; %scat /proc/net/xfrm_stat", prefix,
		    prefix, prefix);
	verdict_fix(j->v,
		    "none; a policy that lets it pass in the clear weakens what the tunnel guards",
		    "is the tunnel up on both ends, and are its addresses those of the packet? "
		    "Look at the "
		    "IKE daemon (swanctl -l, ipsec status)");
	return true;
}

const struct cause cause_xfrm_policy = {
	.id = "xfrm-policy",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP) | KIND(CONNECT),
	.counters = counters,
	.concerns = concerns,
	.judge = judge,
};
