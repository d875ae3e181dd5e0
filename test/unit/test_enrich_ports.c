/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who holds the local ports that lead to one address and port. */
#include "test_enrich.h"

static struct {
	struct rec_ports rec;
	struct rec_answer end;
	unsigned n;
	bool ended;
} got;

static void keep(void *arg, const struct rec_hdr *rec)
{
	(void)arg;
	if (rec->kind == REC_PORTS) {
		memcpy(&got.rec, rec, sizeof(got.rec));
		got.n++;
	} else if (rec->kind == REC_ANSWER) {
		memcpy(&got.end, rec, sizeof(got.end));
		got.ended = true;
	}
}

/* The answer of a client at src (the unspecified address: any) that connects to dst. */
static const struct rec_ports *ports_to(uint32_t netns, const char *src, const char *dst,
					uint16_t dport)
{
	struct question q = {.kind = Q_PORTS,
			     .netns = netns,
			     .tuple = tuple(IPPROTO_TCP, src, 0, dst, dport),
			     .id = ++t.next_id,
			     .event_ns = now_mono()};
	struct pollfd pfd = {.fd = enrich_fd(t.e), .events = POLLIN};

	cache_expire();
	memset(&got, 0, sizeof(got));
	assert_int_equal(enrich_ask(t.e, &q), 0);
	while (!got.ended) {
		assert_int_equal(poll(&pfd, 1, 10000), 1);
		enrich_take(t.e, keep, NULL);
	}
	assert_int_equal(got.end.err, 0);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.rec.question, q.id);
	assert_int_equal(got.rec.hdr.netns, netns);
	return &got.rec;
}

/* From a port of its own choice. */
static int dial_from(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_parse(&sa, src, sport);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	len = sockaddr_parse(&sa, dst, dport);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void range_set(void)
{
	run("echo 40000 40009 >/proc/sys/net/ipv4/ip_local_port_range");
}

static void test_counts_one_destination(void **state)
{
	const uint16_t port = 7001;
	int server = serve(SOCK_STREAM, "0.0.0.0", port, false), fds[6];
	int other = serve(SOCK_STREAM, "0.0.0.0", 7002, false);
	const struct rec_ports *p;

	(void)state;
	range_set();
	p = ports_to(t.here, "0.0.0.0", "127.0.0.1", port);
	assert_int_equal(p->low, 40000);
	assert_int_equal(p->high, 40009);
	assert_int_equal(p->held, 0);
	assert_int_equal(p->pid, 0);

	fds[0] = dial_from("127.0.0.1", 40000, "127.0.0.1", port);
	fds[1] = dial_from("127.0.0.1", 40001, "127.0.0.1", port);
	fds[2] = dial_from("127.0.0.1", 40002, "127.0.0.1", 7002); /* another port */
	fds[3] = dial_from("10.99.0.1", 40003, "10.99.0.1", port); /* another address */
	fds[4] = dial_from("127.0.0.1", 50000, "127.0.0.1", port); /* out of the range */
	fds[5] = dial_from("127.0.0.2", 40009, "127.0.0.1", port); /* from another address */
	p = ports_to(t.here, "0.0.0.0", "127.0.0.1", port);
	assert_int_equal(p->held, 3);
	assert_int_equal(p->time_wait, 0);
	assert_int_equal(p->top_held, 3);
	assert_int_equal(p->pid, getpid());
	assert_string_equal(p->comm, t.comm);
	p = ports_to(t.here, "127.0.0.2", "127.0.0.1", port);
	assert_int_equal(p->held, 1);
	p = ports_to(t.here, "0.0.0.0", "10.99.0.1", port);
	assert_int_equal(p->held, 1);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	close(other);
	close(server);
}

/* A connection in TIME_WAIT takes a port, and no process holds it. */
static void test_time_wait_holds_a_port(void **state)
{
	const uint16_t port = 7003;
	int server = serve(SOCK_STREAM, "10.99.0.1", port, false);
	int client = dial(SOCK_STREAM, "10.99.0.1", port), peer = accept(server, NULL, NULL);
	const struct rec_ports *p;
	char byte;

	(void)state;
	assert_true(peer >= 0);
	shutdown(client, SHUT_WR);
	assert_int_equal(read(peer, &byte, 1), 0);
	close(peer);
	assert_int_equal(read(client, &byte, 1), 0);
	close(client);
	p = ports_to(t.here, "0.0.0.0", "10.99.0.1", port);
	assert_int_equal(p->held, 1);
	assert_int_equal(p->time_wait, 1);
	assert_int_equal(p->top_held, 0);
	assert_int_equal(p->pid, 0);
	close(server);
}

/* IPv4 in an IPv6 socket, and IPv6 itself. */
static void test_both_families(void **state)
{
	const uint16_t port = 7004;
	int server = serve(SOCK_STREAM, "::", port, false), fds[2];

	(void)state;
	fds[0] = dial(SOCK_STREAM, "::ffff:10.99.0.1", port);
	fds[1] = dial(SOCK_STREAM, "fd99::1", port);
	assert_int_equal(ports_to(t.here, "0.0.0.0", "10.99.0.1", port)->held, 1);
	assert_int_equal(ports_to(t.here, "::", "fd99::1", port)->held, 1);
	assert_int_equal(got.rec.pid, getpid());
	close(fds[0]);
	close(fds[1]);
	close(server);
}

/* Connections from the peer's namespace to itself, of which "here" knows nothing. */
static uint16_t peer_connects(void)
{
	const uint16_t port = 7005;

	serve(SOCK_STREAM, "10.99.0.2", port, false);
	range_set();
	dial(SOCK_STREAM, "10.99.0.2", port);
	dial(SOCK_STREAM, "10.99.0.2", port);
	return port;
}

static void test_each_namespace_has_its_own(void **state)
{
	struct peer peer = peer_start(peer_connects);
	const struct rec_ports *p = ports_to(t.peer, "0.0.0.0", "10.99.0.2", peer.port);

	(void)state;
	assert_int_equal(p->held, 2);
	assert_int_equal(p->top_held, 2);
	assert_int_equal(p->pid, peer.pid);
	assert_int_equal(ports_to(t.here, "0.0.0.0", "10.99.0.2", peer.port)->held, 0);
	peer_end(&peer);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		LOOKUP_TEST(test_counts_one_destination),
		LOOKUP_TEST(test_time_wait_holds_a_port),
		LOOKUP_TEST(test_both_families),
		LOOKUP_TEST(test_each_namespace_has_its_own),
	};

	return cmocka_run_group_tests_name("lookups of ports", tests, group_setup, group_teardown);
}
