/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory stays bounded whatever comes, and what is given up is counted. */
#include "track_fixture.h"

#include <malloc.h>

#define TIMELINES 4096
#define EVENTS 96
#define LOOKUPS 512
#define BYTES (10u << 20)

/* The n-th of many connections. */
static void nth(struct fixture *f, enum rec_kind kind, unsigned n, uint64_t ns)
{
	const struct rec_tuple t =
		tcp("10.0.1.2", (uint16_t)(1 + n % 60000), "10.0.2.2", (uint16_t)(1 + n / 60000));
	const struct rec_event e = event_make(kind, &t, ns);

	happens(f, &e);
}

static unsigned all_ripe(struct fixture *f, uint64_t verdict_id)
{
	track_flush(f->track);
	return ripe(f, UINT64_MAX - 1, verdict_id, NULL);
}

static void timelines_are_bounded_and_lost_ones_counted(void **state)
{
	const unsigned many = 2 * TIMELINES;
	struct fixture *f = *state;
	unsigned kept;

	for (unsigned i = 0; i < many; i++)
		nth(f, REC_RST_RECV, i, T0 + i);
	kept = all_ripe(f, 1);
	assert_in_range(kept, TIMELINES - 1, TIMELINES + 1);
	assert_int_equal(track_evicted(f->track), many - kept);
}

static void what_made_room_may_have_been_of_a_connection_that_goes_on(void **state)
{
	const struct rec_tuple t = tcp("10.0.1.9", 1, "10.0.2.9", 80);
	struct rec_event e = event_make(REC_RST_RECV, &t, T0 + 3 * TIMELINES);
	struct fixture *f = *state;
	struct timeline *tl;

	for (unsigned i = 0; i < 2 * TIMELINES; i++)
		nth(f, REC_RST_RECV, i, T0 + i);
	all_ripe(f, 1);
	happens(f, &e); /* it began after all that had to go */
	assert_int_equal(ripe(f, UINT64_MAX - 1, 1, &tl), 1);
	assert_false(track_forgot(f->track, tl));
	e = event_make(REC_RST_RECV, &(struct rec_tuple){0}, T0 + 3 * TIMELINES);
	e.pkt.tuple = tcp("10.0.1.9", 2, "10.0.2.9", 80);
	e.mem.connect.began_ns = T0 + 1; /* … and this one before */
	happens(f, &e);
	assert_int_equal(ripe(f, UINT64_MAX - 1, 1, &tl), 1);
	assert_true(track_forgot(f->track, tl));
}

static void the_oldest_go_first(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;

	for (unsigned i = 0; i < TIMELINES; i++)
		nth(f, REC_RST_RECV, i, T0 + i);
	nth(f, REC_RST_RECV, 0, T0 + TIMELINES); /* used again: now the newest */
	for (unsigned i = 0; i < 100; i++)
		nth(f, REC_RST_RECV, 10000 + i, T0 + TIMELINES + i);
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
		nth(f, REC_RST_RECV, i, T0 + i);
	assert_int_equal(all_ripe(f, 1), TIMELINES);
	for (unsigned i = 0; i < 2 * TIMELINES; i++)
		nth(f, REC_RETRANS, 10000 + i, T0 + TIMELINES + i);
	assert_int_equal(track_evicted(f->track), 0);
}

/* As many as fill the store, all used later than what it had before. */
static void healthy_ones_come(struct fixture *f, uint64_t ns)
{
	for (unsigned i = 0; i < 2 * TIMELINES; i++)
		nth(f, REC_RETRANS, 10000 + i, ns + i);
}

static void what_waits_to_be_judged_outlasts_healthy_ones(void **state)
{
	struct fixture *f = *state;

	nth(f, REC_RETRANS, 0, T0);
	nth(f, REC_RST_RECV, 0, T0 + 1); /* no longer healthy */
	healthy_ones_come(f, T0 + 2);
	assert_int_equal(track_evicted(f->track), 0);
	assert_int_equal(all_ripe(f, 1), 1);
}

static void last_fins_take_no_room(void **state)
{
	const struct rec_tuple t = tcp("10.0.1.2", 1, "10.0.2.2", 1);
	struct rec_event e = event_make(REC_DROP, &t, T0);
	struct fixture *f = *state;
	struct timeline *tl;

	e.pkt.tcp_flags = FIN | ACK;
	e.location = symbol_add(f->world, "tcp_v4_rcv");
	happens(f, &e);
	nth(f, REC_RST_RECV, 0, T0 + 1); /* the same connection's */
	assert_int_equal(ripe(f, UINT64_MAX - 1, 1, &tl), 1);
	assert_int_equal(events_of(tl), 1);
}

static void bytes_are_bounded_and_lost_ones_counted(void **state)
{
	struct fixture *f = *state;
	const size_t before = mallinfo2().uordblks;
	unsigned kept;

	/* A thousand connections with twenty events each would take more than 20 MB. */
	for (unsigned round = 0; round < 20; round++)
		for (unsigned i = 0; i < 1000; i++)
			nth(f, REC_RST_RECV, i, T0 + round);
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
		nth(f, REC_RST_RECV, 0, T0 + i);
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
		nth(f, REC_RST_RECV, 0, T0);
	rec_init(&rec, REC_SYSCTL, HOST, T0);
	rec.question = 1; /* the first timeline */
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(track_add(f->track, &rec.hdr), 0);
	track_flush(f->track);
	tl = track_ripe(f->track, T0 + 2 * NSEC_PER_SEC);
	assert_non_null(tl);
	assert_int_equal(tl->recs.n, EVENTS + LOOKUPS);
	assert_int_equal(tl->cut, 1000 - LOOKUPS);
	track_judged(f->track, tl, 1);
}

/* A SYN that is lost again and again asks the same each time; how it ends is still told. */
static void events_still_fit_where_lookups_are_full(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;
	struct rec_sysctl rec;

	nth(f, REC_RST_RECV, 0, T0);
	rec_init(&rec, REC_SYSCTL, HOST, T0);
	rec.question = 1; /* the first timeline */
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(track_add(f->track, &rec.hdr), 0);
	nth(f, REC_RST_RECV, 0, T0 + 1);
	track_flush(f->track);
	tl = track_ripe(f->track, T0 + 2 * NSEC_PER_SEC);
	assert_non_null(tl);
	assert_int_equal(tl->events, 2);
	assert_int_equal(tl->recs.v[tl->recs.n - 1]->kind, REC_RST_RECV);
	track_judged(f->track, tl, 1);
}

static void idle_timelines_are_forgotten_without_a_word(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;

	nth(f, REC_RETRANS, 0, T0);
	nth(f, REC_RETRANS, 1, T0 + 1);
	nth(f, REC_RST_RECV, 9, T0 + 130 * NSEC_PER_SEC + 1); /* makes room */
	nth(f, REC_RST_RECV, 1, T0 + 130 * NSEC_PER_SEC + 1);
	nth(f, REC_RST_RECV, 0, T0 + 130 * NSEC_PER_SEC + 2);
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
	e.user.nr = REC_USTACK_MAX + 1;
	assert_int_equal(record_validate(&e, sizeof(e)), -EBADMSG);
	e.user.nr = 0;
	e.nr_hooks = REC_HOOKS_MAX + 1;
	assert_int_equal(record_validate(&e, sizeof(e)), -EBADMSG);
	e.nr_hooks = 0;
	memset(e.ifname, 'x', sizeof(e.ifname));
	assert_int_equal(record_validate(&e, sizeof(e)), -EBADMSG);
}

/* ---- the end of a connect() ------------------------------------------------------------------ */

static void connects(struct fixture *f, enum rec_kind kind, uint8_t state, uint64_t ns)
{
	const struct rec_tuple t = inside();
	struct rec_event e = event_make(kind, &t, ns);

	e.pkt.has = 0;
	story_own_socket(&e, state);
	e.old_state = TCP_SYN_SENT;
	e.new_state = state;
	e.sock.err = ETIMEDOUT;
	happens(f, &e);
}

static void the_end_of_a_connect_is_told_later(void **state)
{
	const uint64_t again = T0 + 60 * NSEC_PER_SEC, end = again + 64 * NSEC_PER_SEC;
	struct fixture *f = *state;
	struct timeline *tl, *later;

	connects(f, REC_SYN_RETRANS, TCP_SYN_SENT, T0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	tl->awaits_end = true;
	connects(f, REC_SYN_RETRANS, TCP_SYN_SENT, again);
	assert_int_equal(ripe(f, again + GRACE, 2, NULL), 0);
	connects(f, REC_STATE, TCP_CLOSE, end);
	assert_int_equal(ripe(f, end + GRACE - 1, 2, NULL), 0);
	assert_int_equal(ripe(f, end + GRACE, 1, &later), 1);
	assert_ptr_equal(later, tl);
	assert_false(tl->awaits_end);
	assert_int_equal(events_of(tl), 3);
	connects(f, REC_STATE, TCP_CLOSE, end + 2 * GRACE); /* once only */
	assert_int_equal(ripe(f, end + 4 * GRACE, 1, NULL), 0);
	assert_int_equal(events_of(tl), 3);
}

static void the_end_of_a_connect_is_told_however_many_are_healthy(void **state)
{
	const uint64_t end = T0 + 120 * NSEC_PER_SEC;
	struct fixture *f = *state;
	struct timeline *tl, *later;

	connects(f, REC_SYN_RETRANS, TCP_SYN_SENT, T0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	tl->awaits_end = true;
	healthy_ones_come(f, T0 + NSEC_PER_SEC);
	connects(f, REC_STATE, TCP_CLOSE, end);
	assert_int_equal(ripe(f, end + GRACE, 1, &later), 1);
	assert_ptr_equal(later, tl);
	assert_int_equal(tl->verdict_id, 1);
	assert_false(tl->awaits_end);
}

static void what_is_no_connect_is_another_story_by_then(void **state)
{
	const uint64_t after = T0 + AFTERMATH + NSEC_PER_SEC;
	struct fixture *f = *state;
	struct timeline *tl;

	connects(f, REC_SYN_RETRANS, TCP_SYN_SENT, T0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	tl->awaits_end = true;
	fails(f, inside(), after); /* it was established, and failed later */
	assert_int_equal(ripe(f, after + GRACE, 2, &tl), 1);
	assert_int_equal(events_of(tl), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		track_test(timelines_are_bounded_and_lost_ones_counted),
		track_test(what_made_room_may_have_been_of_a_connection_that_goes_on),
		track_test(the_oldest_go_first),
		track_test(what_was_judged_or_never_failed_is_no_loss),
		track_test(what_waits_to_be_judged_outlasts_healthy_ones),
		track_test(last_fins_take_no_room),
		track_test(bytes_are_bounded_and_lost_ones_counted),
		track_test(events_of_one_timeline_are_bounded),
		track_test(lookups_still_fit_where_events_are_full),
		track_test(events_still_fit_where_lookups_are_full),
		track_test(idle_timelines_are_forgotten_without_a_word),
		track_test(the_end_of_a_connect_is_told_later),
		track_test(the_end_of_a_connect_is_told_however_many_are_healthy),
		track_test(what_is_no_connect_is_another_story_by_then),
		cmocka_unit_test(events_that_claim_too_much_are_refused_before),
	};

	return cmocka_run_group_tests_name("bounds of track", tests, NULL, NULL);
}
