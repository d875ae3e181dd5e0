// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* Packets dropped: net/core/skbuff.c kfree_skb_reason, sk_skb_reason_drop. */
#include "event.bpf.h"

#define SKB_DROP_REASON_NOT_SPECIFIED 2 /* since there is a receiving socket */

INLINE bool packet_is_icmp_error(const struct rec_packet *p)
{
	if (p->tuple.proto == IPPROTO_ICMP)
		return icmp_is_error(p->icmp_type);
	return p->tuple.proto == IPPROTO_ICMPV6 && icmp6_is_error(p->icmp_type);
}

INLINE bool reason_is_noise(u32 reason)
{
	u64 i = reason;

	if (cfg.all || reason >= CONFIG_REASONS)
		return false;
	/* Says the same again to a verifier whose copy of the number is on the stack, unbounded. */
	asm volatile("%0 &= 0xff" : "+r"(i));
	return cfg.noise[i];
}

/* 0: it is no TCP packet (or one that can't be). */
INLINE u8 quick_tcp_flags(struct sk_buff *skb)
{
	const unsigned char *l3;
	struct quick q;
	u8 flags = 0;

	if (!skb->network_header || skb->network_header == 0xffff)
		return 0;
	l3 = skb_quick_l3(skb, false);
	if (!l3 || !quick_read(l3, &q) || q.proto != IPPROTO_TCP)
		return 0;
	bpf_probe_read_kernel(&flags, 1, l3 + q.off + 13);
	return flags;
}

/*
 * The FIN of the other end, for what is left of a connection that this one closed first: net/ipv4/tcp_ipv4.c
 * tcp_v4_rcv frees what that takes, and gives no reason. Connections end so all the time.
 */
INLINE bool is_last_fin(struct sk_buff *skb, u32 reason, struct sock *rx_sk)
{
	return rx_sk && reason == SKB_DROP_REASON_NOT_SPECIFIED && !cfg.all &&
	       rx_sk->__sk_common.skc_state == TCP_TIME_WAIT &&
	       (quick_tcp_flags(skb) & (TCP_FIN | TCP_SYN | TCP_RST)) == TCP_FIN;
}

INLINE u32 quick_netns(struct sk_buff *skb, struct sock *rx_sk)
{
	struct net_device *dev = skb->dev;
	struct sock *sk = skb->sk;

	if (rx_sk)
		return rx_sk->__sk_common.skc_net.net->ns.inum;
	if (dev)
		return dev->nd_net.net->ns.inum;
	return sk ? sk->__sk_common.skc_net.net->ns.inum : 0;
}

/*
 * A flood of drops at one place: once its details are limited, the rest is only counted, and that
 * needs no more than the protocol. (With filters the whole packet has to be looked at.)
 */
INLINE bool count_only(struct sk_buff *skb, void *location, u32 reason, struct sock *rx_sk)
{
	struct count_key key = {.location = (u64)location, .reason = reason, .kind = REC_DROP};
	const unsigned char *l3;
	struct count_value *v;
	struct quick q;

	if (cfg.filtered || !skb->network_header || skb->network_header == 0xffff)
		return false;
	l3 = skb_quick_l3(skb, false);
	if (!l3 || !quick_read(l3, &q))
		return false;
	key.proto = q.proto;
	key.family = q.version;
	key.netns = quick_netns(skb, rx_sk);
	v = bpf_map_lookup_elem(&counts, &key);
	if (!v || !count_is_limited(v) || bpf_ktime_get_ns() - v->window_ns >= NSEC_PER_SEC)
		return false;
	count(&v->seen);
	count(&v->suppressed);
	return true;
}

/* Where nothing is asked for that only the whole packet tells. */
INLINE bool count_by_stack(void *ctx, struct sk_buff *skb, void *location, u32 reason,
			   struct sock *rx_sk)
{
	const unsigned char *l3;
	struct quick q;

	if (!cfg.stacks || cfg.stacks_by == BY_FLOW || cfg.flow_filter || cfg.task_filter ||
	    cfg.proto || cfg.ifname[0])
		return false;
	if (cfg.netns && quick_netns(skb, rx_sk) != cfg.netns)
		return true;
	if (!cfg.all) {
		if (!skb->network_header || skb->network_header == 0xffff)
			return false;
		l3 = skb_quick_l3(skb, false);
		if (!l3 || !quick_read(l3, &q) || !proto_is_ours(q.proto))
			return false;
	}
	stacks_count(ctx, REC_DROP, reason, (u64)location, NULL);
	return true;
}

INLINE int drop(void *ctx, struct sk_buff *skb, void *location, u32 reason, bool has_reason,
		struct sock *rx_sk)
{
	struct sk_buff *typed = skb;
	struct rec_packet p = {};
	struct net_device *dev;
	struct rec_event *r;
	struct sock *sk;
	bool sender;
	u32 netns;

	/* Whatever TCP drops a reset for (its numbers lie too far back, say): that it was not taken is no noise. */
	if (has_reason && reason_is_noise(reason) && !(quick_tcp_flags(skb) & TCP_RST))
		return 0;
	if (is_last_fin(skb, reason, rx_sk))
		return 0;
	if (count_by_stack(ctx, skb, location, reason, rx_sk))
		return 0;
	if (!cfg.stacks && count_only(skb, location, reason, rx_sk))
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
	/* A lost ICMP error is the story of the connection that it speaks of. */
	if (packet_is_icmp_error(&p) && !packet_read_quoted((u64)skb, false, &p))
		return 0;
	packet_read_ct((u64)skb, &p);
	netns = skb_netns(skb, rx_sk);
	dev = BPF_CORE_READ(skb, dev);
	/* A datagram dropped on its way out (a stream's socket is known by its connect()). */
	sender = p.tuple.proto == IPPROTO_UDP && !rx_sk && sk && !BPF_CORE_READ(skb, skb_iif);
	if (!wanted(&p, (u64)sk, netns, dev ? (u64)&dev->name : 0, sender))
		return 0;
	r = event_begin(ctx, REC_DROP, reason, (u64)location, &p.tuple, netns);
	if (!r)
		return 0;
	r->has_reason = has_reason;
	event_packet(r, skb, &p);
	event_payload(r, skb, typed);
	if (sk)
		sock_read((u64)sk, &r->sock);
	else if (p.tuple.proto == IPPROTO_TCP && dev) /* before 6.10 it stands for the reset */
		event_hooks(r, BPF_CORE_READ(dev, nd_net.net));
	event_memory(r, &p.tuple, sk);
	if (sk && r->sock.state == TCP_LISTEN)
		event_queue(r, sk);
	event_netfilter(r, (u64)skb, true);
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
