/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Reads packets and sockets into records. */
#ifndef TCPWHY_READ_BPF_H
#define TCPWHY_READ_BPF_H

#include "packet.bpf.h"

/*
 * A pointer that the verifier knows the type of, as a plain number: every access is a probe read.
 */
INLINE void *untyped(const void *typed)
{
	void *plain = NULL;

	bpf_probe_read_kernel(&plain, sizeof(plain), &typed);
	return plain;
}

/*
 * The verifier follows what a function wrote on every path to the program's end; of what a helper has
 * written it knows nothing, so that all paths become one. (684,000 instructions become 24,000.)
 */
INLINE void forget(void *p, u32 size)
{
	bpf_probe_read_kernel(p, size, p);
}

INLINE u64 read_u64(u64 addr)
{
	u64 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), (void *)addr);
	return v;
}

/* ---- packets --------------------------------------------------------------------------------- */

struct ip4 {
	u8 ver_ihl;
	u8 tos;
	__be16 len;
	__be16 id;
	__be16 frag;
	u8 ttl;
	u8 proto;
	__be16 check;
	__be32 src;
	__be32 dst;
};

struct ip6 {
	u8 ver;
	u8 flow[3];
	__be16 len;
	u8 proto;
	u8 ttl;
	u8 src[16];
	u8 dst[16];
} __attribute__((aligned(8)));

struct tcp_header {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	u8 off;
	u8 flags;
	__be16 window;
};

#define IP6_EXT_MAX 4

/*
 * Skips the IPv6 extension headers that may stand before the transport: RFC 8200 section 4. Returns
 * its offset.
 */
INLINE u32 ip6_skip(const void *l3, u8 *proto, bool *frag)
{
	u32 off = sizeof(struct ip6);

#pragma clang loop unroll(disable)
	for (int i = 0; i < IP6_EXT_MAX; i++) {
		u8 ext[4] = {};

		if (*proto != 0 && *proto != 43 && *proto != 44 && *proto != 60)
			break;
		if (bpf_probe_read_kernel(ext, sizeof(ext), l3 + off))
			break;
		if (*proto == 44) {
			u16 where = (u16)ext[2] << 8 | ext[3];

			if (where & 0xfff8)
				*frag = true;
			off += 8;
		} else {
			off += ((u32)ext[1] + 1) * 8;
		}
		*proto = ext[0];
	}
	return off;
}

/*
 * Reads the network header at l3 into p; returns the offset of the transport header, 0 if this is
 * no IP packet.
 */
INLINE u32 packet_l3(const void *l3, struct rec_packet *p, u32 *end)
{
	union {
		struct ip4 v4;
		struct ip6 v6;
	} ip;
	u32 off;

	if (bpf_probe_read_kernel(&ip.v4, sizeof(ip.v4), l3))
		return 0;
	if (ip.v4.ver_ihl >> 4 == 4) {
		off = (ip.v4.ver_ihl & 15) * 4;
		if (off < 20)
			return 0;
		addr_set_v4(p->tuple.src, ip.v4.src);
		addr_set_v4(p->tuple.dst, ip.v4.dst);
		p->tuple.family = 4;
		p->tuple.proto = ip.v4.proto;
		p->ttl = ip.v4.ttl;
		p->ip_id = bpf_ntohs(ip.v4.id);
		p->ip_len = bpf_ntohs(ip.v4.len);
		*end = p->ip_len;
		p->has = PKT_L3;
		if (bpf_ntohs(ip.v4.frag) & 0x1fff)
			p->has |= PKT_FRAG;
		return off;
	}
	if (ip.v4.ver_ihl >> 4 == 6) {
		bool frag = false;

		if (bpf_probe_read_kernel(&ip.v6, sizeof(ip.v6), l3))
			return 0;
		__builtin_memcpy(p->tuple.src, ip.v6.src, 16);
		__builtin_memcpy(p->tuple.dst, ip.v6.dst, 16);
		p->tuple.family = 6;
		p->tuple.proto = ip.v6.proto;
		p->ttl = ip.v6.ttl;
		p->ip_len = bpf_ntohs(ip.v6.len) + sizeof(ip.v6);
		*end = p->ip_len;
		p->has = PKT_L3;
		off = ip6_skip(l3, &p->tuple.proto, &frag);
		if (frag)
			p->has |= PKT_FRAG;
		return off;
	}
	return 0;
}

/* Reads the ports and, for TCP, the rest of the header at l4. */
INLINE void packet_l4(const void *l4, struct rec_packet *p, u32 payload_max)
{
	struct tcp_header th;

	if (p->tuple.proto == IPPROTO_TCP) {
		u32 header;

		if (bpf_probe_read_kernel(&th, sizeof(th), l4))
			return;
		p->tuple.sport = bpf_ntohs(th.sport);
		p->tuple.dport = bpf_ntohs(th.dport);
		p->seq = bpf_ntohl(th.seq);
		p->ack = bpf_ntohl(th.ack);
		p->window = bpf_ntohs(th.window);
		p->tcp_flags = th.flags;
		header = (th.off >> 4) * 4;
		p->payload = payload_max > header ? payload_max - header : 0;
		p->has |= PKT_L4;
	} else if (p->tuple.proto == IPPROTO_UDP) {
		if (bpf_probe_read_kernel(&th, 8, l4))
			return;
		p->tuple.sport = bpf_ntohs(th.sport);
		p->tuple.dport = bpf_ntohs(th.dport);
		p->payload = payload_max > 8 ? payload_max - 8 : 0;
		p->has |= PKT_L4;
	} else if (p->tuple.proto == IPPROTO_ICMP || p->tuple.proto == IPPROTO_ICMPV6) {
		if (bpf_probe_read_kernel(&th, 8, l4))
			return;
		p->icmp_type = (u8)th.sport; /* network order: first byte type, second code */
		p->icmp_code = (u8)(th.sport >> 8);
		p->has |= PKT_L4;
	}
}

/*
 * Finds the network header of an skb whose header offsets may not be set yet; inner VLAN tags are
 * skipped.
 */
INLINE const void *skb_l3(struct sk_buff *skb, bool at_data, struct rec_packet *p)
{
	u16 protocol = bpf_ntohs(BPF_CORE_READ(skb, protocol));
	const unsigned char *head = BPF_CORE_READ(skb, head);
	u16 nh = BPF_CORE_READ(skb, network_header);
	const unsigned char *l3;

	if (at_data || !nh || nh == 0xffff)
		l3 = BPF_CORE_READ(skb, data);
	else
		l3 = head + nh;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 2 && (protocol == ETH_P_8021Q || protocol == ETH_P_8021AD); i++) {
		__be16 tag[2];

		if (bpf_probe_read_kernel(tag, sizeof(tag), l3))
			return NULL;
		p->vlan = bpf_ntohs(tag[0]) & 0xfff;
		p->has |= PKT_VLAN;
		protocol = bpf_ntohs(tag[1]);
		l3 += 4;
	}
	if (protocol != ETH_P_IP && protocol != ETH_P_IPV6)
		return NULL;
	return l3;
}

/*
 * Reads addresses, ports and TCP header of an skb into p, zeroed. 0: no IP packet, or its headers
 * aren't there.
 */
INLINE int packet_read(u64 skb, bool at_data, struct rec_packet *p)
{
	const void *l3;
	u32 off, end = 0;
	u8 had;

	l3 = skb_l3((void *)skb, at_data, p);
	had = p->has;
	if (!l3)
		return 0;
	off = packet_l3(l3, p, &end);
	p->has |= had;
	if (!off)
		return 0;
	forget(p, sizeof(*p));
	if (!(p->has & PKT_FRAG))
		packet_l4(l3 + off, p, end > off ? end - off : 0);
	forget(p, sizeof(*p));
	return 1;
}

/*
 * p, read from an ICMP error, becomes the quoted packet, icmp_src who sent it. 0: it quotes
 * nothing.
 */
INLINE int packet_read_quoted(u64 skb, bool at_data, struct rec_packet *p)
{
	u8 type, code, from[16] __attribute__((aligned(8)));
	u32 off, end = 0;
	const void *l3;

	type = p->icmp_type;
	code = p->icmp_code;
	l3 = skb_l3((void *)skb, at_data, p);
	if (!l3)
		return 0;
	__builtin_memcpy(from, p->tuple.src, 16);
	off = packet_l3(l3, p, &end);
	if (!off)
		return 0;
	l3 += off + 8;
	__builtin_memset(p, 0, sizeof(*p));
	off = packet_l3(l3, p, &end);
	if (!off)
		return 0;
	if (!(p->has & PKT_FRAG))
		packet_l4(l3 + off, p, 0);
	p->icmp_type = type;
	p->icmp_code = code;
	__builtin_memcpy(p->icmp_src, from, 16);
	forget(p, sizeof(*p));
	return 1;
}

INLINE void tuple_from_ct(struct rec_tuple *to, const struct nf_conntrack_tuple *from)
{
	struct nf_conntrack_man man = {};
	u32 dst[4] __attribute__((aligned(8))) = {};
	u16 l3num = BPF_CORE_READ(from, src.l3num);

	if (l3num == AF_INET) {
		addr_set_v4(to->src, BPF_CORE_READ(from, src.u3.all[0]));
		addr_set_v4(to->dst, BPF_CORE_READ(from, dst.u3.all[0]));
		to->family = 4;
	} else {
		BPF_CORE_READ_INTO(&man.u3, from, src.u3);
		BPF_CORE_READ_INTO(&dst, from, dst.u3);
		__builtin_memcpy(to->src, &man.u3, 16);
		__builtin_memcpy(to->dst, dst, 16);
		to->family = 6;
	}
	to->sport = bpf_ntohs(BPF_CORE_READ(from, src.u.all));
	to->dport = bpf_ntohs(BPF_CORE_READ(from, dst.u.all));
	to->proto = BPF_CORE_READ(from, dst.protonum);
}

INLINE u32 ct_mark(struct nf_conn *ct)
{
	return bpf_core_field_exists(ct->mark) ? BPF_CORE_READ(ct, mark) : 0;
}

INLINE u16 ct_zone(struct nf_conn *ct)
{
	return bpf_core_field_exists(ct->zone) ? BPF_CORE_READ(ct, zone.id) : 0;
}

/*
 * skb->_nfct: pointer to the entry, enum ip_conntrack_info in the low three bits
 * (include/linux/skbuff.h).
 */
/* Adds what conntrack knows of the skb. */
INLINE int packet_read_ct(u64 skb, struct rec_packet *p)
{
	unsigned long nfct = BPF_CORE_READ((struct sk_buff *)skb, _nfct);
	struct nf_conn *ct = (void *)(nfct & ~7ul);

	p->ctinfo = nfct ? nfct & 7 : CTINFO_NONE;
	if (!ct || !bpf_core_type_exists(struct nf_conn))
		return 0;
	tuple_from_ct(&p->ct_orig, &ct->tuplehash[0].tuple);
	tuple_from_ct(&p->ct_reply, &ct->tuplehash[1].tuple);
	p->ct_status = (u32)BPF_CORE_READ(ct, status);
	p->ct_mark = ct_mark(ct);
	p->ct_zone = ct_zone(ct);
	p->has |= PKT_CT;
	forget(p, sizeof(*p));
	return 1;
}

/* net/socket.c SOCK_INODE: the socket and its inode are one allocation. */
INLINE u32 sock_inode(struct sock *sk)
{
	struct socket *socket = BPF_CORE_READ(sk, sk_socket);
	struct socket_alloc *both;

	if (!socket)
		return 0;
	both = (void *)socket - bpf_core_field_offset(struct socket_alloc, socket);
	return (u32)BPF_CORE_READ(both, vfs_inode.i_ino);
}

INLINE bool sock_is_full(u8 state)
{
	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/* The tuple of a socket, local side first; for full sockets, request sockets and TIME_WAIT. */
INLINE int sock_tuple(u64 addr, struct rec_tuple *t)
{
	struct sock *sk = (void *)addr;
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	u16 num = BPF_CORE_READ(sk, __sk_common.skc_num);
	u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

	/*
	 * skc_num is 0 once unhashed (net/ipv4/inet_hashtables.c __inet_put_port); inet_sport
	 * stays.
	 */
	if (!num && sock_is_full(state))
		num = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	t->sport = num;
	t->dport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	t->family = 4;
	if (family == AF_INET) {
		addr_set_v4(t->src, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		addr_set_v4(t->dst, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else if (family == AF_INET6) {
		BPF_CORE_READ_INTO(&t->src, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&t->dst, sk, __sk_common.skc_v6_daddr);
		if (!(t->dst[10] == 0xff && t->dst[11] == 0xff && !t->dst[0] && !t->dst[1] &&
		      !t->dst[8] && !t->dst[9]))
			t->family = 6;
	} else {
		t->family = 0;
	}
	t->proto = sock_is_full(state) ? BPF_CORE_READ(sk, sk_protocol) : IPPROTO_TCP;
	if (!t->family)
		t->proto = 0; /* of a family with protocols of its own */
	forget(t, sizeof(*t));
	return 1;
}

/* The id of the cgroup that the socket was made in; 0 where cgroup v1 keeps something else there. */
INLINE u64 sock_cgroup(struct sock *sk)
{
	u64 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), &sk->sk_cgrp_data);
	return v & 1 ? 0 : BPF_CORE_READ((struct cgroup *)(v & ~3ull), kn, id);
}

INLINE int sock_read(u64 addr, struct rec_sock *s)
{
	struct sock *sk = (void *)addr;
	u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	struct tcp_sock *tp = (void *)sk;
	unsigned long flags;

	sock_tuple(addr, &s->tuple);
	s->addr = addr;
	s->flags = SOCK_PRESENT;
	s->state = state;
	s->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	s->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	if (s->family == AF_INET6 && s->tuple.family == 4)
		s->flags |= SOCK_V4MAPPED;
	if (state == TCP_TIME_WAIT) {
		s->flags |= SOCK_TIMEWAIT;
		return 1;
	}
	if (state == TCP_NEW_SYN_RECV) {
		s->flags |= SOCK_REQUEST;
		s->retransmits = BPF_CORE_READ((struct request_sock *)sk, num_retrans);
		return 1;
	}
	s->cgroup = sock_cgroup(sk);
	if (BPF_CORE_READ(sk, sk_filter))
		s->flags |= SOCK_FILTER;
	s->err = BPF_CORE_READ(sk, sk_err);
	s->inode = sock_inode(sk);
	s->shutdown = BPF_CORE_READ(sk, sk_shutdown);
	s->rmem = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
	s->rcvbuf = BPF_CORE_READ(sk, sk_rcvbuf);
	flags = BPF_CORE_READ(sk, __sk_common.skc_flags);
	if (flags & (1ul << SOCK_DEAD))
		s->flags |= SOCK_DEAD_F;
	if (flags & (1ul << SOCK_KEEPOPEN))
		s->flags |= SOCK_KEEPALIVE;
	if ((flags & (1ul << SOCK_LINGER)) && !BPF_CORE_READ(sk, sk_lingertime))
		s->flags |= SOCK_LINGER0;
	if (s->tuple.proto != IPPROTO_TCP)
		return 1;
	if (state == TCP_LISTEN) {
		s->backlog = BPF_CORE_READ(sk, sk_ack_backlog);
		s->max_backlog = BPF_CORE_READ(sk, sk_max_ack_backlog);
		s->syn_queue = BPF_CORE_READ((struct inet_connection_sock *)sk,
					     icsk_accept_queue.qlen.counter);
		return 1;
	}
	s->snd_nxt = BPF_CORE_READ(tp, snd_nxt);
	s->snd_una = BPF_CORE_READ(tp, snd_una);
	s->rcv_nxt = BPF_CORE_READ(tp, rcv_nxt);
	s->rcv_wnd = BPF_CORE_READ(tp, rcv_wnd);
	s->write_seq = BPF_CORE_READ(tp, write_seq);
	s->snd_wnd = BPF_CORE_READ(tp, snd_wnd);
	s->user_timeout = BPF_CORE_READ((struct inet_connection_sock *)tp, icsk_user_timeout);
	s->probes = BPF_CORE_READ((struct inet_connection_sock *)tp, icsk_probes_out);
	s->unread = sock_unread(sk);
	s->retransmits = BPF_CORE_READ((struct inet_connection_sock *)tp, icsk_retransmits);
	return 1;
}

#endif
