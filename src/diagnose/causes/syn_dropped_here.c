/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * A SYN that this host lost, where no other cause names who did it. Which connection it would have
 * opened is known, so more can be said than of any packet.
 */

bool fact_unanswered(const struct rec_event *e)
{
	return e->hdr.kind == REC_STATE && e->old_state == TCP_SYN_SENT &&
	       e->new_state == TCP_CLOSE && (!e->sock.err || e->sock.err == ETIMEDOUT);
}

const struct rec_event *judge_handshake_loss(const struct judge *j)
{
	if (fact_unanswered(j->ev))
		return fact_loss(j);
	if (j->ev->hdr.kind != REC_DROP || !(j->ev->pkt.has & PKT_L4) ||
	    j->ev->pkt.tuple.proto != IPPROTO_TCP || reset_without_socket(j))
		return NULL;
	return track_weight(j->ev, j->world) == WEIGHT_HARD ? j->ev : NULL;
}

void judge_at_loss(struct judge *j, const struct rec_event *loss)
{
	const struct rec_event *e = j->ev;

	if (loss != e)
		verdict_evidence(j->v, "the connection then failed with %s in %s",
				 e->sock.err ? errno_name(e->sock.err) : "no error",
				 say_netns(j, e->hdr.netns));
	j->ev = loss;
	j->v->certainty = CERTAINTY_CERTAIN;
}

void tell_loss(struct judge *j)
{
	tell_drop(j);
	verdict_evidence(j->v, "%s", say_stack(j, j->ev));
	hit_all(j);
}

/* Tried, and nothing seen leaving: no drop was seen either, so that is an inference. */
static bool judge_unseen(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (!fact_unanswered(e) || e->mem.syn_count)
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"The connection to %s was tried and %s, but no SYN was seen leaving "
			"through "
			"a device: it was lost within this host.",
			say_dst(&e->sock.tuple),
			e->sock.err ? "timed out" : "given up by the program");
	verdict_evidence(j->v, "SYN_SENT to CLOSE after %u retransmission%s: %s",
			 e->sock.retransmits, e->sock.retransmits == 1 ? "" : "s", say_stack(j, e));
	verdict_evidence(j->v, "no drop was seen that could be the reason");
	hit_all(j);
	verdict_fix(j->v, "lists only",
		    "%sip route get %s; nft list ruleset; tc -s qdisc show; ip -s link",
		    say_netns_prefix(j, e->hdr.netns), say_addr(e->sock.tuple.dst));
	return true;
}

static bool judge(struct judge *j)
{
	const struct rec_event *loss = judge_handshake_loss(j);

	if (!loss)
		return judge_unseen(j);
	if (!packet_is_syn(&loss->pkt))
		return false;
	judge_at_loss(j, loss);
	verdict_explain(j->v,
			"A SYN to %s was dropped on this host, in %s, so no answer can come. Who "
			"wanted "
			"that is not told.",
			say_dst(&loss->pkt.tuple), say_netns(j, loss->hdr.netns));
	tell_loss(j);
	return true;
}

const struct cause cause_syn_dropped_here = {
	.id = "syn-dropped-here",
	.rank = RANK_PLACE,
	.kinds = KIND(DROP) | KIND(STATE),
	.judge = judge,
};
