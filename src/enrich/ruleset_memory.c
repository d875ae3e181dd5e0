/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/ruleset_memory.h"

#include <pthread.h>
#include <sys/socket.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define RULESETS_MAX 8
#define LOOKS_MAX 64
#define COUNTS_MAX 16384 /* of one look */

/* Inode numbers of namespaces are used again; the kernel's cookies are not (5.15). */
struct place {
	uint64_t cookie;
	uint32_t netns;
	uint8_t pf, hook; /* of a look */
};

typedef VEC(struct memory_count) counts;

struct memory_look {
	struct place place;
	uint64_t used;
	counts last; /* older than what is asked about; in the order of their keys */
	counts newer;
	uint64_t newer_ns; /* when those had been read */
	counts next;
};

struct kept {
	struct place place;
	uint64_t used;
	struct ruleset rs;
};

struct memory {
	struct kept rulesets[RULESETS_MAX];
	struct memory_look looks[LOOKS_MAX];
	uint64_t clock;
};

static pthread_key_t memory_key;
static int memory_key_err;

static void memory_free(void *p)
{
	struct memory *m = p;

	for (size_t i = 0; i < RULESETS_MAX; i++)
		ruleset_free(&m->rulesets[i].rs);
	for (size_t i = 0; i < LOOKS_MAX; i++) {
		vec_free(&m->looks[i].last);
		vec_free(&m->looks[i].newer);
		vec_free(&m->looks[i].next);
	}
	free(m);
}

static void memory_key_make(void)
{
	memory_key_err = pthread_key_create(&memory_key, memory_free);
}

static struct memory *memory_get(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct memory *m;

	if (pthread_once(&once, memory_key_make) || memory_key_err)
		return NULL;
	m = pthread_getspecific(memory_key);
	if (m)
		return m;
	m = calloc(1, sizeof(*m));
	if (m && pthread_setspecific(memory_key, m)) {
		free(m);
		return NULL;
	}
	return m;
}

/* 0: the kernel has none. */
static uint64_t netns_cookie(void)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		return 0;
	return cookie;
}

static bool place_same(const struct place *a, const struct place *b)
{
	return a->cookie == b->cookie && a->netns == b->netns && a->pf == b->pf &&
	       a->hook == b->hook;
}

/* ---- rulesets -------------------------------------------------------------------------------- */

/* That of the place, else the one that wasn't used for longest. */
static struct kept *kept_find(struct memory *m, const struct place *place)
{
	struct kept *oldest = &m->rulesets[0];

	for (size_t i = 0; i < RULESETS_MAX; i++) {
		struct kept *k = &m->rulesets[i];

		if (k->used && place_same(&k->place, place))
			return k;
		if (k->used < oldest->used)
			oldest = k;
	}
	ruleset_free(&oldest->rs);
	*oldest = (struct kept){.place = *place};
	return oldest;
}

/* The same ruleset with other counters: its rules' texts are known. */
static void texts_move(struct ruleset *from, struct ruleset *to)
{
	if (from->generation != to->generation || from->rules.n != to->rules.n ||
	    from->chains.n != to->chains.n || from->tables.n != to->tables.n)
		return;
	for (size_t i = 0; i < to->rules.n; i++) {
		struct rs_rule *a = &from->rules.v[i], *b = &to->rules.v[i];

		if (a->handle != b->handle)
			continue;
		b->text = a->text;
		b->saved = a->saved;
		a->text = NULL;
	}
	for (size_t i = 0; i < to->chains.n; i++)
		to->chains.v[i].listed = from->chains.v[i].listed;
	for (size_t i = 0; i < to->tables.n; i++)
		to->tables.v[i].saved = from->tables.v[i].saved;
}

int memory_ruleset(uint32_t netns, bool fresh, struct ruleset **ret)
{
	struct memory *m = memory_get();
	struct place place = {.cookie = netns_cookie(), .netns = netns};
	struct ruleset new = {0};
	uint32_t generation;
	struct kept *k;
	int err;

	if (!m)
		return -ENOMEM;
	k = kept_find(m, &place);
	*ret = &k->rs;
	if (!fresh && k->used && !ruleset_generation(&generation) &&
	    generation == k->rs.generation) {
		k->used = ++m->clock;
		return 0;
	}
	err = ruleset_load(&new);
	if (err) {
		ruleset_free(&new);
		return err;
	}
	if (k->used)
		texts_move(&k->rs, &new);
	ruleset_free(&k->rs);
	k->rs = new;
	k->used = ++m->clock;
	return 0;
}

/* ---- counters -------------------------------------------------------------------------------- */

struct memory_look *memory_look(uint32_t netns, uint8_t pf, uint8_t hook, uint64_t before_ns)
{
	struct memory *m = memory_get();
	struct place place = {netns_cookie(), netns, pf, hook};
	struct memory_look *found;

	if (!m)
		return NULL;
	found = &m->looks[0];
	for (size_t i = 0; i < LOOKS_MAX; i++) {
		struct memory_look *l = &m->looks[i];

		if (l->used && place_same(&l->place, &place)) {
			found = l;
			break;
		}
		if (l->used < found->used)
			found = l;
	}
	if (!found->used || !place_same(&found->place, &place)) {
		vec_free(&found->last);
		vec_free(&found->newer);
		found->place = place;
	}
	if (found->newer.n && found->newer_ns <= before_ns) {
		vec_free(&found->last);
		found->last = found->newer;
		memset(&found->newer, 0, sizeof(found->newer));
	}
	vec_free(&found->next); /* of a look that came to nothing */
	found->used = ++m->clock;
	return found;
}

static int count_order(const void *a, const void *b)
{
	const struct memory_count *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

bool memory_count_moved(const struct memory_look *look, const struct memory_count *count)
{
	const struct memory_count *last = NULL;

	if (look->last.n)
		last = bsearch(count, look->last.v, look->last.n, sizeof(*count), count_order);
	if (!last || last->packets > count->packets)
		return count->packets;
	return count->packets > last->packets;
}

void memory_count_keep(struct memory_look *look, const struct memory_count *count)
{
	struct memory_count *c = look->next.n < COUNTS_MAX ? vec_push(&look->next) : NULL;

	if (c)
		*c = *count;
}

void memory_look_end(struct memory_look *look)
{
	vec_free(&look->newer);
	look->newer = look->next;
	look->newer_ns = now_mono();
	memset(&look->next, 0, sizeof(look->next));
	if (look->newer.n)
		qsort(look->newer.v, look->newer.n, sizeof(*look->newer.v), count_order);
}
