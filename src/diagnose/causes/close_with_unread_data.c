/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"

/*
 * net/ipv4/tcp.c __tcp_close: unread data in the queue means reset instead of FIN (RFC 2525 section
 * 2.17).
 */
static bool is_abort_on_close(const struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (!e->active)
		return false;
	if (*fact_reason(e))
		return fact_reason_is(e, "TCP_ABORT_ON_CLOSE");
	return fact_stack(j, "__tcp_close") && !fact_stack(j, "tcp_disconnect") &&
	       e->sock.unread > 0;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	enum task_ending ending = fact_ending(j, e);
	const char *did = say_ending(ending, e->task.signal);

	if (!is_abort_on_close(j))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	if (e->sock.unread)
		verdict_explain(j->v, "The process %s with %u received bytes still unread.", did,
				e->sock.unread);
	else
		verdict_explain(j->v, "The process %s with received data still unread.", did);
	verdict_explain(j->v, "TCP then sends a reset instead of a normal end, so that the peer "
			      "knows its data was lost; what was still on its way to the peer may "
			      "be lost too.");
	verdict_evidence(j->v, "%s%s: %s",
			 *fact_reason(e) ? "the kernel's reason is TCP_ABORT_ON_CLOSE"
					 : "the stack shows it",
			 e->sock.unread ? "" : " (the count of unread bytes is gone)",
			 say_stack(j, e));
	if (e->sock.unread)
		verdict_evidence(j->v, "%u bytes from %s were unread in the receive queue",
				 e->sock.unread, say_dst(&e->sock.tuple));
	hit_closer(j, did);
	hit_all(j);
	if (ending != TASK_RUNS)
		verdict_fix(j->v, "none",
			    "find out why the process ended without reading to the end (its log, "
			    "its exit status)");
	verdict_fix(j->v, "the process reads (and may throw away) data that it does not want",
		    "read to the end of the stream before close(), or shutdown(SHUT_WR) first and "
		    "read until 0");
	return true;
}

const struct cause cause_close_with_unread_data = {
	.id = "close-with-unread-data",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT),
	.judge = judge,
};
