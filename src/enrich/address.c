/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/address.h"

#include "enrich/lookup.h"
#include "enrich/netlink.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

/*
 * On a point-to-point link IFA_ADDRESS is the peer's, so IFA_LOCAL, where there is one, goes first.
 */
static int address_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *own = NULL;
	struct address_list *list = arg;
	bool v4;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_type(attr) == IFA_LOCAL ||
		    (!own && mnl_attr_get_type(attr) == IFA_ADDRESS))
			own = attr;
	}
	v4 = ifa->ifa_family == AF_INET;
	if (!own || mnl_attr_get_payload_len(own) < (v4 ? 4 : 16))
		return MNL_CB_OK;
	list->cut = list->n == ADDRESSES_MAX;
	if (!list->cut) {
		addr_set(list->v[list->n].addr, v4, mnl_attr_get_payload(own));
		list->v[list->n++].ifindex = ifa->ifa_index;
	}
	return MNL_CB_OK;
}

int addresses_read(struct address_list *ret)
{
	char buf[64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = nl_request(buf, sizeof(buf), RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_ROUTE);

	ret->n = 0;
	ret->cut = false;
	ifa->ifa_family = AF_UNSPEC;
	return err ? err : nl_ask(&nl, nlh, address_parse, ret);
}
