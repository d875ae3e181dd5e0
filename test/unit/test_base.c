/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"

static void strbuf_grows_and_formats(void **state)
{
	_cleanup_strbuf_ struct strbuf b = {0};
	(void)state;

	strbuf_add(&b, "tcp");
	strbuf_addc(&b, '/');
	strbuf_addf(&b, "%d-%s", 443, "https");
	assert_string_equal(b.s, "tcp/443-https");
	assert_int_equal(b.len, strlen(b.s));
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&b, "%04d", i);
	assert_int_equal(b.len, strlen("tcp/443-https") + 4000);
	assert_int_equal(strlen(b.s), b.len);
	assert_string_equal(b.s + b.len - 8, "09980999");
	assert_false(b.oom);
}

static void strbuf_reset_keeps_room(void **state)
{
	_cleanup_strbuf_ struct strbuf b = {0};
	(void)state;

	strbuf_reset(&b);
	assert_int_equal(b.len, 0);
	strbuf_addn(&b, "abcdef", 3);
	assert_string_equal(b.s, "abc");
	strbuf_reset(&b);
	assert_string_equal(b.s, "");
	strbuf_addn(&b, "", 0);
	assert_int_equal(b.len, 0);
}

static void strbuf_append_nothing_makes_a_string(void **state)
{
	_cleanup_strbuf_ struct strbuf b = {0};
	(void)state;

	strbuf_add(&b, "");
	assert_non_null(b.s);
	assert_string_equal(b.s, "");
}

static void vec_push_zeroes(void **state)
{
	struct pair {
		int a;
		int b;
	};
	VEC(struct pair) v = {0};
	(void)state;

	for (int i = 0; i < 100; i++) {
		struct pair *e = vec_push(&v);

		assert_non_null(e);
		assert_int_equal(e->a, 0);
		assert_int_equal(e->b, 0);
		e->a = i;
	}
	assert_int_equal(v.n, 100);
	assert_int_equal(v.v[99].a, 99);
	vec_free(&v);
	assert_null(v.v);
	assert_int_equal(v.n, 0);
}

static void str_copy_cuts_and_terminates(void **state)
{
	char b[4] = "xxx";
	(void)state;

	assert_true(str_copy(b, sizeof(b), "abc"));
	assert_string_equal(b, "abc");
	assert_false(str_copy(b, sizeof(b), "abcd"));
	assert_string_equal(b, "abc");
	assert_false(str_copy(b, 0, "z"));
	assert_string_equal(b, "abc");
	assert_true(str_copy(b, 1, ""));
	assert_string_equal(b, "");
}

static void parse_u64_accepts_only_whole_numbers(void **state)
{
	uint64_t n = 7;
	(void)state;

	assert_int_equal(parse_u64("0", 0, 10, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &n), 0);
	assert_true(n == UINT64_MAX);
	n = 7;
	assert_int_equal(parse_u64("", 0, 10, &n), -EINVAL);
	assert_int_equal(parse_u64("-1", 0, 10, &n), -EINVAL);
	assert_int_equal(parse_u64("+1", 0, 10, &n), -EINVAL);
	assert_int_equal(parse_u64(" 1", 0, 10, &n), -EINVAL);
	assert_int_equal(parse_u64("1x", 0, 10, &n), -EINVAL);
	assert_int_equal(parse_u64("0x1", 0, 10, &n), -EINVAL);
	assert_int_equal(n, 7);
}

static void parse_u64_keeps_the_range(void **state)
{
	uint64_t n = 7;
	(void)state;

	assert_int_equal(parse_u64("11", 0, 10, &n), -ERANGE);
	assert_int_equal(parse_u64("4", 5, 10, &n), -ERANGE);
	assert_int_equal(parse_u64("18446744073709551616", 0, UINT64_MAX, &n), -ERANGE);
	assert_int_equal(n, 7);
}

static void read_file_reads_proc(void **state)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n;
	(void)state;

	n = read_file("/proc/self/status", 65536, &text);
	assert_true(n > 0);
	assert_int_equal(strlen(text), n);
	assert_non_null(strstr(text, "Name:"));
}

static void read_file_stops_at_max(void **state)
{
	_cleanup_free_ char *text = NULL;
	(void)state;

	assert_int_equal(read_file("/proc/self/status", 10, &text), 10);
	assert_int_equal(strlen(text), 10);
}

static void read_file_reports_errors(void **state)
{
	char *text = NULL;
	(void)state;

	assert_int_equal(read_file("/nonexistent/file", 10, &text), -ENOENT);
	assert_null(text);
}

static void read_file_of_an_empty_file_is_an_empty_string(void **state)
{
	_cleanup_free_ char *text = NULL;
	(void)state;

	assert_int_equal(read_file("/dev/null", 10, &text), 0);
	assert_non_null(text);
	assert_string_equal(text, "");
}

static void clocks_run(void **state)
{
	uint64_t a = now_mono(), b = now_mono();
	(void)state;

	assert_true(b >= a);
	/* After 2020. */
	assert_true(now_wall() > 1577836800ull * NSEC_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strbuf_grows_and_formats),
		cmocka_unit_test(strbuf_reset_keeps_room),
		cmocka_unit_test(strbuf_append_nothing_makes_a_string),
		cmocka_unit_test(vec_push_zeroes),
		cmocka_unit_test(str_copy_cuts_and_terminates),
		cmocka_unit_test(parse_u64_accepts_only_whole_numbers),
		cmocka_unit_test(parse_u64_keeps_the_range),
		cmocka_unit_test(read_file_reads_proc),
		cmocka_unit_test(read_file_stops_at_max),
		cmocka_unit_test(read_file_reports_errors),
		cmocka_unit_test(read_file_of_an_empty_file_is_an_empty_string),
		cmocka_unit_test(clocks_run),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
