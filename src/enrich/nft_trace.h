/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's own trace of nftables: a table in each namespace that marks packets, and what the kernel
 * then tells of them. The table belongs to a socket (NFT_TABLE_F_OWNER): the kernel takes it away when
 * that is closed, however the process ends.
 */
#ifndef TCPWHY_ENRICH_NFT_TRACE_H
#define TCPWHY_ENRICH_NFT_TRACE_H

#include "abi/config.h"
#include "abi/record.h"
#include "base/base.h"

struct netns_map;
struct nft_trace;

/*
 * Begins in `netns`, or (0) in every known namespace, if it has a base chain of nftables. Only packets
 * that c's addresses, ports and protocol let through are marked. 0 or a negative errno, with a sentence
 * in why if there is more to say. enrich.h: enrich_nft_trace() does it in a thread of its own.
 */
int nft_trace_open(struct netns_map *m, uint32_t netns, const struct config *c,
		   struct nft_trace **ret, struct strbuf *why);
/* Takes the tables away. NULL is fine. */
void nft_trace_close(struct nft_trace *t);

/* The table's name, and the i-th namespace that it is in; 0 after the last. */
void nft_trace_table(char *ret, size_t size);
uint32_t nft_trace_netns(const struct nft_trace *t, size_t i);

/* Readable while messages wait. Owned by t. */
int nft_trace_fd(const struct nft_trace *t);
/* Takes some of those that wait. */
void nft_trace_take(struct nft_trace *t);
/* How often a socket was found to have lost messages. */
uint64_t nft_trace_lost(const struct nft_trace *t);

/* A drop of nftables' that no probe told more about gets its rule or policy, if the trace tells it. */
void nft_trace_fill(struct nft_trace *t, struct rec_event *e);

#endif
