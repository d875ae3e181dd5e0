/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the functions of KERNEL_FUNCTIONS this kernel has, and where their arguments are. */
#ifndef TCPWHY_SOURCE_FUNCTIONS_H
#define TCPWHY_SOURCE_FUNCTIONS_H

#include "abi/config.h"
#include "base/base.h"
#include "sym/ksyms.h"

#include <bpf/btf.h>

/* A kernel function as this kernel has it. */
struct function {
	bool found;
	uint64_t addr; /* 0 unknown: see functions_locate() */
	struct config_fn places;
	char why[64]; /* not found: why */
};

/* From the kernel's BTF, and that of the modules that the functions belong to. */
void functions_find(struct btf *vmlinux, struct function functions[FN_COUNT]);
/* Fills in their addresses, where their names are unique. */
void functions_locate(struct function functions[FN_COUNT], const struct ksyms *k);
/* The number of a function by name, -1 if there is none in KERNEL_FUNCTIONS. */
int function_number(const char *name);

#endif
