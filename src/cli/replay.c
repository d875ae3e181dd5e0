/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/replay_filter.h"
#include "cli/replay_private.h"
#include "source/capture_flow.h"

void replay_free(struct replay_set *set)
{
	for (size_t i = 0; i < set->runs.n; i++) {
		struct replay *r = set->runs.v[i];
		struct renamed *n, *next;

		for (size_t k = 0; k < r->items.n; k++)
			free(r->items.v[k].rec);
		HASH_ITER(hh, r->renamed, n, next) {
			HASH_DEL(r->renamed, n);
			free(n);
		}
		vec_free(&r->items);
		vec_free(&r->asked);
		session_close(&r->s);
		capture_flows_free(r->capture);
		free(r->run);
		free(r->host);
		free(r);
	}
	vec_free(&set->runs);
}

/* ---- questions ------------------------------------------------------------------------------- */

static struct renamed *renamed_find(const struct replay *r, uint64_t was)
{
	struct renamed *n;

	HASH_FIND(hh, r->renamed, &was, sizeof(was), n);
	return n;
}

/* From now on what is recorded for the one timeline is meant for the other. */
static bool rename_to(struct replay *r, uint64_t was, uint64_t is)
{
	struct renamed *n = renamed_find(r, was);

	if (n)
		return n->is == is;
	n = calloc(1, sizeof(*n));
	if (!n)
		return false;
	n->was = was;
	n->is = is;
	HASH_ADD(hh, r->renamed, was, sizeof(n->was), n);
	return true;
}

/*
 * The answers to such a question, *ret_n of them: one event may have asked the same more than once, of several
 * sysctls, say.
 */
static struct asked *asked_find(const struct replay *r, const struct asked *key, size_t *ret_n)
{
	const struct asked *end;
	struct asked *found;

	*ret_n = 0;
	if (!r->asked.n)
		return NULL;
	end = r->asked.v + r->asked.n;
	found = bsearch(key, r->asked.v, r->asked.n, sizeof(*key), asked_order);
	while (found && found > r->asked.v && !asked_order(found - 1, key))
		found--;
	while (found && found + *ret_n < end && !asked_order(found + *ret_n, key))
		++*ret_n;
	return found;
}

void replay_ask(struct replay *r, const struct question *q)
{
	const struct asked key = {.ns = q->event_ns, .what = q->kind, .netns = q->netns};
	size_t n;
	struct asked *found = asked_find(r, &key, &n);

	for (size_t i = 0; i < n; i++) {
		if (found[i].taken || found[i].arrival < r->now_ns ||
		    !rename_to(r, found[i].id, q->id))
			continue;
		found[i].taken = true;
		return;
	}
	track_forget_question(r->s.track, q);
}

/* ---- playing --------------------------------------------------------------------------------- */

static int prepare(struct replay *r, const struct watch_options *o)
{
	int err = session_open(&r->s, o);

	r->s.replay = r;
	return err ? err : replay_order(r);
}

static void play_lookup(struct replay *r, struct item *item)
{
	uint64_t *question = question_of(item->rec);
	const struct renamed *n = renamed_find(r, *question);

	*question = n ? n->is : 0;
	session_lookup(&r->s, item->rec);
}

static void play_item(struct replay *r, struct item *item)
{
	struct session *s = &r->s;

	session_step_to(s, item->arrival);
	r->now_ns = item->arrival;
	if (item->known) {
		world_add(s->world, item->rec);
	} else if (!item->rec) {
		s->lost++;
		s->lost_ns = item->arrival;
	} else if (is_event(item)) {
		session_event(s, item->rec);
	} else {
		play_lookup(r, item);
	}
	session_step(s, item->arrival);
}

/* The run whose turn it is by the time of day; NULL: all are over. */
static struct replay *next_run(const struct replay_set *set)
{
	struct replay *first = NULL;
	uint64_t first_ns = 0;

	for (size_t i = 0; i < set->runs.n; i++) {
		struct replay *r = set->runs.v[i];
		uint64_t ns;

		if (r->at >= r->items.n || session_enough(&r->s))
			continue;
		ns = r->items.v[r->at].arrival + r->to_wall_ns;
		if (first && ns >= first_ns)
			continue;
		first = r;
		first_ns = ns;
	}
	return first;
}

int replay_play(struct replay_set *set, const struct watch_options *o)
{
	struct replay *r;
	int err = 0;

	for (size_t i = 0; i < set->runs.n && !err; i++) {
		r = set->runs.v[i];
		err = prepare(r, o);
		r->s.wanted = replay_wanted;
		r->s.tell = set->tell;
		r->s.tell_arg = set->arg;
		if (set->runs.n > 1)
			r->s.host = *r->host ? r->host : r->run;
	}
	if (err)
		return err;
	while ((r = next_run(set)))
		play_item(r, &r->items.v[r->at++]);
	for (size_t i = 0; i < set->runs.n; i++) {
		track_flush(set->runs.v[i]->s.track);
		session_step(&set->runs.v[i]->s, UINT64_MAX - 1);
		if (!o->diff)
			session_print_summary(&set->runs.v[i]->s, false, 0);
	}
	return 0;
}
