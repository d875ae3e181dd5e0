/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has come in since the last time, from the kernel and from lookups, in the order in which it
 * happened. However late it is read, the verdicts are those that a replay gives.
 */
#ifndef TCPWHY_CLI_INFLOW_H
#define TCPWHY_CLI_INFLOW_H

#include "cli/session.h"

struct inflow {
	struct session *s;
	struct strbuf recs; /* one behind the other */
	VEC(struct arrival {
		uint64_t ns; /* CLOCK_MONOTONIC: of an event; of the answer that a lookup belongs to */
		size_t at; /* in recs */
		bool lookup;
	})
	order; /* by time; between two calls only what happened while the last ones were taken, or is too early */
	bool ends; /* take all: nothing is waited for any more */
};

/*
 * Takes what has happened until now, and steps through what is due. What happens meanwhile waits for the
 * next time: of that, not all may be there yet.
 */
void inflow_take(struct inflow *in);
/* CLOCK_MONOTONIC, when there is something to do even if nothing else comes in; UINT64_MAX: never. */
uint64_t inflow_next_ns(const struct inflow *in);
void inflow_free(struct inflow *in);

#endif
