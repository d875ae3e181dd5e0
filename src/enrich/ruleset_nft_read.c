/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/ruleset_nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

static int attr_note(const struct nlattr *attr, void *arg)
{
	struct nft_attrs *a = arg;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < ARRAY_SIZE(a->v))
		a->v[type] = attr;
	return MNL_CB_OK;
}

struct nft_attrs nft_attrs_of(const struct nlmsghdr *nlh)
{
	struct nft_attrs a = {0};

	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), attr_note, &a);
	return a;
}

struct nft_attrs nft_attrs_in(const struct nlattr *attr)
{
	struct nft_attrs a = {0};

	if (attr)
		mnl_attr_parse_nested(attr, attr_note, &a);
	return a;
}

const char *nft_attr_text(const struct nlattr *attr)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(attr)
									 : "";
}

uint32_t nft_attr_u32(const struct nlattr *attr, uint32_t otherwise)
{
	return attr && mnl_attr_get_payload_len(attr) >= 4 ? ntohl(mnl_attr_get_u32(attr))
							   : otherwise;
}

uint64_t nft_attr_u64(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) >= 8 ? be64toh(mnl_attr_get_u64(attr)) : 0;
}

static uint8_t msg_family(const struct nlmsghdr *nlh)
{
	return ((const struct nfgenmsg *)mnl_nlmsg_get_payload(nlh))->nfgen_family;
}

/* ---- verdict maps ---------------------------------------------------------------------------- */

static struct nft_map *map_find(const struct nft_load *l, uint32_t table, const char *name)
{
	_cleanup_free_ char *key = NULL;
	struct nft_map *m = NULL;

	if (asprintf(&key, "%u %s", table, name) < 0)
		key = NULL;
	else
		HASH_FIND_STR(l->maps, key, m);
	return m;
}

static void map_add(struct nft_load *l, uint32_t table, const char *name)
{
	size_t size = strlen(name) + 16;
	struct nft_map *m = calloc(1, sizeof(*m) + size);

	if (!m) {
		l->rs->failed = true;
		return;
	}
	m->name = m->key + snprintf(m->key, size, "%u ", table);
	str_copy(m->name, size - (size_t)(m->name - m->key), name);
	m->table = table;
	HASH_ADD_STR(l->maps, key, m);
}

void nft_maps_free(struct nft_load *l)
{
	struct nft_map *m, *next;

	HASH_ITER(hh, l->maps, m, next) {
		HASH_DEL(l->maps, m);
		vec_free(&m->to);
		free(m);
	}
}

/* ---- verdicts -------------------------------------------------------------------------------- */

struct verdict {
	bool drops;
	uint32_t to; /* chain, RS_NONE */
};

/* data: NFTA_DATA_VERDICT of a register's or an element's data. Queued packets may be dropped too. */
static struct verdict verdict_read(const struct ruleset *rs, uint32_t table,
				   const struct nlattr *data)
{
	struct nft_attrs a = nft_attrs_in(nft_attrs_in(data).v[NFTA_DATA_VERDICT]);
	int32_t code = (int32_t)nft_attr_u32(a.v[NFTA_VERDICT_CODE], NF_ACCEPT);
	int32_t low = code & NF_VERDICT_MASK;
	struct verdict v = {code >= 0 && (low == NF_DROP || low == NF_QUEUE), RS_NONE};

	if (code == NFT_JUMP || code == NFT_GOTO)
		v.to = ruleset_chain(rs, table, nft_attr_text(a.v[NFTA_VERDICT_CHAIN]));
	return v;
}

int nft_set_read(const struct nlmsghdr *nlh, void *arg)
{
	struct nft_load *l = arg;
	struct nft_attrs a = nft_attrs_of(nlh);
	uint32_t table;

	if (nft_attr_u32(a.v[NFTA_SET_DATA_TYPE], 0) != NFT_DATA_VERDICT)
		return MNL_CB_OK;
	table = ruleset_table(l->rs, msg_family(nlh), nft_attr_text(a.v[NFTA_SET_TABLE]));
	if (table != RS_NONE)
		map_add(l, table, nft_attr_text(a.v[NFTA_SET_NAME]));
	return MNL_CB_OK;
}

/* The end of an interval is an element without data. */
int nft_element_read(const struct nlmsghdr *nlh, void *arg)
{
	struct nft_load *l = arg;
	const struct nlattr *list = nft_attrs_of(nlh).v[NFTA_SET_ELEM_LIST_ELEMENTS];
	const struct nlattr *elem;

	if (!list)
		return MNL_CB_OK;
	mnl_attr_for_each_nested(elem, list) {
		struct nft_attrs a = nft_attrs_in(elem);
		struct verdict v;
		uint32_t *to;

		if (!a.v[NFTA_SET_ELEM_DATA])
			continue;
		v = verdict_read(l->rs, l->map->table, a.v[NFTA_SET_ELEM_DATA]);
		l->map->drops = l->map->drops || v.drops;
		to = v.to != RS_NONE ? vec_push(&l->map->to) : NULL;
		if (to)
			*to = v.to;
	}
	return MNL_CB_OK;
}

/* ---- chains and rules ------------------------------------------------------------------------ */

int nft_chain_read(const struct nlmsghdr *nlh, void *arg)
{
	struct nft_load *l = arg;
	struct nft_attrs a = nft_attrs_of(nlh), hook = nft_attrs_in(a.v[NFTA_CHAIN_HOOK]);
	struct nft_attrs counters = nft_attrs_in(a.v[NFTA_CHAIN_COUNTERS]);
	uint32_t table =
		ruleset_table(l->rs, msg_family(nlh), nft_attr_text(a.v[NFTA_CHAIN_TABLE]));
	struct rs_chain *c = NULL;

	if (table != RS_NONE)
		c = ruleset_add_chain(l->rs, table, nft_attr_text(a.v[NFTA_CHAIN_NAME]));
	if (c)
		c->bound = nft_attr_u32(a.v[NFTA_CHAIN_FLAGS], 0) & NFT_CHAIN_BINDING;
	if (!c || !a.v[NFTA_CHAIN_HOOK])
		return MNL_CB_OK;
	c->base = true;
	c->hook = (uint8_t)nft_attr_u32(hook.v[NFTA_HOOK_HOOKNUM], 0);
	c->priority = (int32_t)nft_attr_u32(hook.v[NFTA_HOOK_PRIORITY], 0);
	c->policy_drop = nft_attr_u32(a.v[NFTA_CHAIN_POLICY], NF_ACCEPT) == NF_DROP;
	c->counted = a.v[NFTA_CHAIN_COUNTERS];
	c->packets = nft_attr_u64(counters.v[NFTA_COUNTER_PACKETS]);
	return MNL_CB_OK;
}

/* Targets that drop packets, answer them in their stead, or hand them to a program. */
static bool target_drops(const char *name)
{
	return !strcmp(name, "DROP") || !strcmp(name, "REJECT") || !strcmp(name, "NFQUEUE");
}

static void lookup_read(struct nft_load *l, struct rs_rule *r, const struct nft_attrs *a)
{
	const struct nft_map *m;

	if (!a->v[NFTA_LOOKUP_DREG] ||
	    nft_attr_u32(a->v[NFTA_LOOKUP_DREG], NFT_REG_1) != NFT_REG_VERDICT)
		return;
	m = map_find(l, l->rs->chains.v[r->chain].table, nft_attr_text(a->v[NFTA_LOOKUP_SET]));
	if (!m)
		return;
	if (m->drops)
		r->flags |= RS_DROPS;
	for (size_t i = 0; i < m->to.n; i++)
		ruleset_add_edge(l->rs, r->chain, m->to.v[i]);
}

static void immediate_read(struct nft_load *l, struct rs_rule *r, const struct nft_attrs *a)
{
	struct verdict v;

	if (nft_attr_u32(a->v[NFTA_IMMEDIATE_DREG], NFT_REG_1) != NFT_REG_VERDICT)
		return;
	v = verdict_read(l->rs, l->rs->chains.v[r->chain].table, a->v[NFTA_IMMEDIATE_DATA]);
	if (v.drops)
		r->flags |= RS_DROPS;
	if (v.to != RS_NONE && l->rs->chains.v[v.to].bound)
		r->block = v.to;
	ruleset_add_edge(l->rs, r->chain, v.to);
}

static void expression_read(struct nft_load *l, struct rs_rule *r, const struct nlattr *expr)
{
	struct nft_attrs e = nft_attrs_in(expr), a = nft_attrs_in(e.v[NFTA_EXPR_DATA]);
	const char *name = nft_attr_text(e.v[NFTA_EXPR_NAME]);

	if (!strcmp(name, "immediate")) {
		immediate_read(l, r, &a);
	} else if (!strcmp(name, "lookup")) {
		lookup_read(l, r, &a);
	} else if (!strcmp(name, "counter")) {
		r->flags |= RS_COUNTED;
		r->packets = nft_attr_u64(a.v[NFTA_COUNTER_PACKETS]);
	} else if (!strcmp(name, "reject") || !strcmp(name, "queue")) {
		r->flags |= RS_DROPS;
	} else if (!strcmp(name, "match")) {
		r->flags |= RS_XT;
	} else if (!strcmp(name, "target")) {
		r->flags |= RS_XT;
		if (target_drops(nft_attr_text(a.v[NFTA_TARGET_NAME])))
			r->flags |= RS_DROPS;
	}
}

static bool chain_is(const struct ruleset *rs, uint32_t chain, uint32_t table, const char *name)
{
	return chain < rs->chains.n && rs->chains.v[chain].table == table &&
	       !strcmp(rs->chains.v[chain].name, name);
}

/* Those of a chain come one after the other. */
int nft_rule_read(const struct nlmsghdr *nlh, void *arg)
{
	struct nft_load *l = arg;
	struct nft_attrs a = nft_attrs_of(nlh);
	uint32_t table = ruleset_table(l->rs, msg_family(nlh), nft_attr_text(a.v[NFTA_RULE_TABLE]));
	const struct nlattr *expr;
	struct rs_rule *r;

	if (!chain_is(l->rs, l->chain, table, nft_attr_text(a.v[NFTA_RULE_CHAIN])))
		l->chain = ruleset_chain(l->rs, table, nft_attr_text(a.v[NFTA_RULE_CHAIN]));
	r = l->chain != RS_NONE ? ruleset_add_rule(l->rs, l->chain) : NULL;
	if (!r)
		return MNL_CB_OK;
	r->handle = nft_attr_u64(a.v[NFTA_RULE_HANDLE]);
	if (a.v[NFTA_RULE_EXPRESSIONS])
		mnl_attr_for_each_nested(expr, a.v[NFTA_RULE_EXPRESSIONS])
			expression_read(l, r, expr);
	return MNL_CB_OK;
}
