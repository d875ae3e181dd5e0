/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lookups. A worker thread answers questions so that the event loop never waits; each answer is one or more records,
 * closed by a rec_answer of the same question id and kind (its err says if the lookup could not be made).
 */
#ifndef TCPWHY_ENRICH_H
#define TCPWHY_ENRICH_H

#include "base/base.h"
#include "record/question.h"

struct enrich;

/* Starts the worker. 0 or a negative errno. */
int enrich_open(struct enrich **ret);
/* Stops the worker, waits for it, frees everything. NULL is fine. */
void enrich_close(struct enrich *e);

/*
 * Queues one question (copied). 0; -EBUSY when the queue is full (1024) or the rate limit is used up: the caller counts
 * it and gets a rec_answer with err -EBUSY all the same.
 */
int enrich_ask(struct enrich *e, const struct question *q);

/* An eventfd that is readable while answers wait. Owned by e. */
int enrich_fd(const struct enrich *e);

/*
 * Hands every waiting answer record to fn (valid during the call only), in order. Returns the number handed over.
 * Record headers are complete except seq.
 */
int enrich_take(struct enrich *e, void (*fn)(void *arg, const struct rec_hdr *rec), void *arg);

/* How many questions are queued or being answered right now. */
size_t enrich_pending(struct enrich *e);

#endif
