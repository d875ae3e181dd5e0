/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "out_fixture.h"
#include "abi/config.h"

static char *frames[] = {"nf_hook_slow+0x7b", "ip_local_deliver+0xb5 [mod]",
			 "odd; frame\033[2J+0x1"};
static char *path[] = {"local delivery", "netfilter LOCAL_IN"};

static struct out_stack rows[] = {
	{.kind = "drop",
	 .reason = "NO_SOCKET",
	 .location = "tcp_v4_rcv+0x91",
	 .frames = {.v = frames, .n = 3},
	 .path = {.v = path, .n = 2},
	 .count = 12,
	 .total = 20},
	{.kind = "connect", .count = 3, .total = 3},
};

static struct out_stacks stacks_make(void)
{
	return (struct out_stacks){.wall_ns = WALL,
				   .interval_ns = 5 * NSEC_PER_SEC,
				   .by = BY_STACK,
				   .seen = 20,
				   .rest = 4,
				   .others = 1,
				   .rows = {.v = rows, .n = 2}};
}

static void a_table_has_frames_and_labels(void **state)
{
	static const char want[] = "14:03:04  5.0 s, by stack: 20 events, 4/s\n"
				   "          12  drop  NO_SOCKET (no socket is open for it)  at "
				   "tcp_v4_rcv+0x91  [20 in all]\n"
				   "                nf_hook_slow+0x7b                   netfilter "
				   "LOCAL_IN\n"
				   "                ip_local_deliver+0xb5 [mod]         local "
				   "delivery\n"
				   "                odd; frame\\x1b[2J+0x1\n"
				   "           3  connect\n"
				   "           4  in rows that --top leaves out\n"
				   "           1  others: no room was left to tell them apart\n";
	struct out_stacks s = stacks_make();
	struct capture c;
	(void)state;

	capture_start(&c);
	text_stacks(&c.o, &s, 0);
	assert_string_equal(capture_text(&c), want);
	capture_end(&c);
}

static void a_table_fits_the_window(void **state)
{
	struct out_stacks s = stacks_make();
	struct capture c;
	size_t lines = 0;
	(void)state;

	capture_start(&c);
	text_stacks(&c.o, &s, 7);
	for (const char *at = capture_text(&c); (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 7);
	assert_non_null(strstr(capture_text(&c), "(the window is full)"));
	assert_non_null(strstr(capture_text(&c), "others"));
	capture_end(&c);
}

static void a_table_of_json_has_the_same(void **state)
{
	struct out_stacks s = stacks_make();
	struct capture c;
	json_t *line, *row;
	(void)state;

	capture_start(&c);
	jsonl_stacks(&c.o, &s);
	line = capture_json(&c);
	assert_string_equal(json_text(line, "type"), "stacks");
	assert_string_equal(json_text(line, "by"), "stack");
	assert_int_equal(json_number(line, "seen"), 20);
	assert_int_equal(json_number(line, "rest"), 4);
	assert_int_equal(json_number(line, "others"), 1);
	assert_int_equal(json_number(line, "interval_ns"), 5000000000);
	assert_int_equal(json_array_size(json_object_get(line, "rows")), 2);
	row = json_array_get(json_object_get(line, "rows"), 0);
	assert_int_equal(json_number(row, "count"), 12);
	assert_int_equal(json_array_size(json_object_get(row, "kernel_stack")), 3);
	assert_string_equal(json_string_value(json_array_get(json_object_get(row, "path"), 1)),
			    "netfilter LOCAL_IN");
	row = json_array_get(json_object_get(line, "rows"), 1);
	assert_null(json_object_get(row, "kernel_stack"));
	assert_null(json_object_get(row, "flow"));
	json_decref(line);
	capture_end(&c);
}

static void a_folded_line_is_whole(void **state)
{
	struct out_stacks s = stacks_make();
	struct capture c;
	(void)state;

	capture_start(&c);
	folded_stacks(&c.o, &s);
	assert_string_equal(capture_text(&c), "drop;NO_SOCKET;odd_;ip_local_deliver;nf_hook_slow "
					      "12\n"
					      "connect 3\n"
					      "others 1\n");
	capture_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_has_frames_and_labels),
		cmocka_unit_test(a_table_fits_the_window),
		cmocka_unit_test(a_table_of_json_has_the_same),
		cmocka_unit_test(a_folded_line_is_whole),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
