/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The record: the one thing that flows through tcpwhy, shared by the kernel side (bpf/) and user
 * space.
 *
 * Every record starts with struct rec_hdr. Kernel events are struct rec_event; what a lookup found
 * is one of the smaller structs below. All integers are in host byte order, addresses in network
 * byte order, IPv4 addresses as IPv4-mapped IPv6 (::ffff:a.b.c.d) so that one comparison serves
 * both families.
 */
#ifndef TCPWHY_ABI_RECORD_H
#define TCPWHY_ABI_RECORD_H

#ifndef __bpf__
#include <stdint.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;
#endif

#define REC_MAGIC 0x79687774u /* "twhy" */
#define REC_VERSION 8

/* clang-format off */
/* kind, JSON name, struct, words for a person */
#define REC_KINDS(X)                                                                                \
	X(RST_SENT, "reset_sent", rec_event, "reset sent by this host")                             \
	X(RST_OUT, "reset_out", rec_event, "reset leaving through a device")                        \
	X(RST_RECV, "reset_received", rec_event, "reset received")                                  \
	X(DROP, "drop", rec_event, "packet dropped")                                                \
	X(RETRANS, "retransmit", rec_event, "segment retransmitted")                                \
	X(SYN_RETRANS, "syn_retransmit", rec_event, "SYN retransmitted")                            \
	X(SYNACK_RETRANS, "synack_retransmit", rec_event, "SYN-ACK retransmitted")                  \
	X(SYN_AGAIN, "syn_again", rec_event, "the same SYN arrived again")                          \
	X(STATE, "state", rec_event, "socket state changed")                                        \
	X(SOCK_ERR, "socket_error", rec_event, "socket error reported")                             \
	X(ICMP_SENT, "icmp_sent", rec_event, "ICMP error sent")                                     \
	X(ICMP_RECV, "icmp_received", rec_event, "ICMP error received")                             \
	X(REJECT, "reject", rec_event, "packet rejected by a firewall rule")                        \
	X(HANDSHAKE, "handshake", rec_event, "step of a handshake")                                 \
	X(CHALLENGE, "challenge_ack", rec_event, "SYN met a connection of the same addresses")      \
	X(RST_IGNORED, "reset_ignored", rec_event, "reset arrived and was not accepted")            \
	X(TW_ANSWER, "time_wait_answer", rec_event, "SYN met a socket in TIME_WAIT")                \
	X(CONNECT, "connect_failed", rec_event, "connect() failed")                                 \
	X(CAPTURED, "captured", rec_captured, "seen in a capture")                                  \
	X(SOCK, "socket", rec_sock_info, "socket looked up")                                        \
	X(CT, "conntrack", rec_ct, "conntrack entry looked up")                                     \
	X(NETNS, "netns", rec_netns, "network namespace looked up")                                 \
	X(ROUTE, "route", rec_route, "route looked up")                                             \
	X(NEIGH, "neighbour", rec_neigh, "neighbour looked up")                                     \
	X(SYSCTL, "sysctl", rec_sysctl, "sysctl read")                                              \
	X(COUNTER, "counter", rec_counter, "kernel counter read")                                   \
	X(HOOK, "hook", rec_hook, "netfilter hook function looked up")                              \
	X(RULE, "rule", rec_rule, "firewall rule looked up")                                        \
	X(BPF_PROG, "bpf_program", rec_bpf_prog, "attached BPF program looked up")                  \
	X(NFQUEUE, "nfqueue", rec_nfqueue, "netfilter queue looked up")                             \
	X(LINK, "link", rec_link, "network device looked up")                                       \
	X(CT_TOP, "conntrack_top", rec_ct_top, "heaviest user of conntrack looked up")              \
	X(PORTS, "ports", rec_ports, "local ports looked up")                                       \
	X(PROCESS, "process", rec_process, "process looked up")                                     \
	X(USER_FRAME, "user_frame", rec_user_frame, "frame of a process looked up")                 \
	X(SYMBOL, "symbol", rec_symbol, "kernel symbol resolved")                                   \
	X(ANSWER, "answer", rec_answer, "lookup finished")
/* clang-format on */

enum rec_kind {
	REC_NONE,
#define REC_KIND_ENUM(id, ...) REC_##id,
	REC_KINDS(REC_KIND_ENUM)
#undef REC_KIND_ENUM
		REC_KIND_COUNT,
};

#define REC_KIND_IS_EVENT(k) ((k) >= REC_RST_SENT && (k) <= REC_CAPTURED)

struct rec_hdr {
	u32 magic;
	u16 version;
	u16 kind;
	u32 size;    /* of the whole record, bytes */
	u32 netns;   /* inode number of the network namespace, 0 unknown */
	u64 seq;     /* order of arrival in user space, from 1 */
	u64 mono_ns; /* CLOCK_MONOTONIC */
	u64 wall_ns; /* CLOCK_REALTIME, filled in user space */
};

/* Addresses and ports of one direction. */
struct rec_tuple {
	u8 src[16];
	u8 dst[16];
	u16 sport; /* host order */
	u16 dport;
	u8 family; /* 4, 6, or 0 unknown: what goes on the wire */
	u8 proto;  /* IPPROTO_* */
	u16 pad;
} __attribute__((aligned(8))); /* addresses are then copied and compared in two steps */

/* What a packet said. `has` tells which parts are real. */
#define PKT_L3 0x01   /* addresses, ttl, id, length */
#define PKT_L4 0x02   /* ports; for TCP also seq, ack, window, flags */
#define PKT_CT 0x04   /* ct_orig, ct_reply, ct_status are real: the skb has a conntrack entry */
#define PKT_VLAN 0x08 /* vlan is real */
#define PKT_FRAG 0x10 /* a fragment other than the first: no ports */

/*
 * Low three bits of skb->_nfct (include/uapi/linux/netfilter/nf_conntrack_common.h), and two states
 * of ours.
 */
#define CTINFO_UNTRACKED 7
/* _nfct is 0: INVALID, or conntrack isn't active in the namespace, or it was reset. */
#define CTINFO_NONE 0xff

struct rec_packet {
	struct rec_tuple tuple;
	u32 seq;
	u32 ack;
	u32 ip_len;
	u32 payload; /* TCP or UDP payload bytes */
	u16 ip_id;   /* IPv4 only */
	u16 window;  /* unscaled */
	u16 vlan;
	u8 tcp_flags;
	u8 ttl;
	u8 has;
	u8 ctinfo;
	u8 icmp_type;
	u8 icmp_code;
	u8 icmp_src[16]; /* who sent the ICMP error; tuple is then that of the quoted packet */
	u32 ct_status;
	u32 ct_mark;
	u16 ct_zone;
	u16 pad;
	struct rec_tuple ct_orig;
	struct rec_tuple ct_reply;
};

#define SOCK_PRESENT 0x01
#define SOCK_DEAD_F 0x02    /* orphan: no process holds it */
#define SOCK_LINGER0 0x04   /* SO_LINGER on with time 0 */
#define SOCK_TIMEWAIT 0x08  /* a struct inet_timewait_sock */
#define SOCK_REQUEST 0x10   /* a struct request_sock */
#define SOCK_V4MAPPED 0x20  /* AF_INET6 socket talking IPv4 */
#define SOCK_KEEPALIVE 0x40 /* SO_KEEPALIVE */
#define SOCK_FILTER 0x80    /* SO_ATTACH_FILTER, SO_ATTACH_BPF */

struct rec_sock {
	struct rec_tuple tuple; /* src is the local side */
	u64 addr;		/* of the kernel's struct: tells sockets apart while they live */
	u64 cookie;		/* 0: none was made yet */
	u64 cgroup;		/* cgroup v2 id, 0 unknown */
	u64 oldest_ns;		/* LISTEN: since when the first of the backlog waits; 0 unknown */
	u32 backlog;		/* LISTEN: connections waiting for accept() */
	u32 max_backlog;	/* LISTEN: limit of it */
	u32 unread;		/* bytes received, not read by the process */
	u32 snd_nxt, snd_una, rcv_nxt, rcv_wnd, write_seq;
	u32 rmem, rcvbuf; /* bytes */
	s32 err;	  /* sk_err */
	u32 inode;	  /* of the socket's file: leads to its process; 0: orphan */
	u32 snd_wnd;	  /* what the peer lets us send, bytes */
	u32 syn_queue;	  /* LISTEN: half-open connections */
	u32 user_timeout; /* TCP_USER_TIMEOUT, milliseconds; 0: not set */
	u16 family;	  /* AF_INET, AF_INET6 */
	u8 state;	  /* TCP_ESTABLISHED… */
	u8 flags;
	u8 shutdown;	/* RCV_SHUTDOWN 1, SEND_SHUTDOWN 2 */
	u8 retransmits; /* unanswered retransmissions so far */
	u8 probes;	/* unanswered zero window or keepalive probes so far */
	u8 pad;
};

/* RETRANS: the segment that is sent again, and what its connection knows of sizes. */
struct rec_segment {
	u64 acked;    /* bytes that the peer has acknowledged, in all */
	u32 size;     /* of the segment's data, bytes; 0: not known */
	u32 sacked;   /* bytes that the peer has, which were sent after it */
	u32 mss;      /* the most data that a segment takes now */
	u32 path_mtu; /* as the kernel believes */
};

/* What a task was doing when it closed a socket. */
enum task_ending {
	TASK_RUNS,
	TASK_EXITS,
	TASK_KILLED,	 /* by a signal, a crash included */
	TASK_OOM_KILLED, /* by the kernel, for want of memory */
};

struct rec_task {
	u32 pid;
	u32 tid;
	u64 cgroup; /* cgroup v2 id */
	char comm[16];
	u8 ending;  /* enum task_ending */
	u8 signal;  /* TASK_KILLED: which */
	u8 seccomp; /* CONNECT: 2 if a filter is asked about its system calls, SECCOMP_MODE_FILTER */
	u8 pad[5];
};

/*
 * The life of a connection as its server's kernel side sees it, CLOCK_MONOTONIC; 0: not seen. Only
 * `established_ns` and `reset_ns` are known in the tracepoint tier.
 */
struct rec_handshake {
	u64 syn_ns;	    /* the SYN reached the listener */
	u64 cookie_ns;	    /* it was answered with a SYN cookie */
	u64 checked_ns;	    /* an ACK was checked against the cookies */
	u64 acked_ns;	    /* an ACK matched the request socket */
	u64 established_ns; /* SYN_RECV -> ESTABLISHED */
	u64 reset_ns;	    /* a packet of it met no socket, or only the listener, and was reset */
};

#define REC_CT_STACK_MAX 10

/*
 * How conntrack's entry of a tuple left the table before its connection was over; with the kprobe or
 * trampoline tier. An entry that ends in the ordinary way leaves no such trace, and wipes out an older one.
 */
struct rec_ct_end {
	u64 ns; /* CLOCK_MONOTONIC; 0: not seen */
	struct rec_tuple orig;
	struct rec_tuple reply;
	u64 stack[REC_CT_STACK_MAX]; /* who ended it */
	u32 status;		     /* IPS_* bits */
	u32 mark;
	u32 pid; /* of the task that ran; it asked for it only if the stack says so */
	char comm[16];
	u16 zone;
	u8 tcp_state; /* enum tcp_conntrack */
	u8 expired;   /* its timeout had passed */
	u16 nr_stack;
	u8 pad[6];
};

#define REC_SYNS_MAX 16

/* A connect() until now: who called it, and when its SYNs reached a device. CLOCK_MONOTONIC. */
struct rec_connect {
	u64 began_ns; /* 0: not seen */
	u64 cgroup;   /* of who called it, cgroup v2 id */
	u64 syn_ns[REC_SYNS_MAX];
	u32 pid;
	u32 syn_data; /* bit n: SYN n, from 0, carried data (TCP Fast Open) */
	char comm[16];
	u16 nr_syn; /* of syn_ns */
	u8 pad[2];
	u32 tid; /* with --stacks: of the thread, whose stack at connect() is the event's `user`; 0: it isn't */
	u64 nat_ns; /* a SYN left translated, by whichever namespace forwarded it; 0: not seen */
	struct rec_tuple nat_tuple; /* … as this */
};

/* A connection that waits longer than that for accept(): its program is stuck, not just busy. */
#define ACCEPT_LATE_NS 1000000000ull

/* What the kernel side remembers of a flow from earlier, cheap events. */
struct rec_memory {
	u64 closed_ns; /* when a process closed this tuple's socket; 0: not seen */
	u32 closed_pid;
	u32 syn_count; /* SYNs of this connect() that reached a device */
	char closed_comm[16];
	u64 syn_first_ns;
	u32 syn_ifindex;  /* where the first of them left */
	u8 closed_state;  /* socket state when it was closed */
	u8 closed_unread; /* 1: bytes were unread at that time */
	u8 closed_ending; /* enum task_ending of the process that closed it */
	u8 closed_signal;
	char syn_ifname[16];
	struct rec_tuple syn_tuple; /* the SYN's tuple at the device: after NAT */
	struct rec_handshake handshake;
	struct rec_ct_end ct_end;
	struct rec_connect connect;
	u8 peer_ttl;  /* of the SYN or SYN-ACK that came from the other end; 0: not seen */
	u8 peer_syns; /* how often that has arrived */
	u8 pad[6];
};

/* HANDSHAKE: which step. */
enum handshake_step {
	STEP_SYN = 1,		/* a SYN reached a listener */
	STEP_ACCEPT_QUEUE_FULL, /* … and was refused: too many wait for accept() */
	STEP_SYN_QUEUE_FULL,	/* … too many are half open */
	STEP_SYN_BACKLOG_FULL, /* … the same, by net.ipv4.tcp_max_syn_backlog, as without cookies */
	STEP_COOKIE_SENT,
	STEP_COOKIE_CHECKED, /* an ACK without request socket, where cookies are in use */
	STEP_ACK_MATCHED,    /* an ACK found its request socket */
	STEP_COUNT,
};

#define STEP_IS_REFUSAL(step) ((step) >= STEP_ACCEPT_QUEUE_FULL && (step) <= STEP_SYN_BACKLOG_FULL)

/* TW_ANSWER: include/net/tcp.h enum tcp_tw_status. */
enum tw_answer { TW_NOTHING, TW_RST, TW_ACK, TW_SYN, TW_ACK_OOW, TW_COUNT };

/*
 * What netfilter did with this very packet, as probes on its functions saw it (kprobe tier): the hook
 * function that was entered last, and how a verdict came about there.
 */
#define NF_HOOK 0x01   /* function, priv, pf, hook are real */
#define NF_CHAIN 0x02  /* … it was an nftables base chain: table, base, policy are real */
#define NF_RULE 0x04   /* a rule's expression gave the verdict: expr, expr_function */
#define NF_HANDLE 0x08 /* … and the rule was found: handle; chain, if its name isn't empty */
#define NF_INVALID \
	0x10 /* conntrack called the packet INVALID: invalid, its own words ("": it gave none) */
#define NF_COVERED \
	0x20 /* every hook function that is registered has its probe: the last entered is the one */
/*
 * No probe saw it, the kernel's own trace told it (--nft-trace): table, chain, handle of the rule that
 * dropped the packet (then base and policy are not known); or table, base, policy. hook is NF_HOOK_ANY.
 */
#define NF_TRACED 0x40
#define NF_NAME_MAX 64

/* How the names of the tables begin that --nft-trace adds. Nothing in them drops. */
#define NF_TRACE_TABLE "tcpwhy_trace_"

struct rec_nf {
	u64 function; /* address of the hook function, or a few bytes into it */
	u64 priv;     /* what it was registered with: nft_chain, xt_table, bpf_nf_link… */
	u64 expr;     /* address of the nft_expr */
	u64 expr_function; /* what evaluated it: nft_immediate_eval, nft_lookup_eval (a verdict map)… */
	u64 handle;
	u8 has;
	u8 pf;	   /* NFPROTO_* of the hook */
	u8 hook;   /* its number in that family */
	u8 family; /* NFPROTO_* of the table */
	u8 policy; /* of the base chain: 0 drop, 1 accept */
	u8 pad[3];
	char table[NF_NAME_MAX];
	char base[NF_NAME_MAX];	 /* base chain */
	char chain[NF_NAME_MAX]; /* of the rule */
	char invalid[96];
	u64 invalid_args[2]; /* of a format in it; user space puts them in */
};

/* Who names the reason of an event. */
enum reason_from { REASON_NONE, REASON_TOLD, REASON_DERIVED };

#define REC_KSTACK_MAX 40
#define REC_USTACK_MAX 16
#define REC_UTOP_MAX 64
#define REC_HOOKS_MAX 8

/*
 * Where a thread of a process was when it called the kernel. What lies in its memory, from the stack pointer on, and its
 * registers are never shown and never recorded.
 */
struct rec_user {
	u64 frames[REC_USTACK_MAX]; /* by frame pointers */
	u64 sp, bp;
	u64 top[REC_UTOP_MAX];
	u8 nr, nr_top; /* of frames and top */
	u8 pad[6];
};

struct rec_event {
	struct rec_hdr hdr;
	u32 ifindex;
	u32 iif;
	char ifname[16];
	u64 location; /* DROP: address of the caller of kfree_skb */
	/*
	 * DROP: skb_drop_reason; RST_SENT: sk_rst_reason, see has_reason. REJECT: 0 with a reset, else
	 * with ICMP, type << 8 | code.
	 */
	u32 reason;
	s32 err;       /* CONNECT, SOCK_ERR: positive errno; RETRANS: result of the transmission */
	u8 has_reason; /* enum reason_from: told by the kernel, or derived from where it happened */
	u8 old_state;
	u8 new_state;
	u8 active; /* RST_SENT: the socket sent it by itself (tcp_send_active_reset) */
	u16 nr_kstack;
	u16 nr_hooks;
	u16 step; /* HANDSHAKE: enum handshake_step; TW_ANSWER: enum tw_answer; REJECT: hook number */
	u16 cpu;
	u32 repeats;	      /* SYN_AGAIN: how often it has arrived */
	char reason_name[40]; /* without its prefix; from the kernel's BTF, in user space */
	struct rec_packet pkt;
	struct rec_sock sock;
	struct rec_segment segment;
	struct rec_task task; /* who ran; the cause of it only if no softirq shows in kstack */
	struct rec_memory mem;
	u64 hooks[REC_HOOKS_MAX]; /* RST_SENT without socket: those at PRE_ROUTING */
	u64 kstack[REC_KSTACK_MAX];
	struct rec_user user;
	struct rec_nf nf;
};

/*
 * With --snaplen, before its event and apart from it: what the packet carries. Behind it come `skip` bytes of the packet,
 * and then the beginning of its payload.
 */
struct rec_payload {
	u64 mono_ns; /* of the event, as is cpu */
	u32 skip;
	u32 len; /* bytes */
	u16 cpu;
	u16 pad[3];
};

#include "abi/captured.h"
#include "abi/lookup.h" /* the structs of what lookups found */

/* ---- counters, kept in the kernel, exact ----------------------------------------------------- */

struct count_key {
	u64 location;
	u32 reason;
	u32 netns;
	u8 kind;
	u8 proto;
	u8 family;
	u8 pad[5];
};

/*
 * seen = shown + suppressed + lost, always: each event is added to exactly one of the last three.
 */
struct count_value {
	u64 seen;
	u64 shown;	/* sent to user space */
	u64 suppressed; /* rate-limited: counted only */
	u64 lost;	/* the ring buffer was full */
	u64 window_ns;	/* rate limit: start of the window */
	u64 in_window;	/* details sent in it */
	u64 looked;	/* events in it of which the flow was looked at */
};

#define STACK_DEPTH 32 /* frames, the program's two included: to walk one takes some 0.1 us */
#define STACKS_TABLE_SIZE 16384 /* rows; what has none is counted in `others` */
#define STACK_TRACES 32768

/* What is counted by stack, location, reason or flow: what it is not counted by is 0. */
struct stack_key {
	u64 location; /* DROP */
	struct rec_tuple flow;
	u32 reason; /* STATE: old << 8 | new */
	s32 stack;  /* number in the table of stacks; negative: it had no room, or there is none */
	u8 kind;    /* enum rec_kind */
	u8 skipped; /* frames left out above the stack, of the two that are the program's */
	u8 pad[6];
};

/* What becomes of connect(), for each destination. */
struct connect_key { /* all 0: destinations beyond the size of the table */
	u8 dst[16];
	u32 netns;
	u16 dport;
	u8 family;
	u8 pad;
};

#define CONNECT_BUCKETS 28
#define CONNECT_TABLE_SIZE 2048

struct connect_value {
	u64 connected;
	u64 failed;
	u64 max_ns;
	u64 buckets[CONNECT_BUCKETS]; /* those that took [2^n, 2^(n+1)) microseconds; the first: less, too */
};

#define REC_ASSERT_SIZE(type, bytes) \
	_Static_assert(sizeof(struct type) == (bytes), #type " changed: bump REC_VERSION")
REC_ASSERT_SIZE(rec_hdr, 40);
REC_ASSERT_SIZE(rec_tuple, 40);
REC_ASSERT_SIZE(rec_packet, 176);
REC_ASSERT_SIZE(rec_sock, 144);
REC_ASSERT_SIZE(rec_segment, 24);
REC_ASSERT_SIZE(rec_task, 40);
REC_ASSERT_SIZE(rec_handshake, 48);
REC_ASSERT_SIZE(rec_ct_end, 208);
REC_ASSERT_SIZE(rec_connect, 224);
REC_ASSERT_SIZE(rec_memory, 592);
REC_ASSERT_SIZE(rec_nf, 352);
REC_ASSERT_SIZE(rec_event, 2512);
REC_ASSERT_SIZE(rec_captured, 2616);
REC_ASSERT_SIZE(rec_sock_info, 224);
REC_ASSERT_SIZE(rec_ct, 152);
REC_ASSERT_SIZE(rec_netns, 216);
REC_ASSERT_SIZE(rec_route, 152);
REC_ASSERT_SIZE(rec_neigh, 96);
REC_ASSERT_SIZE(rec_sysctl, 136);
REC_ASSERT_SIZE(rec_counter, 120);
REC_ASSERT_SIZE(rec_hook, 392);
REC_ASSERT_SIZE(rec_rule, 712);
REC_ASSERT_SIZE(rec_bpf_prog, 304);
REC_ASSERT_SIZE(rec_nfqueue, 88);
REC_ASSERT_SIZE(rec_link, 112);
REC_ASSERT_SIZE(rec_ct_top, 88);
REC_ASSERT_SIZE(rec_ports, 168);
REC_ASSERT_SIZE(rec_process, 408);
REC_ASSERT_SIZE(rec_user_frame, 376);
REC_ASSERT_SIZE(rec_symbol, 640);
REC_ASSERT_SIZE(rec_answer, 72);

#endif
