/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/syncookies.c cookie_v4_check, net/ipv6/syncookies.c cookie_v6_check: where cookies have
 * been sent lately, an ACK without a half-open connection is checked against them. One that does
 * not fit goes on to the listening socket, which answers it with a reset.
 */
#define CHECKED_NS NSEC_PER_MSEC

static const char *const sysctls[] = {"net.ipv4.tcp_syncookies", "net.ipv4.tcp_max_syn_backlog",
				      NULL};
static const char *const counters[] = {"TcpExtSyncookiesFailed", "TcpExtSyncookiesSent", NULL};

static bool concerns(const struct rec_event *e)
{
	return !e->active && e->sock.flags & SOCK_PRESENT && e->sock.state == TCP_LISTEN &&
	       (e->pkt.tcp_flags & (TCPHDR_SYN | TCPHDR_ACK)) == TCPHDR_ACK;
}

static bool was_checked(const struct rec_event *e)
{
	uint64_t checked = e->mem.handshake.checked_ns;

	return checked && checked <= e->hdr.mono_ns && e->hdr.mono_ns - checked <= CHECKED_NS;
}

/* A connection that was known here, and forgotten: the check is a mere formality then. */
/*
 * Its SYN was answered without a cookie: then no cookie is missing. (That the kernel looked for one all
 * the same proves little: tcp_synq_no_recent_overflow takes a listener that never sent any for one that
 * just did, whenever the tick counter comes round to 0, as it does five minutes after a boot.)
 */
static bool has_no_cookie(const struct rec_event *e)
{
	return e->mem.handshake.syn_ns && !e->mem.handshake.cookie_ns;
}

static bool was_known(const struct rec_event *e)
{
	return (e->mem.closed_ns && e->mem.closed_ns <= e->hdr.mono_ns) ||
	       e->mem.handshake.established_ns;
}

static void evidence(struct judge *j, uint64_t failed)
{
	const struct rec_event *e = j->ev;
	uint64_t sent = e->mem.handshake.cookie_ns;

	verdict_evidence(j->v, "%s met only the listening socket: %s", say_packet(&e->pkt),
			 say_stack(j, e));
	if (was_checked(e))
		verdict_evidence(j->v,
				 "its ACK number was checked against the SYN cookies %s before the "
				 "reset, and no connection came of it",
				 say_time(e->hdr.mono_ns - e->mem.handshake.checked_ns));
	if (sent && sent <= e->hdr.mono_ns)
		verdict_evidence(j->v,
				 "a SYN of these addresses was answered with a cookie %s before",
				 say_time(e->hdr.mono_ns - sent));
	else if (was_checked(e))
		verdict_evidence(j->v, "no cookie was seen being sent to it: by another address or "
				       "another host, or before tcpwhy watched");
	if (failed)
		verdict_evidence(j->v, "SyncookiesFailed grew by %llu since tcpwhy began to watch",
				 (unsigned long long)failed);
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	uint64_t failed = fact_counter(j, counters[0]);
	const char *prefix = say_netns_prefix(j, e->hdr.netns);
	int64_t backlog;

	if (!concerns(e) || was_known(e) || has_no_cookie(e) || fact_stack(j, "tcp_check_req") ||
	    (*fact_reason(e) && !fact_reason_is(e, "TCP_FLAGS")))
		return false;
	if (!was_checked(e) && !failed)
		return false;
	j->v->certainty = was_checked(e) ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"Port %u uses SYN cookies: the kernel keeps nothing of a half-open "
			"connection, and must find all of it in the ACK that ends the handshake. "
			"%s sent an ACK in which there is no valid cookie, so it was answered with "
			"a reset.",
			e->pkt.tuple.dport, say_src(&e->pkt.tuple));
	verdict_explain(j->v, "Such a cookie is too old (they are good for two minutes), was made "
			      "by another host or address (a load balancer that changed its mind), "
			      "or was altered on the way; or it is no handshake at all but an old "
			      "connection that this host has forgotten.");
	evidence(j, failed);
	hit_all(j);
	verdict_fix(j->v, "none; where SYNs come from many sources at once it may be an attack",
		    "see why cookies are in use: %snstat -asz TcpExtSyncookiesSent "
		    "TcpExtSyncookiesFailed TcpExtTCPReqQFullDoCookies; a load balancer must send "
		    "all packets of a connection to one server",
		    prefix);
	if (fact_sysctl(j, sysctls[1], &backlog))
		verdict_fix(j->v, "cookies are needed later; more memory for half-open connections",
			    "%ssysctl -w net.ipv4.tcp_max_syn_backlog=%u   (now %d), and a larger "
			    "listen() backlog",
			    prefix, (unsigned)backlog * 4, (int)backlog);
	return true;
}

const struct cause cause_syncookie_failed = {
	.id = "syncookie-failed",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT),
	.sysctls = sysctls,
	.counters = counters,
	.concerns = concerns,
	.judge = judge,
};
