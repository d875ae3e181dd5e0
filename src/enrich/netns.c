/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/netns.h"

#include "enrich/counter.h"
#include "enrich/lookup.h"
#include "enrich/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

/*
 * A scan may take this share of the time: the next comes after so many times what the last one
 * took.
 */
#define SCAN_SHARE 4
#define SCAN_MIN_NS (10 * NSEC_PER_MSEC)
/* A question waits for its turn at most that long, and then looks all the same. */
#define SCAN_WAIT_NS (100 * NSEC_PER_MSEC)

struct netns_map {
	VEC(struct netns) v;
	int own_fd;
	uint32_t own;
	uint32_t current; /* where the thread is */
	dev_t dev;	  /* of nsfs: tells a namespace from a plain file in /run/netns */
	uint64_t next_scan_ns;
	uint64_t scanned_ns; /* when the last scan began */
	uint64_t needed_ns;  /* one must have begun after that */
};

static void netns_free(struct netns *ns)
{
	free(ns->name);
	free(ns->path);
	counter_base_free(ns->base);
}

int netns_open(struct netns_map **ret)
{
	struct netns_map *m = calloc(1, sizeof(*m));
	struct stat st;
	int err;

	if (!m)
		return -ENOMEM;
	m->own_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (m->own_fd < 0 || fstat(m->own_fd, &st) < 0) {
		err = -errno;
		netns_close(m);
		return err;
	}
	m->own = m->current = (uint32_t)st.st_ino;
	m->dev = st.st_dev;
	*ret = m;
	return 0;
}

void netns_close(struct netns_map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->v.n; i++)
		netns_free(&m->v.v[i]);
	vec_free(&m->v);
	close_fd(&m->own_fd);
	free(m);
}

static struct netns *netns_known(struct netns_map *m, uint32_t inum)
{
	for (size_t i = 0; i < m->v.n; i++)
		if (m->v.v[i].inum == inum)
			return &m->v.v[i];
	return NULL;
}

static struct netns *netns_note(struct netns_map *m, uint32_t inum)
{
	struct netns *ns = netns_known(m, inum);

	if (!ns) {
		ns = vec_push(&m->v);
		if (!ns)
			return NULL;
		ns->inum = inum;
	}
	ns->seen = true;
	return ns;
}

static void netns_set_path(struct netns *ns, const char *dir, const char *file, bool named)
{
	if (ns->path || asprintf(&ns->path, "%s/%s", dir, file) < 0)
		return;
	if (named)
		ns->name = strdup(file);
}

/* Bind mounts of namespaces: ip netns has names for them, docker only ids. */
static void dir_scan(struct netns_map *m, const char *dir, bool named)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	if (!d)
		return;
	while ((entry = readdir(d))) {
		struct netns *ns;
		struct stat st;

		if (fstatat(dirfd(d), entry->d_name, &st, 0) < 0 || st.st_dev != m->dev)
			continue;
		ns = netns_note(m, (uint32_t)st.st_ino);
		if (ns)
			netns_set_path(ns, dir, entry->d_name, named);
	}
	closedir(d);
}

uint32_t netns_of_pid(int proc_fd, const char *pid)
{
	char path[32], link[32];
	unsigned int inum = 0;
	ssize_t n;

	if ((size_t)snprintf(path, sizeof(path), "%s/ns/net", pid) >= sizeof(path))
		return 0;
	n = readlinkat(proc_fd, path, link, sizeof(link) - 1);
	if (n <= 0)
		return 0;
	link[n] = '\0';
	return sscanf(link, "net:[%u]", &inum) == 1 ? inum : 0;
}

/*
 * /proc lists processes in ascending order (fs/proc/base.c, proc_pid_readdir), so the first is the
 * lowest.
 */
static void proc_scan(struct netns_map *m)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;

	if (!d)
		return;
	while ((entry = readdir(d))) {
		uint64_t pid;
		uint32_t inum;
		struct netns *ns;

		if (parse_u64(entry->d_name, 1, UINT32_MAX, &pid))
			continue;
		inum = netns_of_pid(dirfd(d), entry->d_name);
		ns = inum ? netns_note(m, inum) : NULL;
		if (ns && !ns->pid)
			ns->pid = (uint32_t)pid;
	}
	closedir(d);
}

/* What wasn't seen again is gone. The counters' base lines of the others stay. */
static void map_sweep(struct netns_map *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->v.n; i++) {
		if (m->v.v[i].seen)
			m->v.v[kept++] = m->v.v[i];
		else
			netns_free(&m->v.v[i]);
	}
	m->v.n = kept;
}

void netns_need(struct netns_map *m, uint64_t ns)
{
	m->needed_ns = ns;
}

void netns_refresh(struct netns_map *m)
{
	uint64_t start, took;

	if (m->scanned_ns && m->scanned_ns >= m->needed_ns)
		return;
	nap_until(m->next_scan_ns, SCAN_WAIT_NS);
	start = now_mono();
	for (size_t i = 0; i < m->v.n; i++) {
		struct netns *ns = &m->v.v[i];

		free(ns->name);
		free(ns->path);
		*ns = (struct netns){.inum = ns->inum, .base = ns->base, .tried = ns->tried};
	}
	dir_scan(m, "/run/netns", true);
	dir_scan(m, "/var/run/netns", true);
	dir_scan(m, "/run/docker/netns", false);
	dir_scan(m, "/var/run/docker/netns", false);
	proc_scan(m);
	netns_note(m, m->own);
	map_sweep(m);
	took = (now_mono() - start) * SCAN_SHARE;
	m->scanned_ns = start;
	m->next_scan_ns = start + (took > SCAN_MIN_NS ? took : SCAN_MIN_NS);
}

struct netns *netns_find(struct netns_map *m, uint32_t inum)
{
	struct netns *ns = netns_known(m, inum);

	if (ns)
		return ns;
	netns_refresh(m);
	return netns_known(m, inum);
}

struct netns *netns_at(struct netns_map *m, size_t i)
{
	return i < m->v.n ? &m->v.v[i] : NULL;
}

/*
 * The paths may meanwhile lead to another namespace, or nowhere. A file descriptor or -ESRCH,
 * -EPERM….
 */
static int netns_fd(const struct netns_map *m, const struct netns *ns)
{
	char proc[32];
	struct stat st;
	int fd;

	if (!ns->path && !ns->pid)
		return -ESRCH;
	snprintf(proc, sizeof(proc), "/proc/%u/ns/net", ns->pid);
	fd = open(ns->path ? ns->path : proc, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (!fstat(fd, &st) && st.st_dev == m->dev && (uint32_t)st.st_ino == ns->inum)
		return fd;
	close(fd);
	return -ESRCH;
}

static int entry_enter(struct netns_map *m, const struct netns *ns)
{
	_cleanup_close_ int fd = -1;

	if (ns->inum == m->current)
		return 0;
	if (ns->inum == m->own) {
		netns_leave(m);
		return m->current == m->own ? 0 : -EPERM;
	}
	fd = netns_fd(m, ns);
	if (fd < 0)
		return fd;
	if (setns(fd, CLONE_NEWNET) < 0)
		return -errno;
	m->current = ns->inum;
	return 0;
}

int netns_enter(struct netns_map *m, uint32_t inum)
{
	struct netns *ns = netns_find(m, inum);
	int err = ns ? entry_enter(m, ns) : -ESRCH;

	if (!ns || err != -ESRCH)
		return err;
	netns_refresh(m); /* the process that led there is gone; another may live there too */
	ns = netns_known(m, inum);
	return ns ? entry_enter(m, ns) : -ESRCH;
}

void netns_leave(struct netns_map *m)
{
	if (m->current != m->own && !setns(m->own_fd, CLONE_NEWNET))
		m->current = m->own;
}

int netns_each(struct netns_map *m, uint32_t first, int (*fn)(void *arg, uint32_t inum), void *arg)
{
	int result = 0;

	netns_refresh(m);
	if (first) {
		result = netns_enter(m, first);
		if (!result)
			result = fn(arg, first);
	}
	for (size_t i = 0; i < m->v.n; i++) {
		const struct netns *ns = &m->v.v[i];
		int err;

		if (ns->inum == first)
			continue;
		err = entry_enter(m, ns);
		if (!err)
			err = fn(arg, ns->inum);
		if (err != -ESRCH && !result)
			result = err;
	}
	netns_leave(m);
	return result;
}

int netns_answer(struct lookup *l)
{
	const struct netns *ns = netns_find(l->netns, l->q->netns);
	struct rec_netns rec = {0};

	/* It may have been seen before it got its name: ip netns add makes it first. */
	if (ns && !ns->name) {
		netns_refresh(l->netns);
		ns = netns_known(l->netns, l->q->netns);
	}
	if (!ns)
		return -ESRCH;
	rec.pid = ns->pid;
	if (ns->name)
		str_copy(rec.name, sizeof(rec.name), ns->name);
	if (ns->pid) {
		process_comm(ns->pid, rec.comm, sizeof(rec.comm));
		process_container(ns->pid, rec.container, sizeof(rec.container));
	}
	lookup_add(l, &rec, REC_NETNS, ns->inum);
	return 0;
}
