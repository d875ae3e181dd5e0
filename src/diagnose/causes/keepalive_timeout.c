/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/tcp_timer.c tcp_keepalive_timer: a connection that was idle, and its probes unanswered.
 */
static const char *const sysctls[] = {"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_keepalive_intvl",
				      "net.ipv4.tcp_keepalive_probes", NULL};

static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind == REC_RST_SENT ? e->active : e->err == ETIMEDOUT;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	int64_t idle, interval, probes;

	if (!fact_gave_up(j) || e->sock.user_timeout ||
	    (!fact_stack(j, "tcp_keepalive_timer") && !fact_reason_is(e, "TCP_KEEPALIVE_TIMEOUT")))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"%s did not answer %u keepalive probe%s in a row on this idle connection, "
			"so the kernel here took it for dead: it gave the connection up "
			"(ETIMEDOUT) and sent a reset. Nothing on this host dropped the packets, "
			"as far as the kernel tells: the peer went away, or something between "
			"forgot the connection.",
			say_dst(&e->sock.tuple), e->sock.probes, e->sock.probes == 1 ? "" : "s");
	verdict_evidence(j->v, "the keepalive timer ended it, %u unanswered: %s", e->sock.probes,
			 say_stack(j, e));
	if (*fact_reason(e))
		verdict_evidence(j->v, "the kernel's reason: %s", fact_reason(e));
	if (fact_sysctl(j, sysctls[0], &idle) && fact_sysctl(j, sysctls[1], &interval) &&
	    fact_sysctl(j, sysctls[2], &probes))
		verdict_evidence(j->v,
				 "the system's settings: a first probe after %lld s without "
				 "traffic, one every %lld s, given up after %lld (the program may "
				 "have set its own: TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT)",
				 (long long)idle, (long long)interval, (long long)probes);
	hit_all(j);
	verdict_fix(j->v, "none",
		    "look at %s and the path to it: is it up, did its address move? Run tcpwhy "
		    "there too",
		    say_addr(e->sock.tuple.dst));
	verdict_fix(j->v,
		    "a few more packets on idle connections; counts for connections made after it",
		    "%ssysctl -w net.ipv4.tcp_keepalive_time=60   (if a firewall or NAT between "
		    "forgets idle connections: below its time-out)",
		    say_netns_prefix(j, e->hdr.netns));
	return true;
}

const struct cause cause_keepalive_timeout = {
	.id = "keepalive-timeout",
	.rank = RANK_CONSEQUENCE,
	.kinds = KIND(SOCK_ERR) | KIND(RST_SENT),
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
