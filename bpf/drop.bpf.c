// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* Packets dropped: net/core/skbuff.c kfree_skb_reason, sk_skb_reason_drop. */
#include "common.bpf.h"

#define SKB_DROP_REASON_NOT_SPECIFIED_FIRST 2

static __always_inline bool packet_is_ours(const struct rec_packet *p)
{
	u8 proto = p->tuple.proto;

	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_ICMP ||
	       proto == IPPROTO_ICMPV6;
}

static __always_inline bool reason_is_noise(u32 reason)
{
	return !cfg.all && reason < CONFIG_REASONS && cfg.noise[reason];
}

static __always_inline int drop(void *ctx, struct sk_buff *skb, void *location, u32 reason,
				bool has_reason, struct sock *rx_sk)
{
	struct rec_packet p = {};
	struct net_device *dev;
	struct rec_event *r;
	struct sock *sk;
	u32 netns;

	if (has_reason && reason_is_noise(reason))
		return 0;
	skb = untyped(skb);
	rx_sk = untyped(rx_sk);
	sk = rx_sk ? rx_sk : BPF_CORE_READ(skb, sk);
	if (!packet_read((u64)skb, false, &p)) {
		/* Not yet a packet (no IP header), but a socket's: its tuple will do. */
		if (!sk || rx_sk)
			return 0;
		sock_tuple((u64)sk, &p.tuple);
	}
	if (!packet_is_ours(&p))
		return 0;
	packet_read_ct((u64)skb, &p);
	netns = skb_netns(skb, rx_sk);
	dev = BPF_CORE_READ(skb, dev);
	if (!wanted(&p, (u64)sk, netns, dev ? (u64)&dev->name : 0))
		return 0;
	r = event_begin(REC_DROP, reason, (u64)location, &p.tuple, netns);
	if (!r)
		return 0;
	r->has_reason = has_reason;
	event_packet(r, skb, &p);
	if (sk)
		sock_read((u64)sk, &r->sock);
	event_memory(r, &p.tuple, sk);
	event_context(r, ctx, false);
	event_submit(r);
	return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb, struct sk_buff *skb, void *location, u32 reason, struct sock *rx_sk)
{
	return drop(ctx, skb, location, reason, true, rx_sk);
}

/* Before 6.11 (commit c53795d48ee8) there is no receiving socket, */
SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb_3, struct sk_buff *skb, void *location, u32 reason)
{
	return drop(ctx, skb, location, reason, true, NULL);
}

/* and before 5.17 (commit c504e5c2f964) no reason. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb_2, struct sk_buff *skb, void *location)
{
	return drop(ctx, skb, location, 0, false, NULL);
}
