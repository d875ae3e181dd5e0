/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

static bool judge(struct judge *j)
{
	const uint8_t flags = TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST;
	const struct rec_event *loss = judge_handshake_loss(j);

	if (!loss || (loss->pkt.tcp_flags & flags) != (TCPHDR_SYN | TCPHDR_ACK))
		return false;
	judge_at_loss(j, loss);
	verdict_explain(j->v,
			"%s answered %s, but this host dropped the answer, in %s: the client waits "
			"for "
			"it in vain. Who wanted that is not told.",
			say_src(&loss->pkt.tuple), say_dst(&loss->pkt.tuple),
			say_netns(j, loss->hdr.netns));
	tell_loss(j);
	return true;
}

const struct cause cause_answer_dropped_here = {
	.id = "answer-dropped-here",
	.rank = RANK_PLACE,
	.kinds = KIND(DROP) | KIND(STATE),
	.judge = judge,
};
