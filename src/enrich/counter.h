/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's SNMP counters of a namespace, and how much they grew since we first looked. */
#ifndef TCPWHY_ENRICH_COUNTER_H
#define TCPWHY_ENRICH_COUNTER_H

#include "base/base.h"

struct counter_base;
struct netns_map;

/*
 * Takes the base line of one known namespace that has none yet. False if there was none left to do.
 */
bool counter_base_step(struct netns_map *m);
void counter_base_free(struct counter_base *base);

/*
 * Calls fn with each counter in the text of a /proc/net file: netstat and snmp have lines of names
 * followed by lines of values ("TcpExt: A B" gives TcpExtA and TcpExtB), snmp6 a name and a value
 * per line. The name is key + name, not terminated.
 */
typedef void (*counter_fn)(void *arg, const char *key, size_t key_len, const char *name, size_t len,
			   uint64_t value);
void counter_parse(const char *text, counter_fn fn, void *arg);

#endif
