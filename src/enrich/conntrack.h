/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TCPWHY_ENRICH_CONNTRACK_H
#define TCPWHY_ENRICH_CONNTRACK_H

#include "enrich/enrich.h"

struct netns_map;

/*
 * Has the kernel conntrack? If not, asking it about entries would make it load the module. To be called
 * in the process' own namespace.
 */
bool conntrack_is_loaded(void);

/* See enrich_ct_dump; in the calling thread, which is moved between the namespaces of m. */
int conntrack_dump_nat(struct netns_map *m, uint32_t netns, enrich_ct_fn fn, void *arg);

#endif
