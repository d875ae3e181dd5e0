/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What diagnose says of one failure. */
#ifndef TCPWHY_VERDICT_H
#define TCPWHY_VERDICT_H

#include "abi/record.h"
#include "base/base.h"
#include "diagnose/ledger.h"

enum certainty {
	CERTAINTY_UNKNOWN, /* what was seen, and what would have to be seen to tell */
	CERTAINTY_LIKELY,  /* inferred; the evidence says from what */
	CERTAINTY_CERTAIN, /* the mechanism itself was observed */
};

struct verdict_fix {
	char *command; /* a command, or what to do in words */
	char *effect;  /* what it does, its side effect included */
};

/* Of a frame of the kernel's stack; a frame with inlined functions is several. */
struct verdict_source {
	char *frame;	/* "tcp_v4_rcv+0x596" */
	char *function; /* "tcp_v4_rcv", or one that was inlined there; NULL: no lines are known */
	char *file;	/* "net/ipv4/tcp_ipv4.c" */
	uint32_t line;
	bool inlined;
};

struct verdict {
	uint64_t id; /* from 1, in order of appearance */
	uint64_t mono_ns;
	uint64_t wall_ns;  /* of the event that it is about */
	const char *cause; /* "conntrack-invalid", static */
	enum certainty certainty;
	const char *event; /* "reset sent by this host", static */
	struct rec_tuple
		flow; /* of that event: packet direction, or local -> remote for a socket's event */
	int service;  /* which end of flow is it: 1 dst, -1 src, 0 not known */
	bool any_client;      /* of the service, whoever its client is */
	bool incomplete;      /* however certain: lookups might have told more */
	uint32_t netns;	      /* inode number, 0 unknown */
	char netns_name[64];  /* for people, e.g. "host", "docker 0123456789ab"; may be empty */
	char ifname[16];      /* may be empty */
	char host[64];	      /* where it was recorded; left to the caller, empty: here */
	uint32_t events;      /* kernel events of this failure, folded into this verdict */
	char *explanation;    /* sentences for a tired person */
	VEC(char *) evidence; /* a sentence each */
	VEC(char *) stack;    /* the kernel frames of that event, innermost first */
	VEC(struct verdict_source) source; /* the same by source lines; empty if none is known */
	/* Who called connect() or close(), if that is known: pid 0, it isn't. */
	struct rec_process process;
	VEC(char *) user_stack; /* innermost first */
	char *user_stack_end;	/* a sentence, if it is not all of the stack */
	VEC(char *) path;	/* what its functions do, in plain words, in the order of time */
	VEC(char *) hit;	/* who is hit: process, container, connection */
	VEC(struct verdict_fix) fix;
	struct ledger connect; /* of the connect() that failed, if that is what it is about */
};

#define _cleanup_verdict_ _cleanup_(verdict_free)
void verdict_free(struct verdict *v);
const char *certainty_name(enum certainty c); /* "certain" */

/* Append one line of text. Out of memory: the line is missing, nothing else happens. */
void verdict_explain(struct verdict *v, const char *fmt, ...)
	_printf_(2, 3); /* joined with a space */
void verdict_evidence(struct verdict *v, const char *fmt, ...) _printf_(2, 3);
void verdict_frame(struct verdict *v, const char *fmt, ...) _printf_(2, 3);
/* A frame with its source text, "" if that isn't known. */
void verdict_source(struct verdict *v, const char *frame, const char *source);
void verdict_user_frame(struct verdict *v, const char *fmt, ...) _printf_(2, 3);
void verdict_step(struct verdict *v, const char *fmt, ...) _printf_(2, 3);
void verdict_hit(struct verdict *v, const char *fmt, ...) _printf_(2, 3);
/* effect is copied; command is formatted. */
void verdict_fix(struct verdict *v, const char *effect, const char *fmt, ...) _printf_(3, 4);

#endif
