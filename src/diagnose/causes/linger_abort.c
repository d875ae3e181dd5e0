/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"

/* net/ipv4/tcp.c __tcp_close: SO_LINGER with time 0 disconnects at once. */
static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (!e->active || !(e->sock.flags & SOCK_LINGER0) || !fact_stack(j, "__tcp_close") ||
	    !fact_stack(j, "tcp_disconnect"))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v, "The process closed the socket with SO_LINGER switched on and a time "
			      "of 0, which asks the "
			      "kernel to throw the connection away with a reset instead of ending "
			      "it normally.");
	verdict_evidence(j->v, "SO_LINGER is on with time 0; %s", say_stack(j, e));
	if (e->sock.unread)
		verdict_evidence(j->v, "%u bytes were received and not read", e->sock.unread);
	if (e->sock.write_seq != e->sock.snd_una)
		verdict_evidence(j->v,
				 "%u bytes were sent or queued and not acknowledged: they are lost",
				 e->sock.write_seq - e->sock.snd_una);
	if (e->task.pid)
		verdict_hit(j->v, "%s (%s) closed; its peer %s gets the reset", say_task(e),
			    say_netns(j, e->hdr.netns), say_dst(&e->sock.tuple));
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
	.judge = judge,
};
