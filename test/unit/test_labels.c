/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sym/labels.h"

static void offsets_modules_and_suffixes_make_no_difference(void **state)
{
	(void)state;

	assert_string_equal(label_of("ip_local_deliver", NULL), "local delivery");
	assert_string_equal(label_of("ip_local_deliver+0xb5", NULL), "local delivery");
	assert_string_equal(label_of("tcp_v6_rcv+0x1 [ipv6]", NULL), "TCP receives");
	assert_string_equal(label_of("ip_rcv_finish_core.isra.0+0x44", NULL), "IPv4 looks where it "
									      "goes");
}

static void what_is_not_known_has_no_label(void **state)
{
	(void)state;

	assert_null(label_of("", NULL));
	assert_null(label_of("0xffffffff81000000", NULL));
	assert_null(label_of("tcp_v4_rc", NULL));
	assert_null(label_of("tcp_v4_rcvx+0x2", NULL));
	assert_null(label_of("do_syscall_64+0x71", NULL));
}

static void the_caller_tells_the_hook(void **state)
{
	(void)state;

	assert_string_equal(label_of("nf_hook_slow+0x7b", "ip_local_deliver+0xb5"), "netfilter "
										    "LOCAL_IN");
	assert_string_equal(label_of("nf_hook_slow+0x7b", "ip6_forward+0x1 [ipv6]"), "netfilter "
										     "FORWARD");
	assert_string_equal(label_of("nf_hook_slow+0x7b", "some_tunnel+0x1"), "netfilter");
	assert_string_equal(label_of("nf_hook_slow+0x7b", NULL), "netfilter");
	/* Only of the hooks themselves. */
	assert_string_equal(label_of("ip_rcv+0x1", "ip_local_deliver+0xb5"), "IPv4 receives");
}

static void a_bpf_program_is_one(void **state)
{
	(void)state;

	assert_string_equal(label_of("bpf_prog_6deef7357e7b4530_filter+0x12", NULL), "BPF program");
}

static void a_path_is_in_the_order_of_time(void **state)
{
	char *frames[] = {
		"sk_skb_reason_drop+0x94",	   "nf_hook_slow+0x7b",	   "ip_local_deliver+0xb5",
		"ip_local_deliver_finish+0x1",	   "some_function+0x1",	   "ip_rcv+0x12",
		"__netif_receive_skb_one_core+81", "handle_softirqs+0x12", "tcp_sendmsg+0x2",
	};
	static const char *const want[] = {"arrives at a device", "IPv4 receives", "local delivery",
					   "netfilter LOCAL_IN", "dropped"};
	const char *path[LABELS_MAX];
	(void)state;

	assert_int_equal(label_path(frames, ARRAY_SIZE(frames), path), ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(path[i], want[i]);
	assert_int_equal(label_path(NULL, 0, path), 0);
}

static void a_long_path_keeps_its_end(void **state)
{
	char *frames[2 * LABELS_MAX];
	const char *path[LABELS_MAX];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++)
		frames[i] = i % 2 ? "ip_rcv+0x1" : "tcp_v4_rcv+0x1";
	assert_int_equal(label_path(frames, ARRAY_SIZE(frames), path), LABELS_MAX);
	assert_string_equal(path[LABELS_MAX - 1], "TCP receives");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_modules_and_suffixes_make_no_difference),
		cmocka_unit_test(what_is_not_known_has_no_label),
		cmocka_unit_test(the_caller_tells_the_hook),
		cmocka_unit_test(a_bpf_program_is_one),
		cmocka_unit_test(a_path_is_in_the_order_of_time),
		cmocka_unit_test(a_long_path_keeps_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
