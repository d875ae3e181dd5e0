/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "track/track.h"

#include "record/record.h"

#include <uthash.h>

/* How long after a failure events and answers may still come in before it is judged, and at the most. */
#define GRACE_NS (150 * NSEC_PER_MSEC)
#define PATIENCE_NS (1000 * NSEC_PER_MSEC)
/* A SYN is sent again after up to 64 s (net/ipv4/tcp_timer.c): until then the connection is remembered. */
#define WATCH_NS (130 * NSEC_PER_SEC)
/* A connection that failed is remembered a little, for what still arrives for it. */
#define AFTERMATH_NS (10 * NSEC_PER_SEC)
/* A socket's address is reused at once; events without a port belong to its last connection only that long. */
#define SOCK_MEMORY_NS (3 * NSEC_PER_SEC)

#define RECS_MAX 160 /* of one timeline */
#define EVENTS_MAX 96
#define BYTES_MAX (8u << 20)
#define TIMELINES_MAX 4096

struct key {
	struct rec_tuple tuple; /* canonical */
	uint32_t netns;		/* where the tuple alone does not tell: loopback addresses, missing ports */
};

struct key_entry {
	struct key key;
	struct entry *entry;
	struct key_entry *next; /* of the same timeline */
	UT_hash_handle hh;
};

struct id_entry {
	uint64_t id;
	struct entry *entry;
	struct id_entry *next;
	UT_hash_handle hh;
};

struct sock_entry {
	uint64_t addr;
	struct entry *entry;
	struct sock_entry *next;
	UT_hash_handle hh;
};

/* A timeline with what track alone knows of it. */
struct entry {
	struct timeline tl;
	struct key_entry *keys;
	struct id_entry *ids;
	struct sock_entry *socks;
	struct entry *older, *newer; /* list by last use */
	size_t bytes;
	bool out; /* with the caller, between track_ripe() and track_judged() */
};

struct track {
	needs_fn *needs;
	struct world *world;
	struct key_entry *by_key;
	struct id_entry *by_id;
	struct sock_entry *by_sock;
	struct entry *oldest, *newest;
	size_t n, bytes;
	uint64_t next_id, evicted;
	VEC(struct question) questions;
	size_t question_at;
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

/* ---- the list by last use ----------------------------------------------------------------------------------- */

static void list_del(struct track *t, struct entry *e)
{
	*(e->older ? &e->older->newer : &t->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &t->newest) = e->older;
	e->older = e->newer = NULL;
}

static void list_add(struct track *t, struct entry *e)
{
	e->older = t->newest;
	*(t->newest ? &t->newest->newer : &t->oldest) = e;
	t->newest = e;
}

/* ---- entries ------------------------------------------------------------------------------------------------- */

#define FREE_INDEX(type, head, list)                    \
	do {                                            \
		while (list) {                          \
			struct type *next_ = list->next; \
			HASH_DEL(head, list);           \
			free(list);                     \
			list = next_;                   \
		}                                       \
	} while (0)

static void entry_free(struct track *t, struct entry *e)
{
	list_del(t, e);
	FREE_INDEX(key_entry, t->by_key, e->keys);
	FREE_INDEX(id_entry, t->by_id, e->ids);
	FREE_INDEX(sock_entry, t->by_sock, e->socks);
	for (size_t i = 0; i < e->tl.recs.n; i++)
		free(e->tl.recs.v[i]);
	vec_free(&e->tl.recs);
	t->bytes -= e->bytes;
	t->n--;
	free(e);
}

void track_free(struct track *t)
{
	if (!t)
		return;
	while (t->oldest)
		entry_free(t, t->oldest);
	vec_free(&t->questions);
	free(t);
}

static int entry_add_id(struct track *t, struct entry *e, uint64_t id)
{
	struct id_entry *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->id = id;
	i->entry = e;
	i->next = e->ids;
	e->ids = i;
	HASH_ADD(hh, t->by_id, id, sizeof(i->id), i);
	return 0;
}

static struct entry *entry_new(struct track *t)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->tl.id = ++t->next_id;
	if (entry_add_id(t, e, e->tl.id) < 0) {
		free(e);
		return NULL;
	}
	list_add(t, e);
	t->n++;
	return e;
}

static void key_make(struct key *key, const struct rec_tuple *tuple, uint32_t netns)
{
	memset(key, 0, sizeof(*key));
	key->tuple = tuple_canonical(tuple);
	key->tuple.pad = 0;
	if (addr_is_loopback(tuple->src) || addr_is_loopback(tuple->dst) || !tuple_is_whole(tuple))
		key->netns = netns;
}

static struct entry *find_key(struct track *t, const struct rec_tuple *tuple, uint32_t netns)
{
	struct key_entry *k;
	struct key key;

	key_make(&key, tuple, netns);
	HASH_FIND(hh, t->by_key, &key, sizeof(key), k);
	return k ? k->entry : NULL;
}

/* Makes two timelines one: `from` ends in `into`. */
static void entry_merge(struct track *t, struct entry *into, struct entry *from)
{
	for (size_t i = 0; i < from->tl.recs.n; i++) {
		struct rec_hdr **slot = vec_push(&into->tl.recs);

		if (slot)
			*slot = from->tl.recs.v[i];
		else
			free(from->tl.recs.v[i]);
	}
	vec_free(&from->tl.recs);
#define MOVE_INDEX(type, list)                             \
	while (from->list) {                               \
		struct type *moved_ = from->list;          \
		from->list = moved_->next;                 \
		moved_->entry = into;                      \
		moved_->next = into->list;                 \
		into->list = moved_;                       \
	}
	MOVE_INDEX(key_entry, keys)
	MOVE_INDEX(id_entry, ids)
	MOVE_INDEX(sock_entry, socks)
#undef MOVE_INDEX
	into->bytes += from->bytes;
	from->bytes = 0;
	into->tl.open += from->tl.open;
	into->tl.hard += from->tl.hard;
	into->tl.suspects += from->tl.suspects;
	into->tl.cut += from->tl.cut;
	if (from->tl.first_ns < into->tl.first_ns)
		into->tl.first_ns = from->tl.first_ns;
	if (from->tl.last_ns > into->tl.last_ns)
		into->tl.last_ns = from->tl.last_ns;
	if (from->tl.state > into->tl.state) {
		into->tl.state = from->tl.state;
		into->tl.ripe_ns = from->tl.ripe_ns;
		into->tl.trigger_ns = from->tl.trigger_ns;
		into->tl.verdict_id = from->tl.verdict_id;
	}
	entry_free(t, from);
}

/* The tuple is one of e's connection: if it was another timeline's, they are the same story. */
static struct entry *entry_claim(struct track *t, struct entry *e, const struct rec_tuple *tuple, uint32_t netns)
{
	struct key_entry *k;
	struct entry *other;

	if (!tuple_is_whole(tuple))
		return e;
	other = find_key(t, tuple, netns);
	if (other == e)
		return e;
	if (other && !other->out) {
		entry_merge(t, e, other);
		return e;
	}
	if (other)
		return e;
	k = calloc(1, sizeof(*k));
	if (!k)
		return e;
	key_make(&k->key, tuple, netns);
	k->entry = e;
	k->next = e->keys;
	e->keys = k;
	HASH_ADD(hh, t->by_key, key, sizeof(k->key), k);
	return e;
}

static void entry_note_sock(struct track *t, struct entry *e, uint64_t addr)
{
	struct sock_entry *s;

	if (!addr)
		return;
	HASH_FIND(hh, t->by_sock, &addr, sizeof(addr), s);
	if (s) {
		struct sock_entry **at = &s->entry->socks;

		while (*at != s)
			at = &(*at)->next;
		*at = s->next;
	} else {
		s = calloc(1, sizeof(*s));
		if (!s)
			return;
		s->addr = addr;
		HASH_ADD(hh, t->by_sock, addr, sizeof(s->addr), s);
	}
	s->entry = e;
	s->next = e->socks;
	e->socks = s;
}

/* Room for what comes: forgets what is over, then what was not used longest. */
static void make_room(struct track *t, uint64_t now)
{
	struct entry *e = t->oldest, *newer;

	for (; e; e = newer) {
		uint64_t idle = now > e->tl.last_ns ? now - e->tl.last_ns : 0;
		bool over = e->tl.state == TIMELINE_JUDGED ? idle > AFTERMATH_NS
							   : e->tl.state == TIMELINE_WATCHING && idle > WATCH_NS;
		bool full = t->n > TIMELINES_MAX || t->bytes > BYTES_MAX;

		newer = e->newer;
		if (e->out || (!over && !full))
			continue;
		if (!over && e->tl.state == TIMELINE_RIPENING)
			t->evicted++;
		entry_free(t, e);
	}
}

static bool entry_keep(struct track *t, struct entry *e, const struct rec_hdr *rec)
{
	size_t max = REC_KIND_IS_EVENT(rec->kind) ? EVENTS_MAX : RECS_MAX;
	struct rec_hdr **slot, *copy;

	if (e->tl.recs.n >= max) {
		e->tl.cut++;
		return false;
	}
	copy = malloc(rec->size);
	slot = copy ? vec_push(&e->tl.recs) : NULL;
	if (!slot) {
		free(copy);
		return false;
	}
	memcpy(copy, rec, rec->size);
	*slot = copy;
	e->bytes += rec->size;
	t->bytes += rec->size;
	return true;
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

static void ask(struct track *t, struct entry *e, const struct question *q, uint64_t event_ns)
{
	struct question *slot;

	/* The same question of the same timeline is still open: one answer will do. */
	for (size_t i = t->question_at; i < t->questions.n; i++) {
		const struct question *other = &t->questions.v[i];

		if (other->id == e->tl.id && other->kind == q->kind && other->netns == q->netns &&
		    tuple_equal(&other->tuple, &q->tuple) && strcmp(other->name, q->name) == 0)
			return;
	}
	slot = vec_push(&t->questions);
	if (!slot)
		return;
	*slot = *q;
	slot->id = e->tl.id;
	slot->event_ns = event_ns;
	e->tl.open++;
}

static void ask_needs(struct track *t, struct entry *e, const struct rec_event *ev)
{
	question_vec needs = {0};

	t->needs(ev, &needs);
	for (size_t i = 0; i < needs.n; i++)
		ask(t, e, &needs.v[i], ev->hdr.mono_ns);
	vec_free(&needs);
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

/* A socket elsewhere: who lives there? And if only NAT hides that it is the same connection, it is this story's. */
static struct entry *learn_socket(struct track *t, struct entry *e, const struct rec_sock_info *s)
{
	struct question q = {.kind = Q_NETNS, .netns = s->hdr.netns};

	if (world_netns_wanted(t->world, s->hdr.netns))
		ask(t, e, &q, s->hdr.mono_ns);
	return s->match == SOCK_MATCH_PORTS ? entry_claim(t, e, &s->tuple, s->hdr.netns) : e;
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

/* ---- records in ---------------------------------------------------------------------------------------------- */

/* A failed connect() has lost its port: which timeline was its socket's? */
static struct entry *find_by_sock(struct track *t, const struct rec_event *ev)
{
	struct sock_entry *s;

	if (!ev->sock.addr)
		return NULL;
	HASH_FIND(hh, t->by_sock, &ev->sock.addr, sizeof(ev->sock.addr), s);
	if (!s || ev->hdr.mono_ns > s->entry->tl.last_ns + SOCK_MEMORY_NS)
		return NULL;
	timeline_each_event(&s->entry->tl, e)
	{
		if (e->hdr.netns == ev->hdr.netns && addr_equal(e->sock.tuple.dst, ev->pkt.tuple.dst) && e->sock.tuple.dport == ev->pkt.tuple.dport)
			return s->entry;
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
		e = find_key(t, tuple, ev->hdr.netns);
	/* Long over, and the same ports again: another connection. */
	if (e && !e->out && e->tl.state == TIMELINE_JUDGED && ev->hdr.mono_ns > e->tl.last_ns + AFTERMATH_NS) {
		entry_free(t, e);
		e = NULL;
	}
	if (!e) {
		struct key_entry *k;

		e = entry_new(t);
		k = e ? calloc(1, sizeof(*k)) : NULL;
		if (!k)
			return e;
		e->tl.first_ns = ev->hdr.mono_ns;
		key_make(&k->key, tuple, ev->hdr.netns);
		k->entry = e;
		e->keys = k;
		HASH_ADD(hh, t->by_key, key, sizeof(k->key), k);
	}
	return e;
}

static void ripen(struct entry *e, uint64_t now)
{
	uint64_t limit;

	if (e->tl.state == TIMELINE_WATCHING) {
		e->tl.state = TIMELINE_RIPENING;
		e->tl.trigger_ns = now;
	}
	limit = e->tl.trigger_ns + PATIENCE_NS;
	e->tl.ripe_ns = now + GRACE_NS < limit ? now + GRACE_NS : limit;
}

static int add_event(struct track *t, const struct rec_event *ev)
{
	enum weight weight = track_weight(ev, t->world);
	struct rec_event own = *ev;
	struct entry *e;

	if (world_in_softirq(t->world, ev))
		memset(&own.task, 0, sizeof(own.task));
	make_room(t, ev->hdr.mono_ns);
	e = entry_for_event(t, ev);
	if (!e)
		return -ENOMEM;
	if (ev->pkt.has & PKT_CT) {
		e = entry_claim(t, e, &ev->pkt.ct_orig, ev->hdr.netns);
		e = entry_claim(t, e, &ev->pkt.ct_reply, ev->hdr.netns);
	}
	if (ev->mem.syn_count)
		e = entry_claim(t, e, &ev->mem.syn_tuple, ev->hdr.netns);
	if (ev->sock.flags & SOCK_PRESENT && tuple_is_whole(&ev->sock.tuple))
		entry_note_sock(t, e, ev->sock.addr);
	list_del(t, e);
	list_add(t, e);
	if (ev->hdr.mono_ns > e->tl.last_ns)
		e->tl.last_ns = ev->hdr.mono_ns;
	if (weight == WEIGHT_HARD)
		e->tl.hard++;
	if (e->tl.state == TIMELINE_JUDGED) {
		if (weight == WEIGHT_HARD && t->on_repeat)
			t->on_repeat(t->on_repeat_arg, e->tl.verdict_id);
		return 0;
	}
	entry_keep(t, e, &own.hdr);
	if (world_netns_wanted(t->world, ev->hdr.netns)) {
		struct question q = {.kind = Q_NETNS, .netns = ev->hdr.netns};

		ask(t, e, &q, ev->hdr.mono_ns);
	}
	e->tl.suspects += weight != WEIGHT_NONE;
	/* A retransmission says nothing by itself, but that what was dropped before is missed. */
	if (weight == WEIGHT_NONE && !(ev->hdr.kind == REC_RETRANS && e->tl.suspects))
		return 0;
	ask_needs(t, e, ev);
	ripen(e, ev->hdr.mono_ns);
	return 0;
}

static uint64_t record_question(const struct rec_hdr *rec)
{
	/* Every lookup's struct has the question right behind the header. */
	return ((const struct rec_answer *)rec)->question;
}

static int add_lookup(struct track *t, const struct rec_hdr *rec)
{
	uint64_t id = record_question(rec);
	struct id_entry *i;
	struct entry *e;

	HASH_FIND(hh, t->by_id, &id, sizeof(id), i);
	if (!i)
		return 0; /* it came too late, or was everybody's */
	e = i->entry;
	if (rec->kind == REC_ANSWER && e->tl.open)
		e->tl.open--;
	if (e->tl.state == TIMELINE_JUDGED)
		return 0;
	entry_keep(t, e, rec);
	if (rec->kind == REC_SOCK)
		learn_socket(t, e, (const struct rec_sock_info *)rec);
	if (rec->kind == REC_CT) {
		const struct rec_ct *ct = (const struct rec_ct *)rec;

		ask_behind_nat(t, e, ct);
		if (ct->found) {
			e = entry_claim(t, e, &ct->orig, rec->netns);
			entry_claim(t, e, &ct->reply, rec->netns);
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

/* ---- timelines out --------------------------------------------------------------------------------------------- */

struct timeline *track_ripe(struct track *t, uint64_t now)
{
	for (struct entry *e = t->oldest; e; e = e->newer) {
		if (e->tl.state != TIMELINE_RIPENING || e->out)
			continue;
		if (now < e->tl.ripe_ns || (e->tl.open && now < e->tl.trigger_ns + PATIENCE_NS))
			continue;
		e->out = true;
		return &e->tl;
	}
	return NULL;
}

void track_judged(struct track *t, struct timeline *tl, uint64_t verdict_id)
{
	struct entry *e = (struct entry *)tl; /* its first member */

	(void)t;
	e->out = false;
	tl->verdict_id = verdict_id;
	tl->state = verdict_id ? TIMELINE_JUDGED : TIMELINE_WATCHING;
}

void track_flush(struct track *t)
{
	for (struct entry *e = t->oldest; e; e = e->newer)
		if (e->tl.state == TIMELINE_RIPENING) {
			e->tl.ripe_ns = 0;
			e->tl.trigger_ns = 0;
		}
}

uint64_t track_next_ns(const struct track *t)
{
	uint64_t next = UINT64_MAX;

	for (const struct entry *e = t->oldest; e; e = e->newer) {
		uint64_t at = e->tl.open ? e->tl.trigger_ns + PATIENCE_NS : e->tl.ripe_ns;

		if (e->tl.state == TIMELINE_RIPENING && !e->out && at < next)
			next = at;
	}
	return next;
}

bool track_waits(const struct track *t)
{
	for (const struct entry *e = t->oldest; e; e = e->newer)
		if (e->tl.state == TIMELINE_RIPENING && e->tl.open)
			return true;
	return false;
}

uint64_t track_evicted(const struct track *t)
{
	return t->evicted;
}

void track_on_repeat(struct track *t, void (*fn)(void *arg, uint64_t verdict_id), void *arg)
{
	t->on_repeat = fn;
	t->on_repeat_arg = arg;
}
