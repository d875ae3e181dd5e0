/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One packet of a capture, from its bytes, of which nothing is trusted and the end may be missing. */
#ifndef TCPWHY_CAPTURE_PACKET_H
#define TCPWHY_CAPTURE_PACKET_H

#include "abi/record.h"
#include "base/base.h"

struct capture_packet {
	uint64_t ns;		/* time of day */
	struct rec_tuple tuple; /* of an ICMP error: of the packet that it quotes */
	uint32_t seq, ack;
	uint32_t payload;
	uint32_t ip_len;
	uint16_t ip_id; /* IPv4 only */
	uint16_t window;
	uint16_t vlan; /* 0: none */
	uint8_t flags; /* of TCP */
	uint8_t ttl;
	bool icmp; /* an ICMP error, by icmp_src */
	uint8_t icmp_type, icmp_code;
	uint8_t icmp_src[16];
};

/* Is this kind of link (libpcap's DLT_*) understood? */
bool capture_link_known(int link);

/*
 * The TCP segment or the ICMP error about TCP or UDP in `len` bytes of a packet that had `wire`. False:
 * something else, a later fragment, or what it takes was not captured.
 */
bool capture_packet(int link, const uint8_t *data, size_t len, size_t wire,
		    struct capture_packet *ret);

#endif
