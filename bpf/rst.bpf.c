// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* Resets: sent with or without a socket, and received. */
#include "function.bpf.h"

/* A packet that met no socket of its connection, as in a race with the end of its handshake. */
INLINE void note_reset(const struct rec_packet *p, struct sock *sk, u32 netns)
{
	struct rec_handshake *h;

	if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_ACK)
		return;
	if (sk && BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_LISTEN)
		return;
	h = handshake_of(&p->tuple, netns);
	if (h)
		h->reset_ns = bpf_ktime_get_ns();
}

/*
 * net/ipv4/tcp_ipv4.c tcp_v4_send_reset and net/ipv6/tcp_ipv6.c tcp_v6_send_reset (skb is the
 * packet answered), net/ipv4/tcp_output.c tcp_send_active_reset (skb NULL).
 */
INLINE int reset_sent(void *ctx, struct sock *sk, struct sk_buff *skb, u32 reason, bool has_reason)
{
	struct rec_packet p = {};
	struct rec_event *r;
	struct net_device *dev;
	const char *ifname = NULL;
	u32 netns;

	if (skb) {
		if (!packet_read((u64)skb, false, &p))
			return 0;
		/*
		 * The functions are entered for resets too, and then send nothing (nor where a key
		 * is missing for the answer, RFC 2385, which isn't looked at here).
		 */
		if (p.tcp_flags & TCP_RST)
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
	if (skb)
		note_reset(&p, sk, netns);
	r = event_begin(ctx, REC_RST_SENT, reason, !skb, &p.tuple, netns);
	if (!r)
		return 0;
	r->location = 0;
	r->has_reason = has_reason ? REASON_TOLD : REASON_NONE;
	r->active = !skb;
	if (skb)
		event_packet(r, skb, &p);
	if (sk)
		sock_read((u64)sk, &r->sock);
	else if (skb && BPF_CORE_READ(skb, dev))
		event_hooks(r, BPF_CORE_READ(skb, dev, nd_net.net));
	event_memory(r, &p.tuple, sk);
	if (skb)
		event_netfilter(r, (u64)skb, false);
	event_context(r, ctx, r->active);
	event_submit(r);
	return 0;
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_send_reset, struct sock *sk, struct sk_buff *skb, u32 reason)
{
	return reset_sent(ctx, untyped(sk), untyped(skb), reason, true);
}

/* Is it a packet that arrived for the socket? */
INLINE bool is_answered(struct sock *sk, struct sk_buff *skb)
{
	struct rec_packet p = {};
	struct rec_tuple t = {};

	if (!packet_read((u64)skb, false, &p) || p.tuple.proto != IPPROTO_TCP)
		return false;
	sock_tuple((u64)sk, &t);
	return !(p.tcp_flags & TCP_RST) && p.tuple.dport == t.sport &&
	       (!t.dport || p.tuple.sport == t.dport);
}

/*
 * Before 6.10 (commits 19822a980e19, b533fb9cf4f7) the tracepoint has two arguments and is silent
 * where there is no socket; in tcp_send_active_reset the packet is the reset itself, freed already.
 */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_send_reset_old, struct sock *sk, struct sk_buff *skb)
{
	sk = untyped(sk);
	skb = untyped(skb);
	return reset_sent(ctx, sk, is_answered(sk, skb) ? skb : NULL, 0, false);
}

INLINE int on_tcp_v4_send_reset(void *ctx, u64 sk, u64 skb, u64 reason)
{
	return reset_sent(ctx, (void *)sk, (void *)skb, reason,
			  cfg.fn[FN_TCP_V4_SEND_RESET].arg[2]);
}
AT_FUNCTION(tcp_v4_send_reset, TCP_V4_SEND_RESET)

INLINE int on_tcp_v6_send_reset(void *ctx, u64 sk, u64 skb, u64 reason)
{
	return reset_sent(ctx, (void *)sk, (void *)skb, reason,
			  cfg.fn[FN_TCP_V6_SEND_RESET].arg[2]);
}
AT_FUNCTION(tcp_v6_send_reset, TCP_V6_SEND_RESET)

/* Its reason isn't asked for: compilers drop arguments here without the kernel's BTF saying so. */
INLINE int on_tcp_send_active_reset(void *ctx, u64 sk, u64 unused2, u64 unused3)
{
	return reset_sent(ctx, (void *)sk, NULL, 0, false);
}
AT_FUNCTION(tcp_send_active_reset, TCP_SEND_ACTIVE_RESET)

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
	r = event_begin(ctx, REC_RST_RECV, 0, 0, &p.tuple, netns);
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
