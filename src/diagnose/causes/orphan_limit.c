/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * Sockets that no process holds any more (orphans) may be thrown away: net/ipv4/tcp.c
 * tcp_check_oom, asked by __tcp_close when a socket becomes one, and by net/ipv4/tcp_timer.c
 * tcp_out_of_resources while one waits for its peer. Either there are too many of them, or TCP as a
 * whole has no memory left.
 */
static const char *const sysctls[] = {"net.ipv4.tcp_max_orphans", NULL};
static const char *const counters[] = {"TcpExtTCPAbortOnMemory", "TcpExtTCPMemoryPressures", NULL};

static bool concerns(const struct rec_event *e)
{
	return e->active;
}

/*
 * Before 6.12 the kernel gives no reason. Of the resets in __tcp_close this is the one for a
 * connection that has sent its FIN and not yet seen it acknowledged; the others come of unread
 * data, SO_LINGER and TCP_LINGER2, the last of which has seen it.
 */
static bool is_left_over(const struct judge *j)
{
	const struct rec_event *e = j->ev;

	return !*fact_reason(e) && fact_stack(j, "__tcp_close") &&
	       !fact_stack(j, "tcp_disconnect") && !fact_stack(j, "inet_csk_listen_stop") &&
	       !e->sock.unread &&
	       (e->sock.write_seq != e->sock.snd_una || fact_counter(j, counters[0]));
}

static void evidence(struct judge *j)
{
	const struct rec_event *e = j->ev;
	int64_t max;

	if (fact_reason_is(e, "TCP_ABORT_ON_MEMORY"))
		verdict_evidence(j->v, "the kernel's reason is TCP_ABORT_ON_MEMORY: %s",
				 say_stack(j, e));
	else
		verdict_evidence(j->v, "the stack: %s", say_stack(j, e));
	if (j->v->certainty == CERTAINTY_LIKELY)
		verdict_evidence(j->v, "this kernel gives no reason; nothing was unread, and "
				       "neither SO_LINGER nor TCP_LINGER2 asked for the reset: "
				       "this is what is left");
	if (e->sock.write_seq != e->sock.snd_una)
		verdict_evidence(j->v,
				 "%u bytes (the FIN counts as one) were not acknowledged yet: they "
				 "are lost",
				 e->sock.write_seq - e->sock.snd_una);
	if (fact_counter(j, counters[0]))
		verdict_evidence(j->v, "TCPAbortOnMemory grew by %llu since tcpwhy began to watch",
				 (unsigned long long)fact_counter(j, counters[0]));
	if (fact_counter(j, counters[1]))
		verdict_evidence(j->v, "TCPMemoryPressures grew by %llu: memory is short",
				 (unsigned long long)fact_counter(j, counters[1]));
	if (fact_sysctl(j, sysctls[0], &max))
		verdict_evidence(j->v, "net.ipv4.tcp_max_orphans is %lld", (long long)max);
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	bool seen = fact_reason_is(e, "TCP_ABORT_ON_MEMORY") || fact_stack(j, "tcp_out_of_"
									      "resources");

	if (!e->active || (!seen && !is_left_over(j)))
		return false;
	j->v->certainty = seen ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"The kernel threw this connection away with a reset, to save memory: its "
			"process had closed it, and it was to wait for the end of the exchange "
			"with %s by itself. But there are too many such orphans already (the limit "
			"is net.ipv4.tcp_max_orphans, and less for one that costs more), or TCP "
			"has used up its memory (the third number of net.ipv4.tcp_mem).",
			say_dst(&e->sock.tuple));
	evidence(j);
	hit_closer(j, "had closed it");
	hit_all(j);
	verdict_fix(j->v, "lists only: which of both it was, and how many there are",
		    "dmesg | grep -e 'too many orphaned sockets' -e 'out of memory -- consider "
		    "tuning tcp_mem'; cat /proc/net/sockstat; sysctl net.ipv4.tcp_mem");
	verdict_fix(j->v, "each orphan may take 64 kB of memory that can't be swapped out",
		    "sysctl -w net.ipv4.tcp_max_orphans=65536   (of the whole machine)");
	verdict_fix(j->v, "data for slow peers may be lost earlier",
		    "sysctl -w net.ipv4.tcp_orphan_retries=3 net.ipv4.tcp_fin_timeout=30   "
		    "(orphans go away sooner)");
	return true;
}

const struct cause cause_orphan_limit = {
	.id = "orphan-limit",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT),
	.sysctls = sysctls,
	.counters = counters,
	.concerns = concerns,
	.judge = judge,
};
