/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a packet was dropped, on kernels before 5.17 (commit c504e5c2f964), which don't say: derived from
 * the function that dropped it, and from what was seen of the same packet just before.
 */
#ifndef TCPWHY_DERIVE_H
#define TCPWHY_DERIVE_H

#include "track/world.h"

#define DERIVE_RESETS 64

struct derive {
	struct {
		struct rec_tuple tuple; /* of the packet that was answered */
		uint64_t ns;
		bool by_socket;
	} resets[DERIVE_RESETS]; /* the last ones, sent by TCP itself */
	unsigned next;
};

/*
 * To be called for every event, in order, once its symbols are in w. Fills reason_name and has_reason
 * (REASON_DERIVED) of a drop without reason, if it can be derived.
 */
void reason_derive(struct derive *d, const struct world *w, struct rec_event *e);

#endif
