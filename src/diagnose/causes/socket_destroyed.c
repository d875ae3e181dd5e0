/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/tcp.c tcp_abort: a third party ends a connection. net/core/sock_diag.c sock_diag_destroy
 * is what "ss -K" asks for, net/core/filter.c bpf_sock_destroy what a BPF iterator calls.
 */
static const char *destroyer(const struct judge *j)
{
	if (fact_stack(j, "bpf_sock_destroy"))
		return "a BPF program (bpf_sock_destroy)";
	if (fact_stack(j, "tcp_diag_destroy") || fact_stack(j, "sock_diag_destroy") ||
	    fact_stack(j, "inet_diag_handler_cmd") || fact_stack(j, "sock_diag_rcv_msg"))
		return "a request over netlink (SOCK_DESTROY: ss -K and the like)";
	return "another part of the kernel";
}

/* An error is reported when the state is CLOSE already. */
static uint8_t state_before(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_STATE && e->new_state == TCP_CLOSE &&
		    e->sock.addr == j->ev->sock.addr && fact_stack_of(j, e, "tcp_abort"))
			return e->old_state;
	}
	return j->ev->sock.state;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const char *who = say_task(e);

	/* A listening socket that is destroyed resets what waits in its queue: closed-socket tells. */
	if (!fact_stack(j, "tcp_abort") || fact_stack(j, "inet_csk_listen_stop") ||
	    (e->hdr.kind == REC_RST_SENT && !e->active))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"Somebody other than its own process had the kernel destroy this "
			"connection: %s%s%s.",
			*who ? who : "", *who ? ", by " : "", destroyer(j));
	if (fact_event(j, REC_RST_SENT) || fact_event(j, REC_RST_OUT))
		verdict_explain(j->v, "The peer %s gets a reset.", say_dst(&e->sock.tuple));
	verdict_explain(j->v, "The process that holds the socket sees ECONNABORTED.");
	verdict_evidence(j->v, "tcp_abort() was called for a socket in %s: %s",
			 tcp_state_name(state_before(j)), say_stack(j, e));
	if (*who)
		verdict_evidence(j->v, "it ran in %s (%s)", who, say_netns(j, e->hdr.netns));
	if (e->err)
		verdict_evidence(j->v, "the socket was left with %s", errno_name(e->err));
	hit_all(j);
	if (*who)
		verdict_fix(j->v, "none",
			    "find out who starts %s and why: a script, a load balancer, a node "
			    "agent that ends connections when an address or a backend goes away",
			    e->task.comm);
	else
		verdict_fix(j->v, "lists only", "bpftool prog list; bpftool iter; bpftool link");
	return true;
}

const struct cause cause_socket_destroyed = {
	.id = "socket-destroyed",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT) | KIND(SOCK_ERR),
	.judge = judge,
};
