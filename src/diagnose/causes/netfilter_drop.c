/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>

/* Netfilter did it, and who there is not known; and what all causes of its drops share. */

const char *const queue_places[] = {"nf_reinject",	  "nfqnl_reinject",
				    "nfqnl_recv_verdict", "nfqnl_recv_verdict_batch",
				    "nfqnl_flush",	  NULL};

/* What frees packets on behalf of others: net/core/skbuff.c. */
static bool is_free_function(const struct rec_symbol *s)
{
	return strncmp(s->name, "kfree_skb", 9) == 0 || symbol_is(s, "sk_skb_reason_drop");
}

static bool is_one_of(const struct rec_symbol *s, const char *const *functions)
{
	for (; s && *functions; functions++)
		if (symbol_is(s, *functions))
			return true;
	return false;
}

bool fact_dropped_in(const struct judge *j, const struct rec_event *e, const char *const *functions)
{
	const struct rec_symbol *s = world_symbol(j->world, e->location);

	for (unsigned i = 0; !s && i < e->nr_kstack; i++) {
		s = world_symbol(j->world, e->kstack[i]);
		if (s && (frame_is_ours(s) || is_free_function(s)))
			s = NULL;
	}
	return is_one_of(s, functions);
}

bool fact_netfilter_drop(const struct judge *j, const struct rec_event *e)
{
	if (e->hdr.kind != REC_DROP)
		return false;
	if (*fact_reason(e))
		return fact_reason_is(e, "NETFILTER_DROP");
	return fact_stack_of(j, e, "nf_hook_slow") || fact_stack_of(j, e, "nft_do_chain") ||
	       fact_dropped_in(j, e, queue_places);
}

bool may_be_netfilter_drop(const struct rec_event *e)
{
	return e->hdr.kind == REC_DROP && (!*fact_reason(e) || fact_reason_is(e, "NETFILTER_DROP"));
}

bool fact_suffers(const struct judge *j)
{
	const struct rec_event *ev = j->ev;
	bool icmp = ev->pkt.icmp_type != 0;

	if (ev->pkt.tuple.proto != IPPROTO_TCP)
		return true;
	/* A SYN, or its answer: the connection can't even begin. */
	if (!icmp && ev->pkt.tcp_flags & TCPHDR_SYN && !(ev->pkt.tcp_flags & TCPHDR_RST))
		return true;
	timeline_each_event(j->tl, e) {
		if (e == ev || e->hdr.mono_ns < ev->hdr.mono_ns)
			continue;
		if (e->hdr.kind == REC_DROP && strcmp(fact_reason(e), fact_reason(ev)) == 0 &&
		    fact_netfilter_drop(j, e) == fact_netfilter_drop(j, ev) &&
		    tuple_equal(&e->pkt.tuple, &ev->pkt.tuple) && e->pkt.seq == ev->pkt.seq)
			return true;
		/* An ICMP error that is lost hurts if something waits for it. */
		if (e->hdr.kind == REC_SYNACK_RETRANS || e->hdr.kind == REC_SOCK_ERR ||
		    (icmp && e->hdr.kind == REC_RETRANS))
			return true;
	}
	return false;
}

bool judge_netfilter(struct judge *j, struct dropper *ret)
{
	/* With an answer it is a REJECT: reject-rule. */
	if (!fact_netfilter_drop(j, j->ev) || !fact_suffers(j) || fact_reject(j))
		return false;
	fact_dropper(j, j->ev, ret);
	return true;
}

static bool is_too_big(const struct rec_packet *p)
{
	return p->tuple.family == 6
		       ? p->icmp_type == ICMPV6_PKT_TOOBIG
		       : p->icmp_type == ICMP_DEST_UNREACH && p->icmp_code == ICMP_FRAG_NEEDED;
}

/* pmtu_blackhole tells of those that are made elsewhere. */
static void tell_blackhole(struct judge *j)
{
	const struct rec_event *sent = fact_event(j, REC_RETRANS);

	verdict_explain(j->v, "Without it the sender repeats segments that are too large for the "
			      "path, for ever, while small ones arrive: a path MTU black hole.");
	if (sent && sent->segment.size)
		verdict_evidence(j->v, "a segment of %u bytes was sent again after it",
				 sent->segment.size);
}

void tell_netfilter(struct judge *j, const struct dropper *d)
{
	const struct rec_event *ev = j->ev;
	const struct rec_tuple *t = &ev->pkt.tuple;
	bool icmp = ev->pkt.icmp_type && t->proto == IPPROTO_TCP;

	verdict_explain(j->v, "Netfilter, the kernel's firewall, dropped %s %s",
			icmp ? "an ICMP error about" : "the packet", say_tuple(t));
	if (d->at.hook)
		verdict_explain(j->v, "at the %s hook (IPv%u, %s chains) of %s.", d->at.hook,
				t->family, d->at.chain, say_netns(j, ev->hdr.netns));
	else
		verdict_explain(j->v, "at a hook that is not known (IPv%u) of %s.", t->family,
				say_netns(j, ev->hdr.netns));
	if (icmp)
		verdict_explain(j->v,
				"It was an ICMP error about this connection (%s), which its sender "
				"needs to hear.",
				say_icmp(&ev->pkt));
	if (icmp && is_too_big(&ev->pkt))
		tell_blackhole(j);
	else if (packet_is_syn(&ev->pkt) && !fact_event(j, REC_ICMP_RECV) &&
		 !fact_event(j, REC_RST_RECV))
		verdict_explain(j->v, ev->pkt.payload ? "It was a SYN with data (TCP Fast Open), "
							"which is sent "
							"again without."
						      : "It was a SYN: the connection can't even "
							"begin, and the "
							"client hears nothing.");
}

static void evidence_dropper(struct judge *j, const struct dropper *d)
{
	const char *hook = d->hook ? say_hook(j, d->hook) : d->function;
	bool covered = j->ev->nf.has & NF_COVERED;

	if (d->at.sure)
		verdict_evidence(j->v, "the stack shows who decided: %s", d->at.made_by);
	if (d->from == FROM_STACK && d->hook)
		verdict_evidence(j->v,
				 "the stack shows that %s itself freed the packet, and kept it "
				 "from "
				 "what "
				 "comes behind (NF_STOLEN)",
				 hook);
	if (d->from == FROM_PROBE && *hook)
		verdict_evidence(j->v,
				 "the last hook function that this very packet entered is %s%s",
				 hook,
				 covered ? ", and all of them are watched"
					 : "; not all of them are watched: one behind it may have "
					   "dropped it");
	if (d->seen)
		verdict_evidence(j->v,
				 "the last hook function that this packet was seen to enter is %s, "
				 "but "
				 "not all of them are watched",
				 say_hook(j, d->seen));
	if (d->from == FROM_LISTS)
		verdict_evidence(j->v,
				 "no other hook function here can have dropped it: it follows from "
				 "the list of them%s%s",
				 d->n_suspects == 1 ? ", where only this one can: " : "",
				 d->n_suspects == 1 ? say_hook(j, d->suspects[0]) : "");
}

void evidence_packet(struct judge *j, const struct hook_place *w)
{
	const struct rec_event *ev = j->ev;
	const struct rec_ct *ct = fact_ct(j, &ev->pkt.tuple, ev->hdr.netns);
	const struct rec_ct_end *end = fact_entry_end(j);

	verdict_evidence(j->v, "%s, %s: %s", say_packet(&ev->pkt), say_reason(ev),
			 say_stack(j, ev));
	if (ev->nf.has & NF_INVALID)
		verdict_evidence(j->v, "it was INVALID for conntrack: %s", say_invalid(ev));
	else if (ev->pkt.ctinfo == CTINFO_NONE)
		verdict_evidence(j->v, "the packet has no conntrack entry: it is INVALID, or "
				       "conntrack is not used here");
	if (end && ct && !ct->found && !(ev->pkt.has & PKT_CT))
		verdict_evidence(j->v, "conntrack had an entry of this connection: %s",
				 say_entry_end(j, end));
	if (w->bridged)
		verdict_evidence(j->v,
				 "the packet was only bridged, yet br_netfilter showed it to the "
				 "rules "
				 "for IP (sysctl net.bridge.bridge-nf-call-ip%stables is 1)",
				 ev->pkt.tuple.family == 6 ? "6" : "");
	hit_all(j);
}

static const char *const counters[] = {"ConntrackDrop", "ConntrackInsertFailed", NULL};

void evidence_netfilter(struct judge *j, const struct dropper *d)
{
	evidence_packet(j, &d->at);
	evidence_dropper(j, d);
}

/* In call order, so that the first that fits can be looked for first. */
static void list_suspects(struct judge *j, const struct dropper *d)
{
	struct rules rules;

	if (d->n_suspects)
		verdict_explain(j->v,
				"Who did it there is not known: %u hook function%s may have, as "
				"listed "
				"below.",
				d->n_suspects, d->n_suspects == 1 ? "" : "s");
	for (unsigned i = 0; i < d->n_suspects; i++)
		verdict_evidence(j->v, "candidate %u of %u, in call order: %s", i + 1,
				 d->n_suspects, say_hook(j, d->suspects[i]));
	fact_rules(j, d, false, &rules);
	for (unsigned i = 0; i < rules.n && i < RULES_SHOWN; i++)
		verdict_evidence(j->v, "a rule that may have: %s%s", say_rule(rules.v[i]),
				 rules.v[i]->flags & RULE_MOVED ? " (its counter rose)" : "");
	if (rules.n > RULES_SHOWN)
		verdict_evidence(j->v, "and %u more rules may have", rules.n - RULES_SHOWN);
}

static void who_is_missing(struct judge *j, const struct dropper *d)
{
	j->v->incomplete = true;
	if (d->at.made_by)
		verdict_evidence(j->v, "the decision was made by %s", d->at.made_by);
	else
		verdict_evidence(j->v, "the stack does not show who decided (an nftables or "
				       "iptables rule, a BPF program, a kernel module), and no "
				       "list "
				       "of the hook functions there tells it");
}

static bool judge(struct judge *j)
{
	struct dropper d;

	if (!judge_netfilter(j, &d))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	tell_netfilter(j, &d);
	list_suspects(j, &d);
	evidence_netfilter(j, &d);
	/* nf_confirm: entries that could not be put into the table are counted, this is not. */
	if (d.from == FROM_PROBE && strstr(d.function, "confirm"))
		verdict_evidence(j->v, "conntrack's helpers (FTP, SIP…) read along there, and drop "
				       "what "
				       "they can't keep up with");
	if (d.from == FROM_NOTHING)
		who_is_missing(j, &d);
	fix_rules(j, &d.at, &j->ev->pkt.tuple);
	return true;
}

const struct cause cause_netfilter_drop = {
	.id = "netfilter-drop",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_DROP_RULES | Q_HOOKS,
	.counters = counters,
	.concerns = may_be_netfilter_drop,
	.judge = judge,
};
