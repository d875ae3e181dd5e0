/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

#define SECCOMP_MODE_FILTER 2

/*
 * TCP's own connect() never returns EPERM: a SYN that a rule drops is sent again (net/ipv4/tcp_output.c
 * tcp_connect). It comes from who is asked before: a BPF program of the cgroup, an IPsec policy, both of
 * which have causes of their own; a seccomp filter; a security module, though those mostly say EACCES.
 */
static bool concerns(const struct rec_event *e)
{
	return e->err == EPERM;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	struct programs ps;

	fact_programs(j, 1u << BPF_AT_CGROUP_CONNECT, &ps);
	if (!concerns(e) || ps.n || !fact_answered(j, Q_BPF_PROGS, NULL))
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"connect() to %s was refused at once with EPERM, before a packet was sent: "
			"something on this host does not allow this process to do it. %s",
			say_dst(&e->pkt.tuple),
			e->task.seccomp == SECCOMP_MODE_FILTER ? "The process runs under a seccomp "
								 "filter, which may refuse system "
								 "calls."
							       : "It runs under no seccomp filter, "
								 "so a security module is left.");
	verdict_evidence(j->v, "connect() returned EPERM to %s",
			 e->task.pid ? say_task(e) : "a process");
	verdict_evidence(j->v, "it runs under %s seccomp filter",
			 e->task.seccomp == SECCOMP_MODE_FILTER ? "a" : "no");
	verdict_evidence(j->v, "no BPF program is asked about connect() in its cgroup, and no "
			       "IPsec "
			       "policy was counted that blocks: that it is none of these is "
			       "inferred");
	hit_all(j);
	verdict_fix(j->v, "lists only",
		    "grep Seccomp /proc/%u/status; systemctl show UNIT -p SystemCallFilter; "
		    "cat /sys/kernel/security/lsm; journalctl -k | grep -i -e audit -e denied",
		    e->task.pid);
	verdict_fix(j->v, "what is allowed is allowed to an attacker, too",
		    "allow connect() in the filter or profile of that service or container "
		    "(SystemCallFilter=, --security-opt seccomp=, AppArmor, SELinux)");
	return true;
}

const struct cause cause_connect_eperm = {
	.id = "connect-eperm",
	.rank = RANK_CONSEQUENCE,
	.kinds = KIND(CONNECT),
	.needs = Q_BPF_PROGS,
	.concerns = concerns,
	.judge = judge,
};
