/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Tuples, a first, cheap look at a packet, and small questions about packets and sockets. */
#ifndef TCPWHY_PACKET_BPF_H
#define TCPWHY_PACKET_BPF_H

#include "maps.bpf.h"

INLINE void addr_set_v4(u8 *to, __be32 addr)
{
	u64 zero = 0;

	__builtin_memcpy(to, &zero, 8);
	to[8] = to[9] = 0;
	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, &addr, 4);
}

INLINE void flow_key_set(struct flow_key *key, const struct rec_tuple *t, u32 netns)
{
	u64 a[2], b[2];
	bool swap;

	__builtin_memcpy(a, t->src, 16);
	__builtin_memcpy(b, t->dst, 16);
	swap = a[0] > b[0] ||
	       (a[0] == b[0] && (a[1] > b[1] || (a[1] == b[1] && t->sport > t->dport)));
	key->lo[0] = swap ? b[0] : a[0];
	key->lo[1] = swap ? b[1] : a[1];
	key->hi[0] = swap ? a[0] : b[0];
	key->hi[1] = swap ? a[1] : b[1];
	key->lo_port = swap ? t->dport : t->sport;
	key->hi_port = swap ? t->sport : t->dport;
	key->netns = netns;
}

INLINE bool flow_equal(const struct flow_key *a, const struct flow_key *b)
{
	return a->lo[0] == b->lo[0] && a->lo[1] == b->lo[1] && a->hi[0] == b->hi[0] &&
	       a->hi[1] == b->hi[1] && a->lo_port == b->lo_port && a->hi_port == b->hi_port;
}

/* ---- a first, cheap look at a packet --------------------------------------------------------- */

/*
 * Where the network header is, read directly through the verifier's typed pointer: NULL if this is
 * no IP packet. One VLAN tag within the packet is skipped.
 */
INLINE const unsigned char *skb_quick_l3(struct sk_buff *skb, bool at_data)
{
	const unsigned char *l3 = at_data ? skb->data : skb->head + skb->network_header;
	u16 protocol = skb->protocol;

	if (protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD))
		return l3 + 4;
	return protocol == bpf_htons(ETH_P_IP) || protocol == bpf_htons(ETH_P_IPV6) ? l3 : NULL;
}

INLINE bool proto_is_ours(u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_ICMP ||
	       proto == IPPROTO_ICMPV6;
}

INLINE bool packet_is_ours(const struct rec_packet *p)
{
	return proto_is_ours(p->tuple.proto);
}

/* RFC 792, RFC 4443 section 2.1. */
INLINE bool icmp_is_error(u8 type)
{
	return type == 3 || type == 11 || type == 12;
}

INLINE bool icmp6_is_error(u8 type)
{
	return type && type < 128;
}

/* What the first ten bytes say: the version and the protocol. */
struct quick {
	u8 version;
	u8 proto;
	u8 off; /* of the transport header; IPv6: if no extension header is between */
};

INLINE bool quick_read(const unsigned char *l3, struct quick *q)
{
	u8 head[10];

	if (bpf_probe_read_kernel(head, sizeof(head), l3))
		return false;
	q->version = head[0] >> 4;
	q->proto = q->version == 4 ? head[9] : head[6];
	q->off = q->version == 4 ? (head[0] & 15) * 4 : 40;
	return q->version == 4 || q->version == 6;
}

INLINE u32 net_inum(struct net *net)
{
	return net ? BPF_CORE_READ(net, ns.inum) : 0;
}

INLINE u32 skb_netns(struct sk_buff *skb, struct sock *sk)
{
	struct net_device *dev = BPF_CORE_READ(skb, dev);

	if (sk)
		return net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	if (dev)
		return net_inum(BPF_CORE_READ(dev, nd_net.net));
	sk = BPF_CORE_READ(skb, sk);
	return sk ? net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net)) : 0;
}

/* Bytes received and not read; a FIN counts as one in rcv_nxt: include/net/tcp.h tcp_inq. */
INLINE u32 sock_unread(struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;
	u32 n = BPF_CORE_READ(tp, rcv_nxt) - BPF_CORE_READ(tp, copied_seq);

	return n && BPF_CORE_READ(sk, __sk_common.skc_flags) & (1ul << SOCK_DONE) ? n - 1 : n;
}

#endif
