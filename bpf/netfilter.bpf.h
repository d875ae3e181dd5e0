/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* What netfilter.bpf.c and conntrack.bpf.c noted of a packet, and how an event gets it. */
#ifndef TCPWHY_NETFILTER_BPF_H
#define TCPWHY_NETFILTER_BPF_H

#include "maps.bpf.h"

/* Of the hooks registered while tcpwhy runs; nf_covered: as many as have their probe, see src/source/hooks.c. */
u64 nf_registered = 0;
u64 nf_covered = ~0ull;

/* The skb's slot: it is this packet's if its skb is. */
INLINE struct nf_slot *nf_slot_of(u64 skb)
{
	u32 i = (u32)(skb >> 6) * 0x9e3779b1u >> (32 - NF_SLOTS_BITS);

	return bpf_map_lookup_elem(&nf_slots, &i);
}

INLINE void nf_chain_names(struct rec_nf *nf, const struct nf_slot *s)
{
	u64 chain = s->priv, table = 0, name = 0;
	u16 family = 0;

	bpf_probe_read_kernel(&nf->policy, sizeof(nf->policy),
			      (void *)(chain - cfg.nft.base_chain + cfg.nft.base_policy));
	bpf_probe_read_kernel(&table, sizeof(table), (void *)(chain + cfg.nft.chain_table));
	bpf_probe_read_kernel(&family, sizeof(family), (void *)(table + cfg.nft.table_family));
	nf->family = family & 0x3f;
	bpf_probe_read_kernel(&name, sizeof(name), (void *)(table + cfg.nft.table_name));
	bpf_probe_read_kernel_str(nf->table, sizeof(nf->table), (void *)name);
	bpf_probe_read_kernel(&name, sizeof(name), (void *)(chain + cfg.nft.chain_name));
	bpf_probe_read_kernel_str(nf->base, sizeof(nf->base), (void *)name);
	if (!s->chain)
		return;
	bpf_probe_read_kernel(&name, sizeof(name), (void *)(s->chain + cfg.nft.chain_name));
	bpf_probe_read_kernel_str(nf->chain, sizeof(nf->chain), (void *)name);
}

/* Adds what netfilter decided about the packet; over: it is dropped, its slot is free. */
INLINE void event_netfilter(struct rec_event *r, u64 skb, bool over)
{
	struct nf_slot *s = nf_slot_of(skb);
	struct nf_words *w;

	if (!s || s->skb != skb)
		return;
	r->nf.has = NF_HOOK;
	r->nf.function = s->function;
	r->nf.priv = s->priv;
	r->nf.pf = s->pf;
	r->nf.hook = s->hook;
	if (nf_registered == nf_covered)
		r->nf.has |= NF_COVERED;
	if (s->nft && cfg.nft.base_chain) {
		r->nf.has |= NF_CHAIN;
		nf_chain_names(&r->nf, s);
	}
	if (s->expr) {
		r->nf.has |= NF_RULE | (s->handle ? NF_HANDLE : 0);
		r->nf.expr = s->expr;
		r->nf.expr_function = s->expr_function;
		r->nf.handle = s->handle;
	}
	w = s->invalid ? bpf_map_lookup_elem(&nf_words, &skb) : NULL;
	if (w) {
		r->nf.has |= NF_INVALID;
		__builtin_memcpy(r->nf.invalid, w->text, sizeof(w->text));
		r->nf.invalid_args[0] = w->args[0];
		r->nf.invalid_args[1] = w->args[1];
	}
	if (over)
		s->skb = 0;
}

#endif
