/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between capture_flow.c, which keeps the connections, and capture_tcp.c, which knows what their packets mean. */
#ifndef TCPWHY_CAPTURE_PRIVATE_H
#define TCPWHY_CAPTURE_PRIVATE_H

#include "record/record.h"
#include "source/capture_flow.h"

#include <uthash.h>

/* How far packets of one moment may stand from where they belong. */
#define DISORDER_NS (50 * NSEC_PER_MSEC)
/* Of each end, to tell copies of one packet. */
#define RECENT 4

/* One end of a connection. */
struct end {
	struct rec_captured_end so_far;
	struct capture_packet recent[RECENT];
	unsigned n_recent;
	bool next_known, ack_known;
};

struct flow {
	struct rec_tuple key; /* canonical */
	struct end ends[2];   /* the source of key, its destination */
	uint64_t first_ns, last_ns;
	int client;		    /* which end; -1 not known */
	struct capture_packet syn;  /* the first of the attempt */
	struct capture_packet last; /* but for resets */
	uint64_t syn_ns;	    /* of the last one */
	uint16_t syn_id;	    /* and its IP id */
	uint32_t syns;
	bool answered;	/* something came of the attempt, or may have */
	bool old_alive; /* the connection before this attempt was not over */
	/* What ended it, if anything: CAPTURED_…, 0: nothing has. */
	unsigned ended;
	struct capture_packet end;
	struct rec_captured_end before[2]; /* both ends when that came */
	uint64_t answers_ns;
	uint32_t ended_syns;
	bool misfit;
	UT_hash_handle hh;
};

static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* Which end sent the packet. */
static inline int end_of(const struct flow *flow, const struct capture_packet *p)
{
	return addr_equal(p->tuple.src, flow->key.src) && p->tuple.sport == flow->key.sport ? 0 : 1;
}

/* What happened to the connection with this packet: as it stands now. */
void flow_note(struct flow *flow, unsigned what, const struct capture_packet *p);

/* Has it been reset, or have both ends closed it? */
bool flow_is_over(const struct flow *flow);
/* Is this SYN the one that the connection began with? */
bool flow_is_same_attempt(const struct flow *flow, int from, const struct capture_packet *p);
/* What a segment means, by its flags. */
void flow_take_syn(struct flow *flow, int from, const struct capture_packet *p);
void flow_take_syn_ack(struct flow *flow, int from);
void flow_take_reset(struct flow *flow, int from, const struct capture_packet *p);
void flow_take_other(struct flow *flow, int from, const struct capture_packet *p);

#endif
