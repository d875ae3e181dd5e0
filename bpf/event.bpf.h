/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * From what a program saw to a record of it: what was remembered of the flow, who is watched,
 * counting, limits, and the record itself.
 */
#ifndef TCPWHY_EVENT_BPF_H
#define TCPWHY_EVENT_BPF_H

#include "filter.bpf.h"
#include "netfilter.bpf.h"
#include "payload.bpf.h"
#include "stacks.bpf.h"

/* ---- what is remembered of a handshake -------------------------------------------------------- */

/* The flow's entry, made if need be; NULL where there is no room. */
INLINE struct rec_handshake *handshake_of(const struct rec_tuple *t, u32 netns)
{
	struct rec_handshake *h, none = {};
	struct flow_key key;

	flow_key_set(&key, t, netns);
	h = bpf_map_lookup_elem(&handshakes, &key);
	if (h)
		return h;
	bpf_map_update_elem(&handshakes, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&handshakes, &key);
}

/* ---- what is remembered of a connect() -------------------------------------------------------- */

static const struct syn_sent no_syns; /* there is no stack for it */

/* The socket's entry, made anew; NULL where there is no room. */
INLINE struct syn_sent *syn_sent_new(u64 sk)
{
	bpf_map_update_elem(&syn_sent, &sk, &no_syns, BPF_ANY);
	return bpf_map_lookup_elem(&syn_sent, &sk);
}

/* ---- the task that runs ----------------------------------------------------------------------- */

#define PF_EXITING 0x4 /* include/linux/sched.h */

/* Is it about to end, and why? kernel/exit.c do_exit sets exit_code before it closes the files. */
INLINE u8 task_ending(u8 *signal)
{
	struct task_struct *t = (void *)bpf_get_current_task();

	if (!(BPF_CORE_READ(t, flags) & PF_EXITING))
		return TASK_RUNS;
	*signal = BPF_CORE_READ(t, exit_code) & 0x7f;
	if (!*signal)
		return TASK_EXITS;
	return BPF_CORE_READ(t, signal, oom_mm) ? TASK_OOM_KILLED : TASK_KILLED;
}

/*
 * The task's stack by frame pointers. Functions without one are left out of that, or end it: their callers can be found as
 * debuggers do, with what lies at the stack pointer. regs: with which the task entered the kernel; NULL: not known.
 */
INLINE void user_read(struct rec_user *u, void *ctx, struct pt_regs *regs)
{
	long n = bpf_get_stack(ctx, u->frames, sizeof(u->frames), BPF_F_USER_STACK);

	u->nr = n > 0 ? (u64)n / sizeof(u64) : 0;
	u->nr_top = 0;
	if (!u->nr || !regs)
		return;
	u->sp = regs_sp(regs);
	u->bp = regs_bp(regs);
	if (!bpf_probe_read_user(u->top, sizeof(u->top), (void *)u->sp))
		u->nr_top = REC_UTOP_MAX;
}

/* Before 5.15 (commit dd6e10fbd9fb) nobody tells. */
INLINE struct pt_regs *task_regs(void)
{
	return cfg.task_regs ? (void *)bpf_task_pt_regs(bpf_get_current_task_btf()) : NULL;
}

static const struct caller no_caller;

/* Who calls connect(): it may return before the connection fails. */
INLINE void note_caller(void *ctx, u64 sk)
{
	struct caller *c;

	bpf_map_update_elem(&callers, &sk, &no_caller, BPF_ANY);
	c = bpf_map_lookup_elem(&callers, &sk);
	if (!c)
		return;
	c->tid = (u32)bpf_get_current_pid_tgid();
	user_read(&c->user, ctx, task_regs());
}

/* To an event of its socket, before it is established. */
INLINE void event_caller(struct rec_event *r, u64 sk)
{
	struct caller *c = bpf_map_lookup_elem(&callers, &sk);

	if (!c || !c->user.nr || r->sock.state != TCP_SYN_SENT)
		return;
	r->user = c->user;
	r->mem.connect.tid = c->tid;
}

/* ---- counting, limiting, submitting ---------------------------------------------------------- */

INLINE struct count_value *count_slot(struct count_key *key)
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
INLINE bool count_is_limited(const struct count_value *v)
{
	return v->in_window >= cfg.burst_key || v->looked >= 16 * cfg.burst_key;
}

/* Counts the event. NULL: the limits forbid a record of it. */
INLINE struct count_value *event_admit(struct count_key *key, const struct rec_tuple *t, u64 now)
{
	struct count_value *v;

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

INLINE void event_init(struct rec_event *r, const struct count_key *key, const struct rec_tuple *t,
		       u64 now)
{
	/* In parts: clang makes no memset of more than 1024 bytes for BPF. */
	__builtin_memset(r, 0, __builtin_offsetof(struct rec_event, mem));
	asm volatile("" ::: "memory");
	__builtin_memset(&r->mem, 0,
			 __builtin_offsetof(struct rec_event, kstack) -
				 __builtin_offsetof(struct rec_event, mem));
	asm volatile("" ::: "memory");
	__builtin_memset(r->kstack, 0, sizeof(r->kstack));
	__builtin_memset(&r->user, 0, sizeof(r->user));
	asm volatile("" ::: "memory");
	__builtin_memset(&r->nf, 0, sizeof(r->nf));
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
INLINE struct rec_event *event_begin(void *ctx, u32 kind, u32 reason, u64 location,
				     const struct rec_tuple *t, u32 netns)
{
	struct count_key key = {
		.location = location, .reason = reason, .netns = netns, .kind = kind};
	u64 now = bpf_ktime_get_ns();
	struct count_value *v;
	struct rec_event *r;

	if (cfg.stacks) {
		stacks_count(ctx, kind, reason, location, t);
		return NULL;
	}
	v = event_admit(&key, t, now);
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

INLINE void event_dev(struct rec_event *r, struct net_device *dev)
{
	if (!dev)
		return;
	r->ifindex = BPF_CORE_READ(dev, ifindex);
	bpf_probe_read_kernel_str(r->ifname, sizeof(r->ifname), &dev->name);
}

INLINE void event_packet(struct rec_event *r, struct sk_buff *skb, const struct rec_packet *p)
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

/* The port of this end of the flow: of the socket, or where the packet goes to, if it doesn't leave. */
INLINE u16 local_port(const struct rec_event *r, const struct rec_tuple *t)
{
	if (r->sock.flags & SOCK_PRESENT)
		return r->sock.tuple.sport;
	return r->hdr.kind == REC_RST_OUT || r->hdr.kind == REC_ICMP_SENT ? t->sport : t->dport;
}

/* … and the other one's. */
INLINE u16 remote_port(const struct rec_event *r, const struct rec_tuple *t)
{
	if (r->sock.flags & SOCK_PRESENT)
		return r->sock.tuple.dport;
	return r->hdr.kind == REC_RST_OUT || r->hdr.kind == REC_ICMP_SENT ? t->dport : t->sport;
}

INLINE void event_memory(struct rec_event *r, const struct rec_tuple *t, struct sock *sk)
{
	struct flow_key key;
	struct rec_handshake *h;
	struct rec_ct_end *end;
	struct syn_nat *nat;
	struct heard *other;
	struct closed *c;
	struct syn_sent *s;
	u64 id = (u64)sk;

	flow_key_set(&key, t, r->hdr.netns);
	c = bpf_map_lookup_elem(&closed, &key);
	if (c && c->port == local_port(r, t)) {
		r->mem.closed_ns = c->ns;
		r->mem.closed_pid = c->pid;
		r->mem.closed_state = c->state;
		r->mem.closed_unread = c->unread;
		r->mem.closed_ending = c->ending;
		r->mem.closed_signal = c->signal;
		__builtin_memcpy(r->mem.closed_comm, c->comm, sizeof(c->comm));
	}
	other = bpf_map_lookup_elem(&heard, &key);
	if (other && other->port == remote_port(r, t)) {
		r->mem.peer_ttl = other->ttl;
		r->mem.peer_syns = other->count;
	}
	h = bpf_map_lookup_elem(&handshakes, &key);
	if (h)
		r->mem.handshake = *h;
	end = bpf_map_lookup_elem(&ct_ends, &key);
	if (end && end->orig.proto == t->proto)
		r->mem.ct_end = *end;
	if (!sk)
		return;
	s = bpf_map_lookup_elem(&syn_sent, &id);
	if (s && (!s->sport || s->sport == r->sock.tuple.sport) &&
	    s->dport == r->sock.tuple.dport) {
		r->mem.connect = s->connect;
		if (cfg.callers)
			event_caller(r, id);
		r->mem.syn_count = s->count;
		r->mem.syn_first_ns = s->connect.syn_ns[0];
		r->mem.syn_ifindex = s->ifindex;
		r->mem.syn_tuple = s->tuple;
		__builtin_memcpy(r->mem.syn_ifname, s->ifname, sizeof(s->ifname));
		flow_key_set(&key, &s->tuple, 0); /* as it left its own namespace */
		nat = bpf_map_lookup_elem(&syn_nats, &key);
		if (nat && nat->ns > s->connect.began_ns) {
			r->mem.connect.nat_ns = nat->ns;
			r->mem.connect.nat_tuple = nat->tuple;
		}
	}
}

/*
 * Since when the oldest connection waits for accept(): the child of the first request in the queue, whose
 * handshake was seen to end.
 */
INLINE void event_queue(struct rec_event *r, struct sock *listener)
{
	struct inet_connection_sock *icsk = (void *)listener;
	struct request_sock *first = BPF_CORE_READ(icsk, icsk_accept_queue.rskq_accept_head);
	struct sock *sk = first ? BPF_CORE_READ(first, sk) : NULL;
	struct rec_tuple t = {};
	struct rec_handshake *h;
	struct flow_key key;

	if (!sk)
		return;
	sock_tuple((u64)sk, &t);
	flow_key_set(&key, &t, r->hdr.netns);
	h = bpf_map_lookup_elem(&handshakes, &key);
	if (h)
		r->sock.oldest_ns = h->established_ns;
}

/*
 * Who runs, and the kernel stack; with `user` the user stack too. Whether the task is the one that
 * caused this, or a softirq borrowed its time, shows in the stack: user space decides (no portable
 * way to ask here: preempt_count() is a per-CPU variable that only CONFIG_KALLSYMS_ALL gives an
 * address).
 */
INLINE void event_context(struct rec_event *r, void *ctx, bool user)
{
	u64 id = bpf_get_current_pid_tgid();
	long n;

	r->task.pid = id >> 32;
	r->task.tid = (u32)id;
	r->task.cgroup = bpf_get_current_cgroup_id();
	bpf_get_current_comm(r->task.comm, sizeof(r->task.comm));
	r->task.ending = task_ending(&r->task.signal);
	if (user && r->task.pid && !r->mem.connect.tid)
		user_read(&r->user, ctx, task_regs());
	n = bpf_get_stack(ctx, r->kstack, sizeof(r->kstack), 0);
	r->nr_kstack = n > 0 ? (u64)n / sizeof(u64) : 0;
}

/*
 * The functions at PRE_ROUTING, so that user space can tell whether conntrack had judged the
 * packet.
 */
INLINE void event_hooks(struct rec_event *r, struct net *net)
{
	struct nf_hook_entries *e;
	u16 n;

	if (!net)
		return;
	if (r->pkt.tuple.family == 6)
		e = BPF_CORE_READ(net, nf.hooks_ipv6[0]);
	else
		e = BPF_CORE_READ(net, nf.hooks_ipv4[0]);
	if (!e)
		return;
	n = BPF_CORE_READ(e, num_hook_entries);
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < REC_HOOKS_MAX; i++) {
		struct nf_hook_entry *entry = (void *)e + bpf_core_field_offset(e->hooks) +
					      i * bpf_core_type_size(struct nf_hook_entry);

		if (i >= n)
			break;
		r->hooks[i] = (u64)BPF_CORE_READ(entry, hook);
		r->nr_hooks = i + 1;
	}
}

INLINE void event_submit(struct rec_event *r)
{
	bpf_ringbuf_submit(r, 0);
}

#endif
