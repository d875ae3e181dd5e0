/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A record as a list of named texts and back, by the field tables: names such as "packet_seq", which
 * later versions of the structs keep. Members that are zero are left out.
 */
#ifndef TCPWHY_CODEC_H
#define TCPWHY_CODEC_H

#include "record/fields.h"

struct codec;

int codec_new(struct codec **ret);
void codec_free(struct codec *c);

/* value: len bytes and a NUL; a string's may hold any bytes but NUL. Valid during the call. */
typedef void codec_put_fn(void *arg, const char *name, const char *value, size_t len);
/* Puts "kind" first. 0, or -ENOMEM. */
int codec_encode(const struct codec *c, const struct rec_hdr *rec, codec_put_fn *put, void *arg);

union codec_record {
	struct rec_hdr hdr;
	struct rec_event event;
	struct rec_captured captured; /* the largest */
};

/* An empty record of the kind of that name; -ENOENT if there is none. */
int codec_start(const char *kind, union codec_record *rec);
/*
 * Sets one member of rec. -ENOENT: its kind has none of that name (a newer version's, say); -EINVAL:
 * not a value of it. What is longer than this version has room for is cut.
 */
int codec_set(struct codec *c, union codec_record *rec, const char *name, const char *value);

/* codec_value.c: the value of one member as text, and back: 0 or -EINVAL. */
void value_text(const struct field *f, const void *base, struct strbuf *out);
int value_parse(const struct field *f, void *base, const char *text);

#endif
