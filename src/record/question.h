/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a timeline wants to know: data, raised by diagnose's causes, answered by enrich with
 * records.
 */
#ifndef TCPWHY_QUESTION_H
#define TCPWHY_QUESTION_H

#include "abi/record.h"

/* What a process's thread was at when it asked for something of the kernel. */
struct user_stack {
	uint32_t pid, tid;
	char comm[16]; /* of the thread */
	struct rec_user user;
};

/* clang-format off */
/* bit, JSON name */
#define QUESTIONS(X)                                                                                                   \
	X(NETNS, "netns")	  /* who is the namespace `netns`? one rec_netns */                                    \
	X(CONNTRACK, "conntrack") /* the entry of `tuple`, either direction, in `netns`: one rec_ct, found 0 or 1 */   \
	X(SOCKETS, "sockets")	  /* sockets of `tuple` (either orientation) in every namespace: rec_sock_info */       \
	X(SOCKETS_BY_PORT, "sockets_by_port") /* same peer, other local address (or port), every namespace */          \
	X(LISTENERS, "listeners") /* who listens on tuple.dport: here, near-by, elsewhere: rec_sock_info */             \
	X(ROUTE, "route")	  /* the route to tuple.dst from tuple.src in `netns`, and its neighbour entry */      \
	X(ROUTE_BACK, "route_back") /* the route to tuple.src in `netns` (for rp_filter) */                            \
	X(OWNER, "owner")	  /* the process that holds socket `inode`: one rec_sock_info */                       \
	X(SYSCTL, "sysctl")	  /* `name` in `netns` */                                                              \
	X(COUNTER, "counter")	  /* `name` ("TcpExtListenOverflows", "ConntrackDrop") in `netns` */                    \
	X(HOOKS, "hooks")	  /* the functions at hook `nf_hook` of family `nf_family` in `netns`: rec_hook */      \
	X(RULE, "rule")		  /* rule `handle` of `table` in `netns`, and who made it: at most one rec_rule */      \
	X(DROP_RULES, "drop_rules") /* what may drop at hook `nf_hook` of `nf_family` in `netns`: rec_rule */           \
	X(BPF_PROGS, "bpf_programs") /* those at `ifindex`, or at the cgroup `cgroup`: rec_bpf_prog */                  \
	X(NFQUEUES, "nfqueues")	  /* the queues of `netns` and who listens: rec_nfqueue */                              \
	X(CONNTRACK_TOP, "conntrack_top") /* who has most conntrack entries in `netns`: rec_ct_top */                  \
	X(LINK, "link")		  /* the device `ifindex` of `netns`: one rec_link */                                  \
	X(PORTS, "ports")	  /* local ports of `netns` in use for tuple.dst and its port, and by whom: one rec_ports */ \
	X(USER_STACK, "user_stack") /* whose stack is `stack`: one rec_process, and its rec_user_frames */
/* clang-format on */

enum question_bit {
#define QUESTION_BIT(id, name) Q_##id##_BIT,
	QUESTIONS(QUESTION_BIT)
#undef QUESTION_BIT
		Q_COUNT,
};

enum question_kind {
#define QUESTION_KIND(id, name) Q_##id = 1 << Q_##id##_BIT,
	QUESTIONS(QUESTION_KIND)
#undef QUESTION_KIND
};

#define NF_HOOK_ANY 0xff

struct question {
	uint64_t id;	   /* of the timeline that asks; comes back in rec_*.question */
	uint64_t event_ns; /* CLOCK_MONOTONIC of the event that raised it */
	uint32_t kind;	   /* one enum question_kind */
	uint32_t netns;	   /* inode number */
	uint32_t ifindex;  /* 0 unknown */
	uint32_t inode;	   /* OWNER */
	uint8_t nf_family; /* HOOKS, DROP_RULES: NFPROTO_* of the hook; RULE: of the table */
	uint8_t nf_hook;   /* HOOKS, DROP_RULES: its number in that family; NF_HOOK_ANY: all */
	uint8_t pad[2];
	uint64_t cgroup; /* BPF_PROGS: cgroup v2 id, 0 none */
	uint64_t handle; /* RULE; 0: the policy of the base chain `chain` */
	struct rec_tuple tuple;
	char table[NF_NAME_MAX]; /* RULE */
	char chain[NF_NAME_MAX]; /* RULE: "" not known */
	struct user_stack stack; /* USER_STACK */
	char name[80];		 /* "net.ipv4.conf.eth0.rp_filter", "TcpExtListenOverflows" */
};

#endif
