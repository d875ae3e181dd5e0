/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small part of the kernel's BTF, so that relocating the programs doesn't search all of it. */
#ifndef TCPWHY_SOURCE_BTF_TRIM_H
#define TCPWHY_SOURCE_BTF_TRIM_H

#include <bpf/btf.h>

/*
 * The structs and unions of `from` that `programs` (the BTF of a BPF object) names too, with what
 * they embed, written to fd as BTF. 0 or a negative errno.
 *
 * libbpf 1.1 compares the name of every type of the kernel (120,000 and more) with each type that
 * a program touches (tools/lib/bpf/libbpf.c bpf_core_add_cands), half of the time to load them.
 */
int btf_trim(const struct btf *from, const struct btf *programs, int fd);

#endif
