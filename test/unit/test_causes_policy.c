/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that conntrack, a bridge, a BPF program or a setting dropped, and near misses. */
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

static void saw_rule(struct story *s, struct rec_event *e, uint64_t handle, const char *function)
{
	e->nf.has |= NF_RULE | NF_HANDLE;
	e->nf.handle = handle;
	e->nf.expr_function = symbol_add(s->world, function);
	assert_true(str_copy(e->nf.chain, sizeof(e->nf.chain), "input"));
}

/* ---- conntrack ------------------------------------------------------------------------------- */

static void count_is(struct story *s, uint64_t count, int64_t max)
{
	story_counter(s, "ConntrackCount", 0)->value = count;
	story_sysctl(s, "net.netfilter.nf_conntrack_max", max);
}

static struct rec_event *without_entry(struct story *s)
{
	struct rec_event *e = filtered(s);

	e->pkt.ctinfo = CTINFO_NONE;
	e->nr_kstack = 0;
	story_stack(s, e, "nf_hook_slow", "ip_rcv");
	return e;
}

static void a_full_table_is_certain_where_conntrack_was_entered_last(void **state)
{
	struct story *s = *state;
	struct rec_event *e = without_entry(s);
	struct rec_hook *h = story_hook_found(s, HOOK_KERNEL, "ipv4_conntrack_in");

	h->hook = 0;
	story_entered(s, e, h);
	judged(s, "netfilter-drop, certain"); /* not known to be full */
	count_is(s, 65536, 65536);
	judged(s, "conntrack-table-full, certain");
	assert_true(story_says(s, "65536 of at most 65536"));
	assert_true(story_offers(s, "nf_conntrack_max=131072"));
	e->nf.has = NF_HOOK;
	judged(s, "conntrack-table-full, likely");
	/* Another was entered after it. */
	h = story_chain(s, "raw", 0);
	h->hook = 0;
	story_entered(s, e, h);
	judged(s, "nftables-rule, certain");
}

static void a_full_table_is_likely_by_counters(void **state)
{
	struct story *s = *state;
	struct rec_event *e = without_entry(s);

	count_is(s, 65536, 65536);
	judged(s, "netfilter-drop, certain");
	story_counter(s, "ConntrackDrop", 5);
	judged(s, "conntrack-table-full, likely");
	/* Entries are made at other hooks. */
	e->nr_kstack = 0;
	story_stack(s, e, "nf_hook_slow", "ip_local_deliver");
	judged(s, "netfilter-drop, certain");
	/* It has one. */
	e->nr_kstack = 0;
	story_stack(s, e, "nf_hook_slow", "ip_rcv");
	e->pkt.ctinfo = 2;
	judged(s, "netfilter-drop, certain");
}

static void a_table_with_room_is_not_full(void **state)
{
	struct story *s = *state;

	without_entry(s);
	count_is(s, 30000, 65536);
	story_counter(s, "ConntrackDrop", 5);
	judged(s, "netfilter-drop, certain");
}

/* A new connection through DNAT, or SNAT, whose first packet passed all rules. */
static struct rec_event *confirmed(struct story *s, bool snat)
{
	struct rec_event *e =
		story_drop(s, udp("10.0.1.2", 50000, "10.0.9.9", 53), "NETFILTER_DROP");
	struct rec_hook *h = story_hook_found(s, HOOK_KERNEL, "nf_confirm");

	e->pkt.has |= PKT_CT;
	e->pkt.ctinfo = 2;
	e->pkt.ct_orig = e->pkt.tuple;
	e->pkt.ct_reply = snat ? udp("10.0.9.9", 53, "192.0.2.1", 1024)
			       : udp("10.0.2.2", 53, "10.0.1.2", 50000);
	story_stack(s, e, "nf_hook_slow", "ip_output", "ip_forward_finish");
	h->hook = 4;
	story_entered(s, e, h);
	return e;
}

static void an_entry_that_lost_a_race_is_told(void **state)
{
	struct story *s = *state;
	struct rec_event *e = confirmed(s, false);
	struct rec_hook *late;

	judged(s, "netfilter-drop, certain"); /* it wasn't counted */
	assert_true(story_says(s, "conntrack's helpers"));
	story_counter(s, "ConntrackInsertFailed", 1);
	judged(s, "conntrack-insert-failed, certain");
	assert_true(story_says(s, "10.0.1.2:50000 -> 10.0.9.9:53 (answers: 10.0.2.2:53 -> "
				  "10.0.1.2:50000)"));
	assert_true(story_offers(s, "single-request-reopen"));
	e->nf.has = 0;
	judged(s, "netfilter-drop, certain"); /* it may have been counted for others */
	story_answer(s, Q_HOOKS);
	story_answer(s, Q_DROP_RULES);
	judged(s, "conntrack-insert-failed, likely");
	late = story_chain(s, "late", 0);
	late->hook = 4;
	judged(s, "netfilter-drop, certain");
	late->policy = 1;
	e->pkt.ct_status = 8; /* IPS_CONFIRMED: it was in the table */
	judged(s, "netfilter-drop, certain");
}

static void a_port_that_another_has_is_exhaustion(void **state)
{
	struct story *s = *state;
	struct rec_event *e = confirmed(s, true);
	struct rec_ct *other;

	story_counter(s, "ConntrackInsertFailed", 1);
	judged(s, "conntrack-insert-failed, certain");
	other = story_conntrack(s, udp("10.0.1.7", 40000, "10.0.9.9", 53),
				udp("10.0.9.9", 53, "192.0.2.1", 1024));
	judged(s, "nat-port-exhausted, certain");
	assert_true(story_says(s, "192.0.2.1:1024 is in use by 10.0.1.7:40000 -> 10.0.9.9:53"));
	e->nf.has = 0;
	judged(s, "nat-port-exhausted, likely");
	e->nf.has = NF_HOOK | NF_COVERED;
	/* The same connection's first packet: a race after all. */
	other->orig = e->pkt.ct_orig;
	judged(s, "conntrack-insert-failed, certain");
}

/* ---- INVALID --------------------------------------------------------------------------------- */

static void what_conntrack_said_goes_with_the_rule(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);

	e->pkt.ctinfo = CTINFO_NONE;
	story_entered(s, e, story_chain(s, "input", 1));
	saw_rule(s, e, 12, "nft_immediate_eval");
	e->nf.has |= NF_INVALID;
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "it was INVALID for conntrack: the kernel gave no reason"));
	assert_true(str_copy(e->nf.invalid, sizeof(e->nf.invalid),
			     "SEQ is over upper bound 17 (over "
			     "the window of the receiver)"));
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "it was INVALID for conntrack: its data goes beyond the "
				  "receiver's "
				  "window (in the kernel's words: SEQ is over upper bound 17"));
}

/* ---- bridges --------------------------------------------------------------------------------- */

static void bridged_packets_that_meet_rules_for_ip(void **state)
{
	struct story *s = *state;
	struct rec_event *e = filtered(s);

	e->nr_kstack = 0;
	story_stack(s, e, "nft_do_chain", "nf_hook_slow", "br_nf_forward_ip", "nf_hook_slow",
		    "__br_forward");
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "FORWARD (of a bridged packet)"));
	assert_true(story_says(s, "net.bridge.bridge-nf-call-iptables is 1"));
}

static struct rec_event *at_port(struct story *s, const char *reason)
{
	struct rec_event *e = story_drop(s, to_service(), reason);

	e->pkt.tcp_flags = SYN;
	e->ifindex = 7;
	assert_true(str_copy(e->ifname, sizeof(e->ifname), "eth0"));
	story_stack(s, e, "kfree_skb", "br_handle_frame", "__netif_receive_skb_core");
	return e;
}

static void a_blocked_bridge_port_matters_if_the_packet_is_missed(void **state)
{
	struct story *s = *state;

	at_port(s, "BRIDGE_INGRESS_STP_STATE");
	story_link(s, 1);
	judged(s, "no verdict"); /* a copy that was flooded */
	at_port(s, "BRIDGE_INGRESS_STP_STATE");
	judged(s, "bridge-port-blocked, certain");
	assert_true(story_says(s, "eth0 is a port of the bridge br0, state listening"));
	assert_true(story_offers(s, "forward_delay"));
}

static void a_blocked_bridge_port_without_reason_is_likely(void **state)
{
	struct story *s = *state;
	struct rec_link *l;

	at_port(s, "NOT_SPECIFIED");
	at_port(s, "NOT_SPECIFIED");
	judged(s, "no verdict");
	l = story_link(s, 3); /* forwards */
	judged(s, "no verdict");
	l->port_state = 0xff; /* is no port */
	judged(s, "no verdict");
	l->port_state = 4;
	judged(s, "no verdict"); /* where it was dropped isn't told */
	timeline_each_event(&s->tl, e)
		((struct rec_event *)(uintptr_t)e)->location = symbol_add(s->world, "br_handle_"
										    "frame");
	judged(s, "bridge-port-blocked, likely");
	assert_true(story_says(s, "state blocking"));
}

/* ---- BPF programs ---------------------------------------------------------------------------- */

static void a_tc_program_is_named_if_it_is_alone(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), "TC_INGRESS");
	struct rec_bpf_prog *p;

	e->pkt.tcp_flags = SYN;
	e->ifindex = 7;
	story_answer(s, Q_BPF_PROGS);
	story_program(s, BPF_AT_TC_EGRESS, 11, "out")->ifindex = 7;
	story_program(s, BPF_AT_TC_INGRESS, 12, "elsewhere")->ifindex = 8;
	judged(s, "syn-dropped-here, certain"); /* a filter of another kind */
	p = story_program(s, BPF_AT_TC_INGRESS, 13, "guard");
	p->ifindex = 7;
	p->pid = 321;
	assert_true(str_copy(p->comm, sizeof(p->comm), "agentd"));
	judged(s, "bpf-tc-drop, certain");
	assert_true(story_says(s, "the only BPF program there: guard (id 13, tc-ingress, held by "
				  "pid "
				  "321 agentd)"));
	assert_true(story_offers(s, "bpftool prog show id 13"));
	story_program(s, BPF_AT_TC_INGRESS, 14, "second");
	judged(s, "bpf-tc-drop, certain");
	assert_true(story_says(s, "Which of the 2 BPF programs"));
	assert_true(story_says(s, "candidate 2 of 2: second (id 14, tc-ingress)"));
	e->has_reason = REASON_DERIVED;
	judged(s, "bpf-tc-drop, likely");
	/* A policer may slow a stream down. */
	e->pkt.tcp_flags = ACK;
	judged(s, "no verdict");
}

static void an_xdp_program_is_named(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), "NOT_SPECIFIED");

	e->pkt.tcp_flags = SYN;
	e->ifindex = 7;
	judged(s, "no verdict");
	story_stack(s, e, "kfree_skb", "do_xdp_generic", "__netif_receive_skb_core");
	judged(s, "bpf-xdp-drop, certain");
	assert_true(story_says(s, "Which BPF program it was is not known."));
	story_answer(s, Q_BPF_PROGS);
	judged(s, "bpf-xdp-drop, likely"); /* none there any more */
	story_program(s, BPF_AT_XDP, 12, "shield")->ifindex = 7;
	judged(s, "bpf-xdp-drop, certain");
	assert_true(story_says(s, "shield (id 12, xdp)"));
}

static void a_cgroups_program_is_told_from_the_sockets_own_filter(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), "SOCKET_FILTER");

	e->pkt.tcp_flags = SYN;
	judged(s, "syn-dropped-here, certain");
	story_program(s, BPF_AT_CGROUP_EGRESS, 12, "out");
	judged(s, "syn-dropped-here, certain");
	story_program(s, BPF_AT_CGROUP_INGRESS, 13, "sd_fw_ingress");
	judged(s, "bpf-cgroup-drop, likely");
	assert_true(story_says(s, "sd_fw_ingress (id 13, cgroup-ingress)"));
	story_program(s, BPF_AT_SOCKET, 14, "own");
	judged(s, "syn-dropped-here, certain");
	story_reason(e, "BPF_CGROUP_EGRESS");
	judged(s, "bpf-cgroup-drop, certain");
	assert_true(story_says(s, "out (id 12, cgroup-egress)"));
	e->has_reason = REASON_DERIVED;
	judged(s, "bpf-cgroup-drop, likely");
}

static void a_program_may_forbid_connect(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_CONNECT, to_service());

	e->err = EPERM;
	story_task(e, 12, "curl");
	judged(s, "unknown, unknown");
	story_program(s, BPF_AT_CGROUP_CONNECT, 13, "no_net");
	judged(s, "bpf-cgroup-drop, likely");
	assert_true(story_says(s, "EPERM"));
	/* IPsec says the same, and counts it. */
	story_counter(s, "XfrmOutPolBlock", 1);
	judged(s, "xfrm-policy, likely");
	e->err = EACCES;
	judged(s, "unknown, unknown");
}

static void connect_eperm_is_what_is_left(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_CONNECT, to_service());
	struct rec_bpf_prog *p;

	e->err = EPERM;
	e->task.seccomp = 2;
	story_task(e, 12, "curl");
	judged(s, "unknown, unknown"); /* a program of its cgroup, perhaps */
	story_answer(s, Q_BPF_PROGS);
	judged(s, "connect-eperm, likely");
	assert_true(story_says(s, "runs under a seccomp filter"));
	assert_true(story_hits(s, "pid 12 curl"));
	assert_true(story_offers(s, "grep Seccomp /proc/12/status"));
	e->task.seccomp = 0;
	judged(s, "connect-eperm, likely");
	assert_true(story_says(s, "a security module is left"));
	e->err = EACCES;
	judged(s, "unknown, unknown");
	e->err = EPERM;
	p = story_program(s, BPF_AT_CGROUP_CONNECT, 13, "no_net");
	judged(s, "bpf-cgroup-drop, likely");
	p->place = BPF_AT_CGROUP_EGRESS;
	judged(s, "connect-eperm, likely");
	story_counter(s, "XfrmOutPolBlock", 1);
	judged(s, "xfrm-policy, likely");
}

/* ---- xfrm-policy, forwarding-off ------------------------------------------------------------- */

static void an_ipsec_policy_is_told_by_the_reason_or_counted(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), "XFRM_POLICY");

	e->pkt.tcp_flags = SYN;
	judged(s, "xfrm-policy, certain");
	story_reason(e, "NOT_SPECIFIED");
	e->location = symbol_add(s->world, "ip_forward");
	judged(s, "no verdict");
	story_counter(s, "XfrmInTmplMismatch", 2);
	judged(s, "xfrm-policy, likely");
	assert_true(story_says(s, "a policy wants it encrypted"));
	e->location = symbol_add(s->world, "ip_forward_finish");
	judged(s, "no verdict");
}

static void forwarding_that_is_off_is_told_by_the_reason_or_the_setting(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), "IP_INADDRERRORS");

	e->pkt.tcp_flags = SYN;
	assert_true(str_copy(e->ifname, sizeof(e->ifname), "eth0"));
	story_stack(s, e, "kfree_skb", "ip_error", "ip_rcv");
	judged(s, "forwarding-off, certain");
	assert_true(story_offers(s, "net.ipv4.ip_forward=1"));
	/* Without the reason it is a missing route, unless the setting says otherwise. */
	story_reason(e, "NOT_SPECIFIED");
	judged(s, "connect-unreachable, certain");
	story_sysctl(s, "net.ipv4.conf.eth0.forwarding", 0);
	judged(s, "forwarding-off, certain");
	assert_true(story_says(s, "net.ipv4.conf.eth0.forwarding is 0"));
}

static void forwarding_of_ipv6_is_one_setting_for_all(void **state)
{
	struct story *s = *state;
	struct rec_event *e =
		story_drop(s, tcp("fd00::1", 50000, "fd00:2::2", 80), "NOT_SPECIFIED");

	e->pkt.tcp_flags = SYN;
	e->location = symbol_add(s->world, "ip6_forward");
	judged(s, "no verdict");
	story_sysctl(s, "net.ipv6.conf.all.forwarding", 0);
	judged(s, "forwarding-off, certain");
	assert_true(story_offers(s, "net.ipv6.conf.all.forwarding=1"));
	e->location = symbol_add(s->world, "ip6_forward_finish");
	judged(s, "no verdict");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(a_full_table_is_certain_where_conntrack_was_entered_last),
		story_test(a_full_table_is_likely_by_counters),
		story_test(a_table_with_room_is_not_full),
		story_test(an_entry_that_lost_a_race_is_told),
		story_test(a_port_that_another_has_is_exhaustion),
		story_test(what_conntrack_said_goes_with_the_rule),
		story_test(bridged_packets_that_meet_rules_for_ip),
		story_test(a_blocked_bridge_port_matters_if_the_packet_is_missed),
		story_test(a_blocked_bridge_port_without_reason_is_likely),
		story_test(a_tc_program_is_named_if_it_is_alone),
		story_test(an_xdp_program_is_named),
		story_test(a_cgroups_program_is_told_from_the_sockets_own_filter),
		story_test(a_program_may_forbid_connect),
		story_test(connect_eperm_is_what_is_left),
		story_test(an_ipsec_policy_is_told_by_the_reason_or_counted),
		story_test(forwarding_that_is_off_is_told_by_the_reason_or_the_setting),
		story_test(forwarding_of_ipv6_is_one_setting_for_all),
	};

	return cmocka_run_group_tests_name("causes by programs and settings", tests, NULL, NULL);
}
