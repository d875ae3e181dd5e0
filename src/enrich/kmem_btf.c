/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the members of the kernel's structs are: its BTF, searched once for many of them. */
#include "enrich/kmem.h"

#include <bpf/btf.h>

static const struct btf_type *bare_type(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t)))
		t = btf__type_by_id(btf, t->type);
	return t;
}

static void member_take(const struct btf *btf, const struct btf_member *f, uint32_t bits,
			uint32_t bit_field, struct kmem_member *m)
{
	const struct btf_type *t = bare_type(btf, f->type);
	int64_t size = btf__resolve_size(btf, f->type);

	m->found = size >= 0;
	m->at = bits / 8;
	m->shift = (uint8_t)(bits % 8);
	m->bits = (uint8_t)bit_field;
	m->size = bit_field ? (m->shift + bit_field + 7) / 8 : (uint32_t)size;
	m->count = t && btf_is_array(t) ? btf_array(t)->nelems : 0;
}

/*
 * The member that path leads to, in a struct that begins `bits` into the asked one. What has no name
 * of its own lends its members. False if there is none.
 */
static bool member_find(const struct btf *btf, const struct btf_type *t, const char *path,
			uint32_t bits, struct kmem_member *m)
{
	size_t len = strcspn(path, ".");

	for (uint16_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *f = &btf_members(t)[i];
		const char *name = btf__name_by_offset(btf, f->name_off);
		uint32_t at = bits + btf_member_bit_offset(t, i);
		bool unnamed = !*name, named = strlen(name) == len && !strncmp(name, path, len);
		const struct btf_type *inner;

		if (named && !path[len]) {
			member_take(btf, f, at, btf_member_bitfield_size(t, i), m);
			return m->found;
		}
		if (!unnamed && !named)
			continue;
		inner = bare_type(btf, f->type);
		if (inner && btf_is_composite(inner) &&
		    member_find(btf, inner, unnamed ? path : path + len + 1, at, m))
			return true;
	}
	return false;
}

static void value_find(const struct btf *btf, const struct btf_type *t, struct kmem_member *m)
{
	const struct btf_enum *e = btf_enum(t);

	for (uint16_t i = 0; i < btf_vlen(t); i++) {
		if (strcmp(btf__name_by_offset(btf, e[i].name_off), m->member) != 0)
			continue;
		m->found = true;
		m->at = (uint32_t)e[i].val;
	}
}

static void type_look(const struct btf *btf, const struct btf_type *t, struct kmem_member *m)
{
	if (btf_is_enum(t) && m->member) {
		value_find(btf, t, m);
	} else if (btf_is_composite(t) && !m->member) {
		m->found = true;
		m->size = t->size;
	} else if (btf_is_composite(t)) {
		member_find(btf, t, m->member, 0, m);
	}
}

/* module: whose BTF this is, NULL the kernel's own. */
static void types_look(const struct btf *btf, uint32_t first, const char *module,
		       struct kmem_member *v, size_t n)
{
	for (uint32_t id = first; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *name;

		if (!btf_is_composite(t) && !btf_is_enum(t))
			continue;
		name = btf__name_by_offset(btf, t->name_off);
		for (size_t i = 0; *name && i < n; i++) {
			struct kmem_member *m = &v[i];
			bool meant = !module || (m->module && !strcmp(m->module, module));

			if (!m->found && meant && !strcmp(m->type, name))
				type_look(btf, t, m);
		}
	}
}

static bool module_has_btf(const char *module)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/kernel/btf/%s", module);
	return access(path, R_OK) == 0;
}

static void module_look(struct btf *kernel, const char *module, struct kmem_member *v, size_t n)
{
	struct btf *btf = module_has_btf(module) ? btf__load_module_btf(module, kernel) : NULL;

	if (!btf)
		return;
	types_look(btf, btf__type_cnt(kernel), module, v, n);
	btf__free(btf);
}

int kmem_find(struct kmem_member *v, size_t n)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	const char *last = NULL;

	if (!kernel)
		return -ENODATA;
	types_look(kernel, 1, NULL, v, n);
	for (size_t i = 0; i < n; i++) {
		const char *module = v[i].module;

		if (v[i].found || !module || (last && !strcmp(last, module)))
			continue;
		module_look(kernel, module, v, n);
		last = module;
	}
	btf__free(kernel);
	return 0;
}

uint64_t kmem_value(const struct kmem_member *m, const void *base)
{
	uint64_t v = 0;

	memcpy(&v, (const char *)base + m->at, m->size < sizeof(v) ? m->size : sizeof(v));
	if (m->bits)
		v = v >> m->shift & ((1ull << m->bits) - 1);
	return v;
}
