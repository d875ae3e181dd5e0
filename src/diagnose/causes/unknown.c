/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/reason.h"
#include "record/record.h"

/* A failure that no cause explains: what was seen, and what would have to be seen to tell. */

void tell_drop(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const char *words = drop_reason(e->reason_name)->words;

	if (*words)
		verdict_explain(j->v, "The kernel dropped the packet: %s.", words);
	else
		verdict_explain(j->v, "The kernel dropped the packet and does not say why.");
	verdict_evidence(j->v, "%s, %s%s%s", say_packet(&e->pkt), say_reason(e),
			 e->ifname[0] ? ", on " : "", e->ifname);
	if (strncmp(e->reason_name, "TC_", 3) == 0)
		verdict_fix(j->v, "lists only",
			    "%stc filter show dev %s ingress; tc filter show dev %s egress; "
			    "bpftool net",
			    say_netns_prefix(j, e->hdr.netns), e->ifname[0] ? e->ifname : "IFACE",
			    e->ifname[0] ? e->ifname : "IFACE");
	else if (strncmp(e->reason_name, "QDISC_", 6) == 0)
		verdict_fix(j->v, "lists only", "%stc -s qdisc show dev %s",
			    say_netns_prefix(j, e->hdr.netns), e->ifname[0] ? e->ifname : "IFACE");
}

static void tell_reset(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const char *words = reset_reason_words(e->reason_name);

	if (*words)
		verdict_explain(j->v, "The kernel sent a reset: %s.", words);
	else
		verdict_explain(j->v, "The kernel sent a reset and does not say why.");
	if (e->pkt.has & PKT_L4)
		verdict_evidence(j->v, "it answered %s", say_packet(&e->pkt));
	verdict_evidence(j->v, "%s", say_reason(e));
	if (e->sock.flags & SOCK_PRESENT)
		verdict_evidence(j->v, "the socket was %s", tcp_state_name(e->sock.state));
	if (e->active && e->task.pid)
		verdict_evidence(j->v, "it happened in a call of %s", say_task(e));
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev, *loss = fact_loss(j);

	if (e->hdr.kind == REC_CAPTURED)
		return judge_captured_alone(j);
	if (track_weight(e, j->world) != WEIGHT_HARD)
		return false;
	/*
	 * A connection that ran into a time-out, with packets lost here: what lost them is the
	 * better question.
	 */
	if (loss && (e->hdr.kind == REC_SOCK_ERR || e->hdr.kind == REC_STATE)) {
		verdict_evidence(j->v, "the connection then failed with %s in %s",
				 e->sock.err ? errno_name(e->sock.err) : "no error",
				 say_netns(j, e->hdr.netns));
		j->ev = e = loss;
	}
	/* The end that sent the reset knows more than the one that got it. */
	if (e->hdr.kind == REC_RST_RECV && fact_event(j, REC_RST_SENT))
		j->ev = e = fact_event(j, REC_RST_SENT);
	j->v->certainty = CERTAINTY_UNKNOWN;
	switch (e->hdr.kind) {
	case REC_DROP:
		tell_drop(j);
		break;
	case REC_RST_SENT:
		tell_reset(j);
		break;
	case REC_RST_RECV:
		verdict_explain(j->v, "A reset arrived and ended the connection.");
		break;
	default:
		verdict_explain(j->v, "The connection failed with %s.",
				e->err ? errno_name(e->err) : "no error that was told");
		break;
	}
	verdict_evidence(j->v, "%s", say_stack(j, e));
	if (e->err)
		verdict_evidence(j->v, "error %s", errno_name(e->err));
	hit_all(j);
	return true;
}

const struct cause cause_unknown = {
	.id = "unknown",
	.rank = RANK_LAST,
	.kinds = KIND(DROP) | KIND(RST_SENT) | KIND(RST_RECV) | KIND(SOCK_ERR) | KIND(CONNECT) |
		 KIND(STATE) | KIND(CAPTURED),
	.judge = judge,
};
