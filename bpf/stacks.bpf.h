/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Instead of records: how often, by stack, location, reason or flow. Nothing is sent to user space. */
#ifndef TCPWHY_STACKS_BPF_H
#define TCPWHY_STACKS_BPF_H

#include "filter.bpf.h"

INLINE bool stacks_wanted(u32 kind)
{
	switch (kind) {
	case REC_RST_SENT:
	case REC_RST_RECV:
		return cfg.stacks & STACKS_RST;
	case REC_DROP:
		return cfg.stacks & STACKS_DROP;
	case REC_RETRANS:
	case REC_SYN_RETRANS:
	case REC_SYNACK_RETRANS:
		return cfg.stacks & STACKS_RETRANSMIT;
	case REC_STATE: /* chosen by who calls: tcp.bpf.c */
		return true;
	default:
		return false;
	}
}

/*
 * The kernel keeps a stack where its hash says, or not at all if another one is there. Without the
 * program's own frame it is another hash, so a second chance. (A kprobe, as resets have them, has no such
 * frame.)
 */
INLINE void stacks_trace(void *ctx, struct stack_key *key)
{
	key->stack = bpf_get_stackid(ctx, &stack_traces, 0);
	if (key->stack < 0 && key->kind != REC_RST_SENT) {
		key->stack = bpf_get_stackid(ctx, &stack_traces, 1);
		key->skipped = 1;
	}
	if (key->stack < 0) {
		key->stack = -1;
		key->skipped = 0;
	}
}

/* t: NULL where flows aren't asked for. */
INLINE void stacks_count(void *ctx, u32 kind, u32 reason, u64 location, const struct rec_tuple *t)
{
	struct stack_key key = {.kind = kind, .reason = reason};
	u32 first = 0;
	u64 *n, zero = 0;

	if (!stacks_wanted(kind))
		return;
	if (kind == REC_DROP && cfg.stacks_by <= BY_LOCATION)
		key.location = location;
	/* Only drops have a place of their own. */
	if (cfg.stacks_by == BY_STACK || (cfg.stacks_by == BY_LOCATION && !key.location))
		stacks_trace(ctx, &key);
	else if (cfg.stacks_by == BY_FLOW && t)
		key.flow = *t;
	n = bpf_map_lookup_elem(&stacks, &key);
	if (!n) {
		bpf_map_update_elem(&stacks, &key, &zero, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&stacks, &key);
	}
	if (!n)
		n = bpf_map_lookup_elem(&stacks_others, &first);
	if (n)
		count(n);
}

#endif
