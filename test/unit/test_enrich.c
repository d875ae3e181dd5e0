/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue, and the lookups without sockets: namespaces, sysctls, counters. */
#include "test_enrich.h"

#include "enrich/sysctl.h"

#include <net/if.h>

static void test_netns(void **state)
{
	(void)state;
	assert_int_equal(ask((struct question){.kind = Q_NETNS, .netns = t.peer}), 0);
	assert_int_equal(t.n, 1);
	assert_string_equal(t.v[0].netns.name, "tw-peer");
	assert_int_equal(t.v[0].netns.pid, 0);
	assert_int_equal(t.v[0].hdr.netns, t.peer);

	assert_int_equal(ask((struct question){.kind = Q_NETNS, .netns = t.here}), 0);
	assert_int_equal(t.v[0].netns.pid, getpid());
	assert_string_equal(t.v[0].netns.name, "");
	assert_string_equal(t.v[0].netns.comm, t.comm);

	assert_int_equal(ask((struct question){.kind = Q_NETNS, .netns = 1}), -ESRCH);
	assert_int_equal(t.n, 0);
}

static void test_netns_spec(void **state)
{
	uint32_t inum;
	char spec[64];

	(void)state;
	snprintf(spec, sizeof(spec), "pid:%d", getpid());
	assert_int_equal(enrich_netns_inum(spec, &inum), 0);
	assert_int_equal(inum, t.here);
	assert_int_equal(enrich_netns_inum("/run/netns/tw-peer", &inum), 0);
	assert_int_equal(inum, t.peer);
	assert_int_equal(enrich_netns_inum("4026532000", &inum), 0);
	assert_int_equal(inum, 4026532000u);
	assert_int_equal(enrich_netns_inum("/proc/self/stat", &inum), -EINVAL);
	assert_int_equal(enrich_netns_inum("/proc/self/ns/uts", &inum), -EINVAL);
	assert_int_equal(enrich_netns_inum("no-such", &inum), -ENOENT);
	assert_int_equal(enrich_netns_inum("pid:x", &inum), -EINVAL);
	assert_int_equal(enrich_netns_inum("..", &inum), -EINVAL);
	assert_int_equal(enrich_netns_inum("", &inum), -EINVAL);
}

static void test_sysctl_path(void **state)
{
	static const char *const bad[] = {"",	 ".",	   "..",   "net..x", "/etc/passwd",
					  "a/b", "a.../b", ".net", "net."};
	char path[128], tiny[16];

	(void)state;
	assert_int_equal(sysctl_path("net.ipv4.ip_forward", path, sizeof(path)), 0);
	assert_string_equal(path, "/proc/sys/net/ipv4/ip_forward");
	assert_int_equal(sysctl_path("net.ipv4.conf.eth0.100.rp_filter", path, sizeof(path)), 0);
	assert_string_equal(path, "/proc/sys/net/ipv4/conf/eth0.100/rp_filter");
	assert_int_equal(sysctl_path("net.ipv6.neigh.all.gc_stale_time", path, sizeof(path)), 0);
	assert_string_equal(path, "/proc/sys/net/ipv6/neigh/all/gc_stale_time");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(sysctl_path(bad[i], path, sizeof(path)), -EINVAL);
	assert_int_equal(sysctl_path("net.ipv4.ip_forward", tiny, sizeof(tiny)), -EINVAL);
}

static void test_sysctl(void **state)
{
	(void)state;
	run("ip netns exec tw-peer sh -c 'echo 17 >/proc/sys/net/ipv4/ip_default_ttl'");
	assert_int_equal(ask_name(Q_SYSCTL, t.peer, "net.ipv4.ip_default_ttl"), 0);
	assert_int_equal(t.v[0].sysctl.value, 17);
	assert_string_equal(t.v[0].sysctl.name, "net.ipv4.ip_default_ttl");
	assert_int_equal(ask_name(Q_SYSCTL, t.here, "net.ipv4.ip_default_ttl"), 0);
	assert_int_equal(t.v[0].sysctl.value, 64);
	run("ip -n tw-peer link add tw1.5 type veth peer name tw5 &&"
	    "ip netns exec tw-peer sh -c 'echo 2 >/proc/sys/net/ipv4/conf/tw1.5/rp_filter'");
	assert_int_equal(ask_name(Q_SYSCTL, t.peer, "net.ipv4.conf.tw1.5.rp_filter"), 0);
	assert_int_equal(t.v[0].sysctl.value, 2);
	assert_int_equal(ask_name(Q_SYSCTL, t.here, "net.ipv4.conf.tw1.5.rp_filter"), -ENOENT);
	assert_int_equal(ask_name(Q_SYSCTL, t.here, "net.ipv4.tcp_congestion_control"), -EINVAL);
}

static uint16_t peer_is_refused(void)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_parse(&sa, "127.0.0.1", 9);

	for (int i = 0; i < 3; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || !connect(fd, (struct sockaddr *)&sa, len))
			_exit(1);
		close(fd);
	}
	return 0;
}

static void test_counter(void **state)
{
	struct peer peer;
	uint64_t before;

	(void)state;
	assert_int_equal(ask_name(Q_COUNTER, t.peer, "TcpOutRsts"), 0);
	before = t.v[0].counter.value;
	peer = peer_start(peer_is_refused);
	peer_end(&peer);
	assert_int_equal(ask_name(Q_COUNTER, t.peer, "TcpOutRsts"), 0);
	assert_int_equal(t.v[0].counter.value, before + 3);
	assert_int_not_equal(t.v[0].counter.base_ns, 0);
	assert_true(t.v[0].counter.delta >= 3);
	assert_string_equal(t.v[0].counter.name, "TcpOutRsts");
	assert_int_equal(ask_name(Q_COUNTER, t.peer, "TcpExtListenOverflows"), 0);
	assert_int_equal(t.v[0].counter.value, 0);
	assert_int_equal(ask_name(Q_COUNTER, t.peer, "Ip6InReceives"), 0);
	assert_int_equal(ask_name(Q_COUNTER, t.peer, "UdpNoPorts"), 0);
	assert_int_equal(ask_name(Q_COUNTER, t.peer, "TcpExt"), -ENOENT);
	assert_int_equal(ask_name(Q_COUNTER, t.peer, ""), -ENOENT);
}

static void test_cache(void **state)
{
	struct question q = {.kind = Q_COUNTER, .netns = t.here, .name = "IpInReceives"};
	uint64_t first;

	(void)state;
	cache_expire();
	assert_int_equal(ask(q), 0);
	first = t.v[0].hdr.mono_ns;
	assert_int_equal(ask(q), 0); /* with its own id: see answer_keep */
	assert_int_equal(t.v[0].hdr.mono_ns, first);
	cache_expire();
	assert_int_equal(ask(q), 0);
	assert_int_not_equal(t.v[0].hdr.mono_ns, first);
	q.kind = Q_SYSCTL;
	assert_int_equal(ask(q), -ENOENT);
}

static void count_ends(void *arg, const struct rec_hdr *rec)
{
	size_t *ends = arg;
	const struct rec_answer *a = (const struct rec_answer *)rec;

	if (rec->kind == REC_ANSWER)
		ends[a->err == -EBUSY]++;
}

/* Each question gets one answer, also those that are too many. */
static void test_flood(void **state)
{
	struct question q = {.kind = Q_SYSCTL, .netns = t.here, .name = "net.ipv4.ip_forward"};
	struct pollfd pfd = {.fd = enrich_fd(t.e), .events = POLLIN};
	size_t refused = 0, ends[2] = {0};

	(void)state;
	for (int i = 0; i < 20000; i++)
		refused += enrich_ask(t.e, &q) == -EBUSY;
	assert_true(refused > 10000 && refused < 20000);
	while (ends[0] + ends[1] < 20000 && poll(&pfd, 1, 10000) == 1)
		enrich_take(t.e, count_ends, ends);
	assert_int_equal(ends[1], refused);
	assert_int_equal(ends[0] + ends[1], 20000);
	assert_int_equal(enrich_pending(t.e), 0);
	assert_int_equal(enrich_take(t.e, count_ends, ends), 0);
	sleep(1); /* until more may be asked */
}

static void test_bad_question(void **state)
{
	struct question q = {.id = 5, .kind = Q_NETNS | Q_ROUTE, .netns = t.here};
	size_t ends[2] = {0};

	(void)state;
	assert_int_equal(enrich_ask(t.e, &q), -EINVAL);
	q.kind = 1u << Q_COUNT;
	assert_int_equal(enrich_ask(t.e, &q), -EINVAL);
	q.kind = 0;
	assert_int_equal(enrich_ask(t.e, &q), -EINVAL);
	enrich_take(t.e, count_ends, ends);
	assert_int_equal(ends[0], 3);
}

static void nothing_expected(void *arg, const struct rec_ct *ct)
{
	(void)arg;
	(void)ct;
	fail();
}

/* A deleted namespace goes away although it has been looked at, and takes its veth with it. */
static void test_netns_vanishes(void **state)
{
	struct rec_tuple asked = tuple(IPPROTO_TCP, "10.99.0.1", 1, "10.99.0.2", 2);

	(void)state;
	run("ip netns del tw-peer");
	for (int i = 0; i < 500 && if_nametoindex("tw0"); i++)
		usleep(10000);
	assert_int_equal(if_nametoindex("tw0"), 0);
	assert_int_equal(ask_name(Q_SYSCTL, t.peer, "net.ipv4.ip_forward"), -ESRCH);
	assert_int_equal(ask_name(Q_COUNTER, t.peer, "TcpOutRsts"), -ESRCH);
	assert_int_equal(ask((struct question){.kind = Q_NETNS, .netns = t.peer}), -ESRCH);
	assert_int_equal(ask_tuple(Q_SOCKETS, t.peer, asked), -ESRCH);
	assert_int_equal(ask_tuple(Q_ROUTE, t.peer, asked), -ESRCH);
	assert_int_equal(ask_tuple(Q_SOCKETS, t.here, asked), 0);
	assert_int_equal(enrich_ct_dump(t.peer, nothing_expected, NULL), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sysctl_path),
		LOOKUP_TEST(test_netns),
		LOOKUP_TEST(test_netns_spec),
		LOOKUP_TEST(test_sysctl),
		LOOKUP_TEST(test_counter),
		LOOKUP_TEST(test_cache),
		LOOKUP_TEST(test_flood),
		LOOKUP_TEST(test_bad_question),
		LOOKUP_TEST(test_netns_vanishes),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
