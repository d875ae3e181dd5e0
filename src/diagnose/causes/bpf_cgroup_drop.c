/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

static bool is_refused_call(const struct rec_event *e)
{
	return e->hdr.kind == REC_CONNECT && e->err == EPERM;
}

static bool concerns(const struct rec_event *e)
{
	return is_refused_call(e) || fact_reason_is(e, "BPF_CGROUP_EGRESS") ||
	       fact_reason_is(e, "SOCKET_FILTER");
}

/* net/ipv4/ip_output.c ip_finish_output, net/ipv6/ip6_output.c ip6_finish_output. */
static bool judge_egress(struct judge *j)
{
	const struct rec_event *e = j->ev;
	struct programs ps;

	if (!fact_reason_is(e, "BPF_CGROUP_EGRESS") || !fact_suffers(j))
		return false;
	fact_programs(j, 1u << BPF_AT_CGROUP_EGRESS, &ps);
	j->v->certainty = e->has_reason == REASON_TOLD ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"A BPF program of the sending process's cgroup dropped the packet %s on "
			"its way "
			"out.",
			say_tuple(&e->pkt.tuple));
	tell_programs(j, &ps);
	return true;
}

/*
 * net/core/filter.c sk_filter_trim_cap: the receiver's cgroup, a security module (since 6.17 with a reason
 * of its own) and the socket's own filter share one reason.
 */
static bool judge_ingress(struct judge *j)
{
	struct programs ps, own;

	if (!fact_reason_is(j->ev, "SOCKET_FILTER") || !fact_suffers(j))
		return false;
	fact_programs(j, 1u << BPF_AT_CGROUP_INGRESS, &ps);
	fact_programs(j, 1u << BPF_AT_SOCKET, &own);
	if (!ps.n || own.n || j->ev->sock.flags & SOCK_FILTER)
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"A BPF program of the receiving process's cgroup dropped the packet %s "
			"before its "
			"socket got it.",
			say_tuple(&j->ev->pkt.tuple));
	tell_programs(j, &ps);
	verdict_evidence(j->v,
			 "a filter of the socket itself (SO_ATTACH_FILTER) or a security module "
			 "would look the same; %s",
			 j->ev->sock.flags & SOCK_PRESENT ? "the socket has no filter"
							  : "no such filter was found");
	return true;
}

/* kernel/bpf/cgroup.c __cgroup_bpf_run_filter_sock_addr */
static bool judge_call(struct judge *j)
{
	const struct rec_event *e = j->ev;
	struct programs ps;

	if (!is_refused_call(e))
		return false;
	fact_programs(j, 1u << BPF_AT_CGROUP_CONNECT, &ps);
	if (!ps.n)
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"connect() to %s was refused at once with EPERM, before a packet was sent: "
			"a BPF "
			"program of the process's cgroup may forbid it.",
			say_dst(&e->pkt.tuple));
	tell_programs(j, &ps);
	verdict_evidence(j->v,
			 "%s called connect(), which a program of its cgroup is asked about first",
			 e->task.pid ? say_task(e) : "a process");
	return true;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (!judge_egress(j) && !judge_ingress(j) && !judge_call(j))
		return false;
	if (e->hdr.kind == REC_DROP)
		verdict_evidence(j->v, "%s, %s: %s", say_packet(&e->pkt), say_reason(e),
				 say_stack(j, e));
	hit_all(j);
	verdict_fix(j->v,
		    "lists only: `IPAddressDeny`, `IPAddressAllow` and the like of systemd are "
		    "such "
		    "programs",
		    "bpftool cgroup tree; systemctl show UNIT -p IPAddressDeny -p IPAddressAllow");
	return true;
}

const struct cause cause_bpf_cgroup_drop = {
	.id = "bpf-cgroup-drop",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP) | KIND(CONNECT),
	.needs = Q_BPF_PROGS,
	.concerns = concerns,
	.judge = judge,
};
