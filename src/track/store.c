/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "track/store.h"

#include "record/record.h"

/* ---- the lists by last use ------------------------------------------------------------------- */

static void list_del(struct entry *e)
{
	*(e->older ? &e->older->newer : &e->list->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &e->list->newest) = e->older;
	e->older = e->newer = NULL;
}

static void list_add(struct use_list *list, struct entry *e)
{
	e->list = list;
	e->older = list->newest;
	*(list->newest ? &list->newest->newer : &list->oldest) = e;
	list->newest = e;
}

void entry_touch(struct store *s, struct entry *e)
{
	list_del(e);
	list_add(e->tl.suspects ? &s->suspect : &s->healthy, e);
}

static void ripening_del(struct store *s, struct entry *e)
{
	*(e->before ? &e->before->after : &s->first) = e->after;
	*(e->after ? &e->after->before : &s->last) = e->before;
	e->before = e->after = NULL;
}

static void ripening_add(struct store *s, struct entry *e)
{
	e->before = s->last;
	*(s->last ? &s->last->after : &s->first) = e;
	s->last = e;
}

void entry_become(struct store *s, struct entry *e, enum timeline_state state)
{
	bool ripens = state == TIMELINE_RIPENING;

	e->tl.state = state;
	if (ripens != e->ripens)
		(ripens ? ripening_add : ripening_del)(s, e);
	e->ripens = ripens;
}

/* ---- entries --------------------------------------------------------------------------------- */

#define FREE_INDEX(type, head, list)                     \
	do {                                             \
		while (list) {                           \
			struct type *next_ = list->next; \
			HASH_DEL(head, list);            \
			free(list);                      \
			list = next_;                    \
		}                                        \
	} while (0)

void entry_free(struct store *s, struct entry *e)
{
	list_del(e);
	if (e->ripens)
		ripening_del(s, e);
	FREE_INDEX(key_entry, s->by_key, e->keys);
	FREE_INDEX(id_entry, s->by_id, e->ids);
	FREE_INDEX(sock_entry, s->by_sock, e->socks);
	for (size_t i = 0; i < e->tl.recs.n; i++)
		free(e->tl.recs.v[i]);
	vec_free(&e->tl.recs);
	vec_free(&e->tl.open);
	s->bytes -= e->bytes;
	s->n--;
	free(e);
}

struct entry *entry_new(struct store *s)
{
	struct entry *e = calloc(1, sizeof(*e));
	struct id_entry *i = calloc(1, sizeof(*i));

	if (!e || !i) {
		free(e);
		free(i);
		return NULL;
	}
	e->tl.id = ++s->next_id;
	i->id = e->tl.id;
	i->entry = e;
	e->ids = i;
	HASH_ADD(hh, s->by_id, id, sizeof(i->id), i);
	list_add(&s->healthy, e);
	s->n++;
	return e;
}

/* ---- finding --------------------------------------------------------------------------------- */

static void key_make(struct key *key, const struct rec_tuple *tuple, uint32_t netns)
{
	memset(key, 0, sizeof(*key));
	key->tuple = tuple_canonical(tuple);
	key->tuple.pad = 0;
	if (addr_is_loopback(tuple->src) || addr_is_loopback(tuple->dst) || !tuple->sport ||
	    !tuple->dport)
		key->netns = netns;
}

struct entry *store_by_tuple(const struct store *s, const struct rec_tuple *tuple, uint32_t netns)
{
	struct key_entry *k;
	struct key key;

	key_make(&key, tuple, netns);
	HASH_FIND(hh, s->by_key, &key, sizeof(key), k);
	return k ? k->entry : NULL;
}

struct entry *store_by_id(const struct store *s, uint64_t id)
{
	struct id_entry *i;

	HASH_FIND(hh, s->by_id, &id, sizeof(id), i);
	return i ? i->entry : NULL;
}

static struct sock_entry *find_sock(const struct store *s, uint64_t addr)
{
	struct sock_entry *k;

	HASH_FIND(hh, s->by_sock, &addr, sizeof(addr), k);
	return k;
}

struct entry *store_by_sock(const struct store *s, uint64_t addr)
{
	const struct sock_entry *k = addr ? find_sock(s, addr) : NULL;

	return k ? k->entry : NULL;
}

bool entry_add_tuple(struct store *s, struct entry *e, const struct rec_tuple *tuple,
		     uint32_t netns)
{
	struct key_entry *k = calloc(1, sizeof(*k));

	if (!k)
		return false;
	key_make(&k->key, tuple, netns);
	k->entry = e;
	k->next = e->keys;
	e->keys = k;
	HASH_ADD(hh, s->by_key, key, sizeof(k->key), k);
	return true;
}

void entry_note_sock(struct store *s, struct entry *e, uint64_t addr)
{
	struct sock_entry *k;

	if (!addr)
		return;
	k = find_sock(s, addr);
	if (k) {
		struct sock_entry **at = &k->entry->socks;

		while (*at != k)
			at = &(*at)->next;
		*at = k->next;
	} else {
		k = calloc(1, sizeof(*k));
		if (!k)
			return;
		k->addr = addr;
		HASH_ADD(hh, s->by_sock, addr, sizeof(k->addr), k);
	}
	k->entry = e;
	k->next = e->socks;
	e->socks = k;
}

/* ---- two timelines that turn out to be one --------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	const struct rec_hdr *x = *(struct rec_hdr *const *)a, *y = *(struct rec_hdr *const *)b;

	if (x->mono_ns != y->mono_ns)
		return x->mono_ns < y->mono_ns ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void merge_records(struct timeline *into, struct timeline *from)
{
	for (size_t i = 0; i < from->recs.n; i++) {
		struct rec_hdr **slot = vec_push(&into->recs);

		if (slot)
			*slot = from->recs.v[i];
		else
			free(from->recs.v[i]);
	}
	for (size_t i = 0; i < from->open.n; i++) {
		struct open_question *slot = vec_push(&into->open);

		if (slot)
			*slot = from->open.v[i];
	}
	vec_free(&from->recs);
	vec_free(&from->open);
	qsort(into->recs.v, into->recs.n, sizeof(*into->recs.v), by_time);
}

static void merge_state(struct store *s, struct entry *e, const struct timeline *from)
{
	struct timeline *into = &e->tl;

	into->hard += from->hard;
	into->suspects += from->suspects;
	into->events += from->events;
	into->cut += from->cut;
	if (from->first_ns < into->first_ns)
		into->first_ns = from->first_ns;
	if (from->last_ns > into->last_ns)
		into->last_ns = from->last_ns;
	if (from->state <= into->state)
		return;
	entry_become(s, e, from->state);
	into->ripe_ns = from->ripe_ns;
	into->trigger_ns = from->trigger_ns;
	into->verdict_id = from->verdict_id;
}

#define MOVE_INDEX(type, list, from, into)          \
	while ((from)->list) {                      \
		struct type *moved_ = (from)->list; \
		(from)->list = moved_->next;        \
		moved_->entry = into;               \
		moved_->next = (into)->list;        \
		(into)->list = moved_;              \
	}

static void entry_merge(struct store *s, struct entry *into, struct entry *from)
{
	merge_records(&into->tl, &from->tl);
	merge_state(s, into, &from->tl);
	MOVE_INDEX(key_entry, keys, from, into)
	MOVE_INDEX(id_entry, ids, from, into)
	MOVE_INDEX(sock_entry, socks, from, into)
	into->bytes += from->bytes;
	from->bytes = 0;
	entry_free(s, from);
}

void entry_claim(struct store *s, struct entry *e, const struct rec_tuple *tuple, uint32_t netns)
{
	struct entry *other;

	if (!tuple_is_whole(tuple))
		return;
	other = store_by_tuple(s, tuple, netns);
	if (!other)
		entry_add_tuple(s, e, tuple, netns);
	else if (other != e && !other->out)
		entry_merge(s, e, other);
}
