/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/tcp_input.c tcp_validate_incoming, tcp_send_challenge_ack (RFC 5961 section 4): a SYN
 * for a connection that exists is never believed, as anybody may have forged it. It is answered
 * with an ACK that tells where the connection stands.
 */
static const char *const counters[] = {"TcpExtTCPSYNChallenge", "TcpExtTCPChallengeACK", NULL};

static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind == REC_CHALLENGE || strcmp(e->reason_name, "TCP_INVALID_SYN") == 0;
}

/* The very SYN that began the connection, once more. */
static bool is_own_syn(const struct rec_event *e)
{
	if (!(e->sock.flags & SOCK_PRESENT))
		return false;
	return e->sock.state == TCP_SYN_RECV || e->pkt.seq + 1 == e->sock.rcv_nxt;
}

/* What comes next on the connection, or lies beyond, can't have begun it. */
static bool is_new_syn(const struct rec_event *e)
{
	return e->sock.flags & SOCK_PRESENT && (int32_t)(e->pkt.seq - e->sock.rcv_nxt) >= 0;
}

/* Of the old connection: as the kernel tells (since 6.11), or a lookup. */
const char *challenge_state(const struct judge *j)
{
	const struct rec_event *e = j->ev;
	struct rec_tuple here = tuple_reverse(&e->pkt.tuple);

	if (e->sock.flags & SOCK_PRESENT)
		return tcp_state_name(e->sock.state);
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match == SOCK_MATCH_EXACT && s->hdr.netns == e->hdr.netns &&
		    tuple_equal(&s->tuple, &here))
			return tcp_state_name(s->state);
	}
	return "alive";
}

static const struct rec_event *event_after(const struct judge *j, enum rec_kind kind)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == kind && e->hdr.mono_ns >= j->ev->hdr.mono_ns)
			return e;
	}
	return NULL;
}

static void evidence(struct judge *j)
{
	const struct rec_event *e = j->ev, *again = event_after(j, REC_SYN_AGAIN),
			       *reset = event_after(j, REC_RST_RECV),
			       *ignored = event_after(j, REC_RST_IGNORED);
	uint64_t since = e->mem.handshake.established_ns;
	bool known = e->sock.flags & SOCK_PRESENT;

	verdict_evidence(j->v, "%s met a socket%s%s%s: %s", say_packet(&e->pkt),
			 known ? " in " : "", known ? tcp_state_name(e->sock.state) : "",
			 e->sock.flags & SOCK_DEAD_F ? ", which no process holds any more" : "",
			 say_stack(j, e));
	if (known)
		verdict_evidence(j->v, "its sequence number is %u, the connection waits for %u",
				 e->pkt.seq, e->sock.rcv_nxt);
	if (e->hdr.kind == REC_DROP)
		verdict_evidence(j->v, "it was dropped with %s", say_reason(e));
	if (since && since < e->hdr.mono_ns)
		verdict_evidence(j->v, "the old connection was established %s before",
				 say_time(e->hdr.mono_ns - since));
	if (again)
		verdict_evidence(j->v, "the same SYN arrived %u times", again->repeats);
	if (reset && reset->sock.addr == e->sock.addr)
		verdict_evidence(j->v, "%s later a reset ended the old connection",
				 say_time(reset->hdr.mono_ns - e->hdr.mono_ns));
	else if (ignored)
		verdict_evidence(j->v, "%s arrived, and was not accepted",
				 say_packet(&ignored->pkt));
	else
		verdict_evidence(j->v, "no reset was seen that ended the old connection: the "
				       "client did not send it, or it got lost");
	if (fact_counter(j, counters[0]))
		verdict_evidence(j->v, "TCPSYNChallenge grew by %llu since tcpwhy began to watch",
				 (unsigned long long)fact_counter(j, counters[0]));
}

bool judge_challenge(const struct judge *j, bool no_duplicate)
{
	const struct rec_event *e = j->ev;

	return concerns(e) && packet_is_syn(&e->pkt) &&
	       !(e->sock.flags & (SOCK_TIMEWAIT | SOCK_REQUEST)) && !is_own_syn(e) &&
	       fact_syn_suffers(j, no_duplicate || is_new_syn(e));
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const struct rec_tuple *t = &e->pkt.tuple;
	const char *prefix = say_netns_prefix(j, e->hdr.netns);

	if (e->hdr.kind == REC_CAPTURED)
		return judge_captured_collision(j);
	if (!judge_challenge(j, false))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"A new connection %s met an old one of the same addresses and ports, which "
			"here is still %s. The kernel does not believe such a SYN, as it might be "
			"forged: it answered with an ACK of the old connection (a challenge ACK), "
			"not with a SYN-ACK.",
			say_tuple(t), challenge_state(j));
	verdict_explain(j->v, "A client that did begin anew sends a reset for this ACK, which "
			      "clears the old connection away, and tries again. Where that reset "
			      "gets lost, it can't connect.");
	evidence(j);
	hit_all(j);
	verdict_fix(j->v, "the old connection ends at once; its process, if any, sees ECONNABORTED",
		    "%sss -tK src %s dst %s", prefix, say_dst(t), say_src(t));
	verdict_fix(j->v, "none",
		    "let the client's reset through (a firewall or NAT between that drops it as "
		    "INVALID?), and do not let two clients behind one address use the same port");
	verdict_fix(j->v, "old connections of clients that vanished go away by themselves",
		    "let the service set SO_KEEPALIVE or a time-out of its own on its connections");
	return true;
}

const struct cause cause_challenge_ack = {
	.id = "challenge-ack",
	.rank = RANK_ROOT,
	.kinds = KIND(CHALLENGE) | KIND(DROP) | KIND(CAPTURED),
	.counters = counters,
	.concerns = concerns,
	.judge = judge,
};
