/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Programs at the entry and the end of kernel functions. */
#ifndef TCPWHY_FUNCTION_BPF_H
#define TCPWHY_FUNCTION_BPF_H

#include "event.bpf.h"

/* ---- what a function is looking at -------------------------------------------------------------- */

/*
 * One thing runs at a time in a task, and on a CPU that idles (pid 0). A softirq that interrupts a task
 * in the middle of a call and makes such a call overwrites it: then the task's is lost. At a function's
 * end the socket is compared, where it is known.
 */
INLINE u64 call_key(void)
{
	u64 id = bpf_get_current_pid_tgid();

	return id ? id : ~(u64)bpf_get_smp_processor_id();
}

#define CALL_MAX_NS 10000000ull /* older: its end was missed */

/* The call that began last, if it is one of these, and of this socket (0: any). */
INLINE struct call *call_of(u32 what, u64 sk)
{
	u64 key = call_key();
	struct call *c = bpf_map_lookup_elem(&calls, &key);

	if (!c || c->what != what || (sk && c->sk != sk) ||
	    bpf_ktime_get_ns() - c->ns > CALL_MAX_NS)
		return NULL;
	return c;
}

/* c holds what it looks at; its time is noted here. */
INLINE void call_begin(struct call *c)
{
	u64 key = call_key();

	c->ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&calls, &key, c, BPF_ANY);
}

INLINE void call_end(void)
{
	u64 key = call_key();

	bpf_map_delete_elem(&calls, &key);
}

/*
 * Two programs, for fentry and for kprobe, that call on_FUNCTION(ctx, first, second, third) with the
 * arguments that KERNEL_FUNCTIONS (abi/config.h) names.
 */
#define ARG_FENTRY(ctx, id, n) (u64) untyped((void *)arg_fentry(ctx, cfg.fn[FN_##id].arg[n]))
#define ARG_KPROBE(ctx, id, n) arg_kprobe(ctx, cfg.fn[FN_##id].arg[n])
#define AT_FUNCTION(function, id)                                                         \
	SEC("fentry/" #function)                                                          \
	int function##_fentry(void *ctx)                                                  \
	{                                                                                 \
		return on_##function(ctx, ARG_FENTRY(ctx, id, 0), ARG_FENTRY(ctx, id, 1), \
				     ARG_FENTRY(ctx, id, 2));                             \
	}                                                                                 \
	SEC("kprobe/" #function)                                                          \
	int function##_kprobe(void *ctx)                                                  \
	{                                                                                 \
		return on_##function(ctx, ARG_KPROBE(ctx, id, 0), ARG_KPROBE(ctx, id, 1), \
				     ARG_KPROBE(ctx, id, 2));                             \
	}

/* The same at its end: on_FUNCTION_end(ctx, first argument, what it returns); 0 in a kretprobe. */
#define AT_FUNCTION_END(function, id)                                             \
	SEC("fexit/" #function)                                                   \
	int function##_fexit(void *ctx)                                           \
	{                                                                         \
		return on_##function##_end(ctx, ARG_FENTRY(ctx, id, 0),           \
					   arg_fentry(ctx, cfg.fn[FN_##id].ret)); \
	}                                                                         \
	SEC("kretprobe/" #function)                                               \
	int function##_kretprobe(void *ctx)                                       \
	{                                                                         \
		return on_##function##_end(ctx, 0, ret_kprobe(ctx));              \
	}

#endif
