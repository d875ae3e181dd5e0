/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What nftables' own trace tells of packets that it drops, and to which drop's record it belongs. Only
 * the last few drops are kept.
 */
#ifndef TCPWHY_ENRICH_NFT_DROPS_H
#define TCPWHY_ENRICH_NFT_DROPS_H

#include "abi/record.h"
#include "base/base.h"

#include <libmnl/libmnl.h>

struct nft_drops;

struct nft_drops *nft_drops_new(void); /* NULL: out of memory */
void nft_drops_free(struct nft_drops *d);

/*
 * A message of a namespace, sent between from_ns and until_ns (CLOCK_MONOTONIC). What is no trace, or
 * damaged, is skipped.
 */
void nft_drops_message(struct nft_drops *d, const struct nlmsghdr *nlh, uint32_t netns,
		       uint64_t from_ns, uint64_t until_ns);
/* Messages were lost: those to come are not about what the last ones told of packets. */
void nft_drops_forget(struct nft_drops *d);

/* May e be a drop of nftables' about which no probe has told anything? */
bool nft_drops_concern(const struct rec_event *e);
/* Tells e, one of those, which rule or policy it was. False: not known, or not for sure. */
bool nft_drops_fill(struct nft_drops *d, struct rec_event *e);

#endif
