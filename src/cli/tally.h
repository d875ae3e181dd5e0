/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's counts as rows that a person reads: what reads alike is one row. */
#ifndef TCPWHY_CLI_TALLY_H
#define TCPWHY_CLI_TALLY_H

#include "abi/config.h"
#include "out/out.h"
#include "source/live.h"

struct tally;

/* Fills *ret with what is at an address that a call returns to; false: nothing is known of it. */
typedef bool (*tally_resolve)(void *arg, uint64_t addr, struct rec_symbol *ret);

int tally_new(enum stacks_by by, tally_resolve resolve, void *arg, struct tally **ret);
void tally_free(struct tally *t);

/* Before the rows of another look at the kernel's counters, */
void tally_begin(struct tally *t);
/* each of them; a live_stacks() callback, arg is the tally. */
void tally_add(void *arg, const struct live_stack *row);
/*
 * What was counted since the last tally_take(), or (all) since the beginning: the `top` most, 0 all. ret->rows
 * are the caller's to vec_free(); what they point to is the tally's.
 */
int tally_take(struct tally *t, bool all, size_t top, struct out_stacks *ret);

#endif
