/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netfilter queues, devices, and the counters of conntrack and xfrm. */
#include "test_enrich_found.h"

#include <net/if.h> /* before those of linux/, which then leave out the same */

#include "enrich/conntrack.h"
#include "enrich/conntrack_stats.h"
#include "enrich/conntrack_top.h"
#include "enrich/netlink.h"
#include "enrich/netns.h"

#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <netinet/ip.h>

/* ---- queues ---------------------------------------------------------------------------------- */

static int nothing_parse(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	(void)arg;
	return MNL_CB_OK;
}

static int queue_config(struct nl *nl, uint16_t queue, uint16_t attr, const void *data, size_t len)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		nl_request(buf, sizeof(buf), NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG, NLM_F_ACK);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(queue);
	mnl_attr_put(nlh, attr, len, data);
	return nl_ask(nl, nlh, nothing_parse, NULL);
}

/* A queue of two packets, in the thread's namespace. */
static int queue_open(struct nl *nl, uint16_t queue)
{
	struct nfqnl_msg_config_cmd bind = {.command = NFQNL_CFG_CMD_BIND};
	struct nfqnl_msg_config_params params = {.copy_mode = NFQNL_COPY_META};
	uint32_t max = htonl(2);
	int err = nl_open(nl, NETLINK_NETFILTER);

	if (!err)
		err = queue_config(nl, queue, NFQA_CFG_CMD, &bind, sizeof(bind));
	if (!err)
		err = queue_config(nl, queue, NFQA_CFG_PARAMS, &params, sizeof(params));
	if (!err)
		err = queue_config(nl, queue, NFQA_CFG_QUEUE_MAXLEN, &max, sizeof(max));
	return err;
}

static uint16_t peer_has_queue(void)
{
	static struct nl nl;

	return queue_open(&nl, 9) ? 0 : 9;
}

static void datagrams_send(const char *addr, uint16_t port, int n)
{
	int fd = dial(SOCK_DGRAM, addr, port);

	while (n--)
		(void)!send(fd, "x", 1, 0);
	close(fd);
}

static const struct rec_nfqueue *queue_find(uint32_t queue)
{
	for (size_t i = 0; i < found.n; i++)
		if (found.v[i].nfqueue.queue == queue)
			return &found.v[i].nfqueue;
	fail_msg("no queue %u", queue);
	return NULL;
}

static void test_nfqueues(void **state)
{
	struct question q = {.kind = Q_NFQUEUES, .netns = t.here};
	struct peer peer;
	struct nl one, two;
	const struct rec_nfqueue *queue;

	(void)state;
	assert_int_equal(find(q), 0);
	assert_int_equal(found.n, 0);
	if (queue_open(&one, 7)) {
		print_message("# queues skipped: the kernel has none\n");
		nl_close(&one);
		return;
	}
	assert_int_equal(queue_open(&two, 65535), 0);
	assert_int_equal(find(q), 0);
	assert_int_equal(found.n, 2);
	/* A process has only one port with its own number. */
	assert_int_not_equal(two.portid, getpid());
	queue = queue_find(65535);
	assert_int_equal(queue->portid, two.portid);
	assert_int_equal(queue->pid, getpid());
	assert_string_equal(queue->comm, t.comm);
	assert_int_equal(queue->hdr.netns, t.here);
	assert_int_equal(queue_find(7)->portid, one.portid);
	assert_int_equal(queue_find(7)->pid, getpid());

	peer = peer_start(peer_has_queue);
	assert_int_equal(peer.port, 9);
	q.netns = t.peer;
	assert_int_equal(find(q), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].nfqueue.queue, 9);
	assert_int_equal(found.v[0].nfqueue.pid, peer.pid);
	peer_end(&peer);
	nl_close(&two);
	nl_close(&one);
	assert_int_equal(find(q), 0);
	assert_int_equal(found.n, 0);
}

static void test_nfqueue_full(void **state)
{
	struct nl nl;

	(void)state;
	if (queue_open(&nl, 7) || (system("nft 'table ip twq { chain o { type filter hook output "
					  "priority 0;"
					  " udp dport 9 queue num 7; }; }' 2>/dev/null") &&
				   system("iptables -A OUTPUT -p udp --dport 9 -j NFQUEUE "
					  "--queue-num 7 2>/dev/null"))) {
		print_message("# a full queue skipped: no queues, or neither nft(8) nor "
			      "iptables(8) can fill one\n");
		nl_close(&nl);
		return;
	}
	datagrams_send("10.99.0.1", 9, 5);
	assert_int_equal(find((struct question){.kind = Q_NFQUEUES, .netns = t.here}), 0);
	assert_int_equal(queue_find(7)->waiting, 2);
	assert_int_equal(queue_find(7)->dropped, 3);
	assert_int_equal(queue_find(7)->user_dropped, 0);
	nl_close(&nl);
	run("nft flush ruleset");
}

/* ---- devices --------------------------------------------------------------------------------- */

static int find_link(uint32_t netns, uint32_t ifindex)
{
	return find((struct question){.kind = Q_LINK, .netns = netns, .ifindex = ifindex});
}

static void test_link(void **state)
{
	uint32_t tw0 = if_nametoindex("tw0");
	const struct rec_link *link = &found.v[0].link;

	(void)state;
	assert_int_equal(find_link(t.here, tw0), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(link->ifindex, tw0);
	assert_string_equal(link->ifname, "tw0");
	assert_string_equal(link->kind, "veth");
	assert_int_equal(link->master, 0);
	assert_string_equal(link->master_name, "");
	assert_int_equal(link->operstate, IF_OPER_UP);
	assert_true(link->flags & IFF_UP);
	assert_int_equal(link->port_state, 0xff);

	run("ip link set tw0 down");
	assert_int_equal(find_link(t.here, tw0), 0);
	assert_int_equal(link->operstate, IF_OPER_DOWN);
	assert_false(link->flags & IFF_UP);
	run("ip link set tw0 up");

	assert_int_equal(find_link(t.here, 1), 0);
	assert_string_equal(link->ifname, "lo");
	assert_string_equal(link->kind, "");
	assert_int_equal(find_link(t.here, 99999), -ENODEV);
	assert_int_equal(found.n, 0);
	assert_int_equal(find_link(t.here, 0), -EINVAL);
	assert_int_equal(find_link(1, 1), -ESRCH);
}

static void test_link_elsewhere(void **state)
{
	const struct rec_link *link = &found.v[0].link;

	(void)state;
	run("ip -n tw-peer link add twdown index 4711 type veth peer name twup");
	assert_int_equal(find_link(t.peer, 4711), 0);
	assert_string_equal(link->ifname, "twdown");
	assert_int_equal(link->hdr.netns, t.peer);
	assert_int_equal(find_link(t.here, 4711), -ENODEV);
}

static void test_link_bridge(void **state)
{
	const struct rec_link *link = &found.v[0].link;
	bool vlan_filtering;
	uint32_t port;

	(void)state;
	if (system("ip link add twbr type bridge 2>/dev/null")) {
		print_message("# bridges skipped: the kernel has none\n");
		return;
	}
	run("ip link add twp type veth peer name twq && ip link set twp master twbr &&"
	    "ip link set twbr up && ip link set twq up && ip link set twp up");
	vlan_filtering = !system("ip link set twbr type bridge vlan_filtering 1 2>/dev/null");
	if (!vlan_filtering)
		print_message("# VLAN filtering skipped: the kernel has none\n");
	port = if_nametoindex("twp");
	assert_int_equal(find_link(t.here, port), 0);
	assert_string_equal(link->kind, "veth");
	assert_int_equal(link->master, if_nametoindex("twbr"));
	assert_string_equal(link->master_name, "twbr");
	assert_int_equal(link->port_state, BR_STATE_FORWARDING);
	assert_int_equal(link->vlan_filtering, vlan_filtering);

	run("ip link set twp type bridge_slave state 1");
	assert_int_equal(find_link(t.here, port), 0);
	assert_int_equal(link->port_state, BR_STATE_LISTENING);
	if (vlan_filtering)
		run("ip link set twbr type bridge vlan_filtering 0");
	assert_int_equal(find_link(t.here, port), 0);
	assert_int_equal(link->vlan_filtering, 0);

	assert_int_equal(find_link(t.here, if_nametoindex("twbr")), 0);
	assert_string_equal(link->kind, "bridge");
	assert_int_equal(link->port_state, 0xff);
}

/* ---- counters -------------------------------------------------------------------------------- */

struct readings {
	char name[32][48];
	uint64_t value[32];
	size_t n;
};

static void reading_keep(void *arg, const char *key, size_t key_len, const char *name, size_t len,
			 uint64_t value)
{
	struct readings *r = arg;

	assert_true(r->n < ARRAY_SIZE(r->name));
	snprintf(r->name[r->n], sizeof(r->name[0]), "%.*s%.*s", (int)key_len, key, (int)len, name);
	r->value[r->n++] = value;
}

static uint64_t reading(const struct readings *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->name[i], name))
			return r->value[i];
	return UINT64_MAX;
}

/* Two CPUs; the columns of 5.10, which has no ConntrackChainTooLong, and of later kernels. */
static void test_conntrack_text(void **state)
{
	static const char rest[] =
		" insert insert_failed drop early_drop icmp_error  expect_new expect_create "
		"expect_delete search_restart\n"
		"0000000f  00000001 00000002 00000003 00000004 00000005 00000006 00000007"
		" 00000008 00000009 0000000a 0000000b 0000000c  0000000d 0000000e 0000000f "
		"00000010\n"
		"0000000f  00000001 00000000 00000000 00000010 00000000 00000000 00000001"
		" 00000000 00000010 00000100 00001000 ffffffff  00000000 00000000 00000000 "
		"00000001\n";
	char text[1024];
	struct readings r = {.n = 0};

	(void)state;
	snprintf(text, sizeof(text), "%s%s",
		 "entries  clashres found new invalid ignore delete chainlength", rest);
	conntrack_stats_parse(text, reading_keep, &r);
	assert_int_equal(r.n, 9);
	assert_int_equal(reading(&r, "ConntrackCount"), 15);
	assert_int_equal(reading(&r, "ConntrackClashResolve"), 2);
	assert_int_equal(reading(&r, "ConntrackInvalid"), 0x14);
	assert_int_equal(reading(&r, "ConntrackChainTooLong"), 8);
	assert_int_equal(reading(&r, "ConntrackInsertFailed"), 0x19);
	assert_int_equal(reading(&r, "ConntrackDrop"), 0x10a);
	assert_int_equal(reading(&r, "ConntrackEarlyDrop"), 0x100b);
	assert_int_equal(reading(&r, "ConntrackError"), 0x10000000bull);
	assert_int_equal(reading(&r, "ConntrackSearchRestart"), 0x11);

	r.n = 0;
	snprintf(text, sizeof(text), "%s%s",
		 "entries  searched found new invalid ignore delete delete_list", rest);
	conntrack_stats_parse(text, reading_keep, &r);
	assert_int_equal(reading(&r, "ConntrackChainTooLong"), UINT64_MAX);
	assert_int_equal(reading(&r, "ConntrackClashResolve"), UINT64_MAX);
	assert_int_equal(reading(&r, "ConntrackDrop"), 0x10a);

	r.n = 0;
	conntrack_stats_parse("", reading_keep, &r);
	conntrack_stats_parse("entries  searched\n", reading_keep, &r);
	assert_int_equal(r.n, 0);
}

/* Segments with SYN and FIN: conntrack calls them INVALID. */
static void nonsense_send(int n)
{
	static const struct tcphdr tcp = {.th_flags = TH_SYN | TH_FIN, .th_off = 5};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_parse(&sa, "10.99.0.2", 0);

	assert_true(fd >= 0);
	while (n--)
		assert_int_equal(sendto(fd, &tcp, sizeof(tcp), 0, (struct sockaddr *)&sa, len),
				 sizeof(tcp));
	close(fd);
}

static uint64_t counter(uint32_t netns, const char *name)
{
	assert_int_equal(ask_name(Q_COUNTER, netns, name), 0);
	assert_string_equal(t.v[0].counter.name, name);
	return t.v[0].counter.value;
}

static void test_conntrack_counters(void **state)
{
	uint64_t invalid, in_peer;

	(void)state;
	if (system("nft 'table ip twc { chain o { type filter hook output priority 0;"
		   " ct state new accept; }; }' 2>/dev/null")) {
		print_message("# conntrack's counters skipped: no conntrack or no nft(8)\n");
		return;
	}
	invalid = counter(t.here, "ConntrackInvalid");
	in_peer = counter(t.peer, "ConntrackInvalid");
	nonsense_send(3);
	assert_int_equal(counter(t.here, "ConntrackInvalid"), invalid + 3);
	assert_int_not_equal(t.v[0].counter.base_ns, 0);
	assert_true(t.v[0].counter.delta >= 3);
	assert_int_equal(counter(t.peer, "ConntrackInvalid"), in_peer);

	assert_int_equal(counter(t.here, "ConntrackCount"), 0);
	datagrams_send("10.99.0.2", 1000, 1);
	datagrams_send("10.99.0.2", 1001, 1);
	assert_int_equal(counter(t.here, "ConntrackCount"), 2);
	assert_int_equal(t.v[0].counter.base_ns, 0); /* it can fall: no growth to be told */
	assert_int_equal(counter(t.here, "ConntrackDrop"), 0);
	assert_int_equal(counter(t.here, "ConntrackEarlyDrop"), 0);
	assert_int_equal(counter(t.here, "ConntrackInsertFailed"), 0);
	assert_int_equal(counter(t.here, "ConntrackError"), 0);
	assert_int_equal(counter(t.here, "ConntrackSearchRestart"), 0);
}

/* The file and netlink say the same. */
static void test_conntrack_ways(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct readings file = {.n = 0}, asked = {.n = 0};

	(void)state;
	if (!conntrack_is_loaded() || conntrack_stats_ask(reading_keep, &asked)) {
		print_message("# conntrack's ways skipped: no ctnetlink\n");
		return;
	}
	assert_true(reading(&asked, "ConntrackInvalid") >= 3);
	assert_int_equal(reading(&asked, "ConntrackCount"), 2);
	if (read_file("/proc/thread-self/net/stat/nf_conntrack", 65536, &text) < 0) {
		print_message("# conntrack's ways skipped: no CONFIG_NF_CONNTRACK_PROCFS\n");
		return;
	}
	conntrack_stats_parse(text, reading_keep, &file);
	assert_true(file.n >= 8);
	for (size_t i = 0; i < file.n; i++)
		assert_int_equal(reading(&asked, file.name[i]), file.value[i]);
	assert_int_equal(asked.n, file.n);
	run("nft delete table ip twc");
}

/* Each makes an entry of its own, as each has another port. */
static void datagrams_from(const char *addr, uint16_t port, int n)
{
	while (n--) {
		int fd = serve(SOCK_DGRAM, addr, 0, false);
		struct sockaddr_storage sa;
		socklen_t len = sockaddr_parse(&sa, "127.0.0.1", port);

		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
		close(fd);
	}
}

static void test_conntrack_top(void **state)
{
	struct conntrack_top top[CONNTRACK_TOP_MAX];
	uint8_t first[16], second[16], third[16];
	struct netns_map *m;
	uint32_t entries;
	size_t n;

	(void)state;
	if (!conntrack_is_loaded() || system("nft 'table inet twt { chain o { type filter hook "
					     "output priority 0;"
					     " ct state new accept; }; }' 2>/dev/null")) {
		print_message("# who fills conntrack skipped: no conntrack or no nft(8)\n");
		return;
	}
	addr_parse(first, "127.0.0.5");
	addr_parse(second, "127.0.0.3");
	addr_parse(third, "127.0.0.4");
	datagrams_from("127.0.0.2", 53, 5);
	datagrams_from("127.0.0.3", 53, 7);
	datagrams_from("127.0.0.4", 53, 6);
	datagrams_from("127.0.0.5", 52, 3);
	datagrams_from("127.0.0.5", 54, 5);
	assert_int_equal(netns_open(&m), 0);
	assert_int_equal(conntrack_top(m, t.here, top, &n, &entries), 0);
	assert_int_equal(n, 3);
	assert_true(entries >= 26);
	assert_memory_equal(top[0].src, first, 16);
	assert_int_equal(top[0].entries, 8);
	assert_int_equal(top[0].unreplied, 8);
	assert_int_equal(top[0].dport, 54);
	assert_int_equal(top[0].dport_entries, 5);
	assert_int_equal(top[0].proto, IPPROTO_UDP);
	assert_memory_equal(top[1].src, second, 16);
	assert_int_equal(top[1].entries, 7);
	assert_memory_equal(top[2].src, third, 16);
	assert_int_equal(top[2].entries, 6);
	assert_int_equal(conntrack_top(m, t.peer, top, &n, &entries), 0);
	assert_int_equal(n, 0);
	assert_int_equal(entries, 0);
	assert_int_equal(conntrack_top(m, 1, top, &n, &entries), -ESRCH);
	netns_close(m);
	run("nft delete table inet twt");
}

static void test_xfrm_counters(void **state)
{
	uint64_t before;

	(void)state;
	if (ask_name(Q_COUNTER, t.here, "XfrmOutPolBlock") || system("ip xfrm policy add dst "
								     "10.99.0.2/32 dir out action "
								     "block 2>/dev/null")) {
		print_message("# xfrm skipped: the kernel has none, or doesn't count\n");
		return;
	}
	before = t.v[0].counter.value;
	datagrams_send("10.99.0.1", 1000, 1); /* not there */
	assert_int_equal(counter(t.here, "XfrmOutPolBlock"), before);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_parse(&sa, "10.99.0.2", 1000);

	for (int i = 0; i < 2; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len), -1);
	close(fd);
	assert_int_equal(counter(t.here, "XfrmOutPolBlock"), before + 2);
	assert_true(t.v[0].counter.delta >= 2);
	assert_int_equal(counter(t.peer, "XfrmOutPolBlock"), 0);
	run("ip xfrm policy flush");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conntrack_text), LOOKUP_TEST(test_nfqueues),
		LOOKUP_TEST(test_nfqueue_full),	       LOOKUP_TEST(test_link),
		LOOKUP_TEST(test_link_elsewhere),      LOOKUP_TEST(test_conntrack_counters),
		LOOKUP_TEST(test_conntrack_ways),      LOOKUP_TEST(test_conntrack_top),
		LOOKUP_TEST(test_xfrm_counters),       LOOKUP_TEST(test_link_bridge),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
