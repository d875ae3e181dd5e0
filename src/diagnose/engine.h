/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine: from a timeline to a verdict, a pure function. */
#ifndef TCPWHY_ENGINE_H
#define TCPWHY_ENGINE_H

#include "diagnose/judge.h"

struct diagnose_loss {
	bool lost; /* records were lost or cut while this timeline was gathered */
};

/*
 * Judges a timeline. 1: there is a verdict in ret (id and events are left to the caller; free with
 * verdict_free); 0: nothing failed here, or not yet; negative errno.
 */
int diagnose(const struct timeline *tl, const struct world *w, const struct diagnose_loss *loss,
	     struct verdict *ret);

/* What the causes want asked when e has happened: a needs_fn for track_new(). */
void diagnose_needs(const struct rec_event *e, question_vec *ask);

/* The n-th cause (from 0) in order of precedence, NULL behind the last. */
const struct cause *diagnose_cause(size_t n);

/*
 * Are two verdicts the same incident: same cause in the same namespace, for the same two ends and
 * service? Writes a key that is equal if so, at most size bytes.
 */
void verdict_incident_key(const struct verdict *v, char *key, size_t size);
/*
 * The same for any service of the two ends: many of these at once are a scan, not many incidents.
 */
void verdict_group_key(const struct verdict *v, char *key, size_t size);

#endif
