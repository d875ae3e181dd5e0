/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nftables' trace: from its messages to the drop that they are about, and what must not be joined. */
#include "timeline_fixture.h"

#include "enrich/nft_drops.h"
#include "record/question.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define FROM 1000
#define UNTIL 2000

/* One message of the trace; handle 0: of the policy. */
struct told {
	uint32_t id;
	const char *chain;
	uint64_t handle;
	uint32_t verdict;		 /* or policy */
	const struct rec_event *headers; /* the packet, NULL: none in this message */
};

static void put_v4(const struct rec_packet *p, uint8_t *h)
{
	h[0] = 0x45;
	h[4] = (uint8_t)(p->ip_id >> 8);
	h[5] = (uint8_t)p->ip_id;
	h[7] = p->has & PKT_FRAG ? 8 : 0;
	h[9] = p->tuple.proto;
	memcpy(h + 12, p->tuple.src + 12, 4);
	memcpy(h + 16, p->tuple.dst + 12, 4);
}

static void put_headers(struct nlmsghdr *nlh, const struct rec_packet *p)
{
	uint16_t ports[2] = {htons(p->tuple.sport), htons(p->tuple.dport)};
	uint8_t h[40] = {0x60}, l4[20] = {0};
	uint32_t seq = htonl(p->seq);

	if (p->tuple.family == 4) {
		put_v4(p, h);
	} else {
		h[6] = p->tuple.proto;
		memcpy(h + 8, p->tuple.src, 16);
		memcpy(h + 24, p->tuple.dst, 16);
	}
	memcpy(l4, ports, 4);
	memcpy(l4 + 4, &seq, 4);
	mnl_attr_put(nlh, NFTA_TRACE_NETWORK_HEADER, p->tuple.family == 4 ? 20 : 40, h);
	mnl_attr_put(nlh, NFTA_TRACE_TRANSPORT_HEADER, p->tuple.proto == IPPROTO_TCP ? 20 : 8, l4);
}

static struct nlmsghdr *message(char *buf, struct told m)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE;
	nfg->nfgen_family = NFPROTO_INET;
	mnl_attr_put_u32(nlh, NFTA_TRACE_NFPROTO, htonl(NFPROTO_IPV4));
	mnl_attr_put_u32(nlh, NFTA_TRACE_TYPE,
			 htonl(m.handle ? NFT_TRACETYPE_RULE : NFT_TRACETYPE_POLICY));
	mnl_attr_put_u32(nlh, NFTA_TRACE_ID, htonl(m.id));
	mnl_attr_put_strz(nlh, NFTA_TRACE_CHAIN, m.chain);
	mnl_attr_put_strz(nlh, NFTA_TRACE_TABLE, "filter");
	if (m.handle) {
		struct nlattr *nest;

		mnl_attr_put_u64(nlh, NFTA_TRACE_RULE_HANDLE, htobe64(m.handle));
		nest = mnl_attr_nest_start(nlh, NFTA_TRACE_VERDICT);
		mnl_attr_put_u32(nlh, NFTA_VERDICT_CODE, htonl(m.verdict));
		mnl_attr_nest_end(nlh, nest);
	} else {
		mnl_attr_put_u32(nlh, NFTA_TRACE_POLICY, htonl(m.verdict));
	}
	if (m.headers)
		put_headers(nlh, &m.headers->pkt);
	return nlh;
}

static void tell(struct nft_drops *d, struct told m)
{
	char buf[1024] __attribute__((aligned(8))) = {0};

	nft_drops_message(d, message(buf, m), HOST, FROM, UNTIL);
}

#define TOLD(...) tell(d, (struct told){__VA_ARGS__})

static struct rec_event syn(void)
{
	struct rec_tuple t = tcp("10.0.1.2", 50000, "10.0.2.2", 5432);
	struct rec_event e = event_make(REC_DROP, &t, 1500);

	e.hdr.netns = HOST;
	e.pkt.has = PKT_L3 | PKT_L4;
	e.pkt.seq = 0xfedcba98;
	e.pkt.ip_id = 0xabcd;
	assert_true(str_copy(e.reason_name, sizeof(e.reason_name), "NETFILTER_DROP"));
	return e;
}

static int setup(void **state)
{
	return (*state = nft_drops_new()) ? 0 : -1;
}

static int teardown(void **state)
{
	nft_drops_free(*state);
	return 0;
}

static void a_rule_in_a_chain_that_another_jumps_to(void **state)
{
	struct nft_drops *d = *state;
	struct rec_event e = syn();

	TOLD(7, "input", 3, (uint32_t)NFT_JUMP, &e);
	TOLD(8, "input", 4, NF_ACCEPT, &e); /* another packet in between */
	TOLD(7, "deep", 12, NF_DROP);
	assert_true(nft_drops_fill(d, &e));
	assert_int_equal(e.nf.has, NF_TRACED | NF_CHAIN | NF_RULE | NF_HANDLE);
	assert_int_equal(e.nf.handle, 12);
	assert_int_equal(e.nf.family, NFPROTO_INET);
	assert_int_equal(e.nf.pf, NFPROTO_IPV4);
	assert_int_equal(e.nf.hook, NF_HOOK_ANY);
	assert_string_equal(e.nf.table, "filter");
	assert_string_equal(e.nf.chain, "deep");
	assert_string_equal(e.nf.base, ""); /* not told */
	assert_int_equal(record_validate(&e, sizeof(e)), 0);
}

static void a_policy(void **state)
{
	struct nft_drops *d = *state;
	struct rec_event e = syn();

	e.nf.has = NF_INVALID; /* what a probe on conntrack saw stays */
	TOLD(7, "input", 0, NF_DROP, &e);
	assert_true(nft_drops_fill(d, &e));
	assert_int_equal(e.nf.has, NF_INVALID | NF_TRACED | NF_CHAIN);
	assert_int_equal(e.nf.policy, 0);
	assert_string_equal(e.nf.base, "input");
}

static void what_is_not_dropped_there(void **state)
{
	struct nft_drops *d = *state;
	struct rec_event e = syn();

	TOLD(7, "input", 3, NF_ACCEPT, &e);
	TOLD(7, "input", 4, NF_QUEUE);
	TOLD(7, "input", 5, (uint32_t)NFT_CONTINUE);
	TOLD(7, "input", 6, (uint32_t)NFT_RETURN);
	TOLD(7, "input", 0, NF_ACCEPT);
	assert_false(nft_drops_fill(d, &e));
	assert_int_equal(e.nf.has, 0);
}

/* Each in one thing only. */
static void other_packets(void **state)
{
	struct nft_drops *d = *state;
	struct rec_event e = syn(), other[7];

	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		other[i] = e;
	other[0].hdr.netns = INSIDE;
	other[1].hdr.mono_ns = FROM - 1;
	other[2].hdr.mono_ns = UNTIL + 1;
	other[3].pkt.tuple.sport++;
	other[4].pkt.seq++;
	other[5].pkt.ip_id++;
	other[6].pkt.tuple = tuple_reverse(&e.pkt.tuple);
	TOLD(7, "input", 12, NF_DROP, &e);
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		assert_false(nft_drops_fill(d, &other[i]));
	assert_true(nft_drops_fill(d, &e));
}

static void drops_that_are_told_or_are_not_netfilters(void **state)
{
	struct rec_event e = syn(), other = e;
	(void)state;

	assert_true(nft_drops_concern(&e));
	other.reason_name[0] = '\0'; /* an old kernel's */
	assert_true(nft_drops_concern(&other));
	assert_true(str_copy(other.reason_name, sizeof(other.reason_name), "NO_SOCKET"));
	assert_false(nft_drops_concern(&other));
	other = e;
	other.nf.has = NF_HOOK;
	assert_false(nft_drops_concern(&other));
	other = e;
	other.hdr.kind = REC_RST_OUT;
	assert_false(nft_drops_concern(&other));
	other = e;
	other.pkt.icmp_type = 3; /* an error that quotes this packet */
	assert_false(nft_drops_concern(&other));
}

static void packets_that_look_the_same(void **state)
{
	struct nft_drops *d = *state;
	struct rec_event e = syn();

	TOLD(7, "input", 12, NF_DROP, &e);
	TOLD(7, "input", 12, NF_DROP, &e);
	assert_true(nft_drops_fill(d, &e)); /* the same rule, whichever it was */
	e = syn();
	assert_true(nft_drops_fill(d, &e));
	e = syn();
	assert_false(nft_drops_fill(d, &e)); /* each stands for one packet */
	TOLD(7, "input", 12, NF_DROP, &e);
	TOLD(7, "input", 13, NF_DROP, &e);
	assert_false(nft_drops_fill(d, &e));
	assert_int_equal(e.nf.has, 0);
}

static void messages_that_were_lost(void **state)
{
	struct nft_drops *d = *state;
	struct rec_event e = syn();

	TOLD(7, "deep", 12, NF_DROP); /* no headers: whose? */
	TOLD(7, "input", 3, (uint32_t)NFT_JUMP, &e);
	nft_drops_forget(d);
	TOLD(7, "deep", 12, NF_DROP); /* perhaps another packet's, of the same id */
	assert_false(nft_drops_fill(d, &e));
}

static void other_protocols(void **state)
{
	struct nft_drops *d = *state;
	struct rec_event e = syn();

	e.pkt.tuple = tcp("fd00::1", 50000, "fd00::2", 5432);
	e.pkt.ip_id = 0;
	TOLD(7, "input", 12, NF_DROP, &e);
	assert_true(nft_drops_fill(d, &e));
	e = syn();
	e.pkt.tuple = udp("10.0.1.2", 50000, "10.0.2.2", 53);
	e.pkt.seq = 0;
	TOLD(7, "input", 12, NF_DROP, &e);
	assert_true(nft_drops_fill(d, &e));
	e = syn();
	e.pkt.tuple = flow_make(IPPROTO_ICMP, "10.0.1.2", 0, "10.0.2.2", 0);
	e.pkt.icmp_type = 8;
	TOLD(7, "input", 12, NF_DROP, &e);
	assert_true(nft_drops_fill(d, &e));
	e = syn();
	e.pkt.has = PKT_L3 | PKT_FRAG; /* has no ports, whatever stands there */
	TOLD(7, "input", 12, NF_DROP, &e);
	e.pkt.tuple.sport = e.pkt.tuple.dport = 0;
	e.pkt.seq = 0;
	assert_true(nft_drops_fill(d, &e));
}

/* Cut anywhere, it is skipped or tells the same; a checker of memory sees to it that no more is read. */
static void messages_that_are_cut(void **state)
{
	struct nft_drops *d = *state;
	char buf[1024] __attribute__((aligned(8))) = {0};
	struct rec_event whole = syn();
	struct nlmsghdr *nlh = message(buf, (struct told){7, "input", 12, NF_DROP, &whole});
	uint32_t len = nlh->nlmsg_len;

	for (uint32_t n = sizeof(*nlh); n < len; n += 4) { /* all is aligned to that */
		struct nlmsghdr *cut = malloc(n);
		struct rec_event e = syn();

		assert_non_null(cut);
		memcpy(cut, nlh, n);
		cut->nlmsg_len = n;
		nft_drops_message(d, cut, HOST, FROM, UNTIL);
		assert_false(nft_drops_fill(d, &e));
		free(cut);
	}
	nft_drops_message(d, nlh, HOST, FROM, UNTIL);
	assert_true(nft_drops_fill(d, &whole));
}

static void attributes_that_are_odd(void **state)
{
	struct nft_drops *d = *state;
	char buf[1024] __attribute__((aligned(8))) = {0};
	struct rec_event e = syn();
	struct nlmsghdr *nlh = message(buf, (struct told){7, "input", 12, NF_DROP, &e});
	struct nlattr *attr;

	nlh->nlmsg_type++;
	nft_drops_message(d, nlh, HOST, FROM, UNTIL);
	assert_false(nft_drops_fill(d, &e));
	nlh->nlmsg_type--;
	/* Each attribute in turn is one that nobody knows: only the packet's hook can be missed. */
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		uint16_t type = attr->nla_type;

		attr->nla_type = 999;
		e = syn();
		nft_drops_forget(d);
		nft_drops_message(d, nlh, HOST, FROM, UNTIL);
		assert_int_equal(nft_drops_fill(d, &e),
				 type == NFTA_TRACE_NFPROTO || type == NFTA_TRACE_ID);
		attr->nla_type = type;
	}
}

#define drops_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		drops_test(a_rule_in_a_chain_that_another_jumps_to),
		drops_test(a_policy),
		drops_test(what_is_not_dropped_there),
		drops_test(other_packets),
		drops_test(drops_that_are_told_or_are_not_netfilters),
		drops_test(packets_that_look_the_same),
		drops_test(messages_that_were_lost),
		drops_test(other_protocols),
		drops_test(messages_that_are_cut),
		drops_test(attributes_that_are_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
