/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

static void fix(struct judge *j)
{
	verdict_fix(j->v, "none; both ends have to agree on who closes first and when",
		    "let the side that still has to receive close last: shutdown(SHUT_WR), read to "
		    "the end, then close()");
	verdict_fix(j->v, "one more round trip where a kept connection was just closed",
		    "if this is a kept-alive connection: let the client give it up earlier than "
		    "the server does, or retry");
}

/* "closed the socket", or what else ended its process. */
static const char *how(const struct rec_memory *m)
{
	return say_ending(m->closed_ending, m->closed_signal);
}

/* "pid 3 server closed the socket 12 ms before": known if the close was watched. */
static bool tell_close(struct judge *j, const char *peer)
{
	const struct rec_memory *m = &j->ev->mem;

	if (!m->closed_ns || m->closed_ns > j->ev->hdr.mono_ns)
		return false;
	verdict_evidence(j->v, "pid %u %s %s %s before%s", m->closed_pid, m->closed_comm, how(m),
			 say_time(j->ev->hdr.mono_ns - m->closed_ns),
			 m->closed_unread ? ", with data unread" : "");
	verdict_hit(j->v, "pid %u %s (%s) %s; its peer %s gets the reset", m->closed_pid,
		    m->closed_comm, say_netns(j, j->ev->hdr.netns), how(m), peer);
	return true;
}

/*
 * The listening socket went away with connections that nobody had accepted:
 * net/ipv4/inet_connection_sock.c.
 */
static bool judge_listener(struct judge *j)
{
	if (!j->ev->active || !fact_stack(j, "inet_csk_listen_stop"))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v, "The listening socket was given up while this connection, complete "
			      "but "
			      "not yet accepted, "
			      "waited in its queue: the kernel reset it.");
	verdict_evidence(j->v, "%s", say_stack(j, j->ev));
	if (j->ev->task.pid)
		verdict_evidence(j->v, "%s %s the listening socket", say_task(j->ev),
				 fact_stack(j, "tcp_abort")		  ? "destroyed"
				 : fact_stack(j, "__inet_stream_connect") ? "dissolved"
									  : "closed");
	verdict_fix(j->v, "none",
		    "stop the service gently: stop new connections first (at the balancer), accept "
		    "what is "
		    "queued, then close the listening socket");
	hit_all(j);
	return true;
}

/*
 * Data for a socket that its process has closed: net/ipv4/tcp_input.c tcp_rcv_state_process,
 * tcp_timewait_state_process.
 */
static bool judge_orphan(struct judge *j)
{
	const struct rec_event *e = j->ev;
	bool waiting = e->sock.flags & SOCK_TIMEWAIT;

	if (e->active || !(e->sock.flags & SOCK_PRESENT) || e->sock.state == TCP_LISTEN)
		return false;
	if (!waiting && strcmp(e->reason_name, "TCP_ABORT_ON_DATA") != 0 &&
	    !(e->sock.flags & SOCK_DEAD_F && e->sock.shutdown & 1))
		return false;
	if (!waiting && e->sock.state == TCP_SYN_SENT)
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	if (e->pkt.payload)
		verdict_explain(j->v,
				"A packet with %u bytes arrived for a connection that the process "
				"here had "
				"closed already: nobody can read it any more, so the kernel "
				"answered with a "
				"reset.",
				e->pkt.payload);
	else
		verdict_explain(j->v, "A packet arrived for a connection that the process here had "
				      "closed already, and "
				      "the kernel did not wait for its end: it answered with a "
				      "reset.");
	verdict_evidence(j->v, "%s met a socket in %s that has no process any more: %s",
			 say_packet(&e->pkt), tcp_state_name(e->sock.state), say_stack(j, e));
	if (*fact_reason(e))
		verdict_evidence(j->v, "the kernel's reason: %s", fact_reason(e));
	tell_close(j, say_src(&j->ev->pkt.tuple));
	hit_all(j);
	fix(j);
	return true;
}

/*
 * A packet of an established connection meets only the listening socket (net/ipv4/tcp_input.c
 * tcp_rcv_state_process, LISTEN: an ACK is answered with a reset): that connection is not known
 * here.
 */
static bool judge_forgotten(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (e->active || e->sock.state != TCP_LISTEN || !(e->pkt.tcp_flags & TCPHDR_ACK) ||
	    e->pkt.tcp_flags & TCPHDR_SYN || e->sock.backlog > e->sock.max_backlog ||
	    fact_stack(j, "tcp_check_req"))
		return false;
	if (*fact_reason(e) && !fact_reason_is(e, "TCP_FLAGS"))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v, "A packet arrived for a connection that is not known here, though "
			      "its service listens: the "
			      "service or the whole host was restarted meanwhile, or took over the "
			      "address, and the "
			      "client did not notice.");
	if (!e->pkt.payload)
		verdict_explain(j->v, "Or, as the packet carries no data, it was to end a "
				      "handshake "
				      "and did not fit it; that can't be told apart here.");
	verdict_evidence(j->v, "%s met the listening socket only: %s", say_packet(&e->pkt),
			 say_stack(j, e));
	tell_close(j, say_src(&j->ev->pkt.tuple));
	hit_all(j);
	verdict_fix(j->v, "none",
		    "let the client open a new connection when it gets a reset; before a restart, "
		    "close connections "
		    "(drain) instead of forgetting them");
	return true;
}

/* On older kernels, where the reset is seen leaving only. */
static bool judge_leaving(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (!fact_answers_closed(j))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v, "A packet arrived for a connection that the process here had closed "
			      "already, so the kernel answered with a reset.");
	verdict_evidence(j->v, "%s: %s", say_packet(&e->pkt), say_stack(j, e));
	tell_close(j, say_dst(&e->pkt.tuple));
	hit_all(j);
	fix(j);
	return true;
}

/* This end had failed before, and that is the story: what still comes for it only follows from that. */
static bool was_given_up(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_SOCK_ERR && e->hdr.netns == j->ev->hdr.netns &&
		    e->hdr.mono_ns < j->ev->hdr.mono_ns)
			return true;
	}
	return false;
}

static bool judge(struct judge *j)
{
	if (j->ev->hdr.kind == REC_RST_OUT)
		return judge_leaving(j);
	if (j->ev->hdr.kind == REC_RST_SENT && (judge_listener(j) || judge_orphan(j)))
		return true;
	if (was_given_up(j))
		return false;
	if (j->ev->hdr.kind == REC_RST_SENT && judge_forgotten(j))
		return true;
	if (!reset_without_socket(j) || packet_is_syn(&j->ev->pkt))
		return false;
	if (!fact_answered(j, Q_CONNTRACK, NULL))
		verdict_evidence(j->v, "whether a NAT hides its socket is not known: conntrack "
				       "could not "
				       "be asked, or did not answer");
	if (j->ev->pkt.ctinfo == CTINFO_UNTRACKED)
		verdict_evidence(j->v, "the packet was exempted from connection tracking "
				       "(NOTRACK)");
	if (j->ev->pkt.tcp_flags & TCPHDR_SYN)
		verdict_explain(j->v,
				"An answer (SYN-ACK) arrived to a SYN that no socket here waits "
				"for at %s: it was "
				"given up, or was sent from another address (a NAT that the answer "
				"went around), "
				"or somebody else sent it with this address.",
				say_dst(&j->ev->pkt.tuple));
	else if (j->ev->mem.closed_ns)
		verdict_explain(j->v,
				"A packet (%u bytes) arrived for a connection whose socket here is "
				"closed, "
				"so the kernel answered with a reset.",
				j->ev->pkt.payload);
	else
		verdict_explain(j->v,
				"A packet (%u bytes) arrived that belongs to no socket here, so "
				"the kernel "
				"answered with a reset: its connection was closed, or is known "
				"here by another "
				"address only (a NAT that was not undone).",
				j->ev->pkt.payload);
	verdict_evidence(j->v, "%s found no socket: %s", say_packet(&j->ev->pkt),
			 say_stack(j, j->ev));
	if (tell_close(j, say_src(&j->ev->pkt.tuple))) {
		j->v->certainty = CERTAINTY_CERTAIN;
	} else {
		/*
		 * A socket that was there before the watch began, or never: a packet out of nowhere
		 * looks the same.
		 */
		j->v->certainty = CERTAINTY_LIKELY;
		verdict_evidence(j->v, "nobody was seen closing it: that was before tcpwhy "
				       "watched, or long ago, or the "
				       "connection was never on this host");
	}
	hit_all(j);
	fix(j);
	return true;
}

const struct cause cause_closed_socket = {
	.id = "closed-socket",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT) | KIND(DROP) | KIND(RST_OUT),
	.judge = judge,
};
