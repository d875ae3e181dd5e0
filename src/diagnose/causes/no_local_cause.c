/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * An established connection whose peer fell silent, where the stack doesn't show which timer ended
 * it: net/ipv4/tcp_timer.c tcp_write_err.
 */
static bool judge_silence(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (e->hdr.kind != REC_SOCK_ERR || !fact_gave_up(j))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"%s stopped answering, so this host gave the connection up (ETIMEDOUT). "
			"Nothing on this host dropped its packets, as far as the kernel tells: the "
			"peer went away, or the path to it is broken.",
			say_dst(&e->sock.tuple));
	verdict_evidence(j->v,
			 "%u bytes unacknowledged, retransmitted %u times (%u seen), %u probes: %s",
			 e->sock.write_seq - e->sock.snd_una, e->sock.retransmits,
			 fact_retransmitted(j, NULL), e->sock.probes, say_stack(j, e));
	verdict_evidence(j->v, "no drop, no reset and no ICMP error was seen here for this "
			       "connection");
	hit_all(j);
	verdict_fix(j->v, "none",
		    "look at %s and the path to it: is it up, did its address move, does a "
		    "firewall or NAT between forget idle connections? Run tcpwhy there too",
		    say_addr(e->sock.tuple.dst));
	return true;
}

/* A reset that only passes: made elsewhere, forwarded or bridged here. */
static bool judge_passing(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (e->hdr.kind != REC_RST_OUT)
		return false;
	if (!fact_stack(j, "ip_forward") && !fact_stack(j, "ip6_forward") &&
	    !fact_stack(j, "br_forward") && !fact_stack(j, "__br_forward") &&
	    !fact_stack(j, "ip_forward_finish"))
		return false;
	timeline_each_event(j->tl, other) {
		if (other->hdr.kind == REC_RST_SENT || other->hdr.kind == REC_RST_RECV)
			return false;
	}
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"This host only passed the reset on: %s made it (or something that speaks "
			"for it), and neither end of the connection is seen here.",
			say_src(&e->pkt.tuple));
	verdict_evidence(j->v, "%s: %s", say_packet(&e->pkt), say_stack(j, e));
	verdict_fix(j->v, "none", "run tcpwhy on %s", say_addr(e->pkt.tuple.src));
	return true;
}

static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind == REC_SOCK_ERR && e->err == ETIMEDOUT;
}

static bool judge(struct judge *j)
{
	return judge_silence(j) || judge_passing(j);
}

const struct cause cause_no_local_cause = {
	.id = "no-local-cause",
	.rank = RANK_CONSEQUENCE,
	.kinds = KIND(SOCK_ERR) | KIND(RST_OUT),
	.needs = Q_ROUTE,
	.concerns = concerns,
	.judge = judge,
};
