/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/tcp_timer.c tcp_write_timeout: data that is not acknowledged, however often it is sent.
 */
static const char *const sysctls[] = {"net.ipv4.tcp_retries2", NULL};

static bool concerns(const struct rec_event *e)
{
	return e->err == ETIMEDOUT;
}

static bool by_timer(const struct judge *j)
{
	return fact_stack(j, "tcp_retransmit_timer") || fact_stack(j, "tcp_write_timer_handler") ||
	       fact_stack(j, "tcp_write_timer");
}

/* What may be a path that takes smaller packets only, or not: pmtu_blackhole asks for more. */
static void evidence_size(struct judge *j)
{
	const struct rec_segment *s = NULL;

	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_RETRANS && track_weight(e, j->world) != WEIGHT_NONE)
			s = &e->segment;
	}
	if (s && s->acked <= s->size)
		verdict_evidence(j->v,
				 "it was a segment of %u bytes, and nothing as large was ever "
				 "acknowledged: perhaps the path takes smaller ones only",
				 s->size);
}

static void evidence(struct judge *j)
{
	const struct rec_event *e = j->ev;
	uint64_t since;
	unsigned seen = fact_retransmitted(j, &since);
	int64_t retries;

	verdict_evidence(j->v, "the retransmission timer ended it: %s", say_stack(j, e));
	verdict_evidence(j->v, "%u bytes unacknowledged, retransmitted %u times (%u seen%s%s)",
			 e->sock.write_seq - e->sock.snd_una, e->sock.retransmits, seen,
			 seen ? ", the first one before " : "",
			 seen ? say_time(e->hdr.mono_ns - since) : "");
	if (fact_sysctl(j, sysctls[0], &retries))
		verdict_evidence(j->v, "net.ipv4.tcp_retries2 is %lld", (long long)retries);
	evidence_size(j);
	verdict_evidence(j->v, "no drop, no reset and no ICMP error was seen here for this "
			       "connection");
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const char *prefix = say_netns_prefix(j, e->hdr.netns);
	int64_t retries;

	if (e->hdr.kind != REC_SOCK_ERR || !fact_gave_up(j) || e->sock.user_timeout ||
	    fact_stack(j, "tcp_keepalive_timer") || !by_timer(j) ||
	    e->sock.write_seq == e->sock.snd_una)
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"%s stopped acknowledging: %u bytes were sent again for as long as "
			"net.ipv4.tcp_retries2 allows, and then the kernel here gave the "
			"connection up (ETIMEDOUT). Nothing on this host dropped the packets, as "
			"far as the kernel tells: the peer went away, or the path to it is broken.",
			say_dst(&e->sock.tuple), e->sock.write_seq - e->sock.snd_una);
	evidence(j);
	hit_all(j);
	verdict_fix(j->v, "none",
		    "look at %s and the path to it: is it up, did its address move, does a "
		    "firewall or NAT between forget the connection? Run tcpwhy there too",
		    say_addr(e->sock.tuple.dst));
	if (fact_sysctl(j, sysctls[0], &retries) && retries < 8)
		verdict_fix(j->v, "longer outages are survived; a dead peer is noticed later",
			    "%ssysctl -w net.ipv4.tcp_retries2=15   (now %lld, which is less than "
			    "RFC 1122 asks for)",
			    prefix, (long long)retries);
	else
		verdict_fix(j->v,
			    "a dead peer is noticed after some 100 s, not a quarter of an hour; "
			    "connections no longer survive longer outages",
			    "%ssysctl -w net.ipv4.tcp_retries2=8   (or TCP_USER_TIMEOUT in the "
			    "program)",
			    prefix);
	return true;
}

const struct cause cause_retransmit_timeout = {
	.id = "retransmit-timeout",
	.rank = RANK_CONSEQUENCE,
	.kinds = KIND(SOCK_ERR),
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
