/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TCPWHY_ENRICH_CONNTRACK_STATS_H
#define TCPWHY_ENRICH_CONNTRACK_STATS_H

#include "enrich/counter.h"

/* Not a counter: it goes up and down. */
#define CONNTRACK_COUNT "ConntrackCount"

/*
 * Calls fn with conntrack's counters of the thread's present namespace, summed over CPUs
 * ("Conntrack", "Drop"), and with the number of its entries: from a file, or else, if can_ask,
 * through netlink. 0 or a negative errno.
 */
int conntrack_stats(bool can_ask, counter_fn fn, void *arg);

/* The two ways of it: the text of /proc/net/stat/nf_conntrack, and netlink. */
void conntrack_stats_parse(const char *text, counter_fn fn, void *arg);
int conntrack_stats_ask(counter_fn fn, void *arg);

#endif
