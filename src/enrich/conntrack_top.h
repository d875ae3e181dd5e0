/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TCPWHY_ENRICH_CONNTRACK_TOP_H
#define TCPWHY_ENRICH_CONNTRACK_TOP_H

#include "base/base.h"

struct netns_map;

#define CONNTRACK_TOP_MAX 3

/* Who has the conntrack entries: one source address. */
struct conntrack_top {
	uint8_t src[16];	/* of the original direction */
	uint32_t entries;	/* of it */
	uint32_t unreplied;	/* … that saw no packet of the other direction */
	uint32_t dport_entries; /* … to the port that most of them go to */
	uint16_t dport;
	uint8_t proto;
};

/*
 * The sources with the most conntrack entries of a namespace, the first one first, and the number of
 * all entries. Takes some 3 us per entry. Moves the thread there and back. 0 or a negative errno,
 * -EOPNOTSUPP without conntrack in the kernel.
 */
int conntrack_top(struct netns_map *m, uint32_t netns, struct conntrack_top ret[CONNTRACK_TOP_MAX],
		  size_t *ret_n, uint32_t *ret_entries);

#endif
