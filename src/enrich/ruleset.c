/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rule was it, and which rules may have been it. */
#include "enrich/ruleset.h"

#include "enrich/lookup.h"
#include "enrich/netns.h"
#include "enrich/ruleset_memory.h"

#include <linux/netfilter.h>

/* The ruleset may change between its structure and its words. */
#define TRIES 6

/* Names are cut to this in records and questions. */
static bool name_is(const char *name, const char *asked)
{
	return !strncmp(name, asked, NF_NAME_MAX - 1);
}

/* Cut between characters, if need be. */
static void text_copy(char *dst, size_t size, const char *src)
{
	static const char more[] = "…";
	size_t at = size - sizeof(more);

	if (str_copy(dst, size, src))
		return;
	while (at && ((unsigned char)dst[at] & 0xc0) == 0x80)
		at--;
	memcpy(dst + at, more, sizeof(more));
}

/* A record of what stands in chain c; base: the chain that leads there, RS_NONE not known. */
static struct rec_rule rec_start(const struct ruleset *rs, uint32_t chain, uint32_t base)
{
	const struct rs_chain *c = &rs->chains.v[chain];
	struct rec_rule rec = {.family = rs->tables.v[c->table].family, .hook = NF_HOOK_ANY};

	str_copy(rec.table, sizeof(rec.table), rs->tables.v[c->table].name);
	str_copy(rec.chain, sizeof(rec.chain), c->name);
	if (base != RS_NONE) {
		rec.hook = rs->chains.v[base].hook;
		str_copy(rec.base, sizeof(rec.base), rs->chains.v[base].name);
	}
	return rec;
}

static void policy_text(struct rec_rule *rec, const struct rs_chain *c)
{
	const char *words = c->policy_drop ? "drop" : "accept";

	if (rec->maker == RULE_NFTABLES)
		snprintf(rec->text, sizeof(rec->text), "policy %s", words);
	else
		snprintf(rec->text, sizeof(rec->text), "-P %s %s", rec->chain,
			 c->policy_drop ? "DROP" : "ACCEPT");
}

static enum rule_maker nft_maker(const struct ruleset *rs, const struct rs_rule *r, uint32_t chain)
{
	if ((r && r->saved) || ruleset_table_is_xt(rs, rs->chains.v[chain].table))
		return RULE_IPTABLES_NFT;
	return RULE_NFTABLES;
}

/* ---- the rule with that handle --------------------------------------------------------------- */

static void asked_policy(struct lookup *l, const struct ruleset *rs, uint32_t chain)
{
	const struct rs_chain *c = &rs->chains.v[chain];
	struct rec_rule rec = rec_start(rs, chain, chain);

	rec.flags = RULE_ASKED | RULE_POLICY;
	rec.maker = (uint8_t)nft_maker(rs, NULL, chain);
	policy_text(&rec, c);
	lookup_add(l, &rec, REC_RULE, l->q->netns);
}

static int asked_rule(struct lookup *l, struct ruleset *rs, struct rs_rule *r)
{
	struct rs_chain *c = &rs->chains.v[r->chain];
	int err = ruleset_reach(rs, 0, NF_HOOK_ANY, c->table);
	struct rec_rule rec;

	c->wanted = true;
	if (!err)
		err = ruleset_texts(rs);
	if (err)
		return err;
	rec = rec_start(rs, r->chain, c->ambiguous ? RS_NONE : c->from);
	rec.handle = r->handle;
	rec.number = r->number;
	rec.flags = RULE_ASKED;
	rec.maker = (uint8_t)nft_maker(rs, r, r->chain);
	if (r->text)
		text_copy(rec.text, sizeof(rec.text), r->text);
	lookup_add(l, &rec, REC_RULE, l->q->netns);
	return 0;
}

static int asked_in_table(struct lookup *l, struct ruleset *rs, uint32_t table)
{
	const struct question *q = l->q;
	struct rs_rule *r = q->handle ? ruleset_by_handle(rs, table, q->handle) : NULL;

	if (r && (!*q->chain || name_is(rs->chains.v[r->chain].name, q->chain)))
		return asked_rule(l, rs, r);
	for (uint32_t i = 0; i < rs->chains.n && !q->handle; i++) {
		const struct rs_chain *c = &rs->chains.v[i];

		if (c->table != table || !c->base || !name_is(c->name, q->chain))
			continue;
		asked_policy(l, rs, i);
		break;
	}
	return 0;
}

/* Names that were cut may fit two tables: the first that has such a rule. */
static int asked_once(struct lookup *l)
{
	const struct question *q = l->q;
	struct ruleset *rs = NULL;
	int err = memory_ruleset(q->netns, false, &rs);

	for (uint32_t i = 0; !err && !l->count && i < rs->tables.n; i++)
		if (rs->tables.v[i].family == q->nf_family &&
		    name_is(rs->tables.v[i].name, q->table))
			err = asked_in_table(l, rs, i);
	return err;
}

int rule_answer(struct lookup *l)
{
	int err = netns_enter(l->netns, l->q->netns);

	if (err)
		return err;
	err = -EAGAIN;
	for (int i = 0; i < TRIES && err == -EAGAIN; i++)
		err = asked_once(l);
	netns_leave(l->netns);
	return err;
}

/* ---- all that may drop ----------------------------------------------------------------------- */

struct candidate {
	const struct ruleset *rs;
	const struct rs_rule *rule; /* NULL: the policy of chain */
	uint32_t chain;
	uint64_t packets;
	uint8_t maker;
	uint8_t flags; /* RULE_* */
	struct memory_count count;
};

struct candidates {
	VEC(struct candidate) all;
	bool failed;
};

/*
 * What a counter is recognised by at the next look: nftables' rules by their handles; those of
 * iptables-legacy by their places, as long as the table isn't changed.
 */
static uint64_t counter_key(const struct candidate *c)
{
	const struct rs_chain *chain = &c->rs->chains.v[c->chain];
	const struct rs_table *t = &c->rs->tables.v[chain->table];
	uint64_t id[4] = {c->maker == RULE_IPTABLES_LEGACY, t->family, t->content, 0};
	uint64_t hash = hash_add(HASH_START, t->name, strlen(t->name) + 1);

	if (c->rule)
		id[3] = c->maker == RULE_IPTABLES_LEGACY ? c->rule->number : c->rule->handle;
	hash = hash_add(hash, chain->name, strlen(chain->name) + 1);
	return hash_add(hash, id, sizeof(id));
}

static void candidate_add(struct candidates *list, const struct ruleset *rs, uint32_t chain,
			  const struct rs_rule *rule, bool legacy)
{
	const struct rs_chain *c = &rs->chains.v[chain];
	struct candidate *new = vec_push(&list->all);

	if (!new) {
		list->failed = true;
		return;
	}
	*new = (struct candidate){
		.rs = rs,
		.rule = rule,
		.chain = chain,
		.packets = rule ? rule->packets : c->packets,
		.maker = legacy ? RULE_IPTABLES_LEGACY : (uint8_t)nft_maker(rs, rule, chain),
	};
	if (rule ? rule->flags & RS_COUNTED : c->counted)
		new->flags = RULE_COUNTED;
	if (!rule)
		new->flags |= RULE_POLICY;
	new->count = (struct memory_count){counter_key(new), new->packets};
}

/* Of the chains that the hook leads to. */
static int candidates_collect(struct candidates *list, struct ruleset *rs, const struct question *q,
			      bool legacy)
{
	int err = ruleset_reach(rs, q->nf_family, q->nf_hook, RS_NONE);

	if (err)
		return err;
	for (size_t i = 0; i < rs->rules.n; i++) {
		const struct rs_rule *r = &rs->rules.v[i];

		if (r->flags & RS_DROPS && rs->chains.v[r->chain].from != RS_NONE)
			candidate_add(list, rs, r->chain, r, legacy);
	}
	for (uint32_t i = 0; i < rs->chains.n; i++) {
		const struct rs_chain *c = &rs->chains.v[i];

		if (c->base && c->policy_drop && c->from != RS_NONE)
			candidate_add(list, rs, i, NULL, legacy);
	}
	return list->failed ? -ENOMEM : 0;
}

/* Compares the counters with those of the last look at this hook; look may be NULL. */
static void candidates_compare(struct candidates *list, struct memory_look *look)
{
	for (size_t i = 0; look && i < list->all.n; i++) {
		struct candidate *c = &list->all.v[i];

		if (!(c->flags & RULE_COUNTED))
			continue;
		if (memory_count_moved(look, &c->count))
			c->flags |= RULE_MOVED;
		memory_count_keep(look, &c->count);
	}
}

/*
 * At most as many as an answer holds, and if there are more, then rather those whose counter rose.
 * They keep their order.
 */
static int candidates_choose(struct candidates *list)
{
	size_t moved = 0, kept = 0, others = 0;

	if (list->all.n <= LOOKUP_RECORDS_MAX)
		return 0;
	for (size_t i = 0; i < list->all.n; i++)
		moved += !!(list->all.v[i].flags & RULE_MOVED);
	for (size_t i = 0; i < list->all.n && kept < LOOKUP_RECORDS_MAX; i++) {
		const struct candidate *c = &list->all.v[i];

		if (c->flags & RULE_MOVED || others++ + moved < LOOKUP_RECORDS_MAX)
			list->all.v[kept++] = *c;
	}
	list->all.n = kept;
	return -E2BIG;
}

static void candidate_answer(struct lookup *l, const struct candidate *c)
{
	const struct rs_chain *chain = &c->rs->chains.v[c->chain];
	struct rec_rule rec = rec_start(c->rs, c->chain, chain->from);

	rec.maker = c->maker;
	rec.flags = c->flags;
	rec.packets = c->flags & RULE_COUNTED ? c->packets : 0;
	if (c->rule) {
		rec.handle = c->rule->handle;
		rec.number = c->rule->number;
		text_copy(rec.text, sizeof(rec.text), c->rule->text ? c->rule->text : "");
	} else {
		policy_text(&rec, chain);
	}
	lookup_add(l, &rec, REC_RULE, l->q->netns);
}

/* Texts are only asked for of those that go into the answer. */
static int candidates_answer(struct lookup *l, struct candidates *list, struct ruleset *nft)
{
	struct memory_look *look = memory_look(l->q->netns, l->q->nf_family, l->q->nf_hook,
					       l->q->event_ns ? l->q->event_ns : now_mono());
	int result, err;

	candidates_compare(list, look);
	result = candidates_choose(list);
	for (size_t i = 0; i < list->all.n; i++)
		if (list->all.v[i].rs == nft && list->all.v[i].rule)
			nft->chains.v[list->all.v[i].chain].wanted = true;
	err = ruleset_texts(nft);
	if (err)
		return err;
	if (look)
		memory_look_end(look);
	for (size_t i = 0; i < list->all.n; i++)
		candidate_answer(l, &list->all.v[i]);
	return result;
}

static const uint8_t legacy_families[] = {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_ARP, NFPROTO_BRIDGE};

static int drop_rules_collect(struct lookup *l, struct ruleset *nft, struct ruleset *legacy)
{
	const struct question *q = l->q;
	struct candidates list = {0};
	int result = candidates_collect(&list, nft, q, false), err;

	for (size_t i = 0; i < ARRAY_SIZE(legacy_families); i++) {
		if (q->nf_family && q->nf_family != legacy_families[i])
			continue;
		err = xtables_legacy_load(legacy_families[i], &legacy[i]);
		result = result ? result : err;
		err = candidates_collect(&list, &legacy[i], q, true);
		result = result ? result : err;
	}
	err = candidates_answer(l, &list, nft);
	vec_free(&list.all);
	return err == -EAGAIN || !result ? err : result;
}

static int drop_rules_once(struct lookup *l)
{
	struct ruleset legacy[ARRAY_SIZE(legacy_families)] = {0}, *nft = NULL;
	int err = memory_ruleset(l->q->netns, true, &nft);

	if (!err)
		err = drop_rules_collect(l, nft, legacy);
	for (size_t i = 0; i < ARRAY_SIZE(legacy); i++)
		ruleset_free(&legacy[i]);
	return err;
}

int drop_rules_answer(struct lookup *l)
{
	int err = netns_enter(l->netns, l->q->netns);

	if (err)
		return err;
	err = -EAGAIN;
	for (int i = 0; i < TRIES && err == -EAGAIN; i++)
		err = drop_rules_once(l);
	netns_leave(l->netns);
	return err;
}
