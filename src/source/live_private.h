/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the live source share. Private to this room. */
#ifndef TCPWHY_SOURCE_LIVE_PRIVATE_H
#define TCPWHY_SOURCE_LIVE_PRIVATE_H

#include "source/functions.h"
#include "source/live.h"
#include "tcpwhy.skel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#define PROBES_MAX 32
#define WAY_PROGRAMS 6

struct names {
	char **v; /* by number */
	size_t n;
};

/* Probes that admit flows to the filters, whatever is counted. */
#define STACKS_FILTERS 0x80

/* A probe while it is being attached; the public part of it is in struct live. */
struct probe_state {
	int way;	  /* the chosen one of its definition, -1 none */
	uint32_t refused; /* ways that the kernel did not take, one bit each */
	char refused_why[128];
	struct bpf_link *links[WAY_PROGRAMS];
};

/* Probes on hook functions, and these functions if all of them have theirs. */
struct hook_links {
	VEC(struct bpf_link *) links;
	VEC(unsigned long) functions;
};

struct code_range {
	uint64_t start, end;
};

struct live {
	struct tcpwhy_bpf *skel;
	int btf_fd; /* of the types for libbpf, while it loads the programs */
	struct ring_buffer *ring;
	struct live_probe probes[PROBES_MAX]; /* nr_probes of them */
	struct probe_state states[PROBES_MAX];
	size_t nr_probes;
	uint32_t asked;	   /* tiers that the user allows, one bit each */
	uint32_t tiers;	   /* those of them that the kernel offers */
	bool prefer_other; /* one tier is asked for: its ways first */
	bool follow_forks;
	uint8_t stacks; /* what is counted only: STACKS_* and STACKS_FILTERS; 0 all is watched */
	bool kprobe_multi;
	struct hook_links hook_links;
	uint64_t hooks_known; /* value of nf_registered when they were enumerated */
	struct config_nft nft;
	struct function functions[FN_COUNT];
	char tier_why[TIER_COUNT][64];	 /* why the kernel does not offer it */
	VEC(struct code_range) own_code; /* where the programs are */
	struct names drop_reasons;
	struct names reset_reasons;
	void (*fn)(void *arg, struct rec_hdr *rec);
	void *arg;
	uint64_t seq;
	uint64_t invalid;
	struct perf_buffer *payloads; /* NULL: none are asked for */
	void (*payload_fn)(void *arg, const struct rec_payload *p, const uint8_t *bytes);
	void *payload_arg;
	uint64_t payloads_lost;
};

/* ---- payloads.c ------------------------------------------------------------------------------ */

/* Makes the buffers that they come in. 0, or a negative errno. */
int payloads_open(struct live *l);

/* ---- names.c: the kernel's reasons ----------------------------------------------------------- */

/* The members of an enum of the kernel, their common prefix taken off. Missing enum: no names. */
int names_load(const struct btf *btf, const char *type, const char *prefix, struct names *ret);
void names_free(struct names *names);
/* "" if it has none. */
const char *names_get(const struct names *names, uint32_t n);

/* Where kprobes are tried: rarely called, and never inlined, as other files call it. */
#define TRIAL_FUNCTION "tcp_check_req"

/* ---- trial.c: what does the kernel let this process do? ------------------------------------------ */

/* 0, or a negative errno: an empty program could not be loaded and attached in that way. */
int trial_trampoline(const struct btf *vmlinux);
/* The same, of a program that reads kernel memory: only loaded. */
int trial_read(void);
/* At the function TRIAL_FUNCTION, which is at addr (0 unknown). */
int trial_kprobe(uint64_t addr);
int trial_kprobe_multi(uint64_t addr);

/* ---- kprobe.c: at the entry or the return of a function, by its address, or by name if that is 0 ---- */

/* A perf event of a kprobe: its file descriptor, or a negative errno. */
int kprobe_open(const char *function, uint64_t addr, bool at_return);
/* NULL and errno on failure. */
struct bpf_link *kprobe_attach(struct bpf_program *prog, const char *function, uint64_t addr,
			       bool at_return);
/* The same through the faster kprobe.multi, which is there from 5.18 on. */
struct bpf_link *kprobe_attach_fast(struct bpf_program *prog, const char *function, uint64_t addr,
				    bool at_return);
/* One program at the entry of n functions; all or none. */
struct bpf_link *kprobe_attach_multi(struct bpf_program *prog, const unsigned long *addrs,
				     size_t n);

#define OWN_FRAMES 2u

/* ---- own_code.c ------------------------------------------------------------------------------ */

/* Notes where the kernel put the programs. */
void own_code_find(struct live *l);
/* How many of these frames are a program's and its caller's. */
unsigned own_code_frames(const struct live *l, const uint64_t *frames, unsigned n);
/* Takes them off the kernel stack. */
void own_code_skip(const struct live *l, struct rec_event *e);

/* ---- stacks.c -------------------------------------------------------------------------------- */

/* How many rows and stacks there is room for; before the programs are loaded. */
void stacks_size(const struct live *l);

/* ---- counts.c -------------------------------------------------------------------------------- */

/* Events that no program saw: one that interrupts the same program on its CPU is not run. */
uint64_t counts_missed(const struct live *l);

/* ---- nft_layout.c ---------------------------------------------------------------------------- */

/* Where nftables' structs have what the programs read; all 0 where nothing tells. */
void nft_layout(struct btf *vmlinux, struct config_nft *ret);

/* ---- hooks.c --------------------------------------------------------------------------------- */

void hook_links_free(struct hook_links *links);

/* ---- probes.c -------------------------------------------------------------------------------- */

/* Asks the kernel which tiers it offers. */
void probes_init(struct live *l, const struct btf *vmlinux);
/*
 * Chooses for each probe the first way that this kernel has and did not refuse yet; programs of other
 * ways aren't loaded.
 */
void probes_choose(struct live *l, const struct btf *vmlinux);
/* Was a way chosen for the errors that sockets report? */
bool probes_report_errors(const struct live *l);
/* Are the programs there that hook functions get? */
bool probes_watch_hooks(const struct live *l);
/* A program could not be loaded: its way is refused. False: it belongs to no probe. */
bool probes_refuse(struct live *l, const char *program, int err);
/* Attaches; true if a way was refused in doing so, so that another one has to be loaded. */
bool probes_attach(struct live *l);
void probes_detach(struct live *l);

#endif
