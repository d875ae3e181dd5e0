/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/live_private.h"

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
	*names = (struct names){0};
}

#define NAMES_MAX 1024 /* reasons of subsystems (values above 65535) have no name here */

int names_load(const struct btf *btf, const char *type, const char *prefix, struct names *ret)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	const struct btf_type *t;
	const struct btf_enum *e;

	if (id < 0)
		return 0;
	t = btf__type_by_id(btf, (uint32_t)id);
	e = btf_enum(t);
	ret->v = calloc(NAMES_MAX, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	ret->n = NAMES_MAX;
	for (int i = 0; i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(btf, e[i].name_off);
		size_t skip = strlen(prefix);

		if (e[i].val < 0 || e[i].val >= NAMES_MAX || !name || ret->v[e[i].val])
			continue;
		ret->v[e[i].val] = strdup(strncmp(name, prefix, skip) == 0 ? name + skip : name);
		if (!ret->v[e[i].val])
			return -ENOMEM;
	}
	return 0;
}

const char *names_get(const struct names *names, uint32_t n)
{
	return n < names->n && names->v[n] ? names->v[n] : "";
}
