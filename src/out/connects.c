/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long connect() took, for each destination. */
#include "out/fields_out.h"
#include "record/record.h"

#define BAR 40 /* columns of the longest */

/* The shortest of bucket n, microseconds. */
static uint64_t bucket_from(unsigned n)
{
	return n ? 1ull << n : 0;
}

static void time_text(uint64_t us, struct strbuf *out)
{
	if (us < 1000)
		strbuf_addf(out, "%llu us", (unsigned long long)us);
	else if (us < 1000000)
		strbuf_addf(out, "%.1f ms", (double)us / 1e3);
	else
		strbuf_addf(out, "%.1f s", (double)us / 1e6);
}

/* Eighths of a column, as far as there are blocks for them. */
static void bar_text(uint64_t n, uint64_t most, struct strbuf *out)
{
	static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	uint64_t eighths = n * BAR * 8 / most;

	if (n && !eighths)
		eighths = 1;
	for (uint64_t i = 0; i < eighths / 8; i++)
		strbuf_add(out, "█");
	strbuf_add(out, parts[eighths % 8]);
}

static void plot(const struct connect_value *v, struct strbuf *out)
{
	unsigned first = CONNECT_BUCKETS, last = 0;
	uint64_t most = 0;

	for (unsigned i = 0; i < CONNECT_BUCKETS; i++) {
		if (!v->buckets[i])
			continue;
		first = first == CONNECT_BUCKETS ? i : first;
		last = i;
		most = v->buckets[i] > most ? v->buckets[i] : most;
	}
	for (unsigned i = first; i <= last && most; i++) {
		_cleanup_strbuf_ struct strbuf from = {0};

		time_text(bucket_from(i), &from);
		strbuf_addf(out, "%10s ", from.s ? from.s : "");
		bar_text(v->buckets[i], most, out);
		strbuf_addf(out, "%s%llu\n", v->buckets[i] ? " " : "",
			    (unsigned long long)v->buckets[i]);
	}
}

void text_connects(const struct out_options *o, const struct out_connects *c)
{
	const struct connect_value *v = &c->value;
	_cleanup_strbuf_ struct strbuf out = {0};

	strbuf_add(&out, "connect() to ");
	if (c->key.family)
		endpoint_text(c->key.dst, c->key.dport, &out);
	else
		strbuf_add(&out, "other destinations");
	if (c->netns[0]) {
		strbuf_add(&out, " from netns ");
		escape_text(c->netns, &out);
	} else if (c->key.netns) {
		strbuf_addf(&out, " from netns %u", c->key.netns);
	}
	strbuf_addf(&out, ": %llu connected, %llu failed", (unsigned long long)v->connected,
		    (unsigned long long)v->failed);
	if (v->connected) {
		strbuf_add(&out, ", at most ");
		time_text(v->max_ns / NSEC_PER_USEC, &out);
	}
	strbuf_addc(&out, '\n');
	plot(v, &out);
	out_write(o, &out);
}

void connects_steps(struct out_connects *c)
{
	for (unsigned i = 0; i < CONNECT_BUCKETS; i++) {
		struct out_step *step = c->value.buckets[i] ? vec_push(&c->latency) : NULL;

		if (step)
			*step = (struct out_step){bucket_from(i), c->value.buckets[i]};
	}
}
