/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/inet_hashtables.c __inet_hash_connect: a socket that has its port from bind() gets no other. If a
 * connection of the same four is there, even in TIME_WAIT, EADDRNOTAVAIL.
 */
static bool concerns(const struct rec_event *e)
{
	return e->err == EADDRNOTAVAIL && e->pkt.tuple.sport;
}

/* Where bind() gave no address, the kernel chose one, and took it back: net/ipv4/tcp_ipv4.c tcp_v4_connect. */
static struct rec_tuple tried(const struct judge *j)
{
	const struct rec_event *of = j->ev;

	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_STATE && e->sock.addr == of->sock.addr &&
		    e->old_state == TCP_SYN_SENT && addr_is_any(of->pkt.tuple.src))
			return e->sock.tuple;
	}
	return of->pkt.tuple;
}

/* Not the socket that connect() was called for: that one has no connection. */
static const struct rec_sock_info *holder(const struct judge *j)
{
	struct rec_tuple t = tried(j);

	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->hdr.netns == j->ev->hdr.netns && s->match != SOCK_MATCH_OWNER &&
		    s->state != TCP_CLOSE && tuple_equal(&s->tuple, &t))
			return s;
	}
	return NULL;
}

static bool judge(struct judge *j)
{
	const struct rec_sock_info *s = holder(j);
	const struct rec_event *e = j->ev;
	bool waits = s && s->state == TCP_TIME_WAIT;

	if (!concerns(e) || !s)
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"connect() to %s failed at once with EADDRNOTAVAIL: the program has chosen "
			"the local port %u with bind(), and there is a connection from that port "
			"to "
			"the same address and port already%s.",
			say_dst(&e->pkt.tuple), e->pkt.tuple.sport,
			waits ? ", closed a moment ago (TIME_WAIT)" : "");
	verdict_evidence(j->v, "%s is in %s%s%s", say_tuple(&s->tuple), tcp_state_name(s->state),
			 s->pid ? ", held by " : "", s->pid ? say_owner(j, s) : "");
	verdict_evidence(j->v, "no packet was sent: connect() returned EADDRNOTAVAIL to %s",
			 e->task.pid ? say_task(e) : "a process");
	hit_all(j);
	verdict_fix(j->v, "a firewall that expects that port has to be told",
		    "let the program not bind a port before connect(), or bind with port 0: the "
		    "kernel chooses one that is free");
	if (waits)
		verdict_fix(j->v, "none",
			    "or let it wait a minute, or try again until the port is free");
	return true;
}

const struct cause cause_local_port_taken = {
	.id = "local-port-taken",
	.rank = RANK_ROOT,
	.kinds = KIND(CONNECT),
	.needs = Q_SOCKETS_BY_PORT,
	.concerns = concerns,
	.judge = judge,
};
