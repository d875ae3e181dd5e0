/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the outputs share: the tables of what isn't a record, values as text, and making strange
 * strings harmless.
 */
#ifndef TCPWHY_FIELDS_OUT_H
#define TCPWHY_FIELDS_OUT_H

#include "out/out.h"
#include "record/fields.h"

#define FRAME_COLUMNS 34  /* of a function, before what it does */
#define SOURCE_COLUMNS 56 /* the same, of one with its line */
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define NORMAL "\033[0m"

extern const struct field verdict_fields[]; /* of struct verdict */
extern const struct field ledger_fields[];  /* of struct ledger */
extern const struct field summary_fields[];
extern const struct field connects_fields[];
extern const struct field joined_fields[];
extern const struct field stacks_fields[]; /* of struct out_stacks */
const char *stacks_by_name(unsigned by);   /* "stack" */
/* Fills c->latency, which the caller frees. */
void connects_steps(struct out_connects *c); /* of struct out_summary */

/* VEC of anything. */
struct out_vec {
	const void *v;
	size_t n;
	size_t cap;
};
struct out_vec field_vec(const struct field *f, const void *base);

/* The string of a FIELD_STRING or FIELD_CSTR, never NULL. Raw: it may hold any bytes. */
const char *field_string(const struct field *f, const void *base);
/* Appends a value that is neither a table nor a list. Raw, as above. syms may be NULL. */
void field_text(const struct field *f, const void *base, const struct out_symbols *syms,
		struct strbuf *out);
/* "tcp_v4_rcv+0x596", "nf_hook_slow+0x3 [module]", or the address. */
void symbol_text(const struct out_symbols *syms, uint64_t addr, struct strbuf *out);

/*
 * A frame for a terminal, with what its function does in a column of its own. source: its lines, "" if none
 * is known; caller: the next outer frame, or NULL.
 */
void frame_text(const char *frame, const char *source, const char *caller, struct strbuf *out);

/* A record as one line, for a terminal. */
void record_words(const struct rec_hdr *r, const struct out_symbols *syms, struct strbuf *out);

/* The lines of a ledger, for a terminal; raw, as above. */
void ledger_each_line(const struct ledger *l, void (*line)(void *arg, const char *text), void *arg);

/* "2026-11-21T14:03:04.113000000Z" */
void time_text_utc(uint64_t wall_ns, struct strbuf *out);
/* "14:03:04.113", or "14:03:04" without milliseconds, of the local time zone. */
void time_text_local(uint64_t wall_ns, bool milliseconds, struct strbuf *out);

/* For a terminal: what could steer it, and what is no UTF-8, reads as \x1b or \u202e. */
void escape_text(const char *s, struct strbuf *out);
/* For JSON: what is no UTF-8 becomes U+FFFD. */
void escape_json(const char *s, struct strbuf *out);

/*
 * Writes at once, so that lines of programs on the same terminal don't mix. Errors stay with the
 * stream.
 */
void out_write(const struct out_options *o, const struct strbuf *text);

#endif
