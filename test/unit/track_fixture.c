/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "track_fixture.h"

static void ask_for_sockets(const struct rec_event *e, question_vec *ask)
{
	struct question *q = vec_push(ask);

	assert_non_null(q);
	*q = (struct question){.kind = Q_SOCKETS, .netns = e->hdr.netns, .tuple = e->pkt.tuple};
}

static void ask_nothing(const struct rec_event *e, question_vec *ask)
{
	(void)e;
	(void)ask;
}

static void count_repeat(void *arg, uint64_t verdict_id)
{
	struct fixture *f = arg;

	f->repeats++;
	f->repeated_id = verdict_id;
}

static struct fixture *fixture_new(needs_fn *needs)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct rec_netns known;

	assert_non_null(f);
	assert_int_equal(world_new(&f->world), 0);
	for (uint32_t i = 0; i < 2; i++) {
		rec_init(&known, REC_NETNS, i ? INSIDE : HOST, T0);
		assert_int_equal(world_add(f->world, &known.hdr), 0);
	}
	assert_int_equal(track_new(needs, f->world, &f->track), 0);
	track_on_repeat(f->track, count_repeat, f);
	return f;
}

int track_setup(void **state)
{
	*state = fixture_new(ask_nothing);
	return 0;
}

int track_setup_asking(void **state)
{
	*state = fixture_new(ask_for_sockets);
	return 0;
}

int track_teardown(void **state)
{
	struct fixture *f = *state;

	track_free(f->track);
	world_free(f->world);
	free(f);
	return 0;
}

struct rec_tuple inside(void)
{
	return tcp("172.17.0.2", 40000, "10.0.2.2", 443);
}

struct rec_tuple outside(void)
{
	return tcp("10.0.2.2", 443, "10.0.3.2", 1024);
}

void happens(struct fixture *f, const struct rec_event *e)
{
	assert_int_equal(record_validate(e, sizeof(*e)), 0);
	assert_int_equal(track_add(f->track, &e->hdr), 0);
}

void fails_in(struct fixture *f, struct rec_tuple t, uint32_t netns, uint64_t ns)
{
	struct rec_event e = event_make(REC_RST_RECV, &t, ns);

	e.hdr.netns = netns;
	happens(f, &e);
}

void fails(struct fixture *f, struct rec_tuple t, uint64_t ns)
{
	fails_in(f, t, HOST, ns);
}

void answered_at(struct fixture *f, const struct question *q, int err, uint64_t ns)
{
	struct rec_answer a;

	rec_init(&a, REC_ANSWER, q->netns, ns);
	a.question = q->id;
	a.what = q->kind;
	a.asked_ns = q->event_ns;
	a.err = err;
	assert_int_equal(track_add(f->track, &a.hdr), 0);
}

void answered(struct fixture *f, const struct question *q, int err)
{
	answered_at(f, q, err, T0);
}

unsigned questions(struct fixture *f, struct question *last)
{
	struct question q;
	unsigned n = 0;

	for (; track_question(f->track, &q); n++)
		if (last)
			*last = q;
	return n;
}

unsigned ripe(struct fixture *f, uint64_t ns, uint64_t verdict_id, struct timeline **last)
{
	struct timeline *tl;
	unsigned n = 0;

	for (; (tl = track_ripe(f->track, ns)); n++) {
		if (last)
			*last = tl;
		track_judged(f->track, tl, verdict_id);
	}
	return n;
}

unsigned events_of(const struct timeline *tl)
{
	unsigned n = 0;

	timeline_each_event(tl, e)
		n++;
	return n;
}
