/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timeline_fixture.h"

static struct rec_event an_event(void)
{
	const struct rec_tuple t = tcp("10.0.1.2", 50000, "10.0.2.2", 8080);

	return event_make(REC_RST_SENT, &t, 1);
}

static void symbols_are_found_by_address(void **state)
{
	struct story *s = *state;
	const uint64_t addr = symbol_add(s->world, "tcp_v4_rcv");

	assert_string_equal(world_symbol(s->world, addr)->name, "tcp_v4_rcv");
	assert_null(world_symbol(s->world, addr + 1));
	assert_null(world_symbol(s->world, 0));
}

static void symbols_are_replaced(void **state)
{
	struct story *s = *state;
	struct rec_symbol rec;

	rec_init(&rec, REC_SYMBOL, 0, 0);
	rec.addr = 5;
	assert_true(str_copy(rec.name, sizeof(rec.name), "bpf_prog_1"));
	assert_int_equal(world_add(s->world, &rec.hdr), 0);
	assert_true(str_copy(rec.name, sizeof(rec.name), "bpf_prog_2"));
	assert_int_equal(world_add(s->world, &rec.hdr), 0);
	assert_string_equal(world_symbol(s->world, 5)->name, "bpf_prog_2");
}

static void symbols_are_bounded(void **state)
{
	struct story *s = *state;
	struct rec_symbol rec;

	rec_init(&rec, REC_SYMBOL, 0, 0);
	for (rec.addr = 1; rec.addr <= 30000; rec.addr++)
		assert_int_equal(world_add(s->world, &rec.hdr), 0);
	assert_non_null(world_symbol(s->world, 1));
	assert_null(world_symbol(s->world, 30000));
}

static void stacks_are_searched_by_name(void **state)
{
	struct story *s = *state;
	struct rec_event e = an_event();

	assert_false(world_stack_has(s->world, &e, "tcp_v4_rcv"));
	story_stack(s, &e, "tcp_v4_send_reset", "tcp_v4_rcv.isra.0", "ip_rcv_finish_core");
	assert_true(world_stack_has(s->world, &e, "tcp_v4_send_reset"));
	assert_true(world_stack_has(s->world, &e, "tcp_v4_rcv"));
	assert_false(world_stack_has(s->world, &e, "tcp_v4"));
	assert_false(world_stack_has(s->world, &e, "ip_rcv"));
	assert_false(world_stack_has(s->world, &e, "ip_rcv_finish"));
	assert_false(world_stack_has(s->world, &e, "tcp_v4_rcv.isra.0.cold"));
}

static void stacks_end_where_they_end(void **state)
{
	struct story *s = *state;
	struct rec_event e = an_event();

	story_stack(s, &e, "ip_rcv", "__do_softirq");
	assert_true(world_in_softirq(s->world, &e));
	e.nr_kstack = 1;
	assert_false(world_in_softirq(s->world, &e));
	e.kstack[0] = 12345; /* an address without a name */
	assert_false(world_stack_has(s->world, &e, "ip_rcv"));
}

static void softirqs_are_nobodys(void **state)
{
	static const struct {
		const char *function;
		bool borrowed;
	} functions[] = {
		{"handle_softirqs", true},	  {"__do_softirq", true},
		{"handle_softirqs.isra.0", true}, {"__local_bh_enable_ip", false},
		{"do_syscall_64", false},	  {"__tcp_close", false},
	};
	struct story *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		struct rec_event e = an_event();

		story_stack(s, &e, "tcp_reset", functions[i].function,
			    "asm_sysvec_apic_timer_interrupt");
		assert_int_equal(world_in_softirq(s->world, &e), functions[i].borrowed);
	}
}

static void stacks_end_where_a_softirq_interrupted(void **state)
{
	struct story *s = *state;
	struct rec_event e = an_event();

	/* The sender's own close, below, is not what dropped the packet. */
	story_stack(s, &e, "tcp_v4_rcv", "ip_rcv", "__do_softirq", "__tcp_close", "do_exit");
	assert_true(world_stack_has(s->world, &e, "tcp_v4_rcv"));
	assert_false(world_stack_has(s->world, &e, "__tcp_close"));
	assert_false(world_stack_has(s->world, &e, "do_exit"));
}

static void namespaces_are_wanted_once(void **state)
{
	struct story *s = *state;

	assert_false(world_netns_wanted(s->world, 0));
	assert_true(world_netns_wanted(s->world, HOST));
	assert_false(world_netns_wanted(s->world, HOST));
	assert_null(world_netns(s->world, HOST)); /* asked for, but not known */
	story_netns(s, HOST, "host");
	assert_string_equal(world_netns(s->world, HOST)->name, "host");
	assert_false(world_netns_wanted(s->world, HOST));
	assert_true(world_netns_wanted(s->world, INSIDE));
}

static void namespaces_are_bounded(void **state)
{
	struct story *s = *state;
	unsigned wanted = 0;

	for (uint32_t inum = 1; inum <= 30000; inum++)
		wanted += world_netns_wanted(s->world, inum);
	assert_int_equal(wanted, 20000);
	story_netns(s, 30000, "one-too-many");
	assert_null(world_netns(s->world, 30000));
	story_netns(s, 1, "first");
	assert_string_equal(world_netns(s->world, 1)->name, "first");
}

static void other_records_are_ignored(void **state)
{
	struct story *s = *state;
	struct rec_event e = an_event();

	assert_int_equal(world_add(s->world, &e.hdr), 0);
	assert_null(world_netns(s->world, HOST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(symbols_are_found_by_address),
		story_test(symbols_are_replaced),
		story_test(symbols_are_bounded),
		story_test(stacks_are_searched_by_name),
		story_test(stacks_end_where_they_end),
		story_test(softirqs_are_nobodys),
		story_test(stacks_end_where_a_softirq_interrupted),
		story_test(namespaces_are_wanted_once),
		story_test(namespaces_are_bounded),
		story_test(other_records_are_ignored),
	};

	return cmocka_run_group_tests_name("world", tests, NULL, NULL);
}
