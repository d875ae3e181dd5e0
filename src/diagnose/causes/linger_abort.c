/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"

static const char *const counters[] = {"TcpExtTCPAbortOnLinger", NULL};

static bool concerns(const struct rec_event *e)
{
	return e->active;
}

/* net/ipv4/tcp.c __tcp_close: SO_LINGER with time 0 disconnects at once. */
static bool is_linger0(const struct judge *j)
{
	return j->ev->sock.flags & SOCK_LINGER0 && fact_stack(j, "__tcp_close") &&
	       fact_stack(j, "tcp_disconnect");
}

/*
 * net/ipv4/tcp.c __tcp_close: TCP_LINGER2 below 0 resets what would wait for the peer's FIN in
 * FIN_WAIT2. Without a reason (before 6.12) it is told from the other resets there by what it is
 * not: nothing is unread, SO_LINGER plays no part, and the own FIN is acknowledged.
 */
static enum certainty linger2(const struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (fact_reason_is(e, "TCP_ABORT_ON_LINGER"))
		return CERTAINTY_CERTAIN;
	if (*fact_reason(e) || !fact_stack(j, "__tcp_close") || fact_stack(j, "tcp_disconnect") ||
	    fact_stack(j, "inet_csk_listen_stop") || e->sock.unread ||
	    e->sock.write_seq != e->sock.snd_una || !fact_counter(j, counters[0]))
		return CERTAINTY_UNKNOWN;
	return CERTAINTY_LIKELY;
}

static bool judge_linger2(struct judge *j)
{
	const struct rec_event *e = j->ev;

	j->v->certainty = linger2(j);
	if (j->v->certainty == CERTAINTY_UNKNOWN)
		return false;
	verdict_explain(j->v,
			"%s closed the socket after it had ended its own half of the connection, "
			"and TCP_LINGER2 on it is below 0, which asks the kernel not to wait for "
			"the peer's half: %s got a reset.",
			e->task.pid ? say_task(e) : "The process", say_dst(&e->sock.tuple));
	if (*fact_reason(e))
		verdict_evidence(j->v, "the kernel's reason is TCP_ABORT_ON_LINGER: %s",
				 say_stack(j, e));
	else
		verdict_evidence(j->v,
				 "this kernel gives no reason; nothing was unread, SO_LINGER plays "
				 "no part, all that was sent is acknowledged, and TCPAbortOnLinger "
				 "grew by %llu: %s",
				 (unsigned long long)fact_counter(j, counters[0]), say_stack(j, e));
	hit_closer(j, "closed");
	hit_all(j);
	verdict_fix(j->v,
		    "the peer can still send its rest; the socket waits for that up to "
		    "net.ipv4.tcp_fin_timeout (60 s)",
		    "do not set TCP_LINGER2 below 0 in this program");
	return true;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	enum task_ending ending = fact_ending(j, e);

	if (!e->active)
		return false;
	if (!is_linger0(j))
		return judge_linger2(j);
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"The process %s with SO_LINGER switched on and a time of 0, which asks the "
			"kernel to throw the connection away with a reset instead of ending it "
			"normally.",
			say_ending(ending, e->task.signal));
	verdict_evidence(j->v, "SO_LINGER is on with time 0; %s", say_stack(j, e));
	evidence_thrown_away(j);
	hit_closer(j, "closed");
	hit_all(j);
	verdict_fix(j->v,
		    "connections end normally, and the closing side keeps a TIME_WAIT entry for a "
		    "minute",
		    "do not set SO_LINGER with time 0 in this program (some clients and load tests "
		    "do it to avoid TIME_WAIT)");
	return true;
}

const struct cause cause_linger_abort = {
	.id = "linger-abort",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT),
	.counters = counters,
	.concerns = concerns,
	.judge = judge,
};
