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

bool same_connection(const struct rec_tuple *a, const struct rec_tuple *b)
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

uint32_t fact_open_questions(const struct timeline *tl)
{
	uint32_t n = (uint32_t)tl->open.n;

	timeline_each(tl, REC_ANSWER, struct rec_answer, a)
		n += a->err == REC_UNANSWERED;
	return n;
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

bool fact_counter_value(const struct judge *j, const char *name, uint64_t *ret)
{
	bool known = false;

	timeline_each(j->tl, REC_COUNTER, struct rec_counter, c) {
		if (c->hdr.netns != j->ev->hdr.netns || strcmp(c->name, name) != 0)
			continue;
		*ret = c->value;
		known = true;
	}
	return known;
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

const struct rec_sock_info *fact_listener(const struct judge *j)
{
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match == SOCK_MATCH_LISTEN && s->hdr.netns == j->ev->hdr.netns &&
		    s->state == TCP_LISTEN)
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
		if (e->hdr.mono_ns > j->ev->hdr.mono_ns)
			continue; /* what came later only answers */
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
		/* Whose a socket is was asked where its packet was seen, not where it lives. */
		if (other->match != SOCK_MATCH_OWNER && other->hdr.netns != s->hdr.netns &&
		    tuple_equal(&other->tuple, &s->tuple) && has_event_in(j, other->hdr.netns))
			return true;
	}
	return false;
}

/* The same process, found with its socket where that lives. */
static bool is_found_at_home(const struct judge *j, const struct rec_sock_info *s)
{
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, other) {
		if (other->match == SOCK_MATCH_EXACT && other->pid == s->pid &&
		    other->hdr.netns != s->hdr.netns && tuple_equal(&other->tuple, &s->tuple))
			return true;
	}
	return false;
}

static bool is_hit(const struct judge *j, const struct rec_sock_info *s)
{
	if (!s->pid)
		return false;
	if (s->match == SOCK_MATCH_OWNER)
		return !is_found_at_home(j, s);
	return s->match == SOCK_MATCH_EXACT && s->state != TCP_TIME_WAIT &&
	       (s->state != TCP_CLOSE || s->tuple.proto == IPPROTO_UDP) && !is_other_world(j, s);
}

/* In whose call it failed: connect(), or a packet that was dropped on its way out. */
static bool task_is_hit(const struct judge *j, const struct rec_event *e)
{
	if (!e->task.pid)
		return false;
	if (e->hdr.kind == REC_DROP)
		return e->sock.flags & SOCK_PRESENT && !e->iif &&
		       tuple_equal(&e->sock.tuple, &e->pkt.tuple);
	/* Who destroys another's socket isn't hit. */
	return e->hdr.kind == REC_CONNECT ||
	       (e->hdr.kind == REC_STATE && e->old_state == TCP_SYN_SENT &&
		!fact_stack_of(j, e, "tcp_abort"));
}

unsigned hit_all(struct judge *j)
{
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (is_hit(j, s))
			hit_socket(j, s);
	}
	timeline_each_event(j->tl, e) {
		if (task_is_hit(j, e))
			hit_task(j, e);
	}
	return (unsigned)j->v->hit.n;
}

void hit_closer(struct judge *j, const char *did)
{
	const struct rec_event *e = j->ev;

	if (e->task.pid)
		verdict_hit(j->v, "%s (%s) %s; its peer %s gets the reset", say_task(e),
			    say_netns(j, e->hdr.netns), did, say_dst(&e->sock.tuple));
}

void evidence_thrown_away(struct judge *j)
{
	const struct rec_sock *s = &j->ev->sock;

	if (s->unread)
		verdict_evidence(j->v, "%u bytes were received and not read", s->unread);
	if (s->write_seq != s->snd_una)
		verdict_evidence(j->v,
				 "%u bytes were sent or queued and not acknowledged: they are lost",
				 s->write_seq - s->snd_una);
}

void fix_accept(struct judge *j, const struct rec_sock_info *listener)
{
	verdict_fix(j->v, "none; a longer queue only hides a process that never catches up",
		    "let %s call accept() again, or faster: it is stuck, overloaded or out of file "
		    "descriptors",
		    listener && listener->pid ? say_owner(j, listener) : "the process");
}

void fix_backlog(struct judge *j, uint32_t limit)
{
	int64_t max;

	if (!fact_sysctl(j, "net.core.somaxconn", &max))
		return;
	/* net/socket.c __sys_listen: the smaller of the backlog asked for and somaxconn counts. */
	if ((int64_t)limit >= max)
		verdict_fix(j->v,
			    "bursts are queued instead of refused; takes effect when the service "
			    "calls listen() again with as large a backlog",
			    "%ssysctl -w net.core.somaxconn=%u   (now %d)",
			    say_netns_prefix(j, j->ev->hdr.netns), (unsigned)max * 2, (int)max);
	else
		verdict_fix(j->v, "bursts are queued instead of refused",
			    "let the service ask for a larger backlog in listen(): it has %u, up "
			    "to %d is allowed (net.core.somaxconn)",
			    limit, (int)max);
}

/* ---- reasons and endings --------------------------------------------------------------------- */

const char *fact_reason(const struct rec_event *e)
{
	return e->has_reason && strcmp(e->reason_name, "NOT_SPECIFIED") != 0 ? e->reason_name : "";
}

bool fact_reason_is(const struct rec_event *e, const char *reason)
{
	return strcmp(fact_reason(e), reason) == 0;
}

void evidence_derived(struct judge *j)
{
	_cleanup_strbuf_ struct strbuf where = {0};
	const struct rec_event *e = j->ev;

	if (e->has_reason != REASON_DERIVED)
		return;
	fact_symbol_text(j, e->location ? e->location : e->kstack[0], &where);
	verdict_evidence(j->v,
			 "this kernel tells no reasons: %s was derived from where the packet was "
			 "dropped, %s",
			 e->reason_name, where.s ? where.s : "");
}

/*
 * kernel/signal.c get_signal ends a task with do_group_exit, kernel/exit.c do_exit closes its
 * files.
 */
enum task_ending fact_ending(const struct judge *j, const struct rec_event *e)
{
	if (e->task.ending != TASK_RUNS)
		return e->task.ending;
	if (!fact_stack_of(j, e, "do_exit"))
		return TASK_RUNS;
	return fact_stack_of(j, e, "get_signal") ? TASK_KILLED : TASK_EXITS;
}

/*
 * The reset that the kernel sends for a packet, leaving: net/ipv4/tcp_ipv4.c, net/ipv6/tcp_ipv6.c.
 */
static bool answer_leaves(const struct judge *j)
{
	return fact_stack(j, "tcp_v4_send_reset") || fact_stack(j, "tcp_v6_send_reset");
}

bool fact_answers_closed(const struct judge *j)
{
	const struct rec_event *e = j->ev;
	bool present = e->sock.flags & SOCK_PRESENT;

	if (!e->mem.closed_ns || e->mem.closed_ns > e->hdr.mono_ns)
		return false;
	/*
	 * Before 6.10 (kernel commit b533fb9cf4f7) the tracepoint is silent without a full socket,
	 * but the reset itself is seen leaving.
	 */
	if (e->hdr.kind == REC_RST_OUT)
		return !fact_event(j, REC_RST_SENT) && answer_leaves(j);
	if (e->active || packet_is_syn(&e->pkt))
		return false;
	if (e->hdr.kind == REC_RST_SENT && present)
		return e->sock.state == TCP_LISTEN || e->sock.flags & (SOCK_DEAD_F | SOCK_TIMEWAIT);
	return reset_without_socket(j);
}

bool fact_had_ended(const struct judge *j, uint64_t since_ns)
{
	const struct rec_event *ev = j->ev;

	timeline_each_event(j->tl, e) {
		bool ends = e->hdr.kind == REC_RST_RECV || e->hdr.kind == REC_SOCK_ERR ||
			    (e->hdr.kind == REC_RST_SENT && e != ev);

		if (ends && e->hdr.netns == ev->hdr.netns && e->hdr.mono_ns < ev->hdr.mono_ns &&
		    e->hdr.mono_ns >= since_ns)
			return true;
	}
	return false;
}

/* ---- connections that wait ------------------------------------------------------------------- */

static bool same_syn(const struct rec_event *a, const struct rec_event *b)
{
	return tuple_equal(&a->pkt.tuple, &b->pkt.tuple) && a->pkt.seq == b->pkt.seq;
}

/* The client's end of it, if it is on this host too. */
static bool is_connect_in_trouble(const struct rec_event *e)
{
	switch (e->hdr.kind) {
	case REC_SYN_RETRANS:
	case REC_CONNECT:
		return true;
	case REC_STATE:
		return e->old_state == TCP_SYN_SENT && e->new_state == TCP_CLOSE;
	case REC_RST_SENT:
		return !e->active && e->sock.state == TCP_SYN_SENT;
	default:
		return false;
	}
}

bool fact_syn_suffers(const struct judge *j, bool no_duplicate)
{
	const struct rec_event *ev = j->ev;
	/* Where the socket that it met isn't known, its numbers aren't either. */
	bool twice_counts = no_duplicate || !(ev->sock.flags & SOCK_PRESENT);
	bool again = false, before = false;

	timeline_each_event(j->tl, e) {
		bool later = e != ev && e->hdr.mono_ns >= ev->hdr.mono_ns;

		if (!later) {
			before |= e->hdr.kind == REC_SYN_AGAIN && same_syn(e, ev);
			continue;
		}
		if (is_connect_in_trouble(e))
			return true;
		/* The client's answer to the kernel's answer. */
		if (e->hdr.kind == REC_RST_RECV && ev->sock.addr && e->sock.addr == ev->sock.addr &&
		    e->hdr.mono_ns - ev->hdr.mono_ns < NSEC_PER_SEC)
			return true;
		again |= same_syn(e, ev) && (e->hdr.kind == REC_SYN_AGAIN ||
					     (twice_counts && e->hdr.kind == ev->hdr.kind));
	}
	/* Here before it met this socket: perhaps a duplicate of the SYN that made it. */
	return again && (no_duplicate || !before);
}

/* The keepalive timer also ends the wait for a FIN where nobody holds the socket any more. */
static bool is_lingering(const struct rec_event *e)
{
	return e->sock.state == TCP_FIN_WAIT2 && e->sock.flags & SOCK_DEAD_F;
}

bool fact_gave_up(const struct judge *j)
{
	const struct rec_event *e = j->ev;
	bool reset = e->hdr.kind == REC_RST_SENT && e->active && !is_lingering(e) &&
		     (fact_stack(j, "tcp_keepalive_timer") || fact_reason_is(e, "TCP_KEEPALIVE_"
										"TIMEOUT"));

	if (!reset && (e->hdr.kind != REC_SOCK_ERR || e->err != ETIMEDOUT))
		return false;
	return !fact_was_connecting(j) && !fact_loss(j);
}

unsigned fact_retransmitted(const struct judge *j, uint64_t *ret_ns)
{
	uint64_t first = 0;
	unsigned n = 0;

	timeline_each_event(j->tl, e) {
		if (e->hdr.kind != REC_RETRANS || e->hdr.mono_ns > j->ev->hdr.mono_ns)
			continue;
		n++;
		first = first ? first : e->hdr.mono_ns;
	}
	if (ret_ns)
		*ret_ns = first;
	return n;
}
