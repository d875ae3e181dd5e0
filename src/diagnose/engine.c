/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/engine.h"

#include "record/question.h"
#include "record/record.h"
#include "sym/labels.h"

static const struct cause *const causes[] = {
#define CAUSE(name) &cause_##name,
#include "diagnose/causes/list.h"
#undef CAUSE
};

const struct cause *diagnose_cause(size_t n)
{
	return n < ARRAY_SIZE(causes) ? causes[n] : NULL;
}

/* ---- what to ask ----------------------------------------------------------------------------- */

uint8_t fact_nf(const struct rec_event *e)
{
	return e->hdr.kind == REC_DROP || e->hdr.kind == REC_REJECT ? e->nf.has : 0;
}

bool nf_has_policy(const struct rec_event *e)
{
	return e->hdr.kind == REC_DROP && (e->nf.has & (NF_CHAIN | NF_RULE)) == NF_CHAIN &&
	       !e->nf.policy;
}

bool nf_has_rule(const struct rec_event *e)
{
	const uint8_t all = NF_CHAIN | NF_RULE | NF_HANDLE;

	return (fact_nf(e) & all) == all;
}

/* The socket's; or the task's, where it is the one whose socket it is: of a packet that comes in, it is anybody. */
static uint64_t cgroup_of(const struct rec_event *e)
{
	bool own = e->hdr.kind == REC_CONNECT || fact_reason_is(e, "BPF_CGROUP_EGRESS");

	return e->sock.cgroup ? e->sock.cgroup : own ? e->task.cgroup : 0;
}

/* Is there nothing to look up, or would the answer add nothing to what e tells? */
static bool is_needless(const struct rec_event *e, uint32_t kind)
{
	switch (kind) {
	case Q_RULE:
		return !nf_has_rule(e) && !nf_has_policy(e);
	case Q_DROP_RULES:
		return nf_has_rule(e) || nf_has_policy(e);
	case Q_LINK:
		return !e->ifindex;
	case Q_BPF_PROGS:
		return !e->ifindex && !cgroup_of(e);
	default:
		return false;
	}
}

/* What only questions about netfilter and BPF programs have. */
static void need_details(const struct rec_event *e, struct question *q)
{
	const struct rec_nf *nf = &e->nf;
	bool covered = fact_nf(e) & NF_HOOK && fact_nf(e) & NF_COVERED;

	switch (q->kind) {
	case Q_NFQUEUES:
	case Q_CONNTRACK_TOP:
		memset(&q->tuple, 0, sizeof(q->tuple)); /* one answer for all flows */
		break;
	case Q_HOOKS:
	case Q_DROP_RULES:
		memset(&q->tuple, 0, sizeof(q->tuple));
		/* Not watched: perhaps a later hook than the last that was seen. */
		q->nf_family = covered ? nf->pf : 0;
		q->nf_hook = covered ? nf->hook : NF_HOOK_ANY;
		break;
	case Q_RULE:
		memset(&q->tuple, 0, sizeof(q->tuple));
		q->nf_family = nf->family;
		q->nf_hook = nf->hook;
		q->handle = nf->has & NF_RULE ? nf->handle : 0;
		str_copy(q->table, sizeof(q->table), nf->table);
		str_copy(q->chain, sizeof(q->chain), nf->has & NF_RULE ? nf->chain : nf->base);
		break;
	case Q_LISTENERS:
		/* Who listens where the socket is, whatever the packet's direction. */
		if (e->sock.flags & SOCK_PRESENT && tuple_is_whole(&e->sock.tuple))
			q->tuple = tuple_reverse(&e->sock.tuple);
		break;
	case Q_BPF_PROGS:
		q->cgroup = cgroup_of(e);
		break;
	case Q_CONNTRACK:
		/* Of an entry that is being made: who else has what its answers will look like? */
		if (e->pkt.has & PKT_CT)
			q->tuple = e->pkt.ct_reply;
		/* What arrived at a socket has been translated: the entry is known by what that sends. */
		else if (e->sock.flags & SOCK_PRESENT && tuple_is_whole(&e->sock.tuple))
			q->tuple = e->sock.tuple;
		else if (strcmp(e->reason_name, "TCP_INVALID_SYN") == 0)
			q->tuple = tuple_reverse(&e->pkt.tuple);
		break;
	default:
		break;
	}
}

static void need(const struct rec_event *e, uint32_t kind, const char *name, question_vec *ask)
{
	struct question q = {.kind = kind,
			     .netns = e->hdr.netns,
			     .ifindex = e->ifindex,
			     .tuple = e->pkt.tuple,
			     .inode = e->sock.inode};

	if (is_needless(e, kind))
		return;
	need_details(e, &q);
	if (kind == Q_OWNER)
		q.tuple = e->sock.tuple;
	if (name)
		snprintf(q.name, sizeof(q.name), name,
			 e->ifname); /* the format is a cause's own constant */
	if (name && strstr(name, "%s") && !e->ifname[0])
		return;
	for (size_t i = 0; i < ask->n; i++)
		if (ask->v[i].kind == kind && strcmp(ask->v[i].name, q.name) == 0)
			return;
	struct question *slot = vec_push(ask);

	if (slot)
		*slot = q;
}

void diagnose_needs(const struct rec_event *e, question_vec *ask)
{
	if (!e->hdr.netns)
		return;
	need(e, Q_NETNS, NULL, ask);
	need(e, Q_SOCKETS, NULL, ask);
	if (e->sock.inode)
		need(e, Q_OWNER, NULL, ask);
	for (size_t i = 0; i < ARRAY_SIZE(causes); i++) {
		const struct cause *c = causes[i];

		if (!(c->kinds & 1u << e->hdr.kind) || (c->concerns && !c->concerns(e)))
			continue;
		for (unsigned bit = 0; bit < Q_COUNT; bit++)
			if (c->needs & 1u << bit)
				need(e, 1u << bit, NULL, ask);
		for (size_t n = 0; c->sysctls && c->sysctls[n]; n++)
			need(e, Q_SYSCTL, c->sysctls[n], ask);
		for (size_t n = 0; c->counters && c->counters[n]; n++)
			need(e, Q_COUNTER, c->counters[n], ask);
	}
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool has_sources(const struct judge *j)
{
	for (unsigned i = 0; i < j->ev->nr_kstack; i++) {
		const struct rec_symbol *s = world_symbol(j->world, j->ev->kstack[i]);

		if (s && s->source[0])
			return true;
	}
	return false;
}

static void verdict_stack(const struct judge *j, struct verdict *v)
{
	_cleanup_strbuf_ struct strbuf frame = {0};
	const char *path[LABELS_MAX];
	bool sources = has_sources(j);
	size_t n;

	for (unsigned i = 0; i < j->ev->nr_kstack; i++) {
		const struct rec_symbol *s = world_symbol(j->world, j->ev->kstack[i]);

		if (frame_is_ours(s))
			continue;
		strbuf_reset(&frame);
		fact_symbol_text(j, j->ev->kstack[i], &frame);
		verdict_frame(v, "%s", frame.s ? frame.s : "");
		if (sources)
			verdict_source(v, frame.s ? frame.s : "", s ? s->source : "");
	}
	n = label_path(v->stack.v, v->stack.n, path);
	for (size_t i = 0; i < n; i++)
		verdict_step(v, "%s", path[i]);
}

/* 1 if `flow` goes to the service, -1 if it comes from there, 0 if nothing tells. */
static int service_side(const struct judge *j, const struct rec_tuple *flow)
{
	if (j->ev->hdr.kind == REC_CAPTURED)
		return captured_service(j->ev);
	timeline_each_event(j->tl, e) {
		bool syn = e->pkt.has & PKT_L4 && packet_is_syn(&e->pkt);
		bool client = e->hdr.kind == REC_CONNECT || e->hdr.kind == REC_SYN_RETRANS ||
			      (e->hdr.kind == REC_STATE && e->old_state == TCP_SYN_SENT);
		const struct rec_tuple *to = syn ? &e->pkt.tuple : &e->sock.tuple;

		if (!syn && !client)
			continue;
		if (addr_equal(to->dst, flow->dst) && to->dport == flow->dport)
			return 1;
		if (addr_equal(to->dst, flow->src) && to->dport == flow->sport)
			return -1;
	}
	return 0;
}

static void verdict_head(const struct judge *j, const struct cause *c, struct verdict *v)
{
	const struct rec_netns *n = world_netns(j->world, j->ev->hdr.netns);

	v->cause = c->id;
	v->any_client = c->any_client;
	v->mono_ns = j->ev->hdr.mono_ns;
	v->wall_ns = j->ev->hdr.wall_ns;
	v->event = record_kind_words(j->ev->hdr.kind);
	v->flow = j->ev->pkt.tuple;
	v->service = service_side(j, &v->flow);
	v->netns = j->ev->hdr.netns;
	verdict_stack(j, v);
	judge_caller(j, v);
	str_copy(v->ifname, sizeof(v->ifname), j->ev->ifname);
	if (world_is_host(n))
		str_copy(v->netns_name, sizeof(v->netns_name), "host");
	else if (n && n->name[0])
		str_copy(v->netns_name, sizeof(v->netns_name), n->name);
	else if (n && n->container[0])
		str_copy(v->netns_name, sizeof(v->netns_name), n->container);
	else if (n && n->pid)
		snprintf(v->netns_name, sizeof(v->netns_name), "pid %u (%s)", n->pid, n->comm);
}

struct best {
	const struct cause *cause;
	struct verdict v;
};

static bool better(const struct cause *c, const struct best *than)
{
	return !than->cause || c->rank < than->cause->rank;
}

/*
 * The first cause, in order of precedence, that says yes to this event and beats what was found
 * before.
 */
static void judge_event(struct judge *j, struct best *best)
{
	for (size_t i = 0; i < ARRAY_SIZE(causes); i++) {
		const struct cause *c = causes[i];
		struct verdict v = {0};

		if (!(c->kinds & 1u << j->ev->hdr.kind) || !better(c, best))
			continue;
		j->v = &v;
		if (!c->judge(j)) {
			verdict_free(&v);
			continue;
		}
		evidence_derived(j);
		verdict_head(j, c, &v);
		verdict_free(&best->v);
		best->cause = c;
		best->v = v;
	}
}

/*
 * A packet that comes while its socket resets the connection finds the socket gone: it is unhashed
 * before the reset leaves (net/ipv4/tcp.c tcp_set_state, __tcp_close). Its answer only follows from
 * that reset.
 */
static bool is_overtaken(const struct timeline *tl, const struct rec_event *e)
{
	bool listens = e->sock.flags & SOCK_PRESENT && e->sock.state == TCP_LISTEN;

	if (e->active || (!listens && e->sock.flags & SOCK_PRESENT))
		return false;
	if (e->hdr.kind != REC_RST_SENT && e->hdr.kind != REC_RST_OUT &&
	    (e->hdr.kind != REC_DROP || (!listens && strcmp(e->reason_name, "NO_SOCKET") != 0)))
		return false;
	timeline_each_event(tl, other) {
		if (other->hdr.kind == REC_RST_SENT && other->active &&
		    other->hdr.netns == e->hdr.netns &&
		    same_connection(&other->sock.tuple, &e->pkt.tuple))
			return true;
	}
	return false;
}

/* A setting or counter that isn't there belongs to a part of the kernel that isn't in use. */
static bool is_failed(const struct rec_answer *a)
{
	if (a->what == Q_USER_STACK)
		return false; /* no cause asks that */
	return a->err && a->err != REC_UNANSWERED &&
	       !(a->err == -ENOENT && (a->what == Q_SYSCTL || a->what == Q_COUNTER));
}

/* An answer that is an error tells nothing, which is not the same as nothing being there. */
static void tell_failed_lookups(const struct timeline *tl, struct verdict *v)
{
	unsigned n = 0;
	int err = 0;

	timeline_each(tl, REC_ANSWER, struct rec_answer, a) {
		n += is_failed(a);
		err = is_failed(a) ? a->err : err;
	}
	if (n)
		verdict_evidence(v,
				 "%u lookups could not be made (%s): what they would have told is "
				 "missing",
				 n, errno_name(-err));
}

int diagnose(const struct timeline *tl, const struct world *w, const struct diagnose_loss *loss,
	     struct verdict *ret)
{
	struct best best = {0};
	uint32_t events = 0, late;

	timeline_each_event(tl, e) {
		struct judge j = {.tl = tl, .world = w, .ev = e};
		enum weight weight = track_weight(e, w);

		if (weight == WEIGHT_NONE)
			continue;
		events += weight == WEIGHT_HARD;
		if (!is_overtaken(tl, e))
			judge_event(&j, &best);
	}
	if (!best.cause)
		return 0;
	judge_ledger(&(struct judge){.tl = tl, .world = w}, &best.v.connect);
	best.v.events = events ? events : 1;
	/* Where a packet was lost may be certain; who wanted it is what they might have told. */
	if (best.v.certainty != CERTAINTY_CERTAIN || best.cause->rank == RANK_PLACE ||
	    best.v.incomplete)
		tell_failed_lookups(tl, &best.v);
	late = fact_open_questions(tl);
	if (late)
		verdict_evidence(&best.v,
				 "%u lookups were not answered in time: what they would have told "
				 "is missing",
				 late);
	if (loss && loss->lost && best.v.certainty == CERTAINTY_CERTAIN &&
	    best.cause->rank != RANK_ROOT) {
		best.v.certainty = CERTAINTY_LIKELY;
		verdict_evidence(&best.v, "events were lost while this was gathered: one of them "
					  "might say otherwise");
	}
	*ret = best.v;
	return 1;
}

/* The end that is the service; told by the ports where nobody saw the connection begin. */
static void service_last(const struct verdict *v, struct rec_tuple *ret)
{
	const struct rec_tuple *t = &v->flow;
	bool src = v->service ? v->service < 0 : t->sport && (!t->dport || t->sport < t->dport);

	*ret = src ? tuple_reverse(t) : *t;
}

static void ends_key(const struct verdict *v, bool with_port, char *key, size_t size)
{
	_cleanup_strbuf_ struct strbuf client = {0}, service = {0};
	struct rec_tuple t;

	service_last(v, &t);
	if (!v->any_client)
		addr_text(t.src, &client);
	endpoint_text(t.dst, with_port ? t.dport : 0, &service);
	snprintf(key, size, "%s %u %u %s %s", v->cause, v->netns, v->flow.proto,
		 client.s ? client.s : "", service.s ? service.s : "");
}

void verdict_incident_key(const struct verdict *v, char *key, size_t size)
{
	ends_key(v, true, key, size);
}

void verdict_group_key(const struct verdict *v, char *key, size_t size)
{
	ends_key(v, false, key, size);
}
