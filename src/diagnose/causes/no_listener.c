/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

static bool packet_wants_listener(const struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (e->pkt.tuple.proto == IPPROTO_UDP)
		return e->hdr.kind == REC_DROP && strcmp(e->reason_name, "NO_SOCKET") == 0;
	return reset_without_socket(j) && packet_is_syn(&e->pkt);
}

static bool concerns(const struct rec_event *e)
{
	return e->pkt.tuple.proto == IPPROTO_UDP ? strcmp(e->reason_name, "NO_SOCKET") == 0
						 : packet_is_syn(&e->pkt);
}

static const char *listens_at(const struct judge *j, const struct rec_sock_info *s)
{
	static _Thread_local char text[256];

	snprintf(text, sizeof(text), "%s listens on %s", say_owner(j, s), say_src(&s->tuple));
	return text;
}

/*
 * The nearest miss is told in the explanation, and its mend is the fix; the other ones are
 * evidence.
 */
static void near_miss(struct judge *j, const struct rec_sock_info *s)
{
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	switch (s->match) {
	case SOCK_MATCH_LISTEN:
		verdict_explain(j->v, "By now %s: it came too late, or was just being restarted.",
				listens_at(j, s));
		verdict_fix(j->v, "the first attempts after a start fail otherwise",
			    "let clients try again, or start them after the service");
		break;
	case SOCK_MATCH_LISTEN_ADDR:
		verdict_explain(j->v, "But %s only, an address that this packet is not for.",
				listens_at(j, s));
		verdict_fix(j->v,
			    "the service is then reachable from the network: is it meant to be?",
			    "let the service listen on %s (or on all addresses), port %u",
			    say_addr(t->dst), t->dport);
		break;
	case SOCK_MATCH_LISTEN_FAMILY:
		verdict_explain(j->v, "But %s, for IPv%u only, and the client came over IPv%u.",
				listens_at(j, s),
				addr_is_v4(s->tuple.src) && s->tuple.family != 6 ? 4 : 6,
				t->family);
		verdict_fix(j->v, "the service is then reachable over both",
			    "let the service listen on IPv%u too (port %u)", t->family, t->dport);
		break;
	case SOCK_MATCH_LISTEN_NEAR:
		verdict_explain(j->v, "But %s, near by: is one of the two ports a mistake?",
				listens_at(j, s));
		verdict_fix(j->v, "none",
			    "let client and service use the same port (%u is asked for, %u is "
			    "open)",
			    t->dport, s->tuple.sport);
		break;
	case SOCK_MATCH_LISTEN_NETNS:
		verdict_explain(j->v, "But %s in another network namespace, %s.", listens_at(j, s),
				say_netns(j, s->hdr.netns));
		verdict_fix(j->v, "the port becomes reachable from outside that namespace",
			    "publish port %u of %s here (a container's port mapping), or use its "
			    "own address",
			    t->dport, say_netns(j, s->hdr.netns));
		break;
	default:
		break;
	}
}

/* Is it an answer to "who listens there"? A UDP sender's own socket is bound, too, and none. */
static bool is_listener(const struct judge *j, const struct rec_sock_info *s)
{
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	if (s->match < SOCK_MATCH_LISTEN || s->match > SOCK_MATCH_LISTEN_NETNS)
		return false;
	if (s->match == SOCK_MATCH_LISTEN_NEAR)
		return s->hdr.netns == j->ev->hdr.netns;
	if (s->tuple.sport != t->dport)
		return false;
	return (s->hdr.netns == j->ev->hdr.netns) == (s->match != SOCK_MATCH_LISTEN_NETNS);
}

static const struct rec_sock_info *nearest(const struct judge *j)
{
	const struct rec_sock_info *best = NULL;

	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (!is_listener(j, s))
			continue;
		/* A port next door matters less than the same port in another namespace. */
		if (!best || s->match < best->match ||
		    (best->match == SOCK_MATCH_LISTEN_NEAR && s->match == SOCK_MATCH_LISTEN_NETNS))
			best = s;
	}
	return best;
}

static void evidence(struct judge *j, const struct rec_sock_info *told)
{
	unsigned more = 0;

	verdict_evidence(j->v, "%s found no socket: %s", say_packet(&j->ev->pkt),
			 say_stack(j, j->ev));
	if (fact_answered(j, Q_LISTENERS, NULL) && (!told || told->match != SOCK_MATCH_LISTEN))
		verdict_evidence(j->v, "no socket listens for %s in %s", say_dst(&j->ev->pkt.tuple),
				 say_netns(j, j->ev->hdr.netns));
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (is_listener(j, s) && more++ < 4)
			verdict_evidence(j->v, "%s, %s", listens_at(j, s),
					 say_netns(j, s->hdr.netns));
	}
}

/* The answer to it, seen made or at least leaving. */
static bool was_reset(const struct judge *j)
{
	return fact_event(j, REC_RST_SENT) || fact_event(j, REC_RST_OUT);
}

static bool judge(struct judge *j)
{
	const struct rec_tuple *t = &j->ev->pkt.tuple;
	const struct rec_sock_info *near;
	bool silent;

	if (!packet_wants_listener(j))
		return false;
	near = nearest(j);
	/* A SYN that only comes back to its sender finds no socket either, and gets no answer. */
	silent = t->proto == IPPROTO_TCP && !was_reset(j);
	j->v->certainty = silent ? CERTAINTY_LIKELY : CERTAINTY_CERTAIN;
	verdict_explain(j->v, "Nobody listens on %s port %u of %s in %s, so the kernel %s.",
			proto_name(t->proto), t->dport, say_addr(t->dst),
			say_netns(j, j->ev->hdr.netns),
			silent			  ? "dropped the SYN, and no reset was seen"
			: t->proto == IPPROTO_TCP ? "refused the connection with a reset"
						  : "refused the packet");
	evidence(j, near);
	if (near && !silent)
		near_miss(j, near);
	else
		verdict_fix(j->v, "none",
			    "start the service for port %u in %s, or correct the port that the "
			    "client uses",
			    t->dport, say_netns(j, j->ev->hdr.netns));
	hit_all(j);
	return true;
}

const struct cause cause_no_listener = {
	.id = "no-listener",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT) | KIND(DROP),
	.needs = Q_LISTENERS,
	.concerns = concerns,
	.judge = judge,
};
