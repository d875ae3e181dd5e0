/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of one network namespace, as far as they bear on drops: chains, what leads from one to
 * the other, and which rules may drop. nftables and the saved tables of iptables fill the same
 * struct. Everything here only reads.
 */
#ifndef TCPWHY_ENRICH_RULESET_H
#define TCPWHY_ENRICH_RULESET_H

#include "base/base.h"

/* What is known of a rule. */
#define RS_DROPS 0x01	/* its verdict may be drop, reject or queue */
#define RS_COUNTED 0x02 /* packets is real */
#define RS_XT 0x04	/* has a match or target of iptables */

#define RS_NONE UINT32_MAX

struct rs_rule {
	uint64_t handle;
	uint64_t packets;
	uint32_t chain;	 /* index */
	uint32_t number; /* in its chain, from 1 */
	uint32_t block;	 /* the chain without a name of its own that it jumps to, RS_NONE */
	uint8_t flags;	 /* RS_* */
	bool saved;	 /* text is iptables-nft-save's */
	char *text;	 /* NULL: not asked for yet, or not to be had */
};

struct rs_chain {
	char *name;
	uint64_t packets; /* that met the policy */
	uint32_t table;	  /* index */
	uint32_t rules;	  /* how many */
	uint32_t edges;	  /* where its edges start; see ruleset_finish */
	int32_t priority;
	uint8_t hook; /* number in the table's family, if base */
	bool base;
	bool policy_drop;
	bool bound;   /* it is the block of a rule: "jump { … }" */
	bool counted; /* packets is real */
	bool listed;  /* its rules' texts were asked for */
	bool wanted;  /* its rules' texts are to be asked for */

	/* of the last ruleset_reach */
	uint32_t from;	/* the first base chain that leads here, RS_NONE */
	bool ambiguous; /* there are others */
	uint32_t visit;
};

struct rs_table {
	char *name;
	uint8_t family;	  /* NFPROTO_* */
	bool saved;	  /* iptables-nft-save was asked */
	bool xt;	  /* a rule has RS_XT */
	bool uncounted;	  /* a rule has no counter */
	uint64_t content; /* legacy: of all but counters, tells if it was changed */
};

struct rs_edge {
	uint32_t from, to; /* chains */
};

struct rs_name;

struct ruleset {
	VEC(struct rs_table) tables;
	VEC(struct rs_chain) chains;
	VEC(struct rs_rule) rules;
	VEC(struct rs_edge) edges;
	VEC(uint32_t) by_handle; /* rules, in the order of table and handle */
	struct rs_name *names;	 /* of chains; see ruleset_model.c */
	uint32_t generation;
	bool failed; /* out of memory: incomplete */
};

void ruleset_free(struct ruleset *rs);

/* ---- filling, ruleset_model.c ---------------------------------------------------------------- */

/* The index of a table, made if there is none yet; RS_NONE out of memory. */
uint32_t ruleset_table(struct ruleset *rs, uint8_t family, const char *name);
/* A new chain, valid until the next; NULL out of memory. */
struct rs_chain *ruleset_add_chain(struct ruleset *rs, uint32_t table, const char *name);
/* RS_NONE: there is none. */
uint32_t ruleset_chain(const struct ruleset *rs, uint32_t table, const char *name);
/* A new rule at the end of its chain, valid until the next; NULL out of memory. */
struct rs_rule *ruleset_add_rule(struct ruleset *rs, uint32_t chain);
void ruleset_add_edge(struct ruleset *rs, uint32_t from, uint32_t to);
/* Ends the filling: 0 or -ENOMEM. */
int ruleset_finish(struct ruleset *rs);

/* Adds `len` bytes to a checksum that tells things apart (FNV-1a); start with HASH_START. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t hash_add(uint64_t hash, const void *data, size_t len);

/* ---- asking ---------------------------------------------------------------------------------- */

/*
 * Notes for every chain which base chain at that hook leads to it. pf: NFPROTO_* of the hook, 0
 * all; hook: NF_HOOK_ANY all; table: RS_NONE all.
 */
int ruleset_reach(struct ruleset *rs, uint8_t pf, uint8_t hook, uint32_t table);
/* NULL: there is none. */
struct rs_rule *ruleset_by_handle(const struct ruleset *rs, uint32_t table, uint64_t handle);

/* ---- nftables, ruleset_nft.c: of the calling thread's namespace ------------------------------ */

/* Changes whenever the ruleset does. 0; -EOPNOTSUPP without nftables in the kernel. */
int ruleset_generation(uint32_t *ret);
/* Fills rs (empty before). An empty one also if there is no nftables. 0 or a negative errno. */
int ruleset_load(struct ruleset *rs);

/* ---- texts, ruleset_text.c ------------------------------------------------------------------- */

/*
 * Gives the rules of all `wanted` chains their texts, where they can be had. 0; -EAGAIN: the
 * ruleset has changed since it was loaded.
 */
int ruleset_texts(struct ruleset *rs);
/* Are the rules of this nftables table iptables' ones? */
bool ruleset_table_is_xt(const struct ruleset *rs, uint32_t table);

/* "ip", "inet"… */
const char *nft_family_word(uint8_t family);
/* Calls fn for every rule in what `nft -a list …` printed. */
struct nft_listed {
	uint8_t family;
	const char *table, *chain, *text;
	uint64_t handle;
	/* 0, or from 1: text is the rule at this place of `places` in the block that the rule has */
	uint32_t place, places;
};
typedef void (*nft_listed_fn)(void *arg, const struct nft_listed *rule);
void nft_text_parse(const char *text, nft_listed_fn fn, void *arg);

/* ---- iptables, ruleset_xtables.c ------------------------------------------------------------- */

/* Fills rs (empty before) with what iptables-save, ip6tables-save or ebtables-save printed. */
int xtables_parse(const char *text, uint8_t family, struct ruleset *rs);
/* The hook of a builtin chain, -1 for any other name. */
int xtables_hook(uint8_t family, const char *chain);
bool xtables_is_builtin_table(uint8_t family, const char *table);
/* Table `table` of iptables-nft in this namespace: its saved text. 0; -ENOENT: no such program. */
int xtables_nft_save(uint8_t family, const char *table, char **ret);
/*
 * All of iptables-legacy's tables of a family in this namespace, into rs (empty before). Reading
 * what doesn't exist would make it: only tables that are there are asked for. -EOPNOTSUPP: there
 * are tables of arptables, or may be of ebtables, which can't be read.
 */
int xtables_legacy_load(uint8_t family, struct ruleset *rs);

#endif
