// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * What netfilter decides about a packet: which hook function sees it last, which nftables rule gives the
 * verdict. Noted by skb, for the event that follows: netfilter.bpf.h.
 */
#include "function.bpf.h"

/* ---- hook functions -------------------------------------------------------------------------------- */

#define NF_INET_PRE_ROUTING 0
#define NF_INET_LOCAL_OUT 3

/*
 * A slot is another packet's if its skb, namespace or hook point differs, or if the first function of
 * the hook point comes again (skbs are reused at once, and nobody tells that one was accepted).
 */
INLINE int hook_enter(void *ctx, bool nft)
{
	u64 priv = arg_kprobe(ctx, 1), skb = arg_kprobe(ctx, 2);
	struct nf_hook_state *state = (void *)arg_kprobe(ctx, 3);
	u64 function = ip_kprobe(ctx), net = (u64)BPF_CORE_READ(state, net);
	u8 hook = BPF_CORE_READ(state, hook), pf = BPF_CORE_READ(state, pf);
	struct nf_slot *s = nf_slot_of(skb);

	if (!s)
		return 0;
	if (s->skb != skb || s->net != net || s->hook != hook || s->pf != pf ||
	    s->first == function) {
		if (s->skb != skb || hook == NF_INET_PRE_ROUTING || hook == NF_INET_LOCAL_OUT)
			s->invalid = 0;
		s->first = function;
	}
	s->skb = 0; /* until all is written */
	s->net = net;
	s->function = function;
	s->priv = priv;
	s->expr = 0;
	s->handle = 0;
	s->chain = 0;
	s->pf = pf;
	s->hook = hook;
	s->nft = nft;
	s->skb = skb;
	return 0;
}

/* Attached to every hook function that is registered: src/source/hooks.c. */
SEC("kprobe")
int nf_hook_kprobe(void *ctx)
{
	return hook_enter(ctx, false);
}

/* The same for those of nftables, whose argument is a base chain: net/netfilter/nft_chain_filter.c. */
SEC("kprobe")
int nf_hook_nft_kprobe(void *ctx)
{
	return hook_enter(ctx, true);
}

/*
 * net/netfilter/core.c, net/netfilter/nf_nat_core.c: a function that may have no probe yet. User space is
 * woken to see to that, by a record that it never gets.
 */
INLINE int hook_registered(void)
{
	void *none = bpf_ringbuf_reserve(&ring, 8, 0);

	__sync_fetch_and_add(&nf_registered, 1);
	if (none)
		bpf_ringbuf_discard(none, BPF_RB_FORCE_WAKEUP);
	return 0;
}

SEC("kprobe/nf_register_net_hook")
int nf_register_net_hook_kprobe(void *ctx)
{
	return hook_registered();
}

SEC("kprobe/nf_nat_register_fn")
int nf_nat_register_fn_kprobe(void *ctx)
{
	return hook_registered();
}

/* ---- nftables ---------------------------------------------------------------------------------------- */

struct nft_search {
	u64 expr;
	u64 chain;  /* struct nft_chain that is looked at, in the end the one with the rule */
	u64 node;   /* its place in the table's list */
	u64 head;   /* of that list */
	u64 at;	    /* struct nft_rule_dp that is looked at */
	u64 end;    /* of the rules of the chain */
	u64 handle; /* found */
};

/* struct nft_rule_blob: a size, then rules (kernels from 5.17 on, commit 2c865a8a28a1). */
INLINE bool blob_holds(struct nft_search *s, u64 blob)
{
	u64 size = blob ? read_u64(blob) : 0;

	if (s->expr <= blob || s->expr >= blob + 8 + size)
		return false;
	s->at = blob + 8;
	s->end = blob + 8 + size;
	return true;
}

INLINE bool chain_holds(struct nft_search *s)
{
	return blob_holds(s, read_u64(s->chain + cfg.nft.chain_blob)) ||
	       blob_holds(s, read_u64(s->chain + cfg.nft.chain_blob + 8));
}

static long next_chain(u32 i, struct nft_search *s)
{
	if (!s->node || s->node == s->head)
		return 1;
	s->chain = s->node - cfg.nft.chain_list;
	if (chain_holds(s))
		return 1;
	s->node = read_u64(s->node);
	return 0;
}

/* struct nft_rule_dp: bit 0 is_last, 12 bits dlen, 42 bits handle. */
static long next_rule(u32 i, struct nft_search *s)
{
	u64 word = s->at < s->end ? read_u64(s->at) : 1;
	u64 next = s->at + 8 + (word >> 1 & 0xfff);

	if (word & 1)
		return 1;
	if (s->expr > s->at && s->expr < next) {
		s->handle = word >> 13 & ((1ull << 42) - 1);
		return 1;
	}
	s->at = next;
	return 0;
}

#define NFT_CHAINS_MAX 16384
#define NFT_RULES_MAX 65536

/* The rule that the expression belongs to: in the base chain itself, or in another one of its table. */
INLINE void rule_search(struct nft_search *s, u64 base_chain)
{
	s->chain = base_chain;
	if (!chain_holds(s)) {
		s->head = read_u64(s->chain + cfg.nft.chain_table) + cfg.nft.table_chains;
		s->node = read_u64(s->head);
		bpf_loop(NFT_CHAINS_MAX, next_chain, s, 0);
	}
	if (s->at)
		bpf_loop(NFT_RULES_MAX, next_rule, s, 0);
	if (!s->handle)
		s->chain = 0;
}

#define NFT_RULE_STEPS 160

/*
 * Before 5.17: expressions lie within their struct nft_rule (a list_head, then 42 bits handle, 2 bits
 * genmask, 12 bits dlen, 1 bit udata, then the data). Going back, the first thing whose links check out
 * is it; lookups have a list_head of their own, but a pointer behind it. Its chain is left to user space:
 * the handle is the table's own.
 */
INLINE void rule_search_old(struct nft_search *s)
{
	u64 rule = s->expr - 24, link[3], dlen;

#pragma clang loop unroll(disable)
	for (u32 i = 0; i < NFT_RULE_STEPS; i++, rule -= 8) {
		if (bpf_probe_read_kernel(link, sizeof(link), (void *)rule))
			return;
		dlen = link[2] >> 44 & 0xfff;
		if (link[0] < 1ull << 63 || link[1] < 1ull << 63 || link[2] >> 57 || dlen & 7 ||
		    s->expr - rule - 24 >= dlen)
			continue;
		if (read_u64(link[0] + 8) == rule && read_u64(link[1]) == rule) {
			s->handle = link[2] & ((1ull << 42) - 1);
			return;
		}
	}
}

/* An expression has given the verdict: drop, or what amounts to it. */
INLINE int rule_decided(u64 expr, u64 function, u64 pkt, bool old)
{
	struct nft_search search = {.expr = expr};
	u64 skb = read_u64(pkt); /* struct nft_pktinfo: its first member */
	struct nf_slot *s = nf_slot_of(skb);

	if (!s || s->skb != skb || !s->nft)
		return 0;
	if (old)
		rule_search_old(&search);
	else
		rule_search(&search, s->priv);
	s->expr = expr;
	s->expr_function = function;
	s->handle = search.handle;
	s->chain = search.chain;
	return 0;
}

#define NFT_EXPR_DATA 8 /* struct nft_expr: its operations, then its data */

/* net/netfilter/nft_immediate.c: struct nft_immediate_expr is the data (16 bytes) and a register. */
INLINE bool immediate_drops(u64 expr)
{
	u8 dreg = 1;
	u32 code = 1;

	bpf_probe_read_kernel(&dreg, sizeof(dreg), (void *)(expr + NFT_EXPR_DATA + 16));
	bpf_probe_read_kernel(&code, sizeof(code), (void *)(expr + NFT_EXPR_DATA));
	return !dreg && !code; /* NFT_REG_VERDICT, NF_DROP */
}

#define NFT_VERDICT(function)                                                                      \
	SEC("kprobe/" #function)                                                                   \
	int function##_kprobe(void *ctx)                                                           \
	{                                                                                          \
		return rule_decided(arg_kprobe(ctx, 1), ip_kprobe(ctx), arg_kprobe(ctx, 3),        \
				    false);                                                        \
	}                                                                                          \
	SEC("kprobe/" #function)                                                                   \
	int function##_old_kprobe(void *ctx)                                                       \
	{                                                                                          \
		return rule_decided(arg_kprobe(ctx, 1), ip_kprobe(ctx), arg_kprobe(ctx, 3), true); \
	}

SEC("kprobe/nft_immediate_eval")
int nft_immediate_eval_kprobe(void *ctx)
{
	u64 expr = arg_kprobe(ctx, 1);

	if (!immediate_drops(expr))
		return 0;
	return rule_decided(expr, ip_kprobe(ctx), arg_kprobe(ctx, 3), false);
}

SEC("kprobe/nft_immediate_eval")
int nft_immediate_eval_old_kprobe(void *ctx)
{
	u64 expr = arg_kprobe(ctx, 1);

	if (!immediate_drops(expr))
		return 0;
	return rule_decided(expr, ip_kprobe(ctx), arg_kprobe(ctx, 3), true);
}

NFT_VERDICT(nft_reject_ipv4_eval)
NFT_VERDICT(nft_reject_ipv6_eval)
NFT_VERDICT(nft_reject_inet_eval)
NFT_VERDICT(nft_reject_bridge_eval)
NFT_VERDICT(nft_queue_eval)

/* Expressions of which only the end tells what they decided: struct nft_regs begins with the verdict. */
INLINE int expr_begins(void *ctx)
{
	u64 key = call_key();
	struct nft_call c = {
		.expr = arg_kprobe(ctx, 1),
		.regs = arg_kprobe(ctx, 2),
		.pkt = arg_kprobe(ctx, 3),
		.function = ip_kprobe(ctx),
	};

	bpf_map_update_elem(&nft_calls, &key, &c, BPF_ANY);
	return 0;
}

INLINE int expr_ends(bool old)
{
	u64 key = call_key();
	struct nft_call *c = bpf_map_lookup_elem(&nft_calls, &key);
	u32 code = 1;

	if (!c)
		return 0;
	bpf_probe_read_kernel(&code, sizeof(code), (void *)c->regs);
	if (code) /* NF_DROP is 0 */
		return 0;
	return rule_decided(c->expr, c->function, c->pkt, old);
}

#define NFT_AROUND(function)                    \
	SEC("kprobe/" #function)                \
	int function##_kprobe(void *ctx)        \
	{                                       \
		return expr_begins(ctx);        \
	}                                       \
	SEC("kretprobe/" #function)             \
	int function##_kretprobe(void *ctx)     \
	{                                       \
		return expr_ends(false);        \
	}                                       \
	SEC("kretprobe/" #function)             \
	int function##_old_kretprobe(void *ctx) \
	{                                       \
		return expr_ends(true);         \
	}

NFT_AROUND(nft_lookup_eval)
NFT_AROUND(nft_target_eval_xt)
