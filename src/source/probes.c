/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/live_private.h"

/*
 * Each probe: the program and, for older kernels, its other forms, told apart by how many arguments
 * the kernel's tracepoint has (including the data pointer that BTF counts first).
 */
struct probe_def {
	const char *tracepoint;
	const char *program[3];
	int args[3]; /* of the tracepoint, at least; 0 ends the list */
	const char *what;
	const char *missing;
	const char *older;
	bool tasks; /* only with follow_forks */
};

/* clang-format off */
static const struct probe_def probe_defs[] = {
	{"tcp_send_reset", {"tcp_send_reset", "tcp_send_reset_old"}, {4, 3},
	 "resets sent, with the packet that asked for them and the kernel's reason",
	 "why a reset was sent", "resets sent without a socket, and the kernel's reason for a reset"},
	{"tcp_receive_reset", {"tcp_receive_reset"}, {2}, "resets received", "resets received", NULL},
	{"kfree_skb", {"kfree_skb", "kfree_skb_3", "kfree_skb_2"}, {5, 4, 3}, "packets dropped, and why", "drops",
	 "the receiving socket of a drop (and, before 5.17, the reason)"},
	{"tcp_retransmit_skb", {"tcp_retransmit_skb", "tcp_retransmit_skb_2"}, {4, 3}, "retransmissions",
	 "retransmissions", "whether a retransmission could be sent"},
	{"tcp_retransmit_synack", {"tcp_retransmit_synack"}, {3}, "SYN-ACK retransmissions", "SYN-ACK retransmissions",
	 NULL},
	{"inet_sock_set_state", {"inet_sock_set_state"}, {4}, "socket states", "connects that fail, and who closed a socket",
	 NULL},
	{"inet_sk_error_report", {"inet_sk_error_report"}, {2}, "socket errors", "errors reported to sockets", NULL},
	{"net_dev_queue", {"net_dev_queue"}, {2}, "SYNs, resets and ICMP errors that leave",
	 "whether SYNs left, resets of REJECT rules, ICMP errors sent", NULL},
	{"netif_receive_skb", {"netif_receive_skb"}, {2}, "SYNs, resets and ICMP errors that arrive",
	 "SYNs that are refused silently, headers of resets received, ICMP errors received", NULL},
	{"sys_exit", {"sys_exit"}, {3}, "connect() calls that fail at once", "connects that fail without a packet", NULL},
	{"sched_process_fork", {"sched_process_fork"}, {3}, "children of the watched processes",
	 "children of the watched processes", NULL, true},
};
/* clang-format on */

/*
 * How many arguments does the tracepoint have (the data pointer included)? 0: this kernel doesn't
 * have it.
 */
static int tracepoint_args(const struct btf *btf, const char *tracepoint)
{
	_cleanup_strbuf_ struct strbuf name = {0};
	const struct btf_type *t;
	int id;

	strbuf_addf(&name, "btf_trace_%s", tracepoint);
	id = btf__find_by_name_kind(btf, name.s, BTF_KIND_TYPEDEF);
	if (id < 0)
		return 0;
	t = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type); /* typedef -> pointer */
	if (!t || !btf_is_ptr(t))
		return 0;
	t = btf__type_by_id(btf, t->type);
	return t && btf_is_func_proto(t) ? btf_vlen(t) : 0;
}

_Static_assert(ARRAY_SIZE(probe_defs) <= PROBES_MAX, "raise PROBES_MAX");

void probes_choose(struct live *l, const struct btf *btf, bool tasks)
{
	l->nr_probes = ARRAY_SIZE(probe_defs);
	for (size_t i = 0; i < ARRAY_SIZE(probe_defs); i++) {
		const struct probe_def *def = &probe_defs[i];
		struct live_probe *probe = &l->probes[i];
		int args = tracepoint_args(btf, def->tracepoint);
		bool chosen = false;

		probe->name = def->tracepoint;
		probe->what = def->what;
		probe->missing = def->missing;
		for (size_t form = 0; form < ARRAY_SIZE(def->program) && def->program[form];
		     form++) {
			struct bpf_program *prog =
				bpf_object__find_program_by_name(l->skel->obj, def->program[form]);
			bool fits = !chosen && args >= def->args[form] && (!def->tasks || tasks);

			bpf_program__set_autoload(prog, fits);
			if (!fits)
				continue;
			chosen = true;
			probe->older = form > 0;
			probe->missing = form > 0 ? def->older : NULL;
		}
	}
}

void probes_attach(struct live *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(probe_defs); i++) {
		const struct probe_def *def = &probe_defs[i];

		for (size_t form = 0; form < ARRAY_SIZE(def->program) && def->program[form];
		     form++) {
			struct bpf_program *prog =
				bpf_object__find_program_by_name(l->skel->obj, def->program[form]);

			if (!bpf_program__autoload(prog))
				continue;
			l->links[i] = bpf_program__attach(prog);
			l->probes[i].attached = l->links[i] != NULL;
			if (!l->links[i])
				l->probes[i].missing = def->missing;
		}
	}
}
