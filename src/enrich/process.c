/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel doesn't tell who holds a socket, so /proc/PID/fd of all processes has to be walked.
 * Answers are kept with the file descriptor: a single readlink tells whether they still hold.
 */
#include "enrich/process.h"

#include "enrich/container.h"
#include "enrich/lookup.h"
#include "enrich/netns.h"

#include <dirent.h>
#include <fcntl.h>

#define CACHE_MAX 256
#define WANTED_MAX 128

/* Walking may take a fifth of the time, and 200 ms at once. */
#define WALK_SHARE 5
#define WALK_BURST_NS (200 * NSEC_PER_MSEC)
/* A question waits for its turn at most that long, and then walks all the same. */
#define WALK_WAIT_NS (150 * NSEC_PER_MSEC)

struct owner {
	uint32_t inode;
	uint32_t pid;
	uint32_t fd;
};

struct owner_cache {
	struct owner v[CACHE_MAX]; /* a ring */
	size_t next;
	int64_t credit_ns; /* of walking */
	uint64_t credited_ns;
};

struct walk {
	struct owner wanted[WANTED_MAX]; /* pid 0: not found yet */
	uint32_t netns[WANTED_MAX];
	size_t n, missing;
	uint32_t pid; /* being looked at */
};

int owners_open(struct owner_cache **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->credit_ns = WALK_BURST_NS;
	return 0;
}

void owners_close(struct owner_cache *c)
{
	free(c);
}

void process_comm(uint32_t pid, char *comm, size_t size)
{
	_cleanup_free_ char *text = NULL;
	char path[32];

	comm[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	if (read_file(path, 64, &text) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	str_copy(comm, size, text);
}

void process_container(uint32_t pid, char *container, size_t size)
{
	_cleanup_free_ char *text = NULL;
	char path[32];

	container[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%u/cgroup", pid);
	if (read_file(path, 16384, &text) >= 0)
		container_parse(text, container, size);
}

/* The inode behind a link "socket:[123]", 0 if it is none. */
static uint32_t socket_inode(int dir_fd, const char *name)
{
	char link[32];
	unsigned int inode = 0;
	ssize_t n = readlinkat(dir_fd, name, link, sizeof(link) - 1);

	if (n <= 0)
		return 0;
	link[n] = '\0';
	return sscanf(link, "socket:[%u]", &inode) == 1 ? inode : 0;
}

bool process_sockets(int proc_fd, const char *pid,
		     bool (*fn)(void *arg, uint32_t inode, uint32_t fd), void *arg)
{
	struct dirent *entry;
	bool stop = false;
	char path[32];
	DIR *d;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/fd", pid) >= sizeof(path))
		return false;
	fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return false;
	}
	while (!stop && (entry = readdir(d))) {
		uint32_t inode =
			entry->d_name[0] == '.' ? 0 : socket_inode(dirfd(d), entry->d_name);
		uint64_t n;

		if (inode && !parse_u64(entry->d_name, 0, UINT32_MAX, &n))
			stop = fn(arg, inode, (uint32_t)n);
	}
	closedir(d);
	return stop;
}

static bool walk_socket(void *arg, uint32_t inode, uint32_t fd)
{
	struct walk *w = arg;

	for (size_t i = 0; i < w->n; i++) {
		if (w->wanted[i].inode != inode || w->wanted[i].pid)
			continue;
		w->wanted[i] = (struct owner){inode, w->pid, fd};
		w->missing--;
	}
	return !w->missing;
}

/* Is this the namespace of a socket that is still missing? */
static bool walk_wants(const struct walk *w, uint32_t netns)
{
	for (size_t i = 0; i < w->n; i++)
		if (!w->wanted[i].pid && w->netns[i] == netns)
			return true;
	return false;
}

/*
 * Most sockets are held by a process of their own namespace, so those are looked at first; the
 * others (inetd-like servers, sockets passed on) in a second walk.
 */
static void walk_proc(struct walk *w, bool at_home)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;
	bool done = false;

	if (!d)
		return;
	while (!done && (entry = readdir(d))) {
		uint64_t pid;

		if (parse_u64(entry->d_name, 1, UINT32_MAX, &pid))
			continue;
		if (walk_wants(w, netns_of_pid(dirfd(d), entry->d_name)) != at_home)
			continue;
		w->pid = (uint32_t)pid;
		done = process_sockets(dirfd(d), entry->d_name, walk_socket, w);
	}
	closedir(d);
}

static void walk_wait(struct owner_cache *c)
{
	uint64_t now = now_mono();

	c->credit_ns += (int64_t)((now - c->credited_ns) / WALK_SHARE);
	if (c->credit_ns > (int64_t)WALK_BURST_NS || !c->credited_ns)
		c->credit_ns = WALK_BURST_NS;
	c->credited_ns = now;
	/* Its turn comes when the debt is paid off. */
	if (c->credit_ns < 0)
		nap_until(now + (uint64_t)-c->credit_ns * WALK_SHARE, WALK_WAIT_NS);
}

static void walk_all(struct owner_cache *c, struct walk *w)
{
	uint64_t start;

	for (int at_home = 1; at_home >= 0 && w->missing; at_home--) {
		walk_wait(c);
		start = now_mono();
		walk_proc(w, at_home);
		c->credit_ns -= (int64_t)(now_mono() - start);
	}
}

static uint32_t cache_find(const struct owner_cache *c, uint32_t inode)
{
	for (size_t i = 0; i < CACHE_MAX; i++) {
		char path[48];

		if (c->v[i].inode != inode)
			continue;
		snprintf(path, sizeof(path), "/proc/%u/fd/%u", c->v[i].pid, c->v[i].fd);
		if (socket_inode(AT_FDCWD, path) == inode)
			return c->v[i].pid;
	}
	return 0;
}

static void sock_fill(struct rec_sock_info *s, uint32_t pid)
{
	s->pid = pid;
	process_comm(pid, s->comm, sizeof(s->comm));
	process_container(pid, s->container, sizeof(s->container));
}

/* The sockets among the records, one after the other; NULL after the last. */
static struct rec_sock_info *sock_next(char *buf, size_t len, size_t *at)
{
	while (*at < len) {
		struct rec_hdr *hdr = (struct rec_hdr *)(buf + *at);

		*at += hdr->size;
		if (hdr->kind == REC_SOCK)
			return (struct rec_sock_info *)hdr;
	}
	return NULL;
}

void owners_fill(struct owner_cache *c, char *buf, size_t len)
{
	struct rec_sock_info *s;
	struct walk w = {0};

	for (size_t at = 0; (s = sock_next(buf, len, &at));) {
		uint32_t pid = s->inode ? cache_find(c, s->inode) : 0;

		if (pid) {
			sock_fill(s, pid);
		} else if (s->inode && w.n < WANTED_MAX) {
			w.wanted[w.n].inode = s->inode;
			w.netns[w.n++] = s->hdr.netns;
			w.missing++;
		}
	}
	if (!w.missing)
		return;
	walk_all(c, &w);
	for (size_t at = 0, i; (s = sock_next(buf, len, &at));) {
		for (i = 0; i < w.n && (w.wanted[i].inode != s->inode || !w.wanted[i].pid); i++)
			;
		if (s->pid || i == w.n)
			continue;
		sock_fill(s, w.wanted[i].pid);
		c->v[c->next++ % CACHE_MAX] = w.wanted[i];
	}
}

/* A socket's inode is known from an event: nothing else of it is asked. */
int owner_answer(struct lookup *l)
{
	struct rec_sock_info rec = {
		.inode = l->q->inode, .match = SOCK_MATCH_OWNER, .tuple = l->q->tuple};

	lookup_add(l, &rec, REC_SOCK, l->q->netns);
	owners_fill(l->owners, l->out.s, l->out.len);
	return 0;
}
