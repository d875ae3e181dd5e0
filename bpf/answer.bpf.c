// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * SYNs and resets that meet a socket of the same tuple: what becomes of them is known when the function
 * that judges them ends; the packet may be freed by then, so it is read when it begins.
 */
#include "function.bpf.h"

INLINE u8 flags_of(u64 th)
{
	u8 flags = 0;

	bpf_probe_read_kernel(&flags, 1, (void *)(th + 13));
	return flags;
}

INLINE int begin(u32 what, u64 sk, u64 skb)
{
	struct call c = {.sk = sk, .what = what};

	if (!packet_read(skb, false, &c.pkt))
		return 0;
	c.netns = net_inum(BPF_CORE_READ((struct sock *)sk, __sk_common.skc_net.net));
	call_begin(&c);
	return 0;
}

INLINE int end(void *ctx, u32 kind, u32 step, const struct call *c)
{
	struct rec_packet p;
	struct rec_event *r;
	u64 sk = c->sk;
	u32 netns = c->netns;

	bpf_probe_read_kernel(&p, sizeof(p), &c->pkt);
	call_end();
	if (!wanted(&p, sk, netns, 0, false))
		return 0;
	r = event_begin(ctx, kind, step, 0, &p.tuple, netns);
	if (!r)
		return 0;
	r->step = step;
	r->pkt = p;
	sock_read(sk, &r->sock);
	event_memory(r, &p.tuple, (struct sock *)sk);
	event_context(r, ctx, false);
	event_submit(r);
	return 0;
}

/* net/ipv4/tcp_input.c: only a SYN (not a SYN-ACK that came again) and a reset are of interest. */
INLINE int on_tcp_validate_incoming(void *ctx, u64 sk, u64 skb, u64 th)
{
	u8 flags = flags_of(th);

	if (!(flags & TCP_RST) && (flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return 0;
	return begin(CALL_VALIDATE, sk, skb);
}
AT_FUNCTION(tcp_validate_incoming, TCP_VALIDATE_INCOMING)

/*
 * A reset was accepted if the socket is closed now. A SYN for a socket that has its connection already
 * is never accepted: RFC 5961 section 4.2.
 */
INLINE int on_tcp_validate_incoming_end(void *ctx, u64 socket, u64 ret)
{
	struct call *c = call_of(CALL_VALIDATE, socket);
	struct sock *sk;
	bool reset;

	if (!c)
		return 0;
	sk = (struct sock *)c->sk;
	reset = c->pkt.tcp_flags & TCP_RST;
	if (reset && BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE) {
		call_end();
		return 0;
	}
	return end(ctx, reset ? REC_RST_IGNORED : REC_CHALLENGE, 0, c);
}
AT_FUNCTION_END(tcp_validate_incoming, TCP_VALIDATE_INCOMING)

/* net/ipv4/tcp_minisocks.c */
INLINE int on_tcp_timewait_state_process(void *ctx, u64 tw, u64 skb, u64 th)
{
	if ((flags_of(th) & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return 0;
	return begin(CALL_TIMEWAIT, tw, skb);
}
AT_FUNCTION(tcp_timewait_state_process, TCP_TIMEWAIT_STATE_PROCESS)

INLINE int on_tcp_timewait_state_process_end(void *ctx, u64 socket, u64 ret)
{
	struct call *c = call_of(CALL_TIMEWAIT, socket);

	if (!c)
		return 0;
	if ((u32)ret == TW_SYN && !cfg.all) {
		call_end();
		return 0;
	}
	return end(ctx, REC_TW_ANSWER, (u32)ret, c);
}
AT_FUNCTION_END(tcp_timewait_state_process, TCP_TIMEWAIT_STATE_PROCESS)
