/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/live_private.h"

/* Bit offset of a member of a struct, searched in its unnamed parts too; -1: there is none. */
static int member_bits(const struct btf *btf, int id, const char *member)
{
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	if (!t || !btf_is_composite(t))
		return -1;
	for (uint32_t i = 0; i < btf_vlen(t); i++)
		if (strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), member) == 0)
			return (int)btf_member_bit_offset(t, i);
	return -1;
}

/* The byte that a member begins in, or of a bit field the u16 around it. */
static bool offset(const struct btf *btf, const char *type, const char *member, uint16_t *ret)
{
	int bits = member_bits(btf, btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT), member);

	if (bits < 0)
		return false;
	*ret = (uint16_t)(bits / 8 & (bits % 8 ? ~1 : ~0));
	return true;
}

static bool layout_by_btf(const struct btf *btf, struct config_nft *ret)
{
	ret->old = !offset(btf, "nft_chain", "blob_gen_0", &ret->chain_blob);
	return offset(btf, "nft_base_chain", "chain", &ret->base_chain) &&
	       offset(btf, "nft_base_chain", "policy", &ret->base_policy) &&
	       offset(btf, "nft_chain", "list", &ret->chain_list) &&
	       offset(btf, "nft_chain", "table", &ret->chain_table) &&
	       offset(btf, "nft_chain", "name", &ret->chain_name) &&
	       offset(btf, "nft_table", "chains", &ret->table_chains) &&
	       offset(btf, "nft_table", "family", &ret->table_family) &&
	       offset(btf, "nft_table", "name", &ret->table_name);
}

static uint16_t size_of(const struct btf *btf, const char *type)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);

	return id > 0 ? (uint16_t)btf__type_by_id(btf, (uint32_t)id)->size : 0;
}

/*
 * Before 5.11 modules carry no BTF: include/net/netfilter/nf_tables.h as it was in 5.10, put together
 * from the sizes of what the kernel itself knows.
 */
static bool layout_of_5_10(const struct btf *vmlinux, struct config_nft *ret)
{
	uint16_t ops = size_of(vmlinux, "nf_hook_ops"), ht = size_of(vmlinux, "rhltable");

	*ret = (struct config_nft){
		.old = 1,
		.base_policy = ops + 24, /* behind ops: a list, a pointer */
		.base_chain = ops + 40,	 /* policy and flags, a pointer */
		.chain_list = 32,
		.chain_table = 64,
		.chain_name = 88,
		.table_chains = 16 + ht,
	};
	/* Four lists, two u64, a u32. */
	ret->table_family = ret->table_chains + 4 * 16 + 2 * 8 + 4;
	ret->table_name = ret->table_family + 4;
	return ops && ht;
}

void nft_layout(struct btf *vmlinux, struct config_nft *ret)
{
	struct btf *module;
	bool found;

	*ret = (struct config_nft){0};
	if (layout_by_btf(vmlinux, ret))
		return;
	module = btf__load_module_btf("nf_tables", vmlinux);
	if (module)
		found = layout_by_btf(module, ret);
	else
		found = btf__find_by_name_kind(vmlinux, "btf_module", BTF_KIND_STRUCT) <= 0 &&
			layout_of_5_10(vmlinux, ret);
	btf__free(module);
	if (!found)
		*ret = (struct config_nft){0};
}
