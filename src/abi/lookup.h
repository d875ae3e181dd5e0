/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Records of what lookups found: part of abi/record.h, which includes it. Each has its question's id
 * right behind the header.
 */
#ifndef TCPWHY_ABI_LOOKUP_H
#define TCPWHY_ABI_LOOKUP_H

/* Why this socket is an answer. */
enum sock_match {
	SOCK_MATCH_EXACT = 1,	/* the asked tuple, as its local/remote pair */
	SOCK_MATCH_PORTS,	/* same ports and peer, other local address (perhaps behind NAT) */
	SOCK_MATCH_LISTEN,	/* listens on the asked port, here, and would match */
	SOCK_MATCH_LISTEN_ADDR, /* … but on another address */
	SOCK_MATCH_LISTEN_FAMILY, /* … but only for the other family */
	SOCK_MATCH_LISTEN_NEAR,	  /* near-by port, same namespace */
	SOCK_MATCH_LISTEN_NETNS,  /* the asked port, another namespace */
	SOCK_MATCH_OWNER,	  /* the asked inode: who holds it (state is 0) */
	SOCK_MATCH_COUNT,
};

struct rec_sock_info {
	struct rec_hdr hdr; /* netns: where the socket lives */
	u64 question;	    /* which question this answers */
	struct rec_tuple tuple;
	u64 cookie;
	u32 inode;
	u32 uid;
	u32 rqueue;
	u32 wqueue; /* LISTEN: the backlog's limit */
	u32 drops;
	u32 pid; /* owner, 0 unknown */
	u8 state;
	u8 match; /* enum sock_match */
	u8 v6only;
	u8 pad[5];
	char comm[16];
	char container[80];
};

struct rec_ct {
	struct rec_hdr hdr;
	u64 question;
	struct rec_tuple orig;
	struct rec_tuple reply;
	u32 status; /* IPS_* bits */
	u32 timeout_s;
	u32 mark;
	u32 id;
	u16 zone;
	u8 tcp_state; /* enum tcp_conntrack */
	u8 found;     /* 0: there is none */
	u8 reply_dir; /* the asked tuple is the entry's reply direction */
	u8 pad[3];
};

struct rec_netns {
	struct rec_hdr hdr;
	u64 question;
	u32 pid; /* a process that lives there, 0 none */
	u32 pad;
	char name[64]; /* of ip netns, empty if none */
	char comm[16];
	char container[80]; /* "docker 0123456789ab", "kubernetes …", empty if none */
};

struct rec_route {
	struct rec_hdr hdr;
	u64 question;
	struct rec_tuple tuple; /* the asked one: route to dst */
	u8 gateway[16];
	u8 prefsrc[16];
	u32 oif;
	u32 table;
	s32 err; /* positive errno of the lookup, 0 found */
	u8 type; /* RTN_UNICAST… */
	u8 has_gateway;
	u8 iif_lookup; /* asked as a packet arriving, not leaving */
	u8 pad;
	char ifname[16];
};

struct rec_neigh {
	struct rec_hdr hdr;
	u64 question;
	u8 addr[16];
	u32 ifindex;
	u16 state; /* NUD_*, 0: no entry */
	u8 lladdr[8];
	u8 lladdr_len;
	u8 pad;
	char ifname[16];
};

struct rec_sysctl {
	struct rec_hdr hdr;
	u64 question;
	s64 value;
	char name[80];
};

struct rec_counter {
	struct rec_hdr hdr;
	u64 question;
	u64 value;
	u64 delta;     /* since base_ns */
	u64 base_ns;   /* CLOCK_MONOTONIC, 0: no earlier reading, delta is of no meaning */
	char name[48]; /* "TcpExtListenOverflows" */
};

/* Whose a netfilter hook function is. */
enum hook_maker {
	HOOK_KERNEL = 1, /* the kernel's own: conntrack, NAT, defragmentation, br_netfilter… */
	HOOK_NFTABLES,	 /* a base chain (iptables-nft makes those too) */
	HOOK_IPTABLES,	 /* iptables-legacy, arptables-legacy, ebtables-legacy */
	HOOK_BPF,	 /* a BPF program */
	HOOK_FOREIGN,	 /* a module that does not belong to the kernel */
	HOOK_MAKER_COUNT,
};

/* One function at one hook point; records of one answer come in call order. */
struct rec_hook {
	struct rec_hdr hdr;
	u64 question;
	u64 function; /* address */
	u64 priv;     /* what it was registered with */
	s32 priority;
	u32 prog_id;  /* HOOK_BPF */
	u32 prog_pid; /* HOOK_BPF: a process that holds it, 0 unknown or pinned */
	u32 ifindex;  /* netdev family: of the device */
	u8 pf;	      /* NFPROTO_*: ipv4, ipv6, arp, bridge, netdev, inet (ingress) */
	u8 hook;      /* number in that family */
	u8 maker;     /* enum hook_maker */
	u8 policy;    /* HOOK_NFTABLES: 0 drop, 1 accept */
	u8 family;    /* HOOK_NFTABLES: NFPROTO_* of the table */
	u8 nat;	      /* called by the kernel's NAT hook of that point, not directly */
	u8 pad[2];
	char name[64];	 /* of the function, "" unknown */
	char module[32]; /* "" the kernel itself */
	char table[NF_NAME_MAX];
	char chain[NF_NAME_MAX];
	char type[16]; /* of the chain: "filter" */
	char prog_name[32];
	char prog_comm[16]; /* of prog_pid */
	char ifname[16];
};

enum rule_maker { RULE_NFTABLES = 1, RULE_IPTABLES_NFT, RULE_IPTABLES_LEGACY, RULE_MAKER_COUNT };

#define RULE_ASKED 0x01	  /* the one that was asked for by its handle */
#define RULE_POLICY 0x02  /* not a rule: the policy of the base chain */
#define RULE_COUNTED 0x04 /* packets is real */
#define RULE_MOVED 0x08 /* its counter rose since the last look at it (or, at the first, isn't 0) */

/* A rule that was asked for, or one of those that may drop packets at a hook point. */
struct rec_rule {
	struct rec_hdr hdr;
	u64 question;
	u64 handle;  /* nftables */
	u64 packets; /* that it matched, by its counter */
	u32 number;  /* in its chain, from 1; 0 unknown */
	u8 family;   /* NFPROTO_* of the table */
	u8 hook;     /* of the base chain that leads to it, number in that family */
	u8 maker;    /* enum rule_maker */
	u8 flags;    /* RULE_* */
	char table[NF_NAME_MAX];
	char chain[NF_NAME_MAX];
	char base[NF_NAME_MAX]; /* base chain that leads to it */
	char text[448];		/* as its maker prints it; cut with "…" */
};

enum bpf_place {
	BPF_AT_XDP = 1,
	BPF_AT_TC_INGRESS,
	BPF_AT_TC_EGRESS,
	BPF_AT_CGROUP_INGRESS, /* cgroup_skb */
	BPF_AT_CGROUP_EGRESS,
	BPF_AT_CGROUP_CONNECT, /* cgroup/connect4, connect6: can forbid connect() */
	BPF_AT_CGROUP_BIND,
	BPF_AT_SOCKET, /* a socket filter */
	BPF_PLACE_COUNT,
};

struct rec_bpf_prog {
	struct rec_hdr hdr;
	u64 question;
	u32 id;
	u32 pid;       /* a process that holds it or its link, 0 unknown or pinned */
	u64 loaded_ns; /* CLOCK_BOOTTIME */
	u32 uid;       /* who loaded it */
	u32 ifindex;
	u8 place; /* enum bpf_place */
	u8 pad[7];
	char name[32];
	char comm[16]; /* of pid */
	char ifname[16];
	char where[80];	 /* "generic", "pref 49152 handle 0x1", "/sys/fs/cgroup/x" */
	char pinned[80]; /* path, "" not known to be pinned */
};

struct rec_nfqueue {
	struct rec_hdr hdr;
	u64 question;
	u32 queue;
	u32 portid; /* netlink port of the program that listens */
	u32 pid;    /* that program, 0 unknown */
	u32 waiting;
	u32 dropped;	  /* by the kernel, as the queue was full */
	u32 user_dropped; /* as the program's socket was full */
	char comm[16];
};

struct rec_link {
	struct rec_hdr hdr;
	u64 question;
	u32 ifindex;
	u32 master;	   /* ifindex, 0 none */
	u32 flags;	   /* IFF_* */
	u8 operstate;	   /* IF_OPER_* */
	u8 port_state;	   /* of a bridge port: BR_STATE_*; 0xff it is none */
	u8 vlan_filtering; /* of its bridge */
	u8 pad;
	char ifname[16];
	char kind[16]; /* "veth", "bridge" */
	char master_name[16];
};

/* A source address with many conntrack entries. */
struct rec_ct_top {
	struct rec_hdr hdr;
	u64 question;
	u8 src[16];
	u32 entries;	   /* of this source */
	u32 unreplied;	   /* … of them never answered */
	u32 dport_entries; /* … of them to its most frequent protocol and port */
	u32 total;	   /* entries of the namespace */
	u16 dport;
	u8 proto;
	u8 family;
	u8 pad[4];
};

/* How many local ports lead to one address and port, and who holds most of them. */
struct rec_ports {
	struct rec_hdr hdr;
	u64 question;
	u32 held;      /* ports of the range with a connection to it */
	u32 time_wait; /* … of them in TIME_WAIT, which no process holds */
	u32 top_held;  /* … of them of the process that has most */
	u32 pid;       /* that process, 0 unknown */
	u16 low, high; /* net.ipv4.ip_local_port_range */
	u8 pad[4];
	char comm[16];
	char container[80];
};

/* Who called connect() or close(). */
struct rec_process {
	struct rec_hdr hdr;
	u64 question;
	u32 pid;
	u32 args; /* of its command line, the program's name not counted */
	char comm[16];
	char program[256];  /* the first word of its command line: the others may be secrets */
	char container[80]; /* "" none */
};

/* Where the code of a frame lies, and what names it. */
enum user_frame_at {
	USER_IN_FILE = 1, /* named by the file's symbols, or nothing: name is empty */
	USER_FILE_UNREAD, /* the file is another one by now, or can't be read */
	USER_IN_PERF_MAP, /* made while the process ran, and named by it in /tmp/perf-PID.map */
	USER_IN_MEMORY,	  /* … and not named */
	USER_AT_COUNT,
};

/* Why there is no further frame. */
enum user_stack_end {
	USER_GOES_ON,
	USER_OUTERMOST, /* nobody called this function */
	USER_NO_POINTER, /* it keeps no frame pointer, and the stack was not kept as far as its caller */
	USER_NO_CODE, /* what should be an address in code is none */
	USER_FULL,    /* there may be more than are looked at */
	USER_END_COUNT,
};

/* One frame of a process's stack; those of one answer are in order, the innermost first. */
struct rec_user_frame {
	struct rec_hdr hdr;
	u64 question;
	u64 event_ns; /* of the event that it is of, CLOCK_MONOTONIC */
	u64 addr;
	u64 offset; /* from the function's start; without a name from the file's */
	u32 pid;
	u8 at;	/* enum user_frame_at */
	u8 end; /* enum user_stack_end */
	u8 unsure; /* nothing but the frame pointer tells its caller: the next frame may be a later one */
	u8 pad;
	char name[128];
	char object[120]; /* path, as the process sees it */
	char build_id[48];
};

struct rec_symbol {
	struct rec_hdr hdr;
	u64 addr;      /* the address asked */
	u64 offset;    /* from the function's start */
	u64 func_size; /* 0 unknown */
	char name[80];
	char module[32];
	char source[464]; /* the lines that it comes from (record/source_text.h), "" unknown */
};

/* rec_answer.err, in recordings only: -ETIME, nothing had come when the watch judged. */
#define REC_UNANSWERED (-62)

struct rec_answer {
	struct rec_hdr hdr;
	u64 question;
	u64 asked_ns; /* CLOCK_MONOTONIC of the event that raised it */
	u32 what;     /* enum question_kind */
	s32 err;      /* 0, or a negative errno: the lookup could not be made */
	u32 count;    /* records found */
	u32 late_us;  /* time from the event to the answer */
};

#endif
