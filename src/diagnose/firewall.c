/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about firewall rules: at which hook, made by what, and where to look for them. */
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

static bool is_hook_machinery(const char *name)
{
	return strncmp(name, "nf_", 3) == 0 || strncmp(name, "nft_", 4) == 0 ||
	       strncmp(name, "ipt_", 4) == 0 || strncmp(name, "ip6t_", 5) == 0 ||
	       strncmp(name, "reject_tg", 9) == 0;
}

void fact_hook(const struct judge *j, const struct rec_event *e, struct hook_place *ret)
{
	bool inside = false;

	*ret = (struct hook_place){.made_by = "a hook that is not nftables: iptables-legacy, a BPF "
					      "program or a kernel module"};
	ret->nftables = fact_stack_of(j, e, "nft_do_chain");
	if (ret->nftables)
		ret->made_by = "an nftables rule or chain policy (iptables-nft makes those too)";
	else if (fact_stack_of(j, e, "ipt_do_table") || fact_stack_of(j, e, "ip6t_do_table"))
		ret->made_by = "an iptables-legacy rule";
	ret->sure = ret->nftables;
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
			ret->hook = hook_points[k].hook;
			ret->chain = hook_points[k].chain;
			return;
		}
	}
}

const struct rec_event *fact_reject(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_REJECT || world_by_reject(j->world, e))
			return e;
	}
	return NULL;
}

void fix_rules(struct judge *j, const struct hook_place *w, const struct rec_tuple *t)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	const char *tables = t->family == 6 ? "ip6tables" : "iptables";

	if (w->nftables)
		verdict_fix(j->v,
			    "lists only; then change the rule that matches the packet above, or "
			    "put an accept before it in the same chain: an accept in another table "
			    "doesn't help",
			    "%snft -a list ruleset   (look for %s chains)", prefix,
			    w->chain ? w->chain : "the hook's");
	else
		verdict_fix(j->v,
			    "lists only; then change the rule that matches. No rule there? Then it "
			    "is a BPF program (bpftool link) or a kernel module's hook",
			    "%s%s-legacy-save -c; %snft -a list ruleset; bpftool link", prefix,
			    tables, prefix);
}
