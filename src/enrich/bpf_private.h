/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files that look for attached BPF programs, each at its own places. */
#ifndef TCPWHY_ENRICH_BPF_PRIVATE_H
#define TCPWHY_ENRICH_BPF_PRIVATE_H

#include "enrich/bpf.h"
#include "enrich/lookup.h"
#include "enrich/netlink.h"

#include <linux/bpf.h>

/* At most so many programs of one place are looked at. */
#define BPF_IDS_MAX 64

struct bpf_found {
	struct lookup *l;
	struct rec_bpf_prog v[LOOKUP_RECORDS_MAX];
	size_t n;
};

/*
 * Notes a program at a place. What the kernel says of the program itself is filled in; name is for
 * what has no id.
 */
void bpf_note(struct bpf_found *f, enum bpf_place place, uint32_t id, const char *name,
	      const char *where);

/*
 * The ids of what is attached to target (a cgroup's file descriptor, or an ifindex: they share a
 * place in the kernel's union). 0 or a negative errno.
 */
int bpf_query(int target, enum bpf_attach_type type, uint32_t flags, uint32_t ret_ids[BPF_IDS_MAX],
	      uint32_t *ret_n);

/* The programs of tc filters on a device that can drop, in the thread's namespace. */
int bpf_tc_find(struct bpf_found *f, struct nl *nl, uint32_t ifindex);

/* Those that run for the sockets of a cgroup (v2), with those of its ancestors. */
int bpf_cgroup_find(struct bpf_found *f, uint64_t cgroup);

/* Fills `pinned` of what is pinned somewhere below /sys/fs/bpf, by itself or by its link. */
void bpf_pins_fill(struct bpf_found *f);

#endif
