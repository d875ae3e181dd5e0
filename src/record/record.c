/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record/fields.h"

struct kind {
	const char *name;
	const char *words;
	size_t size;
};

static const struct kind kinds[REC_KIND_COUNT] = {
#define KIND(id, name, type, words) [REC_##id] = {name, words, sizeof(struct type)},
	REC_KINDS(KIND)
#undef KIND
};

static const struct kind *kind_find(unsigned kind)
{
	return kind < ARRAY_SIZE(kinds) && kinds[kind].name ? &kinds[kind] : NULL;
}

const char *record_kind_name(unsigned kind)
{
	const struct kind *k = kind_find(kind);

	return k ? k->name : NULL;
}

const char *record_kind_words(unsigned kind)
{
	const struct kind *k = kind_find(kind);

	return k ? k->words : NULL;
}

size_t record_kind_size(unsigned kind)
{
	const struct kind *k = kind_find(kind);

	return k ? k->size : 0;
}

struct rec_hdr record_hdr(enum rec_kind kind)
{
	return (struct rec_hdr){.magic = REC_MAGIC,
				.version = REC_VERSION,
				.kind = (uint16_t)kind,
				.size = (uint32_t)record_kind_size(kind)};
}

/* Whatever the fields' conditions say of them: strings end, counts stay within their arrays. */
static bool fields_are_valid(const struct field *f, const uint8_t *base)
{
	for (; f->type != FIELD_END; f++) {
		switch (f->type) {
		case FIELD_STRING:
			if (!memchr(base + f->offset, '\0', f->size))
				return false;
			break;
		case FIELD_LLADDR:
			if (field_count(f, base) > f->size)
				return false;
			break;
		case FIELD_SYMBOLS:
		case FIELD_ADDRESSES:
		case FIELD_TIMES:
			if (field_count(f, base) > f->size / sizeof(uint64_t))
				return false;
			break;
		case FIELD_GROUP:
			if (!fields_are_valid(f->u.group, base + f->offset))
				return false;
			break;
		default:
			break;
		}
	}
	return true;
}

int record_validate(const void *buf, size_t len)
{
	struct rec_hdr hdr;
	size_t size;

	if (len < sizeof(hdr))
		return -E2BIG;
	memcpy(&hdr, buf, sizeof(hdr)); /* a file's records need not be aligned */
	if (hdr.magic != REC_MAGIC)
		return -EBADMSG;
	if (hdr.version != REC_VERSION)
		return -EPROTONOSUPPORT;
	size = record_kind_size(hdr.kind);
	if (!size || hdr.size != size)
		return -EBADMSG;
	if (len < size)
		return -E2BIG;
	return fields_are_valid(record_fields(hdr.kind), buf) ? 0 : -EBADMSG;
}
