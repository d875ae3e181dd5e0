/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network namespaces of this machine, by inode number. A namespace is remembered by a path to
 * it and never by an open file, because that would keep the namespace of a dead container alive,
 * its addresses answering.
 */
#ifndef TCPWHY_ENRICH_NETNS_H
#define TCPWHY_ENRICH_NETNS_H

#include "base/base.h"

struct counter_base;

struct netns {
	uint32_t inum;
	uint32_t pid;		   /* the lowest process that lives there, 0 none */
	bool seen;		   /* by the scan under way */
	bool tried;		   /* to read its counters: see counter.h */
	char *name;		   /* of ip netns, or NULL */
	char *path;		   /* a file below /run, or NULL: /proc/PID/ns/net */
	struct counter_base *base; /* see counter.h; freed with the entry */
};

struct netns_map;

/*
 * An empty map; all else is for one thread only, one that lives in the caller's namespace. 0 or a
 * negative errno.
 */
int netns_open(struct netns_map **ret);
void netns_close(struct netns_map *m);

/* What is asked from now on happened then (CLOCK_MONOTONIC): an older look is not enough. */
void netns_need(struct netns_map *m, uint64_t ns);

/*
 * Looks for new and vanished namespaces, unless the last look is young enough for what is needed.
 * Looking may take a quarter of the time: it waits for its turn, up to 100 ms.
 */
void netns_refresh(struct netns_map *m);

/*
 * The entry of inum, after a refresh if it isn't known; NULL if there is no such namespace. Valid
 * until a refresh.
 */
struct netns *netns_find(struct netns_map *m, uint32_t inum);

/* The i-th known namespace, NULL after the last. */
struct netns *netns_at(struct netns_map *m, size_t i);

/* Moves the calling thread (no other) into a namespace. 0; -ESRCH if it is gone, -EPERM… */
int netns_enter(struct netns_map *m, uint32_t inum);
/* Moves it back. */
void netns_leave(struct netns_map *m);

/*
 * Calls fn in every known namespace, `first` before all others, and moves back. Namespaces that
 * vanished meanwhile are skipped. Returns the first error of entering or of fn; -ESRCH if there is
 * no namespace `first` (0: no preference). fn must not make the map look for namespaces.
 */
int netns_each(struct netns_map *m, uint32_t first, int (*fn)(void *arg, uint32_t inum), void *arg);

/*
 * The namespace of a process, by the name of its directory in /proc (proc_fd): the inode number, 0
 * if unknown.
 */
uint32_t netns_of_pid(int proc_fd, const char *pid);

#endif
