/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real lookups, in two network namespaces of this test's own: "here", where the test itself moves to, and "peer", known
 * by a name of ip netns in a /run of this test's own. A veth pair joins them: tw0 10.99.0.1, tw1 10.99.0.2.
 */
/* clang-format off: cmocka wants these before itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "base/base.h"
#include "enrich/enrich.h"
#include "enrich/sysctl.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ANSWERS_MAX 64

static struct {
	struct enrich *e;
	uint32_t here, peer;
	char comm[16];	  /* of this test */
	const char *skip; /* why no lookup can be tested here */
	/* the last answer */
	union answer {
		struct rec_hdr hdr;
		struct rec_sock_info sock;
		struct rec_ct ct;
		struct rec_netns netns;
		struct rec_route route;
		struct rec_neigh neigh;
		struct rec_sysctl sysctl;
		struct rec_counter counter;
	} v[ANSWERS_MAX];
	size_t n;
	struct rec_answer end;
	uint64_t next_id;
	size_t ends;
} t;

/* ---- asking ---- */

static void answer_keep(void *arg, const struct rec_hdr *rec)
{
	(void)arg;
	assert_int_equal(rec->magic, REC_MAGIC);
	assert_int_not_equal(rec->mono_ns, 0);
	assert_int_not_equal(rec->wall_ns, 0);
	if (rec->kind == REC_ANSWER) {
		assert_int_equal(rec->size, sizeof(t.end));
		memcpy(&t.end, rec, sizeof(t.end));
		t.ends++;
		return;
	}
	assert_true(t.n < ANSWERS_MAX && rec->size <= sizeof(t.v[0]));
	memcpy(&t.v[t.n++], rec, rec->size);
	assert_int_equal(t.v[t.n - 1].sock.question, t.next_id);
}

static void answers_wait(size_t ends)
{
	struct pollfd pfd = {.fd = enrich_fd(t.e), .events = POLLIN};

	while (t.ends < ends) {
		assert_int_equal(poll(&pfd, 1, 10000), 1);
		enrich_take(t.e, answer_keep, NULL);
	}
}

/* Asks and waits; returns the answer's err. */
static int ask(struct question q)
{
	q.id = ++t.next_id;
	q.event_ns = now_mono();
	t.n = t.ends = 0;
	assert_int_equal(enrich_ask(t.e, &q), 0);
	answers_wait(1);
	assert_int_equal(t.end.question, q.id);
	assert_int_equal(t.end.what, q.kind);
	assert_int_equal(t.end.count, t.n);
	assert_int_equal(t.end.asked_ns, q.event_ns);
	return t.end.err;
}

/* Lets the worker's cache of answers (50 ms) expire. */
static void cache_expire(void)
{
	usleep(60000);
}

static void addr_parse(uint8_t ret[16], const char *text)
{
	char mapped[64];

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	assert_int_equal(inet_pton(AF_INET6, mapped, ret), 1);
}

static struct rec_tuple tuple(uint8_t proto, const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	struct rec_tuple r = {.sport = sport, .dport = dport, .proto = proto};

	r.family = strchr(src, ':') ? 6 : 4;
	addr_parse(r.src, src);
	addr_parse(r.dst, dst);
	return r;
}

static int ask_tuple(enum question_kind kind, uint32_t netns, struct rec_tuple tuple)
{
	cache_expire();
	return ask((struct question){.kind = kind, .netns = netns, .tuple = tuple});
}

static size_t count_match(enum sock_match match)
{
	size_t n = 0;

	for (size_t i = 0; i < t.n; i++)
		n += t.v[i].sock.match == match;
	return n;
}

/* ---- sockets ---- */

static socklen_t sockaddr_parse(struct sockaddr_storage *ret, const char *addr, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (strchr(addr, ':')) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, addr, &in6->sin6_addr), 1);
		return sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	assert_int_equal(inet_pton(AF_INET, addr, &in->sin_addr), 1);
	return sizeof(*in);
}

static uint16_t local_port(int fd)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin6_port);
}

/* Listens (TCP) or is bound (UDP); v6only of AF_INET6 sockets. */
static int serve(int type, const char *addr, uint16_t port, bool v6only)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_parse(&sa, addr, port);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (v6only)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 7), 0);
	return fd;
}

static int dial(int type, const char *addr, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_parse(&sa, addr, port);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

/* ---- surroundings ---- */

static void run(const char *command)
{
	if (system(command))
		fail_msg("failed: %s", command);
}

static const char *surroundings_make(void)
{
	if (geteuid())
		return "not root";
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return "no namespaces here";
	if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 || mount("none", "/run", "tmpfs", 0, NULL) < 0)
		return "can't mount";
	if (system("ip -V >/dev/null 2>&1"))
		return "no ip(8)";
	if (system("ip netns add tw-peer && ip link set lo up && ip -n tw-peer link set lo up && "
		   "ip link add tw0 type veth peer name tw1 netns tw-peer"))
		return "can't make namespaces with ip(8)";
	return NULL;
}

static int group_setup(void **state)
{
	(void)state;
	t.skip = surroundings_make();
	if (t.skip) {
		print_message("# lookups skipped: %s\n", t.skip);
		return 0;
	}
	run("ip addr add 10.99.0.1/24 dev tw0 && ip addr add fd99::1/64 dev tw0 nodad && ip link set tw0 up &&"
	    "ip -n tw-peer addr add 10.99.0.2/24 dev tw1 && ip -n tw-peer addr add fd99::2/64 dev tw1 nodad &&"
	    "ip -n tw-peer link set tw1 up");
	prctl(PR_GET_NAME, t.comm);
	if (enrich_self_netns(&t.here) || enrich_netns_inum("tw-peer", &t.peer) || enrich_open(&t.e))
		return -1;
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	enrich_close(t.e);
	return 0;
}

static void lookup_test(void **state)
{
	void (*fn)(void **state) = *state;

	if (t.skip)
		skip();
	fn(state);
}

#define LOOKUP_TEST(fn) {.name = #fn, .test_func = lookup_test, .initial_state = fn}

/* Runs fn in a child that lives in the peer namespace, until peer_end. fn returns the sockets' port. */
struct peer {
	pid_t pid;
	int go; /* closing it ends the child */
	uint16_t port;
};

static struct peer peer_start(uint16_t (*fn)(void))
{
	struct peer p;
	int up[2], down[2];

	assert_int_equal(pipe2(up, O_CLOEXEC) | pipe2(down, O_CLOEXEC), 0);
	p.pid = fork();
	if (!p.pid) {
		int fd = open("/run/netns/tw-peer", O_RDONLY | O_CLOEXEC);
		uint16_t port;

		close(down[1]);
		if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
			_exit(1);
		port = fn();
		if (write(up[1], &port, sizeof(port)) < 0 || read(down[0], &port, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(up[1]);
	close(down[0]);
	p.go = down[1];
	assert_int_equal(read(up[0], &p.port, sizeof(p.port)), sizeof(p.port));
	close(up[0]);
	return p;
}

static void peer_end(struct peer *p)
{
	int status;

	close(p->go);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	assert_int_equal(status, 0);
}

/* ---- tests ---- */

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
	struct rec_tuple asked = tuple(IPPROTO_TCP, "127.0.0.1", local_port(client), "127.0.0.1", port);

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
	struct rec_tuple asked = tuple(IPPROTO_UDP, "127.0.0.1", local_port(client), "127.0.0.1", port);

	(void)state;
	assert_int_equal(ask_tuple(Q_SOCKETS, t.here, asked), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(count_match(SOCK_MATCH_EXACT), 1);
	assert_int_equal(count_match(SOCK_MATCH_LISTEN), 1);
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
	struct rec_tuple asked = tuple(IPPROTO_TCP, "10.99.0.1", local_port(client), "10.99.0.2", peer.port);

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
	assert_int_equal(only_match("::ffff:127.0.0.1", false, "10.99.0.1"), SOCK_MATCH_LISTEN_ADDR);
	assert_int_equal(only_match("::ffff:10.99.0.1", false, "fd99::1"), SOCK_MATCH_LISTEN_FAMILY);
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
	struct rec_tuple asked = tuple(IPPROTO_UDP, "10.99.0.1", 1, "10.99.0.1", local_port(server));

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
	assert_int_equal(ask_tuple(Q_LISTENERS, t.here, tuple(IPPROTO_TCP, "127.0.0.1", 1, "127.0.0.1", port)), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v[0].sock.rqueue, 3);
	assert_int_equal(t.v[0].sock.wqueue, 7);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close(server);
}

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
		print_message("conntrack: skipped: no conntrack or no nft(8)\n");
		close(server);
		skip();
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

static void assert_route(const char *dst, int err, int type, const char *gateway, const char *ifname)
{
	struct rec_tuple asked = tuple(IPPROTO_TCP, strchr(dst, ':') ? "fd99::1" : "10.99.0.1", 1000, dst, 80);
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
	    "ip -6 route add 2001:db8:9::/64 via fd99::2 && ip -6 route add blackhole 2001:db8::1 &&"
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
	run("echo 0 >/proc/sys/net/ipv4/ip_forward");
}

static int ask_name(enum question_kind kind, uint32_t netns, const char *name)
{
	struct question q = {.kind = kind, .netns = netns};

	cache_expire();
	str_copy(q.name, sizeof(q.name), name);
	return ask(q);
}

static void test_sysctl_path(void **state)
{
	static const char *const bad[] = {"", ".", "..", "net..x", "/etc/passwd", "a/b", "a.../b", ".net", "net."};
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
	assert_int_equal(enrich_ct_dump(t.peer, nat_keep, NULL), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sysctl_path),
		LOOKUP_TEST(test_netns),
		LOOKUP_TEST(test_netns_spec),
		LOOKUP_TEST(test_sockets),
		LOOKUP_TEST(test_sockets_timewait),
		LOOKUP_TEST(test_sockets_udp),
		LOOKUP_TEST(test_sockets_other_netns),
		LOOKUP_TEST(test_listeners),
		LOOKUP_TEST(test_listeners_elsewhere),
		LOOKUP_TEST(test_listeners_udp),
		LOOKUP_TEST(test_accept_queue),
		LOOKUP_TEST(test_conntrack),
		LOOKUP_TEST(test_route),
		LOOKUP_TEST(test_route_back),
		LOOKUP_TEST(test_route_forwarded),
		LOOKUP_TEST(test_sysctl),
		LOOKUP_TEST(test_counter),
		LOOKUP_TEST(test_cache),
		LOOKUP_TEST(test_flood),
		LOOKUP_TEST(test_bad_question),
		LOOKUP_TEST(test_pid_sockets),
		LOOKUP_TEST(test_netns_vanishes),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
