/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/reason.h"
#include "record/record.h"

static const char *const sysctls[] = {"net.core.rmem_max", NULL};

static bool reason_is_ours(const char *name)
{
	static const char *const reasons[] = {"SOCKET_RCVBUFF", "SOCKET_BACKLOG", "PROTO_MEM",
					      "TCP_OFO_QUEUE_PRUNE"};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strcmp(name, reasons[i]) == 0)
			return true;
	return false;
}

static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind == REC_DROP && reason_is_ours(e->reason_name);
}

/*
 * A stream whose receiver stopped reading: its window is closed, the sender's probes are answered
 * or not, and in the end the sender gives up (net/ipv4/tcp_timer.c tcp_probe_timer).
 */
static bool judge_closed_window(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const struct rec_sock_info *peer;
	struct rec_tuple back = tuple_reverse(&e->sock.tuple);

	if (e->hdr.kind != REC_SOCK_ERR || e->err != ETIMEDOUT || fact_was_connecting(j) ||
	    e->sock.snd_wnd || e->sock.write_seq == e->sock.snd_una)
		return false;
	peer = NULL;
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match == SOCK_MATCH_EXACT && tuple_equal(&s->tuple, &back))
			peer = s;
	}
	j->v->certainty = peer && peer->rqueue ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"The receiver %s stopped reading: its receive buffer is full, so it closed "
			"the TCP window, and "
			"the sender gave up waiting with %u bytes unsent.",
			peer ? say_owner(j, peer) : say_dst(&e->sock.tuple),
			e->sock.write_seq - e->sock.snd_una);
	verdict_evidence(j->v,
			 "the window that %s allows is 0, %u probes were sent, then ETIMEDOUT: %s",
			 say_dst(&e->sock.tuple), e->sock.probes, say_stack(j, e));
	if (peer)
		verdict_evidence(j->v, "%u bytes wait unread in the receiver's socket %s (%s)",
				 peer->rqueue, say_src(&peer->tuple),
				 say_netns(j, peer->hdr.netns));
	hit_all(j);
	verdict_fix(j->v, "none",
		    "let %s read its socket: it hangs, is stopped, or waits for something else",
		    peer ? say_owner(j, peer) : "the receiver");
	return true;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const char *prefix = say_netns_prefix(j, e->hdr.netns);
	int64_t max = 0;

	if (judge_closed_window(j))
		return true;
	if (!concerns(e))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"The packet arrived, but there was no room for it: %s. The process does "
			"not read as fast as "
			"packets come in.",
			drop_reason(e->reason_name)->words);
	verdict_evidence(j->v, "%s, %s: %s", say_packet(&e->pkt), say_reason(e), say_stack(j, e));
	if (e->sock.flags & SOCK_PRESENT && e->sock.rcvbuf)
		verdict_evidence(j->v,
				 "the socket's receive queue takes %u bytes of memory, its limit "
				 "(SO_RCVBUF) is %u",
				 e->sock.rmem, e->sock.rcvbuf);
	hit_all(j);
	verdict_fix(j->v, "none",
		    "let the process read faster, or in a thread of its own: what does it do "
		    "instead?");
	if (strcmp(e->reason_name, "SOCKET_RCVBUFF") == 0 && fact_sysctl(j, sysctls[0], &max))
		verdict_fix(j->v,
			    "bursts are kept instead of dropped; takes that much kernel memory for "
			    "each such socket",
			    "a larger SO_RCVBUF in the program, and %ssysctl -w "
			    "net.core.rmem_max=%lld   (now %lld)",
			    prefix, (long long)max * 4, (long long)max);
	if (strcmp(e->reason_name, "PROTO_MEM") == 0)
		verdict_fix(j->v,
			    "more kernel memory may be used for all sockets of the protocol "
			    "together",
			    "%ssysctl net.ipv4.%s_mem   (three limits in pages: raise the third)",
			    prefix, proto_name(e->pkt.tuple.proto));
	return true;
}

const struct cause cause_receive_buffer_full = {
	.id = "receive-buffer-full",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP) | KIND(SOCK_ERR),
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
