/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory stays bounded whatever comes, and what is given up is counted. */
#include "timeline_fixture.h"

#include <malloc.h>

#define T0 (1000 * NSEC_PER_SEC)
#define MS NSEC_PER_MSEC
#define TIMELINES 4096
#define EVENTS 96
#define RECORDS 160
#define BYTES (8u << 20)

struct fixture {
	struct world *world;
	struct track *track;
};

static void ask_nothing(const struct rec_event *e, question_vec *ask)
{
	(void)e;
	(void)ask;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct rec_netns known;

	assert_non_null(f);
	assert_int_equal(world_new(&f->world), 0);
	rec_init(&known, REC_NETNS, HOST, T0);
	assert_int_equal(world_add(f->world, &known.hdr), 0);
	assert_int_equal(track_new(ask_nothing, f->world, &f->track), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	track_free(f->track);
	world_free(f->world);
	free(f);
	return 0;
}

/* The n-th of many connections. */
static void happens(struct fixture *f, enum rec_kind kind, unsigned n, uint64_t ns)
{
	const struct rec_tuple t =
		tcp("10.0.1.2", (uint16_t)(1 + n % 60000), "10.0.2.2", (uint16_t)(1 + n / 60000));
	const struct rec_event e = event_make(kind, &t, ns);

	assert_int_equal(track_add(f->track, &e.hdr), 0);
}

static unsigned all_ripe(struct fixture *f, uint64_t verdict_id)
{
	struct timeline *tl;
	unsigned n = 0;

	track_flush(f->track);
	for (; (tl = track_ripe(f->track, UINT64_MAX - 1)); n++)
		track_judged(f->track, tl, verdict_id);
	return n;
}

static void timelines_are_bounded_and_lost_ones_counted(void **state)
{
	const unsigned many = 20000;
	struct fixture *f = *state;
	unsigned kept;

	for (unsigned i = 0; i < many; i++)
		happens(f, REC_RST_RECV, i, T0 + i);
	kept = all_ripe(f, 1);
	assert_in_range(kept, TIMELINES - 1, TIMELINES + 1);
	assert_int_equal(track_evicted(f->track), many - kept);
}

static void the_oldest_go_first(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;

	for (unsigned i = 0; i < TIMELINES; i++)
		happens(f, REC_RST_RECV, i, T0 + i);
	happens(f, REC_RST_RECV, 0, T0 + TIMELINES); /* used again: now the newest */
	for (unsigned i = 0; i < 100; i++)
		happens(f, REC_RST_RECV, 10000 + i, T0 + TIMELINES + i);
	track_flush(f->track);
	while ((tl = track_ripe(f->track, UINT64_MAX - 1))) {
		const struct rec_event *e = (const void *)tl->recs.v[0];

		assert_true(e->pkt.tuple.sport == 1 || e->pkt.tuple.sport > 90);
		if (e->pkt.tuple.sport == 1)
			assert_int_equal(tl->recs.n, 2);
		track_judged(f->track, tl, 1);
	}
}

static void what_was_judged_or_never_failed_is_no_loss(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < TIMELINES; i++)
		happens(f, REC_RST_RECV, i, T0 + i);
	assert_int_equal(all_ripe(f, 1), TIMELINES);
	for (unsigned i = 0; i < 2 * TIMELINES; i++)
		happens(f, REC_RETRANS, 10000 + i, T0 + TIMELINES + i);
	assert_int_equal(track_evicted(f->track), 0);
}

static void bytes_are_bounded_and_lost_ones_counted(void **state)
{
	struct fixture *f = *state;
	const size_t before = mallinfo2().uordblks;
	unsigned kept;

	/* Two thousand connections with fifty events each would take more than 100 MB. */
	for (unsigned round = 0; round < 50; round++)
		for (unsigned i = 0; i < 2000; i++)
			happens(f, REC_RST_RECV, i, T0 + round);
	if (before) /* 0 under AddressSanitizer */
		assert_in_range(mallinfo2().uordblks - before, 1, BYTES * 3 / 2);
	kept = all_ripe(f, 1);
	assert_in_range(kept, 1, BYTES / sizeof(struct rec_event) + 1);
	assert_true(track_evicted(f->track) > 0);
}

static void events_of_one_timeline_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;

	for (unsigned i = 0; i < 1000; i++)
		happens(f, REC_RST_RECV, 0, T0 + i);
	track_flush(f->track);
	tl = track_ripe(f->track, T0 + 2 * NSEC_PER_SEC);
	assert_non_null(tl);
	assert_int_equal(tl->recs.n, EVENTS);
	assert_int_equal(tl->cut, 1000 - EVENTS);
	assert_int_equal(tl->hard, 1000); /* the count stays exact */
	track_judged(f->track, tl, 1);
}

static void lookups_still_fit_where_events_are_full(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;
	struct rec_sysctl rec;

	for (unsigned i = 0; i < EVENTS; i++)
		happens(f, REC_RST_RECV, 0, T0);
	rec_init(&rec, REC_SYSCTL, HOST, T0);
	rec.question = 1; /* the first timeline */
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(track_add(f->track, &rec.hdr), 0);
	track_flush(f->track);
	tl = track_ripe(f->track, T0 + 2 * NSEC_PER_SEC);
	assert_non_null(tl);
	assert_int_equal(tl->recs.n, RECORDS);
	assert_int_equal(tl->cut, 1000 - (RECORDS - EVENTS));
	track_judged(f->track, tl, 1);
}

static void idle_timelines_are_forgotten_without_a_word(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;

	happens(f, REC_RETRANS, 0, T0);
	happens(f, REC_RETRANS, 1, T0 + 1);
	happens(f, REC_RST_RECV, 9, T0 + 130 * NSEC_PER_SEC + 1); /* makes room */
	happens(f, REC_RST_RECV, 1, T0 + 130 * NSEC_PER_SEC + 1);
	happens(f, REC_RST_RECV, 0, T0 + 130 * NSEC_PER_SEC + 2);
	track_flush(f->track);
	while ((tl = track_ripe(f->track, UINT64_MAX - 1))) {
		const struct rec_event *e = (const void *)tl->recs.v[0];

		assert_int_equal(tl->recs.n, e->pkt.tuple.sport == 2 ? 2 : 1);
		track_judged(f->track, tl, 1);
	}
	assert_int_equal(track_evicted(f->track), 0);
}

static void events_that_claim_too_much_are_refused_before(void **state)
{
	const struct rec_tuple t = tcp("10.0.1.2", 1, "10.0.2.2", 2);
	struct rec_event e = event_make(REC_RST_RECV, &t, T0);

	(void)state;
	assert_int_equal(record_validate(&e, sizeof(e)), 0);
	e.nr_kstack = REC_KSTACK_MAX + 1;
	assert_int_equal(record_validate(&e, sizeof(e)), -EBADMSG);
	e.nr_kstack = 0;
	e.nr_ustack = REC_USTACK_MAX + 1;
	assert_int_equal(record_validate(&e, sizeof(e)), -EBADMSG);
	e.nr_ustack = 0;
	e.nr_hooks = REC_HOOKS_MAX + 1;
	assert_int_equal(record_validate(&e, sizeof(e)), -EBADMSG);
	e.nr_hooks = 0;
	memset(e.ifname, 'x', sizeof(e.ifname));
	assert_int_equal(record_validate(&e, sizeof(e)), -EBADMSG);
}

#define bounds_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		bounds_test(timelines_are_bounded_and_lost_ones_counted),
		bounds_test(the_oldest_go_first),
		bounds_test(what_was_judged_or_never_failed_is_no_loss),
		bounds_test(bytes_are_bounded_and_lost_ones_counted),
		bounds_test(events_of_one_timeline_are_bounded),
		bounds_test(lookups_still_fit_where_events_are_full),
		bounds_test(idle_timelines_are_forgotten_without_a_word),
		cmocka_unit_test(events_that_claim_too_much_are_refused_before),
	};

	return cmocka_run_group_tests_name("bounds of track", tests, NULL, NULL);
}
