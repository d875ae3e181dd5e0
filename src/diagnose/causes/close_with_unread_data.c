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
	if (e->has_reason)
		return strcmp(e->reason_name, "TCP_ABORT_ON_CLOSE") == 0;
	return fact_stack(j, "__tcp_close") && !fact_stack(j, "tcp_disconnect") &&
	       e->sock.unread > 0;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	bool exiting, killed;

	if (!is_abort_on_close(j))
		return false;
	exiting = fact_stack(j, "do_exit");
	killed = exiting && fact_stack(j, "get_signal");
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"The process %s with %u received bytes still unread. TCP then sends a "
			"reset instead of a "
			"normal end, so that the peer knows its data was lost; what was still on "
			"its way to the peer "
			"may be lost too.",
			killed	  ? "was killed"
			: exiting ? "ended"
				  : "closed the socket",
			e->sock.unread);
	verdict_evidence(
		j->v, "%s%s: %s",
		e->has_reason ? "the kernel's reason is TCP_ABORT_ON_CLOSE" : "the stack shows it",
		e->sock.unread ? "" : " (the count of unread bytes is gone)", say_stack(j, e));
	if (e->sock.unread)
		verdict_evidence(j->v, "%u bytes from %s were unread in the receive queue",
				 e->sock.unread, say_dst(&e->sock.tuple));
	if (e->task.pid)
		verdict_hit(j->v, "%s (%s) %s; its peer %s gets the reset", say_task(e),
			    say_netns(j, e->hdr.netns),
			    killed    ? "was killed"
			    : exiting ? "ended"
				      : "closed",
			    say_dst(&e->sock.tuple));
	hit_all(j);
	if (exiting)
		verdict_fix(j->v, "none",
			    "find out why the process %s (its log, its exit status, dmesg for the "
			    "OOM killer)",
			    killed ? "was killed" : "ended without reading to the end");
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
