/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The summary as text for people. */
#include "out/fields_out.h"

#define TOP_COUNTS 10

static void summary_causes(const struct out_options *o, const struct out_summary *s,
			   struct strbuf *out)
{
	size_t wide = strlen("cause");

	for (size_t i = 0; i < s->verdicts.n; i++)
		if (strlen(s->verdicts.v[i].cause) > wide)
			wide = strlen(s->verdicts.v[i].cause);
	if (o->color)
		strbuf_add(out, DIM);
	strbuf_addf(out, "%-*s  incidents  events", (int)wide, "cause");
	strbuf_addf(out, "%s\n", o->color ? NORMAL : "");
	for (size_t i = 0; i < s->verdicts.n; i++)
		strbuf_addf(out, "%-*s  %9llu  %6llu\n", (int)wide, s->verdicts.v[i].cause,
			    (unsigned long long)s->verdicts.v[i].incidents,
			    (unsigned long long)s->verdicts.v[i].events);
}

/* As a shell counts: 126 and 127 mean that it never ran, 128 and more a signal. */
static void summary_command(const struct out_summary *s, bool none, struct strbuf *out)
{
	if (s->command_status == 126 || s->command_status == 127) {
		strbuf_add(out, "The command could not be run.\n");
		return;
	}
	if (s->command_status > 128)
		strbuf_addf(out, "The command was ended by signal %d (%s)", s->command_status - 128,
			    strsignal(s->command_status - 128));
	else
		strbuf_addf(out, "The command exited with %d", s->command_status);
	strbuf_add(out, !none	  ? ".\n"
			: s->lost ? "; none of its connections failed visibly.\n"
				  : "; none of its connections failed.\n");
}

static void summary_outcome(const struct out_options *o, const struct out_summary *s,
			    struct strbuf *out)
{
	bool none = s->verdicts.n == 0;

	if (!none)
		summary_causes(o, s, out);
	if (s->command)
		summary_command(s, none, out);
	else if (none)
		strbuf_add(out, s->lost ? "Nothing failed visibly.\n" : "Nothing failed.\n");
	if (none && s->lost)
		strbuf_add(out, "Events were lost, though: a failure among them has gone "
				"unnoticed.\n");
}

static int count_order(const void *a, const void *b)
{
	const struct out_count *x = *(const struct out_count *const *)a,
			       *y = *(const struct out_count *const *)b;

	if (x->value.seen != y->value.seen)
		return x->value.seen < y->value.seen ? 1 : -1;
	return x < y ? -1 : x > y;
}

static void count_line(const struct out_count *c, struct strbuf *out)
{
	const char *words = record_kind_words(c->key.kind);

	strbuf_addf(out, "%12llu  %s", (unsigned long long)c->value.seen, words ? words : "others");
	if (c->key.proto && proto_name(c->key.proto) != name_unknown)
		strbuf_addf(out, "  %s", proto_name(c->key.proto));
	if (c->reason[0]) {
		strbuf_add(out, "  ");
		escape_text(c->reason, out);
	}
	if (c->location[0]) {
		strbuf_add(out, "  at ");
		escape_text(c->location, out);
	}
	if (c->netns[0]) {
		strbuf_add(out, "  netns ");
		escape_text(c->netns, out);
	} else if (c->key.netns) {
		strbuf_addf(out, "  netns %u", c->key.netns);
	}
	strbuf_addc(out, '\n');
}

/* Where there was more than what was shown. */
static void summary_counts(const struct out_summary *s, struct strbuf *out)
{
	_cleanup_free_ const struct out_count **sorted = NULL;

	if (!s->counts.n || s->suppressed + s->lost == 0)
		return;
	sorted = calloc(s->counts.n, sizeof(*sorted));
	if (!sorted)
		return;
	for (size_t i = 0; i < s->counts.n; i++)
		sorted[i] = &s->counts.v[i];
	qsort(sorted, s->counts.n, sizeof(*sorted), count_order);
	for (size_t i = 0; i < s->counts.n && i < TOP_COUNTS; i++)
		count_line(sorted[i], out);
	if (s->counts.n > TOP_COUNTS)
		strbuf_addf(out, "              and %zu kinds more\n", s->counts.n - TOP_COUNTS);
}

void text_summary(const struct out_options *o, const struct out_summary *s)
{
	_cleanup_strbuf_ struct strbuf out = {0};

	summary_outcome(o, s, &out);
	strbuf_addf(&out,
		    "events: %llu seen = %llu shown + %llu suppressed (rate limit) + %llu lost\n",
		    (unsigned long long)s->seen, (unsigned long long)s->shown,
		    (unsigned long long)s->suppressed, (unsigned long long)s->lost);
	summary_counts(s, &out);
	if (s->questions_unanswered)
		strbuf_addf(&out, "lookups: %llu refused (rate limit)\n",
			    (unsigned long long)s->questions_unanswered);
	if (s->evicted)
		strbuf_addf(&out, "connections: %llu forgotten too early, for want of room\n",
			    (unsigned long long)s->evicted);
	out_write(o, &out);
}
