/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "track/track.h"

#include "record/record.h"
#include "track/store.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/*
 * How long after a failure events and answers may still come in before it is judged, and at the
 * most.
 */
#define GRACE_NS (150 * NSEC_PER_MSEC)
#define PATIENCE_NS (1000 * NSEC_PER_MSEC)
/*
 * Answers to its questions are worth a longer wait: they take microseconds unless the host is in
 * trouble. Even then they are worth it as long as some come in, but not for ever.
 */
#define ANSWERS_NS (10 * NSEC_PER_SEC)
#define ANSWERS_MOST_NS (30 * NSEC_PER_SEC)
/*
 * A SYN is sent again after up to 64 s (net/ipv4/tcp_timer.c): until then the connection is
 * remembered.
 */
#define WATCH_NS (130 * NSEC_PER_SEC)
/* A connection that failed is remembered a little, for what still arrives for it. */
#define AFTERMATH_NS (10 * NSEC_PER_SEC)
/*
 * A socket's address is reused at once; events without a port belong to its last connection only
 * that long.
 */
#define SOCK_MEMORY_NS (3 * NSEC_PER_SEC)

/* Of one timeline: neither takes the other's place. */
#define EVENTS_MAX 96
#define LOOKUPS_MAX 512
#define BYTES_MAX (10u << 20)
#define TIMELINES_MAX 4096

struct track {
	needs_fn *needs;
	struct world *world;
	struct store store;
	uint64_t evicted;
	uint64_t forgot_ns; /* when something happened last to any of those that had to make room */
	uint64_t answered_ns; /* when the last answer came, whatever the question */
	VEC(struct question) questions;
	size_t question_at; /* those before it are asked */
	void (*on_repeat)(void *arg, uint64_t verdict_id);
	void *on_repeat_arg;
};

int track_new(needs_fn *needs, struct world *w, struct track **ret)
{
	struct track *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->needs = needs;
	t->world = w;
	*ret = t;
	return 0;
}

void track_free(struct track *t)
{
	if (!t)
		return;
	while (t->store.healthy.oldest)
		entry_free(&t->store, t->store.healthy.oldest);
	while (t->store.suspect.oldest)
		entry_free(&t->store, t->store.suspect.oldest);
	vec_free(&t->questions);
	free(t);
}

/* Does it belong to a connect() that isn't established? */
static bool is_of_handshake(const struct rec_event *e)
{
	bool syn = e->pkt.has & PKT_L4 && e->pkt.tuple.proto == IPPROTO_TCP &&
		   e->pkt.tcp_flags & TCPHDR_SYN;

	return syn || e->hdr.kind == REC_CONNECT || e->hdr.kind == REC_ICMP_RECV ||
	       (e->hdr.kind == REC_STATE && e->old_state == TCP_SYN_SENT) ||
	       (e->sock.flags & SOCK_PRESENT && e->sock.state == TCP_SYN_SENT);
}

/* How long a timeline is remembered that has its verdict. */
static uint64_t aftermath_ns(const struct timeline *tl)
{
	return tl->awaits_end ? WATCH_NS : AFTERMATH_NS;
}

/* Forgets what is over, and while there is no room what was not used longest. */
static void make_room_in(struct track *t, const struct use_list *list, uint64_t now)
{
	for (struct entry *e = list->oldest, *newer; e; e = newer) {
		uint64_t idle = now > e->tl.last_ns ? now - e->tl.last_ns : 0;
		bool over = e->tl.state == TIMELINE_JUDGED
				    ? idle > aftermath_ns(&e->tl)
				    : e->tl.state == TIMELINE_WATCHING && idle > WATCH_NS;
		bool full = t->store.n > TIMELINES_MAX || t->store.bytes > BYTES_MAX;

		newer = e->newer;
		/* The list is by last use: what follows is younger, and stays too. */
		if (!over && !full && e->tl.state != TIMELINE_RIPENING)
			return;
		if (e->out || (!over && !full))
			continue;
		if (!over && e->tl.state == TIMELINE_RIPENING)
			t->evicted++;
		if (!over && e->tl.last_ns > t->forgot_ns)
			t->forgot_ns = e->tl.last_ns;
		entry_free(&t->store, e);
	}
}

/* Room for what comes: what healthy connections left goes first, however many they are. */
static void make_room(struct track *t, uint64_t now)
{
	make_room_in(t, &t->store.healthy, now);
	make_room_in(t, &t->store.suspect, now);
}

/* The copy that it keeps; NULL: it has no room. */
static struct rec_hdr *entry_keep(struct track *t, struct entry *e, const struct rec_hdr *rec)
{
	bool event = REC_KIND_IS_EVENT(rec->kind);
	struct rec_hdr **slot, *copy;

	if (event ? e->tl.events >= EVENTS_MAX : e->tl.recs.n - e->tl.events >= LOOKUPS_MAX) {
		e->tl.cut++;
		return NULL;
	}
	copy = malloc(rec->size);
	slot = copy ? vec_push(&e->tl.recs) : NULL;
	if (!slot) {
		free(copy);
		return NULL;
	}
	memcpy(copy, rec, rec->size);
	*slot = copy;
	e->tl.events += event;
	e->bytes += rec->size;
	t->store.bytes += rec->size;
	return copy;
}

/* ---- questions ------------------------------------------------------------------------------- */

static bool question_equal(const struct question *a, const struct question *b)
{
	return a->id == b->id && a->kind == b->kind && a->netns == b->netns &&
	       a->ifindex == b->ifindex && a->inode == b->inode && a->nf_family == b->nf_family &&
	       a->nf_hook == b->nf_hook && a->cgroup == b->cgroup && a->handle == b->handle &&
	       (a->kind != Q_USER_STACK || a->event_ns == b->event_ns) &&
	       tuple_equal(&a->tuple, &b->tuple) && strcmp(a->table, b->table) == 0 &&
	       strcmp(a->chain, b->chain) == 0 && strcmp(a->name, b->name) == 0;
}

static void question_opened(struct timeline *tl, const struct question *q)
{
	struct open_question *slot = vec_push(&tl->open);

	if (slot) /* else out of memory: it is not waited for */
		*slot = (struct open_question){q->event_ns, q->kind, q->netns};
}

/* One of those of an event that are alike, of several sysctls, say, is as good as the other. */
static void question_closed(struct timeline *tl, uint64_t event_ns, uint32_t kind, uint32_t netns)
{
	for (size_t i = 0; i < tl->open.n; i++) {
		const struct open_question *a = &tl->open.v[i];

		if (a->event_ns != event_ns || a->kind != kind || a->netns != netns)
			continue;
		tl->open.v[i] = tl->open.v[--tl->open.n];
		return;
	}
}

static void ask(struct track *t, struct entry *e, const struct question *q, uint64_t event_ns)
{
	struct question own = *q, *slot;

	own.id = e->tl.id;
	own.event_ns = event_ns;
	/* The same question of the same timeline is still open: one answer will do. */
	for (size_t i = t->question_at; i < t->questions.n; i++)
		if (question_equal(&t->questions.v[i], &own))
			return;
	slot = vec_push(&t->questions);
	if (!slot)
		return;
	*slot = own;
	question_opened(&e->tl, &own);
}

static void ask_needs(struct track *t, struct entry *e, const struct rec_event *ev)
{
	question_vec needs = {0};

	t->needs(ev, &needs);
	for (size_t i = 0; i < needs.n; i++)
		ask(t, e, &needs.v[i], ev->hdr.mono_ns);
	vec_free(&needs);
}

/*
 * Whose stack is it? Soon, as the process may end; once of a call, however many events come of it. (What a recording doesn't have
 * must not matter, or its replay would ask otherwise.)
 */
static void ask_user_stack(struct track *t, struct entry *e, const struct rec_event *ev)
{
	const struct rec_connect *c = &ev->mem.connect;
	struct question q = {.kind = Q_USER_STACK, .netns = ev->hdr.netns};
	uint64_t *last = e->tl.stack_frames;

	q.stack.pid = c->tid ? c->pid : ev->task.pid;
	q.stack.tid = c->tid ? c->tid : ev->task.tid;
	memcpy(q.stack.comm, c->tid ? c->comm : ev->task.comm, sizeof(q.stack.comm));
	q.stack.user = ev->user;
	if (!q.stack.pid || !ev->user.nr ||
	    (q.stack.pid == e->tl.stack_pid &&
	     !memcmp(last, ev->user.frames, sizeof(ev->user.frames))))
		return;
	e->tl.stack_pid = q.stack.pid;
	memcpy(last, ev->user.frames, sizeof(ev->user.frames));
	ask(t, e, &q, ev->hdr.mono_ns);
}

/* A translated connection has its other end elsewhere: who holds it? */
static void ask_behind_nat(struct track *t, struct entry *e, const struct rec_ct *ct)
{
	struct rec_tuple back = tuple_reverse(&ct->reply);
	struct question q = {.kind = Q_SOCKETS, .netns = ct->hdr.netns, .tuple = ct->orig};

	if (!ct->found || tuple_equal(&ct->orig, &back))
		return;
	ask(t, e, &q, ct->hdr.mono_ns);
	q.tuple = ct->reply;
	ask(t, e, &q, ct->hdr.mono_ns);
}

/*
 * A socket elsewhere: who lives there? And if only NAT hides that it is the same connection, it is
 * this story's.
 */
static void learn_socket(struct track *t, struct entry *e, const struct rec_sock_info *s)
{
	struct question q = {.kind = Q_NETNS, .netns = s->hdr.netns};

	/* Another timeline may have asked already: its answer is waited for here, too. */
	if (!world_netns(t->world, s->hdr.netns))
		ask(t, e, &q, s->hdr.mono_ns);
	if (s->match == SOCK_MATCH_PORTS)
		entry_claim(&t->store, e, &s->tuple, s->hdr.netns);
}

bool track_question(struct track *t, struct question *ret)
{
	if (t->question_at >= t->questions.n) {
		t->questions.n = t->question_at = 0;
		return false;
	}
	*ret = t->questions.v[t->question_at++];
	return true;
}

void track_forget_question(struct track *t, const struct question *q)
{
	struct entry *e = store_by_id(&t->store, q->id);

	if (e)
		question_closed(&e->tl, q->event_ns, q->kind, q->netns);
}

/* ---- records in ------------------------------------------------------------------------------ */

/* A failed connect() has lost its port: which timeline was its socket's? */
static struct entry *find_by_sock(struct track *t, const struct rec_event *ev)
{
	struct entry *entry = store_by_sock(&t->store, ev->sock.addr);

	if (!entry || ev->hdr.mono_ns > entry->tl.last_ns + SOCK_MEMORY_NS)
		return NULL;
	timeline_each_event(&entry->tl, e) {
		if (e->hdr.netns == ev->hdr.netns &&
		    addr_equal(e->sock.tuple.dst, ev->pkt.tuple.dst) &&
		    e->sock.tuple.dport == ev->pkt.tuple.dport)
			return entry;
	}
	return NULL;
}

static struct entry *entry_for_event(struct track *t, const struct rec_event *ev)
{
	const struct rec_tuple *tuple = &ev->pkt.tuple;
	struct entry *e = NULL;

	if (ev->hdr.kind == REC_CONNECT)
		e = find_by_sock(t, ev);
	if (!e)
		e = store_by_tuple(&t->store, tuple, ev->hdr.netns);
	/* Long over, and the same ports again: another connection. */
	if (e && !e->out && e->tl.state == TIMELINE_JUDGED &&
	    ev->hdr.mono_ns >
		    e->tl.last_ns + (is_of_handshake(ev) ? aftermath_ns(&e->tl) : AFTERMATH_NS)) {
		entry_free(&t->store, e);
		e = NULL;
	}
	if (e)
		return e;
	e = entry_new(&t->store);
	if (!e)
		return NULL;
	e->tl.first_ns = ev->hdr.mono_ns;
	entry_add_tuple(&t->store, e, tuple, ev->hdr.netns);
	return e;
}

static void ripen(struct track *t, struct entry *e, uint64_t now)
{
	uint64_t limit;

	if (e->tl.state != TIMELINE_RIPENING) {
		entry_become(&t->store, e, TIMELINE_RIPENING);
		e->tl.trigger_ns = now;
	}
	limit = e->tl.trigger_ns + PATIENCE_NS;
	e->tl.ripe_ns = now + GRACE_NS < limit ? now + GRACE_NS : limit;
}

/* It has its verdict: only the end of its connect() is waited for. */
static void add_aftermath(struct track *t, struct entry *e, const struct rec_event *ev)
{
	bool ends = ev->hdr.kind == REC_CONNECT ||
		    (ev->hdr.kind == REC_STATE && ev->old_state == TCP_SYN_SENT &&
		     ev->new_state == TCP_CLOSE);
	bool ripening = e->tl.state == TIMELINE_RIPENING;

	if ((!e->tl.awaits_end && !ripening) || !is_of_handshake(ev))
		return;
	entry_keep(t, e, &ev->hdr);
	if (!ends || ripening)
		return;
	e->tl.awaits_end = false;
	ripen(t, e, ev->hdr.mono_ns);
}

static int add_event(struct track *t, const struct rec_event *ev)
{
	enum weight weight = track_weight(ev, t->world);
	struct rec_event own = *ev, *kept;
	struct entry *e;

	if (world_in_softirq(t->world, ev))
		memset(&own.task, 0, sizeof(own.task));
	make_room(t, ev->hdr.mono_ns);
	if (track_last_fin(ev, t->world))
		return 0; /* with a timeline for each there were no room for others */
	e = entry_for_event(t, ev);
	if (!e)
		return -ENOMEM;
	if (ev->pkt.has & PKT_CT) {
		entry_claim(&t->store, e, &ev->pkt.ct_orig, ev->hdr.netns);
		entry_claim(&t->store, e, &ev->pkt.ct_reply, ev->hdr.netns);
	}
	if (ev->mem.syn_count)
		entry_claim(&t->store, e, &ev->mem.syn_tuple, ev->hdr.netns);
	if (ev->mem.connect.nat_ns)
		entry_claim(&t->store, e, &ev->mem.connect.nat_tuple, ev->hdr.netns);
	if (ev->sock.flags & SOCK_PRESENT && tuple_is_whole(&ev->sock.tuple))
		entry_note_sock(&t->store, e, ev->sock.addr);
	e->tl.suspects += weight != WEIGHT_NONE;
	if (weight == WEIGHT_HARD)
		e->tl.hard++;
	entry_touch(&t->store, e);
	if (ev->hdr.mono_ns > e->tl.last_ns)
		e->tl.last_ns = ev->hdr.mono_ns;
	if (e->tl.verdict_id) {
		if (weight == WEIGHT_HARD && t->on_repeat)
			t->on_repeat(t->on_repeat_arg, e->tl.verdict_id);
		add_aftermath(t, e, ev);
		return 0;
	}
	kept = (struct rec_event *)entry_keep(t, e, &ev->hdr);
	if (kept)
		kept->task = own.task;
	if (weight != WEIGHT_NONE || own.hdr.kind == REC_CONNECT)
		ask_user_stack(t, e, &own);
	if (world_netns_wanted(t->world, ev->hdr.netns)) {
		struct question q = {.kind = Q_NETNS, .netns = ev->hdr.netns};

		ask(t, e, &q, ev->hdr.mono_ns);
	}
	/* A retransmission says nothing by itself, but that what was dropped before is missed. */
	if (weight == WEIGHT_NONE && !(ev->hdr.kind == REC_RETRANS && e->tl.suspects))
		return 0;
	ask_needs(t, e, &own);
	ripen(t, e, ev->hdr.mono_ns);
	return 0;
}

static uint64_t record_question(const struct rec_hdr *rec)
{
	/* Every lookup's struct has the question right behind the header. */
	return ((const struct rec_answer *)rec)->question;
}

static int add_lookup(struct track *t, const struct rec_hdr *rec)
{
	struct entry *e = store_by_id(&t->store, record_question(rec));

	if (rec->kind == REC_ANSWER && rec->mono_ns > t->answered_ns)
		t->answered_ns = rec->mono_ns;
	if (!e)
		return 0; /* it came too late */
	if (rec->kind == REC_ANSWER) {
		const struct rec_answer *a = (const struct rec_answer *)rec;

		question_closed(&e->tl, a->asked_ns, a->what, rec->netns);
	}
	if (e->tl.verdict_id)
		return 0;
	entry_keep(t, e, rec);
	if (rec->kind == REC_SOCK)
		learn_socket(t, e, (const struct rec_sock_info *)rec);
	if (rec->kind == REC_CT) {
		const struct rec_ct *ct = (const struct rec_ct *)rec;

		ask_behind_nat(t, e, ct);
		if (ct->found) {
			entry_claim(&t->store, e, &ct->orig, rec->netns);
			entry_claim(&t->store, e, &ct->reply, rec->netns);
		}
	}
	return 0;
}

int track_add(struct track *t, const struct rec_hdr *rec)
{
	int err = world_add(t->world, rec);

	if (err)
		return err;
	if (REC_KIND_IS_EVENT(rec->kind))
		return add_event(t, (const struct rec_event *)rec);
	if (rec->kind == REC_SYMBOL)
		return 0;
	return add_lookup(t, rec);
}

/* ---- timelines out --------------------------------------------------------------------------- */

/* When tl is ripe: later than its events say as long as its questions are being answered. */
static uint64_t ripe_at(const struct track *t, const struct timeline *tl)
{
	uint64_t from = t->answered_ns > tl->trigger_ns ? t->answered_ns : tl->trigger_ns;
	uint64_t most = tl->trigger_ns + ANSWERS_MOST_NS;

	if (!tl->open.n)
		return tl->ripe_ns;
	return from + ANSWERS_NS < most ? from + ANSWERS_NS : most;
}

struct timeline *track_ripe(struct track *t, uint64_t now)
{
	for (struct entry *e = t->store.first; e; e = e->after) {
		if (e->out || now < ripe_at(t, &e->tl))
			continue;
		e->out = true;
		return &e->tl;
	}
	return NULL;
}

void track_judged(struct track *t, struct timeline *tl, uint64_t verdict_id)
{
	struct entry *e = (struct entry *)tl; /* its first member */

	e->out = false;
	tl->verdict_id = verdict_id;
	entry_become(&t->store, e, verdict_id ? TIMELINE_JUDGED : TIMELINE_WATCHING);
}

void track_flush(struct track *t)
{
	for (struct entry *e = t->store.first; e; e = e->after)
		e->tl.ripe_ns = e->tl.trigger_ns = 0;
}

uint64_t track_next_ns(const struct track *t)
{
	uint64_t next = UINT64_MAX;

	for (const struct entry *e = t->store.first; e; e = e->after) {
		uint64_t at = ripe_at(t, &e->tl);

		if (!e->out && at < next)
			next = at;
	}
	return next;
}

bool track_waits(const struct track *t)
{
	for (const struct entry *e = t->store.first; e; e = e->after)
		if (e->tl.open.n)
			return true;
	return false;
}

uint64_t track_evicted(const struct track *t)
{
	return t->evicted;
}

bool track_forgot(const struct track *t, const struct timeline *tl)
{
	uint64_t began = tl->first_ns;

	timeline_each_event(tl, e) {
		uint64_t first =
			e->mem.connect.began_ns ? e->mem.connect.began_ns : e->mem.syn_first_ns;

		if (first && first < began)
			began = first;
	}
	return t->forgot_ns >= began;
}

void track_on_repeat(struct track *t, void (*fn)(void *arg, uint64_t verdict_id), void *arg)
{
	t->on_repeat = fn;
	t->on_repeat_arg = arg;
}
