/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a timeline is ripe, what it waits for, and what makes it one. */
#include "track_fixture.h"

/* ---- time ------------------------------------------------------------------------------------ */

static void a_failure_is_ripe_after_a_grace(void **state)
{
	struct fixture *f = *state;

	assert_true(track_next_ns(f->track) == UINT64_MAX);
	fails(f, inside(), T0);
	assert_true(track_next_ns(f->track) == T0 + GRACE);
	assert_int_equal(ripe(f, T0 + GRACE - 1, 1, NULL), 0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, NULL), 1);
	assert_true(track_next_ns(f->track) == UINT64_MAX);
	assert_int_equal(ripe(f, T0 + GRACE, 1, NULL), 0);
}

static void further_events_are_waited_for_but_not_for_ever(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i <= 20; i++) {
		assert_int_equal(ripe(f, T0 + i * 100 * MS, 1, NULL), i * 100 * MS >= PATIENCE);
		if (i * 100 * MS >= PATIENCE)
			break;
		fails(f, inside(), T0 + i * 100 * MS);
	}
}

static void answers_are_waited_for_but_not_for_ever(void **state)
{
	struct fixture *f = *state;
	struct question q = {0};

	fails(f, inside(), T0);
	assert_true(track_waits(f->track));
	assert_true(track_next_ns(f->track) == T0 + ANSWERS);
	assert_int_equal(ripe(f, T0 + ANSWERS - 1, 1, NULL), 0);
	assert_int_equal(questions(f, &q), 1);
	assert_int_equal(q.kind, Q_SOCKETS);
	assert_true(q.event_ns == T0);
	assert_int_equal(ripe(f, T0 + ANSWERS, 1, NULL), 1);
}

/* A failed connect() with its stack; how many ask whose it is, the last in ret. */
static unsigned stacks_asked(struct fixture *f, const struct rec_event *e, struct question *ret)
{
	struct question q;
	unsigned n = 0;

	assert_int_equal(track_add(f->track, &e->hdr), 0);
	while (track_question(f->track, &q)) {
		if (q.kind != Q_USER_STACK)
			continue;
		*ret = q;
		n++;
	}
	return n;
}

static void whose_stack_it_is_is_asked(void **state)
{
	struct fixture *f = *state;
	struct rec_tuple t = inside();
	struct rec_event e = event_make(REC_CONNECT, &t, T0);
	struct question q;

	e.err = ECONNREFUSED;
	assert_int_equal(stacks_asked(f, &e, &q), 0); /* there is none */
	e.hdr.mono_ns = T0 + 1;
	e.task.pid = 77;
	e.task.tid = 78;
	e.user.nr = 1;
	e.user.frames[0] = 0x1234;
	str_copy(e.task.comm, sizeof(e.task.comm), "client");
	assert_int_equal(stacks_asked(f, &e, &q), 1);
	assert_int_equal(q.stack.pid, 77);
	assert_int_equal(q.stack.tid, 78);
	assert_string_equal(q.stack.comm, "client");
	assert_true(q.stack.user.frames[0] == 0x1234);
	assert_true(q.event_ns == T0 + 1);
	/* The same call once more; another one. */
	e.hdr.mono_ns = T0 + 2;
	assert_int_equal(stacks_asked(f, &e, &q), 0);
	e.hdr.mono_ns = T0 + 3;
	e.user.frames[0] = 0x5678;
	assert_int_equal(stacks_asked(f, &e, &q), 1);
}

static void the_stack_of_connect_is_asked_for_once(void **state)
{
	struct fixture *f = *state;
	struct rec_tuple t = inside();
	struct rec_event e = event_make(REC_CONNECT, &t, T0);
	struct question q;

	e.user.nr = 1;
	e.task.pid = 1;
	e.mem.connect.pid = 77;
	e.mem.connect.tid = 78;
	assert_int_equal(stacks_asked(f, &e, &q), 1);
	assert_int_equal(q.stack.pid, 77);
	e.hdr.mono_ns++;
	assert_int_equal(stacks_asked(f, &e, &q), 0);
}

static void answers_lower_what_is_open(void **state)
{
	const int errs[] = {0, -EBUSY}; /* a refusal is an answer too */
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(errs); i++) {
		const uint64_t at = T0 + i * MS;
		struct question q = {0};

		fails(f, tcp("10.0.0.1", 1000, "10.0.0.2", (uint16_t)(80 + i)), at);
		assert_int_equal(questions(f, &q), 1);
		assert_true(track_waits(f->track));
		answered(f, &q, errs[i]);
		assert_false(track_waits(f->track));
		assert_true(track_next_ns(f->track) == at + GRACE);
		answered(f, &q, 0); /* one too many */
		assert_false(track_waits(f->track));
		assert_int_equal(ripe(f, at + GRACE, 1, NULL), 1);
	}
}

static void as_long_as_answers_come_in_the_others_are_waited_for(void **state)
{
	const uint64_t step = ANSWERS - 1, end = T0 + ANSWERS_MOST;
	struct fixture *f = *state;
	struct question q = {0};

	fails(f, inside(), T0);
	fails(f, tcp("10.0.0.1", 1000, "10.0.0.2", 80), T0);
	assert_int_equal(questions(f, &q), 2);
	answered_at(f, &q, 0, T0 + MS); /* the other one's turn came later */
	assert_int_equal(ripe(f, T0 + ANSWERS, 1, NULL), 1);
	assert_true(track_next_ns(f->track) == T0 + MS + ANSWERS);
	for (uint64_t at = T0 + step; at < end; at += step) {
		assert_int_equal(ripe(f, at, 1, NULL), 0);
		answered_at(f, &q, 0, at);
	}
	assert_true(track_next_ns(f->track) == end);
	assert_int_equal(ripe(f, end - 1, 1, NULL), 0);
	assert_int_equal(ripe(f, end, 1, NULL), 1);
}

static void answers_that_nobody_asked_for_are_ignored(void **state)
{
	struct fixture *f = *state;
	struct question q = {0};

	fails(f, inside(), T0);
	assert_int_equal(questions(f, &q), 1);
	for (unsigned i = 0; i < 4; i++) {
		struct question other = q;

		other.id += i == 0 ? 12345 : 0;
		other.kind = i == 1 ? Q_ROUTE : other.kind;
		other.netns += i == 2;
		other.event_ns += i == 3;
		answered(f, &other, 0);
	}
	assert_true(track_waits(f->track));
}

static void the_same_question_is_asked_once(void **state)
{
	struct fixture *f = *state;

	fails(f, inside(), T0);
	fails(f, inside(), T0 + 1);
	assert_int_equal(questions(f, NULL), 1);
	fails(f, inside(),
	      T0 + 2); /* the first is with the lookups: perhaps it has changed since */
	assert_int_equal(questions(f, NULL), 1);
}

static void who_a_namespace_is_gets_asked_once(void **state)
{
	struct fixture *f = *state;
	struct question q = {0};

	fails_in(f, inside(), 77, T0);
	fails_in(f, tcp("10.0.0.1", 1, "10.0.0.2", 2), 77, T0);
	assert_int_equal(questions(f, &q), 1);
	assert_int_equal(q.kind, Q_NETNS);
	assert_int_equal(q.netns, 77);
}

static void a_flush_makes_all_ripe(void **state)
{
	struct fixture *f = *state;

	fails(f, inside(), T0);
	fails(f, outside(), T0);
	assert_int_equal(ripe(f, T0, 1, NULL), 0);
	track_flush(f->track);
	assert_int_equal(ripe(f, T0, 1, NULL), 2);
}

/* ---- what weighs ----------------------------------------------------------------------------- */

static void supporting_events_wait_for_a_failure(void **state)
{
	const struct rec_tuple t = inside();
	struct rec_event e = event_make(REC_RETRANS, &t, T0);
	struct timeline *tl;
	struct fixture *f = *state;

	happens(f, &e);
	assert_true(track_next_ns(f->track) == UINT64_MAX);
	track_flush(f->track);
	assert_int_equal(ripe(f, T0 + PATIENCE, 1, NULL), 0);
	fails(f, t, T0 + MS);
	assert_int_equal(ripe(f, T0 + PATIENCE, 1, &tl), 1);
	assert_int_equal(events_of(tl), 2);
	assert_int_equal(tl->hard, 1);
	assert_true(tl->first_ns == T0);
	assert_true(tl->last_ns == T0 + MS);
}

static void a_retransmission_counts_where_something_was_lost(void **state)
{
	const struct rec_tuple t = inside();
	struct rec_event drop = event_make(REC_DROP, &t, T0);
	struct rec_event again = event_make(REC_RETRANS, &t, T0 + 200 * MS);
	struct fixture *f = *state;

	drop.has_reason = 1;
	drop.pkt.tcp_flags = ACK;
	assert_true(str_copy(drop.reason_name, sizeof(drop.reason_name), "NETFILTER_DROP"));
	happens(f, &drop);
	assert_int_equal(ripe(f, T0 + GRACE, 0, NULL), 1); /* nothing to say yet, */
	assert_true(track_next_ns(f->track) == UINT64_MAX);
	happens(f, &again); /* but now there may be */
	assert_true(track_next_ns(f->track) == T0 + 200 * MS + GRACE);
}

static void what_was_not_judged_ripens_again(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;

	fails(f, inside(), T0);
	assert_int_equal(ripe(f, T0 + GRACE, 0, NULL), 1);
	assert_int_equal(f->repeats, 0);
	fails(f, inside(), T0 + 5 * NSEC_PER_SEC);
	assert_true(track_next_ns(f->track) == T0 + 5 * NSEC_PER_SEC + GRACE);
	assert_int_equal(ripe(f, T0 + 6 * NSEC_PER_SEC, 1, &tl), 1);
	assert_int_equal(events_of(tl), 2);
}

static void judged_timelines_count_what_comes(void **state)
{
	const struct rec_tuple t = inside();
	struct rec_event soft = event_make(REC_SYN_AGAIN, &t, T0 + NSEC_PER_SEC);
	struct fixture *f = *state;
	struct timeline *tl;

	fails(f, t, T0);
	assert_int_equal(ripe(f, T0 + GRACE, 42, &tl), 1);
	fails(f, t, T0 + 300 * MS);
	fails(f, tuple_reverse(&t), T0 + 400 * MS);
	happens(f, &soft);
	assert_int_equal(f->repeats, 2);
	assert_int_equal(f->repeated_id, 42);
	assert_int_equal(events_of(tl), 1);
	assert_true(track_next_ns(f->track) == UINT64_MAX);
}

static void the_same_ports_later_are_another_connection(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;
	uint64_t first;

	fails(f, inside(), T0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	first = tl->id;
	fails(f, inside(), T0 + AFTERMATH);
	assert_int_equal(f->repeats, 1);
	fails(f, inside(), T0 + 2 * AFTERMATH); /* from the last event */
	assert_int_equal(f->repeats, 2);
	fails(f, inside(), T0 + 3 * AFTERMATH + 1);
	assert_int_equal(f->repeats, 2);
	assert_int_equal(ripe(f, T0 + 4 * AFTERMATH, 2, &tl), 1);
	assert_int_equal(events_of(tl), 1);
	assert_true(tl->id > first);
	assert_int_equal(track_evicted(f->track), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		track_test(a_failure_is_ripe_after_a_grace),
		track_test(further_events_are_waited_for_but_not_for_ever),
		asking_test(answers_are_waited_for_but_not_for_ever),
		asking_test(whose_stack_it_is_is_asked),
		asking_test(the_stack_of_connect_is_asked_for_once),
		asking_test(answers_lower_what_is_open),
		asking_test(as_long_as_answers_come_in_the_others_are_waited_for),
		asking_test(answers_that_nobody_asked_for_are_ignored),
		asking_test(the_same_question_is_asked_once),
		track_test(who_a_namespace_is_gets_asked_once),
		track_test(a_flush_makes_all_ripe),
		track_test(supporting_events_wait_for_a_failure),
		track_test(a_retransmission_counts_where_something_was_lost),
		track_test(what_was_not_judged_ripens_again),
		track_test(judged_timelines_count_what_comes),
		track_test(the_same_ports_later_are_another_connection),
	};

	return cmocka_run_group_tests_name("track", tests, NULL, NULL);
}
