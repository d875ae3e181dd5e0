/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's socket tables of one network namespace through sock_diag, as records. */
#ifndef TCPWHY_ENRICH_DIAG_H
#define TCPWHY_ENRICH_DIAG_H

#include "abi/record.h"
#include "enrich/netlink.h"

#include <linux/inet_diag.h>

struct diag_sock {
	struct rec_sock_info
		rec; /* without header, question, match and owner; tuple.src is the local side */
	uint32_t bound_if;
	uint16_t family; /* AF_INET, AF_INET6: an AF_INET6 socket may talk IPv4 */
};

typedef void (*diag_fn)(void *arg, const struct diag_sock *s);

/* A test that the kernel makes on each socket's ports before it reports it. */
struct diag_filter {
	struct inet_diag_bc_op ops[9];
	size_t n;
};

/*
 * Local port within [lo, hi]; local and remote port are a and b, in either order; remote port. Host
 * byte order.
 */
void diag_filter_local(struct diag_filter *f, uint16_t lo, uint16_t hi);
void diag_filter_pair(struct diag_filter *f, uint16_t a, uint16_t b);
void diag_filter_remote(struct diag_filter *f, uint16_t port);

/*
 * nl: an open NETLINK_SOCK_DIAG socket. The one socket that would get a packet to local.src from
 * local.dst, without walking a table; for TCP the kernel falls back to a listening socket, so look
 * at what came. ifindex: the device it arrives by; 0 doesn't find sockets that are bound to a
 * device. 0, -ENOENT, or another negative errno.
 */
int diag_find(struct nl *nl, const struct rec_tuple *local, uint32_t ifindex, diag_fn fn,
	      void *arg);

/*
 * Every socket of a protocol and family (AF_*) in one of the states (1 << TCP_*) that passes filter
 * (NULL: all).
 */
int diag_dump(struct nl *nl, uint8_t proto, uint8_t family, uint32_t states,
	      const struct diag_filter *filter, diag_fn fn, void *arg);

#endif
