/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The walk along netfilter's hooks, in a memory of the test's own, sound and unsound. */
/* clang-format off: cmocka wants these before itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "hooks_fixture.h"
#include "record/question.h"

static void take(void *arg, struct rec_hook *rec)
{
	(void)arg;
	assert_in_range(seen.n, 0, HOOKS_SEEN - 1);
	seen.v[seen.n++] = *rec;
}

static int walk(uint8_t family, uint8_t hook)
{
	seen.n = 0;
	mem.reads = 0;
	return hooks_walk(&memory, NET, family, hook, take, NULL);
}

static void is_hook(size_t i, uint8_t pf, uint8_t hook, int priority, unsigned function)
{
	assert_in_range(i, 0, seen.n - 1);
	assert_int_equal(seen.v[i].pf, pf);
	assert_int_equal(seen.v[i].hook, hook);
	assert_int_equal(seen.v[i].priority, priority);
	assert_true(seen.v[i].function == FUNCTION(function));
}

/* Three hooks at IPv4 input, one at IPv6 forward. */
static void some_hooks(void)
{
	uint64_t three[] = {ops_make(FUNCTION(1), 0, 2, 0, INT32_MIN),
			    ops_make(FUNCTION(2), 0, 2, 0, -5),
			    ops_make(FUNCTION(3), 0, 2, 0, INT32_MAX)};
	uint64_t one = ops_make(FUNCTION(4), 0, 10, 0, 7);

	register_at(HM_NET_IPV4, 1, three, 3);
	register_at(HM_NET_IPV6, 2, &one, 1);
}

/* ---- sound memory ---------------------------------------------------------------------------- */

static void hooks_come_in_call_order(void **state)
{
	(void)state;
	some_hooks();
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 4);
	is_hook(0, 2, 1, INT32_MIN, 1);
	is_hook(1, 2, 1, -5, 2);
	is_hook(2, 2, 1, INT32_MAX, 3);
	is_hook(3, 10, 2, 7, 4);
	assert_int_equal(seen.v[0].maker, HOOK_KERNEL);
}

static void only_what_is_asked_for(void **state)
{
	(void)state;
	some_hooks();
	walk(2, NF_HOOK_ANY);
	assert_int_equal(seen.n, 3);
	walk(2, 0);
	assert_int_equal(seen.n, 0);
	walk(10, 2);
	assert_int_equal(seen.n, 1);
	walk(1, 1); /* inet is both */
	assert_int_equal(seen.n, 3);
	walk(1, NF_HOOK_ANY);
	assert_int_equal(seen.n, 4);
	walk(7, NF_HOOK_ANY);
	assert_int_equal(seen.n, 0);
}

static void an_unregistered_one_is_left_out(void **state)
{
	/* net/netfilter/core.c, dummy_ops */
	uint64_t ops[] = {ops_make(FUNCTION(1), 0, 2, 0, 1),
			  ops_make(FUNCTION(9), 0, 0, 0, INT32_MIN),
			  ops_make(FUNCTION(2), 0, 2, 0, 3)};
	(void)state;

	register_at(HM_NET_IPV4, 0, ops, 3);
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 2);
	is_hook(0, 2, 0, 1, 1);
	is_hook(1, 2, 0, 3, 2);
}

static void a_chain_is_named(void **state)
{
	uint64_t chain = chain_make("filt", "in", "filter", 1, 0);
	uint64_t ops = ops_make(FUNCTION(1), chain, 1, 1, 0);
	(void)state;

	register_at(HM_NET_IPV4, 1, &ops, 1);
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.v[0].maker, HOOK_NFTABLES);
	assert_int_equal(seen.v[0].family, 1);
	assert_int_equal(seen.v[0].policy, 0);
	assert_string_equal(seen.v[0].table, "filt");
	assert_string_equal(seen.v[0].chain, "in");
	assert_string_equal(seen.v[0].type, "filter");
	assert_true(seen.v[0].priv == chain);
}

/* As before 5.14: no types, so that a chain is known by its looks. */
static void a_chain_is_known_without_type(void **state)
{
	uint64_t ops[] = {ops_make(FUNCTION(1), chain_make("t", "a", "route", 2, 1), 2, 0, 0),
			  ops_make(FUNCTION(2), chain_make("t", "b", "nonsense", 2, 1), 2, 0, 1),
			  ops_make(FUNCTION(3), chain_make("t", "c", "filter", 10, 1), 2, 0, 2),
			  ops_make(FUNCTION(4), chain_make("t", "\x01", "filter", 2, 1), 2, 0, 3)};
	(void)state;

	memory.layout.at[HM_OPS_TYPE].found = false;
	register_at(HM_NET_IPV4, 3, ops, 4);
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 4);
	assert_int_equal(seen.v[0].maker, HOOK_NFTABLES);
	assert_string_equal(seen.v[0].type, "route");
	for (size_t i = 1; i < 4; i++) {
		assert_int_equal(seen.v[i].maker, HOOK_KERNEL);
		assert_string_equal(seen.v[i].table, "");
		assert_string_equal(seen.v[i].chain, "");
	}
}

static void a_long_name_is_cut(void **state)
{
	char name[256];
	uint64_t ops;
	(void)state;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ops = ops_make(FUNCTION(1), chain_make("t", name, "filter", 2, 1), 2, 1, 0);
	register_at(HM_NET_IPV4, 1, &ops, 1);
	walk(0, NF_HOOK_ANY);
	assert_int_equal(strlen(seen.v[0].chain), NF_NAME_MAX - 1);
}

static void a_legacy_table_is_named(void **state)
{
	uint64_t ops[] = {ops_make(FUNCTION(1), xtable_make("mangle", 2, 0x1f), 2, 0, -150),
			  ops_make(FUNCTION(1), xtable_make("filter", 10, 0x1f), 2, 0, 0),
			  ops_make(FUNCTION(1), xtable_make("raw", 2, 1 << 3), 2, 0, 1),
			  ops_make(FUNCTION(1), xtable_make("strange", 2, 0x1f), 2, 0, 2)};
	(void)state;

	register_at(HM_NET_IPV4, 1, ops, 4);
	walk(0, NF_HOOK_ANY);
	assert_int_equal(seen.n, 4);
	assert_int_equal(seen.v[0].maker, HOOK_IPTABLES);
	assert_string_equal(seen.v[0].table, "mangle");
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(seen.v[i].maker, HOOK_KERNEL);
}

static void a_program_is_named(void **state)
{
	uint64_t aux = room(24), prog = room(16), ops;
	(void)state;

	put_member(aux, HM_AUX_ID, 77);
	memcpy(mem.bytes + (aux - BASE) + 8, "drop_it", 8);
	put_member(prog, HM_PROG_AUX, aux);
	ops = ops_make(FUNCTION(1), prog, 2, 2, 10);
	register_at(HM_NET_IPV4, 0, &ops, 1);
	walk(0, NF_HOOK_ANY);
	assert_int_equal(seen.v[0].maker, HOOK_BPF);
	assert_int_equal(seen.v[0].prog_id, 77);
	assert_string_equal(seen.v[0].prog_name, "drop_it");
}

static void devices_come_with_both_families(void **state)
{
	uint64_t first = device_make(0, "lo", 1), second = device_make(first, "eth0", 2);
	uint64_t in[] = {ops_make(FUNCTION(1), 0, 5, 0, 1), ops_make(FUNCTION(2), 0, 1, 0, 2)};
	uint64_t out = ops_make(FUNCTION(3), 0, 5, 0, 3);
	(void)state;

	put_member(second, HM_DEV_INGRESS, entries_make(in, 2));
	put_member(second, HM_DEV_EGRESS, entries_make(&out, 1));
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 3);
	is_hook(0, 5, 0, 1, 1);
	is_hook(1, 1, 5, 2, 2);
	is_hook(2, 5, 1, 3, 3);
	assert_string_equal(seen.v[1].ifname, "eth0");
	assert_int_equal(seen.v[1].ifindex, 2);
	walk(1, 5);
	assert_int_equal(seen.n, 1);
	is_hook(0, 1, 5, 2, 2);
	walk(5, 0);
	assert_int_equal(seen.n, 1);
	is_hook(0, 5, 0, 1, 1);
}

static void nat_chains_follow_nat(void **state)
{
	uint64_t below[] = {ops_make(FUNCTION(1), xtable_make("nat", 2, 0x1f), 2, 0, -100),
			    ops_make(FUNCTION(2), chain_make("n", "pre", "nat", 2, 1), 2, 1, -90)};
	uint64_t priv = room(8), ops[2];
	(void)state;

	put(priv, entries_make(below, 2), 8);
	ops[0] = ops_make(FUNCTION(3), priv, 2, 0, -100);
	ops[1] = ops_make(FUNCTION(4), priv, 2, 0, -99); /* not where NAT is */
	register_at(HM_NET_IPV4, 0, ops, 2);
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 4);
	is_hook(0, 2, 0, -100, 3);
	is_hook(1, 2, 0, -100, 1);
	is_hook(2, 2, 0, -90, 2);
	is_hook(3, 2, 0, -99, 4);
	assert_int_equal(seen.v[0].nat + seen.v[3].nat, 0);
	assert_int_equal(seen.v[1].nat + seen.v[2].nat, 2);
	assert_int_equal(seen.v[1].maker, HOOK_IPTABLES);
	assert_string_equal(seen.v[2].chain, "pre");
}

/* ---- unsound memory -------------------------------------------------------------------------- */

static void nat_that_leads_to_itself_ends(void **state)
{
	uint64_t priv = room(8), ops = ops_make(FUNCTION(3), priv, 2, 0, -100), entries;
	(void)state;

	entries = entries_make(&ops, 1);
	put(priv, entries, 8);
	put(slot(HM_NET_IPV4, 0), entries, 8);
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.v[1].nat, 1);
	assert_in_range(mem.reads, 1, 200);
}

static void nat_with_anything_else_below(void **state)
{
	uint64_t priv = room(8), ops = ops_make(FUNCTION(3), priv, 2, 0, 100);
	(void)state;

	register_at(HM_NET_IPV4, 4, &ops, 1);
	put(priv, 0x1234, 8);
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 1);
	put(priv, BASE + 0x800, 8); /* zeros: an empty list */
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 1);
}

/* Each spoils one thing of IPv4 input; the other points are told all the same. */
static void spoil_count(uint64_t entries)
{
	put(entries, HOOKS_MAX + 1, 2);
}

static void spoil_function(uint64_t entries)
{
	put(entries + 8 + 16, FUNCTION(99), 8);
}

static void spoil_ops_null(uint64_t entries)
{
	put(entries + 8 + 3 * 16 + 8, 0, 8);
}

static void spoil_ops_user(uint64_t entries)
{
	put(entries + 8 + 3 * 16 + 8, 0x7fff12345678, 8);
}

static void spoil_ops_odd(uint64_t entries)
{
	put(entries + 8 + 3 * 16 + 8, BASE + 0x1001, 8);
}

static void spoil_ops_beyond(uint64_t entries)
{
	put(entries + 8 + 3 * 16 + 8, BASE + SIZE - 8, 8);
}

static void spoil_entries(uint64_t entries)
{
	(void)entries;
	put(slot(HM_NET_IPV4, 1), 0xdead000000000100, 8);
}

static void what_is_wrong_is_left_out(void **state)
{
	static void (*const spoils[])(uint64_t) = {spoil_count,	   spoil_function, spoil_ops_null,
						   spoil_ops_user, spoil_ops_odd,  spoil_ops_beyond,
						   spoil_entries};

	for (size_t i = 0; i < ARRAY_SIZE(spoils); i++) {
		uint64_t entries;

		setup(state);
		some_hooks();
		memcpy(&entries, mem.bytes + (slot(HM_NET_IPV4, 1) - BASE), 8);
		spoils[i](entries);
		assert_int_equal(walk(0, NF_HOOK_ANY), 1);
		assert_int_equal(seen.n, 1);
		is_hook(0, 10, 2, 7, 4);
		assert_in_range(mem.reads, 1, 200);
	}
}

static void a_chain_whose_memory_is_gone_has_no_name(void **state)
{
	uint64_t ops = ops_make(FUNCTION(1), BASE + SIZE - 8, 2, 1, 0);
	(void)state;

	register_at(HM_NET_IPV4, 1, &ops, 1);
	assert_int_equal(walk(0, NF_HOOK_ANY), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.v[0].maker, HOOK_NFTABLES);
	assert_string_equal(seen.v[0].table, "");
}

static void replace_once(void)
{
	uint64_t ops = ops_make(FUNCTION(8), 0, 2, 0, 42);

	mem.touch = NULL;
	register_at(HM_NET_IPV4, 1, &ops, 1);
}

static void what_changes_meanwhile_is_read_again(void **state)
{
	(void)state;
	some_hooks();
	mem.watched = slot(HM_NET_IPV4, 1);
	mem.touch = replace_once;
	assert_int_equal(walk(2, 1), 0);
	assert_int_equal(seen.n, 1);
	is_hook(0, 2, 1, 42, 8);
}

static void replace_always(void)
{
	uint64_t ops = ops_make(FUNCTION(8), 0, 2, 0, 42);

	register_at(HM_NET_IPV4, 1, &ops, 1);
}

static void what_never_rests_is_given_up(void **state)
{
	(void)state;
	some_hooks();
	mem.watched = slot(HM_NET_IPV4, 1);
	mem.touch = replace_always;
	assert_int_equal(walk(2, 1), 1);
	assert_int_equal(seen.n, 0);
	assert_in_range(mem.reads, 1, 200);
}

static void devices_in_a_ring_without_end(void **state)
{
	uint64_t first = device_make(0, "a", 1), second = device_make(first, "b", 2);
	uint64_t ops = ops_make(FUNCTION(1), 0, 5, 0, 1);
	(void)state;

	some_hooks();
	put_member(first, HM_DEV_INGRESS, entries_make(&ops, 1));
	put(second + 24, first + 24, 8); /* never back to the head */
	assert_int_equal(walk(0, NF_HOOK_ANY), 1);
	assert_int_equal(seen.n, 4);
}

static void a_device_that_has_gone_ends_the_list(void **state)
{
	uint64_t first = device_make(0, "a", 1), ops = ops_make(FUNCTION(1), 0, 5, 0, 1);
	(void)state;

	put_member(first, HM_DEV_INGRESS, entries_make(&ops, 1));
	put(first + 24, 0xdead000000000100, 8); /* include/linux/poison.h, LIST_POISON1 */
	assert_int_equal(walk(0, NF_HOOK_ANY), 1);
	assert_int_equal(seen.n, 1);
}

static void no_namespace_there(void **state)
{
	(void)state;
	assert_int_equal(hooks_walk(&memory, 0, 0, NF_HOOK_ANY, take, NULL), -EFAULT);
	assert_int_equal(hooks_walk(&memory, BASE + SIZE, 0, NF_HOOK_ANY, take, NULL), -EFAULT);
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hooks_come_in_call_order),
		TEST(only_what_is_asked_for),
		TEST(an_unregistered_one_is_left_out),
		TEST(a_chain_is_named),
		TEST(a_chain_is_known_without_type),
		TEST(a_long_name_is_cut),
		TEST(a_legacy_table_is_named),
		TEST(a_program_is_named),
		TEST(devices_come_with_both_families),
		TEST(nat_chains_follow_nat),
		TEST(nat_that_leads_to_itself_ends),
		TEST(nat_with_anything_else_below),
		TEST(what_is_wrong_is_left_out),
		TEST(a_chain_whose_memory_is_gone_has_no_name),
		TEST(what_changes_meanwhile_is_read_again),
		TEST(what_never_rests_is_given_up),
		TEST(devices_in_a_ring_without_end),
		TEST(a_device_that_has_gone_ends_the_list),
		TEST(no_namespace_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
