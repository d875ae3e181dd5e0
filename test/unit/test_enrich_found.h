/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks as test_enrich.h does, for answers of any size. */
#ifndef TEST_ENRICH_FOUND_H
#define TEST_ENRICH_FOUND_H

#include "test_enrich.h"

static struct {
	union {
		struct rec_hdr hdr;
		struct rec_bpf_prog prog;
		struct rec_nfqueue nfqueue;
		struct rec_link link;
	} v[ANSWERS_MAX];
	size_t n;
	struct rec_answer end;
	bool ended;
} found;

static inline void found_keep(void *arg, const struct rec_hdr *rec)
{
	(void)arg;
	if (rec->kind == REC_ANSWER) {
		memcpy(&found.end, rec, sizeof(found.end));
		found.ended = true;
		return;
	}
	assert_true(found.n < ANSWERS_MAX && rec->size <= sizeof(found.v[0]));
	memcpy(&found.v[found.n++], rec, rec->size);
	assert_int_equal(found.v[found.n - 1].prog.question, t.next_id);
}

/* Asks and waits; returns the answer's err. */
static inline int find(struct question q)
{
	struct pollfd pfd = {.fd = enrich_fd(t.e), .events = POLLIN};

	cache_expire();
	q.id = ++t.next_id;
	q.event_ns = now_mono();
	found.n = 0;
	found.ended = false;
	assert_int_equal(enrich_ask(t.e, &q), 0);
	while (!found.ended) {
		assert_int_equal(poll(&pfd, 1, 10000), 1);
		enrich_take(t.e, found_keep, NULL);
	}
	assert_int_equal(found.end.question, q.id);
	assert_int_equal(found.end.count, found.n);
	return found.end.err;
}

#endif
