/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flight recorder: the recent past of every connection is in track's timelines anyway, in bounded
 * memory; when one has failed, its timeline goes to the file, and what happens to it for a while.
 */
#ifndef TCPWHY_CLI_RECORDER_H
#define TCPWHY_CLI_RECORDER_H

#include "cli/options.h"
#include "diagnose/verdict.h"
#include "track/track.h"

struct recorder;

/* Makes the file, which must not exist. 0, or a negative errno with one sentence in why. */
int recorder_open(const struct record_options *o, struct recorder **ret, struct strbuf *why);
/* NULL is fine. */
void recorder_close(struct recorder *r);

/* A record has come: written at once if all are wanted, or its connection failed a moment ago. */
void recorder_record(struct recorder *r, const struct rec_hdr *rec, const struct world *w);
/* What the packet of a record that is still to come carries; bytes are p->len. */
void recorder_payload(void *recorder, const struct rec_payload *p, const uint8_t *bytes);
/* A timeline has its verdict; lost: not all of it is there. */
void recorder_verdict(struct recorder *r, const struct timeline *tl, const struct world *w,
		      const struct verdict *v, bool lost);
/* The connect() of a timeline that has its verdict has failed. */
void recorder_end(struct recorder *r, const struct timeline *tl, const struct world *w,
		  const struct verdict *v);
/* Has it said that it can't write any more? */
bool recorder_failed(const struct recorder *r);

#endif
