/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ledger of a connect() that failed, as a few lines. */
#include "out/fields_out.h"

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_alike(const struct ledger_syn *a, const struct ledger_syn *b)
{
	return a->fate == b->fate && a->data == b->data && same_text(a->by, b->by) &&
	       strcmp(a->ifname, b->ifname) == 0;
}

static void add_time(uint64_t ns, struct strbuf *out)
{
	if (ns < NSEC_PER_MSEC)
		strbuf_addf(out, "%llu us", (unsigned long long)(ns / NSEC_PER_USEC));
	else if (ns < NSEC_PER_SEC)
		strbuf_addf(out, "%llu ms", (unsigned long long)(ns / NSEC_PER_MSEC));
	else
		strbuf_addf(out, "%.2f s", (double)ns / NSEC_PER_SEC);
}

static void add_fate(const struct ledger *l, const struct ledger_syn *s, struct strbuf *out)
{
	if (*s->ifname)
		strbuf_addf(out, "left through %s", s->ifname);
	switch (s->fate) {
	case SYN_LEFT:
		strbuf_add(out, l->answers.n ? "" : ", nothing came back");
		return;
	case SYN_NOT_SEEN:
		strbuf_add(out, "sent, but not seen leaving");
		return;
	default:
		strbuf_addf(out, "%s%s%s%s", *s->ifname ? ", then " : "",
			    s->fate == SYN_NOT_SENT ? "not sent:" : syn_fate_name(s->fate),
			    s->by ? " " : "", s->by ? s->by : "");
	}
}

/* Those that fared alike, from the i-th on; the next one's number. */
static size_t syn_line(const struct ledger *l, size_t i, struct strbuf *out)
{
	const struct ledger_syn *s = &l->syns.v[i];

	strbuf_addf(out, "SYN%s at ", s->data ? " with data" : "");
	for (size_t first = i; i < l->syns.n && is_alike(s, &l->syns.v[i]); i++) {
		strbuf_add(out, i > first ? ", " : "");
		if (l->syns.v[i].after_ns)
			add_time(l->syns.v[i].after_ns, out);
		else
			strbuf_add(out, "0");
	}
	strbuf_add(out, ": ");
	add_fate(l, s, out);
	return i;
}

/* The same for what came back. */
static size_t answer_line(const struct ledger *l, size_t i, struct strbuf *out)
{
	const struct ledger_answer *a = &l->answers.v[i];

	strbuf_add(out, a->what);
	for (size_t first = i; i < l->answers.n; i++) {
		const struct ledger_answer *next = &l->answers.v[i];

		if (a->taken != next->taken || !same_text(a->what, next->what) ||
		    !same_text(a->why, next->why))
			break;
		if (!next->after_ns) /* no SYN was seen to count from */
			continue;
		strbuf_add(out, i > first ? ", " : " after ");
		add_time(next->after_ns, out);
	}
	strbuf_addf(out, ": %s", a->taken);
	if (a->why) /* "dropped here: …", "ignored, it doesn't fit…" */
		strbuf_addf(out, "%s%s", strcmp(a->taken, "dropped") == 0 ? " " : ", ", a->why);
	return i;
}

static void end_line(const struct ledger *l, struct strbuf *out)
{
	const char *err = errno_name(l->err);

	if (l->over && !l->given_up)
		strbuf_add(out, err ? err : "an error without a name");
	else
		strbuf_add(out, l->over ? "given up by its process" : "still trying");
	if (l->took_ns) {
		strbuf_add(out, " after ");
		add_time(l->took_ns, out);
	}
	if (l->over && !l->syns.n)
		strbuf_add(out, ", no SYN was seen");
}

static void head_line(const struct ledger *l, struct strbuf *out)
{
	tuple_text(&l->flow, out);
	if (l->pid)
		strbuf_addf(out, ", pid %u %s", l->pid, l->comm);
	if (*l->container)
		strbuf_addf(out, " in %s", l->container);
	if (!addr_is_any(l->translated.dst)) {
		strbuf_add(out, "; it left translated (NAT), as ");
		tuple_text(&l->translated, out);
	}
}

void ledger_each_line(const struct ledger *l, void (*line)(void *arg, const char *text), void *arg)
{
	_cleanup_strbuf_ struct strbuf text = {0};

	head_line(l, &text);
	line(arg, text.s ? text.s : "");
	for (size_t i = 0; i < l->syns.n;) {
		strbuf_reset(&text);
		i = syn_line(l, i, &text);
		line(arg, text.s ? text.s : "");
	}
	if (l->more_syns) {
		strbuf_reset(&text);
		strbuf_addf(&text, "%u more SYN%s, of which nothing was seen", l->more_syns,
			    l->more_syns == 1 ? "" : "s");
		line(arg, text.s ? text.s : "");
	}
	for (size_t i = 0; i < l->answers.n;) {
		strbuf_reset(&text);
		i = answer_line(l, i, &text);
		line(arg, text.s ? text.s : "");
	}
	strbuf_reset(&text);
	end_line(l, &text);
	line(arg, text.s ? text.s : "");
}
