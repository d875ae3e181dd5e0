/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/* Did the reset leave from here too (another namespace of this host), and out of what? */
static const struct rec_event *sender(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_RST_OUT &&
		    e->hdr.mono_ns <= j->ev->hdr.mono_ns + NSEC_PER_MSEC)
			return e;
	}
	return NULL;
}

/* The kind of socket by which a program made it; NULL: none did. */
static const char *makers_socket(const struct judge *j, const struct rec_event *out)
{
	if (fact_stack_of(j, out, "packet_sendmsg"))
		return "packet";
	return fact_stack_of(j, out, "raw_sendmsg") || fact_stack_of(j, out, "rawv6_sendmsg")
		       ? "raw"
		       : NULL;
}

bool reset_fix_maker(struct judge *j)
{
	const struct rec_event *out = sender(j);

	if (!out || !makers_socket(j, out))
		return false;
	verdict_fix(j->v, "none", "look why %s in %s makes resets: this one is its work",
		    say_task(out), say_netns(j, out->hdr.netns));
	return true;
}

bool reset_from_elsewhere(const struct judge *j)
{
	/* Sent by a socket of this host: then that is where the cause is. */
	return j->ev->hdr.kind == REC_RST_RECV && j->ev->sock.state != TCP_SYN_SENT &&
	       !fact_reset_by_us(j);
}

void evidence_reset(struct judge *j)
{
	const struct rec_event *e = j->ev, *out = sender(j);
	const char *socket = out ? makers_socket(j, out) : NULL;

	verdict_evidence(j->v, "a valid reset arrived in %s%s%s: %s", tcp_state_name(e->sock.state),
			 e->ifname[0] ? " through " : "", e->ifname, say_stack(j, e));
	if (e->pkt.has & PKT_L4)
		verdict_evidence(j->v,
				 "it had seq %u, TTL %u, IP id %u: compare with other packets of "
				 "that peer to tell if "
				 "it really made it",
				 e->pkt.seq, e->pkt.ttl, e->pkt.ip_id);
	if (socket)
		verdict_evidence(j->v,
				 "it left through %s in %s, sent by a process through a %s socket "
				 "(%s)",
				 out->ifname, say_netns(j, out->hdr.netns), socket, say_task(out));
	if (e->sock.unread)
		verdict_evidence(j->v, "%u bytes had been received and not yet read",
				 e->sock.unread);
	if (e->sock.write_seq != e->sock.snd_una)
		verdict_evidence(j->v, "%u bytes were not acknowledged yet",
				 e->sock.write_seq - e->sock.snd_una);
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (e->hdr.kind == REC_CAPTURED)
		return judge_captured_reset(j);
	if (!reset_from_elsewhere(j))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"A reset arrived for this connection, and it fitted: %s, or something on "
			"the way that speaks for "
			"it (a firewall, a load balancer), ended the connection. Nothing on this "
			"side caused it.",
			say_dst(&e->sock.tuple));
	evidence_reset(j);
	hit_all(j);
	if (reset_fix_maker(j))
		return true;
	verdict_fix(j->v, "none",
		    "look on %s (run tcpwhy there too): its log at this time, a time-out of a "
		    "proxy, a crash",
		    say_addr(e->sock.tuple.dst));
	return true;
}

const struct cause cause_peer_reset = {
	.id = "peer-reset",
	.rank = RANK_CONSEQUENCE,
	.kinds = KIND(RST_RECV) | KIND(CAPTURED),
	.judge = judge,
};
