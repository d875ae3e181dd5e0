/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON lines: one object a line, flushed as soon as it is complete. docs/json.md describes them. */
#include "out/fields_out.h"

#include <jansson.h>

/* Jansson's functions take NULL for a value that could not be made, and leave it out. */

static json_t *string_json(const char *s)
{
	_cleanup_strbuf_ struct strbuf clean = {0};

	escape_json(s, &clean);
	return json_stringn(clean.s ? clean.s : "", clean.len);
}

/* JSON knows no integers, jansson none above 2^63 - 1; only a hostile recording has them. */
static json_t *uint_json(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static void object_fill(json_t *object, const struct field *f, const void *base,
			const struct out_symbols *syms);

static json_t *table_json(const struct field *table, const void *base,
			  const struct out_symbols *syms)
{
	json_t *object = json_object();

	object_fill(object, table, base, syms);
	return object;
}

static json_t *addresses_json(const struct field *f, const void *base,
			      const struct out_symbols *syms)
{
	const uint64_t *addr = field_at(f, base);
	json_t *array = json_array();

	for (size_t i = 0; i < field_count(f, base) && i < f->size / sizeof(*addr); i++) {
		_cleanup_strbuf_ struct strbuf text = {0};

		symbol_text(f->type == FIELD_SYMBOLS ? syms : NULL, addr[i], &text);
		json_array_append_new(array, string_json(text.s ? text.s : ""));
	}
	return array;
}

static json_t *times_json(const struct field *f, const void *base)
{
	const uint64_t *ns = field_at(f, base);
	json_t *array = json_array();

	for (size_t i = 0; i < field_count(f, base) && i < f->size / sizeof(*ns); i++)
		json_array_append_new(array, uint_json(ns[i]));
	return array;
}

static json_t *lines_json(const struct field *f, const void *base)
{
	struct out_vec vec = field_vec(f, base);
	char *const *lines = vec.v;
	json_t *array = json_array();

	for (size_t i = 0; i < vec.n; i++)
		json_array_append_new(array, string_json(lines[i]));
	return array;
}

static json_t *list_json(const struct field *f, const void *base, const struct out_symbols *syms)
{
	struct out_vec vec = field_vec(f, base);
	json_t *array = json_array();

	for (size_t i = 0; i < vec.n; i++)
		json_array_append_new(array,
				      table_json(f->u.items.table,
						 (const char *)vec.v + i * f->u.items.size, syms));
	return array;
}

/* The same by source lines, as in a verdict; NULL: none is known. */
static json_t *sources_json(const struct field *f, const void *base, const struct out_symbols *syms)
{
	const uint64_t *addr = field_at(f, base);
	const struct field *list = verdict_fields;
	struct verdict v = {0}; /* only for its list */
	bool known = false;
	json_t *array;

	if (!syms || !syms->find)
		return NULL;
	for (size_t i = 0; i < field_count(f, base) && i < f->size / sizeof(*addr); i++) {
		const struct rec_symbol *s = syms->find(syms->arg, addr[i]);
		_cleanup_strbuf_ struct strbuf frame = {0};

		symbol_text(syms, addr[i], &frame);
		verdict_source(&v, frame.s ? frame.s : "", s ? s->source : "");
		known = known || (s && s->source[0]);
	}
	while (list->offset != offsetof(struct verdict, source))
		list++;
	array = known ? list_json(list, &v, NULL) : NULL;
	verdict_free(&v);
	return array;
}

static json_t *map_json(const struct field *f, const void *base, const struct out_symbols *syms)
{
	struct out_vec vec = field_vec(f, base);
	json_t *object = json_object();

	for (size_t i = 0; i < vec.n; i++) {
		const void *item = (const char *)vec.v + i * f->u.items.size;

		json_object_set_new(object, field_string(f->u.items.table, item),
				    table_json(f->u.items.table + 1, item, syms));
	}
	return object;
}

static json_t *field_json(const struct field *f, const void *base, const struct out_symbols *syms)
{
	_cleanup_strbuf_ struct strbuf text = {0};

	switch (f->type) {
	case FIELD_UINT:
	case FIELD_NS:
		return uint_json(field_uint(f, base));
	case FIELD_INT:
		return json_integer((json_int_t)field_uint(f, base));
	case FIELD_BOOL:
		return json_boolean(field_uint(f, base));
	case FIELD_SYMBOLS:
	case FIELD_ADDRESSES:
		return addresses_json(f, base, syms);
	case FIELD_TIMES:
		return times_json(f, base);
	case FIELD_TUPLE:
	case FIELD_GROUP:
		return table_json(f->u.group, field_at(f, base), syms);
	case FIELD_LINES:
		return lines_json(f, base);
	case FIELD_LIST:
		return list_json(f, base, syms);
	case FIELD_MAP:
		return map_json(f, base, syms);
	default:
		field_text(f, base, syms, &text);
		return string_json(text.s ? text.s : "");
	}
}

static void object_fill(json_t *object, const struct field *f, const void *base,
			const struct out_symbols *syms)
{
	for (; f->type != FIELD_END; f++) {
		if (!field_present(f, base))
			continue;
		if (f->type == FIELD_SYMBOLS && f->name && !strcmp(f->name, "kernel_stack"))
			json_object_set_new(object, "kernel_source", sources_json(f, base, syms));
		if (f->name)
			json_object_set_new(object, f->name, field_json(f, base, syms));
		else if (f->type == FIELD_GROUP || f->type == FIELD_TUPLE)
			object_fill(object, f->u.group, field_at(f, base), syms);
	}
}

/*
 * Writes the object, and frees it. ASCII only: a terminal must not see the control characters
 * U+0080 to U+009F, which JSON would let pass.
 */
static void line_write(const struct out_options *o, json_t *object)
{
	_cleanup_free_ char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);

	json_decref(object);
	if (!text)
		return;
	fputs(text, o->to);
	fputc('\n', o->to);
	fflush(o->to);
}

static json_t *line_start(const char *type)
{
	json_t *object = json_object();

	json_object_set_new(object, "type", json_string(type));
	return object;
}

void jsonl_verdict(const struct out_options *o, const struct verdict *v)
{
	json_t *line = line_start("verdict");

	object_fill(line, verdict_fields, v, NULL);
	line_write(o, line);
}

void jsonl_connect_end(const struct out_options *o, const struct verdict *v, const struct ledger *l)
{
	json_t *line = line_start("connect_end");

	json_object_set_new(line, "verdict", uint_json(v->id));
	json_object_set_new(line, "cause", string_json(v->cause ? v->cause : ""));
	json_object_set_new(line, "connect", table_json(ledger_fields, l, NULL));
	line_write(o, line);
}

void jsonl_repeat(const struct out_options *o, const struct verdict *v, uint64_t count,
		  uint64_t total)
{
	json_t *line = line_start("repeat");

	json_object_set_new(line, "verdict", uint_json(v->id));
	json_object_set_new(line, "cause", string_json(v->cause ? v->cause : ""));
	json_object_set_new(line, "count", uint_json(count));
	json_object_set_new(line, "total", uint_json(total));
	line_write(o, line);
}

void jsonl_record(const struct out_options *o, const struct rec_hdr *r,
		  const struct out_symbols *syms)
{
	const struct field *fields = record_fields(r->kind);
	json_t *line;

	if (!fields)
		return;
	line = line_start("record");
	json_object_set_new(line, "kind", json_string(record_kind_name(r->kind)));
	object_fill(line, fields, r, syms);
	line_write(o, line);
}

void jsonl_joined(const struct out_options *o, const struct out_joined *joined)
{
	json_t *line = line_start("joined");

	object_fill(line, joined_fields, joined, NULL);
	line_write(o, line);
}

void jsonl_stacks(const struct out_options *o, const struct out_stacks *s)
{
	json_t *line = line_start("stacks");

	object_fill(line, stacks_fields, s, NULL);
	line_write(o, line);
}

void jsonl_summary(const struct out_options *o, const struct out_summary *s)
{
	json_t *line = line_start("summary");

	object_fill(line, summary_fields, s, NULL);
	line_write(o, line);
}

void jsonl_connects(const struct out_options *o, const struct out_connects *c)
{
	struct out_connects own = *c;
	json_t *line = line_start("connects");

	connects_steps(&own);
	object_fill(line, connects_fields, &own, NULL);
	vec_free(&own.latency);
	line_write(o, line);
}
