// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * A handshake on its server's side: the SYN at the listener, cookies, the ACK that matches. What is
 * remembered of it goes with every later event of the flow; records are made of refused SYNs only (and
 * of all steps with --all).
 */
#include "function.bpf.h"

/* Packets here are those that the listener or its request gets, so the socket's namespace counts. */
INLINE bool read_packet(struct rec_packet *p, u64 skb, u64 sk, u32 *netns)
{
	if (!packet_read(skb, false, p) || p->tuple.proto != IPPROTO_TCP)
		return false;
	*netns = skb_netns((struct sk_buff *)skb, (struct sock *)sk);
	return true;
}

INLINE int step_event(void *ctx, u32 step, u64 sk, const struct rec_packet *p, u32 netns)
{
	struct rec_event *r;

	if (!wanted(p, sk, netns, 0, false))
		return 0;
	r = event_begin(ctx, REC_HANDSHAKE, step, 0, &p->tuple, netns);
	if (!r)
		return 0;
	r->step = step;
	r->pkt = *p;
	sock_read(sk, &r->sock);
	event_memory(r, &p->tuple, NULL);
	if (r->sock.state == TCP_LISTEN)
		event_queue(r, (struct sock *)sk);
	event_context(r, ctx, false);
	event_submit(r);
	return 0;
}

/*
 * Why tcp_conn_request will refuse the SYN, if it does: include/net/sock.h sk_acceptq_is_full,
 * include/net/inet_connection_sock.h inet_csk_reqsk_queue_is_full (">=" before January 2025); without
 * cookies three quarters of tcp_max_syn_backlog are for everybody, the rest for proven peers.
 */
INLINE u32 syn_step(struct sock *sk)
{
	struct net *net = BPF_CORE_READ(sk, __sk_common.skc_net.net);
	u32 waiting = BPF_CORE_READ(sk, sk_ack_backlog);
	u32 limit = BPF_CORE_READ(sk, sk_max_ack_backlog);
	u32 half_open =
		BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_accept_queue.qlen.counter);
	s32 backlog = BPF_CORE_READ(net, ipv4.sysctl_max_syn_backlog);
	bool cookies = BPF_CORE_READ(net, ipv4.sysctl_tcp_syncookies);

	if (!cookies && half_open >= limit)
		return STEP_SYN_QUEUE_FULL;
	if (waiting > limit)
		return STEP_ACCEPT_QUEUE_FULL;
	if (!cookies && backlog - (s32)half_open < backlog >> 2)
		return STEP_SYN_BACKLOG_FULL;
	return STEP_SYN;
}

INLINE u32 listen_drops(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_drops.counter);
}

INLINE int on_tcp_conn_request(void *ctx, u64 sk, u64 skb, u64 unused)
{
	struct call c = {.sk = sk, .what = CALL_REQUEST};
	struct rec_handshake *h;

	if (!read_packet(&c.pkt, skb, sk, &c.netns))
		return 0;
	c.step = syn_step((struct sock *)sk);
	c.drops = listen_drops((struct sock *)sk);
	call_begin(&c);
	h = handshake_of(&c.pkt.tuple, c.netns);
	if (h) {
		__builtin_memset(h, 0, sizeof(*h));
		h->syn_ns = c.ns;
	}
	return 0;
}
AT_FUNCTION(tcp_conn_request, TCP_CONN_REQUEST)

/* It returns 0 in any case; that it refused shows in tcp_listendrop(). */
INLINE int on_tcp_conn_request_end(void *ctx, u64 listener, u64 ret)
{
	struct call *c = call_of(CALL_REQUEST, listener);
	struct rec_packet p;
	u32 step, netns;
	u64 sk;

	if (!c)
		return 0;
	sk = c->sk;
	netns = c->netns;
	step = listen_drops((struct sock *)sk) == c->drops ? STEP_SYN : c->step;
	bpf_probe_read_kernel(&p, sizeof(p), &c->pkt);
	call_end();
	return step != STEP_SYN || cfg.all ? step_event(ctx, step, sk, &p, netns) : 0;
}
AT_FUNCTION_END(tcp_conn_request, TCP_CONN_REQUEST)

/*
 * net/ipv4/syncookies.c and net/ipv6/syncookies.c, called by tcp_conn_request: a SYN is answered with a
 * cookie. The packet has no device there, so the namespace is that of the call.
 */
INLINE int cookie_sent(void *ctx)
{
	struct call *c = call_of(CALL_REQUEST, 0);
	struct rec_handshake *h;
	struct rec_packet p;

	if (!c)
		return 0;
	bpf_probe_read_kernel(&p, sizeof(p), &c->pkt);
	h = handshake_of(&p.tuple, c->netns);
	if (h)
		h->cookie_ns = bpf_ktime_get_ns();
	return cfg.all ? step_event(ctx, STEP_COOKIE_SENT, c->sk, &p, c->netns) : 0;
}

INLINE int on_cookie_v4_init_sequence(void *ctx, u64 unused1, u64 unused2, u64 unused3)
{
	return cookie_sent(ctx);
}
AT_FUNCTION(cookie_v4_init_sequence, COOKIE_V4_INIT)

INLINE int on_cookie_v6_init_sequence(void *ctx, u64 unused1, u64 unused2, u64 unused3)
{
	return cookie_sent(ctx);
}
AT_FUNCTION(cookie_v6_init_sequence, COOKIE_V6_INIT)

/*
 * Every ACK for a listener comes here, cookies or not; __cookie_v4_check, which has neither packet nor
 * namespace, is called from here only where cookies have been sent lately.
 */
INLINE int cookie_check(u64 sk, u64 skb)
{
	struct call c = {.sk = sk, .what = CALL_COOKIE};

	if (read_packet(&c.pkt, skb, sk, &c.netns))
		call_begin(&c);
	return 0;
}

INLINE int on_cookie_v4_check(void *ctx, u64 sk, u64 skb, u64 unused)
{
	return cookie_check(sk, skb);
}
AT_FUNCTION(cookie_v4_check, COOKIE_V4_CHECK)

INLINE int on_cookie_v6_check(void *ctx, u64 sk, u64 skb, u64 unused)
{
	return cookie_check(sk, skb);
}
AT_FUNCTION(cookie_v6_check, COOKIE_V6_CHECK)

INLINE int cookie_decode(void *ctx)
{
	struct call *c = call_of(CALL_COOKIE, 0);
	struct rec_handshake *h;
	struct rec_packet p;
	u32 netns;
	u64 sk;

	if (!c)
		return 0;
	sk = c->sk;
	netns = c->netns;
	bpf_probe_read_kernel(&p, sizeof(p), &c->pkt);
	call_end();
	h = handshake_of(&p.tuple, netns);
	if (h)
		h->checked_ns = bpf_ktime_get_ns();
	return cfg.all ? step_event(ctx, STEP_COOKIE_CHECKED, sk, &p, netns) : 0;
}

INLINE int on___cookie_v4_check(void *ctx, u64 unused1, u64 unused2, u64 unused3)
{
	return cookie_decode(ctx);
}
AT_FUNCTION(__cookie_v4_check, COOKIE_V4_DECODE)

INLINE int on___cookie_v6_check(void *ctx, u64 unused1, u64 unused2, u64 unused3)
{
	return cookie_decode(ctx);
}
AT_FUNCTION(__cookie_v6_check, COOKIE_V6_DECODE)

/* net/ipv4/tcp_minisocks.c: a packet found its request socket. */
INLINE int on_tcp_check_req(void *ctx, u64 sk, u64 skb, u64 unused)
{
	struct rec_packet p = {};
	struct rec_handshake *h;
	u32 netns;

	if (!read_packet(&p, skb, sk, &netns) ||
	    (p.tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return 0;
	h = handshake_of(&p.tuple, netns);
	if (h)
		h->acked_ns = bpf_ktime_get_ns();
	return cfg.all ? step_event(ctx, STEP_ACK_MATCHED, sk, &p, netns) : 0;
}
AT_FUNCTION(tcp_check_req, TCP_CHECK_REQ)
