/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * A client that is connected, and a program that never accepted it: the connection sits in the accept queue, or
 * half open before it, as the queue is full: net/ipv4/tcp_minisocks.c tcp_check_req then ignores the last ACK
 * of the handshake, and the data behind it. (listen_overflow tells of that on the server.)
 */
static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind == REC_RETRANS ? track_half_open(e) : track_never_accepted(e);
}

/* ---- the server: it waited in the queue ------------------------------------------------------ */

static void tell_queue(struct judge *j, const struct rec_sock_info *listener)
{
	if (!listener)
		return;
	verdict_evidence(j->v, "the queue of %s holds %u now (Recv-Q), its limit is %u (Send-Q)",
			 say_src(&listener->tuple), listener->rqueue, listener->wqueue);
	verdict_hit(j->v, "%s (%s) listens on %s", say_owner(j, listener),
		    say_netns(j, listener->hdr.netns), say_src(&listener->tuple));
}

static void judge_queued(struct judge *j)
{
	const struct rec_sock_info *listener = fact_listener(j);
	const char *owner = listener ? say_owner(j, listener) : "the process that listens";
	const struct rec_event *e = j->ev;
	uint64_t waited = e->hdr.mono_ns - e->mem.handshake.established_ns;
	bool reset = e->hdr.kind == REC_RST_RECV;

	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"%s was connected to port %u of %s for %s, as far as it could tell, and "
			"then %s. The kernel here had taken the connection, but %s never accepted "
			"it: it waited in the accept queue until the end, and nobody read what it "
			"sent.",
			say_dst(&e->sock.tuple), e->sock.tuple.sport, say_netns(j, e->hdr.netns),
			say_time(waited), reset ? "reset the connection" : "closed its side",
			owner);
	verdict_evidence(j->v,
			 "the socket, in %s, has no owner yet: accept() was not called for it",
			 tcp_state_name(e->hdr.kind == REC_STATE ? e->old_state : e->sock.state));
	verdict_evidence(j->v,
			 "its handshake ended %s before: since then accept() took at most "
			 "connections that are older (the queue is first in, first out)",
			 say_time(waited));
	if (e->sock.unread)
		verdict_evidence(j->v, "%u bytes that it sent were never read", e->sock.unread);
	tell_queue(j, listener);
	hit_all(j);
	if (listener && listener->pid)
		verdict_fix(j->v, "lists only: what it does instead of accept()",
			    "cat /proc/%u/stack; strace -f -p %u; gdb -p %u -batch -ex 'thread "
			    "apply "
			    "all bt'",
			    listener->pid, listener->pid, listener->pid);
	fix_accept(j, listener);
}

/* ---- the client: its ACK is ignored ---------------------------------------------------------- */

static bool judge_ignored(struct judge *j)
{
	const struct rec_event *e = j->ev;

	/* The server's end is watched, too: it knows better. */
	if (fact_event(j, REC_SYNACK_RETRANS) || fact_event(j, REC_HANDSHAKE) || fact_loss(j))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"connect() to %s succeeded here, but over there the connection is still "
			"half open: it sends its SYN-ACK again and again, and acknowledges none of "
			"the data. Its kernel does not take the ACK that ends the handshake: most "
			"likely the program does not accept() its connections, and its accept "
			"queue is full.",
			say_dst(&e->sock.tuple));
	verdict_evidence(j->v, "the same SYN-ACK arrived %u times", e->mem.peer_syns);
	verdict_evidence(j->v,
			 "the first %u bytes were sent again %u times: nothing but the SYN was "
			 "ever "
			 "acknowledged",
			 e->segment.size, e->sock.retransmits);
	verdict_evidence(j->v,
			 "that its queue is full is inferred; a firewall between that lets "
			 "answers pass, but not what %s sends, looks the same from here",
			 say_addr(e->sock.tuple.src));
	hit_all(j);
	verdict_fix(j->v, "lists only",
		    "on %s: ss -ltnp 'sport = :%u'   (full if Recv-Q is above Send-Q); nstat -asz "
		    "TcpExtListenOverflows",
		    say_addr(e->sock.tuple.dst), e->sock.tuple.dport);
	fix_accept(j, NULL);
	return true;
}

static bool judge(struct judge *j)
{
	if (!concerns(j->ev))
		return false;
	if (j->ev->hdr.kind == REC_RETRANS)
		return judge_ignored(j);
	judge_queued(j);
	return true;
}

const struct cause cause_half_open_accept_queue = {
	.id = "half-open-accept-queue",
	.rank = RANK_ROOT,
	.kinds = KIND(STATE) | KIND(RST_RECV) | KIND(RETRANS),
	.needs = Q_LISTENERS,
	.any_client = true,
	.concerns = concerns,
	.judge = judge,
};
