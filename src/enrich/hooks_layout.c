/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/hooks_layout.h"

#include <pthread.h>

static const struct hooks_layout blank = {{
#define HOOKS_MEMBER_BLANK(id, t, m, mod) [HM_##id] = {.type = (t), .member = (m), .module = (mod)},
	HOOKS_MEMBERS(HOOKS_MEMBER_BLANK)
#undef HOOKS_MEMBER_BLANK
}};

static const enum hooks_member needed[] = {HM_NET_IPV4,	   HM_ENTRIES_COUNT, HM_ENTRIES_HOOKS,
					   HM_OPS_HOOK,	   HM_OPS_PRIV,	     HM_OPS_PF,
					   HM_OPS_PRIORITY};

static void member_set(struct hooks_layout *l, enum hooks_member id, uint32_t at, uint32_t size)
{
	struct kmem_member *m = &l->at[id];

	m->found = true;
	m->at = at;
	m->size = size;
}

/*
 * Before 5.11 modules carry no BTF. This is how 5.10 lays out, without holes for any configuration,
 * struct nft_base_chain, nft_chain, nft_chain_type, nft_table (include/net/netfilter/nf_tables.h) and
 * nf_nat_lookup_hook_priv (net/netfilter/nf_nat_core.c). Two sizes depend on the configuration, and
 * the kernel's own BTF has them: struct nf_hook_ops and rhltable. What is read by this table must look
 * like a chain to be taken for one (hooks_maker.c).
 */
static void fill_5_10(struct hooks_layout *l)
{
	struct kmem_member sizes[] = {{.type = "nf_hook_ops"}, {.type = "rhltable"}};
	uint32_t ops, table;

	if (kmem_find(sizes, ARRAY_SIZE(sizes)) || !sizes[0].found || !sizes[1].found)
		return;
	ops = sizes[0].size;
	table = 16 + sizes[1].size; /* list, chains_ht */
	member_set(l, HM_BASE_TYPE, ops + 16, 8);
	member_set(l, HM_BASE_POLICY, ops + 24, 1);
	member_set(l, HM_BASE_CHAIN, ops + 40, 0);
	member_set(l, HM_CHAIN_TABLE, 64, 8);
	member_set(l, HM_CHAIN_NAME, 88, 8);
	member_set(l, HM_CHAIN_TYPE_NAME, 0, 8);
	member_set(l, HM_TABLE_FAMILY, table + 84, 1);
	l->at[HM_TABLE_FAMILY].bits = 6;
	member_set(l, HM_TABLE_NAME, table + 88, 8);
	member_set(l, HM_NAT_ENTRIES, 0, 8);
}

static bool is_there(const char *format, const char *module)
{
	char path[80];

	snprintf(path, sizeof(path), format, module);
	return access(path, F_OK) == 0;
}

/* Which of the modules with structs of ours are loaded: a bit for each member. */
static uint64_t modules_loaded(void)
{
	uint64_t loaded = 0;

	_Static_assert(HM_COUNT <= 64, "a bit for each");
	for (size_t i = 0; i < HM_COUNT; i++)
		if (blank.at[i].module && is_there("/sys/module/%s", blank.at[i].module))
			loaded |= 1ull << i;
	return loaded;
}

static int layout_find(struct hooks_layout *ret)
{
	int err;

	*ret = blank;
	err = kmem_find(ret->at, HM_COUNT);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!ret->at[needed[i]].found)
			return -EOPNOTSUPP;
	/* hook_ops_type came in 5.14 (commit 7b4b2fa37587), BTF of modules in 5.11. */
	if (!ret->at[HM_BASE_CHAIN].found && !ret->at[HM_OPS_TYPE].found)
		fill_5_10(ret);
	return 0;
}

int hooks_layout_get(struct hooks_layout *ret)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct hooks_layout layout;
	static uint64_t loaded;
	static bool known;
	uint64_t now = modules_loaded();
	int err = 0;

	pthread_mutex_lock(&lock);
	if (!known || now & ~loaded) {
		err = layout_find(&layout);
		known = !err;
		loaded = now;
	}
	*ret = layout;
	pthread_mutex_unlock(&lock);
	return err;
}
