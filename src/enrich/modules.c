/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/modules.h"

static int module_compare(const void *a, const void *b)
{
	const struct module *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* kernel/module/procfs.c, m_show: "name 16384 2 users,- Live 0xffffffffc0000000 (OE)" */
static void line_take(const char *line, struct module_list *l)
{
	struct module mod = {0}, *slot;
	unsigned long long size, addr;
	int end = 0;

	if (sscanf(line, "%55s %llu %*s %*s %*s %llx%n", mod.name, &size, &addr, &end) != 3 ||
	    !addr)
		return;
	mod.size = size;
	mod.addr = addr;
	/* kernel/panic.c, taint_flags: out of tree */
	mod.foreign = strchr(line + end, 'O') != NULL;
	slot = vec_push(&l->v);
	if (slot)
		*slot = mod;
}

int modules_read(const char *path, struct module_list *ret)
{
	FILE *file = fopen(path ? path : "/proc/modules", "re");
	char *line = NULL;
	size_t cap = 0;

	*ret = (struct module_list){0};
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	while (getline(&line, &cap, file) > 0)
		line_take(line, ret);
	free(line);
	fclose(file);
	if (ret->v.n)
		qsort(ret->v.v, ret->v.n, sizeof(*ret->v.v), module_compare);
	return 0;
}

void modules_free(struct module_list *l)
{
	vec_free(&l->v);
}

/*
 * Since 6.4 a module's code and data are apart (commit ac3b43283923) and size counts all of it, so that
 * it may reach beyond the code of the next: the nearest that begins before addr is the one.
 */
const struct module *modules_find(const struct module_list *l, uint64_t addr)
{
	const struct module *best = NULL;

	for (size_t i = 0; i < l->v.n && l->v.v[i].addr <= addr; i++)
		best = &l->v.v[i];
	return best && addr - best->addr < best->size ? best : NULL;
}
