/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/functions.h"

#include <unistd.h>

struct function_def {
	const char *name;
	const char *module;
	const char *args[FN_ARGS];
};

static const struct function_def defs[FN_COUNT] = {
#define FUNCTION_DEF(id, name, module, a, b, c) [FN_##id] = {#name, module, {a, b, c}},
	KERNEL_FUNCTIONS(FUNCTION_DEF)
#undef FUNCTION_DEF
};

int function_number(const char *name)
{
	for (int i = 0; i < FN_COUNT; i++)
		if (strcmp(defs[i].name, name) == 0)
			return i;
	return -1;
}

/* An argument as KERNEL_FUNCTIONS describes it: "?sk_rst_reason:0", "@hook:3". */
struct wanted_arg {
	bool optional;
	bool by_name;
	const char *text;
	size_t len;
	uint8_t place; /* where no BTF describes the function */
};

static struct wanted_arg parse_arg(const char *spec)
{
	struct wanted_arg w = {0};

	w.optional = *spec == '?';
	spec += w.optional;
	w.by_name = *spec == '@';
	spec += w.by_name;
	w.text = spec;
	w.len = strcspn(spec, ":");
	w.place = spec[w.len] ? (uint8_t)(spec[w.len + 1] - '0') : 0;
	return w;
}

static bool arg_fits(const struct btf *btf, const struct btf_param *param,
		     const struct wanted_arg *w)
{
	const char *name = btf__name_by_offset(btf, param->name_off);
	const struct btf_type *t;
	uint32_t id = param->type;

	if (w->by_name)
		return strncmp(name, w->text, w->len) == 0;
	for (t = btf__type_by_id(btf, id);
	     t && (btf_is_mod(t) || btf_is_ptr(t) || btf_is_typedef(t));
	     t = btf__type_by_id(btf, id))
		id = t->type;
	name = t ? btf__name_by_offset(btf, t->name_off) : NULL;
	return name && strlen(name) == w->len && strncmp(name, w->text, w->len) == 0;
}

static uint8_t find_arg(const struct btf *btf, const struct btf_type *proto,
			const struct wanted_arg *w)
{
	const struct btf_param *params = btf_params(proto);

	for (unsigned i = 0; i < btf_vlen(proto); i++)
		if (arg_fits(btf, &params[i], w))
			return (uint8_t)(i + 1);
	return 0;
}

static void places_by_btf(const struct btf *btf, const struct btf_type *func, int number,
			  struct function *f)
{
	const struct btf_type *proto = btf__type_by_id(btf, func->type);

	for (size_t i = 0; i < FN_ARGS; i++) {
		struct wanted_arg w = parse_arg(defs[number].args[i]);

		if (!w.len)
			continue;
		f->places.arg[i] = find_arg(btf, proto, &w);
		if (f->places.arg[i] || w.optional)
			continue;
		snprintf(f->why, sizeof(f->why), "%s has no argument %.*s here", defs[number].name,
			 (int)w.len, w.text);
		return;
	}
	f->places.ret = (uint8_t)(btf_vlen(proto) + 1);
	f->found = true;
}

static void look_in(const struct btf *btf, uint32_t first, const char *module,
		    struct function functions[FN_COUNT])
{
	for (uint32_t id = first; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *name;
		int number;

		if (!btf_is_func(t))
			continue;
		name = btf__name_by_offset(btf, t->name_off);
		number = function_number(name);
		if (number >= 0 && !functions[number].found &&
		    (!*module || strcmp(defs[number].module, module) == 0))
			places_by_btf(btf, t, number, &functions[number]);
	}
}

/*
 * Kernels before 5.11 have no BTF for modules, and these places. Later a module without BTF may have any.
 */
static bool modules_can_have_btf(const struct btf *vmlinux)
{
	return btf__find_by_name_kind(vmlinux, "btf_module", BTF_KIND_STRUCT) > 0;
}

static void places_by_table(int number, struct function *f)
{
	for (size_t i = 0; i < FN_ARGS; i++)
		f->places.arg[i] = parse_arg(defs[number].args[i]).place;
	f->found = true;
}

static bool module_is_loaded(const char *module)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return access(path, F_OK) == 0;
}

static void look_in_module(struct btf *vmlinux, int number, struct function functions[FN_COUNT])
{
	const char *module = defs[number].module;
	struct function *f = &functions[number];
	struct btf *btf;

	if (!module_is_loaded(module)) {
		snprintf(f->why, sizeof(f->why), "the module %s is not loaded", module);
		return;
	}
	btf = btf__load_module_btf(module, vmlinux);
	if (btf)
		look_in(btf, btf__type_cnt(vmlinux), module, functions);
	else if (!modules_can_have_btf(vmlinux))
		places_by_table(number, f);
	else
		snprintf(f->why, sizeof(f->why), "the module %s carries no BTF", module);
	btf__free(btf);
}

void functions_find(struct btf *vmlinux, struct function functions[FN_COUNT])
{
	look_in(vmlinux, 1, "", functions);
	for (int i = 0; i < FN_COUNT; i++) {
		struct function *f = &functions[i];

		if (!f->found && *defs[i].module)
			look_in_module(vmlinux, i, functions);
		if (!f->found && !*f->why)
			snprintf(f->why, sizeof(f->why), "this kernel has no %s", defs[i].name);
	}
}

void functions_locate(struct function functions[FN_COUNT], const struct ksyms *k)
{
	const char *names[FN_COUNT];
	uint64_t addrs[FN_COUNT];

	for (int i = 0; i < FN_COUNT; i++)
		names[i] = defs[i].name;
	ksyms_locate(k, names, FN_COUNT, addrs);
	for (int i = 0; i < FN_COUNT; i++)
		functions[i].addr = addrs[i];
}
