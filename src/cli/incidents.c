/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/incidents.h"

#include "diagnose/engine.h"

#include <uthash.h>

/* The same again after this long is told as a new incident. */
#define FOLD_NS (60 * NSEC_PER_SEC)
/* Repeats are told at most this often. */
#define TELL_NS (5 * NSEC_PER_SEC)
#define INCIDENTS_MAX 1024
/* As many services that fail between the same two ends are told one by one; then it is a scan. */
#define GROUP_MAX 8

struct incident {
	char key[256];
	char group[256];
	struct verdict v;
	uint64_t last_ns, last_wall_ns, told_ns;
	uint64_t total, told;
	bool scan; /* other services of the same two ends are counted in */
	UT_hash_handle hh;
};

struct tally {
	const char *cause;
	uint64_t incidents, events;
};

struct incidents {
	struct incident *by_key; /* uthash keeps the order of insertion */
	VEC(struct tally) tallies;
	uint64_t next_id;
	repeat_fn *fn;
	void *arg;
};

int incidents_new(repeat_fn *fn, void *arg, struct incidents **ret)
{
	struct incidents *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->fn = fn;
	in->arg = arg;
	*ret = in;
	return 0;
}

static void tell(struct incidents *in, struct incident *i, uint64_t now)
{
	struct verdict again = i->v; /* shares its texts: only told, never freed */

	again.wall_ns = i->last_wall_ns;
	if (i->scan)
		again.flow.sport = again.flow.dport = 0; /* many ports: none of them is meant */
	if (i->total > i->told + 1)
		in->fn(in->arg, &again, i->total - 1 - i->told, i->total);
	i->told = i->total - 1;
	i->told_ns = now;
}

static void forget(struct incidents *in, struct incident *i)
{
	tell(in, i, i->last_ns);
	HASH_DEL(in->by_key, i);
	verdict_free(&i->v);
	free(i);
}

void incidents_free(struct incidents *in)
{
	struct incident *i, *next;

	if (!in)
		return;
	HASH_ITER(hh, in->by_key, i, next) {
		HASH_DEL(in->by_key, i);
		verdict_free(&i->v);
		free(i);
	}
	vec_free(&in->tallies);
	free(in);
}

static struct tally *tally_of(struct incidents *in, const char *cause)
{
	struct tally *t;

	for (size_t i = 0; i < in->tallies.n; i++)
		if (strcmp(in->tallies.v[i].cause, cause) == 0)
			return &in->tallies.v[i];
	t = vec_push(&in->tallies);
	if (t)
		t->cause = cause;
	return t;
}

static void tally_add(struct incidents *in, const char *cause, uint64_t incidents, uint64_t events)
{
	struct tally *t = tally_of(in, cause);

	if (!t)
		return;
	t->incidents += incidents;
	t->events += events;
}

/* The last incident of a group that has as many as are told; NULL if it has fewer. */
static struct incident *full_group(const struct incidents *in, const char *group, uint64_t now)
{
	struct incident *last = NULL;
	unsigned n = 0;

	for (struct incident *i = in->by_key; i; i = i->hh.next) {
		if (strcmp(i->group, group) != 0 || now > i->last_ns + FOLD_NS)
			continue;
		last = i;
		n++;
	}
	return n >= GROUP_MAX ? last : NULL;
}

static uint64_t repeat(struct incidents *in, struct incident *known, struct verdict *v)
{
	known->last_ns = v->mono_ns;
	known->last_wall_ns = v->wall_ns;
	known->total++;
	tally_add(in, v->cause, 0, v->events);
	verdict_free(v);
	return known->v.id;
}

uint64_t incidents_add(struct incidents *in, struct verdict *v, bool *ret_repeats)
{
	char key[256] = {0}, group[256] = {0};
	struct incident *i, *known;

	verdict_incident_key(v, key, sizeof(key));
	verdict_group_key(v, group, sizeof(group));
	HASH_FIND_STR(in->by_key, key, known);
	if (known && v->mono_ns > known->last_ns + FOLD_NS) {
		forget(in, known);
		known = NULL;
	}
	if (!known) {
		known = full_group(in, group, v->mono_ns);
		if (known)
			known->scan = true;
	}
	*ret_repeats = known != NULL;
	if (known)
		return repeat(in, known, v);
	if (HASH_COUNT(in->by_key) >= INCIDENTS_MAX)
		forget(in, in->by_key);
	v->id = ++in->next_id;
	tally_add(in, v->cause, 1, v->events);
	i = calloc(1, sizeof(*i));
	if (!i)
		return v->id;
	memcpy(i->key, key, sizeof(key));
	memcpy(i->group, group, sizeof(group));
	i->v = *v;
	i->last_ns = v->mono_ns;
	i->total = 1;
	HASH_ADD_STR(in->by_key, key, i);
	*v = (struct verdict){0};
	return i->v.id;
}

const struct verdict *incidents_get(const struct incidents *in, uint64_t id)
{
	for (const struct incident *i = in->by_key; i; i = i->hh.next)
		if (i->v.id == id)
			return &i->v;
	return NULL;
}

void incidents_event(struct incidents *in, uint64_t id)
{
	const struct verdict *v = incidents_get(in, id);

	if (v)
		tally_add(in, v->cause, 0, 1);
}

void incidents_tell(struct incidents *in, uint64_t now)
{
	struct incident *i, *next;

	HASH_ITER(hh, in->by_key, i, next) {
		if (i->total > i->told + 1 && (now == UINT64_MAX || now > i->told_ns + TELL_NS))
			tell(in, i, now);
	}
}

void incidents_summary(const struct incidents *in, struct out_summary *s)
{
	for (size_t i = 0; i < in->tallies.n; i++) {
		__typeof__(s->verdicts.v) row = vec_push(&s->verdicts);

		if (!row)
			return;
		row->cause = in->tallies.v[i].cause;
		row->incidents = in->tallies.v[i].incidents;
		row->events = in->tallies.v[i].events;
	}
}

uint64_t incidents_count(const struct incidents *in)
{
	return in->next_id;
}
