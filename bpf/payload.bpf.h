/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* What a packet carries, for recordings with --snaplen. */
#ifndef TCPWHY_PAYLOAD_BPF_H
#define TCPWHY_PAYLOAD_BPF_H

#include "maps.bpf.h"
#include "read.bpf.h"

/*
 * Sends the beginning of what r's packet carries, before r itself: who gets r can have it. `typed` is the same packet, of
 * which the kernel itself copies what lies in pages, too, from skb->data on: net/core/filter.c
 * bpf_skb_event_output, since 5.5 (commit a7658e1a4164), in tp_btf programs only.
 */
INLINE void event_payload(const struct rec_event *r, struct sk_buff *skb, struct sk_buff *typed)
{
	u16 protocol = bpf_ntohs(BPF_CORE_READ(skb, protocol));
	u16 l3 = BPF_CORE_READ(skb, network_header);
	u64 data = (u64)BPF_CORE_READ(skb, data);
	struct rec_payload head = {.mono_ns = r->hdr.mono_ns, .len = r->pkt.payload, .cpu = r->cpu};
	u64 from;

	/* As skb_l3() finds the network header, but behind inner VLAN tags, or where it is not set yet. */
	if (!cfg.snaplen || !head.len || !l3 || l3 == 0xffff ||
	    (protocol != ETH_P_IP && protocol != ETH_P_IPV6))
		return;
	from = (u64)BPF_CORE_READ(skb, head) + l3 + r->pkt.ip_len - head.len;
	if (from < data)
		return;
	head.skip = from - data;
	if (head.len > cfg.snaplen)
		head.len = cfg.snaplen;
	(void)bpf_skb_output(typed, &payloads,
			     BPF_F_CURRENT_CPU | (u64)(head.skip + head.len) << 32, &head,
			     sizeof(head));
}

#endif
