/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ELF file of a process, a program or a library: its functions, and where each keeps the address that it returns to.
 * Files may be anybody's: nothing in them is believed.
 */
#ifndef TCPWHY_USER_FILE_H
#define TCPWHY_USER_FILE_H

#include "sym/build_id.h"

struct user_file;

struct user_symbol {
	const char *name;
	uint64_t offset; /* from its start */
};

/* Registers of a thread in one of its functions. 0: not known. */
struct user_regs {
	uint64_t pc, sp, bp;
	int link; /* bp is that many links up the chain of frame pointers; negative: not on it */
};

enum user_cfa { CFA_UNKNOWN, CFA_BY_SP, CFA_BY_BP };

/* At one place of the code: how to get to the caller. */
struct user_rule {
	enum user_cfa cfa;  /* the stack pointer after the return is this register … */
	int64_t cfa_offset; /* … and that; the return address lies below */
	bool outermost;
	bool bp_saved;
	int64_t bp_offset; /* of the caller's frame pointer, from the stack pointer after the return */
};

/*
 * Reads what fd is; fd may be closed then. 0; -ENOEXEC if it is no ELF file of this machine, or one that ends too soon; or
 * another negative errno.
 */
int user_file_read(int fd, struct user_file **ret);
/*
 * Takes the functions from the debug file fd. 0; -ESTALE if it belongs to another build (or one of the two has no build id
 * to tell); -ENODATA if it has none; or another negative errno.
 */
int user_file_debug(struct user_file *f, int fd);
void user_file_free(struct user_file *f);

const char *user_file_build_id(const struct user_file *f); /* "" none */
/* The name that .gnu_debuglink gives to the file with the rest of the symbols; "" none, or it is whole. */
const char *user_file_debuglink(const struct user_file *f);
/* Have its static functions names, too? */
bool user_file_is_whole(const struct user_file *f);

/* From a place in the file to the address that symbols have. 0 or -ENOENT. */
int user_file_address(const struct user_file *f, uint64_t offset, uint64_t *ret);
/* What is at such an address: 0 or -ENOENT. */
int user_file_symbol(const struct user_file *f, uint64_t addr, struct user_symbol *ret);
/* 0, or -ENOENT: nothing is said of it. */
int user_file_rule(struct user_file *f, uint64_t addr, struct user_rule *ret);

#endif
