/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who made a hook, by what it was registered with. No function has a name here. */
#include "enrich/hooks_walk.h"

#define PF_IPV4 2
#define PF_ARP 3
#define PF_BRIDGE 7
#define PF_IPV6 10
#define PF_INET 1
#define PF_NETDEV 5

static bool found(const struct hooks_memory *m, enum hooks_member id)
{
	return m->layout.at[id].found;
}

/* Can a chain of a table of this family be called at a hook of pf? */
static bool family_fits(uint8_t family, uint8_t pf)
{
	if (family == PF_INET)
		return pf == PF_IPV4 || pf == PF_IPV6 || pf == PF_INET;
	return family == pf;
}

static bool one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(word, *words))
			return true;
	return false;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static int chain_type(const struct hooks_memory *m, uint64_t type, struct rec_hook *rec)
{
	/* net/netfilter/nft_chain_filter.c, nft_chain_nat.c, nft_chain_route.c */
	static const char *const types[] = {"filter", "nat", "route", NULL};
	struct hooks_view v;
	int err = hooks_view(m, type, HM_CHAIN_TYPE_NAME, HM_CHAIN_TYPE_NAME, &v);

	if (err)
		return err;
	err = hooks_string(m, view_get(&v, HM_CHAIN_TYPE_NAME), rec->type, sizeof(rec->type));
	return err < 0 ? err : one_of(rec->type, types) ? 0 : -EINVAL;
}

static int chain_table(const struct hooks_memory *m, uint64_t table, struct rec_hook *rec)
{
	struct hooks_view v;
	int err = hooks_view(m, table, HM_TABLE_FAMILY, HM_TABLE_NAME, &v);

	if (err)
		return err;
	rec->family = (uint8_t)view_get(&v, HM_TABLE_FAMILY);
	if (!family_fits(rec->family, rec->pf))
		return -EINVAL;
	err = hooks_string(m, view_get(&v, HM_TABLE_NAME), rec->table, sizeof(rec->table));
	return err < 0 ? err : 0;
}

/*
 * net/netfilter/nf_tables_api.c, nft_basechain_hook_init: priv is the struct nft_chain in a struct
 * nft_base_chain.
 */
static int base_chain(const struct hooks_memory *m, struct rec_hook *rec)
{
	struct hooks_view base, chain;
	int err;

	if (!found(m, HM_BASE_CHAIN) || !kernel_pointer(rec->priv))
		return -EINVAL;
	err = hooks_view(m, rec->priv - m->layout.at[HM_BASE_CHAIN].at, HM_BASE_TYPE,
			 HM_BASE_POLICY, &base);
	if (!err)
		err = hooks_view(m, rec->priv, HM_CHAIN_TABLE, HM_CHAIN_NAME, &chain);
	if (!err)
		err = chain_type(m, view_get(&base, HM_BASE_TYPE), rec);
	if (!err)
		err = chain_table(m, view_get(&chain, HM_CHAIN_TABLE), rec);
	if (err)
		return err;
	rec->policy = (uint8_t)view_get(&base, HM_BASE_POLICY);
	err = hooks_string(m, view_get(&chain, HM_CHAIN_NAME), rec->chain, sizeof(rec->chain));
	return err < 0 ? err : rec->policy > 1 ? -EINVAL : 0;
}

/*
 * Since 5.13 priv is the struct xt_table (net/ipv4/netfilter/ip_tables.c, ipt_register_table; of NAT
 * iptable_nat.c), then the struct ebt_table too.
 */
static int xtable(const struct hooks_memory *m, struct rec_hook *rec)
{
	static const char *const tables[] = {"filter",	 "nat",	   "mangle", "raw",
					     "security", "broute", NULL};
	bool bridge = rec->pf == PF_BRIDGE;
	enum hooks_member name = bridge ? HM_EBT_NAME : HM_XT_NAME;
	enum hooks_member valid = bridge ? HM_EBT_VALID : HM_XT_VALID;
	const struct kmem_member *at = &m->layout.at[name];
	struct hooks_view v;
	char text[16] = {0};
	int err;

	if (!at->found || !kernel_pointer(rec->priv))
		return -EINVAL;
	err = hooks_view(m, rec->priv, bridge ? HM_EBT_NAME : HM_XT_VALID,
			 bridge ? HM_EBT_VALID : HM_XT_NAME, &v);
	if (err)
		return err;
	memcpy(text, v.data + at->at, sizeof(text) - 1);
	if (!one_of(text, tables) || !(view_get(&v, valid) >> rec->hook & 1) ||
	    (!bridge && view_get(&v, HM_XT_AF) != rec->pf))
		return -EINVAL;
	str_copy(rec->table, sizeof(rec->table), text);
	return 0;
}

/* net/netfilter/nf_bpf_link.c, bpf_nf_link_attach: priv is the struct bpf_prog. */
static int program(const struct hooks_memory *m, struct rec_hook *rec)
{
	const struct kmem_member *name = &m->layout.at[HM_AUX_NAME];
	struct hooks_view v;
	size_t size;
	int err;

	if (!kernel_pointer(rec->priv) || !found(m, HM_PROG_AUX) || !found(m, HM_AUX_ID))
		return -EINVAL;
	err = hooks_view(m, rec->priv, HM_PROG_AUX, HM_PROG_AUX, &v);
	if (!err)
		err = hooks_view(m, view_get(&v, HM_PROG_AUX), HM_AUX_ID, HM_AUX_NAME, &v);
	if (err)
		return err;
	rec->prog_id = (uint32_t)view_get(&v, HM_AUX_ID);
	size = name->size < sizeof(rec->prog_name) ? name->size : sizeof(rec->prog_name);
	if (name->found && size)
		memcpy(rec->prog_name, v.data + name->at, size - 1);
	return 0;
}

static void forget(struct rec_hook *rec)
{
	rec->family = rec->policy = 0;
	rec->prog_id = 0;
	memset(rec->table, 0, sizeof(rec->table));
	memset(rec->chain, 0, sizeof(rec->chain));
	memset(rec->type, 0, sizeof(rec->type));
	memset(rec->prog_name, 0, sizeof(rec->prog_name));
}

void hooks_maker(const struct hooks_memory *m, uint64_t ops_type, struct rec_hook *rec)
{
	bool nft = found(m, HM_TYPE_NFT) && ops_type == m->layout.at[HM_TYPE_NFT].at;
	bool bpf = found(m, HM_TYPE_BPF) && ops_type == m->layout.at[HM_TYPE_BPF].at;

	if (bpf) {
		rec->maker = HOOK_BPF;
		if (program(m, rec))
			forget(rec);
		return;
	}
	/* Where no type says that it is a chain, the names must look like some. */
	if ((nft || !ops_type) && !base_chain(m, rec) &&
	    (nft || (printable(rec->table) && printable(rec->chain)))) {
		rec->maker = HOOK_NFTABLES;
		return;
	}
	forget(rec);
	rec->maker = nft ? HOOK_NFTABLES : HOOK_KERNEL;
	if (nft || ops_type)
		return;
	if (!xtable(m, rec))
		rec->maker = HOOK_IPTABLES;
}
