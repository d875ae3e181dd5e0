/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The netfilter queues of a namespace. A queue knows its program by the port of its netlink socket,
 * which is mostly, but needn't be, the process id; the namespace's list of netlink sockets leads from
 * the port to the socket, and that to the process.
 */
#include "enrich/lookup.h"
#include "enrich/netns.h"
#include "enrich/process.h"

#include <linux/netlink.h>

/* More queues than that, and the kernel's list of sockets up to that length, aren't looked at. */
#define QUEUES_MAX 64
#define LIST_MAX (4 * 1024 * 1024)

/* net/netfilter/nfnetlink_queue.c, seq_show. */
static bool queue_parse(const char *line, struct rec_nfqueue *ret)
{
	return sscanf(line, "%u %u %u %*u %*u %u %u", &ret->queue, &ret->portid, &ret->waiting,
		      &ret->dropped, &ret->user_dropped) == 5;
}

/* The number in column n, from 0, of a line; sscanf would first measure all the text after it. */
static uint32_t column(const char *line, int n)
{
	for (line += strspn(line, " "); n; n--) {
		line += strcspn(line, " \n");
		line += strspn(line, " ");
	}
	return (uint32_t)strtoul(line, NULL, 10);
}

/* The inode of the netlink socket of a port: net/netlink/af_netlink.c, netlink_native_seq_show. */
static uint32_t port_inode(const char *sockets, uint32_t portid)
{
	const char *line = strchrnul(sockets, '\n'); /* past the columns' names */

	for (; *line; line = strchrnul(line, '\n')) {
		line++;
		if (column(line, 1) == NETLINK_NETFILTER && column(line, 2) == portid)
			return column(line, 9);
	}
	return 0;
}

static size_t queues_read(struct rec_nfqueue *ret, struct rec_sock_info *sockets, uint32_t netns)
{
	_cleanup_free_ char *queues = NULL, *list = NULL;
	size_t n = 0;

	if (read_file("/proc/thread-self/net/netfilter/nfnetlink_queue", LIST_MAX, &queues) <= 0 ||
	    read_file("/proc/thread-self/net/netlink", LIST_MAX, &list) < 0)
		return 0;
	for (const char *line = queues; *line && n < QUEUES_MAX; line += *line == '\n') {
		if (queue_parse(line, &ret[n])) {
			sockets[n].hdr = (struct rec_hdr){
				.kind = REC_SOCK, .size = sizeof(sockets[n]), .netns = netns};
			sockets[n].inode = port_inode(list, ret[n].portid);
			n++;
		}
		line = strchrnul(line, '\n');
	}
	return n;
}

/* A kernel without the file has no queues: it belongs to the module that makes them. */
int nfqueues_answer(struct lookup *l)
{
	struct rec_nfqueue queues[QUEUES_MAX] = {0};
	struct rec_sock_info sockets[QUEUES_MAX] = {0};
	const struct question *q = l->q;
	int err = netns_enter(l->netns, q->netns);
	size_t n;

	if (err)
		return err;
	n = queues_read(queues, sockets, q->netns);
	netns_leave(l->netns);
	owners_fill(l->owners, (char *)sockets, n * sizeof(sockets[0]));
	for (size_t i = 0; i < n; i++) {
		queues[i].pid = sockets[i].pid;
		memcpy(queues[i].comm, sockets[i].comm, sizeof(queues[i].comm));
		lookup_add(l, &queues[i], REC_NFQUEUE, q->netns);
	}
	return 0;
}
