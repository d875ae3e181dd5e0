/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets: of a tuple, of its ports, listening; and who holds them. */
#include "test_enrich.h"

#include <net/if.h>
#include <sys/stat.h>

static void check_connection(const char *server_addr, const char *dial_addr)
{
	int server = serve(SOCK_STREAM, server_addr, 0, false);
	uint16_t port = local_port(server);
	int client = dial(SOCK_STREAM, dial_addr, port), child = accept(server, NULL, NULL);
	struct rec_tuple asked = tuple(IPPROTO_TCP, dial_addr, local_port(client), dial_addr, port);

	assert_int_equal(write(client, "hello", 5), 5);
	assert_int_equal(ask_tuple(Q_SOCKETS, t.here, asked), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(count_match(SOCK_MATCH_EXACT), 2);
	for (size_t i = 0; i < t.n; i++) {
		const struct rec_sock_info *s = &t.v[i].sock;
		bool is_client = s->tuple.dport == port;

		assert_int_equal(s->hdr.netns, t.here);
		assert_int_equal(s->pid, getpid());
		assert_string_equal(s->comm, t.comm);
		assert_int_equal(s->state, TCP_ESTABLISHED);
		assert_int_equal(s->rqueue, is_client ? 0 : 5);
		assert_int_equal(s->tuple.family, asked.family);
		assert_int_not_equal(s->cookie, 0);
	}
	/* A port nobody is connected from: the listener isn't an answer. */
	asked.sport++;
	assert_int_equal(ask_tuple(Q_SOCKETS, t.here, asked), 0);
	assert_int_equal(t.n, 0);
	close(client);
	close(child);
	close(server);
}

static void test_sockets(void **state)
{
	(void)state;
	check_connection("127.0.0.1", "127.0.0.1");
	check_connection("::1", "::1");
	check_connection("::", "127.0.0.1"); /* the accepted socket is IPv6 talking IPv4 */
}

static void test_sockets_timewait(void **state)
{
	int server = serve(SOCK_STREAM, "127.0.0.1", 0, false);
	uint16_t port = local_port(server);
	int client = dial(SOCK_STREAM, "127.0.0.1", port), child = accept(server, NULL, NULL);
	struct rec_tuple asked =
		tuple(IPPROTO_TCP, "127.0.0.1", local_port(client), "127.0.0.1", port);

	(void)state;
	close(client);
	close(child);
	assert_int_equal(ask_tuple(Q_SOCKETS, t.here, asked), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].sock.state, TCP_TIME_WAIT);
	assert_int_equal(t.v[0].sock.pid, 0);
	close(server);
}

static void test_sockets_udp(void **state)
{
	int server = serve(SOCK_DGRAM, "127.0.0.1", 0, false);
	uint16_t port = local_port(server);
	int client = dial(SOCK_DGRAM, "127.0.0.1", port);
	struct rec_tuple asked =
		tuple(IPPROTO_UDP, "127.0.0.1", local_port(client), "127.0.0.1", port);

	(void)state;
	assert_int_equal(ask_tuple(Q_SOCKETS, t.here, asked), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(count_match(SOCK_MATCH_EXACT), 2); /* the bound one, too */
	close(client);
	close(server);
}

static uint16_t peer_accepts(void)
{
	static int server;

	server = serve(SOCK_STREAM, "10.99.0.2", 0, false);
	return local_port(server);
}

/* The other end is in another namespace: found there, with its process. */
static void test_sockets_other_netns(void **state)
{
	struct peer peer = peer_start(peer_accepts);
	int client = dial(SOCK_STREAM, "10.99.0.2", peer.port);
	struct rec_tuple asked =
		tuple(IPPROTO_TCP, "10.99.0.1", local_port(client), "10.99.0.2", peer.port);

	(void)state;
	assert_int_equal(ask_tuple(Q_SOCKETS, t.here, asked), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.v[0].hdr.netns, t.here);
	assert_int_equal(t.v[0].sock.pid, getpid());
	assert_int_equal(t.v[1].hdr.netns, t.peer);
	assert_int_equal(t.v[1].sock.pid, 0); /* not accepted yet: nobody's */

	/* As seen behind a NAT that the asked namespace knows nothing of. */
	asked = tuple(IPPROTO_TCP, "192.0.2.1", asked.sport, "10.99.0.2", peer.port);
	assert_int_equal(ask_tuple(Q_SOCKETS, t.here, asked), 0);
	assert_int_equal(t.n, 0);
	assert_int_equal(ask_tuple(Q_SOCKETS_BY_PORT, t.here, asked), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].sock.match, SOCK_MATCH_PORTS);
	assert_int_equal(t.v[0].sock.pid, getpid());
	/* The same, asked in the other direction. */
	asked = tuple(IPPROTO_TCP, "10.99.0.2", peer.port, "192.0.2.1", asked.sport);
	assert_int_equal(ask_tuple(Q_SOCKETS_BY_PORT, t.peer, asked), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].sock.match, SOCK_MATCH_PORTS);
	close(client);
	peer_end(&peer);
}

static enum sock_match only_match(const char *listen_addr, bool v6only, const char *dst)
{
	int server = serve(SOCK_STREAM, listen_addr, 0, v6only);
	struct rec_tuple asked = tuple(IPPROTO_TCP, dst, 1, dst, local_port(server));

	assert_int_equal(ask_tuple(Q_LISTENERS, t.here, asked), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].sock.state, TCP_LISTEN);
	assert_int_equal(t.v[0].sock.wqueue, 7);
	assert_int_equal(t.v[0].sock.pid, getpid());
	close(server);
	return t.v[0].sock.match;
}

static void test_listeners(void **state)
{
	(void)state;
	assert_int_equal(only_match("0.0.0.0", false, "10.99.0.1"), SOCK_MATCH_LISTEN);
	assert_int_equal(only_match("10.99.0.1", false, "10.99.0.1"), SOCK_MATCH_LISTEN);
	assert_int_equal(only_match("127.0.0.1", false, "10.99.0.1"), SOCK_MATCH_LISTEN_ADDR);
	assert_int_equal(only_match("0.0.0.0", false, "fd99::1"), SOCK_MATCH_LISTEN_FAMILY);
	assert_int_equal(only_match("::", false, "10.99.0.1"), SOCK_MATCH_LISTEN);
	assert_int_equal(only_match("::", true, "10.99.0.1"), SOCK_MATCH_LISTEN_FAMILY);
	assert_int_equal(only_match("::", true, "fd99::1"), SOCK_MATCH_LISTEN);
	assert_int_equal(only_match("::1", false, "fd99::1"), SOCK_MATCH_LISTEN_ADDR);
	assert_int_equal(only_match("::1", false, "10.99.0.1"), SOCK_MATCH_LISTEN_FAMILY);
	assert_int_equal(only_match("::ffff:10.99.0.1", false, "10.99.0.1"), SOCK_MATCH_LISTEN);
	assert_int_equal(only_match("::ffff:127.0.0.1", false, "10.99.0.1"),
			 SOCK_MATCH_LISTEN_ADDR);
	assert_int_equal(only_match("::ffff:10.99.0.1", false, "fd99::1"),
			 SOCK_MATCH_LISTEN_FAMILY);
}

static void test_listeners_elsewhere(void **state)
{
	struct peer peer = peer_start(peer_accepts);
	uint16_t near = peer.port > 60000 ? peer.port - 10 : peer.port + 10;
	int server = serve(SOCK_STREAM, "10.99.0.1", near, false);
	struct rec_tuple asked = tuple(IPPROTO_TCP, "10.99.0.1", 1, "10.99.0.1", peer.port);

	(void)state;
	assert_int_equal(ask_tuple(Q_LISTENERS, t.here, asked), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.v[0].sock.match, SOCK_MATCH_LISTEN_NEAR);
	assert_int_equal(t.v[0].sock.tuple.sport, near);
	assert_int_equal(t.v[1].sock.match, SOCK_MATCH_LISTEN_NETNS);
	assert_int_equal(t.v[1].hdr.netns, t.peer);
	assert_int_equal(t.v[1].sock.pid, peer.pid);
	close(server);
	peer_end(&peer);
}

static void test_listeners_udp(void **state)
{
	int server = serve(SOCK_DGRAM, "127.0.0.1", 0, false);
	struct rec_tuple asked =
		tuple(IPPROTO_UDP, "10.99.0.1", 1, "10.99.0.1", local_port(server));

	(void)state;
	assert_int_equal(ask_tuple(Q_LISTENERS, t.here, asked), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].sock.match, SOCK_MATCH_LISTEN_ADDR);
	close(server);
	asked.proto = IPPROTO_ICMP;
	assert_int_equal(ask_tuple(Q_LISTENERS, t.here, asked), -EPROTONOSUPPORT);
}

static void test_accept_queue(void **state)
{
	int server = serve(SOCK_STREAM, "127.0.0.1", 0, false), clients[3];
	uint16_t port = local_port(server);

	(void)state;
	for (int i = 0; i < 3; i++)
		clients[i] = dial(SOCK_STREAM, "127.0.0.1", port);
	assert_int_equal(ask_tuple(Q_LISTENERS, t.here,
				   tuple(IPPROTO_TCP, "127.0.0.1", 1, "127.0.0.1", port)),
			 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].sock.rqueue, 3);
	assert_int_equal(t.v[0].sock.wqueue, 7);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close(server);
}

static void bind_device(int fd, const char *ifname)
{
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, strlen(ifname) + 1),
			 0);
}

static uint16_t peer_accepts_on_device(void)
{
	static int server;

	server = serve(SOCK_STREAM, "::", 0, false);
	bind_device(server, "tw1");
	return local_port(server);
}

/* Sockets that are bound to a device are found by the packet's, or by that of their address. */
static void test_sockets_of_device(void **state)
{
	struct peer peer = peer_start(peer_accepts_on_device);
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_parse(&sa, "10.99.0.2", peer.port);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct question q = {.kind = Q_SOCKETS, .netns = t.here, .ifindex = if_nametoindex("tw0")};

	(void)state;
	bind_device(client, "tw0");
	assert_int_equal(connect(client, (struct sockaddr *)&sa, len), 0);
	q.tuple = tuple(IPPROTO_TCP, "10.99.0.1", local_port(client), "10.99.0.2", peer.port);
	assert_int_equal(ask(q), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].hdr.netns, t.here);

	addr_parse(q.tuple.src, "192.0.2.1");
	q.kind = Q_SOCKETS_BY_PORT;
	assert_int_equal(ask(q), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].hdr.netns, t.here);

	q.tuple = tuple(IPPROTO_TCP, "10.99.0.1", q.tuple.sport, "192.0.2.2", peer.port);
	assert_int_equal(ask(q), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].hdr.netns, t.peer);
	close(client);
	peer_end(&peer);
}

static void test_sockets_link_local(void **state)
{
	struct sockaddr_storage sa;
	socklen_t len;
	struct rec_tuple asked;
	int server, client;

	(void)state;
	run("ip addr add fe80::99:1/64 dev tw0 nodad");
	server = serve(SOCK_STREAM, "::", 0, false);
	len = sockaddr_parse(&sa, "fe80::99:1", local_port(server));
	((struct sockaddr_in6 *)&sa)->sin6_scope_id = if_nametoindex("tw0");
	client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, len), 0);
	asked = tuple(IPPROTO_TCP, "fe80::99:1", local_port(client), "fe80::99:1",
		      local_port(server));
	assert_int_equal(ask_tuple(Q_SOCKETS, t.here, asked), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(count_match(SOCK_MATCH_EXACT), 2);
	close(client);
	close(server);
}

static void test_owner(void **state)
{
	int fd = serve(SOCK_STREAM, "127.0.0.1", 0, false);
	struct question q = {.kind = Q_OWNER, .netns = t.here};
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	q.inode = (uint32_t)st.st_ino;
	assert_int_equal(ask(q), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].sock.match, SOCK_MATCH_OWNER);
	assert_int_equal(t.v[0].sock.pid, getpid());
	assert_string_equal(t.v[0].sock.comm, t.comm);
	close(fd);
	cache_expire();
	assert_int_equal(ask(q), 0);
	assert_int_equal(t.v[0].sock.pid, 0);
}

static void sock_count(void *arg, const struct rec_sock_info *s)
{
	assert_int_equal(s->pid, getpid());
	assert_int_equal(s->hdr.netns, t.here);
	++*(int *)arg;
}

static void test_pid_sockets(void **state)
{
	int before = 0, n = 0, tcp, udp;

	(void)state;
	assert_int_equal(enrich_pid_sockets((uint32_t)getpid(), sock_count, &before), 0);
	tcp = serve(SOCK_STREAM, "127.0.0.1", 0, false);
	udp = serve(SOCK_DGRAM, "::1", 0, false);
	assert_int_equal(enrich_pid_sockets((uint32_t)getpid(), sock_count, &n), 0);
	assert_int_equal(n, before + 2);
	assert_int_equal(enrich_pid_sockets(0x7fffffff, sock_count, &n), -ESRCH);
	close(tcp);
	close(udp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOKUP_TEST(test_sockets),
		LOOKUP_TEST(test_sockets_timewait),
		LOOKUP_TEST(test_sockets_udp),
		LOOKUP_TEST(test_sockets_other_netns),
		LOOKUP_TEST(test_listeners),
		LOOKUP_TEST(test_listeners_elsewhere),
		LOOKUP_TEST(test_listeners_udp),
		LOOKUP_TEST(test_accept_queue),
		LOOKUP_TEST(test_sockets_of_device),
		LOOKUP_TEST(test_sockets_link_local),
		LOOKUP_TEST(test_owner),
		LOOKUP_TEST(test_pid_sockets),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
