/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules of iptables and its relatives, both kinds, and real packets that they drop. */
#include "test_enrich_rules.h"

#include "cli/caps.h"

#include <sys/capability.h>

static const char iptables_rules[] =
	"*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:user - [0:0]\n"
	"-A INPUT -p udp -m udp --dport 7999 -j ACCEPT\n"
	"-A INPUT -p udp -m comment --comment \"to \\\"user\\\" -j DROP\" -j user\n"
	"-A INPUT -p udp -m udp --dport 7020 -j DROP\n"
	"-A user -p udp -m udp --dport 7021 -m comment --comment \"# handle 3\" -j DROP\n"
	"-A user -p udp -m udp --dport 7022 -j REJECT --reject-with icmp-admin-prohibited\n"
	"-A user -p udp -m multiport --dports 7023,7024 -j DROP\n"
	"-A FORWARD -s 10.9.9.9/32 -j DROP\n"
	"COMMIT\n";

#define USER_1 "-A user -p udp -m udp --dport 7021 -m comment --comment \"# handle 3\" -j DROP"
#define USER_2 "-A user -p udp -m udp --dport 7022 -j REJECT --reject-with icmp-admin-prohibited"
#define USER_3 "-A user -p udp -m multiport --dports 7023,7024 -j DROP"
#define INPUT_3 "-A INPUT -p udp -m udp --dport 7020 -j DROP"

static void expect_iptables(enum rule_maker maker, const char *chain, const char *text,
			    uint32_t number, uint64_t packets, uint8_t flags)
{
	const struct rec_rule *r = rule_by_text(chain, text);

	assert_int_equal(r->maker, maker);
	assert_int_equal(r->family, NFPROTO_IPV4);
	assert_string_equal(r->table, "filter");
	assert_string_equal(r->base, "INPUT");
	assert_int_equal(r->hook, NF_INET_LOCAL_IN);
	assert_int_equal(r->number, number);
	assert_int_equal(r->packets, packets);
	assert_int_equal(r->flags, flags);
	assert_int_equal(!!r->handle, maker == RULE_IPTABLES_NFT);
}

/* The same of both kinds of iptables. */
static void iptables_drops(enum rule_maker maker)
{
	unchanged_start();
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 4);
	expect_iptables(maker, "user", USER_1, 1, 0, RULE_COUNTED);
	expect_iptables(maker, "user", USER_2, 2, 0, RULE_COUNTED);
	expect_iptables(maker, "user", USER_3, 3, 0, RULE_COUNTED);
	expect_iptables(maker, "INPUT", INPUT_3, 3, 0, RULE_COUNTED);
	unchanged_end();
	packet(7021);
	packet(7999);
	assert_int_equal(recv(open_fd, &(char){0}, 1, 0), 1);
	unchanged_start();
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_moved(), 1);
	expect_iptables(maker, "user", USER_1, 1, 1, RULE_COUNTED | RULE_MOVED);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_moved(), 0);
	unchanged_end();
	packet(7024);
	packet(7024);
	packet(7022);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_moved(), 2);
	expect_iptables(maker, "user", USER_3, 3, 2, RULE_COUNTED | RULE_MOVED);
	expect_iptables(maker, "user", USER_2, 2, 1, RULE_COUNTED | RULE_MOVED);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_FORWARD), 0);
	assert_int_equal(nr_rules, 2);
	rule_by_text("FORWARD", "-A FORWARD -s 10.9.9.9/32 -j DROP");
	assert_true(rule_by_text("FORWARD", "-P FORWARD DROP")->flags & RULE_POLICY);
	assert_int_equal(rule_by_text("FORWARD", "-P FORWARD DROP")->number, 0);
}

/* The handle of a rule of iptables-nft, by what nft prints of it. */
static void test_iptables_nft(void **state)
{
	_cleanup_free_ char *listing = NULL;
	unsigned long long handle = 0;
	const char *at;

	(void)state;
	peer_loads("iptables-nft-restore", iptables_rules);
	iptables_drops(RULE_IPTABLES_NFT);
	listing = peer_says("nft -a list chain ip filter user 2>/dev/null");
	at = strstr(listing, "7022");
	at = at ? strstr(at, "# handle ") : NULL;
	assert_true(at && sscanf(at, "# handle %llu", &handle) == 1);
	assert_int_equal(rule_ask(NFPROTO_IPV4, "filter", "", handle), 0);
	assert_int_equal(nr_rules, 1);
	expect_iptables(RULE_IPTABLES_NFT, "user", USER_2, 2, 0, RULE_ASKED);
	assert_int_equal(rules[0].handle, handle);
	assert_int_equal(rule_ask(NFPROTO_IPV4, "filter", "FORWARD", 0), 0);
	assert_string_equal(rules[0].text, "-P FORWARD DROP");
	assert_int_equal(rules[0].maker, RULE_IPTABLES_NFT);
	rules_clear();
}

/* iptables' names alone don't make a table iptables'. */
static void test_not_iptables(void **state)
{
	(void)state;
	peer_loads("nft -f -", "table ip filter {\n chain INPUT { type filter hook input priority "
			       "0; policy drop;\n udp dport 7999 accept; udp dport 5 drop; }\n}\n");
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 2);
	assert_int_equal(rule_by_text("INPUT", "udp dport 5 drop")->maker, RULE_NFTABLES);
	assert_int_equal(rule_by_text("INPUT", "policy drop")->maker, RULE_NFTABLES);
	rules_clear();
}

static void test_iptables_legacy(void **state)
{
	_cleanup_free_ char *names = NULL;

	(void)state;
	if (system("ip netns exec tw-peer iptables-legacy-restore --test </dev/null 2>/dev/null") ||
	    system("ip netns exec tw-peer iptables-legacy -nL >/dev/null 2>&1")) {
		print_message("# skipped: no iptables-legacy here\n");
		return;
	}
	peer_loads("iptables-legacy-restore", iptables_rules);
	iptables_drops(RULE_IPTABLES_LEGACY);
	/* A changed table is looked at for the first time. */
	free(peer_says("iptables-legacy -A INPUT -s 10.9.9.8 -j DROP"));
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 5);
	assert_int_equal(nr_moved(), 3);
	free(peer_says("iptables-legacy -P INPUT DROP"));
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	packet(7033);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_moved(), 1);
	assert_int_equal(rule_by_text("INPUT", "-P INPUT DROP")->flags,
			 RULE_POLICY | RULE_COUNTED | RULE_MOVED);
	names = peer_says("cat /proc/net/ip_tables_names");
	assert_string_equal(names, "filter\n");
	rules_clear();
}

/* Without iptables-nft-save, and with a chain whose name means something else to nft. */
static void test_iptables_nft_alone(void **state)
{
	static const char multi[] = "/usr/sbin/xtables-nft-multi";
	uint64_t handle;

	(void)state;
	peer_loads("iptables-nft-restore", "*filter\n:INPUT ACCEPT [0:0]\n:accept - [0:0]\n"
					   "-A INPUT -j accept\n"
					   "-A accept -s 10.9.9.7/32 -j DROP\nCOMMIT\n");
	handle = nft_handle("ip saddr 10.9.9.7 counter drop");
	if (mount("/dev/null", multi, NULL, MS_BIND, NULL) < 0) {
		print_message("# skipped: can't hide %s\n", multi);
		return;
	}
	assert_int_equal(rule_ask(NFPROTO_IPV4, "filter", "", handle), 0);
	assert_int_equal(umount(multi), 0);
	assert_int_equal(nr_rules, 1);
	assert_string_equal(rules[0].text, "ip saddr 10.9.9.7 counter drop");
	assert_string_equal(rules[0].chain, "accept");
	assert_int_equal(rules[0].maker, RULE_IPTABLES_NFT);
	rules_clear();
}

/* As tcpwhy is once it runs, as root and as somebody with capabilities; true: all is found. */
static bool found_without_privileges(uid_t uid)
{
	static const int keep[] = {CAP_SYS_ADMIN,  CAP_NET_ADMIN,	CAP_NET_RAW,
				   CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYSLOG};
	bool found = true;

	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if ((uid && setresuid(uid, uid, uid) < 0) || caps_keep(keep, ARRAY_SIZE(keep)) ||
	    enrich_open(&t.e))
		return false;
	if (drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN))
		return false;
	for (size_t i = 0; i < nr_rules; i++)
		found = found && !strncmp(rules[i].text, "-A ", 3);
	enrich_close(t.e);
	return found && nr_rules == 8;
}

static void test_privileges(void **state)
{
	static const uid_t uids[] = {0, 65534};

	(void)state;
	peer_loads("iptables-nft-restore", iptables_rules);
	if (system("ip netns exec tw-peer iptables-legacy-restore --test </dev/null 2>/dev/null")) {
		print_message("# skipped: no iptables-legacy here\n");
		return;
	}
	peer_loads("iptables-legacy-restore", iptables_rules);
	for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
		int status;
		pid_t pid = fork();

		if (!pid)
			_exit(!found_without_privileges(uids[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	rules_clear();
}

static void test_bridge(void **state)
{
	(void)state;
	peer_loads("nft -f -", "table bridge b {\n chain deep { ether type arp counter drop; }\n"
			       " chain in { type filter hook input priority 0; goto deep; }\n}\n");
	unchanged_start();
	assert_int_equal(drops_ask(NFPROTO_BRIDGE, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 1);
	assert_string_equal(rules[0].text, "ether type arp counter drop");
	assert_string_equal(rules[0].base, "in");
	assert_int_equal(rules[0].family, NFPROTO_BRIDGE);
	assert_int_equal(drops_ask(NFPROTO_IPV4, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 0);
	unchanged_end();
	rules_clear();
	if (system("ip netns exec tw-peer ebtables-nft -A INPUT -p IPv4 -j DROP 2>/dev/null")) {
		print_message("# no ebtables-nft here\n");
		return;
	}
	assert_int_equal(drops_ask(NFPROTO_BRIDGE, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 1);
	assert_string_equal(rules[0].text, "-A INPUT -p IPv4 -j DROP");
	assert_int_equal(rules[0].maker, RULE_IPTABLES_NFT);
	rules_clear();
}

static void test_ipv6(void **state)
{
	(void)state;
	peer_loads("ip6tables-nft-restore", "*filter\n:INPUT ACCEPT [0:0]\n"
					    "-A INPUT -s fd99::9/128 -j DROP\nCOMMIT\n");
	assert_int_equal(drops_ask(NFPROTO_IPV6, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 1);
	assert_string_equal(rules[0].text, "-A INPUT -s fd99::9/128 -j DROP");
	assert_int_equal(rules[0].family, NFPROTO_IPV6);
	rules_clear();
	if (system("ip netns exec tw-peer ip6tables-legacy -A INPUT -s fd99::8 -j DROP "
		   "2>/dev/null")) {
		print_message("# no ip6tables-legacy here\n");
		return;
	}
	assert_int_equal(drops_ask(NFPROTO_IPV6, NF_INET_LOCAL_IN), 0);
	assert_int_equal(nr_rules, 1);
	assert_string_equal(rules[0].text, "-A INPUT -s fd99::8/128 -j DROP");
	assert_int_equal(rules[0].maker, RULE_IPTABLES_LEGACY);
	free(peer_says("ip6tables-legacy -F"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOKUP_TEST(test_iptables_nft),
		LOOKUP_TEST(test_not_iptables),
		LOOKUP_TEST(test_iptables_legacy),
		LOOKUP_TEST(test_iptables_nft_alone),
		LOOKUP_TEST(test_privileges),
		LOOKUP_TEST(test_bridge),
		LOOKUP_TEST(test_ipv6),
	};

	return cmocka_run_group_tests(tests, rules_setup, rules_teardown);
}
