/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who holds the local ports of a namespace that lead to one address and port. */
#include "enrich/diag.h"
#include "enrich/lookup.h"
#include "enrich/netns.h"
#include "enrich/process.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define RANGE "/proc/sys/net/ipv4/ip_local_port_range"

struct held {
	uint32_t inode;
	uint32_t pid; /* the last that it was counted for */
};

struct count {
	const struct rec_tuple *to;
	struct rec_ports rec;
	uint8_t seen[1 << 13]; /* a bit for each port */
	VEC(struct held) sockets;
	uint32_t pid, pid_holds;
};

static void count_socket(void *arg, const struct diag_sock *s)
{
	const struct rec_tuple *t = &s->rec.tuple;
	struct count *c = arg;
	uint8_t bit = (uint8_t)(1 << t->sport % 8);
	struct held *held;

	if (t->sport < c->rec.low || t->sport > c->rec.high || t->dport != c->to->dport ||
	    !addr_equal(t->dst, c->to->dst) ||
	    (!addr_is_any(c->to->src) && !addr_equal(t->src, c->to->src)))
		return;
	if (c->seen[t->sport / 8] & bit)
		return;
	c->seen[t->sport / 8] |= bit;
	c->rec.held++;
	c->rec.time_wait += s->rec.state == TCP_TIME_WAIT;
	held = s->rec.inode ? vec_push(&c->sockets) : NULL;
	if (held)
		*held = (struct held){.inode = s->rec.inode};
}

static int range_read(struct rec_ports *ret)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(RANGE, 64, &text);

	if (n < 0)
		return (int)n;
	return sscanf(text, "%hu %hu", &ret->low, &ret->high) == 2 ? 0 : -EINVAL;
}

static int sockets_count(struct count *c)
{
	struct diag_filter filter;
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_SOCK_DIAG);

	diag_filter_remote(&filter, c->to->dport);
	if (!err)
		err = range_read(&c->rec);
	if (!err && addr_is_v4(c->to->dst))
		err = diag_dump(&nl, IPPROTO_TCP, AF_INET, ~(1u << TCP_LISTEN), &filter,
				count_socket, c);
	if (!err)
		err = diag_dump(&nl, IPPROTO_TCP, AF_INET6, ~(1u << TCP_LISTEN), &filter,
				count_socket, c);
	return err;
}

static int by_inode(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static bool count_held(void *arg, uint32_t inode, uint32_t fd)
{
	const struct held key = {.inode = inode};
	struct count *c = arg;
	struct held *held = bsearch(&key, c->sockets.v, c->sockets.n, sizeof(key), by_inode);

	(void)fd;
	if (held && held->pid != c->pid) {
		held->pid = c->pid;
		c->pid_holds++;
	}
	return false;
}

/* Only processes that live in the namespace: a connect() of another's is rare. */
static void holders_count(struct count *c, uint32_t netns)
{
	DIR *d = c->sockets.n ? opendir("/proc") : NULL;
	struct dirent *entry;

	if (!d)
		return;
	qsort(c->sockets.v, c->sockets.n, sizeof(c->sockets.v[0]), by_inode);
	while ((entry = readdir(d))) {
		uint64_t pid;

		if (parse_u64(entry->d_name, 1, UINT32_MAX, &pid) ||
		    netns_of_pid(dirfd(d), entry->d_name) != netns)
			continue;
		c->pid = (uint32_t)pid;
		c->pid_holds = 0;
		process_sockets(dirfd(d), entry->d_name, count_held, c);
		if (c->pid_holds <= c->rec.top_held)
			continue;
		c->rec.top_held = c->pid_holds;
		c->rec.pid = c->pid;
	}
	closedir(d);
}

int ports_answer(struct lookup *l)
{
	struct count *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->to = &l->q->tuple;
	err = netns_enter(l->netns, l->q->netns);
	if (!err)
		err = sockets_count(c);
	netns_leave(l->netns);
	if (!err) {
		holders_count(c, l->q->netns);
		if (c->rec.pid) {
			process_comm(c->rec.pid, c->rec.comm, sizeof(c->rec.comm));
			process_container(c->rec.pid, c->rec.container, sizeof(c->rec.container));
		}
		lookup_add(l, &c->rec, REC_PORTS, l->q->netns);
	}
	vec_free(&c->sockets);
	free(c);
	return err;
}
