/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record/codec.h"

#define NAME_MAX_LEN 64

struct member {
	const struct field *f;
	uint16_t base; /* of its table's struct in the record */
	char name[NAME_MAX_LEN];
};

typedef VEC(struct member) member_vec;

struct codec {
	member_vec kinds[REC_KIND_COUNT];
	size_t next; /* members mostly come in the order of their table: where the last one was found */
};

/*
 * Adds the members of a table and of those in it. A table may show one member in several ways: the first is
 * taken. seen: where in the record members begin that are there already.
 */
static int members_add(member_vec *members, const struct field *f, uint16_t base,
		       const char *prefix, bool *seen)
{
	int err = 0;

	for (; f->type != FIELD_END && !err; f++) {
		bool group = f->type == FIELD_GROUP || f->type == FIELD_TUPLE;
		uint16_t at = (uint16_t)(base + f->offset);
		char name[NAME_MAX_LEN];
		struct member *m;

		snprintf(name, sizeof(name), "%s%s%s", prefix, f->name ? f->name : "",
			 f->name && group ? "_" : "");
		if (group) {
			err = members_add(members, f->u.group, at, name, seen);
			continue;
		}
		/* The last three are made of other members. */
		if (seen[at] || f->type == FIELD_HOOK || f->type == FIELD_ICMP ||
		    f->type == FIELD_COMMUNITY)
			continue;
		m = vec_push(members);
		if (!m)
			return -ENOMEM;
		seen[at] = true;
		m->f = f;
		m->base = base;
		str_copy(m->name, sizeof(m->name), name);
	}
	return err;
}

int codec_new(struct codec **ret)
{
	struct codec *c = calloc(1, sizeof(*c));
	int err = c ? 0 : -ENOMEM;

	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT && !err; kind++) {
		bool seen[sizeof(union codec_record)] = {false};

		err = members_add(&c->kinds[kind], record_fields(kind), 0, "", seen);
	}
	if (err)
		codec_free(c);
	else
		*ret = c;
	return err;
}

void codec_free(struct codec *c)
{
	if (!c)
		return;
	for (unsigned kind = 0; kind < REC_KIND_COUNT; kind++)
		vec_free(&c->kinds[kind]);
	free(c);
}

int codec_encode(const struct codec *c, const struct rec_hdr *rec, codec_put_fn *put, void *arg)
{
	const member_vec *members = &c->kinds[rec->kind];
	const char *kind = record_kind_name(rec->kind);
	_cleanup_strbuf_ struct strbuf text = {0};

	put(arg, "kind", kind, strlen(kind));
	for (size_t i = 0; i < members->n; i++) {
		const struct member *m = &members->v[i];
		const uint8_t *base = (const uint8_t *)rec + m->base;

		if (field_is_empty(m->f, base))
			continue;
		strbuf_reset(&text);
		value_text(m->f, base, &text);
		if (text.oom)
			return -ENOMEM;
		put(arg, m->name, text.s, text.len);
	}
	return 0;
}

int codec_start(const char *kind, union codec_record *rec)
{
	for (unsigned k = REC_NONE + 1; k < REC_KIND_COUNT; k++) {
		if (strcmp(record_kind_name(k), kind))
			continue;
		memset(rec, 0, sizeof(*rec));
		rec->hdr = record_hdr(k);
		return 0;
	}
	return -ENOENT;
}

int codec_set(struct codec *c, union codec_record *rec, const char *name, const char *value)
{
	const member_vec *members = &c->kinds[rec->hdr.kind];

	for (size_t i = 0; i < members->n; i++) {
		const struct member *m = &members->v[(c->next + i) % members->n];

		if (strcmp(m->name, name))
			continue;
		c->next = (size_t)(m - members->v) + 1;
		return value_parse(m->f, (uint8_t *)rec + m->base, value);
	}
	return -ENOENT;
}
