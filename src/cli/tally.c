/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/tally.h"
#include "record/record.h"
#include "sym/labels.h"

#include <search.h>

#define TCP_SYN_SENT 2

/* All rows of the kernel's that read alike. */
struct group {
	char *text; /* what they read */
	struct out_stack row;
	uint64_t now, last; /* of this look, and of the one that was shown */
};

struct seen {
	struct stack_key key;
	struct group *group;
};

struct tally {
	enum stacks_by by;
	tally_resolve resolve;
	void *arg;
	void *seen;   /* tsearch: struct seen by key */
	void *groups; /* tsearch: struct group by text */
	VEC(struct group *) all;
	uint64_t others, last_others;
	int err;
};

/* ---- trees ----------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct stack_key));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->text, ((const struct group *)b)->text);
}

static void lines_free(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

static void group_free(struct group *g)
{
	if (!g)
		return;
	lines_free(g->row.frames.v, g->row.frames.n);
	lines_free(g->row.path.v, g->row.path.n);
	free(g->text);
	free(g);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static char *frame_text(struct tally *t, uint64_t addr)
{
	_cleanup_strbuf_ struct strbuf out = {0};
	struct rec_symbol sym = {0};
	char *text;

	if (t->resolve(t->arg, addr, &sym)) {
		strbuf_addf(&out, "%s+0x%llx", sym.name, (unsigned long long)sym.offset);
		if (sym.module[0])
			strbuf_addf(&out, " [%s]", sym.module);
	} else {
		strbuf_addf(&out, "0x%llx", (unsigned long long)addr);
	}
	text = out.s;
	out.s = NULL;
	return text;
}

static int add_line(char ***v, size_t *n, size_t *cap, char *text)
{
	char **slot = text ? vec_grow((void **)v, n, cap, sizeof(**v)) : NULL;

	if (!slot) {
		free(text);
		return -ENOMEM;
	}
	*slot = text;
	return 0;
}

#define LINE_ADD(vec, text) add_line(&(vec)->v, &(vec)->n, &(vec)->cap, text)

/* Down to where a softirq began. */
static int fill_frames(struct tally *t, const struct live_stack *from, struct out_stack *row)
{
	const char *path[LABELS_MAX];
	size_t n;

	for (unsigned i = 0; i < from->nr_frames; i++) {
		char *text = frame_text(t, from->frames[i]);

		if (text && label_is_tracing(text)) {
			free(text);
			continue;
		}
		if (LINE_ADD(&row->frames, text))
			return -ENOMEM;
		if (label_is_softirq(text))
			break;
	}
	n = label_path(row->frames.v, row->frames.n, path);
	for (size_t i = 0; i < n; i++)
		if (LINE_ADD(&row->path, strdup(path[i])))
			return -ENOMEM;
	return 0;
}

/* Every change of a socket's state passes these: net/ipv4/af_inet.c, tcp.c. */
static bool only_sets_state(const char *frame)
{
	static const char *const functions[] = {"inet_sk_state_store", "inet_sk_set_state",
						"tcp_set_state"};

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (strncmp(frame, functions[i], strlen(functions[i])) == 0)
			return true;
	return false;
}

/* Where it was dropped, or else the innermost function of its stack. */
static int fill_location(struct tally *t, const struct live_stack *from, struct out_stack *row)
{
	const uint64_t *addr = from->key->location ? &from->key->location : from->frames;
	unsigned n = from->key->location ? 1 : from->nr_frames;

	for (unsigned i = 0; i < n; i++) {
		_cleanup_free_ char *text = frame_text(t, addr[i]);

		if (!text)
			return -ENOMEM;
		if (label_is_tracing(text))
			continue;
		str_copy(row->location, sizeof(row->location), text);
		if (!only_sets_state(text))
			break;
	}
	return 0;
}

static int fill_row(struct tally *t, const struct live_stack *from, struct out_stack *row)
{
	const struct stack_key *key = from->key;
	int err = 0;

	row->kind = record_kind_name(key->kind);
	str_copy(row->reason, sizeof(row->reason), from->reason);
	if (key->kind == REC_STATE) {
		bool connect = (key->reason & 0xff) == TCP_SYN_SENT;

		row->kind = connect ? "connect" : "close";
		if (!connect)
			str_copy(row->reason, sizeof(row->reason),
				 tcp_state_name(key->reason >> 8));
	}
	row->flow = key->flow;
	if (t->by == BY_STACK)
		err = fill_frames(t, from, row);
	if (!err && (t->by == BY_LOCATION || (t->by == BY_STACK && key->location)))
		err = fill_location(t, from, row);
	return err;
}

static void row_text(const struct out_stack *row, struct strbuf *out)
{
	strbuf_addf(out, "%s\n%s\n%s\n", row->kind, row->reason, row->location);
	tuple_text(&row->flow, out);
	strbuf_addf(out, " %u", row->flow.proto);
	for (size_t i = 0; i < row->frames.n; i++)
		strbuf_addf(out, "\n%s", row->frames.v[i]);
}

/* The group of a row that is new; NULL: no memory. */
static struct group *group_of(struct tally *t, const struct live_stack *from)
{
	struct group *g = calloc(1, sizeof(*g)), **found, **slot;
	struct strbuf text = {0};

	if (!g)
		return NULL;
	if (fill_row(t, from, &g->row) == 0)
		row_text(&g->row, &text);
	g->text = text.s;
	found = g->text && !text.oom ? tsearch(g, &t->groups, by_text) : NULL;
	if (!found || *found != g) {
		struct group *other = found ? *found : NULL;

		group_free(g);
		return other;
	}
	slot = vec_push(&t->all);
	if (slot)
		*slot = g;
	else
		t->err = -ENOMEM;
	return g;
}

void tally_add(void *arg, const struct live_stack *row)
{
	struct tally *t = arg;
	struct seen *s, **found;

	if (!row->key) {
		t->others = row->count;
		return;
	}
	found = tfind(row->key, &t->seen, by_key);
	if (found) {
		(*found)->group->now += row->count;
		return;
	}
	s = calloc(1, sizeof(*s));
	if (s) {
		s->key = *row->key;
		s->group = group_of(t, row);
	}
	if (!s || !s->group || !tsearch(s, &t->seen, by_key)) {
		free(s);
		t->err = -ENOMEM;
		return;
	}
	s->group->now += row->count;
}

void tally_begin(struct tally *t)
{
	for (size_t i = 0; i < t->all.n; i++)
		t->all.v[i]->now = 0;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static int most_first(const void *a, const void *b)
{
	const struct out_stack *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->total < y->total ? 1 : -(x->total > y->total);
}

int tally_take(struct tally *t, bool all, size_t top, struct out_stacks *ret)
{
	ret->by = (int)t->by;
	ret->all = all;
	ret->others = all ? t->others : t->others - t->last_others;
	ret->seen = ret->others;
	for (size_t i = 0; i < t->all.n; i++) {
		struct group *g = t->all.v[i];
		uint64_t count = all ? g->now : g->now - g->last;
		struct out_stack *row = count ? vec_push(&ret->rows) : NULL;

		if (count && !row)
			return -ENOMEM;
		if (row) {
			*row = g->row;
			row->count = count;
			row->total = g->now;
		}
		ret->seen += count;
		g->last = g->now;
	}
	t->last_others = t->others;
	if (ret->rows.n)
		qsort(ret->rows.v, ret->rows.n, sizeof(ret->rows.v[0]), most_first);
	for (; top && ret->rows.n > top; ret->rows.n--)
		ret->rest += ret->rows.v[ret->rows.n - 1].count;
	return t->err;
}

int tally_new(enum stacks_by by, tally_resolve resolve, void *arg, struct tally **ret)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->by = by;
	t->resolve = resolve;
	t->arg = arg;
	*ret = t;
	return 0;
}

static void leave(void *node)
{
	(void)node; /* groups are in t->all, too */
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	tdestroy(t->seen, free);
	tdestroy(t->groups, leave);
	for (size_t i = 0; i < t->all.n; i++)
		group_free(t->all.v[i]);
	vec_free(&t->all);
	free(t);
}
