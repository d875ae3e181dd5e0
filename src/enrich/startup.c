/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the start needs to know before the event loop runs. */
#include "enrich/conntrack.h"
#include "enrich/diag.h"
#include "enrich/enrich.h"
#include "enrich/hooks.h"
#include "enrich/kmem.h"
#include "enrich/lookup.h"
#include "enrich/netns.h"
#include "enrich/process.h"
#include "enrich/thread.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/socket.h>

/* The file's inode number, if it is a network namespace. */
static int path_inum(const char *path, uint32_t *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return -EINVAL;
	*ret = (uint32_t)st.st_ino;
	return 0;
}

static int named_inum(const char *dir, const char *name, uint32_t *ret)
{
	char path[320];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
	return path_inum(path, ret);
}

int enrich_netns_inum(const char *spec, uint32_t *ret)
{
	uint64_t n;
	int err;

	if (!strncmp(spec, "pid:", 4)) {
		char path[48];

		if (parse_u64(spec + 4, 1, INT32_MAX, &n))
			return -EINVAL;
		snprintf(path, sizeof(path), "/proc/%u/ns/net", (unsigned int)n);
		return path_inum(path, ret);
	}
	if (strchr(spec, '/'))
		return path_inum(spec, ret);
	if (!*spec || !strcmp(spec, ".") || !strcmp(spec, ".."))
		return -EINVAL;
	err = named_inum("/run/netns", spec, ret);
	if (err == -ENOENT)
		err = named_inum("/var/run/netns", spec, ret);
	if (err != -ENOENT || parse_u64(spec, 1, UINT32_MAX, &n))
		return err;
	*ret = (uint32_t)n;
	return 0;
}

int enrich_self_netns(uint32_t *ret)
{
	return path_inum("/proc/thread-self/ns/net", ret);
}

/* A lookup made in a thread of its own, which may walk through namespaces. */
struct errand {
	int (*fn)(struct errand *e);
	struct netns_map *m;
	uint32_t netns;
	uint32_t pid;
	enrich_ct_fn ct;
	enrich_sock_fn sock;
	enrich_hook_fn hook;
	enrich_netns_fn ns;
	const struct config *config;
	struct nft_trace *trace;
	void *arg;
	char comm[16]; /* of pid */
	char container[80];
	VEC(uint32_t) inodes;
	int err;
};

static void *errand_main(void *arg)
{
	struct errand *e = arg;

	e->err = netns_open(&e->m);
	if (!e->err)
		e->err = e->fn(e);
	netns_close(e->m);
	return NULL;
}

static int errand_run(struct errand *e)
{
	pthread_t thread;
	int err = thread_start(&thread, "tcpwhy-errand", errand_main, e);

	if (err)
		return err;
	pthread_join(thread, NULL);
	return e->err;
}

static int ct_errand(struct errand *e)
{
	return conntrack_dump_nat(e->m, e->netns, e->ct, e->arg);
}

int enrich_ct_dump(uint32_t netns, enrich_ct_fn fn, void *arg)
{
	struct errand e = {.fn = ct_errand, .netns = netns, .ct = fn, .arg = arg};

	return errand_run(&e);
}

static int hooks_errand(struct errand *e)
{
	return hooks_dump(e->m, e->netns, e->hook, e->arg);
}

int enrich_hooks(uint32_t netns, enrich_hook_fn fn, void *arg)
{
	struct errand e = {.fn = hooks_errand, .netns = netns, .hook = fn, .arg = arg};

	return errand_run(&e);
}

static int listed_errand(struct errand *e)
{
	return hooks_listed_dump(e->m, e->netns, e->hook, e->arg);
}

int enrich_hooks_listed(uint32_t netns, enrich_hook_fn fn, void *arg)
{
	struct errand e = {.fn = listed_errand, .netns = netns, .hook = fn, .arg = arg};

	return errand_run(&e);
}

static int netns_hand_over(struct errand *e, uint32_t inum)
{
	struct question q = {.netns = inum};
	struct lookup l = {.q = &q, .netns = e->m};
	int err = netns_answer(&l);

	if (!err && !l.out.oom)
		e->ns(e->arg, (const struct rec_netns *)l.out.s);
	strbuf_free(&l.out);
	return err;
}

static int netns_errand(struct errand *e)
{
	const struct netns *ns;
	uint32_t own;
	int err = enrich_self_netns(&own);

	if (err || e->netns)
		return err ? err : netns_hand_over(e, e->netns);
	netns_refresh(e->m);
	err = netns_hand_over(e, own);
	for (size_t i = 0; !err && (ns = netns_at(e->m, i)); i++)
		if (ns->inum != own)
			(void)netns_hand_over(e, ns->inum);
	return err;
}

int enrich_netns_list(uint32_t netns, enrich_netns_fn fn, void *arg)
{
	struct errand e = {.fn = netns_errand, .netns = netns, .ns = fn, .arg = arg};

	return errand_run(&e);
}

int enrich_prepare(void)
{
	return kmem_open();
}

static int inode_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static bool inode_note(void *arg, uint32_t inode, uint32_t fd)
{
	struct errand *e = arg;
	uint32_t *slot = vec_push(&e->inodes);

	(void)fd;
	if (slot)
		*slot = inode;
	return !slot;
}

static void sock_hand_over(void *arg, const struct diag_sock *s)
{
	struct errand *e = arg;
	struct rec_sock_info rec = s->rec;

	if (!bsearch(&rec.inode, e->inodes.v, e->inodes.n, sizeof(rec.inode), inode_compare))
		return;
	rec.hdr.netns = e->netns;
	rec.pid = e->pid;
	memcpy(rec.comm, e->comm, sizeof(rec.comm));
	memcpy(rec.container, e->container, sizeof(rec.container));
	e->sock(e->arg, &rec);
}

static int socks_dump(struct errand *e)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	static const uint8_t families[] = {AF_INET, AF_INET6};
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_SOCK_DIAG);

	for (size_t i = 0; !err && i < 4; i++)
		err = diag_dump(&nl, protos[i / 2], families[i % 2], ~0u, NULL, sock_hand_over, e);
	return err;
}

static int socks_errand(struct errand *e)
{
	_cleanup_close_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char pid[16];
	int err;

	if (proc_fd < 0)
		return -errno;
	snprintf(pid, sizeof(pid), "%u", e->pid);
	e->netns = netns_of_pid(proc_fd, pid);
	if (!e->netns)
		return -ESRCH;
	process_sockets(proc_fd, pid, inode_note, e);
	if (!e->inodes.n)
		return 0;
	qsort(e->inodes.v, e->inodes.n, sizeof(*e->inodes.v), inode_compare);
	process_comm(e->pid, e->comm, sizeof(e->comm));
	process_container(e->pid, e->container, sizeof(e->container));
	err = netns_enter(e->m, e->netns);
	return err ? err : socks_dump(e);
}

int enrich_pid_sockets(uint32_t pid, enrich_sock_fn fn, void *arg)
{
	struct errand e = {.fn = socks_errand, .pid = pid, .sock = fn, .arg = arg};
	int err = errand_run(&e);

	vec_free(&e.inodes);
	return err;
}

static int trace_errand(struct errand *e)
{
	return nft_trace_open(e->m, e->netns, e->config, &e->trace, e->arg);
}

int enrich_nft_trace(uint32_t netns, const struct config *c, struct nft_trace **ret,
		     struct strbuf *why)
{
	struct errand e = {.fn = trace_errand, .netns = netns, .config = c, .arg = why};
	int err = errand_run(&e);

	*ret = e.trace;
	return err;
}
