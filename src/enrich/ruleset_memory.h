/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the rulesets' lookups keep from one to the next: nftables' rulesets with the texts that were
 * asked for, and counters. It is the calling thread's own, bounded, and ends with it.
 */
#ifndef TCPWHY_ENRICH_RULESET_MEMORY_H
#define TCPWHY_ENRICH_RULESET_MEMORY_H

#include "enrich/ruleset.h"

/*
 * The nftables ruleset of the namespace netns, where the thread is. fresh: with the counters of
 * now. Valid until the next call. 0 or a negative errno.
 */
int memory_ruleset(uint32_t netns, bool fresh, struct ruleset **ret);

struct memory_count {
	uint64_t key;
	uint64_t packets;
};

struct memory_look;

/*
 * The last look at a hook's counters that had ended by before_ns (CLOCK_MONOTONIC): what rose since then may
 * have to do with what happened then. NULL out of memory. Valid until the next call.
 */
struct memory_look *memory_look(uint32_t netns, uint8_t pf, uint8_t hook, uint64_t before_ns);
/* Did it rise since then? If it wasn't seen then, or more had been counted: isn't it 0? */
bool memory_count_moved(const struct memory_look *look, const struct memory_count *count);
/* For the next look. */
void memory_count_keep(struct memory_look *look, const struct memory_count *count);
/* What was kept is now a look. */
void memory_look_end(struct memory_look *look);

#endif
