/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of real lookups share: two network namespaces of their own, "here", where the test
 * itself moves to, and "peer", known by a name of ip netns in a /run of the test's own. A veth pair
 * joins them: tw0 10.99.0.1 and fd99::1, tw1 10.99.0.2 and fd99::2. Where that can't be had (not
 * root), the tests are skipped.
 */
#ifndef TEST_ENRICH_H
#define TEST_ENRICH_H

/* clang-format off: cmocka wants these before itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "base/base.h"
#include "enrich/enrich.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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

/* ---- asking ---------------------------------------------------------------------------------- */

static inline void answer_keep(void *arg, const struct rec_hdr *rec)
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

static inline void answers_wait(size_t ends)
{
	struct pollfd pfd = {.fd = enrich_fd(t.e), .events = POLLIN};

	while (t.ends < ends) {
		assert_int_equal(poll(&pfd, 1, 10000), 1);
		enrich_take(t.e, answer_keep, NULL);
	}
}

/* Asks and waits; returns the answer's err. */
static inline int ask(struct question q)
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
static inline void cache_expire(void)
{
	usleep(60000);
}

static inline void addr_parse(uint8_t ret[16], const char *text)
{
	char mapped[64];

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	assert_int_equal(inet_pton(AF_INET6, mapped, ret), 1);
}

static inline struct rec_tuple tuple(uint8_t proto, const char *src, uint16_t sport,
				     const char *dst, uint16_t dport)
{
	struct rec_tuple r = {.sport = sport, .dport = dport, .proto = proto};

	r.family = strchr(src, ':') ? 6 : 4;
	addr_parse(r.src, src);
	addr_parse(r.dst, dst);
	return r;
}

static inline int ask_tuple(enum question_kind kind, uint32_t netns, struct rec_tuple tuple)
{
	cache_expire();
	return ask((struct question){.kind = kind, .netns = netns, .tuple = tuple});
}

static inline int ask_name(enum question_kind kind, uint32_t netns, const char *name)
{
	struct question q = {.kind = kind, .netns = netns};

	cache_expire();
	str_copy(q.name, sizeof(q.name), name);
	return ask(q);
}

static inline size_t count_match(enum sock_match match)
{
	size_t n = 0;

	for (size_t i = 0; i < t.n; i++)
		n += t.v[i].sock.match == match;
	return n;
}

/* ---- sockets --------------------------------------------------------------------------------- */

static inline socklen_t sockaddr_parse(struct sockaddr_storage *ret, const char *addr,
				       uint16_t port)
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

static inline uint16_t local_port(int fd)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin6_port);
}

/* Listens (TCP) or is bound (UDP); v6only of AF_INET6 sockets. */
static inline int serve(int type, const char *addr, uint16_t port, bool v6only)
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

static inline int dial(int type, const char *addr, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_parse(&sa, addr, port);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

/* ---- surroundings ---------------------------------------------------------------------------- */

static inline void run(const char *command)
{
	if (system(command))
		fail_msg("failed: %s", command);
}

static inline const char *surroundings_make(void)
{
	if (geteuid())
		return "not root";
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return "no namespaces here";
	if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/run", "tmpfs", 0, NULL) < 0)
		return "can't mount";
	if (system("ip -V >/dev/null 2>&1"))
		return "no ip(8)";
	if (system("ip netns add tw-peer && ip link set lo up && ip -n tw-peer link set lo up && "
		   "ip link add tw0 type veth peer name tw1 netns tw-peer"))
		return "can't make namespaces with ip(8)";
	return NULL;
}

static inline int group_setup(void **state)
{
	(void)state;
	t.skip = surroundings_make();
	if (t.skip) {
		print_message("# lookups skipped: %s\n", t.skip);
		return 0;
	}
	run("ip addr add 10.99.0.1/24 dev tw0 && ip addr add fd99::1/64 dev tw0 nodad && ip link "
	    "set tw0 up &&"
	    "ip -n tw-peer addr add 10.99.0.2/24 dev tw1 && ip -n tw-peer addr add fd99::2/64 dev "
	    "tw1 nodad &&"
	    "ip -n tw-peer link set tw1 up");
	prctl(PR_GET_NAME, t.comm);
	if (enrich_self_netns(&t.here) || enrich_netns_inum("tw-peer", &t.peer) ||
	    enrich_open(&t.e))
		return -1;
	return 0;
}

static inline int group_teardown(void **state)
{
	(void)state;
	enrich_close(t.e);
	return 0;
}

static inline void lookup_test(void **state)
{
	void (*fn)(void **state) = *state;

	if (!t.skip)
		fn(state);
}

#define LOOKUP_TEST(fn)                                                    \
	{                                                                  \
		.name = #fn, .test_func = lookup_test, .initial_state = fn \
	}

/*
 * Runs fn in a child that lives in the peer namespace, until peer_end. fn returns the sockets'
 * port.
 */
struct peer {
	pid_t pid;
	int go; /* closing it ends the child */
	uint16_t port;
};

static inline struct peer peer_start(uint16_t (*fn)(void))
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

static inline void peer_end(struct peer *p)
{
	int status;

	close(p->go);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	assert_int_equal(status, 0);
}

#endif
