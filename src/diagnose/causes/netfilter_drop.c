/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/* Who calls the hooks: the function next above nf_hook_slow() tells the hook point. */
static const struct {
	const char *function;
	const char *hook;
	const char *chain; /* where a user finds the rules of it */
} hook_points[] = {
	/* net/bridge/br_netfilter_hooks.c: IP hooks for bridged packets, below the bridge's own. */
	{"br_nf_pre_routing", "PRE_ROUTING (of a bridged packet)", "prerouting"},
	{"br_nf_pre_routing_ipv6", "PRE_ROUTING (of a bridged packet)", "prerouting"},
	{"br_nf_forward", "FORWARD (of a bridged packet)", "forward"},
	{"br_nf_forward_ip", "FORWARD (of a bridged packet)", "forward"},
	{"br_nf_post_routing", "POST_ROUTING (of a bridged packet)", "postrouting"},
	{"ip_rcv", "PRE_ROUTING", "prerouting"},
	{"ip_list_rcv", "PRE_ROUTING", "prerouting"},
	{"ip_sublist_rcv", "PRE_ROUTING", "prerouting"},
	{"ipv6_rcv", "PRE_ROUTING", "prerouting"},
	{"ipv6_list_rcv", "PRE_ROUTING", "prerouting"},
	{"ip6_sublist_rcv", "PRE_ROUTING", "prerouting"},
	{"ip_local_deliver", "LOCAL_IN", "input"},
	{"ip6_input", "LOCAL_IN", "input"},
	{"ip_forward", "FORWARD", "forward"},
	{"ip6_forward", "FORWARD", "forward"},
	{"__ip_local_out", "LOCAL_OUT", "output"},
	{"ip_local_out", "LOCAL_OUT", "output"},
	{"__ip6_local_out", "LOCAL_OUT", "output"},
	{"ip6_local_out", "LOCAL_OUT", "output"},
	{"ip6_xmit", "LOCAL_OUT", "output"},
	{"ip_output", "POST_ROUTING", "postrouting"},
	{"ip_mc_output", "POST_ROUTING", "postrouting"},
	{"ip6_output", "POST_ROUTING", "postrouting"},
	{"br_handle_frame", "bridge PRE_ROUTING", "bridge prerouting"},
	{"br_pass_frame_up", "bridge LOCAL_IN", "bridge input"},
	{"__br_forward", "bridge FORWARD", "bridge forward"},
	{"br_forward_finish", "bridge POST_ROUTING", "bridge postrouting"},
	{"__netif_receive_skb_core", "ingress", "netdev ingress"},
	{"__netif_receive_skb_one_core", "ingress", "netdev ingress"},
	{"__dev_queue_xmit", "egress", "netdev egress"},
};

struct where {
	const char *hook; /* NULL unknown */
	const char *chain;
	const char *made_by; /* "an nftables rule" */
	bool nftables;
	bool sure; /* the stack names the kind */
};

static bool is_hook_machinery(const char *name)
{
	return strncmp(name, "nf_", 3) == 0 || strncmp(name, "nft_", 4) == 0 ||
	       strncmp(name, "ipt_", 4) == 0 || strncmp(name, "ip6t_", 5) == 0 ||
	       strncmp(name, "reject_tg", 9) == 0;
}

static void where_from_stack(const struct judge *j, const struct rec_event *e, struct where *w)
{
	bool inside = false;

	*w = (struct where){.made_by = "a hook that is not nftables: iptables-legacy, a BPF "
				       "program or a kernel module"};
	w->nftables = fact_stack_of(j, e, "nft_do_chain");
	if (w->nftables)
		w->made_by = "an nftables rule or chain policy (iptables-nft makes those too)";
	else if (fact_stack_of(j, e, "ipt_do_table") || fact_stack_of(j, e, "ip6t_do_table"))
		w->made_by = "an iptables-legacy rule";
	w->sure = w->nftables;
	for (unsigned i = 0; i < e->nr_kstack; i++) {
		const struct rec_symbol *s = world_symbol(j->world, e->kstack[i]);

		if (!s)
			continue;
		if (is_hook_machinery(s->name)) {
			inside = true;
			continue;
		}
		for (size_t k = 0; inside && k < ARRAY_SIZE(hook_points); k++) {
			if (!symbol_is(s, hook_points[k].function))
				continue;
			w->hook = hook_points[k].hook;
			w->chain = hook_points[k].chain;
			return;
		}
	}
}

static bool is_netfilter_drop(const struct judge *j, const struct rec_event *e)
{
	if (e->hdr.kind != REC_DROP)
		return false;
	if (e->has_reason && strcmp(e->reason_name, "NOT_SPECIFIED") != 0)
		return strcmp(e->reason_name, "NETFILTER_DROP") == 0;
	return fact_stack_of(j, e, "nf_hook_slow") || fact_stack_of(j, e, "nft_do_chain");
}

/*
 * A REJECT's answer: net/ipv4/netfilter/nf_reject_ipv4.c, net/ipv6/netfilter/nf_reject_ipv6.c.
 * Which of the functions shows depends on what the compiler made tail calls.
 */
static bool made_by_reject(const struct judge *j, const struct rec_event *e)
{
	static const char *const functions[] = {
		"nf_send_reset",
		"nf_send_reset6",
		"nf_send_unreach",
		"nf_send_unreach6",
		"nft_reject_inet_eval",
		"nft_reject_ipv4_eval",
		"nft_reject_ipv6_eval",
		"nft_reject_netdev_eval",
		"nft_reject_bridge_eval",
		"reject_tg",
		"reject_tg6",
	};

	if (e->hdr.kind != REC_RST_OUT && e->hdr.kind != REC_ICMP_SENT)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (fact_stack_of(j, e, functions[i]))
			return true;
	return false;
}

static const struct rec_event *reject_answer(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (made_by_reject(j, e))
			return e;
	}
	return NULL;
}

/*
 * One lost segment of a running connection is repaired by TCP, and a rule that drops what conntrack
 * calls INVALID does so on purpose. It is a failure when it goes on: the same segment is dropped
 * again, or the connection ends with an error. An ICMP error that is lost hurts if something waits
 * for it.
 */
static bool connection_suffers(const struct judge *j)
{
	const struct rec_event *ev = j->ev;
	bool icmp = ev->pkt.icmp_type != 0;

	if (ev->pkt.tuple.proto != IPPROTO_TCP || (packet_is_syn(&ev->pkt) && !icmp))
		return true;
	timeline_each_event(j->tl, e) {
		if (e == ev || e->hdr.mono_ns < ev->hdr.mono_ns)
			continue;
		if (is_netfilter_drop(j, e) && tuple_equal(&e->pkt.tuple, &ev->pkt.tuple) &&
		    e->pkt.seq == ev->pkt.seq)
			return true;
		if (e->hdr.kind == REC_SYNACK_RETRANS || e->hdr.kind == REC_SOCK_ERR ||
		    (icmp && e->hdr.kind == REC_RETRANS))
			return true;
	}
	return false;
}

static void fixes(struct judge *j, const struct where *w, const struct rec_tuple *t)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	const char *tables = t->family == 6 ? "ip6tables" : "iptables";

	if (w->nftables)
		verdict_fix(j->v,
			    "lists only; then change the rule that matches the packet above, or "
			    "put an "
			    "accept before it in the same chain: an accept in another table "
			    "doesn't help",
			    "%snft -a list ruleset   (look for %s chains)", prefix,
			    w->chain ? w->chain : "the hook's");
	else
		verdict_fix(j->v,
			    "lists only; then change the rule that matches. No rule there? Then it "
			    "is a BPF program "
			    "(bpftool link) or a kernel module's hook",
			    "%s%s-legacy-save -c; %snft -a list ruleset; bpftool link", prefix,
			    tables, prefix);
}

static bool judge(struct judge *j)
{
	const struct rec_event *answer = reject_answer(j), *ev = j->ev;
	const struct rec_tuple *t = &ev->pkt.tuple;
	const char *about = ev->pkt.icmp_type && t->proto == IPPROTO_TCP && ev->hdr.kind == REC_DROP
				    ? "an ICMP error about"
				    : "the packet";
	struct rec_tuple forward = *t;
	struct where w;

	if (ev->hdr.kind == REC_DROP ? !is_netfilter_drop(j, ev) || !connection_suffers(j)
				     : ev != answer)
		return false;
	if (ev->hdr.kind == REC_RST_OUT)
		forward = tuple_reverse(t);
	where_from_stack(j, ev, &w);
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"Netfilter, the kernel's firewall, %s %s %s at the %s hook (IPv%u, "
			"%s chains) of %s.",
			answer ? "rejected" : "dropped", about, say_tuple(&forward),
			w.hook ? w.hook : "(unknown)", t->family, w.chain ? w.chain : "its",
			say_netns(j, ev->hdr.netns));
	if (answer)
		verdict_explain(j->v, "A REJECT rule answered it with %s.",
				answer->hdr.kind == REC_RST_OUT ? "a reset"
								: say_icmp(&answer->pkt));
	else if (ev->pkt.icmp_type && t->proto == IPPROTO_TCP)
		verdict_explain(j->v,
				"It was an ICMP error about this connection (%s), which its sender "
				"needs to hear.",
				say_icmp(&ev->pkt));
	else if (packet_is_syn(&ev->pkt) && !fact_event(j, REC_ICMP_RECV) &&
		 !fact_event(j, REC_RST_RECV))
		verdict_explain(j->v, "It was a SYN: the connection can't even begin, and the "
				      "client hears nothing.");
	verdict_evidence(j->v, "%s: %s", say_packet(&ev->pkt), say_stack(j, ev));
	verdict_evidence(j->v,
			 w.sure ? "the stack shows who decided: %s" : "the decision was made by %s",
			 w.made_by);
	if (answer && answer != ev)
		verdict_evidence(j->v, "the answer was made by %s", say_stack(j, answer));
	if (ev->pkt.ctinfo == CTINFO_NONE)
		verdict_evidence(j->v, "the packet has no conntrack entry: it is INVALID, or "
				       "conntrack is not used here");
	hit_all(j);
	fixes(j, &w, &forward);
	return true;
}

const struct cause cause_netfilter_drop = {
	.id = "netfilter-drop",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP) | KIND(RST_OUT) | KIND(ICMP_SENT),
	.judge = judge,
};
