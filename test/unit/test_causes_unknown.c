/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has no cause of its own: what is told of it all the same. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

static struct rec_tuple to_service(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
}

static void unknown_tells_what_was_seen(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), "TC_INGRESS");

	e->pkt.tcp_flags = TCPHDR_SYN;
	assert_true(str_copy(e->ifname, sizeof(e->ifname), "eth1"));
	judged(s, "syn-dropped-here, certain");
	assert_true(story_says(s, "a traffic control filter on the way in said drop"));
	assert_true(story_offers(s, "tc filter show dev eth1 ingress"));
	assert_true(str_copy(e->reason_name, sizeof(e->reason_name), "NOT_SPECIFIED"));
	judged(s, "no verdict"); /* which may be anything */
}

static void unknown_takes_reasons_of_tomorrow(void **state)
{
	struct story *s = *state;

	story_drop(s, to_service(), "QUANTUM_FLUCTUATION");
	judged(s, "unknown, unknown");
	assert_true(story_says(s, "does not say why"));
	assert_true(story_says(s, "QUANTUM_FLUCTUATION"));
}

static void unknown_reset_tells_the_kernels_reason(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, to_service());

	story_own_socket(e, TCP_ESTABLISHED);
	e->active = 1;
	e->has_reason = 1;
	assert_true(str_copy(e->reason_name, sizeof(e->reason_name), "TCP_STATE"));
	judged(s, "unknown, unknown");
	assert_true(story_says(s, "the connection was aborted in this state"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(unknown_tells_what_was_seen),
		story_test(unknown_takes_reasons_of_tomorrow),
		story_test(unknown_reset_tells_the_kernels_reason),
	};

	return cmocka_run_group_tests_name("no known cause", tests, NULL, NULL);
}
