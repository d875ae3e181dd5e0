/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who fills the conntrack table. */
#include "enrich/conntrack_top.h"

#include "enrich/conntrack.h"
#include "enrich/conntrack_stats.h"
#include "enrich/lookup.h"
#include "enrich/netlink.h"
#include "enrich/netns.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <uthash.h>

/*
 * So many pairs of source and destination port are told apart, then so many sources. The kernel
 * dumps the table in the order of its hash, so what many entries have in common is among the first.
 */
#define TALLIES_MAX 32768

struct key {
	uint8_t src[16];
	uint16_t dport;
	uint8_t proto; /* 0: any, and any port */
	uint8_t pad[5];
};

struct tally {
	struct key key;
	uint32_t entries;
	uint32_t unreplied;
	UT_hash_handle hh;
};

struct count {
	struct tally *tallies; /* by key */
	uint32_t entries;      /* all */
};

static void count_free(struct count *c)
{
	struct tally *tally, *next;

	HASH_ITER(hh, c->tallies, tally, next) {
		HASH_DEL(c->tallies, tally);
		free(tally);
	}
}

#define _cleanup_count_ _cleanup_(count_free)

static struct tally *tally_get(struct count *c, const struct key *key, unsigned int max)
{
	struct tally *tally;

	HASH_FIND(hh, c->tallies, key, sizeof(*key), tally);
	if (tally || HASH_COUNT(c->tallies) >= max)
		return tally;
	tally = calloc(1, sizeof(*tally));
	if (!tally)
		return NULL;
	tally->key = *key;
	HASH_ADD(hh, c->tallies, key, sizeof(tally->key), tally);
	return tally;
}

static void count_add(struct count *c, struct key *key, bool unreplied)
{
	struct tally *tally = tally_get(c, key, TALLIES_MAX);

	c->entries++;
	if (!tally) {
		key->dport = key->proto = 0;
		tally = tally_get(c, key, 2 * TALLIES_MAX);
	}
	if (!tally)
		return;
	tally->entries++;
	tally->unreplied += unreplied;
}

static void ip_parse(const struct nlattr *ip, struct key *ret)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, ip) {
		uint16_t type = mnl_attr_get_type(attr), len = mnl_attr_get_payload_len(attr);

		if (type == CTA_IP_V4_SRC && len >= 4)
			addr_set(ret->src, true, mnl_attr_get_payload(attr));
		else if (type == CTA_IP_V6_SRC && len >= 16)
			addr_set(ret->src, false, mnl_attr_get_payload(attr));
	}
}

static void proto_parse(const struct nlattr *proto, struct key *ret)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, proto) {
		uint16_t type = mnl_attr_get_type(attr), len = mnl_attr_get_payload_len(attr);

		if (type == CTA_PROTO_NUM && len >= 1)
			ret->proto = mnl_attr_get_u8(attr);
		else if (type == CTA_PROTO_DST_PORT && len >= 2)
			ret->dport = ntohs(mnl_attr_get_u16(attr));
	}
}

static int entry_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr, *member;
	struct key key = {0};
	uint32_t status = 0;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) == CTA_STATUS && mnl_attr_get_payload_len(attr) >= 4)
			status = ntohl(mnl_attr_get_u32(attr));
		if (mnl_attr_get_type(attr) != CTA_TUPLE_ORIG)
			continue;
		mnl_attr_for_each_nested(member, attr) {
			if (mnl_attr_get_type(member) == CTA_TUPLE_IP)
				ip_parse(member, &key);
			else if (mnl_attr_get_type(member) == CTA_TUPLE_PROTO)
				proto_parse(member, &key);
		}
	}
	count_add(arg, &key, !(status & IPS_SEEN_REPLY));
	return MNL_CB_OK;
}

static int entries_count(struct count *c)
{
	char buf[64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = nl_request(
		buf, sizeof(buf), NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_NETFILTER);

	nfg->version = NFNETLINK_V0;
	if (!err)
		err = nl_ask(&nl, nlh, entry_parse, c);
	return err;
}

/* Brings the tallies of a source together. */
static int by_source(struct tally *a, struct tally *b)
{
	return memcmp(a->key.src, b->key.src, sizeof(a->key.src));
}

static void top_insert(struct conntrack_top *top, size_t *n, const struct conntrack_top *one)
{
	size_t at = *n;

	while (at && top[at - 1].entries < one->entries)
		at--;
	if (at == CONNTRACK_TOP_MAX)
		return;
	if (*n < CONNTRACK_TOP_MAX)
		(*n)++;
	memmove(&top[at + 1], &top[at], (*n - at - 1) * sizeof(top[0]));
	top[at] = *one;
}

static void top_find(struct count *c, struct conntrack_top *ret, size_t *ret_n)
{
	struct conntrack_top one = {.entries = 0};

	HASH_SORT(c->tallies, by_source);
	for (struct tally *tally = c->tallies; tally; tally = tally->hh.next) {
		if (memcmp(one.src, tally->key.src, sizeof(one.src)) != 0) {
			if (one.entries)
				top_insert(ret, ret_n, &one);
			one = (struct conntrack_top){.entries = 0};
			memcpy(one.src, tally->key.src, sizeof(one.src));
		}
		one.entries += tally->entries;
		one.unreplied += tally->unreplied;
		if (!tally->key.proto || tally->entries <= one.dport_entries)
			continue;
		one.dport_entries = tally->entries;
		one.dport = tally->key.dport;
		one.proto = tally->key.proto;
	}
	if (one.entries)
		top_insert(ret, ret_n, &one);
}

int conntrack_top(struct netns_map *m, uint32_t netns, struct conntrack_top ret[CONNTRACK_TOP_MAX],
		  size_t *ret_n, uint32_t *ret_entries)
{
	_cleanup_count_ struct count c = {.tallies = NULL};
	int err;

	*ret_n = 0;
	*ret_entries = 0;
	if (!conntrack_is_loaded())
		return -EOPNOTSUPP;
	err = netns_enter(m, netns);
	if (!err)
		err = entries_count(&c);
	netns_leave(m);
	if (err)
		return err;
	top_find(&c, ret, ret_n);
	*ret_entries = c.entries;
	return 0;
}

int conntrack_top_answer(struct lookup *l)
{
	struct conntrack_top top[CONNTRACK_TOP_MAX];
	uint32_t total;
	size_t n;
	int err = conntrack_top(l->netns, l->q->netns, top, &n, &total);

	for (size_t i = 0; !err && i < n; i++) {
		struct rec_ct_top rec = {
			.entries = top[i].entries,
			.unreplied = top[i].unreplied,
			.dport_entries = top[i].dport_entries,
			.total = total,
			.dport = top[i].dport,
			.proto = top[i].proto,
			.family = addr_is_v4(top[i].src) ? 4 : 6,
		};

		memcpy(rec.src, top[i].src, sizeof(rec.src));
		lookup_add(l, &rec, REC_CT_TOP, l->q->netns);
	}
	return err;
}
