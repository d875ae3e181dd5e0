/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's text symbols, modules and BPF programs included, from /proc/kallsyms. */
#ifndef TCPWHY_KSYMS_H
#define TCPWHY_KSYMS_H

#include "abi/record.h"

#include <stddef.h>

struct ksyms;

/*
 * Reads path (NULL: /proc/kallsyms) once; text symbols only. 0, -EPERM if the addresses are hidden
 * (all zero), or another negative errno. What is loaded later (modules, BPF programs) is not found.
 */
int ksyms_load(const char *path, struct ksyms **ret);
void ksyms_free(struct ksyms *k);

/* Fills name, module, offset, func_size of ret for addr. 0, or -ENOENT. */
int ksyms_find(const struct ksyms *k, uint64_t addr, struct rec_symbol *ret);
/*
 * Fills addrs with the addresses of the n functions of these names, in one pass; 0 where there is none of
 * that name, or several at different addresses: names of static functions need not be unique.
 */
void ksyms_locate(const struct ksyms *k, const char *const names[], size_t n, uint64_t addrs[]);

#endif
