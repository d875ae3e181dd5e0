/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verdicts and records as text for people. Whatever comes from outside passes escape_text() on its
 * way.
 */
#include "out/fields_out.h"
#include "record/source_text.h"

#include <netinet/in.h>

#define COLUMN 12 /* where a verdict's text begins, right of the labels */
#define HANG 2

/* ---- words and paragraphs -------------------------------------------------------------------- */

static void add_painted(const struct out_options *o, const char *color, const char *s,
			struct strbuf *out)
{
	if (o->color)
		strbuf_add(out, color);
	escape_text(s, out);
	if (o->color)
		strbuf_add(out, NORMAL);
}

static void add_spaces(size_t n, struct strbuf *out)
{
	strbuf_addf(out, "%*s", (int)n, "");
}

/* Columns, not bytes: the bytes that continue a UTF-8 sequence take none. */
static size_t columns(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((uint8_t)s[i] & 0xc0) != 0x80;
	return n;
}

/* Wraps s; the line is at column `indent` already, the next ones begin at `hang`. Ends the line. */
static void add_paragraph(const struct out_options *o, const char *s, size_t indent, size_t hang,
			  struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf clean = {0};
	size_t width = o->width > 0 ? (size_t)o->width : 100, at = indent;
	bool first = true;

	escape_text(s, &clean);
	for (const char *word = clean.s ? clean.s : ""; *word;) {
		size_t len = strcspn(word, " "), wide = columns(word, len);

		if (len && !first && at + 1 + wide > width) {
			strbuf_addc(out, '\n');
			add_spaces(hang, out);
			at = hang;
		} else if (len && !first) {
			strbuf_addc(out, ' ');
			at++;
		}
		strbuf_addn(out, word, len);
		at += wide;
		first = first && !len;
		word += len + strspn(word + len, " ");
	}
	strbuf_addc(out, '\n');
}

static void flow_add(const struct rec_tuple *t, struct strbuf *out)
{
	if (addr_is_any(t->src) && addr_is_any(t->dst))
		return;
	strbuf_add(out, "  ");
	if (t->proto && t->proto != IPPROTO_TCP && proto_name(t->proto) != name_unknown)
		strbuf_addf(out, "%s ", proto_name(t->proto));
	else if (t->proto && t->proto != IPPROTO_TCP)
		strbuf_addf(out, "protocol %u ", t->proto);
	tuple_text(t, out);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void verdict_head(const struct out_options *o, const struct verdict *v, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf head = {0};

	time_text_local(v->wall_ns, true, &head);
	strbuf_addf(&head, "  %s", v->event ? v->event : "");
	flow_add(&v->flow, &head);
	if (v->ifname[0])
		strbuf_addf(&head, "  %s", v->ifname);
	if (v->netns_name[0])
		strbuf_addf(&head, "  netns %s", v->netns_name);
	else if (v->netns)
		strbuf_addf(&head, "  netns %u", v->netns);
	if (v->host[0])
		strbuf_addf(&head, "  on %s", v->host);
	add_painted(o, BOLD, head.s, out);
	strbuf_addc(out, '\n');
}

static void add_label(const struct out_options *o, const char *label, struct strbuf *out)
{
	size_t len = strlen(label), room = COLUMN - 2;

	strbuf_add(out, "  ");
	if (*label)
		add_painted(o, DIM, label, out);
	add_spaces(len < room ? room - len : 1, out);
}

static void verdict_cause(const struct out_options *o, const struct verdict *v, const char *label,
			  struct strbuf *out)
{
	static const char *const colors[] = {
		[CERTAINTY_UNKNOWN] = DIM, [CERTAINTY_LIKELY] = YELLOW, [CERTAINTY_CERTAIN] = RED};
	_cleanup_strbuf_ struct strbuf cause = {0};

	strbuf_addf(&cause, "%s (%s)", v->cause ? v->cause : "", certainty_name(v->certainty));
	add_label(o, label, out);
	add_painted(o, (size_t)v->certainty < ARRAY_SIZE(colors) ? colors[v->certainty] : DIM,
		    cause.s, out);
	strbuf_addc(out, '\n');
	if (!v->explanation || !*v->explanation)
		return;
	add_spaces(COLUMN, out);
	add_paragraph(o, v->explanation, COLUMN, COLUMN, out);
}

static void verdict_lines(const struct out_options *o, const struct field *f,
			  const struct verdict *v, struct strbuf *out)
{
	struct out_vec vec = field_vec(f, v);
	char *const *lines = vec.v;

	for (size_t i = 0; i < vec.n; i++) {
		add_label(o, i ? "" : f->label, out);
		add_paragraph(o, lines[i], COLUMN, COLUMN + HANG, out);
	}
}

static void verdict_path(const struct out_options *o, const char *label, const struct verdict *v,
			 struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf path = {0};

	for (size_t i = 0; i < v->path.n; i++)
		strbuf_addf(&path, "%s%s", i ? " -> " : "", v->path.v[i]);
	add_label(o, label, out);
	add_paragraph(o, path.s ? path.s : "", COLUMN, COLUMN + HANG, out);
}

static void source_text(const struct verdict_source *s, struct strbuf *out)
{
	if (s->function)
		strbuf_addf(out, "%s:%u", s->file, s->line);
}

static void add_inlined(const struct verdict_source *s, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf line = {0};

	strbuf_addf(&line, "%s (inlined) ", s->function);
	source_text(s, &line);
	escape_text(line.s ? line.s : "", out);
	strbuf_addc(out, '\n');
}

/* Each frame with its line and with what its function does; functions that are inlined there stand above it. */
static void verdict_frames(const struct out_options *o, const char *label, const struct verdict *v,
			   struct strbuf *out)
{
	size_t at = 0; /* in v->source */

	for (size_t i = 0; i < v->stack.n; i++) {
		const char *caller = i + 1 < v->stack.n ? v->stack.v[i + 1] : NULL;
		_cleanup_strbuf_ struct strbuf source = {0};

		for (; at < v->source.n && v->source.v[at].inlined; at++) {
			add_label(o, label, out);
			add_inlined(&v->source.v[at], out);
			label = "";
		}
		if (at < v->source.n)
			source_text(&v->source.v[at++], &source);
		add_label(o, label, out);
		frame_text(v->stack.v[i], source.s ? source.s : "", caller, out);
		strbuf_addc(out, '\n');
		label = "";
	}
}

struct lines_out {
	const struct out_options *o;
	const char *label; /* of the next line */
	struct strbuf *out;
};

static void ledger_line(void *arg, const char *text)
{
	struct lines_out *to = arg;

	add_label(to->o, to->label, to->out);
	add_paragraph(to->o, text, COLUMN, COLUMN + HANG, to->out);
	to->label = "";
}

/* Its other arguments may be secrets. */
static void verdict_process(const struct out_options *o, const char *label, const struct verdict *v,
			    struct strbuf *out)
{
	const struct rec_process *p = &v->process;
	_cleanup_strbuf_ struct strbuf line = {0};

	strbuf_addf(&line, "pid %u %s", p->pid, p->comm);
	if (*p->program)
		strbuf_addf(&line, ", started as %s", p->program);
	if (*p->program && p->args)
		strbuf_addf(&line, " with %u argument%s", p->args, p->args > 1 ? "s" : "");
	if (*p->container)
		strbuf_addf(&line, ", in %s", p->container);
	add_label(o, label, out);
	add_paragraph(o, line.s ? line.s : "", COLUMN, COLUMN + HANG, out);
}

/* Of whose call it was: shown with --stacks only. */
static bool verdict_caller(const struct out_options *o, const struct field *f,
			   const struct verdict *v, struct strbuf *out)
{
	bool process = f->offset == offsetof(struct verdict, process);
	bool frames = f->offset == offsetof(struct verdict, user_stack);
	bool end = f->offset == offsetof(struct verdict, user_stack_end);

	if (!o->stacks || !(process || frames || end))
		return process || frames || end;
	if (process)
		verdict_process(o, f->label, v, out);
	else if (frames)
		verdict_lines(o, f, v, out);
	if (!end)
		return true;
	add_label(o, v->user_stack.n ? "" : "called by", out);
	add_paragraph(o, v->user_stack_end, COLUMN, COLUMN + HANG, out);
	return true;
}

/* Commands are not wrapped: they are there to be copied. */
static void verdict_fixes(const struct out_options *o, const char *label, const struct verdict *v,
			  struct strbuf *out)
{
	for (size_t i = 0; i < v->fix.n; i++) {
		add_label(o, i ? "" : label, out);
		add_painted(o, GREEN, v->fix.v[i].command, out);
		strbuf_addc(out, '\n');
		if (!*v->fix.v[i].effect || strcmp(v->fix.v[i].effect, "none") == 0)
			continue;
		add_spaces(COLUMN + HANG, out);
		add_paragraph(o, v->fix.v[i].effect, COLUMN + HANG, COLUMN + HANG, out);
	}
}

void text_verdict(const struct out_options *o, const struct verdict *v)
{
	_cleanup_strbuf_ struct strbuf out = {0};
	bool stack;

	verdict_head(o, v, &out);
	for (const struct field *f = verdict_fields; f->type != FIELD_END; f++) {
		if (!f->label || !field_present(f, v) || verdict_caller(o, f, v, &out))
			continue;
		stack = f->offset == offsetof(struct verdict, stack);
		if (stack && !o->stacks)
			continue;
		if (stack)
			verdict_frames(o, f->label, v, &out);
		else if (f->offset == offsetof(struct verdict, path))
			verdict_path(o, f->label, v, &out);
		else if (f->type == FIELD_LINES)
			verdict_lines(o, f, v, &out);
		else if (f->type == FIELD_GROUP)
			ledger_each_line(&v->connect, ledger_line,
					 &(struct lines_out){o, f->label, &out});
		else if (f->type == FIELD_LIST)
			verdict_fixes(o, f->label, v, &out);
		else
			verdict_cause(o, v, f->label, &out);
	}
	strbuf_addc(&out, '\n');
	out_write(o, &out);
}

void text_connect_end(const struct out_options *o, const struct verdict *v, const struct ledger *l)
{
	_cleanup_strbuf_ struct strbuf out = {0}, head = {0};

	time_text_local(l->end_wall_ns, true, &head);
	strbuf_add(&head, "  connect() failed");
	flow_add(&l->flow, &head);
	strbuf_addf(&head, "  (%s, above)", v->cause ? v->cause : "");
	add_painted(o, BOLD, head.s, &out);
	strbuf_addc(&out, '\n');
	ledger_each_line(l, ledger_line, &(struct lines_out){o, "connect", &out});
	strbuf_addc(&out, '\n');
	out_write(o, &out);
}

/* Each incident has a port of its own on the client's side: the higher one, nearly always. */
static void service_add(const struct rec_tuple *t, struct strbuf *out)
{
	struct rec_tuple service = *t;

	if (t->sport >= t->dport)
		service.sport = 0;
	else
		service.dport = 0;
	tuple_text(&service, out);
}

void text_repeat(const struct out_options *o, const struct verdict *v, uint64_t count,
		 uint64_t total)
{
	_cleanup_strbuf_ struct strbuf out = {0};

	time_text_local(v->wall_ns, false, &out);
	strbuf_add(&out, "  again  ");
	escape_text(v->cause ? v->cause : "", &out);
	strbuf_addc(&out, ' ');
	service_add(&v->flow, &out);
	strbuf_addf(&out, ": %llu more (at least %llu in all)\n", (unsigned long long)count,
		    (unsigned long long)total);
	out_write(o, &out);
}

/* ---- records --------------------------------------------------------------------------------- */

static void add_value(const struct field *f, const void *base, const struct out_symbols *syms,
		      struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf value = {0};
	bool quotes;

	if (f->type == FIELD_TUPLE && !*f->label) {
		flow_add(field_at(f, base), out);
		return;
	}
	field_text(f, base, syms, &value);
	quotes = *f->label && value.len && strcspn(value.s, " \"=") < value.len;
	strbuf_addf(out, "%s%s%s%s", *f->label ? " " : "  ", f->label, *f->label ? "=" : "",
		    quotes ? "\"" : "");
	escape_text(value.s ? value.s : "", out);
	if (quotes)
		strbuf_addc(out, '"');
}

/* The fields whose value stands for itself, or those with a key. */
static void add_values(const struct field *f, const void *base, bool keys,
		       const struct out_symbols *syms, struct strbuf *out)
{
	for (; f->type != FIELD_END; f++) {
		if (!field_present(f, base))
			continue;
		if (f->type == FIELD_GROUP)
			add_values(f->u.group, field_at(f, base), keys, syms, out);
		else if (f->label && keys == (*f->label != '\0'))
			add_value(f, base, syms, out);
	}
}

/* Of a frame: its line, and those of what is inlined there. */
static void symbol_source(const struct out_symbols *syms, uint64_t addr, struct strbuf *out)
{
	const struct rec_symbol *s = syms && syms->find ? syms->find(syms->arg, addr) : NULL;
	struct source_line lines[SOURCE_LINES_MAX];
	size_t n = s ? source_lines(s->source, lines) : 0;

	for (size_t i = 0; i < n; i++) {
		const struct source_line *l = &lines[i];

		if (i)
			strbuf_addf(out, ", %.*s ", l->function_len, l->function);
		strbuf_addf(out, "%.*s", l->place_len, l->place);
	}
}

static void add_stack(const struct field *f, const void *base, const struct out_symbols *syms,
		      struct strbuf *out)
{
	const uint64_t *addr = field_at(f, base);
	size_t n = field_count(f, base), room = f->size / sizeof(*addr);

	if (f->type != FIELD_SYMBOLS)
		syms = NULL;
	for (size_t i = 0; i < n && i < room; i++) {
		_cleanup_strbuf_ struct strbuf text = {0}, source = {0}, caller = {0};

		symbol_text(syms, addr[i], &text);
		symbol_source(syms, addr[i], &source);
		if (i + 1 < n && i + 1 < room)
			symbol_text(syms, addr[i + 1], &caller);
		strbuf_addf(out, "  %-18s", i ? "" : f->name);
		frame_text(text.s ? text.s : "", source.s ? source.s : "", caller.s, out);
		strbuf_addc(out, '\n');
	}
}

static void add_stacks(const struct field *f, const void *base, const struct out_symbols *syms,
		       struct strbuf *out)
{
	for (; f->type != FIELD_END; f++) {
		if (!field_present(f, base))
			continue;
		if (f->type == FIELD_SYMBOLS || f->type == FIELD_ADDRESSES)
			add_stack(f, base, syms, out);
		else if (f->type == FIELD_GROUP)
			add_stacks(f->u.group, field_at(f, base), syms, out);
	}
}

static void add_record(const struct out_options *o, const struct rec_hdr *r,
		       const struct out_symbols *syms, struct strbuf *out)
{
	const struct field *fields = record_fields(r->kind);

	add_painted(o, BOLD, record_kind_words(r->kind), out);
	add_values(fields, r, false, syms, out);
	if (r->netns)
		strbuf_addf(out, "  netns %u", r->netns);
	strbuf_addc(out, ' ');
	add_values(fields, r, true, syms, out);
	while (out->len && out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
}

void record_words(const struct rec_hdr *r, const struct out_symbols *syms, struct strbuf *out)
{
	static const struct out_options plain;

	add_record(&plain, r, syms, out);
}

void text_record(const struct out_options *o, const struct rec_hdr *r,
		 const struct out_symbols *syms)
{
	const struct field *fields = record_fields(r->kind);
	_cleanup_strbuf_ struct strbuf out = {0};

	if (!fields)
		return;
	time_text_local(r->wall_ns, true, &out);
	strbuf_add(&out, "  ");
	add_record(o, r, syms, &out);
	strbuf_addc(&out, '\n');
	if (o->stacks)
		add_stacks(fields, r, syms, &out);
	out_write(o, &out);
}
