/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/tcp_input.c tcp_validate_incoming (RFC 5961 section 3): a reset ends a connection only if its number
 * is the very next one. In the window it is answered with an ACK that tells the right number, which a real
 * peer answers with a reset that fits; out of the window with nothing.
 */
static const char *const counters[] = {"TcpExtTCPChallengeACK", "TcpExtTCPACKSkippedChallenge",
				       NULL};

static bool has_socket(const struct rec_event *e)
{
	return e->sock.flags & SOCK_PRESENT;
}

/* Is `later` about the reset's connection, in the same namespace, and was nothing of the peer taken in between? */
static bool is_silent_until(const struct rec_event *rst, const struct rec_event *later)
{
	const struct rec_sock *was = &rst->sock, *is = &later->sock;

	if (later->hdr.mono_ns < rst->hdr.mono_ns || later->hdr.netns != rst->hdr.netns ||
	    !has_socket(later) || !same_connection(&later->sock.tuple, &rst->pkt.tuple))
		return false;
	if (!has_socket(rst))
		return rst->pkt.seq != is->rcv_nxt;
	return is->addr == was->addr && is->rcv_nxt == was->rcv_nxt && is->snd_una == was->snd_una;
}

/* By a timer: of retransmissions, probes, keepalive. */
static bool gives_up(const struct judge *j, const struct rec_event *e)
{
	if (e->hdr.kind == REC_SOCK_ERR)
		return e->err == ETIMEDOUT;
	return e->hdr.kind == REC_RST_SENT && e->active &&
	       fact_stack_of(j, e, "tcp_keepalive_timer");
}

/* What came of it: the connection was given up, or it hangs; NULL: neither. */
static const struct rec_event *outcome(const struct judge *j)
{
	const struct rec_event *hangs = NULL;

	timeline_each_event(j->tl, e) {
		if (!is_silent_until(j->ev, e))
			continue;
		if (gives_up(j, e))
			return e;
		if (e->hdr.kind == REC_RETRANS && e->sock.retransmits >= TRACK_STUCK_AFTER)
			hangs = e;
	}
	return hangs;
}

static void evidence(struct judge *j, const struct rec_sock *s, const struct rec_event *after)
{
	const struct rec_event *e = j->ev;
	int32_t ahead = (int32_t)(e->pkt.seq - s->rcv_nxt);
	bool within = ahead >= 0 && (uint32_t)ahead < s->rcv_wnd;

	verdict_evidence(j->v, "%s arrived (TTL %u) and was not taken: %s", say_packet(&e->pkt),
			 e->pkt.ttl, say_stack(j, e));
	verdict_evidence(j->v,
			 "its sequence number is %u, only %u would have been believed: it is %u "
			 "%s, "
			 "and %s the window (%u to %u)%s",
			 e->pkt.seq, s->rcv_nxt, (unsigned)(ahead < 0 ? -ahead : ahead),
			 ahead < 0 ? "below" : "above", within ? "in" : "outside of", s->rcv_nxt,
			 s->rcv_nxt + s->rcv_wnd,
			 has_socket(e) ? "" : ", as the socket stood later");
	if (e->mem.peer_ttl)
		verdict_evidence(j->v,
				 "the packet with which that peer began or answered had TTL %u%s",
				 e->mem.peer_ttl,
				 e->mem.peer_ttl == e->pkt.ttl ? "" : ": it came another way");
	if (e->hdr.kind == REC_DROP)
		verdict_evidence(j->v, "it was dropped with %s", say_reason(e));
	if (within && fact_counter(j, counters[0]))
		verdict_evidence(j->v, "TCPChallengeACK grew by %llu since tcpwhy began to watch",
				 (unsigned long long)fact_counter(j, counters[0]));
	if (within && fact_counter(j, counters[1]))
		verdict_evidence(j->v,
				 "TCPACKSkippedChallenge grew by %llu: challenge ACKs were held "
				 "back by their rate limit",
				 (unsigned long long)fact_counter(j, counters[1]));
	verdict_evidence(j->v,
			 "%s after it the connection %s; %u bytes unacknowledged, "
			 "retransmitted %u times",
			 say_time(after->hdr.mono_ns - e->hdr.mono_ns),
			 after->hdr.kind == REC_RETRANS ? "still waits"
							: "was given up (ETIMEDOUT)",
			 after->sock.write_seq - after->sock.snd_una, after->sock.retransmits);
	if (has_socket(e))
		verdict_evidence(j->v,
				 "nothing of the peer was taken in between: it acknowledges "
				 "up to %u, and sent up to %u, as before",
				 s->snd_una, s->rcv_nxt);
	else
		verdict_evidence(j->v, "whether the peer sent anything between is not known: the "
				       "kernel does not tell which socket the reset met");
}

static void fixes(struct judge *j, const struct rec_tuple *here, bool hangs)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);

	verdict_fix(j->v, "none",
		    "find who sent it: is its TTL that of other packets of %s? A firewall, NAT or "
		    "load balancer that forgot the connection resets with a number of its own; let "
		    "it keep idle connections longer, or the program send something (SO_KEEPALIVE) "
		    "before it forgets them",
		    say_addr(here->dst));
	if (hangs)
		verdict_fix(j->v, "the connection ends at once; its process sees ECONNABORTED",
			    "%sss -tK src %s dst %s", prefix, say_src(here), say_dst(here));
	verdict_fix(j->v, "outages longer than that end connections",
		    "let the program set TCP_USER_TIMEOUT, or its own time-out, to notice sooner");
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev, *after;
	const struct rec_sock *s;
	struct rec_tuple here;

	if (!track_reset_ignored(e))
		return false;
	after = outcome(j);
	if (!after || fact_loss(j))
		return false;
	s = has_socket(e) ? &e->sock : &after->sock;
	here = tuple_reverse(&e->pkt.tuple);
	j->v->certainty = has_socket(e) ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"A reset in the name of %s arrived for this connection, and the kernel "
			"here "
			"ignored it, as its sequence number is not the one expected next: it might "
			"be forged. For whoever sent it the connection is over; here it went on as "
			"if nothing had happened, without an answer, %s.",
			say_dst(&here),
			after->hdr.kind == REC_RETRANS ? "and still waits"
						       : "until it was given up (ETIMEDOUT)");
	verdict_explain(j->v, "A peer that does reset uses the right number, or learns it from the "
			      "ACK that answers a reset within the window. So this one was "
			      "probably "
			      "sent by something between, or the answer to it got lost.");
	evidence(j, s, after);
	hit_all(j);
	fixes(j, &here, after->hdr.kind == REC_RETRANS);
	return true;
}

const struct cause cause_rst_out_of_window_ignored = {
	.id = "rst-out-of-window-ignored",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_IGNORED) | KIND(DROP),
	.counters = counters,
	.concerns = track_reset_ignored,
	.judge = judge,
};
