/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Included by abi/record.h: the event that comes from no kernel, but from another program's capture. */
#ifndef TCPWHY_ABI_CAPTURED_H
#define TCPWHY_ABI_CAPTURED_H

/* CAPTURED: what the packets of a connection show. */
enum captured_what {
	CAPTURED_REFUSED = 1, /* a reset answered the SYN */
	CAPTURED_RESET,	      /* a reset came later */
	CAPTURED_ALONE,	      /* a reset, and nothing else of its connection */
	CAPTURED_UNANSWERED,  /* the SYN came again, and had no answer */
	CAPTURED_ICMP,	      /* an ICMP error answered the SYN, or the datagram */
	CAPTURED_COLLISION,   /* an ACK of another connection answered the SYN */
	CAPTURED_COUNT,
};

#define CAPTURED_SYN 0x01     /* it began the connection */
#define CAPTURED_SYN_ACK 0x02 /* it answered that */
#define CAPTURED_FIN 0x04     /* it closed */

/* What the capture has of one end's packets. */
struct rec_captured_end {
	u64 bytes;     /* payload, each byte once */
	u32 packets;   /* before the one that the event is about */
	u32 later;     /* and after it, but for resets */
	u32 next;      /* sequence number behind what it sent */
	u32 ack;       /* the last that it acknowledged */
	u8 ttl_lowest; /* of these packets */
	u8 ttl_highest;
	u8 did; /* CAPTURED_SYN… */
	u8 pad[5];
};

/* event.pkt is the packet that it is about, event.repeats counts the SYNs of the attempt. */
struct rec_captured {
	struct rec_event event; /* step: enum captured_what */
	u64 first_ns;		/* of the connection's packets in the capture */
	u64 last_ns;
	u64 end_ns;		      /* of the capture */
	u64 answers_ns;		      /* of the packet that this one answers; 0: it isn't there */
	struct rec_captured_end from; /* who sent event.pkt */
	struct rec_captured_end to;
	u8 misfit; /* RESET: its sequence number is not what the other end waits for */
	u8 alive;  /* COLLISION: the old connection's packets are there, too */
	u8 pad[6];
};

#endif
