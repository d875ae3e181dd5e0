/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules in the words of nft, through libnftables, or in those of iptables. Without counters: a text
 * is kept until the ruleset changes, and they are in a field of their own.
 */
#include "enrich/ruleset.h"

#include <ctype.h>
#include <nftables/libnftables.h>

/* More chains of a table than this, and listing the whole table is quicker. */
#define CHAINS_LISTED_SINGLY 8

/* ---- asking libnftables ---------------------------------------------------------------------- */

/*
 * Names go into a command: whoever may make a chain could otherwise write one. Also, nft can't read
 * all names that the kernel takes. The latter are met by listing more.
 */
static bool name_is_plain(const char *name)
{
	return isalpha((unsigned char)*name) &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk"
			    "lmnopqrstuvwxyz0123456789/_.-") == strlen(name);
}

/* The rule that `listed` says is in r's block. */
static struct rs_rule *rule_in_block(struct ruleset *rs, const struct rs_rule *r,
				     const struct nft_listed *listed)
{
	if (r->block == RS_NONE || rs->chains.v[r->block].rules != listed->places)
		return NULL;
	for (size_t i = 0; i < rs->rules.n; i++)
		if (rs->rules.v[i].chain == r->block && rs->rules.v[i].number == listed->place)
			return &rs->rules.v[i];
	return NULL;
}

static void text_take(void *arg, const struct nft_listed *listed)
{
	struct ruleset *rs = arg;

	for (uint32_t t = 0; t < rs->tables.n; t++) {
		const struct rs_table *table = &rs->tables.v[t];
		struct rs_rule *r;

		if (table->family != listed->family || strcmp(table->name, listed->table))
			continue;
		r = ruleset_by_handle(rs, t, listed->handle);
		if (!r || strcmp(rs->chains.v[r->chain].name, listed->chain))
			continue;
		if (listed->place)
			r = rule_in_block(rs, r, listed);
		if (r && !r->text)
			r->text = strdup(listed->text);
	}
}

/* A context asks in the namespace it was made in. Nothing is ever changed in a dry run. */
static struct nft_ctx *ctx_open(void)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!ctx)
		return NULL;
	nft_ctx_set_dry_run(ctx, true);
	nft_ctx_output_set_flags(ctx, NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_STATELESS);
	if (!nft_ctx_buffer_output(ctx) && !nft_ctx_buffer_error(ctx))
		return ctx;
	nft_ctx_free(ctx);
	return NULL;
}

/* chain NULL: the whole table; table NULL: the whole family. False: nft can't. */
static bool list(struct ruleset *rs, uint8_t family, const char *table, const char *chain)
{
	_cleanup_free_ char *command = NULL;
	struct nft_ctx *ctx;
	bool listed = false;
	int n;

	if ((table && !name_is_plain(table)) || (chain && !name_is_plain(chain)))
		return false;
	n = asprintf(&command, "list %s %s %s %s",
		     chain   ? "chain"
		     : table ? "table"
			     : "ruleset",
		     nft_family_word(family), table ? table : "", chain ? chain : "");
	if (n < 0) {
		command = NULL;
		return false;
	}
	ctx = ctx_open();
	if (ctx && !nft_run_cmd_from_buffer(ctx, command)) {
		const char *text = nft_ctx_get_output_buffer(ctx);

		listed = text && *text;
		if (listed)
			nft_text_parse(text, text_take, rs);
	}
	if (ctx)
		nft_ctx_free(ctx);
	return listed;
}

static bool list_chains(struct ruleset *rs, uint32_t table)
{
	const struct rs_table *t = &rs->tables.v[table];

	for (size_t i = 0; i < rs->chains.n; i++) {
		const struct rs_chain *c = &rs->chains.v[i];

		if (c->table == table && c->wanted && !c->listed &&
		    !list(rs, t->family, t->name, c->name))
			return false;
	}
	return true;
}

/* ---- whose words ----------------------------------------------------------------------------- */

/*
 * Nothing in the kernel says who made a table. It is iptables' if all base chains have its names,
 * and its matches are in there or at least (as it always does) a counter in each rule.
 */
bool ruleset_table_is_xt(const struct ruleset *rs, uint32_t table)
{
	const struct rs_table *t = &rs->tables.v[table];
	bool any = false;

	if (!xtables_is_builtin_table(t->family, t->name) || (!t->xt && t->uncounted))
		return false;
	for (size_t i = 0; i < rs->chains.n; i++) {
		const struct rs_chain *c = &rs->chains.v[i];

		if (c->table != table || !c->base)
			continue;
		if (xtables_hook(t->family, c->name) != c->hook)
			return false;
		any = true;
	}
	return any;
}

/*
 * Rules are told apart by their place. A chain whose length differs was changed meanwhile, or has
 * rules that iptables can't show.
 */
static void saved_take(struct ruleset *rs, uint32_t table, struct ruleset *saved)
{
	uint32_t from = ruleset_table(saved, rs->tables.v[table].family, rs->tables.v[table].name);
	_cleanup_free_ uint32_t *first = calloc(saved->chains.n + 1, sizeof(*first));

	if (from == RS_NONE || !first)
		return;
	for (size_t i = saved->rules.n; i--;)
		first[saved->rules.v[i].chain] = (uint32_t)i;
	for (size_t i = 0; i < rs->rules.n; i++) {
		struct rs_rule *r = &rs->rules.v[i], *s;
		const struct rs_chain *c = &rs->chains.v[r->chain];
		uint32_t chain = c->table == table ? ruleset_chain(saved, from, c->name) : RS_NONE;

		if (chain == RS_NONE || saved->chains.v[chain].rules != c->rules || r->text)
			continue;
		s = &saved->rules.v[first[chain] + r->number - 1]; /* they stand together */
		r->text = s->text;
		s->text = NULL;
		r->saved = true;
	}
}

static void table_save(struct ruleset *rs, uint32_t table)
{
	struct rs_table *t = &rs->tables.v[table];
	_cleanup_free_ char *text = NULL;
	struct ruleset saved = {0};

	t->saved = true;
	if (!xtables_nft_save(t->family, t->name, &text) && !xtables_parse(text, t->family, &saved))
		saved_take(rs, table, &saved);
	ruleset_free(&saved);
}

/* Marks the chains that have what they can have; the number of those that haven't. */
static size_t chains_missing(struct ruleset *rs, uint32_t table)
{
	size_t missing = 0;

	for (size_t i = 0; i < rs->chains.n; i++)
		if (rs->chains.v[i].table == table)
			rs->chains.v[i].listed = rs->chains.v[i].listed || !rs->chains.v[i].rules;
	for (size_t i = 0; i < rs->rules.n; i++) {
		struct rs_chain *c = &rs->chains.v[rs->rules.v[i].chain];

		if (c->table != table || !c->wanted || c->listed || rs->rules.v[i].number != 1)
			continue;
		if (rs->rules.v[i].text)
			c->listed = true;
		else
			missing++;
	}
	return missing;
}

static void table_texts(struct ruleset *rs, uint32_t table)
{
	const struct rs_table *t = &rs->tables.v[table];
	size_t missing = chains_missing(rs, table);

	if (missing && !t->saved && ruleset_table_is_xt(rs, table)) {
		table_save(rs, table);
		missing = chains_missing(rs, table);
	}
	if (!missing)
		return;
	if (missing > CHAINS_LISTED_SINGLY || !list_chains(rs, table))
		if (!list(rs, t->family, t->name, NULL))
			list(rs, t->family, NULL, NULL);
	for (size_t i = 0; i < rs->chains.n; i++)
		if (rs->chains.v[i].table == table && rs->chains.v[i].wanted)
			rs->chains.v[i].listed = true;
}

int ruleset_texts(struct ruleset *rs)
{
	uint32_t generation = rs->generation;

	for (uint32_t i = 0; i < rs->tables.n; i++)
		table_texts(rs, i);
	for (size_t i = 0; i < rs->chains.n; i++)
		rs->chains.v[i].wanted = false;
	if (rs->tables.n && (ruleset_generation(&generation) || generation != rs->generation))
		return -EAGAIN;
	return 0;
}
