/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What packets carried: found by its event, and the oldest goes where there is no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/payloads.h"

static struct payloads payloads;

static int clear(void **state)
{
	(void)state;
	payloads_clear(&payloads);
	assert_int_equal(payloads.bytes, 0);
	return 0;
}

static void add(uint64_t ns, uint16_t cpu, const void *bytes, uint32_t len)
{
	payloads_add(&payloads, &(struct rec_payload){.mono_ns = ns, .cpu = cpu, .len = len},
		     bytes);
}

static void found_by_time_and_cpu(void **state)
{
	const struct payload *p;

	(void)state;
	add(1, 0, "one", 3);
	add(1, 1, "two", 3);
	p = payloads_find(&payloads, 1, 0);
	assert_non_null(p);
	assert_int_equal(p->len, 3);
	assert_memory_equal(p->bytes, "one", 3);
	p = payloads_find(&payloads, 1, 1);
	assert_non_null(p);
	assert_memory_equal(p->bytes, "two", 3);
	assert_null(payloads_find(&payloads, 1, 2));
	assert_null(payloads_find(&payloads, 2, 0));
	add(3, 0, "", 0); /* nothing is nothing */
	assert_null(payloads_find(&payloads, 3, 0));
}

static void number_is_bounded(void **state)
{
	(void)state;
	for (uint64_t ns = 1; ns <= PAYLOADS_MAX + 1; ns++)
		add(ns, 0, "x", 1);
	assert_null(payloads_find(&payloads, 1, 0));
	assert_non_null(payloads_find(&payloads, 2, 0));
	assert_non_null(payloads_find(&payloads, PAYLOADS_MAX + 1, 0));
}

static void bytes_are_bounded(void **state)
{
	static const uint8_t large[PAYLOADS_BYTES / 4];

	(void)state;
	for (uint64_t ns = 1; ns <= 5; ns++)
		add(ns, 0, large, sizeof(large));
	assert_null(payloads_find(&payloads, 1, 0));
	assert_non_null(payloads_find(&payloads, 2, 0));
	assert_non_null(payloads_find(&payloads, 5, 0));
	assert_int_equal(payloads.bytes, PAYLOADS_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(found_by_time_and_cpu, clear),
		cmocka_unit_test_teardown(number_is_bounded, clear),
		cmocka_unit_test_teardown(bytes_are_bounded, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
