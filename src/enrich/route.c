/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own route lookup, and the neighbour entry of where it leads. */
#include "enrich/lookup.h"
#include "enrich/netlink.h"
#include "enrich/netns.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* What to look up: `tuple` leaving this host, or arriving by iif if that isn't 0. */
struct ask {
	const struct rec_tuple *tuple;
	uint32_t iif;
	bool with_src;
};

static void addr_put(struct nlmsghdr *nlh, uint16_t type, const uint8_t addr[16], bool v4)
{
	mnl_attr_put(nlh, type, v4 ? 4 : 16, addr_bytes(addr, v4));
}

static bool addr_get(const struct nlattr *attr, bool v4, uint8_t ret[16])
{
	if (mnl_attr_get_payload_len(attr) < (v4 ? 4 : 16))
		return false;
	addr_set(ret, v4, mnl_attr_get_payload(attr));
	return true;
}

static uint32_t u32_get(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 4 ? mnl_attr_get_u32(attr) : 0;
}

/* An IPv4 route's gateway may be an IPv6 address: struct rtvia. */
static bool via_get(const struct nlattr *attr, uint8_t ret[16])
{
	const struct rtvia *via = mnl_attr_get_payload(attr);

	if (mnl_attr_get_payload_len(attr) < sizeof(*via) + 16 || via->rtvia_family != AF_INET6)
		return false;
	memcpy(ret, via->rtvia_addr, 16);
	return true;
}

static int route_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct rec_route *r = arg;
	bool v4;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm))
		return MNL_CB_OK;
	v4 = rtm->rtm_family == AF_INET;
	r->type = rtm->rtm_type;
	r->table = rtm->rtm_table;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_GATEWAY:
			r->has_gateway = addr_get(attr, v4, r->gateway);
			break;
		case RTA_VIA:
			r->has_gateway = via_get(attr, r->gateway);
			break;
		case RTA_PREFSRC:
			addr_get(attr, v4, r->prefsrc);
			break;
		case RTA_OIF:
			r->oif = u32_get(attr);
			break;
		case RTA_TABLE:
			r->table = u32_get(attr);
			break;
		}
	}
	return MNL_CB_OK;
}

/* 0 with ret filled, or the negative errno that the kernel has for such a packet. */
static int route_ask(struct nl *nl, const struct ask *ask, struct rec_route *ret)
{
	char buf[512] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = nl_request(buf, sizeof(buf), RTM_GETROUTE, 0);
	const struct rec_tuple *t = ask->tuple;
	bool v4 = addr_is_v4(t->dst);
	struct rtmsg *rtm;

	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = v4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = v4 ? 32 : 128;
	rtm->rtm_flags = RTM_F_LOOKUP_TABLE;
	addr_put(nlh, RTA_DST, t->dst, v4);
	if (ask->with_src) {
		rtm->rtm_src_len = rtm->rtm_dst_len;
		addr_put(nlh, RTA_SRC, t->src, v4);
	}
	if (ask->iif)
		mnl_attr_put_u32(nlh, RTA_IIF, ask->iif);
	if (t->sport && t->dport && (t->proto == IPPROTO_TCP || t->proto == IPPROTO_UDP)) {
		mnl_attr_put_u8(nlh, RTA_IP_PROTO, t->proto);
		mnl_attr_put_u16(nlh, RTA_SPORT, htons(t->sport));
		mnl_attr_put_u16(nlh, RTA_DPORT, htons(t->dport));
	}
	return nl_ask(nl, nlh, route_parse, ret);
}

/*
 * Routes that say no come back as their error only (net/ipv4/fib_semantics.c, fib_props;
 * net/ipv6/route.c, ip6_rt_type_to_error). No route at all is ENETUNREACH: type RTN_UNSPEC.
 */
static uint8_t failing_type(int err)
{
	switch (err) {
	case -EINVAL:
		return RTN_BLACKHOLE;
	case -EHOSTUNREACH:
		return RTN_UNREACHABLE;
	case -EACCES:
		return RTN_PROHIBIT;
	case -EAGAIN:
		return RTN_THROW;
	default:
		return RTN_UNSPEC;
	}
}

static void route_complete(struct rec_route *r, int err)
{
	r->err = -err;
	if (err)
		r->type = failing_type(err);
	if (r->oif)
		if_indextoname(r->oif, r->ifname);
}

static bool addr_is_local(struct nl *nl, const uint8_t addr[16])
{
	struct rec_tuple to = {0};
	struct rec_route r = {0};

	memcpy(to.dst, addr, 16);
	return !addr_is_any(addr) && !route_ask(nl, &(struct ask){.tuple = &to}, &r) &&
	       r.type == RTN_LOCAL;
}

/*
 * A foreign source makes it a packet that is forwarded. With the device it arrived by, the kernel
 * can be asked just that; where this device wasn't the one (it says "invalid cross-device link" or
 * "invalid argument" then, from __fib_validate_source), or isn't known, the route of a packet of
 * our own is the best guess.
 */
static void route_find(struct nl *nl, const struct rec_tuple *t, uint32_t ifindex,
		       struct rec_route *ret)
{
	struct ask ask = {.tuple = t, .with_src = addr_is_local(nl, t->src)};
	struct rec_route without_src = {0};
	int err;

	ret->tuple = *t;
	if (!ask.with_src && ifindex && !addr_is_any(t->src)) {
		ask = (struct ask){t, ifindex, true};
		err = route_ask(nl, &ask, ret);
		if (err != -EXDEV && err != -EINVAL && err != -ENODEV) {
			ret->iif_lookup = 1;
			route_complete(ret, err);
			return;
		}
		ask = (struct ask){.tuple = t};
	}
	err = route_ask(nl, &ask, ret);
	route_complete(ret, err);
	/* Is it the destination, or that this source (a loopback address, say) can't go there? */
	if (err && ask.with_src && !route_ask(nl, &(struct ask){.tuple = t}, &without_src))
		ret->type = RTN_UNSPEC;
}

static int neigh_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct rec_neigh *r = arg;
	uint16_t len;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ndm))
		return MNL_CB_OK;
	r->state = ndm->ndm_state;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm)) {
		len = mnl_attr_get_payload_len(attr);
		if (mnl_attr_get_type(attr) != NDA_LLADDR || len > sizeof(r->lladdr))
			continue;
		memcpy(r->lladdr, mnl_attr_get_payload(attr), len);
		r->lladdr_len = (uint8_t)len;
	}
	return MNL_CB_OK;
}

/* No entry is an answer too: state 0. */
static int neigh_find(struct nl *nl, struct rec_neigh *r)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = nl_request(buf, sizeof(buf), RTM_GETNEIGH, 0);
	bool v4 = addr_is_v4(r->addr);
	struct ndmsg *ndm;
	int err;

	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = v4 ? AF_INET : AF_INET6;
	ndm->ndm_ifindex = (int)r->ifindex;
	addr_put(nlh, NDA_DST, r->addr, v4);
	err = nl_ask(nl, nlh, neigh_parse, r);
	return err == -ENOENT ? 0 : err;
}

static int route_lookup(struct lookup *l, const struct rec_tuple *t, uint32_t ifindex)
{
	struct rec_route route = {0};
	struct rec_neigh neigh = {0};
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_ROUTE);

	if (err)
		return err;
	route_find(&nl, t, ifindex, &route);
	lookup_add(l, &route, REC_ROUTE, l->q->netns);
	if (route.err || route.type != RTN_UNICAST || !route.oif)
		return 0;
	memcpy(neigh.addr, route.has_gateway ? route.gateway : t->dst, 16);
	neigh.ifindex = route.oif;
	memcpy(neigh.ifname, route.ifname, sizeof(neigh.ifname));
	err = neigh_find(&nl, &neigh);
	if (!err)
		lookup_add(l, &neigh, REC_NEIGH, l->q->netns);
	return err;
}

/*
 * The route back is that of the tuple reversed (its record says so, as its tuple is always "to
 * dst"), and no packet that arrives by the device.
 */
int route_answer(struct lookup *l)
{
	const struct question *q = l->q;
	bool back = q->kind == Q_ROUTE_BACK;
	struct rec_tuple t = back ? tuple_reverse(&q->tuple) : q->tuple;
	int err;

	if (addr_is_v4(t.src) != addr_is_v4(t.dst) && !addr_is_any(t.src))
		return -EAFNOSUPPORT;
	err = netns_enter(l->netns, q->netns);
	if (err)
		return err;
	err = route_lookup(l, &t, back ? 0 : q->ifindex);
	netns_leave(l->netns);
	return err;
}
