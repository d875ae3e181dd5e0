/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * The client's end: net/ipv4/tcp_input.c tcp_rcv_synsent_state_process resets what acknowledges
 * another SYN than its own (or echoes a timestamp that it never sent). The server's:
 * net/ipv4/tcp_minisocks.c tcp_check_req turns an ACK away from the half-open connection, and the
 * listening socket resets it; or tcp_rcv_state_process in SYN_RECV.
 */
#define ACKED_NS NSEC_PER_MSEC

/* Why the far end acknowledged something else is seen on this host too. */
static bool old_connection_is_why(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_CHALLENGE || e->hdr.kind == REC_TW_ANSWER ||
		    (e->hdr.kind == REC_DROP && strcmp(e->reason_name, "TCP_INVALID_SYN") == 0))
			return true;
	}
	return false;
}

/* Did a handshake of this connection come to its end at about that time or later? */
static bool was_established(const struct judge *j)
{
	uint64_t acked = j->ev->mem.handshake.acked_ns;

	timeline_each_event(j->tl, e) {
		if (e->hdr.netns != j->ev->hdr.netns)
			continue;
		if (e->mem.handshake.established_ns >= acked)
			return true;
		if (e->hdr.kind == REC_STATE && e->old_state == TCP_SYN_RECV &&
		    e->new_state == TCP_ESTABLISHED)
			return true;
	}
	return false;
}

/* A half-open connection of the packet's addresses, as a lookup found it. */
static bool is_half_open(const struct judge *j)
{
	struct rec_tuple here = tuple_reverse(&j->ev->pkt.tuple);

	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match == SOCK_MATCH_EXACT && s->hdr.netns == j->ev->hdr.netns &&
		    (s->state == TCP_SYN_RECV || s->state == TCP_STATE_NEW_SYN_RECV) &&
		    tuple_equal(&s->tuple, &here))
			return true;
	}
	return false;
}

static enum certainty of_server(const struct judge *j)
{
	const struct rec_event *e = j->ev;
	uint64_t acked = e->mem.handshake.acked_ns;

	if (e->sock.state == TCP_SYN_RECV)
		return CERTAINTY_CERTAIN;
	if (e->sock.state != TCP_LISTEN || fact_stack(j, "tcp_check_req") ||
	    (*fact_reason(e) && !fact_reason_is(e, "TCP_FLAGS")))
		return CERTAINTY_UNKNOWN;
	if (acked && acked <= e->hdr.mono_ns && e->hdr.mono_ns - acked <= ACKED_NS &&
	    !was_established(j))
		return CERTAINTY_CERTAIN;
	return !acked && is_half_open(j) ? CERTAINTY_LIKELY : CERTAINTY_UNKNOWN;
}

static void tell_client(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const struct rec_packet *p = &e->pkt;
	bool bare = !(p->tcp_flags & TCPHDR_SYN);
	bool fits =
		(int32_t)(p->ack - e->sock.snd_una) > 0 && (int32_t)(p->ack - e->sock.snd_nxt) <= 0;

	verdict_explain(j->v,
			"%s answered the SYN of %s with %s that does not fit it, so the kernel "
			"here answered that with a reset and goes on waiting for the right one.",
			say_src(&p->tuple), say_dst(&p->tuple), bare ? "an ACK" : "a SYN-ACK");
	verdict_explain(j->v, bare ? "It is no SYN-ACK: the far end seems to have an old "
				     "connection of the same addresses and ports still, and speaks "
				     "of that one."
				   : "Something on the way changes the sequence numbers of one "
				     "direction only (a firewall, load balancer or NAT that does "
				     "not see the other one), or answers in the server's name; or "
				     "it is the answer to an earlier SYN.");
	if (fits)
		verdict_evidence(j->v,
				 "%s: the ACK number fits, but the timestamp that it echoes was "
				 "never sent",
				 say_packet(p));
	else
		verdict_evidence(j->v, "%s: it should acknowledge %u", say_packet(p),
				 e->sock.snd_nxt);
}

static void tell_server(struct judge *j)
{
	const struct rec_event *e = j->ev;

	verdict_explain(j->v,
			"%s ended the handshake with an ACK that does not fit the SYN-ACK of %s: "
			"it acknowledges what was never sent. The kernel here answered it with a "
			"reset, though the client takes the connection for open.",
			say_src(&e->pkt.tuple), say_dst(&e->pkt.tuple));
	verdict_explain(j->v, "Something on the way changes the sequence numbers of one direction "
			      "only (a firewall, load balancer or NAT that does not see the other "
			      "one), or another server answered the SYN.");
	verdict_evidence(j->v, "%s", say_packet(&e->pkt));
	if (e->mem.handshake.acked_ns)
		verdict_evidence(j->v, "it found its half-open connection, and was turned away: no "
				       "connection came of it");
	else if (e->sock.state == TCP_LISTEN)
		verdict_evidence(j->v, "a lookup found the half-open connection, so it was not for "
				       "want of that");
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	bool client = e->sock.state == TCP_SYN_SENT;

	if (e->active || !(e->sock.flags & SOCK_PRESENT) || !(e->pkt.tcp_flags & TCPHDR_ACK) ||
	    (!client && e->pkt.tcp_flags & TCPHDR_SYN) || old_connection_is_why(j))
		return false;
	j->v->certainty = client ? CERTAINTY_CERTAIN : of_server(j);
	if (j->v->certainty == CERTAINTY_UNKNOWN)
		return false;
	if (client)
		tell_client(j);
	else
		tell_server(j);
	verdict_evidence(j->v, "the socket was in %s: %s", tcp_state_name(e->sock.state),
			 say_stack(j, e));
	if (*fact_reason(e))
		verdict_evidence(j->v, "the kernel's reason: %s", fact_reason(e));
	hit_all(j);
	verdict_fix(j->v, "none",
		    "compare the numbers at both ends: %stcpdump -nSi %s 'tcp port %u and host %s' "
		    "(the ack of an answer is the seq before it, plus 1); then look at what stands "
		    "between, and whether both directions take the same way",
		    say_netns_prefix(j, e->hdr.netns), e->ifname[0] ? e->ifname : "any",
		    client ? e->pkt.tuple.sport : e->pkt.tuple.dport, say_addr(e->pkt.tuple.src));
	if (client && !(e->pkt.tcp_flags & TCPHDR_SYN))
		verdict_fix(j->v, "the old connection there ends at once",
			    "on %s: ss -tK src %s dst %s", say_addr(e->pkt.tuple.src),
			    say_src(&e->pkt.tuple), say_dst(&e->pkt.tuple));
	return true;
}

const struct cause cause_bad_ack_in_handshake = {
	.id = "bad-ack-in-handshake",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT),
	.judge = judge,
};
