/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which process holds a socket, and in which container it runs. */
#ifndef TCPWHY_ENRICH_PROCESS_H
#define TCPWHY_ENRICH_PROCESS_H

#include "abi/record.h"
#include "base/base.h"

struct owner_cache;

int owners_open(struct owner_cache **ret);
void owners_close(struct owner_cache *c);

/*
 * Fills pid, comm and container of every socket among the records in buf (len bytes, headers
 * complete) that has an inode: the lowest process that holds it. What can't be found (no process,
 * no permission, too much looking lately) stays 0 and empty.
 */
void owners_fill(struct owner_cache *c, char *buf, size_t len);

/*
 * Fill comm (16 bytes) and container (80 bytes, see container.h); both empty if the process is
 * gone.
 */
void process_comm(uint32_t pid, char *comm, size_t size);
void process_container(uint32_t pid, char *container, size_t size);

/*
 * Calls fn with the inode and file descriptor of each socket that pid (a name in /proc) holds,
 * until it returns true.
 */
bool process_sockets(int proc_fd, const char *pid,
		     bool (*fn)(void *arg, uint32_t inode, uint32_t fd), void *arg);

#endif
