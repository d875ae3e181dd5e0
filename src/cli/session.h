/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From records to verdicts on the terminal: what the watch command does with what comes in. */
#ifndef TCPWHY_CLI_SESSION_H
#define TCPWHY_CLI_SESSION_H

#include "cli/incidents.h"
#include "cli/options.h"
#include "enrich/enrich.h"
#include "out/out.h"
#include "source/live.h"
#include "sym/ksyms.h"
#include "track/derive.h"
#include "track/track.h"

struct recorder;
struct sources;
struct replay;

struct session {
	const struct watch_options *o;
	struct live *live; /* NULL: a replay */
	struct enrich *enrich;
	struct replay *replay;	   /* NULL: of what happens now */
	struct recorder *recorder; /* NULL: nothing is recorded */
	/* A replay's filters: is this event, of tl (NULL: not known), of what is asked for? NULL: all are. */
	bool (*wanted)(const struct session *s, const struct rec_event *e,
		       const struct timeline *tl);
	const char *host; /* of a replay of several; NULL: it needn't be said */
	uint64_t events;
	/* Hears of each verdict that is printed; NULL: nobody. */
	void (*tell)(void *arg, const struct verdict *v);
	void *tell_arg;
	struct nft_trace *trace; /* NULL: not asked for */
	bool trace_lost;	 /* that it lost messages has been said */
	struct ksyms *ksyms;	 /* NULL: addresses are hidden */
	uint64_t ksyms_ns;
	uint64_t modules;	 /* fingerprint of those that ksyms knows */
	struct lines *lines;	 /* NULL: no debug information */
	struct sources *sources; /* NULL: source lines are not to be had */
	uint64_t stext;		 /* the address of _stext, 0 unknown */
	struct world *world;
	struct derive derive;
	struct track *track;
	struct incidents *incidents;
	struct out_options out;
	uint64_t started_ns;
	uint64_t refused; /* lookups */
	uint64_t invalid_lookups;
	uint64_t lost;	     /* events, as of the last look */
	uint64_t lost_ns;    /* when that last grew */
	uint64_t covered_ns; /* when hook functions were last enumerated */
	bool broken_output;  /* whoever read it is gone */
};

int session_open(struct session *s, const struct watch_options *o);
void session_close(struct session *s);

/* A record from the kernel, or from a lookup. */
void session_event(void *session, struct rec_hdr *rec);
void session_lookup(void *session, const struct rec_hdr *rec);
/* Asks what is open, judges what is ripe, prints. */
void session_step(struct session *s, uint64_t now);
/* Steps through all that is due until ns, in its order. */
void session_step_to(struct session *s, uint64_t ns);
/*
 * Is it too early for what happened at this time? A verdict that waits for source lines is made of what was known when it
 * was due, as a replay makes it.
 */
bool session_holds(const struct session *s, uint64_t ns);
/* When to step again at the latest: CLOCK_MONOTONIC, UINT64_MAX never. */
uint64_t session_next_ns(const struct session *s);
/* Have as many verdicts been printed as the user wanted? */
bool session_enough(const struct session *s);
/* cover.c: puts probes on the hook functions that have none; 0 or a negative errno. */
int session_cover_hooks(struct session *s);
/* When to do so, CLOCK_MONOTONIC; UINT64_MAX: not needed. */
uint64_t session_cover_next_ns(const struct session *s);
/* trace.c: --nft-trace. 0, or a negative errno after it has said why. */
int session_trace_open(struct session *s, const struct config *c);
/* Takes what has come; says once if something was lost. */
void session_trace_take(struct session *s);
/* Says what was lost in all. */
void session_trace_end(const struct session *s);
void session_load_symbols(struct session *s);
/*
 * What is at addr; the symbols are read again, not all the time, if none is known. call: the address is one
 * that a call returns to, which may already be the next function's.
 */
bool session_find_symbol(struct session *s, uint64_t addr, bool call, struct rec_symbol *ret);
/* Takes the source lines that were found. */
void session_take_sources(struct session *s);
/* Until when they are waited for, CLOCK_MONOTONIC; 0: none is. */
uint64_t session_sources_until(const struct session *s);
/* Looks up whose the namespaces are that the summary will name and nothing has asked for yet. */
void session_ask_names(struct session *s);
void session_print_summary(struct session *s, bool command, int status);

#endif
