/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One netlink socket and one request at a time, in the calling thread's network namespace. */
#ifndef TCPWHY_ENRICH_NETLINK_H
#define TCPWHY_ENRICH_NETLINK_H

#include <libmnl/libmnl.h>

struct nl {
	struct mnl_socket *socket;
	unsigned int portid;
	unsigned int seq;
};

#define _cleanup_nl_ __attribute__((cleanup(nl_close)))

/*
 * protocol: NETLINK_*. The socket stays in the namespace that the thread was in. 0 or a negative
 * errno.
 */
int nl_open(struct nl *nl, int protocol);
void nl_close(struct nl *nl);

/*
 * Starts a request in buf (8-byte aligned, all of it zeroed): the netlink header. flags: beyond
 * NLM_F_REQUEST.
 */
struct nlmsghdr *nl_request(void *buf, size_t size, uint16_t type, uint16_t flags);

/*
 * Sends req (its sequence number is set here) and hands every message of the answer to fn, all of
 * them for a dump, else the first. fn returns MNL_CB_OK always: leaving a dump early would leave
 * its rest for the next request. 0, or the kernel's answer as a negative errno; -ETIMEDOUT when it
 * doesn't answer.
 */
int nl_ask(struct nl *nl, struct nlmsghdr *req, mnl_cb_t fn, void *arg);

#endif
