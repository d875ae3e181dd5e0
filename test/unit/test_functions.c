/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where functions' arguments are found, in kernels made of a few types of BTF. */
#include "source/functions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct kernel {
	struct btf *btf;
	int sk, skb, th, reason, number; /* types: const struct sock *, struct sk_buff *… */
};

static int setup(void **state)
{
	struct kernel *k = calloc(1, sizeof(*k));

	k->btf = btf__new_empty();
	k->number = btf__add_int(k->btf, "int", 4, BTF_INT_SIGNED);
	k->sk = btf__add_ptr(k->btf, btf__add_const(k->btf, btf__add_struct(k->btf, "sock", 8)));
	k->skb = btf__add_ptr(k->btf, btf__add_struct(k->btf, "sk_buff", 8));
	k->th = btf__add_ptr(k->btf, btf__add_struct(k->btf, "tcphdr", 20));
	k->reason = btf__add_enum(k->btf, "sk_rst_reason", 4);
	*state = k;
	return 0;
}

static int teardown(void **state)
{
	struct kernel *k = *state;

	btf__free(k->btf);
	free(k);
	return 0;
}

struct param {
	const char *name;
	int type;
};

static void add_function(struct kernel *k, const char *name, const struct param *params)
{
	int proto = btf__add_func_proto(k->btf, 0);

	for (; params->name; params++)
		assert_int_equal(btf__add_func_param(k->btf, params->name, params->type), 0);
	assert_true(btf__add_func(k->btf, name, BTF_FUNC_STATIC, proto) > 0);
}

static struct function find(struct kernel *k, int number)
{
	struct function functions[FN_COUNT] = {0};

	functions_find(k->btf, functions);
	return functions[number];
}

#define assert_args(f, a, b, c)                         \
	do {                                            \
		assert_true((f).found);                 \
		assert_int_equal((f).places.arg[0], a); \
		assert_int_equal((f).places.arg[1], b); \
		assert_int_equal((f).places.arg[2], c); \
	} while (0)

static void arguments_are_found_by_type(void **state)
{
	struct kernel *k = *state;
	struct function f;

	add_function(k, "tcp_v4_send_reset",
		     (struct param[]){{"sk", k->sk}, {"skb", k->skb}, {"reason", k->reason}, {0}});
	f = find(k, FN_TCP_V4_SEND_RESET);
	assert_args(f, 1, 2, 3);
	assert_int_equal(f.places.ret, 4);
}

static void arguments_may_stand_elsewhere(void **state)
{
	struct kernel *k = *state;

	add_function(k, "tcp_v4_send_reset",
		     (struct param[]){{"n", k->number}, {"skb", k->skb}, {"sk", k->sk}, {0}});
	assert_args(find(k, FN_TCP_V4_SEND_RESET), 3, 2, 0);
}

static void arguments_without_a_type_of_their_own_are_found_by_name(void **state)
{
	struct kernel *k = *state;

	add_function(k, "nf_send_unreach6",
		     (struct param[]){{"net", k->number},
				      {"skb_in", k->skb},
				      {"code", k->number},
				      {"hooknum", k->number},
				      {0}});
	assert_args(find(k, FN_NF_SEND_UNREACH6), 2, 4, 3);
}

static void missing_arguments_are_told(void **state)
{
	struct kernel *k = *state;
	struct function f;

	add_function(k, "tcp_check_req", (struct param[]){{"sk", k->sk}, {0}});
	f = find(k, FN_TCP_CHECK_REQ);
	assert_false(f.found);
	assert_string_equal(f.why, "tcp_check_req has no argument sk_buff here");
}

static void missing_functions_are_told(void **state)
{
	struct function f = find(*state, FN_TCP_CHECK_REQ);

	assert_false(f.found);
	assert_string_equal(f.why, "this kernel has no tcp_check_req");
}

static void functions_have_numbers(void **state)
{
	(void)state;
	assert_int_equal(function_number("tcp_check_req"), FN_TCP_CHECK_REQ);
	assert_int_equal(function_number("__cookie_v6_check"), FN_COOKIE_V6_DECODE);
	assert_int_equal(function_number("tcp_check_re"), -1);
	assert_int_equal(function_number(""), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arguments_are_found_by_type),
		TEST(arguments_may_stand_elsewhere),
		TEST(arguments_without_a_type_of_their_own_are_found_by_name),
		TEST(missing_arguments_are_told),
		TEST(missing_functions_are_told),
		cmocka_unit_test(functions_have_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
