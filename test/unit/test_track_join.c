/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which records are one connection's. */
#include "track_fixture.h"

/* ---- which records belong together ----------------------------------------------------------- */

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
	fails_in(f, tcp("127.0.0.1", 40000, "10.0.2.2", 80), HOST, T0); /* its own address */
	fails_in(f, tcp("127.0.0.1", 40000, "10.0.2.2", 80), INSIDE, T0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, NULL), 6);
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
	happens(f, &e);
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
	happens(f, &e);
	fails_in(f, inside(), INSIDE, T0);
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	assert_int_equal(events_of(tl), 2);
}

static void nat_that_was_looked_up_joins(void **state)
{
	struct fixture *f = *state;
	struct timeline *tl;
	struct question q = {0};
	struct rec_ct ct;

	fails_in(f, inside(), INSIDE, T0);
	assert_int_equal(questions(f, &q), 1);
	answered(f, &q, 0);
	fails(f, outside(), T0 + MS);
	assert_int_equal(questions(f, &q), 1);
	rec_init(&ct, REC_CT, HOST, T0 + MS);
	ct.question = q.id;
	ct.found = 1;
	ct.orig = inside();
	ct.reply = outside();
	assert_int_equal(track_add(f->track, &ct.hdr), 0);
	answered(f, &q, 0);
	/* The ends behind the NAT are asked for. */
	assert_int_equal(questions(f, &q), 2);
	answered(f, &q, 0);
	answered(f, &q, 0);
	assert_int_equal(ripe(f, T0 + MS + GRACE, 1, &tl), 1);
	assert_int_equal(events_of(tl), 2);
	assert_int_equal(tl->hard, 2);
	assert_true(tl->first_ns == T0);
}

static void an_entry_without_nat_raises_no_questions(void **state)
{
	struct fixture *f = *state;
	struct rec_tuple out = outside();
	struct question q = {0};
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
	happens(f, &e);
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
		const uint64_t at = T0 + 2 * i * ANSWERS;
		struct rec_sock_info s;
		struct question q = {0};

		fails_in(f, inside(), INSIDE, at);
		fails(f, outside(), at);
		assert_int_equal(questions(f, &q), 2); /* q is the second's */
		rec_init(&s, REC_SOCK, INSIDE, at);
		s.question = q.id;
		s.match = (uint8_t)matches[i].match;
		s.tuple = inside();
		assert_int_equal(track_add(f->track, &s.hdr), 0);
		assert_int_equal(ripe(f, at + ANSWERS, 0, NULL), matches[i].timelines);
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
	happens(f, &syn);
	e = event_make(REC_CONNECT, &bare, T0 + MS);
	e.err = ETIMEDOUT;
	story_own_socket(&e, TCP_CLOSE);
	happens(f, &e);
	assert_int_equal(ripe(f, T0 + MS + GRACE, 0, &tl), 1);
	assert_int_equal(events_of(tl), 2);

	e.pkt.tuple.dport = e.sock.tuple.dport = 444; /* the socket's next try */
	happens(f, &e);
	assert_int_equal(ripe(f, T0 + PATIENCE, 0, &tl), 1);
	assert_int_equal(events_of(tl), 1);

	e.pkt.tuple.dport = e.sock.tuple.dport = 443; /* its memory is used again by another */
	e.hdr.mono_ns = T0 + 4 * NSEC_PER_SEC;
	happens(f, &e);
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
		happens(f, &e);
	}
	assert_int_equal(ripe(f, T0 + GRACE, 1, &tl), 1);
	timeline_each_event(tl, e) {
		assert_int_equal(e->task.pid ? 99 : 0, e->task.pid);
		assert_int_equal(e->task.pid != 0, e->task.comm[0] != 0);
		with_task += e->task.pid != 0;
	}
	assert_int_equal(with_task, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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

	return cmocka_run_group_tests_name("joins of track", tests, NULL, NULL);
}
