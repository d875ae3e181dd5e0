/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/tally.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* Addresses are their functions' places here. */
static const char *const functions[] = {"",
					"sk_skb_reason_drop",
					"tcp_v4_rcv",
					"ip_local_deliver",
					"handle_softirqs",
					"tcp_sendmsg",
					"inet_sk_state_store",
					"__traceiter_inet_sock_set_state"};

static bool resolve(void *arg, uint64_t addr, struct rec_symbol *ret)
{
	(void)arg;
	if (addr >= ARRAY_SIZE(functions))
		return false;
	str_copy(ret->name, sizeof(ret->name), functions[addr]);
	ret->offset = 0x10;
	return true;
}

static struct tally *tally_make(enum stacks_by by)
{
	struct tally *t;

	assert_int_equal(tally_new(by, resolve, NULL, &t), 0);
	return t;
}

static void add(struct tally *t, const struct stack_key *key, uint64_t count,
		const uint64_t *frames, unsigned n)
{
	const struct live_stack row = {.key = key,
				       .count = count,
				       .reason = "NO_SOCKET",
				       .frames = frames,
				       .nr_frames = n};

	tally_add(t, &row);
}

static struct out_stacks take(struct tally *t, bool all, size_t top)
{
	struct out_stacks s = {0};

	assert_int_equal(tally_take(t, all, top, &s), 0);
	return s;
}

static const struct stack_key first = {.kind = REC_DROP, .location = 2, .reason = 3, .stack = 1};
static const struct stack_key second = {.kind = REC_DROP, .location = 2, .reason = 3, .stack = 2};
static const struct stack_key third = {.kind = REC_DROP, .location = 2, .reason = 3, .stack = -1};
static const uint64_t upper[] = {1, 2, 3, 4, 5}, other[] = {1, 2, 3, 4, 99};

static void rows_that_read_alike_are_one(void **state)
{
	struct tally *t = tally_make(BY_STACK);
	struct out_stacks s;
	(void)state;

	tally_begin(t);
	add(t, &first, 10, upper, 5);
	add(t, &second, 5, other, 5); /* another was interrupted */
	add(t, &third, 1, NULL, 0);
	s = take(t, false, 0);
	assert_int_equal(s.rows.n, 2);
	assert_int_equal(s.seen, 16);
	assert_int_equal(s.rows.v[0].count, 15);
	assert_string_equal(s.rows.v[0].kind, "drop");
	assert_string_equal(s.rows.v[0].reason, "NO_SOCKET");
	assert_string_equal(s.rows.v[0].location, "tcp_v4_rcv+0x10");
	assert_int_equal(s.rows.v[0].frames.n, 4); /* to the softirq, and no further */
	assert_string_equal(s.rows.v[0].frames.v[3], "handle_softirqs+0x10");
	assert_int_equal(s.rows.v[0].path.n, 3);
	assert_string_equal(s.rows.v[0].path.v[0], "local delivery");
	assert_int_equal(s.rows.v[1].frames.n, 0);
	vec_free(&s.rows);
	tally_free(t);
}

static void a_table_tells_what_came_since_the_last(void **state)
{
	struct tally *t = tally_make(BY_STACK);
	const struct live_stack others = {.count = 7, .reason = ""};
	struct out_stacks s;
	(void)state;

	tally_begin(t);
	add(t, &first, 10, upper, 5);
	tally_add(t, &others);
	s = take(t, false, 0);
	assert_int_equal(s.others, 7);
	assert_int_equal(s.seen, 17);
	vec_free(&s.rows);
	tally_begin(t);
	add(t, &first, 12, upper, 5);
	add(t, &third, 30, NULL, 0);
	tally_add(t, &others);
	s = take(t, false, 0);
	assert_int_equal(s.seen, 32);
	assert_int_equal(s.others, 0);
	assert_int_equal(s.rows.n, 2);
	assert_int_equal(s.rows.v[0].count, 30);
	assert_int_equal(s.rows.v[1].count, 2);
	assert_int_equal(s.rows.v[1].total, 12);
	vec_free(&s.rows);
	s = take(t, true, 0);
	assert_true(s.all);
	assert_int_equal(s.seen, 49);
	assert_int_equal(s.rows.v[1].count, 12);
	vec_free(&s.rows);
	s = take(t, false, 0);
	assert_int_equal(s.rows.n, 0);
	assert_int_equal(s.seen, 0);
	tally_free(t);
}

static void what_top_leaves_out_is_counted(void **state)
{
	struct tally *t = tally_make(BY_FLOW);
	struct out_stacks s;
	(void)state;

	tally_begin(t);
	for (unsigned i = 1; i <= 5; i++) {
		struct stack_key key = {
			.kind = REC_RETRANS,
			.flow = {.proto = IPPROTO_TCP, .family = 4, .dport = (uint16_t)i}};

		add(t, &key, i, NULL, 0);
	}
	s = take(t, false, 2);
	assert_int_equal(s.rows.n, 2);
	assert_int_equal(s.rows.v[0].flow.dport, 5);
	assert_int_equal(s.rest, 1 + 2 + 3);
	assert_int_equal(s.seen, 15);
	assert_string_equal(s.rows.v[0].kind, "retransmit");
	vec_free(&s.rows);
	tally_free(t);
}

static void a_close_tells_its_state_and_its_caller(void **state)
{
	const struct stack_key closes = {.kind = REC_STATE, .reason = 1 << 8 | 7, .stack = 1};
	const struct stack_key connects = {.kind = REC_STATE, .reason = 7 << 8 | 2, .stack = 2};
	static const uint64_t frames[] = {6, 5};
	struct tally *t = tally_make(BY_LOCATION);
	struct out_stacks s;
	(void)state;

	tally_begin(t);
	add(t, &closes, 2, frames, 2);
	add(t, &connects, 1, frames, 2);
	s = take(t, false, 0);
	assert_int_equal(s.rows.n, 2);
	assert_string_equal(s.rows.v[0].kind, "close");
	assert_string_equal(s.rows.v[0].reason, "ESTABLISHED");
	assert_string_equal(s.rows.v[0].location, "tcp_sendmsg+0x10");
	assert_int_equal(s.rows.v[0].frames.n, 0);
	assert_string_equal(s.rows.v[1].kind, "connect");
	vec_free(&s.rows);
	tally_free(t);
}

/* Another program at the same tracepoint makes the kernel call both by one more function. */
static void who_else_looks_is_left_out(void **state)
{
	const struct stack_key alone = {.kind = REC_STATE, .reason = 1 << 8 | 7, .stack = 1};
	const struct stack_key watched = {.kind = REC_STATE, .reason = 1 << 8 | 7, .stack = 2};
	static const uint64_t frames[] = {7, 6, 5};
	static const enum stacks_by views[] = {BY_LOCATION, BY_STACK};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		struct tally *t = tally_make(views[i]);
		struct out_stacks s;

		tally_begin(t);
		add(t, &alone, 2, frames + 1, 2);
		add(t, &watched, 1, frames, 3);
		s = take(t, false, 0);
		assert_int_equal(s.rows.n, 1);
		assert_int_equal(s.rows.v[0].count, 3);
		if (views[i] == BY_LOCATION)
			assert_string_equal(s.rows.v[0].location, "tcp_sendmsg+0x10");
		else
			assert_string_equal(s.rows.v[0].frames.v[0], "inet_sk_state_store+0x10");
		vec_free(&s.rows);
		tally_free(t);
	}
}

static void hidden_addresses_are_numbers(void **state)
{
	static const uint64_t frames[] = {0xffffffff81000000};
	struct tally *t = tally_make(BY_STACK);
	struct out_stacks s;
	(void)state;

	tally_begin(t);
	add(t, &first, 2, frames, 1);
	s = take(t, false, 0);
	assert_string_equal(s.rows.v[0].frames.v[0], "0xffffffff81000000");
	assert_int_equal(s.rows.v[0].path.n, 0);
	vec_free(&s.rows);
	tally_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_that_read_alike_are_one),
		cmocka_unit_test(a_table_tells_what_came_since_the_last),
		cmocka_unit_test(what_top_leaves_out_is_counted),
		cmocka_unit_test(a_close_tells_its_state_and_its_caller),
		cmocka_unit_test(who_else_looks_is_left_out),
		cmocka_unit_test(hidden_addresses_are_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
