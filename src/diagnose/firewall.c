/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about firewall rules: at which hook, made by what, and where to look for them. */
#include "diagnose/judge.h"
#include "record/question.h"
#include "record/record.h"

#include <linux/netfilter.h>

/* ---- where ----------------------------------------------------------------------------------- */

/* Whose hooks are called; IP's are those of the packet's own family. */
enum hooks_of { OF_IP, OF_BRIDGED, OF_BRIDGE, OF_DEVICE };

/* Who calls the hooks: the function next above nf_hook_slow() tells the hook point. */
static const struct point {
	const char *function;
	const char *hook;
	const char *chain; /* where a user finds the rules of it */
	enum hooks_of of;
	uint8_t number; /* include/uapi/linux/netfilter.h, netfilter_bridge.h */
} hook_points[] = {
	{"ip_rcv", "PRE_ROUTING", "prerouting", OF_IP, 0},
	{"ip_list_rcv", "PRE_ROUTING", "prerouting", OF_IP, 0},
	{"ip_sublist_rcv", "PRE_ROUTING", "prerouting", OF_IP, 0},
	{"ipv6_rcv", "PRE_ROUTING", "prerouting", OF_IP, 0},
	{"ipv6_list_rcv", "PRE_ROUTING", "prerouting", OF_IP, 0},
	{"ip6_sublist_rcv", "PRE_ROUTING", "prerouting", OF_IP, 0},
	{"ip_local_deliver", "LOCAL_IN", "input", OF_IP, 1},
	{"ip6_input", "LOCAL_IN", "input", OF_IP, 1},
	{"ip_forward", "FORWARD", "forward", OF_IP, 2},
	{"ip6_forward", "FORWARD", "forward", OF_IP, 2},
	{"__ip_local_out", "LOCAL_OUT", "output", OF_IP, 3},
	{"ip_local_out", "LOCAL_OUT", "output", OF_IP, 3},
	{"__ip6_local_out", "LOCAL_OUT", "output", OF_IP, 3},
	{"ip6_local_out", "LOCAL_OUT", "output", OF_IP, 3},
	{"ip6_xmit", "LOCAL_OUT", "output", OF_IP, 3},
	{"ip_output", "POST_ROUTING", "postrouting", OF_IP, 4},
	{"ip_mc_output", "POST_ROUTING", "postrouting", OF_IP, 4},
	{"ip6_output", "POST_ROUTING", "postrouting", OF_IP, 4},
	/* net/bridge/br_netfilter_hooks.c: IP hooks for bridged packets, below the bridge's own. */
	{"br_nf_pre_routing", "PRE_ROUTING (of a bridged packet)", "prerouting", OF_BRIDGED, 0},
	{"br_nf_pre_routing_ipv6", "PRE_ROUTING (of a bridged packet)", "prerouting", OF_BRIDGED,
	 0},
	{"br_nf_forward", "FORWARD (of a bridged packet)", "forward", OF_BRIDGED, 2},
	{"br_nf_forward_ip", "FORWARD (of a bridged packet)", "forward", OF_BRIDGED, 2},
	{"br_nf_post_routing", "POST_ROUTING (of a bridged packet)", "postrouting", OF_BRIDGED, 4},
	{"br_handle_frame", "bridge PRE_ROUTING", "bridge prerouting", OF_BRIDGE, 0},
	{"br_pass_frame_up", "bridge LOCAL_IN", "bridge input", OF_BRIDGE, 1},
	{"__br_forward", "bridge FORWARD", "bridge forward", OF_BRIDGE, 2},
	{"br_dev_xmit", "bridge LOCAL_OUT", "bridge output", OF_BRIDGE, 3},
	{"br_forward_finish", "bridge POST_ROUTING", "bridge postrouting", OF_BRIDGE, 4},
	{"__netif_receive_skb_core", "ingress", "netdev ingress", OF_DEVICE, 0},
	{"__netif_receive_skb_one_core", "ingress", "netdev ingress", OF_DEVICE, 0},
	{"__dev_queue_xmit", "egress", "netdev egress", OF_DEVICE, 1},
};

static bool is_hook_machinery(const char *name)
{
	return strncmp(name, "nf_", 3) == 0 || strncmp(name, "nft_", 4) == 0 ||
	       strncmp(name, "ipt_", 4) == 0 || strncmp(name, "ip6t_", 5) == 0 ||
	       strncmp(name, "nfqnl_", 6) == 0 || strncmp(name, "reject_tg", 9) == 0;
}

/*
 * The hook point that called the innermost hooks of e's stack; NULL: unknown. What stands below it is
 * another packet's business. *ret_seen: which rule machines stand above it.
 */
static const struct point *point_of_stack(const struct judge *j, const struct rec_event *e,
					  bool *ret_nft, bool *ret_legacy)
{
	bool inside = false;

	*ret_nft = *ret_legacy = false;
	for (unsigned i = 0; i < e->nr_kstack; i++) {
		const struct rec_symbol *s = world_symbol(j->world, e->kstack[i]);

		if (!s)
			continue;
		*ret_nft |= symbol_is(s, "nft_do_chain");
		*ret_legacy |= symbol_is(s, "ipt_do_table") || symbol_is(s, "ip6t_do_table");
		if (is_hook_machinery(s->name)) {
			inside = true;
			continue;
		}
		for (size_t k = 0; inside && k < ARRAY_SIZE(hook_points); k++)
			if (symbol_is(s, hook_points[k].function))
				return &hook_points[k];
	}
	return NULL;
}

static uint8_t family_of(const struct point *p, const struct rec_event *e)
{
	switch (p->of) {
	case OF_BRIDGE:
		return NFPROTO_BRIDGE;
	case OF_DEVICE:
		return NFPROTO_NETDEV;
	default:
		return e->pkt.tuple.family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	}
}

/* The hook point that probes saw; NULL: none of those in the list. */
static const struct point *point_of_probe(const struct rec_event *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(hook_points); i++) {
		const struct point *p = &hook_points[i];

		if (p->of != OF_BRIDGED && family_of(p, e) == e->nf.pf && p->number == e->nf.hook)
			return p;
	}
	return NULL;
}

uint8_t fact_nf_here(const struct judge *j, const struct rec_event *e)
{
	bool nft, legacy;
	const struct point *p = point_of_stack(j, e, &nft, &legacy);
	struct hook_place w = {.number = NF_HOOK_ANY};

	if (fact_nf(e) & NF_TRACED)
		return fact_nf(e); /* it tells of the drop itself */
	if (p) {
		w.pf = family_of(p, e);
		w.number = p->number;
	}
	/* Of an earlier hook: this one's functions are not watched. */
	return at_hook(&w, e->nf.pf, e->nf.hook) ? fact_nf(e) : fact_nf(e) & NF_INVALID;
}

void fact_hook(const struct judge *j, const struct rec_event *e, struct hook_place *ret)
{
	uint8_t nf = fact_nf_here(j, e);
	bool nft, legacy;
	const struct point *p = point_of_stack(j, e, &nft, &legacy);

	*ret = (struct hook_place){.number = NF_HOOK_ANY};
	ret->sure = nft;
	ret->nftables = nft || nf & (NF_CHAIN | NF_RULE);
	if (ret->nftables)
		ret->made_by = "an nftables rule or chain policy (iptables-nft makes those too)";
	else if (legacy)
		ret->made_by = "an iptables-legacy rule";
	if (!p && nf & NF_HOOK)
		p = point_of_probe(e);
	if (!p)
		return;
	ret->hook = p->hook;
	ret->chain = p->chain;
	ret->bridged = p->of == OF_BRIDGED;
	ret->number = p->number;
	ret->pf = family_of(p, e);
}

bool at_hook(const struct hook_place *w, uint8_t pf, uint8_t number)
{
	bool ip = w->pf == NFPROTO_IPV4 || w->pf == NFPROTO_IPV6;

	if (w->number == NF_HOOK_ANY)
		return true;
	/* include/uapi/linux/netfilter.h: inet's own ingress hook hangs on the device. */
	if (pf == NFPROTO_INET && number == NF_INET_INGRESS)
		return w->pf == NFPROTO_NETDEV && w->number == NF_NETDEV_INGRESS;
	return w->number == number && (w->pf == pf || (ip && pf == NFPROTO_INET));
}

/* ---- who ------------------------------------------------------------------------------------- */

/* Whose function is that, by its name alone? 0: not known. */
static uint8_t maker_of(const char *function)
{
	static const struct {
		const char *prefix;
		uint8_t maker;
	} makers[] = {
		{"nft_do_chain", HOOK_NFTABLES},
		{"nft_nat_do_chain", HOOK_NFTABLES},
		{"ipt_do_table", HOOK_IPTABLES},
		{"ip6t_do_table", HOOK_IPTABLES},
		{"arpt_do_table", HOOK_IPTABLES},
		{"iptable_", HOOK_IPTABLES},
		{"ip6table_", HOOK_IPTABLES},
		{"arptable_", HOOK_IPTABLES},
		{"ebt", HOOK_IPTABLES},
		{"nf_hook_run_bpf", HOOK_BPF},
		{"ipv4_conntrack_", HOOK_KERNEL},
		{"ipv6_conntrack_", HOOK_KERNEL},
		{"nf_conntrack_", HOOK_KERNEL},
		{"nf_ct_bridge_", HOOK_KERNEL},
		{"ipv4_confirm", HOOK_KERNEL},
		{"ipv6_confirm", HOOK_KERNEL},
		{"nf_confirm", HOOK_KERNEL},
		{"nf_nat_", HOOK_KERNEL},
		{"ipv6_defrag", HOOK_KERNEL},
		{"br_nf_", HOOK_KERNEL},
		{"ip_sabotage_in", HOOK_KERNEL},
		{"ip_vs_", HOOK_KERNEL},
		{"nf_flow_offload_", HOOK_KERNEL},
		{"selinux_", HOOK_KERNEL},
		{"smack_", HOOK_KERNEL},
		{"apparmor_", HOOK_KERNEL},
		{"ipv4_synproxy_", HOOK_KERNEL},
		{"ipv6_synproxy_", HOOK_KERNEL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(makers); i++)
		if (strncmp(function, makers[i].prefix, strlen(makers[i].prefix)) == 0)
			return makers[i].maker;
	return 0;
}

const char *hook_function(const struct judge *j, const struct rec_hook *h)
{
	const struct rec_symbol *s = *h->name ? NULL : world_symbol(j->world, h->function);

	return s ? s->name : h->name;
}

/* A probe reports the function's address, or that of its first instructions. */
#define ENTRY_BYTES 16

static const struct rec_hook *hook_of_probe(const struct judge *j, const struct rec_nf *nf)
{
	const struct rec_hook *other = NULL;

	timeline_each(j->tl, REC_HOOK, struct rec_hook, h) {
		if (h->hdr.netns != j->ev->hdr.netns || !h->function ||
		    h->function > nf->function || nf->function - h->function > ENTRY_BYTES)
			continue;
		if (h->priv == nf->priv)
			return h;
		other = other ? other : h;
	}
	/* Only one function is told apart by what it was registered with. */
	return nf->priv ? NULL : other;
}

static void dropper_of_probe(const struct judge *j, const struct rec_event *e, struct dropper *d)
{
	const struct rec_nf *nf = &e->nf;
	const struct rec_symbol *s = world_symbol(j->world, nf->function);

	d->from = FROM_PROBE;
	d->hook = hook_of_probe(j, nf);
	d->function = d->hook ? hook_function(j, d->hook) : s ? s->name : "";
	d->maker = d->at.nftables ? HOOK_NFTABLES
		   : d->hook	  ? d->hook->maker
				  : maker_of(d->function);
	d->certainty = d->at.sure || nf->has & (NF_COVERED | NF_RULE) ? CERTAINTY_CERTAIN
								      : CERTAINTY_LIKELY;
}

static bool same_hook(const struct rec_hook *a, const struct rec_hook *b)
{
	return a->function == b->function && a->priv == b->priv && a->pf == b->pf &&
	       a->hook == b->hook && a->ifindex == b->ifindex;
}

/*
 * Rules that may drop, of the chain or table behind a hook function. *ret_counted: some can't have,
 * as their counters say.
 */
static bool has_rule_for(const struct judge *j, const struct hook_place *w,
			 const struct rec_hook *h, bool *ret_counted)
{
	bool has = false;

	timeline_each(j->tl, REC_RULE, struct rec_rule, r) {
		bool legacy = r->maker == RULE_IPTABLES_LEGACY;

		if (r->hdr.netns != j->ev->hdr.netns || !at_hook(w, r->family, r->hook) ||
		    legacy != (h->maker == HOOK_IPTABLES))
			continue;
		if (*h->table && strcmp(h->table, r->table) != 0)
			continue;
		if (!legacy && (h->family != r->family || strcmp(h->chain, r->base) != 0))
			continue;
		if (rule_never_matched(r))
			*ret_counted = true;
		else
			has = true;
	}
	return has;
}

/* A counter that was not read, or not before the event, too, may have risen. */
static bool may_have_risen(const struct judge *j, const char *name)
{
	bool risen = true;

	timeline_each(j->tl, REC_COUNTER, struct rec_counter, c) {
		if (c->hdr.netns == j->ev->hdr.netns && strcmp(c->name, name) == 0)
			risen = !c->base_ns || c->delta;
	}
	return risen;
}

/* net/netfilter/nf_conntrack_core.c, nf_nat_core.c: all that they drop is counted. */
static bool conntrack_may_have_dropped(const struct judge *j)
{
	return may_have_risen(j, "ConntrackDrop") || may_have_risen(j, "ConntrackInsertFailed");
}

static bool may_drop(const struct judge *j, const struct hook_place *w, const struct rec_hook *h,
		     bool *ret_counted)
{
	const char *name = hook_function(j, h);

	if (strncmp(h->table, NF_TRACE_TABLE, strlen(NF_TRACE_TABLE)) == 0)
		return false;
	switch (h->maker) {
	case HOOK_NFTABLES:
	case HOOK_IPTABLES:
		if (!fact_answered(j, Q_DROP_RULES, NULL))
			return true;
		return (h->maker == HOOK_NFTABLES && !h->policy) ||
		       has_rule_for(j, w, h, ret_counted);
	case HOOK_KERNEL:
		return strncmp(name, "ip_vs_", 6) == 0 ||
		       ((strstr(name, "conntrack") || strstr(name, "confirm") ||
			 strncmp(name, "nf_nat_", 7) == 0) &&
			conntrack_may_have_dropped(j));
	default:
		return true;
	}
}

static void add_suspect(struct dropper *d, const struct rec_hook *h)
{
	for (unsigned i = 0; i < d->n_suspects; i++)
		if (same_hook(d->suspects[i], h))
			return;
	if (d->n_suspects < SUSPECTS_MAX)
		d->suspects[d->n_suspects++] = h;
}

/* Does one rule of iptables-legacy stand out: the only one whose counter moved? */
static bool one_legacy_rule_moved(const struct judge *j, const struct dropper *d)
{
	struct dropper legacy = {.at = d->at, .maker = HOOK_IPTABLES};
	struct rules rules;

	fact_rules(j, &legacy, false, &rules);
	return rules.moved == 1;
}

static void dropper_of_lists(const struct judge *j, const struct rec_event *e, struct dropper *d)
{
	bool counted = false, same = true, legacy = false;

	timeline_each(j->tl, REC_HOOK, struct rec_hook, h) {
		if (h->hdr.netns != e->hdr.netns || !at_hook(&d->at, h->pf, h->hook) ||
		    (h->ifindex && h->ifindex != e->ifindex && h->ifindex != e->iif) ||
		    (d->seen && h->priority < d->seen->priority) ||
		    !may_drop(j, &d->at, h, &counted))
			continue;
		add_suspect(d, h);
		same &= h->maker == d->suspects[0]->maker;
		legacy |= h->maker == HOOK_IPTABLES;
	}
	if (!d->n_suspects || d->at.number == NF_HOOK_ANY || !fact_answered(j, Q_HOOKS, NULL))
		return;
	if (!same && (!legacy || !one_legacy_rule_moved(j, d)))
		return;
	d->from = FROM_LISTS;
	d->maker = same ? d->suspects[0]->maker : HOOK_IPTABLES;
	d->certainty = CERTAINTY_LIKELY;
	if (d->n_suspects == 1) {
		d->hook = d->suspects[0];
		d->function = hook_function(j, d->hook);
	}
	/* Others than rules can't be told apart by what they would do. */
	if (same && !counted && !d->seen &&
	    (d->maker == HOOK_NFTABLES || d->maker == HOOK_IPTABLES))
		d->certainty = CERTAINTY_CERTAIN;
	if (d->n_suspects > 1 && (d->maker == HOOK_FOREIGN || d->maker == HOOK_BPF))
		d->maker = 0;
}

/* Hook functions that no probe watches may come behind the one that was seen last. */
static void dropper_of_both(const struct judge *j, const struct rec_event *e, struct dropper *d)
{
	struct dropper listed = *d;

	dropper_of_probe(j, e, d);
	if (d->certainty == CERTAINTY_CERTAIN)
		return;
	listed.seen = hook_of_probe(j, &e->nf);
	dropper_of_lists(j, e, &listed);
	if (listed.n_suspects && fact_answered(j, Q_HOOKS, NULL))
		*d = listed;
}

/*
 * A module's function that frees the packet itself, and tells netfilter that it is stolen: it stands in the
 * stack, called by nf_hook_slow. Those of the kernel free what they keep (fragments) or have answered; and
 * what a module sends on from there may be freed by others, for their own reasons.
 */
static bool dropper_that_steals(const struct judge *j, const struct rec_event *e, struct dropper *d)
{
	const struct rec_symbol *s = NULL, *caller = NULL,
				*freed = world_symbol(j->world, e->location);

	for (unsigned i = 0; i < e->nr_kstack; i++) {
		s = caller;
		caller = world_symbol(j->world, e->kstack[i]);
		if (caller && symbol_is(caller, "nf_hook_slow"))
			break;
	}
	if (!s || !caller || !symbol_is(caller, "nf_hook_slow") || !freed ||
	    strcmp(freed->module, s->module) != 0)
		return false;
	timeline_each(j->tl, REC_HOOK, struct rec_hook, h) {
		if (h->hdr.netns != e->hdr.netns || h->maker != HOOK_FOREIGN ||
		    h->function != s->addr - s->offset || !at_hook(&d->at, h->pf, h->hook))
			continue;
		d->from = FROM_STACK;
		d->hook = h;
		d->function = hook_function(j, h);
		d->maker = HOOK_FOREIGN;
		d->certainty = CERTAINTY_CERTAIN;
		return true;
	}
	return false;
}

void fact_dropper(const struct judge *j, const struct rec_event *e, struct dropper *ret)
{
	*ret = (struct dropper){.function = ""};
	fact_hook(j, e, &ret->at);
	if (dropper_that_steals(j, e, ret))
		return;
	if (fact_nf_here(j, e) & NF_HOOK) {
		dropper_of_both(j, e, ret);
	} else if (ret->at.nftables) {
		ret->from = e->nf.has & NF_TRACED ? FROM_TRACE : FROM_STACK;
		ret->maker = HOOK_NFTABLES;
		ret->certainty = CERTAINTY_CERTAIN;
	} else {
		dropper_of_lists(j, e, ret);
	}
}
