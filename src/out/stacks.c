/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was counted by stack, location, reason or flow: tables for people, and folded stacks. */
#include "abi/config.h"
#include "out/fields_out.h"
#include "record/reason.h"
#include "record/record.h"
#include "sym/labels.h"

#define INDENT 14

/* Lines up to the height of a terminal. */
struct page {
	struct strbuf text;
	size_t lines, height;
	bool cut;
};

/* s is escaped already; false: there is no room any more. */
static bool add_line(struct page *p, const struct strbuf *line)
{
	if (p->height && p->lines >= p->height) {
		p->cut = true;
		return false;
	}
	strbuf_add(&p->text, line->s ? line->s : "");
	strbuf_addc(&p->text, '\n');
	p->lines++;
	return true;
}

static void add_head(const struct out_options *o, const struct out_stacks *s, struct page *p)
{
	double seconds = (double)s->interval_ns / 1e9;
	_cleanup_strbuf_ struct strbuf line = {0};

	if (o->color)
		strbuf_add(&line, BOLD);
	time_text_local(s->wall_ns, false, &line);
	strbuf_addf(&line, "  %s%.1f s, by %s: %llu events, %.0f/s", s->all ? "in all " : "",
		    seconds, stacks_by_name((unsigned)s->by), (unsigned long long)s->seen,
		    seconds > 0 ? (double)s->seen / seconds : 0);
	if (o->color)
		strbuf_add(&line, NORMAL);
	add_line(p, &line);
}

static void row_words(const struct out_stack *row, struct strbuf *out)
{
	const char *words = strcmp(row->kind, "drop") == 0	   ? drop_reason(row->reason)->words
			    : strcmp(row->kind, "reset_sent") == 0 ? reset_reason_words(row->reason)
								   : "";

	strbuf_add(out, row->kind);
	if (row->reason[0])
		strbuf_addf(out, "  %s", row->reason);
	if (words && *words)
		strbuf_addf(out, " (%s)", words);
	if (row->location[0])
		strbuf_addf(out, "  at %s", row->location);
	if (row->flow.proto) {
		strbuf_addf(out, "  %s ", proto_name(row->flow.proto));
		tuple_text(&row->flow, out);
	}
}

static void add_frames(const struct out_stack *row, struct page *p)
{
	for (size_t i = 0; i < row->frames.n; i++) {
		const char *caller = i + 1 < row->frames.n ? row->frames.v[i + 1] : NULL;
		_cleanup_strbuf_ struct strbuf line = {0};

		strbuf_addf(&line, "%*s", INDENT + 2, "");
		frame_text(row->frames.v[i], "", caller, &line);
		if (!add_line(p, &line))
			return;
	}
}

static void add_row(const struct out_stacks *s, const struct out_stack *row, struct page *p)
{
	_cleanup_strbuf_ struct strbuf line = {0}, words = {0};
	const char *label = s->by == BY_LOCATION ? label_of(row->location, NULL) : NULL;

	row_words(row, &words);
	strbuf_addf(&line, "%*llu  ", INDENT - 2, (unsigned long long)row->count);
	escape_text(words.s ? words.s : "", &line);
	if (label)
		strbuf_addf(&line, ": %s", label);
	if (!s->all && row->total != row->count)
		strbuf_addf(&line, "  [%llu in all]", (unsigned long long)row->total);
	if (add_line(p, &line))
		add_frames(row, p);
}

static void add_number(struct page *p, uint64_t n, const char *words)
{
	_cleanup_strbuf_ struct strbuf line = {0};

	strbuf_addf(&line, "%*llu  %s", INDENT - 2, (unsigned long long)n, words);
	if (n)
		add_line(p, &line);
}

void text_stacks(const struct out_options *o, const struct out_stacks *s, size_t height)
{
	struct page p = {.height = height > 4 ? height - 3 : height};

	add_head(o, s, &p);
	for (size_t i = 0; i < s->rows.n && !p.cut; i++)
		add_row(s, &s->rows.v[i], &p);
	p.height = 0;
	if (p.cut)
		strbuf_addf(&p.text, "%*s(the window is full)\n", INDENT, "");
	add_number(&p, s->rest, "in rows that --top leaves out");
	add_number(&p, s->others, "others: no room was left to tell them apart");
	out_write(o, &p.text);
	strbuf_free(&p.text);
}

/* A semicolon or a space within a frame would end it. */
static void add_folded(const char *s, struct strbuf *out)
{
	for (; *s; s++)
		strbuf_addc(out, *s == ';' || (uint8_t)*s <= ' ' || *s == 0x7f ? '_' : *s);
}

void folded_stacks(const struct out_options *o, const struct out_stacks *s)
{
	_cleanup_strbuf_ struct strbuf out = {0};

	for (size_t i = 0; i < s->rows.n; i++) {
		const struct out_stack *row = &s->rows.v[i];

		add_folded(row->kind, &out);
		if (row->reason[0]) {
			strbuf_addc(&out, ';');
			add_folded(row->reason, &out);
		}
		for (size_t f = row->frames.n; f > 0; f--) {
			char name[160];

			str_copy(name, sizeof(name), row->frames.v[f - 1]);
			name[strcspn(name, "+ ")] = '\0';
			strbuf_addc(&out, ';');
			add_folded(name, &out);
		}
		strbuf_addf(&out, " %llu\n", (unsigned long long)row->count);
	}
	if (s->others)
		strbuf_addf(&out, "others %llu\n", (unsigned long long)s->others);
	out_write(o, &out);
}
