/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connect() that failed, step by step: its SYNs, what came back, and how it ended. */
#ifndef TCPWHY_LEDGER_H
#define TCPWHY_LEDGER_H

#include "abi/record.h"
#include "base/base.h"

enum syn_fate {
	SYN_NOT_SEEN, /* sent, by the socket's count or timer; no probe saw where it went */
	SYN_LEFT,     /* through a device, and nothing else was seen of it */
	SYN_DROPPED,
	SYN_REJECTED, /* by a rule, which answered */
	SYN_NOT_SENT, /* the kernel could not send it: an error of its own */
};

struct ledger_syn {
	uint64_t after_ns; /* since the first one */
	uint8_t fate;	   /* enum syn_fate */
	bool data;	   /* it carried data: TCP Fast Open */
	char ifname[16];   /* the device that it left through, empty: none was seen */
	char *by;	   /* dropped, rejected: by what, and where; NULL: see fate */
};

struct ledger_answer {
	uint64_t after_ns; /* since the first SYN, 0 unknown */
	char *what;	   /* "reset from 10.0.0.2:80" */
	const char *taken; /* "accepted", "ignored", "dropped", static */
	char *why;	   /* NULL: nothing to add */
};

struct ledger {
	bool known;    /* is there one? */
	bool over;     /* the connect() has ended */
	bool given_up; /* … as its process closed the socket; there is no errno */
	int32_t err;
	struct rec_tuple flow;
	struct rec_tuple translated; /* of the SYNs as they left, if that is another tuple */
	uint32_t pid;		     /* who called connect(), 0 unknown */
	char comm[16];
	char container[80];
	uint64_t end_wall_ns; /* over: when */
	uint64_t took_ns;     /* from connect() to its end, or to what was seen last; 0 unknown */
	uint32_t more_syns;   /* of which not even the time is known */
	VEC(struct ledger_syn) syns;
	VEC(struct ledger_answer) answers;
};

void ledger_free(struct ledger *l);
const char *syn_fate_name(unsigned fate); /* "left" */

#endif
