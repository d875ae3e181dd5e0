/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where track keeps its timelines: found by tuple, by question id and by socket, and listed by last
 * use, those of connections that may have failed by themselves. Private to this room.
 */
#ifndef TCPWHY_TRACK_STORE_H
#define TCPWHY_TRACK_STORE_H

#include "track/track.h"

#include <uthash.h>

struct key {
	struct rec_tuple tuple; /* canonical */
	uint32_t netns; /* where the tuple alone does not tell: loopback addresses, missing ports */
};

struct key_entry {
	struct key key;
	struct entry *entry;
	struct key_entry *next; /* of the same timeline */
	UT_hash_handle hh;
};

struct id_entry {
	uint64_t id;
	struct entry *entry;
	struct id_entry *next;
	UT_hash_handle hh;
};

struct sock_entry {
	uint64_t addr;
	struct entry *entry;
	struct sock_entry *next;
	UT_hash_handle hh;
};

/* A timeline with what track alone knows of it. */
struct entry {
	struct timeline tl;
	struct key_entry *keys;
	struct id_entry *ids;
	struct sock_entry *socks;
	struct use_list *list;	      /* it is in */
	struct entry *older, *newer;  /* of that list */
	struct entry *before, *after; /* list of what ripens */
	bool ripens;
	size_t bytes;
	bool out; /* with the caller, between track_ripe() and track_judged() */
};

struct use_list { /* by last use */
	struct entry *oldest, *newest;
};

struct store {
	struct key_entry *by_key;
	struct id_entry *by_id;
	struct sock_entry *by_sock;
	struct use_list healthy, suspect; /* without and with events that are or may be failures */
	struct entry *first, *last;	  /* of what ripens, in the order in which that began */
	size_t n, bytes;		  /* timelines, and what their records take */
	uint64_t next_id;
};

/* A new timeline, as the last used; NULL when out of memory. */
struct entry *entry_new(struct store *s);
void entry_free(struct store *s, struct entry *e);
/* Makes it the last used, of the list that it belongs to by now. */
void entry_touch(struct store *s, struct entry *e);
/* Sets the state of e. What ripens is listed by itself, as the others are many. */
void entry_become(struct store *s, struct entry *e, enum timeline_state state);

/*
 * The timeline of a tuple (either direction), of a question's id, of the socket at a kernel
 * address; NULL: none.
 */
struct entry *store_by_tuple(const struct store *s, const struct rec_tuple *tuple, uint32_t netns);
struct entry *store_by_id(const struct store *s, uint64_t id);
struct entry *store_by_sock(const struct store *s, uint64_t addr);

/* From now on the tuple leads to e, whatever it is; false when out of memory. */
bool entry_add_tuple(struct store *s, struct entry *e, const struct rec_tuple *tuple,
		     uint32_t netns);
/*
 * The tuple, if whole, is one of e's connection: another timeline that has it is the same story,
 * and ends in e.
 */
void entry_claim(struct store *s, struct entry *e, const struct rec_tuple *tuple, uint32_t netns);
/* The socket at this address is e's now. */
void entry_note_sock(struct store *s, struct entry *e, uint64_t addr);

#endif
