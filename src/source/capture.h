/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captures of other programs (tcpdump, dumpcap, Wireshark) as a source of records: pcap and pcapng. */
#ifndef TCPWHY_CAPTURE_H
#define TCPWHY_CAPTURE_H

#include "source/capture_flow.h"

struct capture_stats {
	uint64_t packets;
	uint64_t taken; /* those that tell something: TCP, and ICMP errors about TCP and UDP */
	uint64_t first_ns;
	char link[32]; /* kind of link, "EN10MB" */
};

/*
 * Is called once, with the first packet, for the flows that the file's packets belong to; 0 or a negative errno,
 * which ends the reading.
 */
typedef int capture_flows_fn(void *arg, uint64_t first_ns, struct capture_flows **ret);

/*
 * Reads a file from memory. 0; -EBADMSG if it is no capture, is damaged or was cut off, with one sentence in why,
 * after handing over all that stands before that; -ENOTSUP, likewise, if its kind of link is not understood;
 * or what flows returned.
 */
int capture_read(const void *file, size_t size, capture_flows_fn *flows, void *arg,
		 struct capture_stats *stats, struct strbuf *why);

#endif
