/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's loaded modules, by address. */
#ifndef TCPWHY_ENRICH_MODULES_H
#define TCPWHY_ENRICH_MODULES_H

#include "base/base.h"

struct module {
	uint64_t addr; /* where its code begins */
	uint64_t size; /* of all of it */
	bool foreign;  /* does not belong to the kernel */
	char name[56];
};

struct module_list {
	VEC(struct module) v; /* by address */
};

/* Reads path (NULL: /proc/modules). 0, also where there are no modules; or a negative errno. */
int modules_read(const char *path, struct module_list *ret);
void modules_free(struct module_list *l);
/* The one that the code at addr belongs to; NULL: none, so the kernel itself. */
const struct module *modules_find(const struct module_list *l, uint64_t addr);

#endif
