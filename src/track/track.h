/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timelines: all records of one connection, both directions, both ends if both are on this host,
 * both sides of a NAT. track says which questions are open, and when a failure is ripe for a
 * verdict. Time comes from outside.
 */
#ifndef TCPWHY_TRACK_H
#define TCPWHY_TRACK_H

#include "base/base.h"
#include "record/question.h"
#include "track/world.h"

enum weight {
	WEIGHT_NONE, /* evidence at most */
	WEIGHT_SOFT, /* something may be wrong: worth a look, not a verdict by itself */
	WEIGHT_HARD, /* a failure: there will be a verdict */
};

enum timeline_state {
	TIMELINE_WATCHING,
	TIMELINE_RIPENING, /* waits for what comes next and for answers */
	TIMELINE_JUDGED,   /* has its verdict; what still happens is counted to it */
};

/* A question that is not answered yet. */
struct open_question {
	uint64_t event_ns; /* CLOCK_MONOTONIC of the event that raised it */
	uint32_t kind;	   /* one enum question_kind */
	uint32_t netns;	   /* inode number */
};

struct timeline {
	uint64_t id;
	VEC(struct rec_hdr *) recs; /* owned, in order of arrival */
	enum timeline_state state;
	uint64_t first_ns; /* CLOCK_MONOTONIC of the first and last event */
	uint64_t last_ns;
	uint64_t ripe_ns;
	uint64_t trigger_ns;		/* of the event that made it ripen */
	VEC(struct open_question) open; /* questions without an answer yet */
	uint32_t hard;			/* events that are failures */
	uint32_t suspects;		/* events that are or may be */
	uint32_t events;		/* in recs, the others are what lookups found */
	uint32_t cut;			/* records beyond the limits, not kept */
	uint64_t verdict_id;		/* once judged */
	uint32_t stack_pid; /* the last stack that was asked for: the same call is in several events */
	uint64_t stack_frames[REC_USTACK_MAX];
	bool awaits_end; /* … while its connect() went on: what becomes of that is kept */
};

/* Calls body for each event of tl as `const struct rec_event *e`. */
#define timeline_each_event(tl, e)                                                  \
	for (size_t e##_i = 0; e##_i < (tl)->recs.n; e##_i++)                       \
		for (const struct rec_event *e = (const void *)(tl)->recs.v[e##_i]; \
		     e && REC_KIND_IS_EVENT(e->hdr.kind); e = NULL)

#define timeline_each(tl, rec_kind, type, r)                            \
	for (size_t r##_i = 0; r##_i < (tl)->recs.n; r##_i++)           \
		for (const type *r = (const void *)(tl)->recs.v[r##_i]; \
		     r && r->hdr.kind == (rec_kind); r = NULL)

/* What a cause wants asked when `e` has happened: appended to `ask`, id and event_ns left alone. */
typedef VEC(struct question) question_vec;
typedef void needs_fn(const struct rec_event *e, question_vec *ask);

struct track;

/* needs: see above; w: outlives the track. */
int track_new(needs_fn *needs, struct world *w, struct track **ret);
void track_free(struct track *t);

/* How much e weighs; needs its stack's symbols in w. */
enum weight track_weight(const struct rec_event *e, const struct world *w);
/* That many retransmissions of one segment without an answer are no hiccup any more: some 3 s. */
#define TRACK_STUCK_AFTER 3
/* A connection that ends (its client closes it), and waited for accept() until now, for long. */
bool track_never_accepted(const struct rec_event *e);
/*
 * The first data of a connect() that succeeded, sent again and again, while the SYN-ACK came again: the other end
 * doesn't take the ACK that would make it a connection there.
 */
bool track_half_open(const struct rec_event *e);
/* A reset that its connection's socket did not take: by a probe, or the kernel's reason for its drop. */
bool track_reset_ignored(const struct rec_event *e);
/*
 * The FIN of the other end, for what is left of a connection that this one closed first: connections end so all
 * the time. (Where the kernel says which socket received it, bpf/drop.bpf.c leaves it out.)
 */
bool track_last_fin(const struct rec_event *e, const struct world *w);

/* Takes a record (copied). 0 or a negative errno. Symbols of an event's stack come before it. */
int track_add(struct track *t, const struct rec_hdr *rec);

/* The next open question to be asked: true, or false if there is none. */
bool track_question(struct track *t, struct question *ret);

/* A replay asks what was not asked when it was recorded: nobody will answer, and nothing is to be said of that. */
void track_forget_question(struct track *t, const struct question *q);

/*
 * The next timeline to be judged at `now` (CLOCK_MONOTONIC), NULL if none; the caller must call
 * track_judged().
 */
struct timeline *track_ripe(struct track *t, uint64_t now);
/*
 * Back with it: judged for good (verdict_id) or, with 0, nothing to say (yet). If the caller has set
 * awaits_end, it is ripe once more, with its verdict_id, when its connect() has failed.
 */
void track_judged(struct track *t, struct timeline *tl, uint64_t verdict_id);

/* Everything that ripens is ripe now: at the end. */
void track_flush(struct track *t);
/* When to call track_ripe() again; UINT64_MAX: nothing ripens. */
uint64_t track_next_ns(const struct track *t);
/* Are answers outstanding for something that ripens? */
bool track_waits(const struct track *t);
/* Timelines given up for want of room before they were judged. */
uint64_t track_evicted(const struct track *t);
/* May something that happened to tl's connection be among what had to make room? */
bool track_forgot(const struct track *t, const struct timeline *tl);

/* Called for each failure event that belongs to an already judged timeline. */
void track_on_repeat(struct track *t, void (*fn)(void *arg, uint64_t verdict_id), void *arg);

#endif
