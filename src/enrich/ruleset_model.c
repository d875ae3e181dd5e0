/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chains and what leads to them. */
#include "enrich/ruleset.h"

#include "record/question.h"

#include <linux/netfilter.h>
#include <uthash.h>

struct rs_name {
	UT_hash_handle hh;
	uint32_t chain;
	char key[]; /* the table's index, a space, the chain's name */
};

uint64_t hash_add(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		hash = (hash ^ *p++) * UINT64_C(0x100000001b3);
	return hash;
}

void ruleset_free(struct ruleset *rs)
{
	struct rs_name *name, *next;

	if (!rs)
		return;
	HASH_ITER(hh, rs->names, name, next) {
		HASH_DEL(rs->names, name);
		free(name);
	}
	for (size_t i = 0; i < rs->tables.n; i++)
		free(rs->tables.v[i].name);
	for (size_t i = 0; i < rs->chains.n; i++)
		free(rs->chains.v[i].name);
	for (size_t i = 0; i < rs->rules.n; i++)
		free(rs->rules.v[i].text);
	vec_free(&rs->tables);
	vec_free(&rs->chains);
	vec_free(&rs->rules);
	vec_free(&rs->edges);
	vec_free(&rs->by_handle);
	*rs = (struct ruleset){0};
}

/* ---- filling --------------------------------------------------------------------------------- */

uint32_t ruleset_table(struct ruleset *rs, uint8_t family, const char *name)
{
	struct rs_table *t;

	for (size_t i = 0; i < rs->tables.n; i++)
		if (rs->tables.v[i].family == family && !strcmp(rs->tables.v[i].name, name))
			return (uint32_t)i;
	t = vec_push(&rs->tables);
	if (!t || !(t->name = strdup(name))) {
		rs->failed = true;
		rs->tables.n -= t ? 1 : 0;
		return RS_NONE;
	}
	t->family = family;
	return (uint32_t)rs->tables.n - 1;
}

static struct rs_name *name_new(uint32_t table, const char *chain)
{
	size_t size = strlen(chain) + 16;
	struct rs_name *n = malloc(sizeof(*n) + size);

	if (n)
		snprintf(n->key, size, "%u %s", table, chain);
	return n;
}

struct rs_chain *ruleset_add_chain(struct ruleset *rs, uint32_t table, const char *name)
{
	struct rs_name *n = name_new(table, name);
	struct rs_chain *c = n ? vec_push(&rs->chains) : NULL;

	if (!c || !(c->name = strdup(name))) {
		rs->failed = true;
		rs->chains.n -= c ? 1 : 0;
		free(n);
		return NULL;
	}
	c->table = table;
	n->chain = (uint32_t)rs->chains.n - 1;
	HASH_ADD_STR(rs->names, key, n);
	return c;
}

uint32_t ruleset_chain(const struct ruleset *rs, uint32_t table, const char *name)
{
	_cleanup_free_ struct rs_name *asked = name_new(table, name);
	struct rs_name *found = NULL;

	if (asked)
		HASH_FIND_STR(rs->names, asked->key, found);
	return found ? found->chain : RS_NONE;
}

struct rs_rule *ruleset_add_rule(struct ruleset *rs, uint32_t chain)
{
	struct rs_rule *r = vec_push(&rs->rules);

	if (!r) {
		rs->failed = true;
		return NULL;
	}
	r->chain = chain;
	r->block = RS_NONE;
	r->number = ++rs->chains.v[chain].rules;
	return r;
}

void ruleset_add_edge(struct ruleset *rs, uint32_t from, uint32_t to)
{
	struct rs_edge *e;

	if (from == RS_NONE || to == RS_NONE)
		return;
	e = vec_push(&rs->edges);
	if (e)
		*e = (struct rs_edge){from, to};
	else
		rs->failed = true;
}

static int edge_order(const void *a, const void *b)
{
	const struct rs_edge *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

/* Sorts the edges, each once, and notes where those of each chain start. */
static void edges_sort(struct ruleset *rs)
{
	size_t kept = 0, e = 0;

	if (rs->edges.n)
		qsort(rs->edges.v, rs->edges.n, sizeof(*rs->edges.v), edge_order);
	for (size_t i = 0; i < rs->edges.n; i++)
		if (!kept || edge_order(&rs->edges.v[kept - 1], &rs->edges.v[i]))
			rs->edges.v[kept++] = rs->edges.v[i];
	rs->edges.n = kept;
	for (uint32_t i = 0; i < rs->chains.n; i++) {
		rs->chains.v[i].edges = (uint32_t)e;
		while (e < kept && rs->edges.v[e].from == i)
			e++;
	}
}

static int handle_order(const struct ruleset *rs, const struct rs_rule *r, uint32_t table,
			uint64_t handle)
{
	uint32_t t = rs->chains.v[r->chain].table;

	if (t != table)
		return t < table ? -1 : 1;
	return r->handle < handle ? -1 : r->handle > handle;
}

static int index_order(const void *a, const void *b, void *arg)
{
	const struct ruleset *rs = arg;
	const struct rs_rule *x = &rs->rules.v[*(const uint32_t *)a];
	const struct rs_rule *y = &rs->rules.v[*(const uint32_t *)b];

	return handle_order(rs, x, rs->chains.v[y->chain].table, y->handle);
}

int ruleset_finish(struct ruleset *rs)
{
	edges_sort(rs);
	rs->by_handle.n = 0;
	for (uint32_t i = 0; i < rs->rules.n; i++) {
		struct rs_rule *r = &rs->rules.v[i];
		struct rs_table *t = &rs->tables.v[rs->chains.v[r->chain].table];
		uint32_t *index = vec_push(&rs->by_handle);

		if (!index)
			return -ENOMEM;
		*index = i;
		t->xt = t->xt || r->flags & RS_XT;
		t->uncounted = t->uncounted || !(r->flags & RS_COUNTED);
	}
	if (rs->by_handle.n)
		qsort_r(rs->by_handle.v, rs->by_handle.n, sizeof(*rs->by_handle.v), index_order,
			rs);
	return rs->failed ? -ENOMEM : 0;
}

struct rs_rule *ruleset_by_handle(const struct ruleset *rs, uint32_t table, uint64_t handle)
{
	size_t low = 0, high = rs->by_handle.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct rs_rule *r = &rs->rules.v[rs->by_handle.v[mid]];
		int order = handle_order(rs, r, table, handle);

		if (!order)
			return r;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* ---- who leads where ------------------------------------------------------------------------- */

/* A table of inet has its chains in IPv4 and in IPv6. */
static bool family_serves(uint8_t family, uint8_t pf)
{
	return !pf || family == pf ||
	       (family == NFPROTO_INET && (pf == NFPROTO_IPV4 || pf == NFPROTO_IPV6));
}

static bool base_matches(const struct ruleset *rs, const struct rs_chain *c, uint8_t pf,
			 uint8_t hook, uint32_t table)
{
	return c->base && (hook == NF_HOOK_ANY || c->hook == hook) &&
	       (table == RS_NONE || c->table == table) &&
	       family_serves(rs->tables.v[c->table].family, pf);
}

/* Is a called before b? By priority; else whichever was registered first. */
static bool base_before(const struct rs_chain *a, const struct rs_chain *b)
{
	return a->priority < b->priority || (a->priority == b->priority && a < b);
}

static void chain_meet(struct ruleset *rs, uint32_t chain, uint32_t base)
{
	struct rs_chain *c = &rs->chains.v[chain];

	c->visit = base;
	if (c->from == RS_NONE) {
		c->from = base;
		return;
	}
	c->ambiguous = true;
	if (base_before(&rs->chains.v[base], &rs->chains.v[c->from]))
		c->from = base;
}

/* Every chain is put on the stack once. */
static void base_walk(struct ruleset *rs, uint32_t base, uint32_t *stack)
{
	size_t n = 0;

	chain_meet(rs, base, base);
	stack[n++] = base;
	while (n) {
		uint32_t at = stack[--n];

		for (size_t e = rs->chains.v[at].edges;
		     e < rs->edges.n && rs->edges.v[e].from == at; e++) {
			uint32_t to = rs->edges.v[e].to;

			if (rs->chains.v[to].visit == base)
				continue;
			chain_meet(rs, to, base);
			stack[n++] = to;
		}
	}
}

int ruleset_reach(struct ruleset *rs, uint8_t pf, uint8_t hook, uint32_t table)
{
	_cleanup_free_ uint32_t *stack = calloc(rs->chains.n + 1, sizeof(*stack));

	if (!stack)
		return -ENOMEM;
	for (size_t i = 0; i < rs->chains.n; i++) {
		struct rs_chain *c = &rs->chains.v[i];

		c->from = c->visit = RS_NONE;
		c->ambiguous = false;
	}
	for (uint32_t i = 0; i < rs->chains.n; i++)
		if (base_matches(rs, &rs->chains.v[i], pf, hook, table))
			base_walk(rs, i, stack);
	return 0;
}
