/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "record/reason.h"

static void reasons_weigh_what_they_should(void **state)
{
	static const struct {
		const char *name;
		enum reason_weight weight;
	} reasons[] = {
		{"CONSUMED", REASON_NOISE},	    {"TCP_OLD_DATA", REASON_NOISE},
		{"TCP_RESET", REASON_NOISE},	    {"OTHERHOST", REASON_NOISE},
		{"NOT_SPECIFIED", REASON_SUPPORT},  {"QDISC_DROP", REASON_SUPPORT},
		{"TCP_ZEROWINDOW", REASON_SUPPORT}, {"PKT_TOO_BIG", REASON_SUPPORT},
		{"NO_SOCKET", REASON_FAILURE},	    {"NETFILTER_DROP", REASON_FAILURE},
		{"SOCKET_RCVBUFF", REASON_FAILURE}, {"TCP_LISTEN_OVERFLOW", REASON_FAILURE},
		{"NEIGH_FAILED", REASON_FAILURE},   {"TCP_CSUM", REASON_FAILURE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		const struct reason *r = drop_reason(reasons[i].name);

		assert_string_equal(r->name, reasons[i].name);
		assert_int_equal(r->weight, reasons[i].weight);
		assert_true(strlen(r->words) > 5);
		assert_int_equal(drop_reason_is_noise(reasons[i].name),
				 reasons[i].weight == REASON_NOISE);
	}
}

static void reasons_of_tomorrow_are_failures_without_words(void **state)
{
	const char *const unknown[] = {"QUANTUM_FLUCTUATION", "", "NO_SOCKE", "NO_SOCKETS",
				       "no_socket"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		assert_int_equal(drop_reason(unknown[i])->weight, REASON_FAILURE);
		assert_string_equal(drop_reason(unknown[i])->words, "");
		assert_false(drop_reason_is_noise(unknown[i]));
	}
}

static void reset_reasons_have_words(void **state)
{
	(void)state;
	assert_non_null(strstr(reset_reason_words("TCP_ABORT_ON_CLOSE"), "unread"));
	assert_non_null(strstr(reset_reason_words("NO_SOCKET"), "no socket"));
	assert_string_equal(reset_reason_words("QUANTUM_FLUCTUATION"), "");
	assert_string_equal(reset_reason_words(""), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reasons_weigh_what_they_should),
		cmocka_unit_test(reasons_of_tomorrow_are_failures_without_words),
		cmocka_unit_test(reset_reasons_have_words),
	};

	return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
