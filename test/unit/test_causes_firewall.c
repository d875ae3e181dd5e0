/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What firewall rules drop and reject, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

/* ---- netfilter-drop -------------------------------------------------------------------------- */

static struct rec_tuple to_service(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 5432);
}

static struct rec_event *filtered(struct story *s, struct rec_tuple t, uint8_t flags)
{
	struct rec_event *e = story_drop(s, t, "NETFILTER_DROP");

	e->pkt.tcp_flags = flags;
	e->pkt.ctinfo = 2;
	story_stack(s, e, "nf_hook_slow", "ip_local_deliver", "ip_rcv");
	return e;
}

static void netfilter_drop_of_a_syn(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s, to_service(), SYN);

	story_netns(s, HOST, "server");
	judged(s, "netfilter-drop, certain");
	assert_true(story_says(s, "dropped the packet 10.0.1.2:50000 -> 10.0.2.2:5432 at the "
				  "LOCAL_IN"));
	assert_true(story_says(s, "netns server"));
	assert_true(story_says(s, "the connection can't even begin"));
	assert_true(story_says(s, "does not show who decided"));
	assert_false(story_says(s, "not nftables"));
	assert_false(story_says(s, "could not be made"));
	story_answer(s, Q_HOOKS)->err = -ETIMEDOUT;
	judged(s, "netfilter-drop, certain");
	assert_true(story_says(s, "1 lookups could not be made (ETIMEDOUT)"));
	assert_true(story_offers(s, "iptables-legacy-save"));

	/* Above the rule's own functions stands who called the hooks. */
	e->nr_kstack = 0;
	story_stack(s, e, "nft_do_chain", "nft_do_chain_inet", "nf_hook_slow", "ip_forward");
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "FORWARD hook"));
	assert_true(story_says(s, "an nftables rule or chain policy"));
	assert_true(story_offers(s, "nft -a list ruleset   (look for forward chains)"));
	assert_false(story_offers(s, "legacy"));
}

static void netfilter_drop_names_the_hook(void **state)
{
	static const struct {
		const char *caller, *hook;
	} callers[] = {
		{"ip_rcv", "the PRE_ROUTING hook"},
		{"ipv6_rcv", "the PRE_ROUTING hook"},
		{"ip6_input", "the LOCAL_IN hook"},
		{"__ip_local_out", "the LOCAL_OUT hook"},
		{"ip6_xmit", "the LOCAL_OUT hook"},
		{"ip_output", "the POST_ROUTING hook"},
		{"__br_forward", "the bridge FORWARD hook"},
		{"__netif_receive_skb_core", "the ingress hook"},
		{"__dev_queue_xmit", "the egress hook"},
		{"who_knows", "a hook that is not known"},
	};

	struct story *s = *state;
	struct rec_event *e = filtered(s, to_service(), SYN);

	for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
		char says[64];

		e->nr_kstack = 0;
		story_stack(s, e, "nf_hook_slow", callers[i].caller);
		judged(s, "netfilter-drop, certain");
		snprintf(says, sizeof(says), "at %s", callers[i].hook);
		assert_true(story_says(s, says));
	}
}

static void netfilter_drop_without_a_reason_by_its_stack(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s, to_service(), SYN);

	e->has_reason = 0;
	e->reason_name[0] = '\0';
	judged(s, "netfilter-drop, certain");
	e->nr_kstack = 0;
	story_stack(s, e, "tcp_v4_rcv");
	judged(s, "no verdict");
}

static void netfilter_drop_of_a_datagram(void **state)
{
	struct story *s = *state;

	filtered(s, udp("10.0.1.2", 50000, "10.0.2.2", 53), 0);
	judged(s, "netfilter-drop, certain");
	assert_false(story_says(s, "It was a SYN"));
}

static void one_lost_segment_is_no_failure(void **state)
{
	struct story *s = *state;

	story_event(s, REC_RETRANS, to_service()); /* before it: about something else */
	filtered(s, to_service(), ACK);
	judged(s, "no verdict");
	story_event(s, REC_RETRANS, to_service()); /* TCP repairs it */
	judged(s, "no verdict");
}

/* The connection can't begin without it: nothing else has to go wrong first. */
static void netfilter_drop_of_the_answer_to_a_syn(void **state)
{
	struct story *s = *state;

	filtered(s, to_service(), SYN | ACK);
	judged(s, "netfilter-drop, certain");
}

static void a_lost_segment_that_is_missed_is_one(void **state)
{
	const enum rec_kind missed[] = {REC_SYNACK_RETRANS, REC_SOCK_ERR};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(missed); i++) {
		struct story s;

		story_start(&s);
		filtered(&s, to_service(), ACK);
		story_event(&s, missed[i], to_service())->err = ETIMEDOUT;
		judged(&s, "netfilter-drop, certain");
		story_end(&s);
	}
}

static void segments_lost_again_are_one(void **state)
{
	const struct rec_tuple there = to_service(), back = tuple_reverse(&there);
	struct story *s = *state;

	filtered(s, there, ACK);
	filtered(s, back, ACK); /* one each way: each may be a stray */
	judged(s, "no verdict");
	filtered(s, there, ACK);
	judged(s, "netfilter-drop, certain");
}

static void netfilter_drop_by_a_derived_reason_says_so(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s, to_service(), SYN);

	judged(s, "netfilter-drop, certain");
	assert_false(story_says(s, "this kernel tells no reasons"));
	e->has_reason = REASON_DERIVED;
	e->location = e->kstack[0];
	judged(s, "netfilter-drop, certain");
	assert_true(story_says(s, "this kernel tells no reasons: NETFILTER_DROP was derived from "
				  "where the packet was dropped, nf_hook_slow"));
}

/* ---- what --nft-trace tells ------------------------------------------------------------------ */

/* handle 0: a policy. */
static void traced(struct rec_event *e, uint64_t handle, const char *chain)
{
	struct rec_nf *nf = &e->nf;

	nf->has = NF_TRACED | NF_CHAIN | (handle ? NF_RULE | NF_HANDLE : 0);
	nf->pf = 2;
	nf->hook = NF_HOOK_ANY;
	nf->family = 1;
	nf->handle = handle;
	assert_true(str_copy(nf->table, sizeof(nf->table), "filter"));
	assert_true(str_copy(handle ? nf->chain : nf->base, sizeof(nf->chain), chain));
}

/* A module's function and one of nftables may have dropped the packet. */
static struct rec_event *filtered_by_either(struct story *s)
{
	struct rec_event *e = filtered(s, to_service(), SYN);

	story_netns(s, HOST, "server");
	story_chain(s, "input", 0);
	story_hook_found(s, HOOK_FOREIGN, "guard_in");
	story_rule(s, RULE_NFTABLES, 13, "tcp dport 1 drop");
	story_answer(s, Q_HOOKS);
	story_answer(s, Q_DROP_RULES);
	judged(s, "netfilter-drop, certain");
	return e;
}

static void a_rule_that_the_kernel_traced_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered_by_either(s);
	struct rec_rule *r;

	traced(e, 12, "deep");
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "The rule that did it: nftables rule handle 12 of chain deep in "
				  "table inet filter"));
	assert_true(story_says(s, "the kernel's own trace (nftrace) of this very packet names the "
				  "rule, with the verdict drop"));
	assert_false(story_says(s, "seen at work"));
	assert_false(story_says(s, "entered"));
	assert_false(story_says(s, "candidate"));
	assert_true(story_offers(s, "nft delete rule inet filter deep handle 12"));
	r = story_rule(s, RULE_NFTABLES, 12, "tcp dport 5432 drop");
	assert_true(str_copy(r->chain, sizeof(r->chain), "deep"));
	r->flags = RULE_ASKED;
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "table inet filter: tcp dport 5432 drop."));
}

static void a_policy_that_the_kernel_traced_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered_by_either(s);

	traced(e, 0, "input");
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "No rule decided, but the policy of base chain input in table "
				  "inet filter is drop."));
	assert_true(story_says(s, "names this chain's policy"));
	assert_false(story_says(s, "entered"));
	assert_false(story_offers(s, "delete rule"));
}

/* Its table has a chain at every hook, also where nothing is known of rules. */
static void the_tracing_table_is_no_suspect(void **state)
{
	struct story *s = *state;
	struct rec_hook *h;

	filtered(s, to_service(), SYN);
	h = story_chain(s, "input", 1);
	story_hook_found(s, HOOK_FOREIGN, "guard_in");
	story_answer(s, Q_HOOKS);
	judged(s, "netfilter-drop, certain"); /* which of both */
	assert_true(str_copy(h->table, sizeof(h->table), "tcpwhy_trace_1"));
	judged(s, "foreign-hook, likely");
}

/* ---- reject-rule ----------------------------------------------------------------------------- */

static void reject_with_a_reset(void **state)
{
	const struct rec_tuple syn = to_service();
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_OUT, tuple_reverse(&syn));

	e->pkt.tcp_flags = RST | ACK;
	judged(s, "no verdict"); /* anybody's reset */
	story_stack(s, e, "nf_send_reset", "nft_reject_inet_eval", "nft_do_chain", "nf_hook_slow",
		    "ip_local_deliver");
	judged(s, "reject-rule, certain");
	assert_true(story_says(s, "rejected the packet 10.0.1.2:50000 -> 10.0.2.2:5432 at the "
				  "LOCAL_IN hook"));
	assert_true(story_says(s, "answered it with a TCP reset"));
	assert_true(story_offers(s, "nft -a list ruleset   (look for input chains)"));
	/* The rule drops what it has answered. */
	filtered(s, syn, SYN);
	judged(s, "reject-rule, certain");
}

/* The answer is seen first; its rule by the drop that follows, which --nft-trace tells more of. */
static void reject_whose_rule_the_kernel_traced(void **state)
{
	struct story *s = *state;
	struct rec_tuple back = tcp("10.0.2.2", 5432, "10.0.1.2", 50000);
	struct rec_event *e = story_event(s, REC_RST_OUT, back), *drop;

	story_stack(s, e, "nf_send_reset", "nft_reject_inet_eval", "nft_do_chain", "nf_hook_slow",
		    "ip_local_deliver");
	drop = filtered(s, to_service(), SYN);
	traced(drop, 12, "deep");
	judged(s, "reject-rule, certain");
	assert_true(story_says(s, "The rule that did it: nftables rule handle 12 of chain deep"));
	assert_true(story_says(s, "the kernel's own trace"));
	/* Another packet's, though of the same connection. */
	drop->cpu = e->cpu + 1;
	judged(s, "reject-rule, certain");
	assert_false(story_says(s, "handle 12"));
	drop->cpu = e->cpu;
	drop->hdr.mono_ns += NSEC_PER_SEC;
	judged(s, "reject-rule, certain");
	assert_false(story_says(s, "handle 12"));
}

static void reject_with_an_icmp_error(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_ICMP_SENT, to_service());

	e->pkt.icmp_type = 3;
	e->pkt.icmp_code = 13;
	judged(s, "no verdict");
	story_stack(s, e, "icmp_send", "nf_send_unreach", "reject_tg", "ipt_do_table",
		    "ip_forward");
	judged(s, "reject-rule, certain");
	assert_true(story_says(s, "answered it with communication administratively prohibited"));
	assert_true(story_says(s, "an iptables-legacy rule"));
}

static void reject_seen_at_the_rule(void **state)
{
	static const struct {
		uint8_t hook;
		const char *hook_name, *chain;
	} hooks[] = {
		{0, "PRE_ROUTING", "prerouting"},
		{1, "LOCAL_IN", "input"},
		{2, "FORWARD", "forward"},
		{3, "LOCAL_OUT", "output"},
	};
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_REJECT, to_service());

	e->pkt.tcp_flags = SYN;
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		e->step = hooks[i].hook;
		e->reason = 0;
		judged(s, "reject-rule, certain");
		assert_true(story_says(s, hooks[i].hook_name));
		assert_true(story_says(s, hooks[i].chain));
		assert_true(story_says(s, "a TCP reset"));
		e->reason = 3 << 8 | 3;
		judged(s, "reject-rule, certain");
		assert_true(story_says(s, "answered it with port unreachable"));
	}
	/* An unknown hook of a kernel to come is no reason to fall. */
	e->step = 200;
	judged(s, "reject-rule, certain");
	assert_true(story_says(s, "(unknown)"));
}

static void reject_of_a_datagram(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_REJECT, udp("fd00::1", 50000, "fd00::2", 53));

	e->step = 1;
	e->reason = 1 << 8 | 1;
	judged(s, "reject-rule, certain");
	assert_true(story_says(s, "answered it with administratively prohibited"));
	assert_true(story_says(s, "IPv6"));
}

static void a_silent_drop_is_no_reject(void **state)
{
	struct story *s = *state;

	filtered(s, to_service(), SYN);
	/* A router elsewhere refused it, not this host. */
	story_event(s, REC_ICMP_RECV, to_service())->pkt.icmp_type = 3;
	judged(s, "netfilter-drop, certain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(netfilter_drop_of_a_syn),
		story_test(netfilter_drop_names_the_hook),
		story_test(netfilter_drop_without_a_reason_by_its_stack),
		story_test(netfilter_drop_of_a_datagram),
		story_test(netfilter_drop_of_the_answer_to_a_syn),
		story_test(one_lost_segment_is_no_failure),
		story_test(a_lost_segment_that_is_missed_is_one),
		story_test(segments_lost_again_are_one),
		story_test(netfilter_drop_by_a_derived_reason_says_so),
		story_test(a_rule_that_the_kernel_traced_is_certain),
		story_test(a_policy_that_the_kernel_traced_is_certain),
		story_test(the_tracing_table_is_no_suspect),
		story_test(reject_with_a_reset),
		story_test(reject_whose_rule_the_kernel_traced),
		story_test(reject_with_an_icmp_error),
		story_test(reject_seen_at_the_rule),
		story_test(reject_of_a_datagram),
		story_test(a_silent_drop_is_no_reject),
	};

	return cmocka_run_group_tests_name("causes in the firewall", tests, NULL, NULL);
}
