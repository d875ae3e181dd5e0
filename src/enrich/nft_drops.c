/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/nft_drops.h"

#include "enrich/ruleset_nft.h"
#include "record/question.h"
#include "record/record.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

/* Packets that are on their way through a base chain: about one for each CPU. */
#define UNDER_WAY 256
#define DROPS_KEPT 512

/* Tells packets apart, as far as the trace and a drop's record both have it. */
struct packet {
	struct rec_tuple tuple;
	uint32_t netns;
	uint32_t seq;	/* TCP */
	uint16_t ip_id; /* IPv4 */
	bool known;
};

struct drop {
	struct packet packet;
	uint64_t from_ns, until_ns;
	uint64_t handle; /* 0: the policy of base chain `chain` */
	bool open;	 /* its record hasn't come yet */
	uint8_t family;	 /* NFPROTO_* of the table */
	uint8_t pf;	 /* of the packet's hook */
	char table[NF_NAME_MAX];
	char chain[NF_NAME_MAX];
};

struct nft_drops {
	struct {
		uint32_t id; /* the trace's own */
		struct packet packet;
	} under_way[UNDER_WAY];
	struct drop v[DROPS_KEPT];
	size_t next;
};

struct nft_drops *nft_drops_new(void)
{
	return calloc(1, sizeof(struct nft_drops));
}

void nft_drops_free(struct nft_drops *d)
{
	free(d);
}

void nft_drops_forget(struct nft_drops *d)
{
	memset(d->under_way, 0, sizeof(d->under_way));
}

/* ---- messages -------------------------------------------------------------------------------- */

static uint32_t be_at(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static void set_v4(uint8_t addr[16], const uint8_t *from)
{
	memset(addr + 10, 0xff, 2);
	memcpy(addr + 12, from, 4);
}

/* The first 40 bytes at most: IPv6's extension headers are not in it. */
static bool read_network(const struct nlattr *attr, struct packet *ret, bool *ret_ports)
{
	const uint8_t *p = attr ? mnl_attr_get_payload(attr) : NULL;
	size_t n = attr ? mnl_attr_get_payload_len(attr) : 0;
	struct rec_tuple *t = &ret->tuple;

	if (n >= 20 && p[0] >> 4 == 4) {
		t->family = 4;
		t->proto = p[9];
		set_v4(t->src, p + 12);
		set_v4(t->dst, p + 16);
		ret->ip_id = (uint16_t)be_at(p + 4, 2);
		*ret_ports = !(be_at(p + 6, 2) & 0x1fff); /* not a fragment behind the first */
		return true;
	}
	if (n < 40 || p[0] >> 4 != 6)
		return false;
	t->family = 6;
	t->proto = p[6];
	memcpy(t->src, p + 8, 16);
	memcpy(t->dst, p + 24, 16);
	*ret_ports = true;
	return t->proto == IPPROTO_TCP || t->proto == IPPROTO_UDP || t->proto == IPPROTO_ICMPV6;
}

static bool read_transport(const struct nlattr *attr, struct packet *ret)
{
	const uint8_t *p = attr ? mnl_attr_get_payload(attr) : NULL;
	size_t n = attr ? mnl_attr_get_payload_len(attr) : 0;
	bool tcp = ret->tuple.proto == IPPROTO_TCP;

	if (!tcp && ret->tuple.proto != IPPROTO_UDP)
		return true;
	if (n < 8)
		return false;
	ret->tuple.sport = (uint16_t)be_at(p, 2);
	ret->tuple.dport = (uint16_t)be_at(p + 2, 2);
	if (tcp)
		ret->seq = be_at(p + 4, 4);
	return true;
}

/*
 * net/netfilter/nf_tables_trace.c nft_trace_notify: only the first message of a base chain has the
 * headers, of what the packet is there. The others have the same id.
 */
static const struct packet *packet_of(struct nft_drops *d, const struct nft_attrs *a,
				      uint32_t netns)
{
	uint32_t id = nft_attr_u32(a->v[NFTA_TRACE_ID], 0);
	__typeof__(d->under_way[0]) *slot = &d->under_way[(id ^ netns) % UNDER_WAY];
	struct packet p = {.netns = netns};
	bool ports = false;

	if (a->v[NFTA_TRACE_NETWORK_HEADER]) {
		p.known = read_network(a->v[NFTA_TRACE_NETWORK_HEADER], &p, &ports) &&
			  (!ports || read_transport(a->v[NFTA_TRACE_TRANSPORT_HEADER], &p));
		slot->id = id;
		slot->packet = p;
	}
	if (slot->id != id || slot->packet.netns != netns || !slot->packet.known)
		return NULL;
	return &slot->packet;
}

/* *ret_handle: 0 for a policy. */
static bool is_drop(const struct nft_attrs *a, uint64_t *ret_handle)
{
	uint32_t type = nft_attr_u32(a->v[NFTA_TRACE_TYPE], NFT_TRACETYPE_UNSPEC);
	struct nft_attrs verdict = nft_attrs_in(a->v[NFTA_TRACE_VERDICT]);
	int32_t code = (int32_t)nft_attr_u32(verdict.v[NFTA_VERDICT_CODE], NF_ACCEPT);

	*ret_handle = 0;
	if (type == NFT_TRACETYPE_POLICY)
		return nft_attr_u32(a->v[NFTA_TRACE_POLICY], NF_ACCEPT) == NF_DROP;
	*ret_handle = nft_attr_u64(a->v[NFTA_TRACE_RULE_HANDLE]);
	return type == NFT_TRACETYPE_RULE && code >= 0 && (code & NF_VERDICT_MASK) == NF_DROP &&
	       *ret_handle;
}

void nft_drops_message(struct nft_drops *d, const struct nlmsghdr *nlh, uint32_t netns,
		       uint64_t from_ns, uint64_t until_ns)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct packet *packet;
	struct nft_attrs a;
	uint64_t handle;
	struct drop *drop;

	if (nlh->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return;
	a = nft_attrs_of(nlh);
	packet = packet_of(d, &a, netns);
	if (!packet || !is_drop(&a, &handle))
		return;
	drop = &d->v[d->next++ % DROPS_KEPT];
	*drop = (struct drop){
		.packet = *packet,
		.from_ns = from_ns,
		.until_ns = until_ns,
		.handle = handle,
		.family = nfg->nfgen_family,
		.pf = (uint8_t)nft_attr_u32(a.v[NFTA_TRACE_NFPROTO], NFPROTO_UNSPEC),
	};
	str_copy(drop->table, sizeof(drop->table), nft_attr_text(a.v[NFTA_TRACE_TABLE]));
	str_copy(drop->chain, sizeof(drop->chain), nft_attr_text(a.v[NFTA_TRACE_CHAIN]));
	drop->open = *drop->table && *drop->chain;
}

/* ---- records --------------------------------------------------------------------------------- */

/* An ICMP error's record has the packet that it quotes, and can't be told from others'. */
bool nft_drops_concern(const struct rec_event *e)
{
	bool icmp = e->pkt.tuple.proto == IPPROTO_ICMP || e->pkt.tuple.proto == IPPROTO_ICMPV6;

	return e->hdr.kind == REC_DROP && !(e->nf.has & (NF_HOOK | NF_CHAIN | NF_RULE)) &&
	       e->pkt.has & PKT_L3 && (icmp || !e->pkt.icmp_type) &&
	       (!*e->reason_name || !strcmp(e->reason_name, "NETFILTER_DROP"));
}

static bool is_of(const struct drop *drop, const struct rec_event *e)
{
	const struct rec_packet *p = &e->pkt;
	bool tcp = p->tuple.proto == IPPROTO_TCP;

	return drop->open && drop->packet.netns == e->hdr.netns &&
	       drop->from_ns <= e->hdr.mono_ns && e->hdr.mono_ns <= drop->until_ns &&
	       tuple_equal(&drop->packet.tuple, &p->tuple) &&
	       (!tcp || drop->packet.seq == p->seq) &&
	       (p->tuple.family == 6 || drop->packet.ip_id == p->ip_id);
}

static bool same_decision(const struct drop *a, const struct drop *b)
{
	return a->handle == b->handle && a->family == b->family && !strcmp(a->table, b->table) &&
	       !strcmp(a->chain, b->chain);
}

static void tell(const struct drop *drop, struct rec_nf *nf)
{
	nf->has |= NF_TRACED | NF_CHAIN;
	nf->pf = drop->pf;
	nf->hook = NF_HOOK_ANY;
	nf->family = drop->family;
	memcpy(nf->table, drop->table, sizeof(nf->table));
	if (!drop->handle) {
		memcpy(nf->base, drop->chain, sizeof(nf->base));
		nf->policy = 0;
		return;
	}
	nf->has |= NF_RULE | NF_HANDLE;
	nf->handle = drop->handle;
	memcpy(nf->chain, drop->chain, sizeof(nf->chain));
}

bool nft_drops_fill(struct nft_drops *d, struct rec_event *e)
{
	struct drop *found = NULL;

	for (size_t i = 0; i < DROPS_KEPT; i++) {
		struct drop *drop = &d->v[(d->next + i) % DROPS_KEPT]; /* the oldest first */

		if (!is_of(drop, e))
			continue;
		if (found && !same_decision(found, drop))
			return false; /* packets that look the same, dropped by different rules */
		found = found ? found : drop;
	}
	if (!found)
		return false;
	found->open = false;
	tell(found, &e->nf);
	return true;
}
