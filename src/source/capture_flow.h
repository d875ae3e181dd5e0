/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections of a capture: takes its packets, and tells as CAPTURED events what failed, as far as packets
 * show that. One connection counts once, however often each of its packets was captured (on several interfaces).
 */
#ifndef TCPWHY_CAPTURE_FLOW_H
#define TCPWHY_CAPTURE_FLOW_H

#include "source/capture_packet.h"

struct capture_flows;

/* tell: valid during the call; 0, or a negative errno that ends everything. */
typedef int capture_tell_fn(void *arg, const struct rec_hdr *rec);
int capture_flows_new(capture_tell_fn *tell, void *arg, struct capture_flows **ret);
void capture_flows_free(struct capture_flows *f);

/* In the order of the capture, which need not quite be that of time. 0, -ENOMEM, or what tell returned. */
int capture_flows_take(struct capture_flows *f, const struct capture_packet *p);
/* Nothing more comes: tells of what is left. */
int capture_flows_end(struct capture_flows *f);
/* When the last packet came, the time of day; 0: none has. */
uint64_t capture_flows_last_ns(const struct capture_flows *f);

#endif
