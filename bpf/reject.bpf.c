// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* Packets that a firewall rule answers: net/ipv4/netfilter/nf_reject_ipv4.c, net/ipv6/netfilter/nf_reject_ipv6.c. */
#include "function.bpf.h"

/* with: 0 a reset, else the ICMP error's type << 8 | code. */
INLINE int rejected(void *ctx, u64 skb, u64 hook, u32 with)
{
	struct sk_buff *s = (struct sk_buff *)skb;
	struct rec_packet p = {};
	struct net_device *dev;
	struct rec_event *r;
	struct sock *sk;
	u32 netns;

	if (!packet_read(skb, false, &p) || !packet_is_ours(&p))
		return 0;
	/* A reset is not answered with a reset: nf_reject_ip_tcphdr_get. */
	if (!with && p.tcp_flags & TCP_RST)
		return 0;
	packet_read_ct(skb, &p);
	netns = skb_netns(s, NULL);
	dev = BPF_CORE_READ(s, dev);
	sk = BPF_CORE_READ(s, sk);
	if (!wanted(&p, (u64)sk, netns, dev ? (u64)&dev->name : 0, false))
		return 0;
	r = event_begin(ctx, REC_REJECT, with, 0, &p.tuple, netns);
	if (!r)
		return 0;
	r->step = hook;
	event_packet(r, s, &p);
	if (sk)
		sock_read((u64)sk, &r->sock);
	event_memory(r, &p.tuple, sk);
	event_netfilter(r, skb, false);
	event_context(r, ctx, false);
	event_submit(r);
	return 0;
}

INLINE int on_nf_send_reset(void *ctx, u64 skb, u64 hook, u64 unused)
{
	return rejected(ctx, skb, hook, 0);
}
AT_FUNCTION(nf_send_reset, NF_SEND_RESET)

INLINE int on_nf_send_reset6(void *ctx, u64 skb, u64 hook, u64 unused)
{
	return rejected(ctx, skb, hook, 0);
}
AT_FUNCTION(nf_send_reset6, NF_SEND_RESET6)

/* RFC 792: destination unreachable is type 3; RFC 4443: type 1. */
INLINE int on_nf_send_unreach(void *ctx, u64 skb, u64 hook, u64 code)
{
	return rejected(ctx, skb, hook, 3 << 8 | (code & 0xff));
}
AT_FUNCTION(nf_send_unreach, NF_SEND_UNREACH)

INLINE int on_nf_send_unreach6(void *ctx, u64 skb, u64 hook, u64 code)
{
	return rejected(ctx, skb, hook, 1 << 8 | (code & 0xff));
}
AT_FUNCTION(nf_send_unreach6, NF_SEND_UNREACH6)
