/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timeline_fixture.h"

#include "cli/incidents.h"

/* What was told of repeats, last first. */
struct told {
	unsigned times;
	uint64_t id, count, total;
};

static void note(void *arg, const struct verdict *v, uint64_t count, uint64_t total)
{
	struct told *told = arg;

	*told = (struct told){told->times + 1, v->id, count, total};
}

struct fixture {
	struct incidents *in;
	struct told told;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(incidents_new(note, &f->told, &f->in), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	incidents_free(f->in);
	free(f);
	return 0;
}

static uint64_t seconds(unsigned n)
{
	return (1000 + n) * NSEC_PER_SEC;
}

/* A refused connection of the n-th client to that port at that time: the id of its incident. */
static uint64_t refused_by(struct fixture *f, unsigned n, uint16_t port, uint64_t ns, bool *repeats)
{
	char client_addr[32];
	struct verdict v = {.cause = "no-listener", .netns = HOST, .mono_ns = ns, .events = 2};
	static uint16_t client = 40000;
	uint64_t id;

	snprintf(client_addr, sizeof(client_addr), "10.0.%u.%u", n / 250, 1 + n % 250);
	v.flow = tcp(client_addr, client++, "10.0.200.2", port);
	verdict_explain(&v, "Nobody listens on %u.", port);
	id = incidents_add(f->in, &v, repeats);
	verdict_free(&v); /* whatever was left of it */
	return id;
}

static uint64_t refused(struct fixture *f, uint16_t port, uint64_t ns, bool *repeats)
{
	return refused_by(f, 1, port, ns, repeats);
}

static void incidents_are_numbered_in_order(void **state)
{
	struct fixture *f = *state;
	bool repeats = true;

	for (uint16_t i = 1; i <= 5; i++) {
		assert_int_equal(refused(f, 8000 + i, seconds(i), &repeats), i);
		assert_false(repeats);
		assert_int_equal(incidents_get(f->in, i)->flow.dport, 8000 + i);
		assert_int_equal(incidents_get(f->in, i)->id, i);
	}
	assert_int_equal(incidents_count(f->in), 5);
	assert_null(incidents_get(f->in, 0));
	assert_null(incidents_get(f->in, 6));
}

static void the_same_again_is_folded(void **state)
{
	struct fixture *f = *state;
	bool repeats;

	assert_int_equal(refused(f, 80, seconds(0), &repeats), 1);
	assert_int_equal(refused(f, 443, seconds(1), &repeats), 2);
	assert_false(repeats);
	assert_int_equal(refused(f, 80, seconds(2), &repeats), 1);
	assert_true(repeats);
	assert_int_equal(incidents_count(f->in), 2);
}

/* A queue that is full is full for everybody: a flood of made-up clients is one incident. */
static void what_is_the_services_own_is_folded_over_all_clients(void **state)
{
	struct fixture *f = *state;
	bool repeats;

	for (unsigned n = 1; n <= 100; n++) {
		struct verdict v = {.cause = "listen-overflow",
				    .netns = HOST,
				    .any_client = true,
				    .mono_ns = seconds(0) + n,
				    .events = 1};
		char client[32];

		snprintf(client, sizeof(client), "10.0.1.%u", n);
		v.flow = tcp(client, 40000, "10.0.200.2", n == 100 ? 81 : 80);
		assert_int_equal(incidents_add(f->in, &v, &repeats), n == 100 ? 2 : 1);
		assert_int_equal(repeats, n != 1 && n != 100);
		verdict_free(&v);
	}
}

static void a_minute_of_silence_makes_it_new(void **state)
{
	struct fixture *f = *state;
	bool repeats;

	refused(f, 80, seconds(0), &repeats);
	refused(f, 80, seconds(60), &repeats);
	assert_true(repeats);
	/* The minute counts from the last time. */
	assert_int_equal(refused(f, 80, seconds(120), &repeats), 1);
	assert_true(repeats);
	assert_int_equal(refused(f, 80, seconds(180) + 1, &repeats), 2);
	assert_false(repeats);
	assert_null(incidents_get(f->in, 1));
	assert_int_equal(f->told.times, 1); /* what the old one had not told yet */
	assert_int_equal(f->told.id, 1);
	assert_int_equal(f->told.count, 2);
	assert_int_equal(f->told.total, 3);
}

static void repeats_are_told_in_time(void **state)
{
	struct fixture *f = *state;
	bool repeats;

	refused(f, 80, seconds(0), &repeats);
	incidents_tell(f->in, seconds(1));
	assert_int_equal(f->told.times, 0); /* there are none */
	refused(f, 80, seconds(2), &repeats);
	incidents_tell(f->in, seconds(2));
	assert_int_equal(f->told.times, 1);
	assert_int_equal(f->told.count, 1);
	assert_int_equal(f->told.total, 2);
	for (unsigned i = 0; i < 3; i++)
		refused(f, 80, seconds(3), &repeats);
	incidents_tell(f->in, seconds(7)); /* five seconds have not passed */
	assert_int_equal(f->told.times, 1);
	incidents_tell(f->in, seconds(8));
	assert_int_equal(f->told.times, 2);
	assert_int_equal(f->told.count, 3);
	assert_int_equal(f->told.total, 5);
	incidents_tell(f->in, seconds(60));
	assert_int_equal(f->told.times, 2);
}

static void the_end_tells_what_is_left(void **state)
{
	struct fixture *f = *state;
	bool repeats;

	refused(f, 80, seconds(0), &repeats);
	refused(f, 80, seconds(1), &repeats);
	incidents_tell(f->in, seconds(1));
	refused(f, 80, seconds(2), &repeats);
	incidents_tell(f->in, seconds(2));
	assert_int_equal(f->told.times, 1);
	incidents_tell(f->in, UINT64_MAX);
	assert_int_equal(f->told.times, 2);
	assert_int_equal(f->told.count, 1);
	assert_int_equal(f->told.total, 3);
	incidents_tell(f->in, UINT64_MAX);
	assert_int_equal(f->told.times, 2);
}

static void the_summary_counts_incidents_and_events(void **state)
{
	struct fixture *f = *state;
	struct out_summary s = {0};
	bool repeats;

	refused(f, 80, seconds(0), &repeats); /* two events each */
	refused(f, 80, seconds(1), &repeats);
	refused(f, 81, seconds(1), &repeats);
	incidents_event(f->in, 1);
	incidents_event(f->in, 99); /* of no incident */
	incidents_summary(f->in, &s);
	assert_int_equal(s.verdicts.n, 1);
	assert_string_equal(s.verdicts.v[0].cause, "no-listener");
	assert_int_equal(s.verdicts.v[0].incidents, 2);
	assert_int_equal(s.verdicts.v[0].events, 7);
	vec_free(&s.verdicts);
}

static void incidents_are_bounded(void **state)
{
	struct fixture *f = *state;
	bool repeats;

	refused_by(f, 1, 80, seconds(0), &repeats);
	refused_by(f, 1, 80, seconds(0), &repeats);
	for (unsigned n = 2; n <= 5000; n++) {
		assert_int_equal(refused_by(f, n, 80, seconds(1), &repeats), n);
		assert_false(repeats);
	}
	assert_null(incidents_get(f->in, 1)); /* the oldest went first, */
	assert_int_equal(f->told.id, 1);      /* and told its repeat */
	assert_int_equal(f->told.count, 1);
	assert_non_null(incidents_get(f->in, 5000));
	assert_non_null(incidents_get(f->in, 5000 - 1023));
	assert_null(incidents_get(f->in, 5000 - 1024));
	assert_int_equal(incidents_count(f->in), 5000);
}

static void a_scan_is_told_by_its_first_ports(void **state)
{
	struct fixture *f = *state;
	bool repeats;

	for (uint16_t port = 1; port <= 100; port++) {
		const uint64_t id = refused(f, port, seconds(0), &repeats);

		assert_int_equal(id, port <= 8 ? port : 8);
		assert_int_equal(repeats, port > 8);
	}
	assert_int_equal(incidents_count(f->in), 8);
	incidents_tell(f->in, UINT64_MAX);
	assert_int_equal(f->told.id, 8);
	assert_int_equal(f->told.count, 92);
	refused_by(f, 2, 9, seconds(1), &repeats); /* somebody else is somebody else */
	assert_false(repeats);
	refused(f, 9, seconds(62), &repeats); /* and a minute later it is news */
	assert_false(repeats);
}

#define incidents_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		incidents_test(incidents_are_numbered_in_order),
		incidents_test(the_same_again_is_folded),
		incidents_test(what_is_the_services_own_is_folded_over_all_clients),
		incidents_test(a_minute_of_silence_makes_it_new),
		incidents_test(repeats_are_told_in_time),
		incidents_test(the_end_tells_what_is_left),
		incidents_test(the_summary_counts_incidents_and_events),
		incidents_test(incidents_are_bounded),
		incidents_test(a_scan_is_told_by_its_first_ports),
	};

	return cmocka_run_group_tests_name("incidents", tests, NULL, NULL);
}
