/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the live source share. Private to this room. */
#ifndef TCPWHY_SOURCE_LIVE_PRIVATE_H
#define TCPWHY_SOURCE_LIVE_PRIVATE_H

#include "source/live.h"
#include "tcpwhy.skel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#define PROBES_MAX 16

struct names {
	char **v; /* by number */
	size_t n;
};

struct live {
	struct tcpwhy_bpf *skel;
	int btf_fd; /* of the types for libbpf, while it loads the programs */
	struct ring_buffer *ring;
	struct live_probe probes[PROBES_MAX]; /* nr_probes of them */
	struct bpf_link *links[PROBES_MAX];
	size_t nr_probes;
	struct names drop_reasons;
	struct names reset_reasons;
	void (*fn)(void *arg, struct rec_hdr *rec);
	void *arg;
	uint64_t seq;
	uint64_t invalid;
};

/* ---- names.c: the kernel's reasons ----------------------------------------------------------- */

/* The members of an enum of the kernel, their common prefix taken off. Missing enum: no names. */
int names_load(const struct btf *btf, const char *type, const char *prefix, struct names *ret);
void names_free(struct names *names);
/* "" if it has none. */
const char *names_get(const struct names *names, uint32_t n);

/* ---- probes.c -------------------------------------------------------------------------------- */

/* Chooses the form of each probe that this kernel's tracepoint fits; the others aren't loaded. */
void probes_choose(struct live *l, const struct btf *btf, bool tasks);
void probes_attach(struct live *l);

#endif
