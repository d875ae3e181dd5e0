/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * What every hook shares: configuration, maps, reading packets and sockets, filters, counting,
 * submitting.
 */
#ifndef TCPWHY_COMMON_BPF_H
#define TCPWHY_COMMON_BPF_H

#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "abi/config.h"
#include "compat.bpf.h"

#define AF_INET 2
#define AF_INET6 10
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58

#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_FIN_WAIT1 4
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8
#define TCP_LAST_ACK 9
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

/* A function of its own for the verifier: keeps programs small. */
#define SUBPROG static __noinline __attribute__((unused))

#define NSEC_PER_SEC 1000000000ull

extern const volatile struct config cfg;
extern u64 lost_ever; /* events, of all kinds */

/* ---- maps: weak, so that the objects link into one set --------------------------------------- */

struct flow_key { /* a tuple without direction: the lower endpoint first */
	u64 lo[2];
	u64 hi[2];
	u16 lo_port;
	u16 hi_port;
	u32 netns; /* 0 where the flow is meant in every namespace */
};

struct limit_key {
	struct flow_key flow;
	u64 location;
	u32 reason;
	u32 kind;
};

struct limit_value {
	u64 window_ns;
	u64 n;
};

struct syn_seen { /* SYNs of one flow as they arrive at a namespace */
	u32 isn;
	u32 count;
	u64 ns;
};

struct syn_sent { /* SYNs of one socket as they leave through a device */
	u64 first_ns;
	u32 count;
	u32 ifindex;
	char ifname[16];
	struct rec_tuple tuple;
	u16 sport; /* of the socket itself: its address may be another's by now */
	u16 dport;
	u32 pad;
};

struct rst_seen { /* the last reset that arrived for a flow */
	struct rec_packet pkt;
	u64 ns;
	u32 ifindex;
	u32 pad;
	char ifname[16];
};

struct closed {
	u64 ns;
	u32 pid;
	u8 state;
	u8 unread;
	u8 ending;
	u8 signal;
	char comm[16];
};

/* A packet that a function is looking at, from its beginning to its end. */
enum call_of { CALL_VALIDATE = 1, CALL_TIMEWAIT, CALL_COOKIE };

struct call {
	u64 sk;
	u64 ns;
	u32 netns;
	u32 what; /* enum call_of */
	struct rec_packet pkt;
};

struct ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
};

#define TABLE(name, map_type, entries, k, v)  \
	struct name {                         \
		__uint(type, map_type);       \
		__uint(max_entries, entries); \
		__type(key, k);               \
		__type(value, v);             \
	}

TABLE(counts_map, BPF_MAP_TYPE_PERCPU_HASH, 2048, struct count_key, struct count_value);
TABLE(overflow_map, BPF_MAP_TYPE_PERCPU_ARRAY, 1, u32, struct count_value);
TABLE(limits_map, BPF_MAP_TYPE_LRU_HASH, 4096, struct limit_key, struct limit_value);
TABLE(flows_map, BPF_MAP_TYPE_LRU_HASH, 16384, struct flow_key, u8);
TABLE(pids_map, BPF_MAP_TYPE_HASH, 8192, u32, u8);
TABLE(socks_map, BPF_MAP_TYPE_LRU_HASH, 16384, u64, u8);
TABLE(ports_map, BPF_MAP_TYPE_LRU_HASH, 1024, u64, u8);
TABLE(syn_seen_map, BPF_MAP_TYPE_LRU_HASH, 8192, struct flow_key, struct syn_seen);
TABLE(syn_sent_map, BPF_MAP_TYPE_LRU_HASH, 8192, u64, struct syn_sent);
TABLE(rst_seen_map, BPF_MAP_TYPE_LRU_HASH, 1024, struct flow_key, struct rst_seen);
TABLE(closed_map, BPF_MAP_TYPE_LRU_HASH, 8192, struct flow_key, struct closed);
TABLE(handshakes_map, BPF_MAP_TYPE_LRU_HASH, 8192, struct flow_key, struct rec_handshake);
TABLE(calls_map, BPF_MAP_TYPE_LRU_HASH, 1024, u64, struct call);

#define MAP(type, name) struct type name SEC(".maps") __weak
MAP(ring_map, ring);
MAP(counts_map, counts);
MAP(overflow_map, overflow);
MAP(limits_map, limits);
MAP(flows_map, flows);
MAP(pids_map, pids);
MAP(socks_map, socks);
MAP(ports_map, ports);
MAP(syn_seen_map, syn_seen);
MAP(syn_sent_map, syn_sent);
MAP(rst_seen_map, rst_seen);
MAP(closed_map, closed);
MAP(handshakes_map, handshakes);
MAP(calls_map, calls);

/* ---- tuples ---------------------------------------------------------------------------------- */

static __always_inline void addr_set_v4(u8 *to, __be32 addr)
{
	u64 zero = 0;

	__builtin_memcpy(to, &zero, 8);
	to[8] = to[9] = 0;
	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, &addr, 4);
}

static __always_inline void flow_key_set(struct flow_key *key, const struct rec_tuple *t, u32 netns)
{
	u64 a[2], b[2];
	bool swap;

	__builtin_memcpy(a, t->src, 16);
	__builtin_memcpy(b, t->dst, 16);
	swap = a[0] > b[0] ||
	       (a[0] == b[0] && (a[1] > b[1] || (a[1] == b[1] && t->sport > t->dport)));
	key->lo[0] = swap ? b[0] : a[0];
	key->lo[1] = swap ? b[1] : a[1];
	key->hi[0] = swap ? a[0] : b[0];
	key->hi[1] = swap ? a[1] : b[1];
	key->lo_port = swap ? t->dport : t->sport;
	key->hi_port = swap ? t->sport : t->dport;
	key->netns = netns;
}

/*
 * ---- lib.bpf.c: global functions, which the verifier checks once instead of at every call (it
 * takes 0.3 s for some
 * otherwise). Their pointer arguments to kernel objects are plain numbers, since every access is a
 * probe read anyway; struct pointers must not be NULL; all return an int because the verifier wants
 * that.
 */

/*
 * A pointer that the verifier knows the type of, as the plain number that a global function takes.
 */
static __always_inline void *untyped(const void *typed)
{
	void *plain = NULL;

	bpf_probe_read_kernel(&plain, sizeof(plain), &typed);
	return plain;
}

/*
 * Where functions are static, the verifier follows what they wrote on every path to the program's
 * end; of what a helper has written it knows nothing, so that all paths become one. (684,000
 * instructions become 24,000.)
 */
static __always_inline void forget(void *p, u32 size)
{
	if (cfg.static_functions)
		bpf_probe_read_kernel(p, size, p);
}

/*
 * Reads addresses, ports and TCP header of an skb into p, zeroed. 0: no IP packet, or its headers
 * aren't there.
 */
int packet_read(u64 skb, bool at_data, struct rec_packet *p);
/*
 * p, read from an ICMP error, becomes the quoted packet, icmp_src who sent it. 0: it quotes
 * nothing.
 */
int packet_read_quoted(u64 skb, bool at_data, struct rec_packet *p);
/* Adds what conntrack knows of the skb. */
int packet_read_ct(u64 skb, struct rec_packet *p);
/* The tuple of a socket, local side first; for full sockets, request sockets and TIME_WAIT. */
int sock_tuple(u64 sk, struct rec_tuple *t);
int sock_read(u64 sk, struct rec_sock *s);
/*
 * The filters, before anything else is done. sk and ifname (address of a device's name) may be 0.
 * sender: the running task is the one that sends this, or calls for it; a softirq runs in anybody's
 * time. Namespace and protocol restrict the view; addresses, ports, tasks and the interface choose
 * flows, of which both sides of a NAT are followed.
 */
int wanted(const struct rec_packet *p, u64 sk, u32 netns, u64 ifname, bool sender);
/* May a detail record of this flow be sent? At most cfg.burst_flow a second. */
int flow_limit(u32 kind, u32 reason, u64 location, const struct rec_tuple *t, u64 now);

/* ---- a first, cheap look at a packet --------------------------------------------------------- */

/*
 * Where the network header is, read directly through the verifier's typed pointer: NULL if this is
 * no IP packet. One VLAN tag within the packet is skipped.
 */
static __always_inline const unsigned char *skb_quick_l3(struct sk_buff *skb, bool at_data)
{
	const unsigned char *l3 = at_data ? skb->data : skb->head + skb->network_header;
	u16 protocol = skb->protocol;

	if (protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD))
		return l3 + 4;
	return protocol == bpf_htons(ETH_P_IP) || protocol == bpf_htons(ETH_P_IPV6) ? l3 : NULL;
}

/* RFC 792, RFC 4443 section 2.1. */
static __always_inline bool icmp_is_error(u8 type)
{
	return type == 3 || type == 11 || type == 12;
}

static __always_inline bool icmp6_is_error(u8 type)
{
	return type && type < 128;
}

/* What the first ten bytes say: the version and the protocol. */
struct quick {
	u8 version;
	u8 proto;
	u8 off; /* of the transport header; IPv6: if no extension header is between */
};

static __always_inline bool quick_read(const unsigned char *l3, struct quick *q)
{
	u8 head[10];

	if (bpf_probe_read_kernel(head, sizeof(head), l3))
		return false;
	q->version = head[0] >> 4;
	q->proto = q->version == 4 ? head[9] : head[6];
	q->off = q->version == 4 ? (head[0] & 15) * 4 : 40;
	return q->version == 4 || q->version == 6;
}

static __always_inline u32 net_inum(struct net *net)
{
	return net ? BPF_CORE_READ(net, ns.inum) : 0;
}

static __always_inline u32 skb_netns(struct sk_buff *skb, struct sock *sk)
{
	struct net_device *dev = BPF_CORE_READ(skb, dev);

	if (sk)
		return net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	if (dev)
		return net_inum(BPF_CORE_READ(dev, nd_net.net));
	sk = BPF_CORE_READ(skb, sk);
	return sk ? net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net)) : 0;
}

/* Bytes received and not read; a FIN counts as one in rcv_nxt: include/net/tcp.h tcp_inq. */
static __always_inline u32 sock_unread(struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;
	u32 n = BPF_CORE_READ(tp, rcv_nxt) - BPF_CORE_READ(tp, copied_seq);

	return n && BPF_CORE_READ(sk, __sk_common.skc_flags) & (1ul << SOCK_DONE) ? n - 1 : n;
}

/* ---- what is remembered of a handshake -------------------------------------------------------- */

/* The flow's entry, made if need be; NULL where there is no room. */
SUBPROG struct rec_handshake *handshake_of(const struct rec_tuple *t, u32 netns)
{
	struct rec_handshake *h, none = {};
	struct flow_key key;

	if (!t)
		return NULL;
	flow_key_set(&key, t, netns);
	h = bpf_map_lookup_elem(&handshakes, &key);
	if (h)
		return h;
	bpf_map_update_elem(&handshakes, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&handshakes, &key);
}

/* ---- what a function is looking at -------------------------------------------------------------- */

/*
 * One thing runs at a time in a task, and on a CPU that idles (pid 0). A softirq that interrupts a task
 * in the middle of a call and makes the same call overwrites it: then the task's is lost, never taken
 * for another.
 */
static __always_inline u64 call_key(void)
{
	u64 id = bpf_get_current_pid_tgid();

	return id ? id : ~(u64)bpf_get_smp_processor_id();
}

#define CALL_MAX_NS 10000000ull /* older: its end was missed */

static __always_inline struct call *call_of(u32 what)
{
	u64 key = call_key();
	struct call *c = bpf_map_lookup_elem(&calls, &key);

	return c && c->what == what && bpf_ktime_get_ns() - c->ns < CALL_MAX_NS ? c : NULL;
}

static __always_inline void call_end(void)
{
	u64 key = call_key();

	bpf_map_delete_elem(&calls, &key);
}

/* ---- the task that runs ----------------------------------------------------------------------- */

#define PF_EXITING 0x4 /* include/linux/sched.h */

/* Is it about to end, and why? kernel/exit.c do_exit sets exit_code before it closes the files. */
static __always_inline u8 task_ending(u8 *signal)
{
	struct task_struct *t = (void *)bpf_get_current_task();

	if (!(BPF_CORE_READ(t, flags) & PF_EXITING))
		return TASK_RUNS;
	*signal = BPF_CORE_READ(t, exit_code) & 0x7f;
	if (!*signal)
		return TASK_EXITS;
	return BPF_CORE_READ(t, signal, oom_mm) ? TASK_OOM_KILLED : TASK_KILLED;
}

/* ---- tasks, flows and ports that are watched ------------------------------------------------- */

/*
 * Is the running task one that the user asked for? To be asked where a task must be running, not in
 * a softirq.
 */
static __always_inline bool task_wanted(void)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (cfg.comm[0]) {
		char comm[16] = {};

		bpf_get_current_comm(comm, sizeof(comm));
		for (int i = 0; i < 16; i++) {
			if (comm[i] != cfg.comm[i])
				return false;
			if (!comm[i])
				break;
		}
		return true;
	}
	return bpf_map_lookup_elem(&pids, &pid);
}

static __always_inline bool flow_admitted(const struct rec_tuple *t)
{
	struct flow_key key;

	flow_key_set(&key, t, 0);
	return bpf_map_lookup_elem(&flows, &key);
}

static __always_inline void flow_admit(const struct rec_tuple *t)
{
	struct flow_key key;
	u8 one = 1;

	flow_key_set(&key, t, 0);
	bpf_map_update_elem(&flows, &key, &one, BPF_ANY);
}

/* The listening ports of watched tasks, so that what arrives for them is theirs too. */
static __always_inline u64 port_key(u32 netns, u16 port)
{
	return (u64)netns << 16 | port;
}

static __always_inline bool port_watched(u32 netns, const struct rec_tuple *t)
{
	u64 in = port_key(netns, t->dport), out = port_key(netns, t->sport);

	return bpf_map_lookup_elem(&ports, &in) || bpf_map_lookup_elem(&ports, &out);
}

/* ---- counting, limiting, submitting ---------------------------------------------------------- */

static __always_inline void count(u64 *n)
{
	__sync_fetch_and_add(n, 1); /* a softirq may interrupt a task's program on the same CPU */
}

SUBPROG struct count_value *count_slot(struct count_key *key)
{
	struct count_value *v = bpf_map_lookup_elem(&counts, key), zero = {};
	u32 first = 0;

	if (v)
		return v;
	bpf_map_update_elem(&counts, key, &zero, BPF_NOEXIST);
	v = bpf_map_lookup_elem(&counts, key);
	return v ? v : bpf_map_lookup_elem(&overflow, &first);
}

/*
 * Has this second enough details of this place, or was it looked at often enough for one that is
 * another flow's?
 */
static __always_inline bool count_is_limited(const struct count_value *v)
{
	return v->in_window >= cfg.burst_key || v->looked >= 16 * cfg.burst_key;
}

/* Counts the event. NULL: the limits forbid a record of it. */
SUBPROG struct count_value *event_admit(struct count_key *key, const struct rec_tuple *t, u64 now)
{
	struct count_value *v;

	if (!key || !t)
		return NULL;
	key->proto = t->proto;
	key->family = t->family;
	v = count_slot(key);
	if (!v)
		return NULL;
	count(&v->seen);
	if (now - v->window_ns >= NSEC_PER_SEC) {
		v->window_ns = now;
		v->in_window = 0;
		v->looked = 0;
	}
	v->looked++;
	if (count_is_limited(v) || !flow_limit(key->kind, key->reason, key->location, t, now)) {
		count(&v->suppressed);
		return NULL;
	}
	v->in_window++;
	return v;
}

SUBPROG void event_init(struct rec_event *r, const struct count_key *key, const struct rec_tuple *t,
			u64 now)
{
	if (!r || !key || !t)
		return;
	/* In parts: clang makes no memset of more than 1024 bytes for BPF. */
	__builtin_memset(r, 0, __builtin_offsetof(struct rec_event, kstack));
	asm volatile("" ::: "memory");
	__builtin_memset(r->kstack, 0, sizeof(r->kstack));
	__builtin_memset(r->ustack, 0, sizeof(r->ustack));
	r->hdr.magic = REC_MAGIC;
	r->hdr.version = REC_VERSION;
	r->hdr.kind = key->kind;
	r->hdr.size = sizeof(*r);
	r->hdr.mono_ns = now;
	r->hdr.netns = key->netns;
	r->reason = key->reason;
	r->location = key->location;
	r->cpu = bpf_get_smp_processor_id();
	r->pkt.tuple = *t;
	r->pkt.ctinfo = CTINFO_NONE;
}

/*
 * Counts the event and, unless limits say otherwise, reserves a record for it. NULL: it has been
 * counted, that's all. The caller fills the record and calls event_submit().
 *
 * Inlined, so that the record is compared with NULL once: before 6.12 or so the verifier does not
 * know that it can't be NULL the second time, and complains of a reference not released.
 */
static __always_inline struct rec_event *event_begin(u32 kind, u32 reason, u64 location,
						     const struct rec_tuple *t, u32 netns)
{
	struct count_key key = {
		.location = location, .reason = reason, .netns = netns, .kind = kind};
	u64 now = bpf_ktime_get_ns();
	struct count_value *v = event_admit(&key, t, now);
	struct rec_event *r;

	if (!v)
		return NULL;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		count(&v->lost);
		count(&lost_ever);
		return NULL;
	}
	count(&v->shown);
	event_init(r, &key, t, now);
	return r;
}

static __always_inline void event_dev(struct rec_event *r, struct net_device *dev)
{
	if (!dev)
		return;
	r->ifindex = BPF_CORE_READ(dev, ifindex);
	bpf_probe_read_kernel_str(r->ifname, sizeof(r->ifname), &dev->name);
}

static __always_inline void event_packet(struct rec_event *r, struct sk_buff *skb,
					 const struct rec_packet *p)
{
	u16 vlan_proto = BPF_CORE_READ(skb, vlan_proto);

	r->pkt = *p;
	if (vlan_proto) {
		r->pkt.vlan = BPF_CORE_READ(skb, vlan_tci) & 0xfff;
		r->pkt.has |= PKT_VLAN;
	}
	r->iif = BPF_CORE_READ(skb, skb_iif);
	event_dev(r, BPF_CORE_READ(skb, dev));
}

static __always_inline void event_memory(struct rec_event *r, const struct rec_tuple *t,
					 struct sock *sk)
{
	struct flow_key key;
	struct rec_handshake *h;
	struct closed *c;
	struct syn_sent *s;
	u64 id = (u64)sk;

	flow_key_set(&key, t, r->hdr.netns);
	c = bpf_map_lookup_elem(&closed, &key);
	if (c) {
		r->mem.closed_ns = c->ns;
		r->mem.closed_pid = c->pid;
		r->mem.closed_state = c->state;
		r->mem.closed_unread = c->unread;
		r->mem.closed_ending = c->ending;
		r->mem.closed_signal = c->signal;
		__builtin_memcpy(r->mem.closed_comm, c->comm, sizeof(c->comm));
	}
	h = bpf_map_lookup_elem(&handshakes, &key);
	if (h)
		r->mem.handshake = *h;
	if (!sk)
		return;
	s = bpf_map_lookup_elem(&syn_sent, &id);
	if (s && s->sport == r->sock.tuple.sport && s->dport == r->sock.tuple.dport) {
		r->mem.syn_count = s->count;
		r->mem.syn_first_ns = s->first_ns;
		r->mem.syn_ifindex = s->ifindex;
		r->mem.syn_tuple = s->tuple;
		__builtin_memcpy(r->mem.syn_ifname, s->ifname, sizeof(s->ifname));
	}
}

/*
 * Who runs, and the kernel stack; with `user` the user stack too. Whether the task is the one that
 * caused this, or a softirq borrowed its time, shows in the stack: user space decides (no portable
 * way to ask here: preempt_count() is a per-CPU variable that only CONFIG_KALLSYMS_ALL gives an
 * address).
 */
static __always_inline void event_context(struct rec_event *r, void *ctx, bool user)
{
	u64 id = bpf_get_current_pid_tgid();
	long n;

	r->task.pid = id >> 32;
	r->task.tid = (u32)id;
	r->task.cgroup = bpf_get_current_cgroup_id();
	bpf_get_current_comm(r->task.comm, sizeof(r->task.comm));
	r->task.ending = task_ending(&r->task.signal);
	if (user && r->task.pid) {
		n = bpf_get_stack(ctx, r->ustack, sizeof(r->ustack), BPF_F_USER_STACK);
		r->nr_ustack = n > 0 ? (u64)n / sizeof(u64) : 0;
	}
	n = bpf_get_stack(ctx, r->kstack, sizeof(r->kstack), 0);
	r->nr_kstack = n > 0 ? (u64)n / sizeof(u64) : 0;
}

/*
 * The functions at PRE_ROUTING, so that user space can tell whether conntrack had judged the
 * packet.
 */
SUBPROG void event_hooks(struct rec_event *r, struct net *net)
{
	struct nf_hook_entries *e;
	u16 n;

	if (!r || !net)
		return;
	if (r->pkt.tuple.family == 6)
		e = BPF_CORE_READ(net, nf.hooks_ipv6[0]);
	else
		e = BPF_CORE_READ(net, nf.hooks_ipv4[0]);
	if (!e)
		return;
	n = BPF_CORE_READ(e, num_hook_entries);
	for (u32 i = 0; i < REC_HOOKS_MAX; i++) {
		struct nf_hook_entry *entry = (void *)e + bpf_core_field_offset(e->hooks) +
					      i * bpf_core_type_size(struct nf_hook_entry);

		if (i >= n)
			break;
		r->hooks[i] = (u64)BPF_CORE_READ(entry, hook);
		r->nr_hooks = i + 1;
	}
}

/* ---- programs at kernel functions -------------------------------------------------------------- */

/*
 * Two programs, for fentry and for kprobe, that call on_FUNCTION(ctx, first, second, third) with the
 * arguments that KERNEL_FUNCTIONS (abi/config.h) names.
 */
#define ARG_FENTRY(ctx, id, n) (u64) untyped((void *)arg_fentry(ctx, cfg.fn[FN_##id].arg[n]))
#define ARG_KPROBE(ctx, id, n) arg_kprobe(ctx, cfg.fn[FN_##id].arg[n])
#define AT_FUNCTION(function, id)                                                         \
	SEC("fentry/" #function)                                                          \
	int function##_fentry(void *ctx)                                                  \
	{                                                                                 \
		return on_##function(ctx, ARG_FENTRY(ctx, id, 0), ARG_FENTRY(ctx, id, 1), \
				     ARG_FENTRY(ctx, id, 2));                             \
	}                                                                                 \
	SEC("kprobe/" #function)                                                          \
	int function##_kprobe(void *ctx)                                                  \
	{                                                                                 \
		return on_##function(ctx, ARG_KPROBE(ctx, id, 0), ARG_KPROBE(ctx, id, 1), \
				     ARG_KPROBE(ctx, id, 2));                             \
	}

/* The same at its end: on_FUNCTION_end(ctx, what it returns). */
#define AT_FUNCTION_END(function, id)                                                  \
	SEC("fexit/" #function)                                                        \
	int function##_fexit(void *ctx)                                                \
	{                                                                              \
		return on_##function##_end(ctx, arg_fentry(ctx, cfg.fn[FN_##id].ret)); \
	}                                                                              \
	SEC("kretprobe/" #function)                                                    \
	int function##_kretprobe(void *ctx)                                            \
	{                                                                              \
		return on_##function##_end(ctx, ret_kprobe(ctx));                      \
	}

static __always_inline void event_submit(struct rec_event *r)
{
	bpf_ringbuf_submit(r, 0);
}

#endif
