// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * Every packet passes here, so the first lines decide: only SYNs, their answers, resets and ICMP errors are
 * looked at (and, where tasks are watched, UDP on its way out, so that its flow is known when it is
 * dropped later). net/core/dev.c __dev_queue_xmit (net_dev_queue) and __netif_receive_skb_core
 * (netif_receive_skb).
 */
#include "event.bpf.h"

/* The same packet passes a bridge and its port within microseconds; a retransmission takes much longer. */
#define SAME_PACKET_NS (50 * 1000 * 1000ull)

enum interest { BORING, SYN, SYN_ACK, RST, ICMP_ERROR, UDP };

/* Cheap: reads a few bytes, fills nothing. */
INLINE enum interest packet_interest(const unsigned char *l3)
{
	struct quick q;
	u8 byte = 0; /* TCP flags, or ICMP type */

	if (!quick_read(l3, &q))
		return BORING;
	if (q.proto == IPPROTO_UDP)
		return cfg.task_filter ? UDP : BORING;
	if (q.proto == IPPROTO_TCP) {
		bpf_probe_read_kernel(&byte, 1, l3 + q.off + 13);
		if (byte & TCP_RST)
			return RST;
		if (byte & TCP_SYN)
			return byte & TCP_ACK ? SYN_ACK : SYN;
		return BORING;
	}
	if (q.proto != IPPROTO_ICMP && q.proto != IPPROTO_ICMPV6)
		return BORING;
	bpf_probe_read_kernel(&byte, 1, l3 + q.off);
	if (q.proto == IPPROTO_ICMPV6)
		return icmp6_is_error(byte) ? ICMP_ERROR : BORING;
	return icmp_is_error(byte) ? ICMP_ERROR : BORING;
}

INLINE int packet_event(void *ctx, u32 kind, struct sk_buff *skb, struct rec_packet *p, u32 netns,
			u32 repeats)
{
	u32 reason = kind == REC_ICMP_SENT || kind == REC_ICMP_RECV
			     ? (u32)p->icmp_type << 8 | p->icmp_code
			     : 0;
	struct rec_event *r = event_begin(ctx, kind, reason, 0, &p->tuple, netns);

	if (!r)
		return 0;
	event_packet(r, skb, p);
	r->repeats = repeats;
	event_memory(r, &p->tuple, NULL);
	event_context(r, ctx, false);
	event_submit(r);
	return 0;
}

/*
 * A SYN passes a VLAN, bond or bridge and the device below within microseconds. Sent again, it comes to the
 * same device, after two jiffies at least (net/ipv4/tcp_input.c tcp_rcv_synsent_state_process).
 */
#define SYN_PASSES_NS (10 * 1000 * 1000ull)

INLINE void note_syn_device(struct syn_sent *s, struct net_device *dev, const struct rec_packet *p)
{
	s->ifindex = BPF_CORE_READ(dev, ifindex);
	bpf_probe_read_kernel_str(s->ifname, sizeof(s->ifname), &dev->name);
	s->tuple = p->tuple;
}

INLINE void note_syn_sent(struct sock *sk, struct net_device *dev, const struct rec_packet *p)
{
	u64 id = (u64)sk, now = bpf_ktime_get_ns();
	struct rec_tuple own = {};
	struct syn_sent *s;
	u32 n, ifindex;
	bool again;

	s = bpf_map_lookup_elem(&syn_sent, &id);
	if (!s)
		s = syn_sent_new(id);
	if (!s)
		return;
	n = s->count;
	ifindex = BPF_CORE_READ(dev, ifindex);
	again = n && now - s->last_ns < SYN_PASSES_NS && ifindex != s->last_ifindex;
	s->last_ifindex = ifindex;
	if (!n || (n == 1 && again))
		note_syn_device(s, dev, p);
	if (again)
		return;
	s->last_ns = now;
	s->count = n + 1;
	if (!n) {
		sock_tuple(id, &own);
		s->sport = own.sport;
		s->dport = own.dport;
	}
	if (n >= REC_SYNS_MAX)
		return;
	s->connect.syn_ns[n] = now;
	s->connect.nr_syn = n + 1;
	if (p->payload)
		s->connect.syn_data |= 1u << n;
}

/* A SYN of another namespace (or host) leaves translated: whose it was, its conntrack entry tells. */
INLINE void note_syn_nat(const struct rec_packet *p)
{
	struct syn_nat nat = {.ns = bpf_ktime_get_ns(), .tuple = p->tuple};
	struct flow_key key, own;

	if (!(p->has & PKT_CT))
		return;
	flow_key_set(&key, &p->ct_orig, 0);
	flow_key_set(&own, &p->tuple, 0);
	if (!flow_equal(&key, &own))
		bpf_map_update_elem(&syn_nats, &key, &nat, BPF_ANY);
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, struct sk_buff *skb)
{
	const unsigned char *l3 = skb_quick_l3(skb, false);
	struct rec_packet p = {};
	struct net_device *dev;
	enum interest what;
	struct sock *sk;
	u32 netns;

	if (!l3)
		return 0;
	what = packet_interest(l3);
	if (what == BORING || what == SYN_ACK)
		return 0;
	skb = untyped(skb);
	if (!packet_read((u64)skb, false, &p))
		return 0;
	if (what == ICMP_ERROR && !packet_read_quoted((u64)skb, false, &p))
		return 0;
	packet_read_ct((u64)skb, &p);
	netns = skb_netns(skb, NULL);
	sk = BPF_CORE_READ(skb, sk);
	dev = BPF_CORE_READ(skb, dev);
	if (!wanted(&p, (u64)sk, netns, (u64)&dev->name, what == UDP && sk))
		return 0;
	if (what == SYN || what == UDP) {
		if (what == SYN && sk)
			note_syn_sent(sk, dev, &p);
		else if (what == SYN)
			note_syn_nat(&p);
		return 0;
	}
	return packet_event(ctx, what == RST ? REC_RST_OUT : REC_ICMP_SENT, skb, &p, netns, 0);
}

/* seen holds the packet already. */
INLINE void note_rst_seen(struct net_device *dev, struct rst_seen *seen, u32 netns)
{
	struct flow_key key;

	seen->ns = bpf_ktime_get_ns();
	seen->ifindex = BPF_CORE_READ(dev, ifindex);
	bpf_probe_read_kernel_str(seen->ifname, sizeof(seen->ifname), &dev->name);
	flow_key_set(&key, &seen->pkt.tuple, netns);
	bpf_map_update_elem(&rst_seen, &key, seen, BPF_ANY);
}

/*
 * How often has this very SYN (same initial sequence number) arrived here? A repetition means that
 * nobody answered the first, which is the only trace of a SYN refused for a full queue
 * (net/ipv4/tcp_input.c tcp_conn_request).
 */
INLINE u32 note_syn_seen(const struct rec_packet *p, u32 netns)
{
	struct syn_seen *s, first = {.isn = p->seq, .count = 1, .ns = bpf_ktime_get_ns()};
	struct flow_key key;

	flow_key_set(&key, &p->tuple, netns);
	s = bpf_map_lookup_elem(&syn_seen, &key);
	if (s && s->isn == p->seq) {
		if (first.ns - s->ns < SAME_PACKET_NS)
			return 1;
		s->ns = first.ns;
		return ++s->count;
	}
	bpf_map_update_elem(&syn_seen, &key, &first, BPF_ANY);
	return 1;
}

/*
 * From how far the other end's packets come, and how often the one came with which it began or answered: once for
 * each connection, if all goes well.
 */
INLINE void note_heard(const struct rec_packet *p, u32 netns)
{
	struct heard *h, first = {.ns = bpf_ktime_get_ns(),
				  .isn = p->seq,
				  .port = p->tuple.sport,
				  .ttl = p->ttl,
				  .count = 1};
	struct flow_key key;

	flow_key_set(&key, &p->tuple, netns);
	h = bpf_map_lookup_elem(&heard, &key);
	if (!h || h->isn != first.isn || h->port != first.port) {
		bpf_map_update_elem(&heard, &key, &first, BPF_ANY);
		return;
	}
	if (first.ns - h->ns < SAME_PACKET_NS)
		return;
	h->ns = first.ns;
	if (h->count < 255)
		h->count++;
}

/* net/ethernet/eth.c eth_type_trans: its hardware address is another's, so ip_rcv_core drops it; a bridge floods such. */
INLINE bool is_for_others(struct sk_buff *skb)
{
	return BPF_CORE_READ_BITFIELD_PROBED(skb, pkt_type) == PACKET_OTHERHOST;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(netif_receive_skb, struct sk_buff *skb)
{
	const unsigned char *l3 = skb_quick_l3(skb, true);
	struct rst_seen seen = {}; /* in place: there is no stack for a copy */
	struct rec_packet *p = &seen.pkt;
	struct net_device *dev;
	enum interest what;
	u32 netns, n;

	if (!l3)
		return 0;
	what = packet_interest(l3);
	if (what == BORING || what == UDP)
		return 0;
	skb = untyped(skb);
	if (!packet_read((u64)skb, true, p))
		return 0;
	if (what == ICMP_ERROR && !packet_read_quoted((u64)skb, true, p))
		return 0;
	packet_read_ct((u64)skb, p);
	netns = skb_netns(skb, NULL);
	dev = BPF_CORE_READ(skb, dev);
	if (!wanted(p, 0, netns, (u64)&dev->name, false))
		return 0;
	if (what == RST) {
		note_rst_seen(dev, &seen, netns);
		return 0;
	}
	if (what == SYN || what == SYN_ACK)
		note_heard(p, netns);
	if (what == SYN_ACK || (what == SYN && is_for_others(skb)))
		return 0;
	n = what == SYN ? note_syn_seen(p, netns) : 0;
	if (n == 1)
		return 0;
	return packet_event(ctx, n ? REC_SYN_AGAIN : REC_ICMP_RECV, skb, p, netns, n);
}
