// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* Resets: sent with or without a socket, and received. */
#include "common.bpf.h"

/*
 * net/ipv4/tcp_ipv4.c tcp_v4_send_reset and net/ipv6/tcp_ipv6.c tcp_v6_send_reset (skb is the
 * packet answered), net/ipv4/tcp_output.c tcp_send_active_reset (skb NULL since 6.10; before that
 * the reset itself, never answered).
 */
static __always_inline int reset_sent(void *ctx, struct sock *sk, struct sk_buff *skb, u32 reason,
				      bool has_reason)
{
	struct rec_packet p = {};
	struct rec_event *r;
	struct net_device *dev;
	const char *ifname = NULL;
	u32 netns;

	sk = untyped(sk);
	skb = untyped(skb);
	if (skb) {
		if (!packet_read((u64)skb, false, &p))
			return 0;
		packet_read_ct((u64)skb, &p);
		netns = skb_netns(skb, sk);
		dev = BPF_CORE_READ(skb, dev);
		ifname = dev ? (const char *)&dev->name : NULL;
	} else if (sk) {
		sock_tuple((u64)sk, &p.tuple);
		p.ctinfo = CTINFO_NONE;
		netns = net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	} else {
		return 0;
	}
	if (!wanted(&p, (u64)sk, netns, (u64)ifname, false))
		return 0;
	r = event_begin(REC_RST_SENT, reason, !skb, &p.tuple, netns);
	if (!r)
		return 0;
	r->location = 0;
	r->has_reason = has_reason;
	r->active = !skb;
	if (skb)
		event_packet(r, skb, &p);
	if (sk)
		sock_read((u64)sk, &r->sock);
	else if (skb && BPF_CORE_READ(skb, dev))
		event_hooks(r, BPF_CORE_READ(skb, dev, nd_net.net));
	event_memory(r, &p.tuple, sk);
	event_context(r, ctx, r->active);
	event_submit(r);
	return 0;
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_send_reset, struct sock *sk, struct sk_buff *skb, u32 reason)
{
	return reset_sent(ctx, sk, skb, reason, true);
}

/*
 * Before 6.10 (commit b533fb9cf4f7) the tracepoint has two arguments and is silent where there is
 * no socket.
 */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_send_reset_old, struct sock *sk, struct sk_buff *skb)
{
	return reset_sent(ctx, sk, skb, 0, false);
}

/* net/ipv4/tcp_input.c tcp_reset. The packet isn't at hand: it was noted when it arrived. */
SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_receive_reset, struct sock *sk)
{
	struct rec_packet p = {};
	struct rst_seen *seen;
	struct rec_event *r;
	struct flow_key key;
	u32 netns;

	sk = untyped(sk);
	netns = net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	sock_tuple((u64)sk, &p.tuple);
	if (!wanted(&p, (u64)sk, netns, 0, false))
		return 0;
	r = event_begin(REC_RST_RECV, 0, 0, &p.tuple, netns);
	if (!r)
		return 0;
	flow_key_set(&key, &p.tuple, netns);
	seen = bpf_map_lookup_elem(&rst_seen, &key);
	if (seen && r->hdr.mono_ns - seen->ns < NSEC_PER_SEC) {
		r->pkt = seen->pkt;
		r->ifindex = seen->ifindex;
		__builtin_memcpy(r->ifname, seen->ifname, sizeof(r->ifname));
	}
	sock_read((u64)sk, &r->sock);
	event_memory(r, &p.tuple, sk);
	event_context(r, ctx, false);
	event_submit(r);
	return 0;
}
