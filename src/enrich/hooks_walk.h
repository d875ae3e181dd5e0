/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The walk along one namespace's netfilter hooks, in memory that may change meanwhile: nothing is
 * locked, so everything is checked, and what has changed under the walk is read again.
 */
#ifndef TCPWHY_ENRICH_HOOKS_WALK_H
#define TCPWHY_ENRICH_HOOKS_WALK_H

#include "abi/record.h"
#include "enrich/hooks_layout.h"

/* Hooks at one point, net/netfilter/core.c MAX_HOOK_COUNT. */
#define HOOKS_MAX 1024

struct hooks_memory {
	int (*read)(void *arg, uint64_t addr, void *buf, size_t len); /* 0 or a negative errno */
	void *arg;
	struct hooks_layout layout;
};

/* rec is without header, names of functions and modules; makers are known as far as structs tell. */
typedef void (*hooks_fn)(void *arg, struct rec_hook *rec);

/*
 * Calls fn for each hook of the struct net at address net, in call order at each point; those of
 * family (NFPROTO_*, 0 all; inet is ipv4, ipv6 and the inet ingress) at hook (its number in that
 * family, NF_HOOK_ANY all). How many points
 * could not be read, or the error of reading struct net itself.
 */
int hooks_walk(const struct hooks_memory *m, uint64_t net, uint8_t family, uint8_t hook,
	       hooks_fn fn, void *arg);

/* ---- between hooks_walk.c and hooks_maker.c -------------------------------------------------- */

/* A pointer to data of the kernel, as far as that can be seen. */
static inline bool kernel_pointer(uint64_t p)
{
	return (int64_t)p < 0 && p % 8 == 0;
}

/* Members first to last of the struct at addr, read at once. */
struct hooks_view {
	const struct hooks_memory *m;
	uint8_t data[4096];
};

int hooks_view(const struct hooks_memory *m, uint64_t addr, enum hooks_member first,
	       enum hooks_member last, struct hooks_view *ret);
static inline uint64_t view_get(const struct hooks_view *v, enum hooks_member id)
{
	const struct kmem_member *m = &v->m->layout.at[id];

	return m->found ? kmem_value(m, v->data) : 0;
}

/* A string of the kernel, cut to size: its length, or a negative errno; -EINVAL if it is empty. */
int hooks_string(const struct hooks_memory *m, uint64_t addr, char *ret, size_t size);

/* Fills maker and what belongs to it. ops_type: see enum nf_hook_ops_type, 0 unknown. */
void hooks_maker(const struct hooks_memory *m, uint64_t ops_type, struct rec_hook *rec);

#endif
