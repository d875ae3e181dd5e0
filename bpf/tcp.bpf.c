// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* A socket's life: states, errors, retransmissions, and connect() that fails at once. */
#include "function.bpf.h"

#define SEND_SHUTDOWN 2
#define SHUTDOWN_MASK 3

/* An event of a socket rather than of a packet. */
INLINE struct rec_event *sock_event(void *ctx, u32 kind, u32 reason, struct sock *sk)
{
	struct rec_packet p = {.ctinfo = CTINFO_NONE};
	struct rec_event *r;
	u32 netns;

	sk = untyped(sk);
	netns = net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	sock_tuple((u64)sk, &p.tuple);
	if (!wanted(&p, (u64)sk, netns, 0, false))
		return NULL;
	r = event_begin(ctx, kind, reason, 0, &p.tuple, netns);
	if (!r)
		return NULL;
	sock_read((u64)sk, &r->sock);
	event_memory(r, &p.tuple, sk);
	return r;
}

/* Remembers who closed a connection, for packets that still arrive for it. */
INLINE void note_close(struct sock *sk, int old_state)
{
	struct closed c = {.ns = bpf_ktime_get_ns(), .state = old_state};
	struct rec_tuple t = {};
	struct flow_key key;

	c.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(c.comm, sizeof(c.comm));
	c.unread = sock_unread(sk) > 0;
	c.ending = task_ending(&c.signal);
	sock_tuple((u64)sk, &t);
	c.port = t.sport;
	flow_key_set(&key, &t, net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net)));
	bpf_map_update_elem(&closed, &key, &c, BPF_ANY);
}

/* A watched task's sockets become watched, wherever their packets are seen later. */
INLINE void note_watched(struct sock *sk, int new_state)
{
	u64 id = (u64)sk;
	u8 one = 1;

	if (!task_wanted()) {
		bpf_map_delete_elem(&socks, &id); /* the address was another socket's */
		return;
	}
	if (new_state == TCP_SYN_SENT) {
		bpf_map_update_elem(&socks, &id, &one, BPF_ANY);
	} else if (new_state == TCP_LISTEN) {
		u64 port = port_key(net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net)),
				    BPF_CORE_READ(sk, __sk_common.skc_num));

		bpf_map_update_elem(&ports, &port, &one, BPF_ANY);
	}
}

/* A new connection: what is remembered of an older one of the same addresses is over. */
INLINE void forget_close(struct sock *sk)
{
	struct rec_tuple t = {};
	struct flow_key key;

	sock_tuple((u64)sk, &t);
	flow_key_set(&key, &t, net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net)));
	bpf_map_delete_elem(&closed, &key);
}

/*
 * The end of a handshake on the server's side. True if a packet of it has just been reset: then it is
 * worth a record.
 */
INLINE bool note_established(struct sock *sk)
{
	u64 now = bpf_ktime_get_ns();
	struct rec_tuple t = {};
	struct rec_handshake *h;

	sock_tuple((u64)sk, &t);
	h = handshake_of(&t, net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net)));
	if (!h)
		return false;
	h->established_ns = now;
	return h->reset_ns && now - h->reset_ns < NSEC_PER_SEC;
}

/*
 * Has the connection waited for accept() for long: net/ipv4/inet_connection_sock.c inet_csk_accept gives it
 * its struct socket. That its client closes it soon after it began is nothing: a probe of a load balancer, say.
 */
INLINE bool waits_for_accept(struct sock *sk)
{
	struct rec_tuple t = {};
	struct rec_handshake *h;
	struct flow_key key;

	if (BPF_CORE_READ(sk, sk_socket) ||
	    BPF_CORE_READ(sk, __sk_common.skc_flags) & (1ul << SOCK_DEAD))
		return false;
	sock_tuple((u64)sk, &t);
	flow_key_set(&key, &t, net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net)));
	h = bpf_map_lookup_elem(&handshakes, &key);
	return h && h->established_ns && bpf_ktime_get_ns() - h->established_ns >= ACCEPT_LATE_NS;
}

INLINE int error_report(void *ctx, struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	u16 protocol = BPF_CORE_READ(sk, sk_protocol);
	int err = BPF_CORE_READ(sk, sk_err);
	struct rec_event *r;

	/* Netlink sockets come here too, and have protocols of their own. */
	if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || !err ||
	    (family != AF_INET && family != AF_INET6))
		return 0;
	/* Of datagrams what ends the exchange, not what finds out the path's MTU; their peer is known if it was set. */
	if (protocol == IPPROTO_UDP &&
	    (err != ECONNREFUSED || !BPF_CORE_READ(sk, __sk_common.skc_dport)))
		return 0;
	r = sock_event(ctx, REC_SOCK_ERR, err, sk);
	if (!r)
		return 0;
	r->err = err;
	event_context(r, ctx, false);
	event_submit(r);
	return 0;
}

INLINE u32 log2_bucket(u64 us)
{
	u32 n = 0;

	for (u32 bits = 16; bits; bits /= 2) {
		if (us >> bits) {
			us >>= bits;
			n += bits;
		}
	}
	return n < CONNECT_BUCKETS ? n : CONNECT_BUCKETS - 1;
}

static const struct connect_value no_connects; /* there is no stack for it */

/* A full table counts what has no row in the row of all others, which user space has made. */
INLINE struct connect_value *connect_row(const struct rec_tuple *t, u32 netns)
{
	struct connect_key key = {.netns = netns, .dport = t->dport, .family = t->family},
			   others = {};
	struct connect_value *row;

	__builtin_memcpy(key.dst, t->dst, sizeof(key.dst));
	row = bpf_map_lookup_elem(&connects, &key);
	if (row)
		return row;
	bpf_map_update_elem(&connects, &key, &no_connects, BPF_NOEXIST);
	row = bpf_map_lookup_elem(&connects, &key);
	return row ?: bpf_map_lookup_elem(&connects, &others);
}

/* What became of a connect(), and how long it took: counted only, as most succeed. */
INLINE void count_connect(struct sock *sk, int old_state, int new_state)
{
	u64 id = (u64)sk, took = bpf_ktime_get_ns();
	struct rec_packet p = {.ctinfo = CTINFO_NONE};
	struct connect_value *row;
	struct syn_sent *s;
	u32 netns, bucket;

	if (old_state != TCP_SYN_SENT || (new_state != TCP_ESTABLISHED && new_state != TCP_CLOSE))
		return;
	s = bpf_map_lookup_elem(&syn_sent, &id);
	if (!s || !s->connect.began_ns)
		return;
	took -= s->connect.began_ns;
	netns = net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	sock_tuple((u64)sk, &p.tuple);
	row = wanted(&p, (u64)sk, netns, 0, false) ? connect_row(&p.tuple, netns) : NULL;
	if (!row)
		return;
	if (new_state == TCP_CLOSE) {
		__sync_fetch_and_add(&row->failed, 1);
		return;
	}
	bucket = log2_bucket(took / 1000);
	__sync_fetch_and_add(&row->connected, 1);
	if (bucket < CONNECT_BUCKETS)
		__sync_fetch_and_add(&row->buckets[bucket], 1);
	if (took > row->max_ns)
		row->max_ns = took;
}

/*
 * net/ipv4/tcp_ipv4.c tcp_v4_connect: the socket has no port yet. It is the caller's own task, which is
 * another's by the time that the connection fails.
 */
INLINE void note_connect(struct sock *sk)
{
	struct syn_sent *s = syn_sent_new((u64)sk);

	if (!s)
		return;
	s->dport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	s->connect.began_ns = bpf_ktime_get_ns();
	s->connect.pid = bpf_get_current_pid_tgid() >> 32;
	s->connect.cgroup = bpf_get_current_cgroup_id();
	bpf_get_current_comm(s->connect.comm, sizeof(s->connect.comm));
}

/* connect() sets SYN_SENT before anything can fail but the route: net/ipv4/tcp_ipv4.c tcp_v4_connect. */
INLINE void count_state(void *ctx, struct sock *sk, int old_state, int new_state)
{
	if ((new_state == TCP_SYN_SENT && cfg.stacks & STACKS_CONNECT) ||
	    (new_state == TCP_CLOSE && cfg.stacks & STACKS_CLOSE))
		(void)sock_event(ctx, REC_STATE, (u32)old_state << 8 | new_state, sk);
}

INLINE int state_changed(void *ctx, struct sock *sk, int old_state, int new_state)
{
	struct rec_event *r;
	bool worth = false;
	u64 id;

	sk = untyped(sk);
	id = (u64)sk;
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	/* An accepted connection: its address may have been another socket's a moment ago. */
	if (new_state == TCP_SYN_RECV && old_state != TCP_SYN_SENT) {
		bpf_map_delete_elem(&syn_sent, &id);
		if (cfg.task_filter)
			bpf_map_delete_elem(&socks, &id);
	}
	if (new_state == TCP_SYN_SENT) {
		note_connect(sk);
		if (cfg.callers && !cfg.stacks)
			note_caller(ctx, id);
	}
	if (new_state == TCP_LISTEN)
		bpf_map_delete_elem(&syn_sent, &id);
	if (cfg.task_filter && (new_state == TCP_SYN_SENT || new_state == TCP_LISTEN))
		note_watched(sk, new_state);
	if (cfg.stacks) {
		count_state(ctx, sk, old_state, new_state);
		return 0;
	}
	/*
	 * A close by the process has set both shutdown bits before (tcp_close, not shutdown(2) of
	 * one side).
	 */
	if ((old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT) &&
	    (new_state == TCP_FIN_WAIT1 || new_state == TCP_LAST_ACK || new_state == TCP_CLOSE) &&
	    BPF_CORE_READ(sk, sk_shutdown) == SHUTDOWN_MASK)
		note_close(sk, old_state);
	if (new_state == TCP_ESTABLISHED)
		forget_close(sk);
	if (old_state == TCP_SYN_RECV && new_state == TCP_ESTABLISHED)
		worth = note_established(sk);
	if (old_state == TCP_ESTABLISHED && new_state == TCP_CLOSE_WAIT)
		worth = waits_for_accept(sk);
	if (cfg.connects)
		count_connect(sk, old_state, new_state);
	if (cfg.errors_by_state && new_state == TCP_CLOSE)
		error_report(ctx, sk);
	/*
	 * No failure, so no record: everything but a connection that dies before it is established, or
	 * accepted.
	 */
	if (!cfg.all && !worth &&
	    !(new_state == TCP_CLOSE && (old_state == TCP_SYN_SENT || old_state == TCP_SYN_RECV)))
		return 0;
	r = sock_event(ctx, REC_STATE, (u32)old_state << 8 | new_state, sk);
	if (!r)
		return 0;
	r->old_state = old_state;
	r->new_state = new_state;
	event_context(r, ctx, true);
	event_submit(r);
	return 0;
}

/* The one of this socket, or of another one that it shares its place with. */
INLINE struct state_change *state_change_of(u64 sk)
{
	u32 at = ((u32)(sk >> 6) * 0x9e3779b1) >> (32 - STATE_CHANGES_BITS);

	return bpf_map_lookup_elem(&state_changes, &at);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int old_state, int new_state)
{
	struct state_change *c = state_change_of((u64)untyped(sk));

	if (c) {
		c->states = (u32)old_state << 8 | new_state;
		c->sk = (u64)sk;
	}
	return state_changed(ctx, sk, old_state, new_state);
}

/*
 * A program is not run while it runs on the same CPU (kernel/trace/bpf_trace.c __bpf_trace_run since 6.2): here,
 * where a softirq interrupts a task that is looking at its own socket. What the program above has left out
 * for that, this one does. It is attached behind it, and ends at once for all others; if it is interrupted itself,
 * the one above is not.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state_missed, struct sock *sk, int old_state, int new_state)
{
	struct state_change *c = state_change_of((u64)untyped(sk));

	if (!c)
		return 0;
	if (c->sk == (u64)sk && c->states == ((u32)old_state << 8 | new_state)) {
		c->sk = 0;
		return 0;
	}
	return state_changed(ctx, sk, old_state, new_state);
}

SEC("tp_btf/inet_sk_error_report")
int BPF_PROG(inet_sk_error_report, struct sock *sk)
{
	return error_report(ctx, sk);
}

/*
 * Before 5.14 (commit e3ae2365efc1) there is no tracepoint: net/core/sock.c, sk->sk_error_report.
 */
INLINE int on_sock_def_error_report(void *ctx, u64 sk, u64 unused2, u64 unused3)
{
	return error_report(ctx, (struct sock *)sk);
}
AT_FUNCTION(sock_def_error_report, SOCK_DEF_ERROR_REPORT)

/* In bytes, beyond what is acknowledged: the blocks of the last ACK that had any. */
INLINE u32 sacked_bytes(struct tcp_sock *tp)
{
	struct tcp_sack_block b[4] = {};
	u32 una = BPF_CORE_READ(tp, snd_una), n = 0;

	if (!BPF_CORE_READ(tp, sacked_out))
		return 0;
	BPF_CORE_READ_INTO(&b, tp, recv_sack_cache);
	for (int i = 0; i < 4; i++)
		if (b[i].start_seq != b[i].end_seq && (s32)(b[i].start_seq - una) > 0)
			n += b[i].end_seq - b[i].start_seq;
	return n;
}

/* The skb may stand for several segments: include/net/tcp.h tcp_skb_pcount, tcp_skb_mss. */
INLINE void read_segment(struct sock *sk, struct sk_buff *skb, struct rec_segment *s)
{
	struct tcp_skb_cb *cb = (void *)&skb->cb;
	struct tcp_sock *tp = (void *)sk;

	s->size = BPF_CORE_READ(cb, tcp_gso_segs) > 1 ? BPF_CORE_READ(cb, tcp_gso_size)
						      : BPF_CORE_READ(skb, len);
	s->acked = BPF_CORE_READ(tp, bytes_acked);
	s->sacked = sacked_bytes(tp);
	s->mss = BPF_CORE_READ(tp, mss_cache);
	s->path_mtu = BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_pmtu_cookie);
}

/*
 * net/ipv4/tcp_output.c __tcp_retransmit_skb. `err` is its result since 6.15 (commit ad892e912b84),
 * 0 before.
 */
INLINE int retransmit(void *ctx, struct sock *sk, struct sk_buff *skb, int err)
{
	u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	struct rec_event *r =
		sock_event(ctx, state == TCP_SYN_SENT ? REC_SYN_RETRANS : REC_RETRANS, 0, sk);

	if (!r)
		return 0;
	r->err = err < 0 ? -err : err;
	if (state != TCP_SYN_SENT)
		read_segment(untyped(sk), untyped(skb), &r->segment);
	event_context(r, ctx, false);
	event_submit(r);
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb, struct sock *sk, struct sk_buff *skb, int err)
{
	return retransmit(ctx, sk, skb, err);
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb_2, struct sock *sk, struct sk_buff *skb)
{
	return retransmit(ctx, sk, skb, 0);
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(tcp_retransmit_synack, struct sock *sk, struct request_sock *req)
{
	struct rec_event *r = sock_event(ctx, REC_SYNACK_RETRANS, 0, (struct sock *)req);

	if (!r)
		return 0;
	/* The request has no queue of its own: the listener's tells whether it is full. */
	r->sock.backlog = BPF_CORE_READ(sk, sk_ack_backlog);
	r->sock.max_backlog = BPF_CORE_READ(sk, sk_max_ack_backlog);
	event_queue(r, untyped(sk));
	event_context(r, ctx, false);
	event_submit(r);
	return 0;
}

struct sockaddr_any {
	u16 family;
	__be16 port;
	union {
		__be32 v4;
		struct {
			u32 flowinfo;
			u8 v6[16];
		};
	};
};

INLINE struct sock *sock_of_fd(int fd)
{
	struct task_struct *t = (void *)bpf_get_current_task();
	struct file **table = BPF_CORE_READ(t, files, fdt, fd);
	struct file *file = NULL;
	struct socket *socket;

	if (fd < 0 || (u32)fd >= BPF_CORE_READ(t, files, fdt, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), table + fd);
	if (!file)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}

#define EINTR 4
#define EAGAIN 11
#define EFAULT 14
#define EISCONN 106
#define EALREADY 114
#define EINPROGRESS 115
#define IPPROTO_MPTCP 262
#define MSG_FASTOPEN 0x20000000

INLINE bool connect_in_progress(long ret)
{
	return ret == -EAGAIN || ret == -EINPROGRESS || ret == -EALREADY || ret == -EISCONN ||
	       ret == -EINTR || ret == -512 /* ERESTARTSYS */;
}

INLINE u8 seccomp_mode(void)
{
	struct task_struct *t = (void *)bpf_get_current_task();

	return bpf_core_field_exists(t->seccomp) ? BPF_CORE_READ(t, seccomp.mode) : 0;
}

/* Where a system call that connects goes to, in the task's memory: with TCP Fast Open sending connects, too. */
INLINE const void *connect_address(struct pt_regs *regs)
{
	const void *name = NULL;

	switch (syscall_nr(regs)) {
	case NR_CONNECT:
		return syscall_arg2(regs);
	case NR_SENDTO:
		return syscall_arg4(regs) & MSG_FASTOPEN ? syscall_arg5(regs) : NULL;
	case NR_SENDMSG: /* struct msghdr begins with the address */
		if (syscall_arg3(regs) & MSG_FASTOPEN)
			bpf_probe_read_user(&name, sizeof(name), syscall_arg2(regs));
		return name;
	default:
		return NULL;
	}
}

/* The socket that does TCP's work: of MPTCP the first subflow's. NULL: another protocol. */
INLINE struct sock *connect_sock(struct pt_regs *regs)
{
	struct sock *sk = sock_of_fd(syscall_fd(regs));
	struct mptcp_sock *mptcp = (void *)sk;
	u16 protocol = sk ? BPF_CORE_READ(sk, sk_protocol) : 0;

	if (protocol == IPPROTO_MPTCP && bpf_core_field_exists(mptcp->first))
		return BPF_CORE_READ(mptcp, first);
	return protocol == IPPROTO_TCP ? sk : NULL;
}

/*
 * A connect() that fails without a packet (no route, forbidden route) shows nowhere but in what it
 * returns.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long ret)
{
	struct rec_packet p = {.ctinfo = CTINFO_NONE};
	struct sockaddr_any to = {};
	const void *address;
	struct rec_event *r;
	struct sock *sk;
	u32 netns;

	if (ret >= 0 || connect_in_progress(ret) || ret == -EFAULT)
		return 0;
	address = connect_address(regs);
	if (!address ||
	    (bpf_probe_read_user(&to, sizeof(to), address) && bpf_probe_read_user(&to, 8, address)))
		return 0;
	if (to.family != AF_INET && to.family != AF_INET6)
		return 0;
	sk = connect_sock(regs);
	if (!sk)
		return 0;
	netns = net_inum(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	sock_tuple((u64)sk, &p.tuple);
	/* After a failure the socket has forgotten where it wanted to go; the caller has not. */
	if (to.family == AF_INET) {
		addr_set_v4(p.tuple.dst, to.v4);
		p.tuple.family = 4;
	} else {
		__builtin_memcpy(p.tuple.dst, to.v6, 16);
		p.tuple.family =
			to.v6[10] == 0xff && to.v6[11] == 0xff && !to.v6[0] && !to.v6[8] ? 4 : 6;
	}
	p.tuple.dport = bpf_ntohs(to.port);
	if (!wanted(&p, (u64)sk, netns, 0, true))
		return 0;
	r = event_begin(ctx, REC_CONNECT, (u32)-ret, 0, &p.tuple, netns);
	if (!r)
		return 0;
	r->err = -ret;
	sock_read((u64)sk, &r->sock);
	r->sock.tuple = p.tuple;
	event_memory(r, &p.tuple, sk);
	event_context(r, ctx, false);
	r->mem.connect.tid = 0; /* this is the end of the call */
	user_read(&r->user, ctx, regs);
	r->task.seccomp = seccomp_mode();
	event_submit(r);
	return 0;
}
