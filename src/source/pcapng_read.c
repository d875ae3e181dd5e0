/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/pcapng_read.h"
#include "record/pcapng.h"

#include <ctype.h>

struct reading {
	const uint8_t *file;
	size_t size, at; /* at: of the current block */
	bool swapped;	 /* the current section was written with the other byte order */
	struct codec *codec;
	const struct pcapng_sink *sink;
	struct pcapng_stats *stats;
	struct strbuf *why;
};

static uint32_t u32_at(const struct reading *r, size_t at)
{
	uint32_t v;

	memcpy(&v, r->file + at, sizeof(v));
	return r->swapped ? __builtin_bswap32(v) : v;
}

static int damaged(struct reading *r, const char *what)
{
	strbuf_addf(r->why, "%s at byte %zu", what, r->at);
	return -EBADMSG;
}

/* ---- journal entries ------------------------------------------------------------------------- */

struct entry_field {
	char name[64]; /* "" what has a longer name isn't ours */
	char *value;   /* within the entry, terminated */
};

/*
 * The next field of an entry that ends at `end`, where a NUL stands. It writes NULs into it. False: there is
 * none, or it makes no sense.
 */
static bool entry_next(char **at, char *end, struct entry_field *f)
{
	size_t n = strcspn(*at, "=\n");
	char *sep = *at + n, *next;
	uint64_t len = 0;

	if (!n || !*sep)
		return false;
	memcpy(f->name, *at, n < sizeof(f->name) ? n : 0);
	f->name[n < sizeof(f->name) ? n : 0] = '\0';
	f->value = sep + 1;
	if (*sep == '=') {
		next = f->value + strcspn(f->value, "\n");
	} else {
		if (end - f->value < (ptrdiff_t)sizeof(len))
			return false;
		for (unsigned i = 0; i < sizeof(len); i++)
			len |= (uint64_t)(uint8_t)f->value[i] << 8 * i;
		f->value += sizeof(len);
		if (len > (uint64_t)(end - f->value))
			return false;
		next = f->value + len;
	}
	*at = next < end ? next + 1 : end;
	*next = '\0';
	return true;
}

/* The member of a record that a field names; false if it isn't one. */
static bool member_name(const char *field, char *name, size_t size)
{
	const size_t prefix = strlen(RECORDING_PREFIX);
	size_t n = 0;

	if (strncmp(field, RECORDING_PREFIX, prefix))
		return false;
	for (field += prefix; *field && n + 1 < size; field++)
		name[n++] = (char)tolower((unsigned char)*field);
	name[n] = '\0';
	return true;
}

static void bad_record(struct reading *r, const char *what, const char *value)
{
	if (!r->stats->bad++)
		strbuf_addf(r->why, "a record that makes no sense at byte %zu: %s%s%.40s; ", r->at,
			    what, *value ? "=" : "", value);
}

/* The fields that stand behind its type. */
static int take_record(struct reading *r, char *at, char *end)
{
	union codec_record rec = {0};
	const char *run = NULL;
	struct entry_field f;
	char name[64];

	while (entry_next(&at, end, &f)) {
		if (!strcmp(f.name, RECORDING_RUN))
			run = f.value;
		if (!member_name(f.name, name, sizeof(name)))
			continue;
		if (!strcmp(name, "kind")) {
			if (codec_start(f.value, &rec)) {
				r->stats->unknown++;
				return 0;
			}
			continue;
		}
		if (rec.hdr.kind && codec_set(r->codec, &rec, name, f.value) == -EINVAL) {
			bad_record(r, f.name, f.value);
			return 0;
		}
	}
	if (!rec.hdr.kind || record_validate(&rec, sizeof(rec))) {
		bad_record(r, "no kind", "");
		return 0;
	}
	r->stats->records++;
	return r->sink->record(r->sink->arg, &rec.hdr, run);
}

static int take_recording(struct reading *r, char *at, char *end)
{
	struct recording recording = {.host = "", .run = "", .version = ""};
	struct entry_field f;

	while (entry_next(&at, end, &f)) {
		if (!strcmp(f.name, RECORDING_HOST))
			recording.host = f.value;
		else if (!strcmp(f.name, RECORDING_RUN))
			recording.run = f.value;
		else if (!strcmp(f.name, RECORDING_VERSION))
			recording.version = f.value;
	}
	return r->sink->recording(r->sink->arg, &recording);
}

static int take_loss(struct reading *r, char *at, char *end)
{
	struct entry_field f;
	uint64_t ns;

	while (entry_next(&at, end, &f))
		if (!strcmp(f.name, RECORDING_PREFIX "MONO_NS") &&
		    !parse_u64(f.value, 0, UINT64_MAX, &ns))
			return r->sink->loss(r->sink->arg, ns);
	return 0;
}

static int take_journal(struct reading *r, size_t at, size_t len)
{
	_cleanup_free_ char *entry = malloc(len + 1);
	struct entry_field f;
	char *next = entry, *end;

	if (!entry)
		return -ENOMEM;
	memcpy(entry, r->file + at, len);
	end = entry + len;
	*end = '\0';
	while (entry_next(&next, end, &f)) {
		if (strcmp(f.name, RECORDING_TYPE))
			continue;
		r->stats->entries++;
		if (!strcmp(f.value, "record"))
			return take_record(r, next, end);
		if (!strcmp(f.value, "recording"))
			return take_recording(r, next, end);
		if (!strcmp(f.value, "loss"))
			return take_loss(r, next, end);
		return 0;
	}
	return 0;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static int section_start(struct reading *r)
{
	uint32_t order;

	if (r->size - r->at < 16)
		return damaged(r, "the file ends within a block");
	memcpy(&order, r->file + r->at + 8, sizeof(order));
	if (order != PCAPNG_BYTE_ORDER && order != __builtin_bswap32(PCAPNG_BYTE_ORDER))
		return damaged(r, "no byte order is told by the section");
	r->swapped = order != PCAPNG_BYTE_ORDER;
	return 0;
}

/* What else begins like this? */
static const char *foreign(uint32_t magic)
{
	if ((magic & 0xffff) == 0x8b1f || magic >> 16 == 0x1f8b)
		return "this file is compressed; unpack it with gunzip: no pcapng section begins";
	return "this is neither a recording nor a capture (pcapng, pcap): no section begins";
}

static int block_take(struct reading *r)
{
	uint32_t type = 0, total;
	size_t left = r->size - r->at;
	int err = 0;

	if (left >= sizeof(type))
		memcpy(&type, r->file + r->at, sizeof(type));
	if (!r->at && type != PCAPNG_SECTION)
		return damaged(r, foreign(type));
	if (type == PCAPNG_SECTION) /* reads the same in either byte order */
		err = section_start(r);
	if (err)
		return err;
	if (left < 12)
		return damaged(r, "the file ends within a block");
	type = u32_at(r, r->at);
	total = u32_at(r, r->at + 4);
	if (total < 12 || total % 4 || total > PCAPNG_BLOCK_MAX)
		return damaged(r, "a block of an impossible length");
	if (total > left)
		return damaged(r, "the file ends within a block");
	if (u32_at(r, r->at + total - 4) != total)
		return damaged(r, "a block whose two lengths differ");
	if (type == PCAPNG_JOURNAL)
		err = take_journal(r, r->at + 8, total - 12);
	else if (type == PCAPNG_PACKET || type == PCAPNG_SIMPLE_PACKET || type == PCAPNG_OLD_PACKET)
		r->stats->packets++;
	r->at += total;
	return err;
}

int pcapng_read(struct codec *codec, const void *file, size_t size, const struct pcapng_sink *sink,
		struct pcapng_stats *stats, struct strbuf *why)
{
	struct reading r = {.file = file,
			    .size = size,
			    .codec = codec,
			    .sink = sink,
			    .stats = stats,
			    .why = why};
	int err = 0;

	*stats = (struct pcapng_stats){0};
	if (!err && !size)
		err = damaged(&r, "the file is empty");
	while (!err && r.at < r.size)
		err = block_take(&r);
	return err;
}
