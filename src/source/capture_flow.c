/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/capture_private.h"

#include <netinet/in.h>

/* Connections that are looked at at a time; of those not heard of for longest is told early. */
#define FLOWS_MAX 32768
/* The same packet again, from another interface: no host repeats itself that fast. */
#define TWICE_NS (20 * NSEC_PER_MSEC)

struct capture_flows {
	struct flow *flows; /* in the order of their last packets */
	capture_tell_fn *tell;
	void *arg;
	uint64_t last_ns;
};

int capture_flows_new(capture_tell_fn *tell, void *arg, struct capture_flows **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->tell = tell;
	(*ret)->arg = arg;
	return 0;
}

void capture_flows_free(struct capture_flows *f)
{
	struct flow *flow, *next;

	if (!f)
		return;
	HASH_ITER(hh, f->flows, flow, next) {
		HASH_DEL(f->flows, flow);
		free(flow);
	}
	free(f);
}

uint64_t capture_flows_last_ns(const struct capture_flows *f)
{
	return f->last_ns;
}

/* ---- telling --------------------------------------------------------------------------------- */

static struct rec_packet to_record(const struct capture_packet *p)
{
	struct rec_packet r = {.tuple = p->tuple,
			       .seq = p->seq,
			       .ack = p->ack,
			       .ip_len = p->ip_len,
			       .payload = p->payload,
			       .ip_id = p->ip_id,
			       .window = p->window,
			       .vlan = p->vlan,
			       .tcp_flags = p->flags,
			       .ttl = p->ttl,
			       .has = PKT_L3 | PKT_L4 | (p->vlan ? PKT_VLAN : 0),
			       .ctinfo = CTINFO_NONE};

	if (p->icmp) {
		r.has = 0;
		r.icmp_type = p->icmp_type;
		r.icmp_code = p->icmp_code;
		memcpy(r.icmp_src, p->icmp_src, sizeof(r.icmp_src));
	}
	return r;
}

/* As it stood when `what` happened, and what came later. */
static struct rec_captured_end end_told(const struct flow *flow, int end)
{
	struct rec_captured_end e = flow->before[end];

	e.later = flow->ends[end].so_far.packets - e.packets;
	return e;
}

static int tell(struct capture_flows *f, const struct flow *flow)
{
	const struct capture_packet *p = &flow->end;
	int from = end_of(flow, p);
	struct rec_captured c = {
		.event.hdr = record_hdr(REC_CAPTURED),
		.event.step = (uint8_t)flow->ended,
		.event.repeats = flow->ended == CAPTURED_RESET ? 0 : flow->syns,
		.event.pkt = to_record(p),
		.first_ns = flow->first_ns,
		.last_ns = flow->last_ns,
		.end_ns = f->last_ns,
		.answers_ns = flow->answers_ns,
		.from = end_told(flow, from),
		.to = end_told(flow, !from),
		.misfit = flow->misfit,
		.alive = flow->old_alive,
	};

	c.event.hdr.mono_ns = c.event.hdr.wall_ns = p->ns;
	return f->tell(f->arg, &c.event.hdr);
}

/* Is what was noted a failure after all, now that all is known that came later? */
static bool has_failed(struct flow *flow)
{
	switch (flow->ended) {
	case CAPTURED_COLLISION:
		return flow->syns > 1;
	case CAPTURED_ICMP:
		return !flow->answered;
	case 0:
		/* An answer may still have been on its way; but not since before the SYN was sent again. */
		if (flow->answered || flow->syns < 2)
			return false;
		flow_note(flow, CAPTURED_UNANSWERED, &flow->syn);
		return true;
	default:
		return true;
	}
}

static int finish(struct capture_flows *f, struct flow *flow)
{
	int err = has_failed(flow) ? tell(f, flow) : 0;

	HASH_DEL(f->flows, flow);
	free(flow);
	return err;
}

int capture_flows_end(struct capture_flows *f)
{
	int err = 0;

	while (f->flows && !err)
		err = finish(f, f->flows);
	return err;
}

/* ---- connections ----------------------------------------------------------------------------- */

static struct flow *flow_new(struct capture_flows *f, const struct rec_tuple *key)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return NULL;
	flow->key = *key;
	flow->client = -1;
	HASH_ADD(hh, f->flows, key, sizeof(flow->key), flow);
	return flow;
}

static struct flow *flow_find(struct capture_flows *f, const struct rec_tuple *t)
{
	struct rec_tuple key = tuple_canonical(t);
	struct flow *flow;

	HASH_FIND(hh, f->flows, &key, sizeof(key), flow);
	return flow;
}

/* Of this packet, and now the one that was heard of last. */
static int flow_for(struct capture_flows *f, const struct capture_packet *p, struct flow **ret)
{
	struct flow *flow = flow_find(f, &p->tuple);
	struct rec_tuple key = tuple_canonical(&p->tuple);
	int err = 0;

	if (flow) {
		HASH_DEL(f->flows, flow);
		HASH_ADD(hh, f->flows, key, sizeof(flow->key), flow);
		*ret = flow;
		return 0;
	}
	if (HASH_COUNT(f->flows) >= FLOWS_MAX)
		err = finish(f, f->flows);
	*ret = flow_new(f, &key);
	if (*ret)
		(*ret)->first_ns = p->ns;
	return *ret ? err : -ENOMEM;
}

static bool same_packet(const struct capture_packet *a, const struct capture_packet *b)
{
	uint64_t apart = a->ns < b->ns ? b->ns - a->ns : a->ns - b->ns;

	return apart < TWICE_NS && a->seq == b->seq && a->ack == b->ack &&
	       a->payload == b->payload && a->flags == b->flags && a->window == b->window &&
	       a->ip_id == b->ip_id;
}

static bool is_twice(struct end *end, const struct capture_packet *p)
{
	for (unsigned i = 0; i < RECENT && i < end->n_recent; i++)
		if (same_packet(&end->recent[i], p))
			return true;
	end->recent[end->n_recent++ % RECENT] = *p;
	return false;
}

/* What it adds to its end. */
static void count_packet(struct end *end, const struct capture_packet *p)
{
	struct rec_captured_end *e = &end->so_far;
	uint32_t first = p->seq + !!(p->flags & TCPHDR_SYN), next = first + p->payload;

	if (!end->next_known || seq_before(e->next, next)) {
		uint32_t fresh =
			end->next_known && seq_before(first, e->next) ? next - e->next : p->payload;

		e->bytes += fresh < p->payload ? fresh : p->payload;
		e->next = next;
		end->next_known = true;
	}
	if (p->flags & TCPHDR_ACK && (!end->ack_known || seq_before(e->ack, p->ack))) {
		e->ack = p->ack;
		end->ack_known = true;
	}
	e->packets++;
	e->did |= p->flags & TCPHDR_FIN ? CAPTURED_FIN : 0;
	if (!e->ttl_lowest || p->ttl < e->ttl_lowest)
		e->ttl_lowest = p->ttl;
	if (p->ttl > e->ttl_highest)
		e->ttl_highest = p->ttl;
}

/* ---- packets ----------------------------------------------------------------------------------- */

static int take_icmp(struct capture_flows *f, const struct capture_packet *p)
{
	struct flow *flow = flow_find(f, &p->tuple);
	bool expired = p->icmp_type == (p->tuple.family == 6 ? 3 : 11);
	bool too_big =
		p->tuple.family == 6 ? p->icmp_type == 2 : p->icmp_type == 3 && p->icmp_code == 4;
	int err = 0;

	if (expired || too_big)
		return 0; /* traceroute, path MTU discovery */
	if (p->tuple.proto == IPPROTO_UDP && !flow)
		err = flow_for(f, p, &flow);
	if (err || !flow || flow->ended)
		return err;
	if (p->tuple.proto == IPPROTO_TCP &&
	    (!flow->syns || flow->answered || p->seq != flow->syn.seq))
		return 0;
	flow->last_ns = p->ns;
	flow->answers_ns = flow->syn_ns;
	flow_note(flow, CAPTURED_ICMP, p);
	return 0;
}

/* The same addresses and ports, and another connection. */
static int begin_anew(struct capture_flows *f, struct flow **flow, const struct capture_packet *p)
{
	bool empty = !(*flow)->last_ns, alive = !flow_is_over(*flow) && (*flow)->answered;
	/* In a capture of several interfaces the answer may stand first. */
	bool early = (*flow)->ended == CAPTURED_ALONE && p->ns < (*flow)->end.ns + DISORDER_NS &&
		     (*flow)->end.ack == p->seq + 1;
	int err;

	if (empty || early) {
		if (early)
			(*flow)->ended = CAPTURED_REFUSED;
		return 0;
	}
	err = finish(f, *flow);
	if (err)
		return err;
	err = flow_for(f, p, flow);
	if (!err)
		(*flow)->old_alive = alive;
	return err;
}

int capture_flows_take(struct capture_flows *f, const struct capture_packet *p)
{
	struct flow *flow;
	bool syn = (p->flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) == TCPHDR_SYN;
	int from, err;

	f->last_ns = p->ns > f->last_ns ? p->ns : f->last_ns;
	if (p->icmp)
		return take_icmp(f, p);
	err = flow_for(f, p, &flow);
	if (err)
		return err;
	from = end_of(flow, p);
	if (is_twice(&flow->ends[from], p))
		return 0;
	if (syn && !flow_is_same_attempt(flow, from, p) && flow->client != !from)
		err = begin_anew(f, &flow, p);
	if (err)
		return err;
	flow->last_ns = p->ns;
	if (p->flags & TCPHDR_RST) {
		flow_take_reset(flow, from, p);
		return 0;
	}
	if (syn)
		flow_take_syn(flow, from, p);
	else if (p->flags & TCPHDR_SYN)
		flow_take_syn_ack(flow, from);
	else
		flow_take_other(flow, from, p);
	count_packet(&flow->ends[from], p);
	flow->last = *p;
	return 0;
}
