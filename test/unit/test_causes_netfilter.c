/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which hook function dropped, and which rule: what is known of it, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

static struct rec_tuple to_service(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 5432);
}

/* As kernels show it that free the packet behind the hooks: nobody's function is in the stack. */
static struct rec_event *filtered(struct story *s)
{
	struct rec_event *e = story_drop(s, to_service(), "NETFILTER_DROP");

	e->pkt.tcp_flags = SYN;
	e->pkt.ctinfo = 2;
	story_stack(s, e, "nf_hook_slow", "ip_local_deliver", "ip_rcv");
	story_netns(s, HOST, "server");
	return e;
}

/* The lookups that list what there is were made, and conntrack has dropped nothing. */
static void listed(struct story *s)
{
	story_answer(s, Q_HOOKS);
	story_answer(s, Q_DROP_RULES);
	story_counter(s, "ConntrackDrop", 0);
	story_counter(s, "ConntrackInsertFailed", 0);
}

static void saw_rule(struct story *s, struct rec_event *e, uint64_t handle, const char *function)
{
	e->nf.has |= NF_RULE | NF_HANDLE;
	e->nf.handle = handle;
	e->nf.expr_function = symbol_add(s->world, function);
	assert_true(str_copy(e->nf.chain, sizeof(e->nf.chain), "input"));
}

/* ---- nftables-rule --------------------------------------------------------------------------- */

static void a_rule_that_was_seen_at_work_is_named(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_rule *r;

	story_entered(s, e, story_chain(s, "input", 1));
	saw_rule(s, e, 12, "nft_immediate_eval");
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "The rule that did it: nftables rule handle 12 of chain input in "
				  "table inet filter"));
	assert_true(story_offers(s, "ip netns exec server nft -a list chain inet filter input"));
	assert_true(story_offers(s, "nft delete rule inet filter input handle 12"));
	/* With the lookup's answer its text too; other rules don't matter. */
	story_rule(s, RULE_NFTABLES, 13, "tcp dport 1 drop");
	r = story_rule(s, RULE_NFTABLES, 12, "tcp dport 5432 drop");
	r->flags = RULE_ASKED;
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "table inet filter: tcp dport 5432 drop."));
	assert_false(story_says(s, "candidate"));
	assert_false(story_says(s, "dport 1"));
}

static void a_verdict_map_is_told(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);

	story_entered(s, e, story_chain(s, "input", 1));
	saw_rule(s, e, 12, "nft_lookup_eval");
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "an element of its verdict map"));
}

static void a_policy_is_no_rule(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);

	story_entered(s, e, story_chain(s, "input", 0));
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "No rule decided, but the policy of base chain input in table "
				  "inet "
				  "filter is drop."));
	assert_true(story_offers(s, "nft add chain inet filter input '{ policy accept; }'"));
	assert_false(story_offers(s, "delete rule"));
}

/* Its expression is of a kind that no probe watches. */
static void a_chain_that_was_entered_last_has_candidates(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_rule *other;

	story_entered(s, e, story_chain(s, "input", 1));
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "Which rule it was is not known."));
	story_rule(s, RULE_NFTABLES, 12, "tcp dport 5432 drop");
	other = story_rule(s, RULE_NFTABLES, 20, "drop");
	assert_true(str_copy(other->base, sizeof(other->base), "late"));
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "The only rule that can have done it here: nftables rule handle "
				  "12"));
	/* Not all hook functions were watched: the next one may have dropped it. */
	e->nf.has &= (uint8_t)~NF_COVERED;
	judged(s, "nftables-rule, likely");
	assert_true(story_says(s, "not all of them are watched"));
}

static void the_stack_tells_nftables_and_the_ruleset_which_rules(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_rule *r;

	e->nr_kstack = 0;
	story_stack(s, e, "nft_do_chain", "nft_do_chain_inet", "nf_hook_slow", "ip_local_deliver");
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "Which rule it was is not known."));
	assert_true(story_offers(s, "nft -a list ruleset   (look for input chains)"));
	story_rule(s, RULE_NFTABLES, 12, "tcp dport 5432 drop");
	r = story_rule(s, RULE_NFTABLES, 30, "drop");
	r->hook = 2;					       /* of another hook */
	r = story_rule(s, RULE_IPTABLES_LEGACY, 0, "-j DROP"); /* of another machine */
	r->number = 1;
	r = story_rule(s, RULE_NFTABLES, 40, "tcp dport 1 counter drop");
	r->flags = RULE_COUNTED; /* stood still */
	listed(s);
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "The only rule that can have done it here: nftables rule handle "
				  "12 of chain input in table inet filter: tcp dport 5432 drop."));
	assert_true(story_says(s, "not seen at work; it is the only one at this hook that can"));
	assert_true(story_offers(s, "handle 12"));
}

static void several_rules_are_candidates_those_that_moved_first(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);

	e->nr_kstack = 0;
	story_stack(s, e, "nft_do_chain", "nf_hook_slow", "ip_local_deliver");
	for (unsigned i = 1; i <= 7; i++)
		story_rule(s, RULE_NFTABLES, i, "drop");
	story_rule(s, RULE_NFTABLES, 99, "counter drop")->flags = RULE_COUNTED | RULE_MOVED;
	story_rule(s, RULE_NFTABLES, 3, "drop"); /* asked twice */
	story_rule(s, RULE_NFTABLES, 7, "drop");
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "Which rule it was is not known: 8 may have been. Of those with "
				  "a "
				  "counter only one rose: nftables rule handle 99 "));
	assert_true(story_says(s, "candidate 1 of 8: nftables rule handle 99 of chain input in "
				  "table "
				  "inet filter: counter drop (its counter rose)"));
	assert_true(story_says(s, "candidate 2 of 8: nftables rule handle 1 "));
	assert_true(story_says(s, "and 3 more"));
	assert_true(story_says(s, "7 of them have no counter"));
	assert_false(story_offers(s, "delete rule"));
	story_rule(s, RULE_NFTABLES, 98, "counter drop")->flags = RULE_COUNTED | RULE_MOVED;
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "9 may have been"));
}

/* Another packet's lookup may have been in between, which saw the counter rise. */
static void a_counter_that_stands_still_excludes_only_what_never_matched(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_rule *r;

	e->nr_kstack = 0;
	story_stack(s, e, "nft_do_chain", "nf_hook_slow", "ip_local_deliver");
	story_rule(s, RULE_NFTABLES, 12, "drop");
	r = story_rule(s, RULE_NFTABLES, 13, "counter drop");
	r->flags = RULE_COUNTED;
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "The only rule that can have done it here: nftables rule handle "
				  "12"));
	r->packets = 1;
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "2 may have been"));
	/* A later answer saw it move. */
	r = story_rule(s, RULE_NFTABLES, 13, "counter drop");
	r->flags = RULE_COUNTED | RULE_MOVED;
	r->packets = 2;
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "Of those with a counter only one rose: nftables rule handle "
				  "13"));
}

static void of_rules_that_all_count_it_is_most_likely_the_one_that_rose(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_rule *r;

	e->nr_kstack = 0;
	story_stack(s, e, "nft_do_chain", "nf_hook_slow", "ip_local_deliver");
	r = story_rule(s, RULE_NFTABLES, 12, "counter drop");
	r->flags = RULE_COUNTED;
	r->packets = 5;
	story_rule(s, RULE_NFTABLES, 13, "counter drop")->flags = RULE_COUNTED | RULE_MOVED;
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "Most likely it was the only one of 2 rules whose counter rose: "
				  "nftables rule handle 13"));
	assert_false(story_says(s, "no counter"));
	assert_false(story_offers(s, "delete rule"));
}

/* What stands below the hook that dropped is about another packet. */
static void an_outer_nft_do_chain_is_not_the_dropper(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);

	e->nr_kstack = 0;
	story_stack(s, e, "nf_hook_slow", "__ip_local_out", "ip_local_out", "nf_send_reset",
		    "nft_reject_inet_eval", "nft_do_chain", "nf_hook_slow", "ip_local_deliver");
	judged(s, "netfilter-drop, certain");
	assert_true(story_says(s, "LOCAL_OUT hook"));
}

/* ---- iptables-rule --------------------------------------------------------------------------- */

static void a_rule_of_iptables_nft_is_told_as_iptables_writes_it(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_hook *h = story_chain(s, "INPUT", 1);
	struct rec_rule *r;

	h->family = 2;
	story_entered(s, e, h);
	saw_rule(s, e, 4, "nft_immediate_eval");
	r = story_rule(s, RULE_IPTABLES_NFT, 4, "-A INPUT -p tcp -m tcp --dport 5432 -j DROP");
	r->flags = RULE_ASKED;
	r->number = 3;
	judged(s, "iptables-rule, certain");
	assert_true(story_says(s, "iptables rule number 3 of chain INPUT in table filter: -A INPUT "
				  "-p tcp -m tcp --dport 5432 -j DROP."));
	assert_true(story_offers(s, "iptables-nft -t filter -D INPUT 3"));
	assert_true(story_offers(s, "iptables-nft -t filter -vnL INPUT --line-numbers"));
}

static void a_legacy_table_that_was_entered_last_did_it(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_rule *r;

	story_entered(s, e, story_hook_found(s, HOOK_IPTABLES, "ipt_do_table"));
	judged(s, "iptables-rule, certain");
	assert_true(story_says(s, "Which rule it was is not known."));
	r = story_rule(s, RULE_IPTABLES_LEGACY, 0, "-A INPUT -p tcp -j DROP");
	r->number = 2;
	r->flags = RULE_COUNTED | RULE_MOVED;
	story_rule(s, RULE_IPTABLES_LEGACY, 0, "-A INPUT -p udp -j DROP")->flags = RULE_COUNTED;
	story_rule(s, RULE_NFTABLES, 7, "drop");
	listed(s);
	judged(s, "iptables-rule, certain");
	assert_true(story_says(s, "The only rule that can have done it here: iptables-legacy rule "
				  "number 2 of chain INPUT in table filter: -A INPUT -p tcp -j "
				  "DROP."));
	assert_true(story_says(s, "the only one at this hook whose counter rose"));
	assert_true(story_offers(s, "iptables-legacy -t filter -D INPUT 2"));
}

static void legacy_alone_at_a_hook_did_it(void **state)
{
	struct story *s = *state;
	struct rec_rule *r;

	filtered(s);
	story_hook_found(s, HOOK_KERNEL, "ipv4_conntrack_in");
	story_hook_found(s, HOOK_IPTABLES, "iptable_filter_hook");
	story_chain(s, "input", 1); /* has no rule that drops */
	r = story_rule(s, RULE_IPTABLES_LEGACY, 0, "-A INPUT -j DROP");
	r->flags = RULE_COUNTED | RULE_MOVED;
	judged(s, "netfilter-drop, certain"); /* as long as the lists are not whole */
	listed(s);
	judged(s, "iptables-rule, certain");
	assert_true(story_says(s, "no other hook function here can have dropped it"));
}

static void legacy_beside_others_is_likely_by_its_counter(void **state)
{
	struct story *s = *state;
	struct rec_rule *r;

	filtered(s);
	story_hook_found(s, HOOK_IPTABLES, "iptable_filter_hook");
	story_chain(s, "input", 0);
	r = story_rule(s, RULE_IPTABLES_LEGACY, 0, "-A INPUT -j DROP");
	r->flags = RULE_COUNTED | RULE_MOVED;
	r->number = 1;
	listed(s);
	judged(s, "iptables-rule, likely");
	r = story_rule(s, RULE_IPTABLES_LEGACY, 0, "-A INPUT -s 10.0.0.0/8 -j DROP");
	r->flags = RULE_COUNTED | RULE_MOVED;
	r->number = 2;
	judged(s, "netfilter-drop, certain");
	assert_true(story_says(s, "2 hook functions may have"));
}

/* ---- foreign-hook ---------------------------------------------------------------------------- */

static void a_foreign_module_is_named(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_hook *h = story_hook_found(s, HOOK_FOREIGN, "guard_in");

	assert_true(str_copy(h->module, sizeof(h->module), "acme_guard"));
	story_chain(s, "input", 0);
	story_entered(s, e, h);
	judged(s, "foreign-hook, certain");
	assert_true(story_says(s, "The function guard_in of the kernel module acme_guard did it"));
	assert_true(story_offers(s, "modinfo acme_guard"));
	e->nf.has = NF_HOOK;
	judged(s, "foreign-hook, likely");
	/* The packet entered another function last. */
	e->nf.function = 0xffffffffa0000000ull;
	judged(s, "netfilter-drop, certain");
}

static void a_module_that_steals_packets_is_named(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_hook *h = story_hook_found(s, HOOK_FOREIGN, "guard_in");
	struct rec_symbol bridge;

	/* Where the function is, not where it called. */
	h->function -= 0x10;
	assert_true(str_copy(h->module, sizeof(h->module), "acme_guard"));
	story_chain(s, "input", 0);
	*e->reason_name = '\0';
	e->has_reason = REASON_NONE;
	e->nr_kstack = 0;
	story_stack(s, e, "guard_in", "nf_hook_slow", "ip_local_deliver");
	e->location = e->kstack[0];
	judged(s, "foreign-hook, certain");
	assert_true(story_says(s, "itself freed the packet, and kept it from what comes behind "
				  "(NF_STOLEN)"));
	/* It sent the packet on, and another part of the kernel freed it. */
	rec_init(&bridge, REC_SYMBOL, 0, 0);
	bridge.addr = e->location = 0xffffffffc1000040ull;
	assert_true(str_copy(bridge.name, sizeof(bridge.name), "br_forward_finish"));
	assert_true(str_copy(bridge.module, sizeof(bridge.module), "bridge"));
	assert_int_equal(world_add(s->world, &bridge.hdr), 0);
	judged(s, "netfilter-drop, certain");
	assert_false(story_says(s, "NF_STOLEN"));
	e->location = e->kstack[0];
	/* A function of the kernel's own that is in that place, and of which nobody has heard. */
	h->maker = HOOK_KERNEL;
	judged(s, "netfilter-drop, certain");
	assert_false(story_says(s, "NF_STOLEN"));
}

static void a_program_at_a_hook_is_named(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_hook *h = story_hook_found(s, HOOK_BPF, "nf_hook_run_bpf");
	struct rec_hook *other = story_hook_found(s, HOOK_BPF, "nf_hook_run_bpf");

	h->prog_id = 77;
	h->prog_pid = 4321;
	assert_true(str_copy(h->prog_name, sizeof(h->prog_name), "agent_filter"));
	assert_true(str_copy(h->prog_comm, sizeof(h->prog_comm), "agentd"));
	other->prog_id = 78;
	story_entered(s, e, h);
	judged(s, "foreign-hook, certain");
	assert_true(story_says(s, "A BPF program did it, no rule: agent_filter (id 77). Process "
				  "4321 "
				  "(agentd) holds it."));
	assert_true(story_offers(s, "bpftool prog show id 77"));
	assert_true(story_offers(s, "agentd (pid 4321)"));
}

static void a_foreign_function_alone_is_likely(void **state)
{
	struct story *s = *state;
	struct rec_hook *h;

	filtered(s);
	story_hook_found(s, HOOK_KERNEL, "ipv4_conntrack_in");
	story_chain(s, "input", 1);
	h = story_hook_found(s, HOOK_FOREIGN, "guard_in");
	story_hook_found(s, HOOK_FOREIGN, "guard_forward")->hook = 2;
	assert_true(str_copy(h->module, sizeof(h->module), "acme_guard"));
	listed(s);
	judged(s, "foreign-hook, likely");
	assert_true(story_says(s, "acme_guard"));
	/* conntrack dropped packets in that time, too. */
	story_counter(s, "ConntrackDrop", 3);
	judged(s, "netfilter-drop, certain");
	assert_true(story_says(s, "candidate 1 of 2, in call order: the kernel's own "
				  "ipv4_conntrack_in"));
	assert_true(story_says(s, "candidate 2 of 2, in call order: guard_in of the foreign kernel "
				  "module acme_guard"));
}

/* It was registered after the probes were made, and the chain before it lets all pass. */
static void what_is_not_watched_may_come_behind_what_was_seen(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_hook *before = story_hook_found(s, HOOK_FOREIGN, "guard_early");
	struct rec_hook *chain = story_chain(s, "input", 1);
	struct rec_hook *behind = story_hook_found(s, HOOK_BPF, "nf_hook_run_bpf");

	before->priority = -300;
	behind->priority = 10;
	behind->prog_id = 77;
	story_entered(s, e, chain);
	e->nf.has &= (uint8_t)~NF_COVERED;
	listed(s);
	judged(s, "foreign-hook, likely");
	assert_true(story_says(s, "(id 77)"));
	assert_true(story_says(s, "was seen to enter is chain input of table inet filter"));
	/* Its policy may have dropped it, or the program, if it was accepted there. */
	chain->policy = e->nf.policy = 0;
	judged(s, "netfilter-drop, certain");
	assert_true(story_says(s, "2 hook functions may have"));
	assert_false(story_says(s, "guard_early"));
	e->nf.has |= NF_COVERED;
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "the policy of base chain input"));
}

/* In the sender's namespace, say: the packet came through a veth pair, and no function here is watched. */
static void a_hook_that_was_passed_before_is_not_the_dropper(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_hook *passed = story_hook_found(s, HOOK_KERNEL, "apparmor_ip_postroute");
	struct rec_hook *here = story_hook_found(s, HOOK_FOREIGN, "guard_in");

	passed->hook = 4;
	assert_true(str_copy(here->module, sizeof(here->module), "acme_guard"));
	story_entered(s, e, passed);
	e->nf.has = NF_HOOK;
	listed(s);
	judged(s, "foreign-hook, likely");
	assert_true(story_says(s, "acme_guard"));
	assert_false(story_says(s, "apparmor"));
}

static void several_that_may_have_are_candidates_in_call_order(void **state)
{
	struct story *s = *state;

	filtered(s);
	story_hook_found(s, HOOK_FOREIGN, "guard_in");
	story_chain(s, "input", 0);
	story_rule(s, RULE_NFTABLES, 12, "tcp dport 5432 drop");
	listed(s);
	judged(s, "netfilter-drop, certain");
	assert_true(story_says(s, "Who did it there is not known: 2 hook functions may have"));
	assert_true(story_says(s, "candidate 1 of 2, in call order: guard_in"));
	assert_true(story_says(s, "candidate 2 of 2, in call order: chain input of table inet "
				  "filter"));
	assert_true(story_says(s, "a rule that may have: nftables rule handle 12"));
}

/* ---- nfqueue-verdict ------------------------------------------------------------------------- */

static void the_program_behind_a_queue_is_named(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_nfqueue *q;

	e->has_reason = REASON_NONE;
	e->reason_name[0] = '\0';
	e->nr_kstack = 0;
	story_stack(s, e, "kfree_skb", "nf_reinject", "nfqnl_reinject", "nfqnl_recv_verdict",
		    "netlink_sendmsg");
	e->location = e->kstack[1];
	story_task(e, 4321, "ips");
	q = story_queue(s, 7, 4321);
	assert_true(str_copy(q->comm, sizeof(q->comm), "ips"));
	story_queue(s, 8, 99);
	judged(s, "nfqueue-verdict, likely"); /* what else is there was not listed */
	listed(s);
	judged(s, "nfqueue-verdict, certain");
	assert_true(story_says(s, "which said drop: pid 4321 ips"));
	assert_true(story_says(s, "queue 7: pid 4321 ips listens"));
	assert_false(story_says(s, "queue 8"));
	/* What it let pass went on, and was dropped elsewhere. */
	e->location = symbol_add(s->world, "tcp_v4_rcv");
	judged(s, "no verdict");
	/* Or by a rule behind the queue, as the probes saw. */
	e->location = symbol_add(s->world, "nf_reinject");
	story_entered(s, e, story_chain(s, "late", 1));
	saw_rule(s, e, 12, "nft_immediate_eval");
	judged(s, "nftables-rule, certain");
	/* Or by another hook function. */
	story_entered(s, e, story_hook_found(s, HOOK_FOREIGN, "guard_in"));
	judged(s, "foreign-hook, certain");
}

static void a_hook_behind_the_queue_makes_it_likely(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);

	e->nr_kstack = 0;
	story_stack(s, e, "nf_reinject", "nfqnl_recv_verdict", "netlink_sendmsg");
	e->location = e->kstack[0];
	story_chain(s, "input", 1);
	story_rule(s, RULE_NFTABLES, 12, "tcp dport 5432 queue to 7");
	listed(s);
	judged(s, "nfqueue-verdict, certain");
	story_rule(s, RULE_NFTABLES, 13, "tcp dport 5432 drop");
	judged(s, "nfqueue-verdict, likely");
	assert_true(story_says(s, "if the program let it pass"));
}

static void nobody_at_a_queue_is_told_from_a_full_one(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);
	struct rec_nfqueue *q;
	struct rec_rule *r;

	story_reason(e, "NOT_SPECIFIED");
	e->nr_kstack = 0;
	story_stack(s, e, "sk_skb_reason_drop", "nf_queue", "nf_hook_slow", "ip_local_deliver");
	judged(s, "nfqueue-verdict, certain");
	assert_true(story_says(s, "No program listens there, or the queue is full."));
	story_answer(s, Q_NFQUEUES);
	judged(s, "nfqueue-verdict, certain");
	assert_true(story_says(s, "No program listens at any queue of netns server."));

	story_entered(s, e, story_chain(s, "input", 1));
	saw_rule(s, e, 12, "nft_queue_eval");
	r = story_rule(s, RULE_NFTABLES, 12, "tcp dport 5432 queue flags bypass to 7");
	r->flags = RULE_ASKED;
	q = story_queue(s, 70, 55);
	judged(s, "nfqueue-verdict, certain");
	assert_true(story_says(s, "No program listens at that queue."));
	assert_true(story_says(s, "NFQUEUE, queue 7)"));
	q->queue = 7;
	q->dropped = 12;
	judged(s, "nfqueue-verdict, certain");
	assert_true(story_says(s, "the queue was full"));
	assert_true(story_says(s, "12 were dropped as it was full"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(a_rule_that_was_seen_at_work_is_named),
		story_test(a_verdict_map_is_told),
		story_test(a_policy_is_no_rule),
		story_test(a_chain_that_was_entered_last_has_candidates),
		story_test(the_stack_tells_nftables_and_the_ruleset_which_rules),
		story_test(several_rules_are_candidates_those_that_moved_first),
		story_test(a_counter_that_stands_still_excludes_only_what_never_matched),
		story_test(of_rules_that_all_count_it_is_most_likely_the_one_that_rose),
		story_test(an_outer_nft_do_chain_is_not_the_dropper),
		story_test(a_rule_of_iptables_nft_is_told_as_iptables_writes_it),
		story_test(a_legacy_table_that_was_entered_last_did_it),
		story_test(legacy_alone_at_a_hook_did_it),
		story_test(legacy_beside_others_is_likely_by_its_counter),
		story_test(a_foreign_module_is_named),
		story_test(a_module_that_steals_packets_is_named),
		story_test(a_program_at_a_hook_is_named),
		story_test(a_foreign_function_alone_is_likely),
		story_test(what_is_not_watched_may_come_behind_what_was_seen),
		story_test(a_hook_that_was_passed_before_is_not_the_dropper),
		story_test(several_that_may_have_are_candidates_in_call_order),
		story_test(the_program_behind_a_queue_is_named),
		story_test(a_hook_behind_the_queue_makes_it_likely),
		story_test(nobody_at_a_queue_is_told_from_a_full_one),
	};

	return cmocka_run_group_tests_name("causes in netfilter", tests, NULL, NULL);
}
