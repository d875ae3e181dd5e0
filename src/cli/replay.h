/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recordings through the same session as what happens live: time is the recorded one, and lookups are
 * found in the files, never made.
 */
#ifndef TCPWHY_CLI_REPLAY_H
#define TCPWHY_CLI_REPLAY_H

#include "cli/session.h"

/* Everything of one run of tcpwhy on one host, from however many files. */
struct replay;

struct replay_set {
	VEC(struct replay *) runs;
	void (*tell)(void *arg, const struct verdict *v); /* called for each new verdict */
	void *arg;
};

/*
 * Adds what a file holds, a recording or another program's capture. 0, with a sentence in why if there is
 * something to be said; -EBADMSG if it was damaged or cut off, with one sentence in why, after adding
 * what stands before that; or another negative errno, then nothing was added.
 */
int replay_load(struct replay_set *set, const char *path, struct strbuf *why);
void replay_free(struct replay_set *set);

/* Plays all runs side by side, by the time of day; prints unless it is for a comparison. */
int replay_play(struct replay_set *set, const struct watch_options *o);

/* A timeline of the replay asks. */
void replay_ask(struct replay *r, const struct question *q);

#endif
