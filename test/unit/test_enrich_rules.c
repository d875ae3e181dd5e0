/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Real rulesets of nftables, and real packets that they drop. */
#include "test_enrich_rules.h"

/* ---- nftables -------------------------------------------------------------------------------- */

static const char nft_rules[] =
	"table inet fw {\n"
	" set bad { type ipv4_addr; elements = { 10.99.0.7 } }\n"
	" map verdicts { type inet_service : verdict\n"
	"  elements = { 7001 : drop, 7002 : jump deep, 7010 : goto deeper } }\n"
	" map harmless { type inet_service : verdict; elements = { 7011 : accept } }\n"
	" chain deeper { counter packets 0 bytes 0 drop; }\n"
	" chain deep { udp dport 7002 counter drop comment \"see # handle 3\"; }\n"
	" chain last {\n"
	"  udp dport { 7004, 7005 } log prefix \"{ \" counter drop\n"
	"  udp dport vmap @verdicts\n"
	"  udp dport vmap @harmless\n"
	"  udp dport vmap { 7006 : drop, 7007 : accept }\n"
	" }\n"
	" chain user {\n"
	"  ip saddr @bad drop\n"
	"  udp dport 7003 limit rate 1000/second counter reject\n"
	"  goto last\n"
	" }\n"
	" chain unused { drop; }\n"
	" chain input { type filter hook input priority 0; policy drop;\n"
	"  udp dport 7999 accept\n"
	"  jump user; }\n"
	" chain output { type filter hook output priority 0; udp dport 7008 drop; }\n"
	"}\n"
	"table ip late {\n"
	" chain in { type filter hook input priority 10; counter accept; udp dport 1 drop; }\n"
	"}\n";

static void expect_nft(const char *chain, const char *text, uint32_t number, uint8_t flags)
{
	const struct rec_rule *r = rule_by_text(chain, text);

	assert_int_equal(r->maker, RULE_NFTABLES);
	assert_int_equal(r->family, NFPROTO_INET);
	assert_int_equal(r->hook, NF_INET_LOCAL_IN);
	assert_int_equal(r->number, number);
	assert_int_equal(r->flags, flags);
	assert_string_equal(r->table, "fw");
	assert_string_equal(r->base, "input");
	if (number)
		assert_int_equal(r->handle, nft_handle(text));
}

#define LOGGED "udp dport { 7004, 7005 } log prefix \"{ \" counter drop"
#define COMMENTED "udp dport 7002 counter drop comment \"see # handle 3\""
#define LIMITED "udp dport 7003 limit rate 1000/second counter reject"

static void test_nft_drops(void **state)
{
	const struct rec_rule *r;

	(void)state;
	peer_loads("nft -f -", nft_rules);
	unchanged_start();
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 9);
	expect_nft("deeper", "counter drop", 1, RULE_COUNTED);
	expect_nft("deep", COMMENTED, 1, RULE_COUNTED);
	expect_nft("last", LOGGED, 1, RULE_COUNTED);
	expect_nft("last", "udp dport vmap @verdicts", 2, 0);
	expect_nft("last", "udp dport vmap { 7006 : drop, 7007 : accept }", 4, 0);
	expect_nft("user", "ip saddr @bad drop", 1, 0);
	expect_nft("user", LIMITED, 2, RULE_COUNTED);
	expect_nft("input", "policy drop", 0, RULE_POLICY);
	r = rule_by_text("in", "udp dport 1 drop");
	assert_int_equal(r->number, 2);
	assert_string_equal(r->table, "late");
	assert_int_equal(nr_moved(), 0);
	/* Those of inet are met by IPv6 too, those of ip aren't. */
	assert_int_equal(drops_ask(NFPROTO_IPV6, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 8);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_OUT), 0);
	assert_int_equal(nr_rules, 1);
	assert_int_equal(drops_ask(NFPROTO_BRIDGE, NF_HOOK_ANY), 0);
	assert_int_equal(nr_rules, 0);
	assert_int_equal(drops_ask(0, NF_HOOK_ANY), 0);
	assert_int_equal(nr_rules, 10);
	unchanged_end();
	rules_clear();
}

static void test_nft_moved(void **state)
{
	(void)state;
	peer_loads("nft -f -", nft_rules);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	packet(7005);
	packet(7005);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_moved(), 1);
	expect_nft("last", LOGGED, 1, RULE_COUNTED | RULE_MOVED);
	assert_int_equal(rule_by_text("last", LOGGED)->packets, 2);
	packet(7002);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_moved(), 1);
	expect_nft("deep", COMMENTED, 1, RULE_COUNTED | RULE_MOVED);
	expect_nft("last", LOGGED, 1, RULE_COUNTED);
	packet(7006); /* no counter */
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_moved(), 0);
	rules_clear();
}

static void test_nft_rule(void **state)
{
	(void)state;
	peer_loads("nft -f -", nft_rules);
	unchanged_start();
	assert_int_equal(rule_ask(NFPROTO_INET, "fw", "deep", nft_handle(COMMENTED)), 0);
	assert_int_equal(nr_rules, 1);
	expect_nft("deep", COMMENTED, 1, RULE_ASKED);
	assert_int_equal(rule_ask(NFPROTO_INET, "fw", "", nft_handle(LIMITED)), 0);
	expect_nft("user", LIMITED, 2, RULE_ASKED);
	assert_int_equal(rule_ask(NFPROTO_INET, "fw", "input", 0), 0);
	assert_int_equal(nr_rules, 1);
	expect_nft("input", "policy drop", 0, RULE_ASKED | RULE_POLICY);
	assert_int_equal(rule_ask(NFPROTO_INET, "fw", "", 99999), 0);
	assert_int_equal(nr_rules, 0);
	assert_int_equal(rule_ask(NFPROTO_IPV4, "fw", "deep", nft_handle(COMMENTED)), 0);
	assert_int_equal(nr_rules, 0);
	unchanged_end();
	rules_clear();
}

/* A replaced rule keeps its handle; its text is the new one's. */
static void test_nft_replaced(void **state)
{
	_cleanup_free_ char *command = NULL;
	uint64_t handle;

	(void)state;
	peer_loads("nft -f -", nft_rules);
	handle = nft_handle("ip saddr @bad drop");
	assert_int_equal(rule_ask(NFPROTO_INET, "fw", "", handle), 0);
	assert_string_equal(rules[0].text, "ip saddr @bad drop");
	assert_true(asprintf(&command, "replace rule inet fw user handle %llu udp dport 9 drop\n",
			     (unsigned long long)handle) > 0);
	peer_loads("nft -f -", command);
	assert_int_equal(rule_ask(NFPROTO_INET, "fw", "", handle), 0);
	assert_string_equal(rules[0].text, "udp dport 9 drop");
	rules_clear();
}

/* A chain that two base chains lead to; a name that nft can't be asked by. */
static void test_nft_shared_chain(void **state)
{
	(void)state;
	peer_loads("nft -f -", "table ip s {\n chain shared { udp dport 5 drop; }\n"
			       " chain in { type filter hook input priority 0; jump shared; }\n"
			       " chain out { type filter hook output priority 0; jump shared; "
			       "}\n}\n");
	assert_int_equal(rule_ask(NFPROTO_IPV4, "s", "shared", nft_handle("udp dport 5 drop")), 0);
	assert_string_equal(rules[0].text, "udp dport 5 drop");
	assert_string_equal(rules[0].base, "");
	assert_int_equal(rules[0].hook, NF_HOOK_ANY);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_OUT), 0);
	assert_int_equal(nr_rules, 1);
	assert_string_equal(rules[0].base, "out");
	assert_int_equal(rules[0].hook, NF_INET_LOCAL_OUT);
	rules_clear();
}

/* A block's rules have no handles in what nft prints. */
static void test_nft_block(void **state)
{
	static const char whole[] = "tcp dport 22 jump { ip saddr 10.9.9.1 drop; "
				    "ip saddr { 10.9.9.2, 10.9.9.3 } counter drop comment \"x\" }";
	uint64_t jump;

	(void)state;
	if (system("ip netns exec tw-peer nft 'add table inet fw; add chain inet fw input { type "
		   "filter "
		   "hook input priority 0; }; add rule inet fw input tcp dport 22 jump { ip saddr "
		   "10.9.9.1 "
		   "drop; ip saddr { 10.9.9.2, 10.9.9.3 } counter drop comment \"x\"; }' "
		   "2>/dev/null")) {
		print_message("# skipped: the kernel has no chains in rules\n");
		return;
	}
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 2);
	assert_string_equal(rules[0].text, "ip saddr 10.9.9.1 drop");
	assert_int_equal(rules[0].number, 1);
	assert_string_equal(rules[1].text, "ip saddr { 10.9.9.2, 10.9.9.3 } counter drop comment "
					   "\"x\"");
	assert_int_equal(rules[1].number, 2);
	assert_string_equal(rules[1].base, "input");
	jump = nft_handle("\t\t}"); /* where the block ends */
	assert_int_equal(rule_ask(NFPROTO_INET, "fw", "", jump), 0);
	assert_string_equal(rules[0].text, whole);
	rules_clear();
}

/* What a program decides may be a drop. */
static void test_nft_queue(void **state)
{
	(void)state;
	if (system("ip netns exec tw-peer nft 'add table ip q; add chain ip q c { type filter hook "
		   "input priority 0; }; add rule ip q c queue num 3 bypass' 2>/dev/null")) {
		print_message("# skipped: the kernel has no queue expression\n");
		return;
	}
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 1);
	assert_int_equal(rules[0].number, 1);
	rules_clear();
}

/* ---- many ------------------------------------------------------------------------------------ */

static void many_load(size_t chains, size_t each)
{
	struct strbuf b = {0};

	strbuf_add(&b, "table inet many {\n");
	for (size_t c = 0; c < chains; c++) {
		strbuf_addf(&b, " chain c%zu {\n", c);
		for (size_t i = 0; i < each; i++)
			strbuf_addf(&b,
				    "  ip saddr 10.%zu.%zu.%zu udp dport 8000-8999 counter "
				    "drop\n",
				    c / 250, c % 250, i);
		strbuf_addf(&b, "  udp dport %zu counter drop\n }\n", 8000 + c % 1000);
	}
	strbuf_add(&b, " chain in { type filter hook input priority 0; policy accept;\n");
	strbuf_add(&b, "  udp dport 7999 accept\n");
	for (size_t c = 0; c < chains; c++)
		strbuf_addf(&b, "  jump c%zu\n", c);
	strbuf_add(&b, " }\n}\n");
	peer_loads("nft -f -", b.s);
	strbuf_free(&b);
}

/* More than an answer holds: that is said, and the one that counted is in it. */
static void test_many_drops(void **state)
{
	(void)state;
	many_load(50, 9);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), -E2BIG);
	assert_int_equal(nr_rules, 128);
	packet(8049);
	unchanged_start();
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), -E2BIG);
	assert_int_equal(nr_rules, 128);
	assert_int_equal(nr_moved(), 1);
	assert_int_equal(rule_by_text("c49", "udp dport 8049 counter drop")->number, 10);
	assert_int_equal(rule_by_text("c49", "udp dport 8049 counter drop")->packets, 1);
	unchanged_end();
	rules_clear();
}

/* Each rule has its own text, also where there are thousands; and it doesn't take long. */
static void test_many_rules(void **state)
{
	static const size_t chains[] = {0, 500, 999};
	uint64_t start;

	(void)state;
	many_load(1000, 9);
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		char text[64];
		uint64_t handle;

		snprintf(text, sizeof(text), "udp dport %zu counter drop", 8000 + chains[i]);
		handle = nft_handle(text);
		start = now_mono();
		assert_int_equal(rule_ask(NFPROTO_INET, "many", "", handle), 0);
		assert_true(now_mono() - start < 5 * NSEC_PER_SEC);
		assert_string_equal(rules[0].text, text);
		assert_int_equal(rules[0].number, 10);
		assert_int_equal(rules[0].handle, handle);
		assert_string_equal(rules[0].base, "in");
	}
	start = now_mono();
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), -E2BIG);
	assert_true(now_mono() - start < 5 * NSEC_PER_SEC);
	rules_clear();
}

/* Where there is nothing, nothing is made. Runs first. */
static void test_nothing(void **state)
{
	static const char *const modules[] = {"/sys/module/nf_tables", "/sys/module/ip_tables",
					      "/sys/module/ip6_tables", "/sys/module/nfnetlink",
					      "/sys/module/iptable_filter"};
	bool loaded[ARRAY_SIZE(modules)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		loaded[i] = !access(modules[i], F_OK);
	assert_int_equal(drops_ask(0, NF_HOOK_ANY), 0);
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		assert_int_equal(!access(modules[i], F_OK), loaded[i]);
	unchanged_start();
	assert_string_equal(before, "");
	assert_int_equal(drops_ask(0, NF_HOOK_ANY), 0);
	assert_int_equal(nr_rules, 0);
	assert_int_equal(rule_ask(NFPROTO_IPV4, "filter", "INPUT", 0), 0);
	assert_int_equal(nr_rules, 0);
	unchanged_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOKUP_TEST(test_nothing),	LOOKUP_TEST(test_nft_drops),
		LOOKUP_TEST(test_nft_moved),	LOOKUP_TEST(test_nft_rule),
		LOOKUP_TEST(test_nft_replaced), LOOKUP_TEST(test_nft_shared_chain),
		LOOKUP_TEST(test_nft_queue),	LOOKUP_TEST(test_nft_block),
		LOOKUP_TEST(test_many_drops),	LOOKUP_TEST(test_many_rules),
	};

	return cmocka_run_group_tests(tests, rules_setup, rules_teardown);
}
