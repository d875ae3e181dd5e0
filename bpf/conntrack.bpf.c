// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* What conntrack thinks of a packet, and how its entries end. */
#include "function.bpf.h"

/* ---- why a packet is INVALID ---------------------------------------------------------------------- */

/*
 * net/netfilter/nf_conntrack_proto.c. Called whether or not net.netfilter.nf_conntrack_log_invalid is
 * set, also for packets that are then only ignored: INVALID is what goes on without an entry.
 */
INLINE int ct_words(void *ctx, u64 skb, u8 fmt_place)
{
	struct nf_slot *s = nf_slot_of(skb);
	u64 fmt = arg_kprobe(ctx, fmt_place), args[2];
	struct nf_words w = {};
	u16 start = 0;

	if (!s || s->skb != skb)
		return 0;
	args[0] = arg_kprobe(ctx, fmt_place + 1);
	args[1] = arg_kprobe(ctx, fmt_place + 2);
	bpf_probe_read_kernel(&start, sizeof(start), (void *)fmt);
	if (start == ('%' | 'p' << 8)) { /* struct va_format: the format, and a va_list */
		u64 list = read_u64(args[0] + 8);

		fmt = read_u64(args[0]);
		va_list_read(list, args);
		bpf_probe_read_kernel(&start, sizeof(start), (void *)fmt);
	}
	if (start == ('%' | 's' << 8))
		fmt = args[0];
	bpf_probe_read_kernel_str(w.text, sizeof(w.text), (void *)fmt);
	w.args[0] = args[0];
	w.args[1] = args[1];
	bpf_map_update_elem(&nf_words, &skb, &w, BPF_ANY);
	s->invalid = 1;
	return 0;
}

SEC("kprobe/nf_ct_l4proto_log_invalid")
int nf_ct_l4proto_log_invalid_kprobe(void *ctx)
{
	return ct_words(ctx, arg_kprobe(ctx, 1), cfg.fn[FN_NF_CT_LOG_INVALID].arg[1]);
}

SEC("kprobe/nf_l4proto_log_invalid")
int nf_l4proto_log_invalid_kprobe(void *ctx)
{
	return ct_words(ctx, arg_kprobe(ctx, 1), cfg.fn[FN_NF_LOG_INVALID].arg[1]);
}

/* ---- how an entry ends ------------------------------------------------------------------------------ */

#define IPS_SEEN_REPLY 0x002 /* include/uapi/linux/netfilter/nf_conntrack_common.h */
#define IPS_DYING 0x200
#define TCP_CONNTRACK_LAST_ACK 6 /* include/uapi/linux/netfilter/nf_conntrack_tcp.h */

/*
 * Did it end before its time? That of a TCP connection of which not both ends were done, or what somebody
 * removed; a datagram's entry expires in the ordinary way.
 */
INLINE bool ct_ends_early(const struct rec_ct_end *end)
{
	if (end->orig.proto == IPPROTO_TCP)
		return end->tcp_state < TCP_CONNTRACK_LAST_ACK;
	return !end->expired;
}

/*
 * Every connection's entry comes here once, at its end: thousands a second on a busy gateway. Those that
 * nobody answered (scans, floods) are left at once; of the others few are noted, and the rest cost two
 * deletions of what is mostly not there.
 */
INLINE int ct_ended(void *ctx, struct nf_conn *ct, u32 status)
{
	struct rec_ct_end end = {.status = status};
	struct flow_key there, back;
	u32 netns;
	long n;

	if (!(status & IPS_SEEN_REPLY))
		return 0;
	netns = net_inum(BPF_CORE_READ(ct, ct_net.net));
	tuple_from_ct(&end.orig, &ct->tuplehash[0].tuple);
	tuple_from_ct(&end.reply, &ct->tuplehash[1].tuple);
	flow_key_set(&there, &end.orig, netns);
	flow_key_set(&back, &end.reply, netns);
	if (end.orig.proto == IPPROTO_TCP)
		end.tcp_state = BPF_CORE_READ(ct, proto.tcp.state);
	/* include/net/netfilter/nf_conntrack.h nf_ct_is_expired */
	end.expired = (s32)(BPF_CORE_READ(ct, timeout) - (u32)bpf_jiffies64()) <= 0;
	if (!ct_ends_early(&end)) {
		bpf_map_delete_elem(&ct_ends, &there);
		bpf_map_delete_elem(&ct_ends, &back);
		return 0;
	}
	end.ns = bpf_ktime_get_ns();
	end.mark = ct_mark(ct);
	end.zone = ct_zone(ct);
	end.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(end.comm, sizeof(end.comm));
	n = bpf_get_stack(ctx, end.stack, sizeof(end.stack), 0);
	end.nr_stack = n > 0 ? (u64)n / sizeof(u64) : 0;
	bpf_map_update_elem(&ct_ends, &there, &end, BPF_ANY);
	bpf_map_update_elem(&ct_ends, &back, &end, BPF_ANY);
	return 0;
}

/* net/netfilter/nf_conntrack_core.c. Another one may be at it already: then this call does nothing. */
INLINE int on_nf_ct_delete(void *ctx, u64 ct, u64 unused2, u64 unused3)
{
	u32 status = BPF_CORE_READ((struct nf_conn *)ct, status);

	return status & IPS_DYING ? 0 : ct_ended(ctx, (struct nf_conn *)ct, status);
}
AT_FUNCTION(nf_ct_delete, NF_CT_DELETE)

/*
 * The same, a step later. Compilers split nf_ct_delete before 5.19, and calls within its file pass by the half
 * that has the name. With commit 1397af5bfd7d this function became a part of it.
 */
INLINE int on_nf_ct_delete_from_lists(void *ctx, u64 ct, u64 unused2, u64 unused3)
{
	return ct_ended(ctx, (struct nf_conn *)ct, BPF_CORE_READ((struct nf_conn *)ct, status));
}
AT_FUNCTION(nf_ct_delete_from_lists, NF_CT_DELETE_LISTS)

/* The step after that, where compilers split nf_ct_delete again (Debian's 7.2). */
INLINE int on___nf_ct_delete_from_lists(void *ctx, u64 ct, u64 unused2, u64 unused3)
{
	return ct_ended(ctx, (struct nf_conn *)ct, BPF_CORE_READ((struct nf_conn *)ct, status));
}
AT_FUNCTION(__nf_ct_delete_from_lists, NF_CT_UNLIST)
