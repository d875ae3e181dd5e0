/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between replay.c, replay_load.c and replay_capture.c only. */
#ifndef TCPWHY_CLI_REPLAY_PRIVATE_H
#define TCPWHY_CLI_REPLAY_PRIVATE_H

#include "cli/replay.h"

#include <uthash.h>

struct item {
	struct rec_hdr *rec; /* owned; NULL: events were lost here */
	uint64_t arrival;    /* when it came, CLOCK_MONOTONIC */
	size_t order;	     /* in the files */
	bool known;	     /* to the world only: no answer to a question */
};

/* A question that was answered. */
struct asked {
	uint64_t ns; /* of the event that raised it */
	uint32_t what;
	uint32_t netns;
	uint64_t id; /* of the timeline, when it was recorded */
	uint64_t arrival;
	bool taken; /* one answer, one question */
};

/* A timeline's id as recorded, and what it is now. */
struct renamed {
	uint64_t was, is;
	UT_hash_handle hh;
};

struct replay {
	char *run, *host;
	VEC(struct item) items;
	VEC(struct asked) asked; /* in order */
	struct renamed *renamed;
	size_t at;
	uint64_t now_ns;	       /* on the run's clock */
	uint64_t to_wall_ns;	       /* from the run's clock to the time of day */
	struct capture_flows *capture; /* NULL: a recording of our own */
	struct session s;
};

static inline bool is_event(const struct item *i)
{
	return i->rec && REC_KIND_IS_EVENT(i->rec->kind);
}

static inline bool is_lookup(const struct item *i)
{
	return i->rec && !REC_KIND_IS_EVENT(i->rec->kind) && !i->known;
}

/* Every lookup's struct has the question right behind the header. */
static inline uint64_t *question_of(struct rec_hdr *rec)
{
	return &((struct rec_answer *)rec)->question;
}

/* replay_load.c: another run, and a record of it (copied; NULL: a loss). 0 or -ENOMEM. */
int replay_new_run(struct replay_set *set, const char *name, struct replay **ret);
int replay_add(struct replay *r, const struct rec_hdr *rec, uint64_t arrival);

/*
 * replay_capture.c: the file of another program. 0, with a sentence about it in why; -EBADMSG as replay_load, or
 * another negative errno, each with one sentence in why that says more.
 */
int replay_load_capture(struct replay_set *set, const char *path, const void *file, size_t size,
			struct strbuf *why);
bool replay_is_pcap(const void *file, size_t size);

/* replay_load.c: the order of r->asked; puts all in the order of its arrival. 0 or -ENOMEM. */
int asked_order(const void *a, const void *b);
int replay_order(struct replay *r);

#endif
