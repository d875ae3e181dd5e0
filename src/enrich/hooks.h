/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TCPWHY_ENRICH_HOOKS_H
#define TCPWHY_ENRICH_HOOKS_H

#include "enrich/enrich.h"

struct netns_map;

/* See enrich_hooks; in the calling thread, which is moved between the namespaces of m. */
int hooks_dump(struct netns_map *m, uint32_t netns, enrich_hook_fn fn, void *arg);
/* See enrich_hooks_listed; likewise. */
int hooks_listed_dump(struct netns_map *m, uint32_t netns, enrich_hook_fn fn, void *arg);

#endif
