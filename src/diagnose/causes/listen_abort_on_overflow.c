/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/tcp_minisocks.c tcp_check_req: the last ACK of a handshake finds no room for a new
 * connection, and with tcp_abort_on_overflow it is answered with a reset. A SYN for a half-open
 * connection is reset there too, for other reasons.
 */
static const char *const sysctls[] = {"net.ipv4.tcp_abort_on_overflow", "net.core.somaxconn", NULL};
static const char *const counters[] = {"TcpExtListenOverflows", NULL};

static bool concerns(const struct rec_event *e)
{
	return !e->active && e->sock.flags & SOCK_PRESENT && e->sock.state == TCP_LISTEN &&
	       (e->pkt.tcp_flags & (TCPHDR_SYN | TCPHDR_ACK)) == TCPHDR_ACK;
}

static bool queue_was_full(const struct judge *j)
{
	return j->ev->sock.backlog > j->ev->sock.max_backlog || fact_counter(j, counters[0]);
}

static void fixes(struct judge *j, const struct rec_sock_info *listener)
{
	fix_accept(j, listener);
	verdict_fix(j->v,
		    "bursts are survived: the client's kernel tries again for a while instead of "
		    "failing at once, also where the service never recovers",
		    "%ssysctl -w net.ipv4.tcp_abort_on_overflow=0",
		    say_netns_prefix(j, j->ev->hdr.netns));
	fix_backlog(j, j->ev->sock.max_backlog);
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const struct rec_sock_info *listener = fact_listener(j);
	int64_t setting;

	if (!concerns(e) || (!fact_stack(j, "tcp_check_req") && !fact_reason_is(e, "INVALID_SYN")))
		return false;
	j->v->certainty = queue_was_full(j) ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"%s does not accept() its connections fast enough: %u wait in the queue of "
			"port %u, and %u is the limit. Because net.ipv4.tcp_abort_on_overflow is "
			"set, the kernel resets what is more than that, instead of letting the "
			"client try again.",
			listener ? say_owner(j, listener) : "The process", e->sock.backlog,
			e->pkt.tuple.dport, e->sock.max_backlog);
	verdict_evidence(j->v, "%s ended a handshake, and was answered with a reset: %s",
			 say_packet(&e->pkt), say_stack(j, e));
	verdict_evidence(j->v,
			 "the accept queue held %u, its limit is %u (a queue one over the limit is "
			 "full)",
			 e->sock.backlog, e->sock.max_backlog);
	if (fact_counter(j, counters[0]))
		verdict_evidence(j->v, "ListenOverflows grew by %llu since tcpwhy began to watch",
				 (unsigned long long)fact_counter(j, counters[0]));
	if (fact_sysctl(j, sysctls[0], &setting))
		verdict_evidence(j->v, "net.ipv4.tcp_abort_on_overflow is %d", (int)setting);
	if (!queue_was_full(j))
		verdict_evidence(j->v, "the queue was not seen full: for want of memory or of a "
				       "route back the kernel does the same");
	if (listener)
		verdict_hit(j->v, "%s (%s) listens on %s", say_owner(j, listener),
			    say_netns(j, listener->hdr.netns), say_src(&listener->tuple));
	hit_all(j);
	fixes(j, listener);
	return true;
}

const struct cause cause_listen_abort_on_overflow = {
	.id = "listen-abort-on-overflow",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT),
	.needs = Q_LISTENERS,
	.sysctls = sysctls,
	.counters = counters,
	.any_client = true,
	.concerns = concerns,
	.judge = judge,
};
