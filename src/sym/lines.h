/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source lines of places in the kernel, from debug information, if there is any: slow the first time (up to a second
 * and a half), so never to be called where events wait. Found lines are kept on disk.
 *
 * A source text (record/source_text.h) names file and line in the function itself, then of each function inlined
 * there, inwards: "tcp_v4_rcv net/ipv4/tcp_ipv4.c:2226; __inet_lookup_skb include/net/inet_hashtables.h:520".
 */
#ifndef TCPWHY_LINES_H
#define TCPWHY_LINES_H

#include "base/base.h"

struct lines;

struct lines_options {
	const char *vmlinux;   /* the file to use, NULL: what is found */
	bool any_kernel;       /* vmlinux may be of another kernel than runs here */
	const char *root;      /* before the paths of the host, NULL: "" */
	const char *cache_dir; /* NULL: line_cache_dir() */
};

/* A place, as a stack trace names it. */
struct lines_place {
	const char *name;   /* of the function */
	const char *module; /* "": the kernel itself */
	uint64_t offset;    /* from the function's start */
	uint64_t size;	    /* of the function; 0 unknown */
	uint64_t start; /* the function's address less that of _stext: tells namesakes apart; 0 unknown */
};

struct lines_match { /* functions may have the same name */
	uint64_t start;
	uint64_t size;
	char *source; /* "": nothing is known of it */
};

typedef VEC(struct lines_match) lines_matches;
void lines_matches_free(lines_matches *m);

/*
 * Looks where debug information is. 0; -ENOENT if there is none; another negative errno if what was found or
 * given can't be used. why: one sentence.
 */
int lines_open(const struct lines_options *o, struct lines **ret, struct strbuf *why);
/* Writes what was found, and gives the memory back that it took. */
void lines_rest(struct lines *l);
void lines_close(struct lines *l);
/* For another thread: what takes long now is to end soon. */
void lines_stop(struct lines *l);
/* The file used for the kernel itself; "": to be fetched by debuginfod. */
const char *lines_path(const struct lines *l);

/* Appends the source text: 0; -ENOENT unknown; -ENOTUNIQ: several functions fit. */
int lines_find(struct lines *l, const struct lines_place *at, struct strbuf *ret);
/* All functions that fit by name, size and offset: how many, or a negative errno (-ENOENT: no debug information). */
int lines_all(struct lines *l, const struct lines_place *at, lines_matches *ret);

#endif
