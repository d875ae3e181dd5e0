/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/btf_trim.h"

#include "base/base.h"

#include <unistd.h>
#include <uthash.h>

struct wanted_name {
	const char *name; /* of the programs' BTF; a flavour's ___suffix cut off */
	UT_hash_handle hh;
	char text[];
};

struct trim {
	const struct btf *from;
	struct btf *to;
	int *ids; /* by old id: the new one, 0 not copied yet */
	uint32_t n;
	struct wanted_name *wanted;
};

static void trim_free(struct trim *t)
{
	struct wanted_name *w, *next;

	HASH_ITER(hh, t->wanted, w, next) {
		HASH_DEL(t->wanted, w);
		free(w);
	}
	btf__free(t->to);
	free(t->ids);
}

static int want(struct trim *t, const char *name)
{
	const char *flavour = strstr(name, "___");
	size_t len = flavour ? (size_t)(flavour - name) : strlen(name);
	struct wanted_name *w;

	if (!len)
		return 0;
	HASH_FIND(hh, t->wanted, name, len, w);
	if (w)
		return 0;
	w = malloc(sizeof(*w) + len + 1);
	if (!w)
		return -ENOMEM;
	memcpy(w->text, name, len);
	w->text[len] = '\0';
	w->name = w->text;
	HASH_ADD_KEYPTR(hh, t->wanted, w->name, len, w);
	return 0;
}

static int want_all(struct trim *t, const struct btf *programs)
{
	for (uint32_t id = 1; id < btf__type_cnt(programs); id++) {
		const struct btf_type *type = btf__type_by_id(programs, id);
		int err = 0;

		if (btf_is_composite(type))
			err = want(t, btf__name_by_offset(programs, type->name_off));
		if (err)
			return err;
	}
	return 0;
}

static bool is_wanted(const struct trim *t, const char *name)
{
	struct wanted_name *w;

	HASH_FIND(hh, t->wanted, name, strlen(name), w);
	return w != NULL;
}

static int copy(struct trim *t, uint32_t id);

/* A struct's size is known before its members' types are: it can be referred to by them. */
static int copy_composite(struct trim *t, uint32_t id, const struct btf_type *type)
{
	const char *name = btf__name_by_offset(t->from, type->name_off);
	uint32_t n = btf_vlen(type);
	_cleanup_free_ int *types = calloc(n + 1, sizeof(*types));
	int new_id, err = 0;

	if (!types)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		types[i] = copy(t, btf_members(type)[i].type);
		if (types[i] < 0)
			return types[i];
	}
	new_id = btf_is_struct(type) ? btf__add_struct(t->to, name, type->size)
				     : btf__add_union(t->to, name, type->size);
	for (uint32_t i = 0; new_id > 0 && !err && i < n; i++)
		err = btf__add_field(t->to,
				     btf__name_by_offset(t->from, btf_members(type)[i].name_off),
				     types[i], btf_member_bit_offset(type, i),
				     btf_member_bitfield_size(type, i));
	if (new_id > 0)
		t->ids[id] = new_id;
	return err ? err : new_id;
}

static int copy_array(struct trim *t, const struct btf_type *type)
{
	const struct btf_array *array = btf_array(type);
	int elem = copy(t, array->type), index = copy(t, array->index_type);

	if (elem < 0 || index < 0)
		return elem < 0 ? elem : index;
	return btf__add_array(t->to, index, elem, array->nelems);
}

/* What an enum's values are called matters to no program here; its size does. */
static int copy_plain(struct trim *t, const struct btf_type *type)
{
	const char *name = btf__name_by_offset(t->from, type->name_off);

	switch (btf_kind(type)) {
	case BTF_KIND_INT:
		return btf__add_int(t->to, name, type->size, btf_int_encoding(type));
	case BTF_KIND_FLOAT:
		return btf__add_float(t->to, name, type->size);
	case BTF_KIND_ENUM:
		return btf__add_enum(t->to, name, type->size);
	case BTF_KIND_ENUM64:
		return btf__add_enum64(t->to, name, type->size, false);
	case BTF_KIND_FWD:
		return btf__add_fwd(t->to, name, btf_kflag(type) ? BTF_FWD_UNION : BTF_FWD_STRUCT);
	default:
		return btf__add_ptr(t->to, 0);
	}
}

/*
 * The new id of an old type, copied if need be; a negative errno. Pointers lead nowhere (void *).
 */
static int copy(struct trim *t, uint32_t id)
{
	const struct btf_type *type = id ? btf__type_by_id(t->from, id) : NULL;
	int new_id;

	if (!type)
		return id ? -EINVAL : 0;
	if (t->ids[id])
		return t->ids[id];
	if (btf_is_composite(type))
		return copy_composite(t, id, type);
	if (btf_is_mod(type) || btf_is_typedef(type) || btf_is_type_tag(type))
		new_id = copy(t, type->type);
	else if (btf_is_array(type))
		new_id = copy_array(t, type);
	else
		new_id = copy_plain(t, type);
	if (new_id > 0)
		t->ids[id] = new_id;
	return new_id;
}

static int write_btf(const struct btf *btf, int fd)
{
	uint32_t size;
	const char *data = btf__raw_data(btf, &size);

	if (!data)
		return -ENOMEM;
	for (uint32_t done = 0; done < size;) {
		ssize_t n = write(fd, data + done, size - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (uint32_t)n : 0;
	}
	return 0;
}

int btf_trim(const struct btf *from, const struct btf *programs, int fd)
{
	struct trim t = {.from = from, .n = btf__type_cnt(from)};
	int err;

	t.to = btf__new_empty();
	t.ids = calloc(t.n, sizeof(*t.ids));
	err = t.to && t.ids ? want_all(&t, programs) : -ENOMEM;
	for (uint32_t id = 1; err >= 0 && id < t.n; id++) {
		const struct btf_type *type = btf__type_by_id(from, id);

		if (btf_is_composite(type) && type->name_off &&
		    is_wanted(&t, btf__name_by_offset(from, type->name_off)))
			err = copy(&t, id);
	}
	if (err >= 0)
		err = write_btf(t.to, fd);
	trim_free(&t);
	return err;
}
