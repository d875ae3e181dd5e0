/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What another program's capture shows. It has packets only, of one place on their way: so what a host did
 * with them is never certain, and what is not there may have passed elsewhere.
 */
#include "diagnose/judge.h"

static const struct rec_captured *captured(const struct rec_event *e)
{
	return (const struct rec_captured *)e;
}

bool fact_captured(const struct judge *j, enum captured_what what)
{
	return j->ev->hdr.kind == REC_CAPTURED && j->ev->step == what;
}

int captured_service(const struct rec_event *e)
{
	const struct rec_captured *c = captured(e);
	uint8_t client = c->from.did & CAPTURED_SYN, server = c->from.did & CAPTURED_SYN_ACK;

	if (e->step == CAPTURED_ICMP)
		return 1; /* what it quotes was on its way there */
	if (client || c->to.did & CAPTURED_SYN_ACK)
		return 1;
	return server || c->to.did & CAPTURED_SYN ? -1 : 0;
}

static bool icmp_refuses(const struct rec_packet *p)
{
	return p->tuple.family == 6 ? p->icmp_type == 1 && p->icmp_code == 4
				    : p->icmp_type == 3 && (p->icmp_code == 2 || p->icmp_code == 3);
}

/* ---- evidence -------------------------------------------------------------------------------- */

static void tell_ttl(struct judge *j)
{
	const struct rec_captured *c = captured(j->ev);
	uint8_t ttl = j->ev->pkt.ttl;

	if (!c->from.ttl_lowest)
		verdict_evidence(j->v, "its TTL was %u where it was captured", ttl);
	else if (ttl < c->from.ttl_lowest || ttl > c->from.ttl_highest)
		verdict_evidence(j->v,
				 "its TTL was %u, that of the other packets from %s %u: perhaps "
				 "somebody on the way sent it",
				 ttl, say_addr(j->ev->pkt.tuple.src), c->from.ttl_highest);
	else
		verdict_evidence(j->v, "its TTL was %u, as that of other packets from %s", ttl,
				 say_addr(j->ev->pkt.tuple.src));
}

/* What there is of the connection, and what is missing. */
static void tell_connection(struct judge *j)
{
	const struct rec_captured *c = captured(j->ev);
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	verdict_evidence(j->v,
			 "until then the capture has %u packets with %llu bytes from %s, and %u "
			 "with %llu from %s, within %s",
			 c->from.packets, (unsigned long long)c->from.bytes, say_src(t),
			 c->to.packets, (unsigned long long)c->to.bytes, say_dst(t),
			 say_time(j->ev->hdr.mono_ns - c->first_ns));
	if (!((c->from.did | c->to.did) & (CAPTURED_SYN | CAPTURED_SYN_ACK)))
		verdict_evidence(j->v, "the connection's beginning is not in the capture");
	if (!c->from.packets || !c->to.packets)
		verdict_evidence(j->v,
				 "of %s nothing else was captured: what it sent may have "
				 "gone another way",
				 c->from.packets ? say_dst(t) : say_src(t));
}

/* ---- a connection that was reset ------------------------------------------------------------- */

/* Which sender a reset of this form has: net/ipv4/tcp_ipv4.c tcp_v4_send_reset, RFC 9293 3.10.7.1. */
static void tell_form(struct judge *j)
{
	const struct rec_captured *c = captured(j->ev);
	const struct rec_packet *p = &j->ev->pkt;

	verdict_evidence(j->v, "%s", say_packet(p));
	if (c->answers_ns && !c->misfit)
		verdict_evidence(j->v,
				 "it came %s after a packet from %s, in the form of an answer to "
				 "it by who knows no such connection (or no more): no socket, or a "
				 "firewall that rejects it",
				 say_time(j->ev->hdr.mono_ns - c->answers_ns), say_dst(&p->tuple));
	else if (p->tcp_flags & TCPHDR_ACK && !c->misfit)
		verdict_evidence(j->v, "it has the form in which a socket ends its own connection: "
				       "closed with bytes unread, aborted, killed, or timed out");
}

static void tell_afterwards(struct judge *j)
{
	const struct rec_captured *c = captured(j->ev);
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	if (c->misfit)
		verdict_evidence(j->v,
				 "%s had acknowledged up to %u and the reset's sequence number is "
				 "%u: a host takes no such reset for true (RFC 5961)",
				 say_dst(t), c->to.ack, j->ev->pkt.seq);
	if (c->to.later)
		verdict_evidence(j->v,
				 "%s still sent %u packets afterwards, for %s: the reset did not "
				 "reach it in time, or it did not believe it",
				 say_dst(t), c->to.later,
				 say_time(c->last_ns - j->ev->hdr.mono_ns));
	if (c->to.did & CAPTURED_FIN)
		verdict_evidence(j->v,
				 "%s had closed its side before: unless it waited for an answer, "
				 "nothing is lost with that",
				 say_dst(t));
	if (c->from.did & CAPTURED_FIN)
		verdict_evidence(j->v,
				 "%s had closed before: what came for it after that was answered "
				 "with the reset, and is lost",
				 say_src(t));
}

bool judge_captured_reset(struct judge *j)
{
	const struct rec_captured *c = captured(j->ev);
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	if (!fact_captured(j, CAPTURED_RESET))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	if (c->misfit)
		verdict_explain(j->v,
				"A reset from %s (or from somebody on the way in its name) did not "
				"fit the connection, and nothing came from there any more: it is "
				"gone there, and %s may not know.",
				say_src(t), say_dst(t));
	else
		verdict_explain(j->v,
				"A reset from %s, or from something on the way that speaks for it "
				"(a firewall, a load balancer), ended the connection with %s.",
				say_src(t), say_dst(t));
	tell_form(j);
	tell_connection(j);
	tell_ttl(j);
	tell_afterwards(j);
	verdict_fix(j->v, "none",
		    "look on %s for the reason (run tcpwhy there when it happens again): its log "
		    "at this time, a time-out of a proxy, a crash",
		    say_addr(t->src));
	return true;
}

bool judge_captured_alone(struct judge *j)
{
	if (!fact_captured(j, CAPTURED_ALONE) || judge_captured_refused(j))
		return false;
	j->v->certainty = CERTAINTY_UNKNOWN;
	verdict_explain(j->v, "The capture has a reset, and nothing of its connection before that: "
			      "what it answered, or ended, is not known.");
	tell_form(j);
	verdict_fix(j->v, "none",
		    "capture all packets of the connection, not only resets: tcpdump -i any -w "
		    "FILE host %s and port %u",
		    say_addr(j->ev->pkt.tuple.src), j->ev->pkt.tuple.sport);
	return true;
}

/* ---- a connection that did not come about ---------------------------------------------------- */

/* RFC 9293 3.10.7.1: only what has no ACK, as a SYN, is answered with the sequence number 0. */
static bool answers_unseen_syn(const struct judge *j)
{
	const struct rec_packet *p = &j->ev->pkt;

	return fact_captured(j, CAPTURED_ALONE) && p->tcp_flags & TCPHDR_ACK && !p->seq;
}

static void fix_refused(struct judge *j, const uint8_t addr[16], uint16_t port, const char *option)
{
	verdict_fix(j->v, "none",
		    "on %s: ss -ln%s 'sport = :%u' (does it listen, on this address?), then its "
		    "firewall",
		    say_addr(addr), option, port);
}

static bool refused_by_icmp(struct judge *j)
{
	const struct rec_packet *p = &j->ev->pkt;
	bool udp = p->tuple.proto == IPPROTO_UDP;

	if (!fact_captured(j, CAPTURED_ICMP) || !icmp_refuses(p))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"%s answered the %s to %s with the ICMP error \"%s\": nothing listens on "
			"that port there, or a firewall rejects it.",
			say_addr(p->icmp_src), udp ? "datagram" : "SYN", say_dst(&p->tuple),
			say_icmp(p));
	verdict_evidence(j->v, "ICMP type %u code %u from %s about %s", p->icmp_type, p->icmp_code,
			 say_addr(p->icmp_src), say_tuple(&p->tuple));
	fix_refused(j, p->tuple.dst, p->tuple.dport, udp ? "u" : "t");
	return true;
}

bool judge_captured_refused(struct judge *j)
{
	const struct rec_captured *c = captured(j->ev);
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	if (refused_by_icmp(j))
		return true;
	if (!fact_captured(j, CAPTURED_REFUSED) && !answers_unseen_syn(j))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"%s refused the connection: it answered the SYN of %s with a reset. "
			"Nothing listens on that port there, or a firewall there (or on the way) "
			"rejects it.",
			say_src(t), say_dst(t));
	verdict_evidence(j->v, "%s", say_packet(&j->ev->pkt));
	if (c->answers_ns)
		verdict_evidence(j->v, "it acknowledges the SYN, and came %s after it",
				 say_time(j->ev->hdr.mono_ns - c->answers_ns));
	else
		verdict_evidence(j->v, "the SYN is not in the capture, but only what has no ACK is "
				       "answered with the sequence number 0");
	tell_ttl(j);
	if (c->from.later)
		verdict_evidence(j->v,
				 "%u more packets came from there, as of a connection: two "
				 "have answered the SYN, and one of them is not the server",
				 c->from.later);
	fix_refused(j, t->src, t->sport, "t");
	return true;
}

bool judge_captured_unreachable(struct judge *j)
{
	const struct rec_packet *p = &j->ev->pkt;

	if (!fact_captured(j, CAPTURED_ICMP) || icmp_refuses(p))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"The router or host %s answered with the ICMP error \"%s\" instead of "
			"letting the %s to %s through.",
			say_addr(p->icmp_src), say_icmp(p),
			p->tuple.proto == IPPROTO_UDP ? "datagram" : "connection",
			say_dst(&p->tuple));
	verdict_evidence(j->v, "ICMP type %u code %u from %s about %s", p->icmp_type, p->icmp_code,
			 say_addr(p->icmp_src), say_tuple(&p->tuple));
	verdict_fix(j->v, "none", "on %s: look at its routes and its firewall for %s",
		    say_addr(p->icmp_src), say_addr(p->tuple.dst));
	return true;
}

bool judge_captured_unanswered(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const struct rec_captured *c = captured(e);
	const struct rec_tuple *t = &e->pkt.tuple;

	if (!fact_captured(j, CAPTURED_UNANSWERED))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"%s sent its SYN to %s %u times within %s, and nothing in the capture "
			"answers it: it was lost or dropped behind the place of the capture, or "
			"the answer was.",
			say_src(t), say_dst(t), e->repeats, say_time(c->last_ns - c->first_ns));
	verdict_evidence(j->v, "SYN with seq %u, %u times; no SYN-ACK, no reset, no ICMP error",
			 e->pkt.seq, e->repeats);
	verdict_evidence(j->v, "the capture goes on for %s after the last of them",
			 say_time(c->end_ns - c->last_ns));
	verdict_evidence(j->v, "an answer that took another way, past the capture, did not help "
			       "the client either: it sent the SYN again");
	verdict_fix(j->v, "none",
		    "capture on %s, too: do the SYNs arrive? Then does it listen on port %u, and "
		    "what does its firewall drop? Else look at what is between",
		    say_addr(t->dst), t->dport);
	return true;
}

bool judge_captured_collision(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const struct rec_captured *c = captured(e);
	const struct rec_tuple *t = &e->pkt.tuple;

	if (!fact_captured(j, CAPTURED_COLLISION))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"%s answered the SYN of %s with an ACK that does not acknowledge it, as a "
			"host does that still has an old connection of the same addresses and "
			"ports (a challenge ACK). A client that did begin anew sends a reset for "
			"that, which clears the old one away, and tries again.",
			say_src(t), say_dst(t));
	verdict_evidence(j->v, "%s, %s after the SYN", say_packet(&e->pkt),
			 say_time(e->hdr.mono_ns - c->answers_ns));
	if (c->alive)
		verdict_evidence(j->v, "the old connection is in the capture, and was not over");
	verdict_evidence(j->v, "the SYN was sent again; %u packets came from %s afterwards",
			 c->from.later, say_src(t));
	verdict_fix(j->v, "the old connection ends at once; its process, if any, sees ECONNABORTED",
		    "on %s: ss -tK src %s dst %s", say_addr(t->src), say_src(t), say_dst(t));
	verdict_fix(j->v, "none",
		    "let the client's reset through (a firewall or NAT between that drops it as "
		    "INVALID?), and do not let two clients behind one address use the same port");
	return true;
}
