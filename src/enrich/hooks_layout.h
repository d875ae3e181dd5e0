/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where everything is that the walk along the kernel's hooks reads. */
#ifndef TCPWHY_ENRICH_HOOKS_LAYOUT_H
#define TCPWHY_ENRICH_HOOKS_LAYOUT_H

#include "enrich/kmem.h"

/*
 * id, struct or enum, member, module that has it if the kernel itself has not. The members of one
 * struct stand together, in any order, below one prefix.
 */
#define HOOKS_MEMBERS(X)                                              \
	X(NET_IPV4, "net", "nf.hooks_ipv4", NULL)                     \
	X(NET_IPV6, "net", "nf.hooks_ipv6", NULL)                     \
	X(NET_ARP, "net", "nf.hooks_arp", NULL)                       \
	X(NET_BRIDGE, "net", "nf.hooks_bridge", NULL)                 \
	X(NET_DEVICES, "net", "dev_base_head", NULL)                  \
	X(DEV_LIST, "net_device", "dev_list", NULL)                   \
	X(DEV_NAME, "net_device", "name", NULL)                       \
	X(DEV_IFINDEX, "net_device", "ifindex", NULL)                 \
	X(DEV_INGRESS, "net_device", "nf_hooks_ingress", NULL)        \
	X(DEV_EGRESS, "net_device", "nf_hooks_egress", NULL)          \
	X(ENTRIES_COUNT, "nf_hook_entries", "num_hook_entries", NULL) \
	X(ENTRIES_HOOKS, "nf_hook_entries", "hooks", NULL)            \
	X(OPS_HOOK, "nf_hook_ops", "hook", NULL)                      \
	X(OPS_PRIV, "nf_hook_ops", "priv", NULL)                      \
	X(OPS_PF, "nf_hook_ops", "pf", NULL)                          \
	X(OPS_TYPE, "nf_hook_ops", "hook_ops_type", NULL)             \
	X(OPS_NUMBER, "nf_hook_ops", "hooknum", NULL)                 \
	X(OPS_PRIORITY, "nf_hook_ops", "priority", NULL)              \
	X(TYPE_NFT, "nf_hook_ops_type", "NF_HOOK_OP_NF_TABLES", NULL) \
	X(TYPE_BPF, "nf_hook_ops_type", "NF_HOOK_OP_BPF", NULL)       \
	X(PROG_AUX, "bpf_prog", "aux", NULL)                          \
	X(AUX_ID, "bpf_prog_aux", "id", NULL)                         \
	X(AUX_NAME, "bpf_prog_aux", "name", NULL)                     \
	X(BASE_TYPE, "nft_base_chain", "type", "nf_tables")           \
	X(BASE_POLICY, "nft_base_chain", "policy", "nf_tables")       \
	X(BASE_CHAIN, "nft_base_chain", "chain", "nf_tables")         \
	X(CHAIN_TABLE, "nft_chain", "table", "nf_tables")             \
	X(CHAIN_NAME, "nft_chain", "name", "nf_tables")               \
	X(CHAIN_TYPE_NAME, "nft_chain_type", "name", "nf_tables")     \
	X(TABLE_FAMILY, "nft_table", "family", "nf_tables")           \
	X(TABLE_NAME, "nft_table", "name", "nf_tables")               \
	X(XT_VALID, "xt_table", "valid_hooks", "x_tables")            \
	X(XT_AF, "xt_table", "af", "x_tables")                        \
	X(XT_NAME, "xt_table", "name", "x_tables")                    \
	X(EBT_NAME, "ebt_table", "name", "ebtables")                  \
	X(EBT_VALID, "ebt_table", "valid_hooks", "ebtables")          \
	X(NAT_ENTRIES, "nf_nat_lookup_hook_priv", "entries", "nf_nat")

enum hooks_member {
#define HOOKS_MEMBER_ENUM(id, ...) HM_##id,
	HOOKS_MEMBERS(HOOKS_MEMBER_ENUM)
#undef HOOKS_MEMBER_ENUM
		HM_COUNT,
};

struct hooks_layout {
	struct kmem_member at[HM_COUNT];
};

/*
 * The running kernel's, read again when a module has come that was missing. 0; -EOPNOTSUPP if its BTF
 * lacks what no walk can do without; -ENODATA: it has none. From any thread.
 */
int hooks_layout_get(struct hooks_layout *ret);

#endif
