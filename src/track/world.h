/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known independently of a connection: symbols, and who the network namespaces are. Filled
 * by records only.
 */
#ifndef TCPWHY_WORLD_H
#define TCPWHY_WORLD_H

#include "abi/record.h"
#include "base/base.h"

struct world;

int world_new(struct world **ret);
void world_free(struct world *w);

/* Takes a REC_SYMBOL or REC_NETNS record (copied); others are ignored. 0 or -ENOMEM. */
int world_add(struct world *w, const struct rec_hdr *rec);

/* NULL: not known. Owned by w, until the next world_add of the same key. */
const struct rec_symbol *world_symbol(const struct world *w, uint64_t addr);
const struct rec_netns *world_netns(const struct world *w, uint32_t inum);

/* The namespace that the machine started with: init (1) or kthreadd (2) live there. NULL: no. */
bool world_is_host(const struct rec_netns *n);

/* True once for each namespace that nothing is known of, so that it is asked for once. */
bool world_netns_wanted(struct world *w, uint32_t inum);

/* Is it that function? Suffixes of the compiler (.part.0, .isra.0) don't count. */
bool symbol_is(const struct rec_symbol *s, const char *function);

/*
 * Does a function of that name (compiler suffixes such as .isra.0 ignored) stand in this stack, in the
 * kernel stack of e?
 */
bool world_frames_have(const struct world *w, const uint64_t *frames, unsigned n,
		       const char *function);
bool world_stack_has(const struct world *w, const struct rec_event *e, const char *function);

/* Did a REJECT rule make e, a reset or an ICMP error that leaves? */
bool world_by_reject(const struct world *w, const struct rec_event *e);
/* Was e raised where only an XDP program decides? */
bool world_in_xdp(const struct world *w, const struct rec_event *e);

/*
 * Was e raised on nobody's behalf: by a softirq or timer, which may have borrowed any task's time?
 */
bool world_in_softirq(const struct world *w, const struct rec_event *e);

#endif
