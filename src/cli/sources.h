/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source lines of symbols, found by a thread of their own. */
#ifndef TCPWHY_CLI_SOURCES_H
#define TCPWHY_CLI_SOURCES_H

#include "abi/record.h"
#include "sym/lines.h"

struct sources;

/* Starts the thread, which alone uses lines until sources_close(). 0 or a negative errno. */
int sources_open(struct lines *lines, struct sources **ret);
void sources_close(struct sources *s);

/*
 * Asks for the line of the call that returns to sym's address, once for each. stext: the address of _stext, 0 unknown.
 */
void sources_ask(struct sources *s, const struct rec_symbol *sym, uint64_t stext);
/* Is readable when there are answers. */
int sources_fd(const struct sources *s);
/* Calls fn for each symbol that now has its source. */
void sources_take(struct sources *s, void (*fn)(void *arg, const struct rec_symbol *sym),
		  void *arg);
/* Since when answers are being waited for, CLOCK_MONOTONIC; 0: they aren't. */
uint64_t sources_busy_since(struct sources *s);

#endif
