/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/question.h"
#include "record/record.h"

#include <linux/netfilter.h>

/* ---- which rules ----------------------------------------------------------------------------- */

/* What probes or the trace told, as far as no lookup knows more; false: no rule and no policy. */
static bool rule_of_probe(const struct judge *j, struct rec_rule *ret)
{
	const struct rec_event *e = j->ev;
	const struct rec_nf *nf = &e->nf;
	bool policy = nf_has_policy(e);

	if (!(fact_nf_here(j, e) & NF_CHAIN) || (!policy && !nf_has_rule(e)))
		return false;
	*ret = (struct rec_rule){.handle = policy ? 0 : nf->handle,
				 .family = nf->family,
				 .hook = nf->hook,
				 .maker = RULE_NFTABLES,
				 .flags = policy ? RULE_ASKED | RULE_POLICY : RULE_ASKED};
	str_copy(ret->table, sizeof(ret->table), nf->table);
	str_copy(ret->base, sizeof(ret->base), nf->base);
	str_copy(ret->chain, sizeof(ret->chain), policy ? nf->base : nf->chain);
	if (policy)
		str_copy(ret->text, sizeof(ret->text), "policy drop");
	return true;
}

static bool same_rule(const struct rec_rule *a, const struct rec_rule *b)
{
	return a->maker == b->maker && a->family == b->family && a->handle == b->handle &&
	       a->number == b->number && (a->flags & RULE_POLICY) == (b->flags & RULE_POLICY) &&
	       strcmp(a->table, b->table) == 0 && strcmp(a->chain, b->chain) == 0;
}

static bool is_asked(const struct rec_rule *r, const struct rec_rule *own)
{
	if (r->family != own->family || strcmp(r->table, own->table) != 0)
		return false;
	if (own->flags & RULE_POLICY)
		return r->flags & RULE_POLICY && strcmp(r->chain, own->chain) == 0;
	return !(r->flags & RULE_POLICY) && r->handle == own->handle;
}

static bool is_reject(const struct rec_rule *r)
{
	return strcasestr(r->text, "reject") || strcasestr(r->text, "tcp-reset");
}

/* The same lookup may have been made for other packets just before: what rose by then rose for them. */
bool rule_never_matched(const struct rec_rule *r)
{
	return r->flags & RULE_COUNTED && !(r->flags & RULE_MOVED) && !r->packets;
}

/* Does another answer tell of the same rule, and more than this one? */
static bool is_told_better(const struct judge *j, const struct rec_rule *rule)
{
	bool moved = rule->flags & RULE_MOVED, later = false;

	timeline_each(j->tl, REC_RULE, struct rec_rule, r) {
		bool other_moved = r->flags & RULE_MOVED;

		if (r == rule)
			later = true;
		else if (r->hdr.netns == rule->hdr.netns && same_rule(r, rule) &&
			 (other_moved > moved || (other_moved == moved && !later)))
			return true;
	}
	return false;
}

/* May this rule have decided, as far as is known of who dropped? */
static bool is_candidate(const struct judge *j, const struct dropper *d, const struct rec_rule *r)
{
	const struct rec_nf *nf = &j->ev->nf;
	bool legacy = r->maker == RULE_IPTABLES_LEGACY;

	if (r->hdr.netns != j->ev->hdr.netns || !at_hook(&d->at, r->family, r->hook))
		return false;
	if (d->maker && legacy != (d->maker == HOOK_IPTABLES))
		return false;
	if (rule_never_matched(r) || is_told_better(j, r))
		return false;
	if (d->from == FROM_PROBE && fact_nf_here(j, j->ev) & NF_CHAIN)
		return r->family == nf->family && strcmp(r->table, nf->table) == 0 &&
		       strcmp(r->base, nf->base) == 0;
	return !d->hook || !*d->hook->table || strcmp(d->hook->table, r->table) == 0;
}

static void add_rule(struct rules *r, const struct rec_rule *rule)
{
	unsigned at = 0;

	/* Behind the others that moved, before those that didn't, or don't count. */
	while (at < r->n && at < RULES_SHOWN &&
	       (r->v[at]->flags & RULE_MOVED || !(rule->flags & RULE_MOVED)))
		at++;
	r->n++;
	r->moved += !!(rule->flags & RULE_MOVED);
	r->uncounted += !(rule->flags & RULE_COUNTED);
	if (at == RULES_SHOWN)
		return;
	for (unsigned i = RULES_SHOWN - 1; i > at; i--)
		r->v[i] = r->v[i - 1];
	r->v[at] = rule;
}

void fact_rules(const struct judge *j, const struct dropper *d, bool reject, struct rules *ret)
{
	*ret = (struct rules){0};
	/* A policy only where no other function can have come behind that chain. */
	if ((nf_has_rule(j->ev) || d->from == FROM_PROBE || d->from == FROM_TRACE) &&
	    rule_of_probe(j, &ret->own)) {
		ret->exact = true;
		ret->n = 1;
		ret->v[0] = &ret->own;
	}
	timeline_each(j->tl, REC_RULE, struct rec_rule, r) {
		if (ret->exact) {
			if (is_asked(r, &ret->own) && r->hdr.netns == j->ev->hdr.netns)
				ret->v[0] = r;
		} else if (is_candidate(j, d, r) && (!reject || is_reject(r))) {
			add_rule(ret, r);
		}
	}
}

bool rules_of_iptables(const struct rules *r)
{
	for (unsigned i = 0; i < r->n && i < RULES_SHOWN; i++)
		if (r->v[i]->maker == RULE_NFTABLES)
			return false;
	return r->n > 0;
}

/* ---- telling --------------------------------------------------------------------------------- */

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

static const char *iptables_of(const struct rec_rule *r)
{
	if (r->maker == RULE_IPTABLES_NFT)
		return r->family == NFPROTO_IPV6 ? "ip6tables-nft" : "iptables-nft";
	return r->family == NFPROTO_IPV6 ? "ip6tables-legacy" : "iptables-legacy";
}

static const char *const others_rules = "lets all through that it stopped; what firewalld, ufw, "
					"Docker or Kubernetes made must be "
					"changed there, or it comes back";

static void fix_iptables(struct judge *j, const struct rec_rule *r)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns), *tool = iptables_of(r);

	verdict_fix(j->v, "lists only", "%s%s -t %s -vnL %s --line-numbers", prefix, tool, r->table,
		    r->chain);
	if (r->flags & RULE_POLICY)
		verdict_fix(j->v, "lets all through that no rule of the chain decides",
			    "%s%s -t %s "
			    "-P %s ACCEPT",
			    prefix, tool, r->table, r->chain);
	else if (r->number)
		verdict_fix(j->v, others_rules, "%s%s -t %s -D %s %u", prefix, tool, r->table,
			    r->chain, r->number);
}

static void fix_nftables(struct judge *j, const struct rec_rule *r)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	const char *family = nf_family_name(r->family);

	verdict_fix(j->v, "lists only", "%snft -a list %s %s %s %s", prefix,
		    *r->chain ? "chain" : "table", family, r->table, r->chain);
	if (r->flags & RULE_POLICY)
		verdict_fix(j->v, "lets all through that no rule of the chain decides",
			    "%snft add chain %s %s %s '{ policy accept; }'", prefix, family,
			    r->table, r->chain);
	else if (r->handle && *r->chain)
		verdict_fix(j->v, others_rules, "%snft delete rule %s %s %s handle %llu", prefix,
			    family, r->table, r->chain, (unsigned long long)r->handle);
}

/* The command for one rule; without it, to look for it. */
static void fix_rule(struct judge *j, const struct dropper *d, const struct rules *r)
{
	if (r->n == 1 && r->v[0]->maker == RULE_NFTABLES)
		fix_nftables(j, r->v[0]);
	else if (r->n == 1)
		fix_iptables(j, r->v[0]);
	else
		fix_rules(j, &d->at, &j->ev->pkt.tuple);
}

/*
 * net/netfilter/nft_immediate.c and so on: what of the rule gave the verdict, where it isn't a plain one.
 */
static void evidence_expression(struct judge *j)
{
	static const struct {
		const char *function, *words;
	} expressions[] = {
		{"nft_lookup_eval", "an element of its verdict map gave the verdict"},
		{"nft_queue_eval", "it handed the packet to a program (queue)"},
		{"nft_target_eval_xt", "a target of iptables gave the verdict"},
	};
	const struct rec_symbol *s =
		j->ev->nf.has & NF_RULE ? world_symbol(j->world, j->ev->nf.expr_function) : NULL;

	for (size_t i = 0; s && i < ARRAY_SIZE(expressions); i++)
		if (symbol_is(s, expressions[i].function))
			verdict_evidence(j->v, "the rule was seen at work: %s (%s)",
					 expressions[i].words, s->name);
	if (!s || !*s->name || symbol_is(s, "nft_immediate_eval"))
		verdict_evidence(j->v, "the rule was seen at work on this very packet");
}

static void tell_exact(struct judge *j, const struct rec_rule *r)
{
	bool traced = j->ev->nf.has & NF_TRACED, policy = r->flags & RULE_POLICY;

	verdict_explain(j->v, policy ? "No rule decided, but %s." : "The rule that did it: %s.",
			say_rule(r));
	if (traced)
		verdict_evidence(j->v,
				 "the kernel's own trace (nftrace) of this very packet names %s, "
				 "with the verdict drop",
				 policy ? "this chain's policy" : "the rule");
	else if (policy)
		verdict_evidence(j->v, "the packet was seen to enter this chain last, no rule of "
				       "it gave a "
				       "verdict, and its policy is drop");
	else
		evidence_expression(j);
}

static void tell_candidates(struct judge *j, const struct rules *r)
{
	if (r->moved == 1 && !r->uncounted)
		verdict_explain(j->v,
				"Most likely it was the only one of %u rules whose counter rose: "
				"%s.",
				r->n, say_rule(r->v[0]));
	else if (r->moved == 1)
		verdict_explain(j->v,
				"Which rule it was is not known: %u may have been. Of those with "
				"a counter only one rose: %s.",
				r->n, say_rule(r->v[0]));
	else
		verdict_explain(j->v,
				"Which rule it was is not known: %u may have been, as listed "
				"below.",
				r->n);
	for (unsigned i = 0; i < r->n && i < RULES_SHOWN; i++)
		verdict_evidence(j->v, "candidate %u of %u: %s%s", i + 1, r->n, say_rule(r->v[i]),
				 r->v[i]->flags & RULE_MOVED ? " (its counter rose)" : "");
	if (r->n > RULES_SHOWN)
		verdict_evidence(j->v, "and %u more", r->n - RULES_SHOWN);
	if (r->moved == 1 && r->uncounted)
		verdict_evidence(j->v,
				 "%u of them ha%s no counter, and the one that rose counts other "
				 "packets, too: it may as well have been %s",
				 r->uncounted, r->uncounted == 1 ? "s" : "ve",
				 r->uncounted == 1 ? "that one" : "one of these");
}

void tell_rules(struct judge *j, const struct dropper *d, const struct rules *r)
{
	if (r->exact) {
		tell_exact(j, r->v[0]);
	} else if (r->n == 1) {
		bool moved = r->v[0]->flags & RULE_MOVED;

		verdict_explain(j->v, "The only rule that can have done it here: %s.",
				say_rule(r->v[0]));
		verdict_evidence(j->v, moved ? "the rule itself was not seen at work; it is the "
					       "only "
					       "one at this hook whose counter rose"
					     : "the rule itself was not seen at work; it is the "
					       "only "
					       "one at this hook that can");
	} else if (r->n) {
		tell_candidates(j, r);
	} else {
		verdict_explain(j->v, "Which rule it was is not known.");
	}
	fix_rule(j, d, r);
}

/* ---- the cause ------------------------------------------------------------------------------- */

static bool judge(struct judge *j)
{
	struct dropper d;
	struct rules rules;

	if (!judge_netfilter(j, &d) || d.maker != HOOK_NFTABLES)
		return false;
	fact_rules(j, &d, false, &rules);
	if (rules_of_iptables(&rules))
		return false;
	j->v->certainty = d.certainty;
	tell_netfilter(j, &d);
	tell_rules(j, &d, &rules);
	evidence_netfilter(j, &d);
	return true;
}

const struct cause cause_nftables_rule = {
	.id = "nftables-rule",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_RULE | Q_DROP_RULES | Q_HOOKS,
	.concerns = may_be_netfilter_drop,
	.judge = judge,
};
