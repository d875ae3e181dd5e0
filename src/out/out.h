/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output: text for people, JSON lines for programs. Both walk the same field tables. */
#ifndef TCPWHY_OUT_H
#define TCPWHY_OUT_H

#include "abi/record.h"
#include "base/base.h"
#include "diagnose/verdict.h"

struct out_symbols { /* resolves a stack's address; name NULL if unknown */
	const struct rec_symbol *(*find)(void *arg, uint64_t addr);
	void *arg;
};

struct out_count { /* one exact counter for the summary */
	struct count_key key;
	struct count_value value; /* sums over CPUs */
	char reason[40];
	char location[112]; /* "tcp_v4_rcv+0x596", may be empty */
	char netns[64];
};

struct out_step { /* of a histogram */
	uint64_t from_us;
	uint64_t count;
};

struct out_connects {		/* what became of connect() to one destination */
	struct connect_key key; /* all 0: other destinations */
	struct connect_value value;
	char netns[64];
	VEC(struct out_step) latency; /* filled where it is printed */
};

struct out_stack {	  /* a row of what was counted: all rows of the kernel's that read alike */
	const char *kind; /* "drop" */
	char reason[40];
	char location[112];    /* as out_count's */
	struct rec_tuple flow; /* proto 0: not counted by flow */
	VEC(char *) frames;    /* innermost first */
	VEC(char *) path;      /* their labels in the order of time */
	uint64_t count;	       /* since the last table */
	uint64_t total;
};

struct out_stacks {
	uint64_t wall_ns;
	uint64_t interval_ns; /* that `count` is of */
	bool all;	      /* of everything since the beginning */
	int by;		      /* enum stacks_by */
	uint64_t seen;	      /* = the rows' counts + rest + others */
	uint64_t rest;	      /* of rows that are not shown */
	uint64_t others; /* without a row: the kernel's table was full, or no program saw them */
	VEC(struct out_stack) rows; /* most first */
};

struct out_end { /* of a connection: what one host says of it */
	char host[64];
	uint64_t verdict; /* its id there */
	char cause[48];
	char certainty[12];
};

struct out_joined {
	struct rec_tuple flow; /* to the service, where that is known */
	char community[48];
	VEC(struct out_end) ends;
};

struct out_summary {
	uint64_t seen, shown, suppressed, lost; /* events: seen = shown + suppressed + lost */
	uint64_t questions_unanswered;		/* lookups refused by the rate limit */
	uint64_t evicted;			/* timelines given up for want of room */
	uint64_t duration_ns;
	VEC(struct out_count) counts;
	VEC(struct {
		const char *cause;
		uint64_t incidents;
		uint64_t events;
	})
	verdicts;
	bool command;	    /* a command was run */
	int command_status; /* its exit status */
};

struct out_options {
	FILE *to;
	bool color;
	bool stacks; /* kernel (and user) stacks below records and verdict evidence */
	int width;   /* columns of text, 0: 100 */
};

/* One verdict, as a block of text; one object on a line. */
void text_verdict(const struct out_options *o, const struct verdict *v);
void jsonl_verdict(const struct out_options *o, const struct verdict *v);
/* The connect() of verdict v, which it was still trying by then, has failed. */
void text_connect_end(const struct out_options *o, const struct verdict *v, const struct ledger *l);
void jsonl_connect_end(const struct out_options *o, const struct verdict *v,
		       const struct ledger *l);
/*
 * The same incident happened again: `count` events more (of `total`) since verdict id was printed.
 */
void text_repeat(const struct out_options *o, const struct verdict *v, uint64_t count,
		 uint64_t total);
void jsonl_repeat(const struct out_options *o, const struct verdict *v, uint64_t count,
		  uint64_t total);
void text_record(const struct out_options *o, const struct rec_hdr *r,
		 const struct out_symbols *syms);
void jsonl_record(const struct out_options *o, const struct rec_hdr *r,
		  const struct out_symbols *syms);
void text_summary(const struct out_options *o, const struct out_summary *s);
void jsonl_joined(const struct out_options *o, const struct out_joined *joined);
void jsonl_summary(const struct out_options *o, const struct out_summary *s);
void text_connects(const struct out_options *o, const struct out_connects *c);
void jsonl_connects(const struct out_options *o, const struct out_connects *c);

/* height: at most so many lines; 0 all. */
void text_stacks(const struct out_options *o, const struct out_stacks *s, size_t height);
void jsonl_stacks(const struct out_options *o, const struct out_stacks *s);
/* A line for each row's stack, outermost frame first, as flame graph tools read it. */
void folded_stacks(const struct out_options *o, const struct out_stacks *s);

#endif
