/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

static bool judge(struct judge *j)
{
	const uint8_t flags = TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST;
	const struct rec_event *e = j->ev, *loss = judge_handshake_loss(j);

	if (!loss || (loss->pkt.tcp_flags & flags) != (TCPHDR_SYN | TCPHDR_ACK))
		return false;
	if (loss != e)
		verdict_evidence(j->v, "the connection then failed with %s in %s",
				 e->sock.err ? errno_name(e->sock.err) : "no error",
				 say_netns(j, e->hdr.netns));
	j->ev = loss;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"%s answered %s, but this host dropped the answer, in %s: the client waits "
			"for "
			"it in vain. Who wanted that is not told.",
			say_src(&loss->pkt.tuple), say_dst(&loss->pkt.tuple),
			say_netns(j, loss->hdr.netns));
	tell_drop(j);
	verdict_evidence(j->v, "%s", say_stack(j, loss));
	hit_all(j);
	return true;
}

const struct cause cause_answer_dropped_here = {
	.id = "answer-dropped-here",
	.rank = RANK_PLACE,
	.kinds = KIND(DROP) | KIND(STATE),
	.judge = judge,
};
