/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file with debug information: the kernel's vmlinux or a module. */
#ifndef TCPWHY_DEBUG_FILE_H
#define TCPWHY_DEBUG_FILE_H

#include "base/base.h"

struct debug_file;

struct debug_symbol {
	const char *name;
	uint64_t addr;
	uint64_t size; /* up to the next symbol, as /proc/kallsyms has it */
};

/* 0; -ENODATA if it is no ELF file or has no debug information; or another negative errno. */
int debug_open(const char *path, struct debug_file **ret);
void debug_close(struct debug_file *d);

/* The functions of that name: *ret is the first of as many as are returned. */
size_t debug_functions(const struct debug_file *d, const char *name,
		       const struct debug_symbol **ret);

/*
 * Where the source tree lies as the compiler saw it, with a slash at its end; "" if nothing tells: what
 * stands before "init/main.c".
 */
const char *debug_tree(struct debug_file *d);

/*
 * Appends where addr comes from, function by function, from the outermost inwards:
 * "tcp_v4_rcv net/ipv4/tcp_ipv4.c:2226; __inet_lookup include/net/inet_hashtables.h:436". symbol names the function where
 * the debug information doesn't (assembler); tree is left out. 0 or -ENOENT.
 */
int debug_source(struct debug_file *d, const char *symbol, uint64_t addr, const char *tree,
		 struct strbuf *out);

#endif
