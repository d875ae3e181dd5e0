/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* What the user wants to see: the filters, and the limit of each flow. */
#ifndef TCPWHY_FILTER_BPF_H
#define TCPWHY_FILTER_BPF_H

#include "read.bpf.h"

/* ---- tasks, flows and ports that are watched ------------------------------------------------- */

/*
 * Is the running task one that the user asked for? To be asked where a task must be running, not in
 * a softirq.
 */
INLINE bool task_wanted(void)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (cfg.comm[0]) {
		char comm[16] = {};

		bpf_get_current_comm(comm, sizeof(comm));
#pragma clang loop unroll(disable)
		for (int i = 0; i < 16; i++) {
			if (comm[i] != cfg.comm[i])
				return false;
			if (!comm[i])
				break;
		}
		return true;
	}
	return bpf_map_lookup_elem(&pids, &pid);
}

INLINE bool flow_admitted(const struct rec_tuple *t)
{
	struct flow_key key;

	flow_key_set(&key, t, 0);
	return bpf_map_lookup_elem(&flows, &key);
}

INLINE void flow_admit(const struct rec_tuple *t)
{
	struct flow_key key;
	u8 one = 1;

	flow_key_set(&key, t, 0);
	bpf_map_update_elem(&flows, &key, &one, BPF_ANY);
}

/* The listening ports of watched tasks, so that what arrives for them is theirs too. */
INLINE u64 port_key(u32 netns, u16 port)
{
	return (u64)netns << 16 | port;
}

INLINE bool port_watched(u32 netns, const struct rec_tuple *t)
{
	u64 in = port_key(netns, t->dport), out = port_key(netns, t->sport);

	return bpf_map_lookup_elem(&ports, &in) || bpf_map_lookup_elem(&ports, &out);
}

/* ---- filters ---------------------------------------------------------------------------------- */

INLINE bool addr_in(const u8 *addr, const volatile struct config_host *h)
{
	u64 a[2], want[2], mask[2];

	__builtin_memcpy(a, addr, 16);
	__builtin_memcpy(want, (const void *)h->addr, 16);
	__builtin_memcpy(mask, (const void *)h->mask, 16);
	return (a[0] & mask[0]) == want[0] && (a[1] & mask[1]) == want[1];
}

/*
 * Do the address and port filters accept t in this direction? Alternatives within a side, all sides
 * needed.
 */
INLINE int tuple_wanted(const struct rec_tuple *t)
{
	u8 need = 0, got = 0;

#pragma clang loop unroll(disable)
	for (u32 i = 0; i < CONFIG_HOSTS && i < cfg.nr_hosts; i++) {
		const volatile struct config_host *h = &cfg.hosts[i];
		u8 side = h->side;

		need |= 1 << side;
		if ((side != SIDE_DST && addr_in(t->src, h)) ||
		    (side != SIDE_SRC && addr_in(t->dst, h)))
			got |= 1 << side;
	}
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < CONFIG_PORTS && i < cfg.nr_ports; i++) {
		const volatile struct config_port *p = &cfg.ports[i];
		u8 side = p->side, bit = 8 << side;

		need |= bit;
		if ((side != SIDE_DST && t->sport == p->port) ||
		    (side != SIDE_SRC && t->dport == p->port))
			got |= bit;
	}
	return got == need;
}

INLINE bool ifname_wanted(const void *ifname)
{
	char name[16] = {};

	bpf_probe_read_kernel(name, sizeof(name), ifname);
#pragma clang loop unroll(disable)
	for (int i = 0; i < 16; i++) {
		if (name[i] != cfg.ifname[i])
			return false;
		if (!name[i])
			break;
	}
	return true;
}

/*
 * Is it of a flow that the address, port, task and interface filters choose, though not admitted
 * yet?
 */
INLINE int flow_wanted(const struct rec_packet *p, u64 sk, u32 netns, bool sender)
{
	const struct rec_tuple *t;

	t = &p->tuple;
	if (cfg.flow_filter && !tuple_wanted(t) &&
	    !(p->has & PKT_CT && (tuple_wanted(&p->ct_orig) || tuple_wanted(&p->ct_reply))))
		return 0;
	if (!cfg.task_filter)
		return 1;
	return (sk && bpf_map_lookup_elem(&socks, &sk)) || port_watched(netns, t) ||
	       (sender && task_wanted());
}

/*
 * The filters, before anything else is done. sk and ifname (address of a device's name) may be 0.
 * sender: the running task is the one that sends this, or calls for it; a softirq runs in anybody's
 * time. Namespace and protocol restrict the view; addresses, ports, tasks and the interface choose
 * flows, of which both sides of a NAT are followed.
 */
INLINE int wanted(const struct rec_packet *p, u64 sk, u32 netns, u64 ifname, bool sender)
{
	const struct rec_tuple *t;

	if (!cfg.filtered)
		return 1;
	t = &p->tuple;
	if (cfg.netns && netns != cfg.netns)
		return 0;
	if (cfg.proto && t->proto != cfg.proto)
		return 0;
	/* What has no interface of its own belongs to the one where its flow was seen. */
	if (cfg.ifname[0] && ifname && !ifname_wanted((void *)ifname))
		return 0;
	if (!cfg.flow_filter && !cfg.task_filter && !cfg.ifname[0])
		return 1;
	if (flow_admitted(t))
		return 1;
	if (cfg.ifname[0] && !ifname)
		return 0;
	if (!flow_wanted(p, sk, netns, sender))
		return 0;
	if (t->dport && t->sport) {
		flow_admit(t);
		if (p->has & PKT_CT) {
			flow_admit(&p->ct_orig);
			flow_admit(&p->ct_reply);
		}
	}
	return 1;
}

/* May a detail record of this flow be sent? At most cfg.burst_flow a second. */
INLINE int flow_limit(u32 kind, u32 reason, u64 location, const struct rec_tuple *t, u64 now)
{
	struct limit_key key = {.location = location, .reason = reason, .kind = kind};
	struct limit_value *v, first = {.window_ns = now, .n = 1};

	flow_key_set(&key.flow, t, 0);
	v = bpf_map_lookup_elem(&limits, &key);
	if (!v) {
		bpf_map_update_elem(&limits, &key, &first, BPF_ANY);
		return 1;
	}
	if (now - v->window_ns >= NSEC_PER_SEC) {
		v->window_ns = now;
		v->n = 1;
		return 1;
	}
	return ++v->n <= cfg.burst_flow;
}

#endif
