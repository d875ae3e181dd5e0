/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a packet was dropped, on kernels that don't say. */
#include "timeline_fixture.h"
#include "track/derive.h"

#define MS NSEC_PER_MSEC

static struct rec_event dropped(struct story *s, const struct rec_tuple *t, uint64_t ns,
				const char *function)
{
	struct rec_event e = event_make(REC_DROP, t, ns);

	e.has_reason = REASON_NONE;
	e.reason_name[0] = '\0';
	e.location = symbol_add(s->world, function);
	return e;
}

static void assert_derived(struct derive *d, struct story *s, struct rec_event *e,
			   const char *reason)
{
	reason_derive(d, s->world, e);
	assert_string_equal(e->reason_name, reason);
	assert_int_equal(e->has_reason, *reason ? REASON_DERIVED : REASON_NONE);
}

static void the_place_tells(void **state)
{
	struct story *s = *state;
	const struct rec_tuple t = tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
	struct derive d = {0};
	struct rec_event e;

	e = dropped(s, &t, MS, "nf_hook_slow");
	assert_derived(&d, s, &e, "NETFILTER_DROP");
	e = dropped(s, &t, MS, "ip_rcv_finish_core.constprop.0");
	assert_derived(&d, s, &e, "IP_RPFILTER");
	e = dropped(s, &t, MS, "somewhere_else");
	assert_derived(&d, s, &e, "");
}

static void a_list_is_freed_by_many(void **state)
{
	struct story *s = *state;
	const struct rec_tuple t = tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
	struct rec_event e = dropped(s, &t, MS, "kfree_skb_list");
	struct derive d = {0};

	assert_derived(&d, s, &e, "");
	story_stack(s, &e, "kfree_skb_list", "__dev_queue_xmit");
	assert_derived(&d, s, &e, "QDISC_DROP");
}

static void what_the_kernel_tells_stays(void **state)
{
	struct story *s = *state;
	const struct rec_tuple t = tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
	struct rec_event e = dropped(s, &t, MS, "nf_hook_slow");
	struct derive d = {0};

	e.has_reason = REASON_TOLD;
	str_copy(e.reason_name, sizeof(e.reason_name), "NOT_SPECIFIED");
	reason_derive(&d, s->world, &e);
	assert_string_equal(e.reason_name, "NOT_SPECIFIED");
	assert_int_equal(e.has_reason, REASON_TOLD);
}

static struct rec_event reset_leaves(struct story *s, const struct rec_tuple *answered, uint64_t ns,
				     const char *function)
{
	const struct rec_tuple t = tuple_reverse(answered);
	struct rec_event e = event_make(REC_RST_OUT, &t, ns);

	story_stack(s, &e, "__dev_queue_xmit", function);
	return e;
}

static void a_reset_before_tells_that_there_was_no_socket(void **state)
{
	struct story *s = *state;
	const struct rec_tuple t = tcp("10.0.1.2", 50000, "10.0.2.2", 8080),
			       other = tcp("10.0.1.2", 50001, "10.0.2.2", 8080);
	struct rec_event out = reset_leaves(s, &t, 10 * MS, "tcp_v4_send_reset"), e;
	struct derive d = {0};

	e = dropped(s, &t, 10 * MS, "tcp_v4_rcv");
	assert_derived(&d, s, &e, "");
	reason_derive(&d, s->world, &out);
	e = dropped(s, &t, 10 * MS + 1000, "tcp_v4_rcv");
	assert_derived(&d, s, &e, "NO_SOCKET");
	e = dropped(s, &other, 10 * MS + 1000, "tcp_v4_rcv");
	assert_derived(&d, s, &e, "");
	e = dropped(s, &t, 20 * MS, "tcp_v4_rcv");
	assert_derived(&d, s, &e, "");
}

static void resets_of_others_tell_nothing(void **state)
{
	struct story *s = *state;
	const struct rec_tuple t = tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
	struct rec_event out = reset_leaves(s, &t, 10 * MS, "nf_send_reset"), e;
	struct derive d = {0};

	reason_derive(&d, s->world, &out);
	e = dropped(s, &t, 10 * MS, "tcp_v4_rcv");
	assert_derived(&d, s, &e, "");
}

static void a_reset_by_a_socket_is_no_missing_socket(void **state)
{
	struct story *s = *state;
	const struct rec_tuple t = tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
	struct rec_event sent = event_make(REC_RST_SENT, &t, 10 * MS),
			 out = reset_leaves(s, &t, 10 * MS + 10, "tcp_v4_send_reset"), e;
	struct derive d = {0};

	sent.active = 0;
	sent.sock.flags = SOCK_PRESENT | SOCK_TIMEWAIT;
	reason_derive(&d, s->world, &sent);
	reason_derive(&d, s->world, &out);
	e = dropped(s, &t, 10 * MS + 20, "tcp_v4_rcv");
	assert_derived(&d, s, &e, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, story_setup, story_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_place_tells),
		TEST(a_list_is_freed_by_many),
		TEST(what_the_kernel_tells_stays),
		TEST(a_reset_before_tells_that_there_was_no_socket),
		TEST(resets_of_others_tell_nothing),
		TEST(a_reset_by_a_socket_is_no_missing_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
