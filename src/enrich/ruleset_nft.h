/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nftables' netlink messages; what isn't known in them is skipped. */
#ifndef TCPWHY_ENRICH_RULESET_NFT_H
#define TCPWHY_ENRICH_RULESET_NFT_H

#include "enrich/netlink.h"
#include "enrich/ruleset.h"

#include <uthash.h>

/* The attributes of a message, by their types. */
struct nft_attrs {
	const struct nlattr *v[32];
};

struct nft_attrs nft_attrs_of(const struct nlmsghdr *nlh);
/* Those inside of attr; none if it is NULL. */
struct nft_attrs nft_attrs_in(const struct nlattr *attr);
uint32_t nft_attr_u32(const struct nlattr *attr, uint32_t otherwise);
uint64_t nft_attr_u64(const struct nlattr *attr);     /* 0: there is none */
const char *nft_attr_text(const struct nlattr *attr); /* "" */

/* A verdict map. */
struct nft_map {
	UT_hash_handle hh;
	uint32_t table;
	bool drops;
	VEC(uint32_t) to; /* chains */
	char *name;
	char key[]; /* the table's index, a space, the set's name */
};

struct nft_load {
	struct ruleset *rs;
	struct nft_map *maps;
	struct nft_map *map; /* whose elements are being read */
	uint32_t chain;	     /* the last rule's */
};

/*
 * For nl_ask, arg is a struct nft_load. Chains come first, as jumps name them, then the maps with
 * their elements, as rules name those.
 */
int nft_chain_read(const struct nlmsghdr *nlh, void *arg);
int nft_set_read(const struct nlmsghdr *nlh, void *arg);
int nft_element_read(const struct nlmsghdr *nlh, void *arg);
int nft_rule_read(const struct nlmsghdr *nlh, void *arg);
void nft_maps_free(struct nft_load *l);

#endif
