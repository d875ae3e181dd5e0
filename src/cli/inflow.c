/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/inflow.h"

#include "cli/recorder.h"
#include "record/record.h"

static struct arrival *add(struct inflow *in, const struct rec_hdr *rec, bool lookup)
{
	size_t at = in->recs.len;
	struct arrival *a;

	strbuf_addn(&in->recs, (const char *)rec, rec->size);
	a = in->recs.len > at ? vec_push(&in->order) : NULL;
	if (a) /* else out of memory: as if it had never come */
		*a = (struct arrival){rec->mono_ns, at, lookup};
	return a;
}

static void add_event(void *in, struct rec_hdr *rec)
{
	add(in, rec, false);
}

static struct rec_hdr *rec_of(const struct inflow *in, const struct arrival *a)
{
	return (struct rec_hdr *)(in->recs.s + a->at);
}

/* What a lookup found comes right before its answer, and counts with that. */
static void add_lookup(void *inflow, const struct rec_hdr *rec)
{
	struct inflow *in = inflow;
	struct arrival *a = add(in, rec, true);

	if (!a || rec->kind != REC_ANSWER)
		return;
	while (a > in->order.v && a[-1].lookup && rec_of(in, a - 1)->kind != REC_ANSWER)
		(--a)->ns = rec->mono_ns;
}

static int by_time(const void *a, const void *b)
{
	const struct arrival *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Keeps those of order that were not taken; mostly there are none. */
static void forget_taken(struct inflow *in, size_t taken)
{
	struct strbuf waiting = {0};
	size_t n = 0;

	if (taken == in->order.n) {
		strbuf_reset(&in->recs);
		in->order.n = 0;
		return;
	}
	for (size_t i = taken; i < in->order.n; i++) {
		struct arrival a = in->order.v[i];
		const struct rec_hdr *rec = rec_of(in, &a);

		a.at = waiting.len;
		strbuf_addn(&waiting, (const char *)rec, rec->size);
		if (waiting.len > a.at) /* else out of memory */
			in->order.v[n++] = a;
	}
	strbuf_free(&in->recs);
	in->recs = waiting;
	in->order.n = n;
}

static bool can_take(const struct inflow *in, const struct arrival *a, uint64_t now)
{
	return a->ns <= now && !session_enough(in->s) && (in->ends || !session_holds(in->s, a->ns));
}

void inflow_take(struct inflow *in)
{
	struct session *s = in->s;
	uint64_t now = now_mono(); /* all until then is there to be taken */
	size_t taken = 0;

	if (s->enrich)
		enrich_take(s->enrich, add_lookup, in);
	live_take(s->live, add_event, in);
	if (s->recorder)
		live_take_payloads(s->live, recorder_payload, s->recorder);
	session_trace_take(s);
	session_take_sources(s);
	if (in->order.n)
		qsort(in->order.v, in->order.n, sizeof(*in->order.v), by_time);
	while (taken < in->order.n && can_take(in, &in->order.v[taken], now)) {
		const struct arrival *a = &in->order.v[taken++];

		session_step_to(s, a->ns);
		if (a->lookup)
			session_lookup(s, rec_of(in, a));
		else
			session_event(s, rec_of(in, a));
	}
	forget_taken(in, taken);
	session_step(s, in->order.n && in->order.v[0].ns < now ? in->order.v[0].ns : now);
}

uint64_t inflow_next_ns(const struct inflow *in)
{
	uint64_t next = session_next_ns(in->s);

	return in->order.n && in->order.v[0].ns < next && !session_holds(in->s, in->order.v[0].ns)
		       ? in->order.v[0].ns
		       : next;
}

void inflow_free(struct inflow *in)
{
	strbuf_free(&in->recs);
	vec_free(&in->order);
}
