/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/tcp_minisocks.c tcp_timewait_state_process: a SYN for a connection in TIME_WAIT opens a
 * new one only if it can't be a stray duplicate: its sequence number is above the old connection's
 * last (RFC 1122 section 4.2.2.13), or its timestamp is newer (RFC 6191).
 */
static const char *const sysctls[] = {"net.ipv4.tcp_rfc1337", "net.ipv4.tcp_timestamps", NULL};

static bool is_our_syn(const struct judge *j)
{
	return packet_is_syn(&j->ev->pkt) && j->ev->sock.flags & SOCK_TIMEWAIT;
}

/* A lookup found what the packet of ev met, or its sender: at that end a socket is in TIME_WAIT. */
static const struct rec_sock_info *remains(const struct judge *j, const struct rec_tuple *there)
{
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match == SOCK_MATCH_EXACT && s->state == TCP_TIME_WAIT &&
		    tuple_equal(&s->tuple, there))
			return s;
	}
	return NULL;
}

/* By what it looks like where nobody watches the socket: the SYN's end, or the ACK's. */
static bool is_likely(const struct judge *j)
{
	const struct rec_event *e = j->ev;
	struct rec_tuple back = tuple_reverse(&e->pkt.tuple);
	const struct rec_sock_info *s;

	if (e->hdr.kind == REC_SYN_AGAIN) {
		s = remains(j, &back);
		return s && s->hdr.netns == e->hdr.netns;
	}
	return e->hdr.kind == REC_RST_SENT && !e->active && e->sock.state == TCP_SYN_SENT &&
	       !(e->pkt.tcp_flags & TCPHDR_SYN) && remains(j, &e->pkt.tuple);
}

bool judge_time_wait(const struct judge *j)
{
	const struct rec_event *e = j->ev;

	switch (e->hdr.kind) {
	case REC_TW_ANSWER:
		return e->step == TW_RST || (e->step != TW_SYN && fact_syn_suffers(j, true));
	case REC_DROP:
		return is_our_syn(j) && fact_syn_suffers(j, true);
	case REC_RST_SENT:
		return !e->active && is_our_syn(j);
	default:
		return false;
	}
}

/* Only what waits in FIN_WAIT2 for the peer's FIN answers a SYN with a reset. */
static bool is_reset(const struct rec_event *e)
{
	return packet_is_syn(&e->pkt) &&
	       (e->hdr.kind == REC_RST_SENT || (e->hdr.kind == REC_TW_ANSWER && e->step == TW_RST));
}

static const char *answer(const struct rec_event *e)
{
	if (e->hdr.kind == REC_TW_ANSWER && e->step == TW_NOTHING)
		return "dropped it without a word";
	if (e->hdr.kind == REC_TW_ANSWER)
		return "answered it with an ACK of the old connection, not with a SYN-ACK";
	return "did not let it in: it answers with an ACK of the old connection at the most";
}

static void explain(struct judge *j, const struct rec_tuple *syn)
{
	verdict_explain(j->v,
			"A new connection %s met the remains of an old one of the same addresses "
			"and "
			"ports, which the kernel here keeps in TIME_WAIT.",
			say_tuple(syn));
	if (is_reset(j->ev))
		verdict_explain(j->v, "The old one was still waiting for its peer to close "
				      "(FIN_WAIT2), which a SYN does not do: the kernel answered "
				      "it "
				      "with a reset, and forgot the old one.");
	else
		verdict_explain(j->v,
				"The SYN could be a stray duplicate of the old one: its sequence "
				"number is not above the old one's, nor a timestamp newer; or the "
				"old one still waits for its peer to close (FIN_WAIT2), where "
				"neither counts. So the kernel %s.",
				answer(j->ev));
}

static void fixes(struct judge *j)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	int64_t rfc1337, timestamps;

	if (fact_sysctl(j, sysctls[0], &rfc1337) && rfc1337)
		verdict_fix(j->v,
			    "the client's reset ends TIME_WAIT, and its next SYN is taken; forged "
			    "resets can do so too",
			    "%ssysctl -w net.ipv4.tcp_rfc1337=0   (now %d)", prefix, (int)rfc1337);
	if (fact_sysctl(j, sysctls[1], &timestamps) && !timestamps)
		verdict_fix(j->v, "12 bytes more in each packet; must be on at both ends",
			    "%ssysctl -w net.ipv4.tcp_timestamps=1   (now 0: a newer timestamp "
			    "lets a SYN in)",
			    prefix);
	if (is_reset(j->ev))
		verdict_fix(j->v, "one more attempt: nothing is in its way any more",
			    "let the client try again");
	verdict_fix(j->v, "more ports, or addresses, are in use at a time",
		    "do not use the same source port again within a minute: let clients (or the "
		    "NAT that they share) choose from a wider range, or keep connections open");
	verdict_fix(j->v, "TIME_WAIT is then kept at the client, which avoids its ports by itself",
		    "let the client close first");
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	bool certain = judge_time_wait(j);
	bool from_client = e->hdr.kind == REC_RST_SENT && !packet_is_syn(&e->pkt);
	struct rec_tuple syn = from_client ? tuple_reverse(&e->pkt.tuple) : e->pkt.tuple;
	int64_t rfc1337;

	if (!certain && (fact_event(j, REC_TW_ANSWER) || !is_likely(j)))
		return false;
	j->v->certainty = certain ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	explain(j, &syn);
	if (certain)
		verdict_evidence(j->v, "%s met a socket in TIME_WAIT: %s", say_packet(&e->pkt),
				 say_stack(j, e));
	else
		verdict_evidence(j->v,
				 "a lookup found a socket of these addresses in TIME_WAIT, while "
				 "%s; that it stood in the way is inferred from that",
				 from_client ? "an ACK that is no SYN-ACK came for a SYN"
					     : "the same SYN arrived again, unanswered");
	if (e->hdr.kind == REC_TW_ANSWER)
		verdict_evidence(j->v, "the kernel's decision was: %s", tw_answer_name(e->step));
	if (fact_event(j, REC_SYN_AGAIN))
		verdict_evidence(j->v, "the same SYN arrived %u times",
				 fact_event(j, REC_SYN_AGAIN)->repeats);
	if (fact_sysctl(j, sysctls[0], &rfc1337) && rfc1337)
		verdict_evidence(j->v, "net.ipv4.tcp_rfc1337 is %d: a reset does not end TIME_WAIT",
				 (int)rfc1337);
	hit_all(j);
	fixes(j);
	return true;
}

static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind != REC_DROP || e->sock.flags & SOCK_TIMEWAIT;
}

const struct cause cause_time_wait_answer = {
	.id = "time-wait-answer",
	.rank = RANK_ROOT,
	.kinds = KIND(TW_ANSWER) | KIND(DROP) | KIND(RST_SENT) | KIND(SYN_AGAIN),
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
