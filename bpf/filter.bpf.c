// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* The global functions of lib.bpf.h that choose: the user's filters, and the limit of each flow. */
#include "event.bpf.h"

static __always_inline bool addr_in(const u8 *addr, const volatile struct config_host *h)
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
static __noinline int tuple_wanted(const struct rec_tuple *t)
{
	u8 need = 0, got = 0;

	if (!t)
		return 0;
	for (u32 i = 0; i < CONFIG_HOSTS && i < cfg.nr_hosts; i++) {
		const volatile struct config_host *h = &cfg.hosts[i];
		u8 side = h->side;

		need |= 1 << side;
		if ((side != SIDE_DST && addr_in(t->src, h)) ||
		    (side != SIDE_SRC && addr_in(t->dst, h)))
			got |= 1 << side;
	}
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

static __always_inline bool ifname_wanted(const void *ifname)
{
	char name[16] = {};

	bpf_probe_read_kernel(name, sizeof(name), ifname);
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
static __noinline int flow_wanted(const struct rec_packet *p, u64 sk, u32 netns, bool sender)
{
	const struct rec_tuple *t;

	if (!p)
		return 0;
	t = &p->tuple;
	if (cfg.flow_filter && !tuple_wanted(t) &&
	    !(p->has & PKT_CT && (tuple_wanted(&p->ct_orig) || tuple_wanted(&p->ct_reply))))
		return 0;
	if (!cfg.task_filter)
		return 1;
	return (sk && bpf_map_lookup_elem(&socks, &sk)) || port_watched(netns, t) ||
	       (sender && task_wanted());
}

__noinline int wanted(const struct rec_packet *p, u64 sk, u32 netns, u64 ifname, bool sender)
{
	const struct rec_tuple *t;

	if (!cfg.filtered)
		return 1;
	if (!p)
		return 0;
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

__noinline int flow_limit(u32 kind, u32 reason, u64 location, const struct rec_tuple *t, u64 now)
{
	struct limit_key key = {.location = location, .reason = reason, .kind = kind};
	struct limit_value *v, first = {.window_ns = now, .n = 1};

	if (!t)
		return 0;
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
