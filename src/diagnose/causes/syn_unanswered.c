/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

#include <linux/rtnetlink.h>

/* A SYN that arrives again is asked for its route only: is this where it was to go? */
static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind == REC_STATE || e->hdr.kind == REC_SYN_AGAIN || e->err == ETIMEDOUT;
}

/* Of the packets that go there, as this namespace has it. */
static const struct rec_route *route_in(const struct judge *j, uint32_t netns,
					const uint8_t dst[16])
{
	timeline_each(j->tl, REC_ROUTE, struct rec_route, r) {
		if (r->hdr.netns == netns && !r->err && addr_equal(r->tuple.dst, dst))
			return r;
	}
	return NULL;
}

static const struct rec_route *route_there(const struct judge *j, const struct rec_event *there)
{
	return route_in(j, there->hdr.netns, there->pkt.tuple.dst);
}

/*
 * The SYN seen arriving at another namespace of this host: then it is not the network that lost it. Of
 * several the one that it was for, else the last one on its way.
 */
static const struct rec_event *arrived(const struct judge *j)
{
	const struct rec_event *last = NULL;

	timeline_each_event(j->tl, e) {
		const struct rec_route *r;

		if (e->hdr.kind != REC_SYN_AGAIN || e->hdr.netns == j->ev->hdr.netns)
			continue;
		r = route_there(j, e);
		if (r && r->type == RTN_LOCAL)
			return e;
		last = e;
	}
	return last;
}

static void tell_passing(struct judge *j, const struct rec_event *there, const struct rec_route *r)
{
	const char *next = say_addr(r->has_gateway ? r->gateway : there->pkt.tuple.dst);

	verdict_explain(j->v,
			"They passed %s, on this same host, whose route goes on through %s: no "
			"answer came back from there.",
			say_netns(j, there->hdr.netns), r->ifname);
	verdict_evidence(j->v, "the route to %s in %s goes through %s%s%s",
			 say_addr(there->pkt.tuple.dst), say_netns(j, there->hdr.netns), r->ifname,
			 r->has_gateway ? ", gateway " : "", r->has_gateway ? next : "");
	verdict_fix(j->v, "lists only",
		    "%sip neigh show %s; tcpdump -ni %s tcp port %u   (there: do the SYNs go on, "
		    "and to whom?)",
		    say_netns_prefix(j, there->hdr.netns), next, r->ifname, there->pkt.tuple.dport);
}

static void tell_arrival(struct judge *j, const struct rec_event *there)
{
	const struct rec_route *r = route_there(j, there);

	verdict_evidence(j->v, "they arrived in %s through %s", say_netns(j, there->hdr.netns),
			 there->ifname);
	if (r && r->type == RTN_UNICAST) {
		tell_passing(j, there, r);
		return;
	}
	verdict_explain(j->v, "They arrived in %s, on this same host, and got no answer there.",
			say_netns(j, there->hdr.netns));
	verdict_fix(j->v, "lists only",
		    "%sss -ltn 'sport = :%u'; nft list ruleset; nstat -asz 'TcpExtListen*'   "
		    "(there: does anybody listen, does a program hold packets back?)",
		    say_netns_prefix(j, there->hdr.netns), there->pkt.tuple.dport);
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev, *there = arrived(j);
	const struct rec_memory *m = &e->mem;
	const struct rec_route *r = route_in(j, e->hdr.netns, e->sock.tuple.dst);

	if (e->hdr.kind == REC_CAPTURED)
		return judge_captured_unanswered(j);
	if (!fact_unanswered(e) || !m->syn_count || fact_loss(j))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"%u SYN%s to %s left %s through %s within %s, and nobody "
			"answered. %s",
			m->syn_count, m->syn_count == 1 ? "" : "s", say_dst(&e->sock.tuple),
			there ? "their namespace" : "this host", m->syn_ifname,
			say_time(e->hdr.mono_ns - m->syn_first_ns),
			e->sock.err ? "The kernel gave up (ETIMEDOUT)."
				    : "The program gave up waiting and closed the socket.");
	verdict_evidence(j->v, "SYN_SENT to CLOSE after %u retransmission%s: %s",
			 e->sock.retransmits, e->sock.retransmits == 1 ? "" : "s", say_stack(j, e));
	if (!tuple_equal(&m->syn_tuple, &e->sock.tuple))
		verdict_evidence(j->v, "they left translated (NAT), as %s",
				 say_tuple(&m->syn_tuple));
	if (r)
		verdict_evidence(j->v, "the route goes through %s%s%s", r->ifname,
				 r->has_gateway ? ", gateway " : "",
				 r->has_gateway ? say_addr(r->gateway) : "");
	verdict_evidence(j->v, "no drop, no reset and no ICMP error was seen here for this "
			       "connection");
	hit_all(j);
	if (there)
		tell_arrival(j, there);
	else
		verdict_fix(j->v, "none",
			    "look further down the path: is %s up, does a firewall there or "
			    "between drop packets to port %u? (tcpdump there: do the SYNs arrive?)",
			    say_addr(e->sock.tuple.dst), e->sock.tuple.dport);
	return true;
}

const struct cause cause_syn_unanswered = {
	.id = "syn-unanswered",
	.rank = RANK_CONSEQUENCE,
	.kinds = KIND(STATE) | KIND(SYN_AGAIN) | KIND(CAPTURED),
	.needs = Q_ROUTE,
	.concerns = concerns,
	.judge = judge,
};
