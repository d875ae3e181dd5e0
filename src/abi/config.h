/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * What user space tells the kernel side before it is loaded: filters, limits, and which drop
 * reasons are noise.
 */
#ifndef TCPWHY_ABI_CONFIG_H
#define TCPWHY_ABI_CONFIG_H

#include "abi/record.h"

#define CONFIG_HOSTS 8
#define CONFIG_PORTS 8
#define CONFIG_REASONS 256

/*
 * The kernel functions that programs are attached to: name, module ("" the kernel itself), and where
 * each of the (at most three) arguments that its program wants is found in the kernel's BTF: by the
 * struct or enum that it is or points to, or, after an @, by how its name begins; after the colon its
 * place, from 1, where no BTF describes the function. "?" before it: not every kernel has it.
 */
#define KERNEL_FUNCTIONS(X)                                                                        \
	X(TCP_V4_SEND_RESET, tcp_v4_send_reset, "", "sock:1", "sk_buff:2", "?sk_rst_reason:0")     \
	X(TCP_V6_SEND_RESET, tcp_v6_send_reset, "ipv6", "sock:1", "sk_buff:2", "?sk_rst_reason:0") \
	X(TCP_SEND_ACTIVE_RESET, tcp_send_active_reset, "", "sock:1", "", "")                      \
	X(NF_SEND_RESET, nf_send_reset, "nf_reject_ipv4", "sk_buff:2", "@hook:3", "")              \
	X(NF_SEND_RESET6, nf_send_reset6, "nf_reject_ipv6", "sk_buff:2", "@hook:3", "")            \
	X(NF_SEND_UNREACH, nf_send_unreach, "nf_reject_ipv4", "sk_buff:1", "@hook:3", "@code:2")   \
	X(NF_SEND_UNREACH6, nf_send_unreach6, "nf_reject_ipv6", "sk_buff:2", "@hook:4", "@code:3") \
	X(TCP_CONN_REQUEST, tcp_conn_request, "", "sock:3", "sk_buff:4", "")                       \
	X(COOKIE_V4_INIT, cookie_v4_init_sequence, "", "", "", "")                                 \
	X(COOKIE_V6_INIT, cookie_v6_init_sequence, "ipv6", "", "", "")                             \
	X(COOKIE_V4_CHECK, cookie_v4_check, "", "sock:1", "sk_buff:2", "")                         \
	X(COOKIE_V6_CHECK, cookie_v6_check, "ipv6", "sock:1", "sk_buff:2", "")                     \
	X(COOKIE_V4_DECODE, __cookie_v4_check, "", "", "", "")                                     \
	X(COOKIE_V6_DECODE, __cookie_v6_check, "ipv6", "", "", "")                                 \
	X(TCP_CHECK_REQ, tcp_check_req, "", "sock:1", "sk_buff:2", "")                             \
	X(TCP_VALIDATE_INCOMING, tcp_validate_incoming, "", "sock:1", "sk_buff:2", "tcphdr:3")     \
	X(TCP_TIMEWAIT_STATE_PROCESS, tcp_timewait_state_process, "", "inet_timewait_sock:1",      \
	  "sk_buff:2", "tcphdr:3")                                                                 \
	X(SOCK_DEF_ERROR_REPORT, sock_def_error_report, "", "sock:1", "", "")                      \
	X(NF_CT_LOG_INVALID, nf_ct_l4proto_log_invalid, "nf_conntrack", "sk_buff:1", "@fmt:3", "") \
	X(NF_LOG_INVALID, nf_l4proto_log_invalid, "nf_conntrack", "sk_buff:1", "@fmt:5", "")       \
	X(NF_CT_DELETE, nf_ct_delete, "nf_conntrack", "nf_conn:1", "", "")                         \
	X(NF_CT_DELETE_LISTS, nf_ct_delete_from_lists, "nf_conntrack", "nf_conn:1", "", "")        \
	X(NF_CT_UNLIST, __nf_ct_delete_from_lists, "nf_conntrack", "nf_conn:1", "", "")            \
	X(NF_REGISTER_NET_HOOK, nf_register_net_hook, "", "", "", "")                              \
	X(NF_NAT_REGISTER_FN, nf_nat_register_fn, "nf_nat", "", "", "")                            \
	X(NFT_IMMEDIATE_EVAL, nft_immediate_eval, "nf_tables", "nft_expr:1", "nft_regs:2", "")     \
	X(NFT_LOOKUP_EVAL, nft_lookup_eval, "nf_tables", "nft_expr:1", "nft_regs:2", "")           \
	X(NFT_TARGET_EVAL_XT, nft_target_eval_xt, "nft_compat", "nft_expr:1", "nft_regs:2", "")    \
	X(NFT_REJECT_IPV4_EVAL, nft_reject_ipv4_eval, "nft_reject_ipv4", "nft_expr:1", "", "")     \
	X(NFT_REJECT_IPV6_EVAL, nft_reject_ipv6_eval, "nft_reject_ipv6", "nft_expr:1", "", "")     \
	X(NFT_REJECT_INET_EVAL, nft_reject_inet_eval, "nft_reject_inet", "nft_expr:1", "", "")     \
	X(NFT_REJECT_BRIDGE_EVAL, nft_reject_bridge_eval, "nft_reject_bridge", "nft_expr:1", "",   \
	  "")                                                                                      \
	X(NFT_QUEUE_EVAL, nft_queue_eval, "nft_queue", "nft_expr:1", "", "")

enum kernel_function {
#define KERNEL_FUNCTION_ENUM(id, ...) FN_##id,
	KERNEL_FUNCTIONS(KERNEL_FUNCTION_ENUM)
#undef KERNEL_FUNCTION_ENUM
		FN_COUNT,
};

#define FN_ARGS 3

/* Places of a function's arguments, from 1; 0: this kernel's has none such. */
struct config_fn {
	u8 arg[FN_ARGS];
	u8 ret; /* of what it returns, in a program that runs at its end */
};

/* What is only counted, by stack or otherwise, instead of watched: bits of config.stacks. */
#define STACKS_RST 0x01
#define STACKS_DROP 0x02
#define STACKS_RETRANSMIT 0x04
#define STACKS_CONNECT 0x08 /* a connect() begins */
#define STACKS_CLOSE 0x10   /* a socket's connection is over */
#define STACKS_ALL 0x1f

enum stacks_by { BY_STACK, BY_LOCATION, BY_REASON, BY_FLOW };

enum config_side { SIDE_EITHER, SIDE_SRC, SIDE_DST };

struct config_host {
	u8 addr[16]; /* IPv4-mapped, host bits zero */
	u8 mask[16];
	u8 side; /* enum config_side */
	u8 pad[7];
};

struct config_port {
	u16 port;
	u8 side;
	u8 pad;
};

/* Offsets in nftables' structs, found in BTF; all 0 where they are not known. */
struct config_nft {
	u16 base_chain; /* struct nft_base_chain: chain */
	u16 base_policy;
	u16 chain_blob; /* struct nft_chain: blob_gen_0, and behind it blob_gen_1 */
	u16 chain_list;
	u16 chain_table;
	u16 chain_name;
	u16 table_chains; /* struct nft_table */
	u16 table_family; /* the two bytes with its bits */
	u16 table_name;
	u8 old; /* rules are not in blobs yet: before 5.17 */
	u8 pad[5];
};

struct config {
	/*
	 * Filters. Hosts of one side are alternatives, as are ports; sides and kinds of filter must
	 * all match.
	 */
	struct config_host hosts[CONFIG_HOSTS];
	struct config_port ports[CONFIG_PORTS];
	u32 nr_hosts;
	u32 nr_ports;
	u32 netns;	/* inode number, 0 any */
	u8 proto;	/* 0 any */
	u8 filtered;	/* any filter at all */
	u8 flow_filter; /* hosts or ports: flows are admitted, both sides of a NAT */
	u8 task_filter; /* pids or comm */
	char ifname[16];
	char comm[16];
	/*
	 * Detail records a second and CPU for each (kind, reason, location, netns, protocol), and
	 * for each flow of it.
	 */
	u32 burst_key;
	u32 burst_flow;
	u8 all;		    /* noise too */
	u8 errors_by_state; /* nothing reports socket errors here: a socket's last state does */
	u8 connects;	    /* count what becomes of connect(), by destination */
	u8 stacks;	    /* STACKS_*: count these, and send nothing; 0 watch */
	u8 stacks_by;	    /* enum stacks_by */
	u8 task_regs;	    /* there is bpf_task_pt_regs() */
	u8 callers;	    /* note who calls connect(), with its stack */
	u8 pad;
	u32 snaplen; /* bytes of a packet's payload that are sent; 0 none */
	struct config_nft nft;
	struct config_fn fn[FN_COUNT];
	u8 noise[CONFIG_REASONS]; /* by skb_drop_reason */
};

#endif
