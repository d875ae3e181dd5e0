/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recording as a source of records: reads pcapng files from memory, trusting nothing in them. */
#ifndef TCPWHY_PCAPNG_READ_H
#define TCPWHY_PCAPNG_READ_H

#include "record/codec.h"

struct recording {
	const char *host; /* "" not told */
	const char *run;  /* tells runs of tcpwhy apart */
	const char *version;
};

/* What is handed over is valid during the call. Each returns 0, or a negative errno that ends the reading. */
struct pcapng_sink {
	int (*recording)(void *arg, const struct recording *r); /* of what follows */
	/* rec is validated. run: if it says itself what it is of, as in files that were merged; else NULL. */
	int (*record)(void *arg, const struct rec_hdr *rec, const char *run);
	int (*loss)(void *arg, uint64_t mono_ns);
	void *arg;
};

struct pcapng_stats {
	uint64_t records;
	uint64_t entries; /* of ours, these and others */
	uint64_t packets; /* not read */
	uint64_t unknown; /* records of a kind that this version doesn't know */
	uint64_t bad;	  /* records that make no sense */
};

/*
 * 0; -EBADMSG if the file is damaged or was cut off, with one sentence in why, after handing over all
 * that stands before that; or the sink's error. why also has a sentence about the first bad record.
 */
int pcapng_read(struct codec *codec, const void *file, size_t size, const struct pcapng_sink *sink,
		struct pcapng_stats *stats, struct strbuf *why);

#endif
