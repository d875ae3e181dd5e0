// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * The process tree of --pid and of a command: children are watched too. Loaded only when asked for.
 * A pid stays watched when its process ends: its sockets may fail later, and a number comes round
 * again only after all others.
 */
#include "maps.bpf.h"

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 from = BPF_CORE_READ(parent, tgid), to = BPF_CORE_READ(child, tgid);
	u8 one = 1;

	if (from != to && bpf_map_lookup_elem(&pids, &from))
		bpf_map_update_elem(&pids, &to, &one, BPF_ANY);
	return 0;
}
