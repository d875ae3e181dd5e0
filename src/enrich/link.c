/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network device, and the bridge, bond or VRF that it belongs to. */
#include "enrich/lookup.h"
#include "enrich/netlink.h"
#include "enrich/netns.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#define NO_BRIDGE_PORT 0xff

static void text_get(const struct nlattr *attr, char *ret, size_t size)
{
	if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		str_copy(ret, size, mnl_attr_get_str(attr));
}

/* The number in `attr` that is its member `type`, or `none`. */
static uint8_t nested_u8(const struct nlattr *attr, uint16_t type, uint8_t none)
{
	const struct nlattr *member;

	mnl_attr_for_each_nested(member, attr)
		if (mnl_attr_get_type(member) == type && mnl_attr_get_payload_len(member) >= 1)
			return mnl_attr_get_u8(member);
	return none;
}

/*
 * The members' meaning depends on the kinds, which the kernel puts before them
 * (net/core/rtnetlink.c, rtnl_link_info_fill and rtnl_link_slave_info_fill).
 */
static void info_parse(const struct nlattr *info, struct rec_link *ret)
{
	const struct nlattr *attr;
	char slave_kind[16] = "";

	mnl_attr_for_each_nested(attr, info) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_INFO_KIND:
			text_get(attr, ret->kind, sizeof(ret->kind));
			break;
		case IFLA_INFO_DATA:
			if (!strcmp(ret->kind, "bridge"))
				ret->vlan_filtering = nested_u8(attr, IFLA_BR_VLAN_FILTERING, 0);
			break;
		case IFLA_INFO_SLAVE_KIND:
			text_get(attr, slave_kind, sizeof(slave_kind));
			break;
		case IFLA_INFO_SLAVE_DATA:
			if (!strcmp(slave_kind, "bridge"))
				ret->port_state =
					nested_u8(attr, IFLA_BRPORT_STATE, NO_BRIDGE_PORT);
			break;
		}
	}
}

static int link_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct rec_link *ret = arg;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return MNL_CB_OK;
	ret->ifindex = (uint32_t)ifi->ifi_index;
	ret->flags = ifi->ifi_flags;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
		uint16_t len = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			text_get(attr, ret->ifname, sizeof(ret->ifname));
			break;
		case IFLA_MASTER:
			ret->master = len >= 4 ? mnl_attr_get_u32(attr) : 0;
			break;
		case IFLA_OPERSTATE:
			ret->operstate = len >= 1 ? mnl_attr_get_u8(attr) : 0;
			break;
		case IFLA_LINKINFO:
			info_parse(attr, ret);
			break;
		}
	}
	return MNL_CB_OK;
}

static int link_find(struct nl *nl, uint32_t ifindex, struct rec_link *ret)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = nl_request(buf, sizeof(buf), RTM_GETLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	*ret = (struct rec_link){.port_state = NO_BRIDGE_PORT};
	return nl_ask(nl, nlh, link_parse, ret);
}

static int link_lookup(uint32_t ifindex, struct rec_link *ret)
{
	struct rec_link master;
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_ROUTE);

	if (!err)
		err = link_find(&nl, ifindex, ret);
	if (err || !ret->master || link_find(&nl, ret->master, &master))
		return err;
	memcpy(ret->master_name, master.ifname, sizeof(ret->master_name));
	if (ret->port_state != NO_BRIDGE_PORT)
		ret->vlan_filtering = master.vlan_filtering;
	return 0;
}

int link_answer(struct lookup *l)
{
	const struct question *q = l->q;
	struct rec_link rec;
	int err;

	/* With 0 the kernel would look for a name. */
	if (!q->ifindex)
		return -EINVAL;
	err = netns_enter(l->netns, q->netns);
	if (err)
		return err;
	err = link_lookup(q->ifindex, &rec);
	netns_leave(l->netns);
	if (!err)
		lookup_add(l, &rec, REC_LINK, q->netns);
	return err;
}
