/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

bool fact_stack_of(const struct judge *j, const struct rec_event *e, const char *function)
{
	return world_stack_has(j->world, e, function);
}

bool fact_stack(const struct judge *j, const char *function)
{
	return fact_stack_of(j, j->ev, function);
}

const struct rec_event *fact_event(const struct judge *j, enum rec_kind kind)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == kind)
			return e;
	}
	return NULL;
}

static bool same_connection(const struct rec_tuple *a, const struct rec_tuple *b)
{
	struct rec_tuple back = tuple_reverse(b);

	return tuple_equal(a, b) || tuple_equal(a, &back);
}

const struct rec_ct *fact_ct(const struct judge *j, const struct rec_tuple *tuple, uint32_t netns)
{
	const struct rec_ct *best = NULL;

	timeline_each(j->tl, REC_CT, struct rec_ct, ct) {
		if (ct->hdr.netns != netns)
			continue;
		if (!ct->found) {
			if (!best)
				best = ct;
		} else if (same_connection(&ct->orig, tuple) ||
			   same_connection(&ct->reply, tuple)) {
			best = ct;
			break;
		}
	}
	return best;
}

bool ct_is_nat(const struct rec_ct *ct)
{
	struct rec_tuple back = tuple_reverse(&ct->reply);

	return !tuple_equal(&ct->orig, &back);
}

bool fact_conntrack_active(const struct judge *j)
{
	/* net/netfilter/nf_conntrack_proto.c: the hooks at PRE_ROUTING. */
	for (unsigned i = 0; i < j->ev->nr_hooks; i++) {
		const struct rec_symbol *s = world_symbol(j->world, j->ev->hooks[i]);

		if (s && (strcmp(s->name, "ipv4_conntrack_in") == 0 || strcmp(s->name, "ipv6_"
										       "conntrack_"
										       "in") == 0))
			return true;
	}
	return false;
}

bool fact_answered(const struct judge *j, enum question_kind kind, uint32_t *ret_late_us)
{
	timeline_each(j->tl, REC_ANSWER, struct rec_answer, a) {
		if (a->what != kind || a->err)
			continue;
		if (ret_late_us)
			*ret_late_us = a->late_us;
		return true;
	}
	return false;
}

bool fact_sysctl(const struct judge *j, const char *name, int64_t *ret)
{
	timeline_each(j->tl, REC_SYSCTL, struct rec_sysctl, s) {
		if (s->hdr.netns != j->ev->hdr.netns || strcmp(s->name, name) != 0)
			continue;
		*ret = s->value;
		return true;
	}
	return false;
}

const struct rec_route *fact_route(const struct judge *j, const uint8_t dst[16])
{
	timeline_each(j->tl, REC_ROUTE, struct rec_route, r) {
		if (r->hdr.netns == j->ev->hdr.netns && addr_equal(r->tuple.dst, dst))
			return r;
	}
	return NULL;
}

uint64_t fact_counter(const struct judge *j, const char *name)
{
	uint64_t delta = 0;

	timeline_each(j->tl, REC_COUNTER, struct rec_counter, c) {
		if (c->hdr.netns == j->ev->hdr.netns && strcmp(c->name, name) == 0 && c->base_ns)
			delta = c->delta;
	}
	return delta;
}

const struct rec_sock_info *fact_sock(const struct judge *j, const struct rec_tuple *tuple)
{
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match != SOCK_MATCH_EXACT || s->state == TCP_CLOSE ||
		    s->state == TCP_TIME_WAIT)
			continue;
		if (same_connection(&s->tuple, tuple))
			return s;
	}
	return NULL;
}

bool packet_is_syn(const struct rec_packet *p)
{
	return p->tuple.proto == IPPROTO_TCP &&
	       (p->tcp_flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) == TCPHDR_SYN;
}

bool fact_was_connecting(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_STATE && e->old_state == TCP_SYN_SENT &&
		    e->sock.addr == j->ev->sock.addr)
			return true;
	}
	return j->ev->sock.state == TCP_SYN_SENT;
}

const struct rec_event *fact_loss(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_DROP && !(e->pkt.tcp_flags & TCPHDR_RST) &&
		    (track_weight(e, j->world) != WEIGHT_NONE ||
		     strncmp(e->reason_name, "QDISC_", 6) == 0 ||
		     strncmp(e->reason_name, "NEIGH_", 6) == 0 ||
		     strcmp(e->reason_name, "PKT_TOO_BIG") == 0))
			return e;
	}
	return NULL;
}

bool fact_reset_by_us(const struct judge *j)
{
	static const char *const functions[] = {"tcp_v4_send_reset", "tcp_v6_send_reset",
						"tcp_send_active_reset"};

	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_RST_SENT)
			return true;
		for (size_t i = 0; e->hdr.kind == REC_RST_OUT && i < ARRAY_SIZE(functions); i++)
			if (fact_stack_of(j, e, functions[i]))
				return true;
	}
	return false;
}

bool reset_without_socket(const struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (e->pkt.tuple.proto != IPPROTO_TCP || !(e->pkt.has & PKT_L4) ||
	    e->pkt.tcp_flags & TCPHDR_RST)
		return false;
	if (e->hdr.kind == REC_RST_SENT)
		return !e->active && !(e->sock.flags & SOCK_PRESENT);
	return e->hdr.kind == REC_DROP && strcmp(e->reason_name, "NO_SOCKET") == 0 &&
	       !(e->sock.flags & SOCK_PRESENT);
}

/* Has `hit` a line that starts like this already? */
static bool hit_told(const struct judge *j, const char *start)
{
	for (size_t i = 0; i < j->v->hit.n; i++)
		if (strncmp(j->v->hit.v[i], start, strlen(start)) == 0)
			return true;
	return false;
}

static void hit_socket(struct judge *j, const struct rec_sock_info *s)
{
	char start[128];

	snprintf(start, sizeof(start), "%s (%s)", say_owner(j, s), say_netns(j, s->hdr.netns));
	if (hit_told(j, start))
		return;
	if (s->state == TCP_LISTEN && s->tuple.proto == IPPROTO_TCP)
		verdict_hit(j->v, "%s: listens on %s", start, say_src(&s->tuple));
	else if (!s->tuple.dport)
		verdict_hit(j->v, "%s: bound to %s", start, say_src(&s->tuple));
	else if (s->match == SOCK_MATCH_OWNER)
		verdict_hit(j->v, "%s: %s", start, say_tuple(&s->tuple));
	else
		verdict_hit(j->v, "%s: %s, %s", start, say_tuple(&s->tuple),
			    tcp_state_name(s->state));
}

static void hit_task(struct judge *j, const struct rec_event *e)
{
	char start[128];

	snprintf(start, sizeof(start), "pid %u %s (%s)", e->task.pid, e->task.comm,
		 say_netns(j, e->hdr.netns));
	if (!hit_told(j, start))
		verdict_hit(j->v, "%s: %s", start,
			    say_tuple(e->sock.flags & SOCK_PRESENT ? &e->sock.tuple
								   : &e->pkt.tuple));
}

static bool has_event_in(const struct judge *j, uint32_t netns)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.netns == netns)
			return true;
	}
	return false;
}

/*
 * Two namespaces that hold the same end of the same connection are two worlds with the same
 * addresses: then only the one where something happened is meant.
 */
static bool is_other_world(const struct judge *j, const struct rec_sock_info *s)
{
	if (has_event_in(j, s->hdr.netns))
		return false;
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, other) {
		if (other->hdr.netns != s->hdr.netns && tuple_equal(&other->tuple, &s->tuple) &&
		    has_event_in(j, other->hdr.netns))
			return true;
	}
	return false;
}

static bool is_hit(const struct judge *j, const struct rec_sock_info *s)
{
	if (!s->pid)
		return false;
	if (s->match == SOCK_MATCH_OWNER)
		return true;
	return s->match == SOCK_MATCH_EXACT && s->state != TCP_TIME_WAIT &&
	       (s->state != TCP_CLOSE || s->tuple.proto == IPPROTO_UDP) && !is_other_world(j, s);
}

/* In whose call it failed: connect(), or a packet that was dropped on its way out. */
static bool task_is_hit(const struct rec_event *e)
{
	if (!e->task.pid)
		return false;
	if (e->hdr.kind == REC_DROP)
		return e->sock.flags & SOCK_PRESENT && !e->iif &&
		       tuple_equal(&e->sock.tuple, &e->pkt.tuple);
	return e->hdr.kind == REC_CONNECT ||
	       (e->hdr.kind == REC_STATE && e->old_state == TCP_SYN_SENT);
}

unsigned hit_all(struct judge *j)
{
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (is_hit(j, s))
			hit_socket(j, s);
	}
	timeline_each_event(j->tl, e) {
		if (task_is_hit(e))
			hit_task(j, e);
	}
	return (unsigned)j->v->hit.n;
}
