/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stacks of verdicts and records: what their functions do, and their source lines. */
#include "out_fixture.h"

static void text_verdict_has_the_path_of_its_stack(void **state)
{
	static const char path[] = "  path      local delivery -> netfilter LOCAL_IN\n",
			  stack[] = "  stack     nf_hook_slow+0x7b                   netfilter "
				    "LOCAL_IN\n"
				    "            ip_local_deliver+0xb5               local "
				    "delivery\n"
				    "            some_function+0x1\n";
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct capture c;
	(void)state;

	verdict_step(&v, "local delivery");
	verdict_step(&v, "netfilter LOCAL_IN");
	verdict_frame(&v, "nf_hook_slow+0x7b");
	verdict_frame(&v, "ip_local_deliver+0xb5");
	verdict_frame(&v, "some_function+0x1");
	for (unsigned stacks = 0; stacks < 2; stacks++) {
		capture_start(&c);
		c.o.stacks = stacks;
		text_verdict(&c.o, &v);
		assert_non_null(strstr(capture_text(&c), path));
		assert_int_equal(strstr(capture_text(&c), stack) != NULL, stacks);
		capture_end(&c);
	}
}

static void text_verdict_has_the_source_lines_of_its_stack(void **state)
{
	static const char stack[] = "  stack     inner\\x1b (inlined) net/a.h:8\n"
				    "            ip_local_deliver+0xb5 net/ipv4/ip_input.c:254     "
				    "        local delivery\n"
				    "            some_function+0x1\n"
				    "            tcp_v4_rcv+0x596 net/ipv4/tcp_ipv4.c:2226         "
				    "        TCP receives\n";
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct capture c;
	(void)state;

	verdict_frame(&v, "ip_local_deliver+0xb5");
	verdict_source(&v, "ip_local_deliver+0xb5",
		       "ip_local_deliver net/ipv4/ip_input.c:254; inner\033 net/a.h:8");
	verdict_frame(&v, "some_function+0x1");
	verdict_source(&v, "some_function+0x1", "");
	verdict_frame(&v, "tcp_v4_rcv+0x596");
	verdict_source(&v, "tcp_v4_rcv+0x596", "tcp_v4_rcv net/ipv4/tcp_ipv4.c:2226");
	capture_start(&c);
	c.o.stacks = true;
	text_verdict(&c.o, &v);
	assert_non_null(strstr(capture_text(&c), stack));
	capture_end(&c);
}

static const struct rec_symbol *symbol_with_source(void *arg, uint64_t addr)
{
	return addr == 0x596 ? arg : NULL;
}

static void source_lines_of_a_stack(void **state)
{
	struct rec_event e = event_make(REC_DROP);
	struct rec_symbol sym = {.name = "tcp_v4_rcv",
				 .offset = 0x596,
				 .source = "tcp_v4_rcv net/a.c:7; inner \033.h:8"};
	struct out_symbols syms = {symbol_with_source, &sym};
	struct capture c;
	json_t *line, *row;
	(void)state;

	e.nr_kstack = 2;
	e.kstack[0] = 0x596;
	e.kstack[1] = 0x801;
	capture_start(&c);
	c.o.stacks = true;
	text_record(&c.o, &e.hdr, &syms);
	assert_non_null(strstr(capture_text(&c), "  kernel_stack      tcp_v4_rcv+0x596 net/a.c:7, "
						 "inner \\x1b.h:8                TCP receives\n"
						 "                    0x801\n"));
	capture_end(&c);
	capture_start(&c);
	jsonl_record(&c.o, &e.hdr, &syms);
	line = capture_json(&c);
	assert_int_equal(json_array_size(json_object_get(line, "kernel_source")), 3);
	row = json_array_get(json_object_get(line, "kernel_source"), 0);
	assert_string_equal(json_text(row, "function"), "inner");
	assert_true(json_is_true(json_object_get(row, "inlined")));
	row = json_array_get(json_object_get(line, "kernel_source"), 1);
	assert_string_equal(json_text(row, "frame"), "tcp_v4_rcv+0x596");
	assert_string_equal(json_text(row, "file"), "net/a.c");
	assert_int_equal(json_number(row, "line"), 7);
	row = json_array_get(json_object_get(line, "kernel_source"), 2);
	assert_string_equal(json_text(row, "frame"), "0x801");
	assert_null(json_object_get(row, "file"));
	json_decref(line);
	capture_end(&c);
	sym.source[0] = '\0';
	capture_start(&c);
	jsonl_record(&c.o, &e.hdr, &syms);
	line = capture_json(&c);
	assert_null(json_object_get(line, "kernel_source"));
	json_decref(line);
	capture_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_verdict_has_the_path_of_its_stack),
		cmocka_unit_test(text_verdict_has_the_source_lines_of_its_stack),
		cmocka_unit_test(source_lines_of_a_stack),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
