/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conntrack entries through ctnetlink. A GET with a packet's tuple as original direction finds the
 * entry by either direction, as both are in one hash table (net/netfilter/nf_conntrack_core.c,
 * nf_conntrack_find_get).
 */
#include "enrich/conntrack.h"

#include "enrich/lookup.h"
#include "enrich/netlink.h"
#include "enrich/netns.h"

#include <arpa/inet.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* libnetfilter_conntrack's attributes of one direction. */
struct direction {
	enum nf_conntrack_attr l3, l4, src4, dst4, src6, dst6, sport, dport;
};

static const struct direction original = {
	ATTR_ORIG_L3PROTO,  ATTR_ORIG_L4PROTO,	ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV4_DST,
	ATTR_ORIG_IPV6_SRC, ATTR_ORIG_IPV6_DST, ATTR_ORIG_PORT_SRC, ATTR_ORIG_PORT_DST,
};
static const struct direction reply = {
	ATTR_REPL_L3PROTO,  ATTR_REPL_L4PROTO,	ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV4_DST,
	ATTR_REPL_IPV6_SRC, ATTR_REPL_IPV6_DST, ATTR_REPL_PORT_SRC, ATTR_REPL_PORT_DST,
};

static void nfct_free(struct nf_conntrack **ct)
{
	if (*ct)
		nfct_destroy(*ct);
}

#define _cleanup_nfct_ _cleanup_(nfct_free)

static void tuple_read(const struct nf_conntrack *ct, const struct direction *d,
		       struct rec_tuple *ret)
{
	bool v4 = nfct_get_attr_u8(ct, d->l3) == AF_INET;
	const void *src = nfct_get_attr(ct, v4 ? d->src4 : d->src6);
	const void *dst = nfct_get_attr(ct, v4 ? d->dst4 : d->dst6);

	if (src)
		addr_set(ret->src, v4, src);
	if (dst)
		addr_set(ret->dst, v4, dst);
	ret->sport = ntohs(nfct_get_attr_u16(ct, d->sport));
	ret->dport = ntohs(nfct_get_attr_u16(ct, d->dport));
	ret->family = v4 ? 4 : 6;
	ret->proto = nfct_get_attr_u8(ct, d->l4);
}

/* Attributes that the kernel didn't send read as 0. */
static void entry_read(const struct nf_conntrack *ct, struct rec_ct *ret)
{
	tuple_read(ct, &original, &ret->orig);
	tuple_read(ct, &reply, &ret->reply);
	ret->status = nfct_get_attr_u32(ct, ATTR_STATUS);
	ret->timeout_s = nfct_get_attr_u32(ct, ATTR_TIMEOUT);
	ret->mark = nfct_get_attr_u32(ct, ATTR_MARK);
	ret->id = nfct_get_attr_u32(ct, ATTR_ID);
	ret->zone = nfct_get_attr_u16(ct, ATTR_ZONE);
	ret->tcp_state = nfct_get_attr_u8(ct, ATTR_TCP_STATE);
	ret->found = 1;
}

static struct nlmsghdr *request_start(void *buf, size_t size, uint8_t family, uint16_t flags)
{
	struct nlmsghdr *nlh =
		nl_request(buf, size, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, flags);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static int request_tuple(struct nlmsghdr *nlh, const struct rec_tuple *t)
{
	_cleanup_nfct_ struct nf_conntrack *ct = nfct_new();
	bool v4 = addr_is_v4(t->src);

	if (!ct)
		return -ENOMEM;
	nfct_set_attr_u8(ct, original.l3, v4 ? AF_INET : AF_INET6);
	nfct_set_attr_u8(ct, original.l4, t->proto);
	nfct_set_attr(ct, v4 ? original.src4 : original.src6, addr_bytes(t->src, v4));
	nfct_set_attr(ct, v4 ? original.dst4 : original.dst6, addr_bytes(t->dst, v4));
	nfct_set_attr_u16(ct, original.sport, htons(t->sport));
	nfct_set_attr_u16(ct, original.dport, htons(t->dport));
	return nfct_nlmsg_build(nlh, ct) < 0 ? -EINVAL : 0;
}

static int entry_parse(const struct nlmsghdr *nlh, void *arg)
{
	_cleanup_nfct_ struct nf_conntrack *ct = nfct_new();

	if (ct && !nfct_nlmsg_parse(nlh, ct))
		entry_read(ct, arg);
	return MNL_CB_OK;
}

/*
 * A request to a kernel without conntrack would make it load the module. Only the own namespace
 * surely has the sysctl: older kernels hide it in those of unprivileged users
 * (nf_conntrack_standalone_init_sysctl).
 */
bool conntrack_is_loaded(void)
{
	return !access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK);
}

/* Zone 0. 0, also when there is no entry; ret->found tells. */
static int entry_find(const struct rec_tuple *t, struct rec_ct *ret)
{
	char buf[1024] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		request_start(buf, sizeof(buf), addr_is_v4(t->src) ? AF_INET : AF_INET6, 0);
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_NETFILTER);

	if (!err)
		err = request_tuple(nlh, t);
	if (!err)
		err = nl_ask(&nl, nlh, entry_parse, ret);
	return err == -ENOENT ? 0 : err;
}

static bool proto_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE ||
	       proto == IPPROTO_SCTP || proto == IPPROTO_DCCP;
}

int conntrack_answer(struct lookup *l)
{
	const struct question *q = l->q;
	struct rec_ct rec = {0};
	int err;

	if (!proto_has_ports(q->tuple.proto) ||
	    addr_is_v4(q->tuple.src) != addr_is_v4(q->tuple.dst))
		return -EPROTONOSUPPORT;
	if (!conntrack_is_loaded())
		return -EOPNOTSUPP;
	err = netns_enter(l->netns, q->netns);
	if (err)
		return err;
	err = entry_find(&q->tuple, &rec);
	netns_leave(l->netns);
	if (err)
		return err;
	rec.reply_dir = rec.found && tuple_equal(&rec.reply, &q->tuple);
	lookup_add(l, &rec, REC_CT, q->netns);
	return 0;
}

struct ct_dump {
	enrich_ct_fn fn;
	void *arg;
	uint32_t netns;
};

/* Most entries aren't translated: look at the status before all is parsed. */
static bool entry_is_nat(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == CTA_STATUS && mnl_attr_get_payload_len(attr) >= 4)
			return ntohl(mnl_attr_get_u32(attr)) & (IPS_SRC_NAT | IPS_DST_NAT);
	return false;
}

static int nat_entry_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct ct_dump *dump = arg;
	struct rec_ct rec = {.hdr = {.netns = dump->netns}};

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg) || !entry_is_nat(nlh))
		return MNL_CB_OK;
	entry_parse(nlh, &rec);
	if (rec.found)
		dump->fn(dump->arg, &rec);
	return MNL_CB_OK;
}

static int dump_visit(void *arg, uint32_t netns)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = request_start(buf, sizeof(buf), AF_UNSPEC, NLM_F_DUMP);
	struct ct_dump *dump = arg;
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_NETFILTER);

	dump->netns = netns;
	return err ? err : nl_ask(&nl, nlh, nat_entry_parse, dump);
}

int conntrack_dump_nat(struct netns_map *m, uint32_t netns, enrich_ct_fn fn, void *arg)
{
	struct ct_dump dump = {fn, arg, 0};
	int err;

	if (!conntrack_is_loaded())
		return -EOPNOTSUPP;
	if (!netns)
		return netns_each(m, 0, dump_visit, &dump);
	err = netns_enter(m, netns);
	if (!err)
		err = dump_visit(&dump, netns);
	netns_leave(m);
	return err;
}
