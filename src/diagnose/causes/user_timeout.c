/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/tcp_timer.c: TCP_USER_TIMEOUT takes the place of tcp_retries2 (tcp_write_timeout,
 * tcp_probe_timer) and of the number of keepalive probes (tcp_keepalive_timer).
 */
static const char *timer(const struct judge *j)
{
	if (fact_stack(j, "tcp_keepalive_timer") || fact_reason_is(j->ev, "TCP_KEEPALIVE_TIMEOUT"))
		return "keepalive";
	if (fact_stack(j, "tcp_probe_timer"))
		return "window probe";
	if (fact_stack(j, "tcp_retransmit_timer") || fact_stack(j, "tcp_write_timer_handler") ||
	    fact_stack(j, "tcp_write_timer"))
		return "retransmission";
	return NULL;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	uint32_t unacked = e->sock.write_seq - e->sock.snd_una;
	const char *which = timer(j);

	if (!e->sock.user_timeout || !fact_gave_up(j))
		return false;
	j->v->certainty = which ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"The program set TCP_USER_TIMEOUT to %u ms on this connection, and %s did "
			"not %s within that time, so the kernel here gave it up (ETIMEDOUT). "
			"Nothing on this host dropped the packets, as far as the kernel tells.",
			e->sock.user_timeout, say_dst(&e->sock.tuple),
			unacked ? "acknowledge what was sent" : "answer probes");
	if (which)
		verdict_evidence(j->v, "the %s timer ended it: %s", which, say_stack(j, e));
	else
		verdict_evidence(j->v,
				 "the option is set, and the connection timed out (%s): that it "
				 "was for the option is inferred",
				 say_stack(j, e));
	verdict_evidence(j->v, "TCP_USER_TIMEOUT is %u ms", e->sock.user_timeout);
	if (unacked)
		verdict_evidence(j->v, "%u bytes unacknowledged, retransmitted %u times (%u seen)",
				 unacked, e->sock.retransmits, fact_retransmitted(j, NULL));
	if (e->sock.probes)
		verdict_evidence(j->v, "%u probes unanswered", e->sock.probes);
	hit_all(j);
	verdict_fix(j->v, "none",
		    "look at %s and the path to it: is it up, did its address move, does a "
		    "firewall or NAT between forget the connection? Run tcpwhy there too",
		    say_addr(e->sock.tuple.dst));
	verdict_fix(j->v, "longer outages are survived; a dead peer is noticed later",
		    "let the program set a longer TCP_USER_TIMEOUT than %u ms (in libraries: "
		    "tcp_user_timeout of PostgreSQL, gRPC keepalive timeout)",
		    e->sock.user_timeout);
	return true;
}

const struct cause cause_user_timeout = {
	.id = "user-timeout",
	.rank = RANK_CONSEQUENCE,
	.kinds = KIND(SOCK_ERR) | KIND(RST_SENT),
	.judge = judge,
};
