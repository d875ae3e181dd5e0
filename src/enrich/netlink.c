/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/netlink.h"

#include "base/base.h"

#include <sys/socket.h>
#include <sys/time.h>

/*
 * The kernel fills at most 32 KiB at a time of a dump (net/netlink/af_netlink.c, netlink_recvmsg).
 */
#define ANSWER_MAX 32768
#define ANSWER_TIMEOUT_S 2

int nl_open(struct nl *nl, int protocol)
{
	struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	int err;

	*nl = (struct nl){.socket = mnl_socket_open2(protocol, SOCK_CLOEXEC)};
	if (!nl->socket)
		return -errno;
	if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		nl_close(nl);
		return err;
	}
	/*
	 * The kernel answers during send(), so this only saves the worker from a kernel that
	 * doesn't.
	 */
	setsockopt(mnl_socket_get_fd(nl->socket), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		   sizeof(timeout));
	nl->portid = mnl_socket_get_portid(nl->socket);
	return 0;
}

void nl_close(struct nl *nl)
{
	if (nl->socket)
		mnl_socket_close(nl->socket);
	nl->socket = NULL;
}

struct nlmsghdr *nl_request(void *buf, size_t size, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh;

	memset(buf, 0, size); /* mnl doesn't clear what it pads */
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	return nlh;
}

int nl_ask(struct nl *nl, struct nlmsghdr *req, mnl_cb_t fn, void *arg)
{
	bool dump = (req->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	char buf[ANSWER_MAX] __attribute__((aligned(8)));

	req->nlmsg_seq = ++nl->seq;
	if (mnl_socket_sendto(nl->socket, req, req->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl->socket, buf, sizeof(buf));
		int ran;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		ran = mnl_cb_run(buf, (size_t)n, nl->seq, nl->portid, fn, arg);
		if (ran < 0)
			return -errno;
		if (ran == MNL_CB_STOP || !dump)
			return 0;
	}
}
