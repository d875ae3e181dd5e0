/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which records make one timeline, when it is ripe, and what is forgotten. */
#include "timeline_fixture.h"

#define T0 (1000 * NSEC_PER_SEC)
#define MS NSEC_PER_MSEC
#define GRACE (150 * MS)
#define PATIENCE (1000 * MS)
#define AFTERMATH (10 * NSEC_PER_SEC)

struct fixture {
	struct world *world;
	struct track *track;
	unsigned repeats;
	uint64_t repeated_id;
};

/* One question about each event that weighs something. */
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

static int setup(void **state)
{
	*state = fixture_new(ask_nothing);
	return 0;
}

static int setup_asking(void **state)
{
	*state = fixture_new(ask_for_sockets);
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

static struct rec_tuple inside(void)
{
	return tcp("172.17.0.2", 40000, "10.0.2.2", 443);
}

static struct rec_tuple outside(void)
{
	return tcp("10.0.2.2", 443, "10.0.3.2", 1024);
}

static void add(struct fixture *f, const struct rec_event *e)
{
	assert_int_equal(record_validate(e, sizeof(*e)), 0);
	assert_int_equal(track_add(f->track, &e->hdr), 0);
}

/* A failure at that time, in that namespace. */
static void fails_in(struct fixture *f, struct rec_tuple t, uint32_t netns, uint64_t ns)
{
	struct rec_event e = event_make(REC_RST_RECV, &t, ns);

	e.hdr.netns = netns;
	add(f, &e);
}

static void fails(struct fixture *f, struct rec_tuple t, uint64_t ns)
{
	fails_in(f, t, HOST, ns);
}

static void answer(struct fixture *f, uint64_t question, int err)
{
	struct rec_answer a;

	rec_init(&a, REC_ANSWER, HOST, T0);
	a.question = question;
	a.err = err;
	assert_int_equal(track_add(f->track, &a.hdr), 0);
}

/* Takes every question that waits: how many, and whose the last was. */
static unsigned questions(struct fixture *f, struct question *last)
{
	struct question q;
	unsigned n = 0;

	for (; track_question(f->track, &q); n++)
		if (last)
			*last = q;
	return n;
}

/* How many timelines are ripe at that time, judged with these ids; *last, if wanted, is the last of them. */
static unsigned ripe(struct fixture *f, uint64_t ns, uint64_t verdict_id, struct timeline **last)
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

static unsigned events_of(const struct timeline *tl)
{
	unsigned n = 0;

	timeline_each_event(tl, e)
		n++;
	return n;
}

/* ---- time ---- */

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
	struct question q;

	fails(f, inside(), T0);
	assert_true(track_waits(f->track));
	assert_true(track_next_ns(f->track) == T0 + PATIENCE);
	assert_int_equal(ripe(f, T0 + PATIENCE - 1, 1, NULL), 0);
	assert_int_equal(questions(f, &q), 1);
	assert_int_equal(q.kind, Q_SOCKETS);
	assert_true(q.event_ns == T0);
	assert_int_equal(ripe(f, T0 + PATIENCE, 1, NULL), 1);
}

static void answers_lower_what_is_open(void **state)
{
	const int errs[] = {0, -EBUSY}; /* a refusal is an answer too */
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(errs); i++) {
		const uint64_t at = T0 + i * MS;
		struct question q;

		fails(f, tcp("10.0.0.1", 1000, "10.0.0.2", (uint16_t)(80 + i)), at);
		assert_int_equal(questions(f, &q), 1);
		assert_true(track_waits(f->track));
		answer(f, q.id, errs[i]);
		assert_false(track_waits(f->track));
		assert_true(track_next_ns(f->track) == at + GRACE);
		answer(f, q.id, 0); /* one too many */
		assert_false(track_waits(f->track));
		assert_int_equal(ripe(f, at + GRACE, 1, NULL), 1);
	}
}

static void answers_that_nobody_asked_for_are_ignored(void **state)
{
	struct fixture *f = *state;

	fails(f, inside(), T0);
	answer(f, 12345, 0);
	answer(f, 0, 0);
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

/* ---- what weighs ---- */

static void supporting_events_wait_for_a_failure(void **state)
{
	const struct rec_tuple t = inside();
	struct rec_event e = event_make(REC_RETRANS, &t, T0);
	struct timeline *tl;
	struct fixture *f = *state;

	add(f, &e);
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
	add(f, &drop);
	assert_int_equal(ripe(f, T0 + GRACE, 0, NULL), 1); /* nothing to say yet, */
	assert_true(track_next_ns(f->track) == UINT64_MAX);
	add(f, &again); /* but now there may be */
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
	add(f, &soft);
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

/* ---- which records belong together ---- */

static void both_directions_are_one_connection(void **state)
{
	const struct rec_tuple t = inside();
	struct fixture *f = *state;
	struct timeline *tl;

	fails(f, t, T0);
	fails_in(f, tuple_reverse(&t), INSIDE, T0); /* its other end, in another namespace */
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	assert_int_equal(events_of(tl), 2);
	fails(f, tcp("172.17.0.2", 40000, "10.0.2.2", 444), T0);
	fails(f, udp("172.17.0.2", 40000, "10.0.2.2", 443), T0);
	assert_int_equal(ripe(f, T0 + GRACE, 2, NULL), 2);
}

static void loopback_is_another_one_in_each_namespace(void **state)
{
	struct fixture *f = *state;

	fails_in(f, tcp("127.0.0.1", 40000, "127.0.0.1", 80), HOST, T0);
	fails_in(f, tcp("127.0.0.1", 40000, "127.0.0.1", 80), INSIDE, T0);
	fails_in(f, tcp("::1", 40000, "::1", 80), HOST, T0);
	fails_in(f, tcp("::1", 40000, "::1", 80), INSIDE, T0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, NULL), 4);
}

static void tuples_without_ports_are_others_in_each_namespace(void **state)
{
	struct fixture *f = *state;

	fails_in(f, tcp("0.0.0.0", 0, "10.0.2.2", 80), HOST, T0);
	fails_in(f, tcp("0.0.0.0", 0, "10.0.2.2", 80), INSIDE, T0);
	fails_in(f, tcp("10.0.1.2", 0, "10.0.2.2", 80), HOST, T0);
	fails_in(f, tcp("10.0.1.2", 0, "10.0.2.2", 80), INSIDE, T0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, NULL), 4);
}

static void nat_in_the_packet_joins(void **state)
{
	const struct rec_tuple out = outside();
	struct rec_event e = event_make(REC_RST_RECV, &out, T0);
	struct fixture *f = *state;
	struct timeline *tl;

	e.pkt.has |= PKT_CT;
	e.pkt.ct_orig = inside();
	e.pkt.ct_reply = outside();
	fails_in(f, inside(), INSIDE, T0);
	add(f, &e);
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	assert_int_equal(events_of(tl), 2);
	fails_in(f, inside(), INSIDE, T0 + MS); /* the names stay the same connection's */
	fails(f, outside(), T0 + MS);
	assert_int_equal(f->repeats, 2);
}

static void nat_in_the_packet_joins_what_comes_later(void **state)
{
	const struct rec_tuple out = outside();
	struct rec_event e = event_make(REC_RST_RECV, &out, T0);
	struct fixture *f = *state;
	struct timeline *tl;

	e.pkt.has |= PKT_CT;
	e.pkt.ct_orig = inside();
	e.pkt.ct_reply = outside();
	add(f, &e);
	fails_in(f, inside(), INSIDE, T0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	assert_int_equal(events_of(tl), 2);
}

static void nat_that_was_looked_up_joins(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;
	struct question q;
	struct rec_ct ct;

	fails_in(f, inside(), INSIDE, T0);
	assert_int_equal(questions(f, &q), 1);
	answer(f, q.id, 0);
	fails(f, outside(), T0 + MS);
	assert_int_equal(questions(f, &q), 1);
	rec_init(&ct, REC_CT, HOST, T0 + MS);
	ct.question = q.id;
	ct.found = 1;
	ct.orig = inside();
	ct.reply = outside();
	assert_int_equal(track_add(f->track, &ct.hdr), 0);
	answer(f, q.id, 0);
	/* The ends behind the NAT are asked for. */
	assert_int_equal(questions(f, &q), 2);
	answer(f, q.id, 0);
	answer(f, q.id, 0);
	assert_int_equal(ripe(f, T0 + MS + GRACE, 1, &tl), 1);
	assert_int_equal(events_of(tl), 2);
	assert_int_equal(tl->hard, 2);
	assert_true(tl->first_ns == T0);
}

static void an_entry_without_nat_raises_no_questions(void **state)
{
	struct fixture *f = *state;
	struct rec_tuple out = outside();
	struct question q;
	struct rec_ct ct;

	fails(f, out, T0);
	assert_int_equal(questions(f, &q), 1);
	rec_init(&ct, REC_CT, HOST, T0);
	ct.question = q.id;
	ct.found = 1;
	ct.orig = tuple_reverse(&out);
	ct.reply = out;
	assert_int_equal(track_add(f->track, &ct.hdr), 0);
	assert_int_equal(questions(f, &q), 0);
}

static void a_syn_that_left_translated_joins(void **state)
{
	const struct rec_tuple in = inside();
	struct rec_event e = event_make(REC_RST_RECV, &in, T0);
	struct fixture *f = *state;
	struct rec_tuple out = outside();

	fails(f, out, T0);
	e.mem.syn_count = 1;
	e.mem.syn_tuple = tuple_reverse(&out);
	add(f, &e);
	assert_int_equal(ripe(f, T0 + GRACE, 1, NULL), 1);
}

static void only_a_socket_with_the_same_ports_joins(void **state)
{
	static const struct {
		enum sock_match match;
		unsigned timelines;
	} matches[] = {{SOCK_MATCH_EXACT, 2}, {SOCK_MATCH_OWNER, 2}, {SOCK_MATCH_PORTS, 1}};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(matches); i++) {
		const uint64_t at = T0 + i * NSEC_PER_SEC;
		struct rec_sock_info s;
		struct question q;

		fails_in(f, inside(), INSIDE, at);
		fails(f, outside(), at);
		assert_int_equal(questions(f, &q), 2); /* q is the second's */
		rec_init(&s, REC_SOCK, INSIDE, at);
		s.question = q.id;
		s.match = (uint8_t)matches[i].match;
		s.tuple = inside();
		assert_int_equal(track_add(f->track, &s.hdr), 0);
		assert_int_equal(ripe(f, at + PATIENCE, 0, NULL), matches[i].timelines);
	}
}

static void a_connect_without_port_finds_its_socket(void **state)
{
	struct rec_tuple whole = inside(), bare = inside();
	struct rec_event syn = event_make(REC_SYN_RETRANS, &whole, T0), e;
	struct fixture *f = *state;
	struct timeline *tl;

	memset(bare.src, 0, sizeof(bare.src));
	bare.sport = 0;
	story_own_socket(&syn, TCP_SYN_SENT);
	add(f, &syn);
	e = event_make(REC_CONNECT, &bare, T0 + MS);
	e.err = ETIMEDOUT;
	story_own_socket(&e, TCP_CLOSE);
	add(f, &e);
	assert_int_equal(ripe(f, T0 + MS + GRACE, 0, &tl), 1);
	assert_int_equal(events_of(tl), 2);

	e.pkt.tuple.dport = e.sock.tuple.dport = 444; /* the socket's next try */
	add(f, &e);
	assert_int_equal(ripe(f, T0 + PATIENCE, 0, &tl), 1);
	assert_int_equal(events_of(tl), 1);

	e.pkt.tuple.dport = e.sock.tuple.dport = 443; /* its memory is used again by another */
	e.hdr.mono_ns = T0 + 4 * NSEC_PER_SEC;
	add(f, &e);
	assert_int_equal(ripe(f, T0 + 5 * NSEC_PER_SEC, 0, &tl), 1);
	assert_int_equal(events_of(tl), 1);
}

static void softirqs_have_no_task(void **state)
{
	const struct rec_tuple t = inside();
	struct fixture *f = *state;
	struct timeline *tl;
	unsigned with_task = 0;

	for (unsigned i = 0; i < 2; i++) {
		struct rec_event e = event_make(REC_RST_RECV, &t, T0);

		story_task(&e, 99, "bystander");
		event_stack(f->world, &e, "tcp_reset", i ? "__do_softirq" : "do_syscall_64", NULL);
		add(f, &e);
	}
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	timeline_each_event(tl, e) {
		assert_int_equal(e->task.pid ? 99 : 0, e->task.pid);
		assert_int_equal(e->task.pid != 0, e->task.comm[0] != 0);
		with_task += e->task.pid != 0;
	}
	assert_int_equal(with_task, 1);
}

#define track_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define asking_test(f) cmocka_unit_test_setup_teardown(f, setup_asking, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		track_test(a_failure_is_ripe_after_a_grace),
		track_test(further_events_are_waited_for_but_not_for_ever),
		asking_test(answers_are_waited_for_but_not_for_ever),
		asking_test(answers_lower_what_is_open),
		asking_test(answers_that_nobody_asked_for_are_ignored),
		asking_test(the_same_question_is_asked_once),
		track_test(who_a_namespace_is_gets_asked_once),
		track_test(a_flush_makes_all_ripe),
		track_test(supporting_events_wait_for_a_failure),
		track_test(a_retransmission_counts_where_something_was_lost),
		track_test(what_was_not_judged_ripens_again),
		track_test(judged_timelines_count_what_comes),
		track_test(the_same_ports_later_are_another_connection),
		track_test(both_directions_are_one_connection),
		track_test(loopback_is_another_one_in_each_namespace),
		track_test(tuples_without_ports_are_others_in_each_namespace),
		track_test(nat_in_the_packet_joins),
		track_test(nat_in_the_packet_joins_what_comes_later),
		asking_test(nat_that_was_looked_up_joins),
		asking_test(an_entry_without_nat_raises_no_questions),
		track_test(a_syn_that_left_translated_joins),
		asking_test(only_a_socket_with_the_same_ports_joins),
		track_test(a_connect_without_port_finds_its_socket),
		track_test(softirqs_have_no_task),
	};

	return cmocka_run_group_tests_name("track", tests, NULL, NULL);
}
