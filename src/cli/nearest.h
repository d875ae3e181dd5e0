/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "did you mean …?" */
#ifndef TCPWHY_CLI_NEAREST_H
#define TCPWHY_CLI_NEAREST_H

#include "base/base.h"

/*
 * Edits (insert, delete, replace, swap of neighbours) from a to b; words longer than 63 bytes are
 * never near.
 */
unsigned int edit_distance(const char *a, const char *b);

struct nearest {
	const char *asked;
	const char *word; /* the best so far, NULL if none is near enough to suggest */
	unsigned int distance;
};

/* Offers one candidate. */
void nearest_offer(struct nearest *n, const char *word);

#endif
