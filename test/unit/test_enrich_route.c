/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ways of packets: routes, neighbours, conntrack entries. */
#include "test_enrich.h"

#include <linux/neighbour.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

/* nft makes the namespace track connections, and redirects port 7777. */
static bool conntrack_setup(uint16_t to)
{
	char rules[256];

	snprintf(rules, sizeof(rules),
		 "nft 'table ip tw { chain o { type nat hook output priority -100;"
		 " tcp dport 7777 redirect to :%u; ct state new accept; }; }' 2>/dev/null",
		 to);
	return !access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK) && !system(rules);
}

static void nat_keep(void *arg, const struct rec_ct *ct)
{
	struct rec_ct *ret = arg;

	*ret = *ct;
}

static void test_conntrack(void **state)
{
	int server = serve(SOCK_STREAM, "127.0.0.1", 0, false), client;
	uint16_t port = local_port(server), sport;
	struct rec_tuple orig, reply;
	struct rec_ct dumped = {0};

	(void)state;
	if (!conntrack_setup(port)) {
		print_message("# conntrack skipped: no conntrack or no nft(8)\n");
		close(server);
		return;
	}
	client = dial(SOCK_STREAM, "127.0.0.1", 7777);
	sport = local_port(client);
	orig = tuple(IPPROTO_TCP, "127.0.0.1", sport, "127.0.0.1", 7777);
	reply = tuple(IPPROTO_TCP, "127.0.0.1", port, "127.0.0.1", sport);
	assert_int_equal(ask_tuple(Q_CONNTRACK, t.here, orig), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].ct.found, 1);
	assert_int_equal(t.v[0].ct.reply_dir, 0);
	assert_memory_equal(&t.v[0].ct.orig, &orig, sizeof(orig));
	assert_memory_equal(&t.v[0].ct.reply, &reply, sizeof(reply));
	assert_true(t.v[0].ct.status & IPS_DST_NAT);
	assert_int_equal(t.v[0].ct.tcp_state, 3); /* TCP_CONNTRACK_ESTABLISHED */
	assert_int_not_equal(t.v[0].ct.timeout_s, 0);
	assert_int_not_equal(t.v[0].ct.id, 0);

	assert_int_equal(ask_tuple(Q_CONNTRACK, t.here, reply), 0);
	assert_int_equal(t.v[0].ct.found, 1);
	assert_int_equal(t.v[0].ct.reply_dir, 1);

	orig.sport ^= 1;
	assert_int_equal(ask_tuple(Q_CONNTRACK, t.here, orig), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].ct.found, 0);

	assert_int_equal(enrich_ct_dump(t.here, nat_keep, &dumped), 0);
	assert_memory_equal(&dumped.reply, &reply, sizeof(reply));
	assert_int_equal(dumped.hdr.netns, t.here);
	memset(&dumped, 0, sizeof(dumped));
	assert_int_equal(enrich_ct_dump(t.peer, nat_keep, &dumped), 0);
	assert_int_equal(dumped.found, 0);
	close(client);
	close(server);
	run("nft delete table ip tw");
}

static void assert_route(const char *dst, int err, int type, const char *gateway,
			 const char *ifname)
{
	struct rec_tuple asked =
		tuple(IPPROTO_TCP, strchr(dst, ':') ? "fd99::1" : "10.99.0.1", 1000, dst, 80);
	uint8_t gw[16] = {0};

	if (gateway)
		addr_parse(gw, gateway);
	assert_int_equal(ask_tuple(Q_ROUTE, t.here, asked), 0);
	assert_true(t.n >= 1);
	assert_int_equal(t.v[0].hdr.kind, REC_ROUTE);
	assert_int_equal(t.v[0].route.err, err);
	assert_int_equal(t.v[0].route.type, type);
	assert_int_equal(t.v[0].route.has_gateway, !!gateway);
	assert_memory_equal(t.v[0].route.gateway, gw, 16);
	assert_string_equal(t.v[0].route.ifname, ifname);
	assert_memory_equal(&t.v[0].route.tuple, &asked, sizeof(asked));
}

static void test_route(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};

	(void)state;
	assert_route("198.51.100.1", ENETUNREACH, RTN_UNSPEC, NULL, "");
	assert_route("2001:db8:9::1", ENETUNREACH, RTN_UNSPEC, NULL, "");
	run("ip route add 198.51.100.0/24 via 10.99.0.2 && ip route add blackhole 203.0.113.1 &&"
	    "ip route add unreachable 203.0.113.2 && ip route add prohibit 203.0.113.3 &&"
	    "ip route add 198.51.101.0/24 via inet6 fd99::2 dev tw0 &&"
	    "ip -6 route add 2001:db8:9::/64 via fd99::2 && ip -6 route add blackhole 2001:db8::1 "
	    "&&"
	    "ip -6 route add unreachable 2001:db8::2 && ip -6 route add prohibit 2001:db8::3 &&"
	    "ip neigh replace 10.99.0.2 lladdr 02:00:00:00:00:09 dev tw0");
	assert_route("198.51.100.1", 0, RTN_UNICAST, "10.99.0.2", "tw0");
	assert_int_equal(t.n, 2);
	assert_int_equal(t.v[0].route.table, RT_TABLE_MAIN);
	assert_int_equal(t.v[1].hdr.kind, REC_NEIGH);
	assert_int_equal(t.v[1].neigh.state, NUD_PERMANENT);
	assert_int_equal(t.v[1].neigh.lladdr_len, 6);
	assert_memory_equal(t.v[1].neigh.lladdr, mac, 6);
	assert_string_equal(t.v[1].neigh.ifname, "tw0");
	assert_route("198.51.101.1", 0, RTN_UNICAST, "fd99::2", "tw0");
	assert_route("10.99.0.77", 0, RTN_UNICAST, NULL, "tw0");
	assert_int_equal(t.v[1].neigh.state, 0);
	assert_route("10.99.0.1", 0, RTN_LOCAL, NULL, "lo");
	assert_route("203.0.113.1", EINVAL, RTN_BLACKHOLE, NULL, "");
	assert_route("203.0.113.2", EHOSTUNREACH, RTN_UNREACHABLE, NULL, "");
	assert_route("203.0.113.3", EACCES, RTN_PROHIBIT, NULL, "");
	assert_route("2001:db8:9::1", 0, RTN_UNICAST, "fd99::2", "tw0");
	assert_route("fd99::1", 0, RTN_LOCAL, NULL, "lo");
	assert_route("2001:db8::1", EINVAL, RTN_BLACKHOLE, NULL, "");
	assert_route("2001:db8::2", EHOSTUNREACH, RTN_UNREACHABLE, NULL, "");
	assert_route("2001:db8::3", EACCES, RTN_PROHIBIT, NULL, "");
	run("ip neigh del 10.99.0.2 dev tw0");
}

static void test_route_back(void **state)
{
	struct rec_tuple asked = tuple(IPPROTO_TCP, "198.51.100.1", 80, "10.99.0.1", 1000);

	(void)state;
	assert_int_equal(ask_tuple(Q_ROUTE_BACK, t.here, asked), 0);
	assert_int_equal(t.v[0].route.tuple.dport, 80); /* "to dst" */
	assert_string_equal(t.v[0].route.ifname, "tw0");
	assert_int_equal(t.v[0].route.iif_lookup, 0);
}

/* A packet that is forwarded is looked up as arriving by its device. */
static void test_route_forwarded(void **state)
{
	struct question q = {.kind = Q_ROUTE, .netns = t.here, .ifindex = if_nametoindex("tw0")};

	(void)state;
	q.tuple = tuple(IPPROTO_TCP, "10.99.0.2", 1000, "198.51.100.9", 80);
	assert_int_equal(ask(q), 0);
	assert_int_equal(t.v[0].route.iif_lookup, 1);
	assert_int_equal(t.v[0].route.err, EHOSTUNREACH); /* forwarding is off */
	run("echo 1 >/proc/sys/net/ipv4/ip_forward");
	cache_expire();
	assert_int_equal(ask(q), 0);
	assert_int_equal(t.v[0].route.err, 0);
	assert_int_equal(t.v[0].route.type, RTN_UNICAST);
	/* Its way back isn't that of a packet which comes in by the same device. */
	q.kind = Q_ROUTE_BACK;
	assert_int_equal(ask(q), 0);
	assert_int_equal(t.v[0].route.iif_lookup, 0);
	assert_string_equal(t.v[0].route.ifname, "tw0");
	run("echo 0 >/proc/sys/net/ipv4/ip_forward");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOKUP_TEST(test_conntrack),
		LOOKUP_TEST(test_route),
		LOOKUP_TEST(test_route_back),
		LOOKUP_TEST(test_route_forwarded),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
