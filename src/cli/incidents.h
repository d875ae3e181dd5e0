/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdicts that are the same incident again are counted, not printed: one failure, one verdict. */
#ifndef TCPWHY_CLI_INCIDENTS_H
#define TCPWHY_CLI_INCIDENTS_H

#include "diagnose/verdict.h"
#include "out/out.h"

struct incidents;

/* Told when repeats are due to be printed: `count` since the last time, `total` with the first. */
typedef void repeat_fn(void *arg, const struct verdict *v, uint64_t count, uint64_t total);

int incidents_new(repeat_fn *fn, void *arg, struct incidents **ret);
void incidents_free(struct incidents *in);

/*
 * Takes a verdict over. Its id if it is new and is to be printed; the id of the one it repeats with
 * *ret_repeats set.
 */
uint64_t incidents_add(struct incidents *in, struct verdict *v, bool *ret_repeats);
/* The verdict of that id, NULL if it was forgotten. */
const struct verdict *incidents_get(const struct incidents *in, uint64_t id);
/* A further kernel event of that incident. */
void incidents_event(struct incidents *in, uint64_t id);
/* Tells repeats that wait: those due at `now`, or all (UINT64_MAX). */
void incidents_tell(struct incidents *in, uint64_t now);
/* Incidents and events by cause. */
void incidents_summary(const struct incidents *in, struct out_summary *s);
uint64_t incidents_count(const struct incidents *in);

#endif
