/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the segments of a captured connection mean. */
#include "source/capture_private.h"

/*
 * No SYN is sent again before (net/ipv4/tcp_timer.c: TCP_TIMEOUT_INIT is a second), unless its IP id says that it
 * is another packet.
 */
#define SYN_AGAIN_NS (100 * NSEC_PER_MSEC)

void flow_note(struct flow *flow, unsigned what, const struct capture_packet *p)
{
	flow->ended = what;
	flow->end = *p;
	flow->ended_syns = flow->syns;
	for (int i = 0; i < 2; i++)
		flow->before[i] = flow->ends[i].so_far;
}

/* Of a reset: all of the SYN's data acknowledged, or none of it. */
static bool answers_syn(const struct flow *flow, uint32_t ack)
{
	return ack == flow->syn.seq + 1 || ack == flow->syn.seq + 1 + flow->syn.payload;
}

/* Of what is no SYN: data that was not captured may have come between. */
static bool follows_syn(const struct flow *flow, uint32_t ack)
{
	return ack - flow->syn.seq - 1 < 1u << 20;
}

bool flow_is_over(const struct flow *flow)
{
	return flow->ended || (flow->ends[0].so_far.did & flow->ends[1].so_far.did & CAPTURED_FIN);
}

bool flow_is_same_attempt(const struct flow *flow, int from, const struct capture_packet *p)
{
	return flow->client == from && flow->syn.seq == p->seq;
}

void flow_take_syn(struct flow *flow, int from, const struct capture_packet *p)
{
	if (flow->client == !from) {
		flow->answered = true; /* both begin at once */
		return;
	}
	if (flow_is_same_attempt(flow, from, p)) {
		bool another = p->ip_id && p->ip_id != flow->syn_id;

		if (!another && p->ns < flow->syn_ns + SYN_AGAIN_NS)
			return;
	} else {
		flow->client = from;
		flow->syn = *p;
	}
	flow->syns++;
	flow->syn_ns = p->ns;
	flow->syn_id = p->ip_id;
	flow->ends[from].so_far.did |= CAPTURED_SYN;
}

void flow_take_syn_ack(struct flow *flow, int from)
{
	flow->answered = true;
	if (flow->client < 0)
		flow->client = !from;
	if (flow->client == from)
		return;
	flow->ends[from].so_far.did |= CAPTURED_SYN_ACK;
	/* It was sent again, and now it is welcome. */
	if (flow->ended == CAPTURED_REFUSED && flow->syns > flow->ended_syns)
		flow->ended = 0;
}

/* Is the reset one that the other end can take for true: is it what that waits for, as far as one knows? */
static bool reset_fits(const struct flow *flow, int from, const struct capture_packet *p)
{
	const struct end *own = &flow->ends[from], *other = &flow->ends[!from];
	uint32_t fin = own->so_far.did & CAPTURED_FIN ? 1 : 0;

	if (!other->ack_known && !own->next_known)
		return true;
	if (other->ack_known && p->seq == other->so_far.ack)
		return true;
	if (!own->next_known || !other->ack_known)
		return !own->next_known || p->seq - own->so_far.next <= fin;
	return !seq_before(p->seq, other->so_far.ack) &&
	       !seq_before(own->so_far.next + fin, p->seq);
}

/* Did the packet just before it, of the other end, bring it about, by the rules of RFC 9293, 3.10.7.1? */
static bool is_answer(const struct flow *flow, const struct capture_packet *p)
{
	const struct capture_packet *last = &flow->last;
	uint32_t len = last->payload + !!(last->flags & TCPHDR_SYN) + !!(last->flags & TCPHDR_FIN);

	if (!last->ns || end_of(flow, last) == end_of(flow, p))
		return false;
	if (!(p->flags & TCPHDR_ACK))
		return last->flags & TCPHDR_ACK && p->seq == last->ack;
	return !p->seq && p->ack == last->seq + len;
}

void flow_take_reset(struct flow *flow, int from, const struct capture_packet *p)
{
	bool begun = flow->syns && !flow->answered;

	if (flow->ended && flow->ended != CAPTURED_COLLISION && !flow->misfit)
		return;
	if (begun && from == flow->client)
		return; /* it gives up, or answers what it doesn't know */
	if (begun && (!(p->flags & TCPHDR_ACK) || !answers_syn(flow, p->ack))) {
		flow->answered = true; /* by what the client does not believe */
		return;
	}
	/* Half open only, and the one that began thinks better of it; or both have closed. */
	if (!begun && flow->client == from && !(flow->ends[from].so_far.did & CAPTURED_FIN) &&
	    flow->ends[from].so_far.packets <= flow->syns)
		return;
	if (flow->ends[0].so_far.did & flow->ends[1].so_far.did & CAPTURED_FIN)
		return;
	flow->misfit = !begun && !reset_fits(flow, from, p);
	flow->answers_ns = begun ? flow->syn_ns : is_answer(flow, p) ? flow->last.ns : 0;
	flow_note(flow,
		  begun								? CAPTURED_REFUSED
		  : flow->ends[0].so_far.packets + flow->ends[1].so_far.packets ? CAPTURED_RESET
										: CAPTURED_ALONE,
		  p);
}

/*
 * After a reset its sender is silent. Else the reset was somebody else's, or was not believed: it sends what
 * follows on what it had sent, or knows of what the other end has sent since.
 */
static bool outlives(const struct flow *flow, int from, const struct capture_packet *p)
{
	const struct rec_captured_end *own = &flow->before[from], *other = &flow->before[!from];
	uint32_t next = flow->misfit ? own->next : flow->end.seq;

	if ((flow->ended != CAPTURED_RESET && flow->ended != CAPTURED_ALONE) ||
	    from != end_of(flow, &flow->end))
		return false;
	if (p->ns > flow->end.ns + DISORDER_NS)
		return true;
	if (p->payload || p->flags & TCPHDR_FIN)
		return !seq_before(p->seq, next);
	return p->flags & TCPHDR_ACK &&
	       seq_before(other->packets ? other->next + 1 : own->ack, p->ack);
}

/* The reset overtook the last that its sender had sent. */
static bool was_overtaken(const struct flow *flow, int from, const struct capture_packet *p)
{
	return flow->misfit && from == end_of(flow, &flow->end) &&
	       p->ns <= flow->end.ns + DISORDER_NS && p->payload &&
	       p->seq + p->payload == flow->end.seq;
}

void flow_take_other(struct flow *flow, int from, const struct capture_packet *p)
{
	if (was_overtaken(flow, from, p))
		flow->misfit = false;
	if (outlives(flow, from, p)) {
		flow->ended = 0;
		flow->misfit = false;
		flow->answered = true;
	}
	if (!flow->syns || flow->answered)
		return;
	/* An answer to the SYN is missing here, but the client has got it. */
	if (from == flow->client || follows_syn(flow, p->ack)) {
		flow->answered = true;
		return;
	}
	/* RFC 5961 section 4: a SYN for a connection that exists is answered with where that stands. */
	if (!flow->ended && !p->payload &&
	    (p->flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_FIN)) == TCPHDR_ACK) {
		flow->answers_ns = flow->syn_ns;
		flow_note(flow, CAPTURED_COLLISION, p);
	}
}
