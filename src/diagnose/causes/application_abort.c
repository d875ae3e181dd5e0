/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/af_inet.c __inet_stream_connect: connect() with AF_UNSPEC dissolves a connection
 * (tcp_disconnect).
 */
static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;

	/* A listening socket that is dissolved resets what waits in its queue: closed-socket tells. */
	if (!e->active || !fact_stack(j, "tcp_disconnect") ||
	    !fact_stack(j, "__inet_stream_connect") || fact_stack(j, "inet_csk_listen_stop"))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"%s called connect() with the address family AF_UNSPEC on a connected "
			"socket. That dissolves the connection at once, with a reset to %s, and "
			"leaves a socket that can be used anew.",
			e->task.pid ? say_task(e) : "The process", say_dst(&e->sock.tuple));
	verdict_evidence(j->v, "the stack shows it: %s", say_stack(j, e));
	evidence_thrown_away(j);
	hit_closer(j, "dissolved it");
	hit_all(j);
	verdict_fix(j->v, "none",
		    "see the call: strace -f -e trace=connect -p %u   (sa_family=AF_UNSPEC; an "
		    "address that was never filled in looks the same)",
		    e->task.pid);
	verdict_fix(j->v, "connections end normally; needs a new socket for the next one",
		    "let the program use shutdown() and close() instead");
	return true;
}

const struct cause cause_application_abort = {
	.id = "application-abort",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT),
	.judge = judge,
};
