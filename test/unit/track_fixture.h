/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A track to be fed by hand. */
#ifndef TCPWHY_TEST_TRACK_FIXTURE_H
#define TCPWHY_TEST_TRACK_FIXTURE_H

#include "timeline_fixture.h"

#define T0 (1000 * NSEC_PER_SEC)
#define MS NSEC_PER_MSEC
/* As in track.c. */
#define GRACE (150 * MS)
#define PATIENCE (1000 * MS)
#define ANSWERS (10 * NSEC_PER_SEC)
#define ANSWERS_MOST (30 * NSEC_PER_SEC)
#define AFTERMATH (10 * NSEC_PER_SEC)

struct fixture {
	struct world *world; /* knows both namespaces */
	struct track *track;
	unsigned repeats; /* told by the track, and the last one's verdict */
	uint64_t repeated_id;
};

/* A track whose causes ask nothing, or one question (for sockets) about each event that weighs. */
#define track_test(f) cmocka_unit_test_setup_teardown(f, track_setup, track_teardown)
#define asking_test(f) cmocka_unit_test_setup_teardown(f, track_setup_asking, track_teardown)
int track_setup(void **state);
int track_setup_asking(void **state);
int track_teardown(void **state);

/* One connection on both sides of a NAT. */
struct rec_tuple inside(void);
struct rec_tuple outside(void);

void happens(struct fixture *f, const struct rec_event *e);
/* A failure at that time, in that namespace or in HOST. */
void fails_in(struct fixture *f, struct rec_tuple t, uint32_t netns, uint64_t ns);
void fails(struct fixture *f, struct rec_tuple t, uint64_t ns);
/* The end of a lookup. */
void answered(struct fixture *f, const struct question *q, int err);
void answered_at(struct fixture *f, const struct question *q, int err, uint64_t ns);
/* Takes every question that waits: how many; *last, if wanted, is the last of them. */
unsigned questions(struct fixture *f, struct question *last);
/* Judges what is ripe at that time, with this id: how many; *last, if wanted, is the last. */
unsigned ripe(struct fixture *f, uint64_t ns, uint64_t verdict_id, struct timeline **last);
unsigned events_of(const struct timeline *tl);

#endif
