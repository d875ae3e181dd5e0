/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's memory, read by a BPF program that nothing is attached to, and where in it the members
 * of its structs are. For any thread of the process; one read at a time.
 */
#ifndef TCPWHY_ENRICH_KMEM_H
#define TCPWHY_ENRICH_KMEM_H

#include "base/base.h"

/*
 * Loads the program, unless it is loaded. Needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN; the reads,
 * where sysctl kernel.unprivileged_bpf_disabled is set and the kernel old, CAP_BPF or CAP_SYS_ADMIN. 0;
 * -EPERM without privilege, or where lockdown=confidentiality; or another negative errno.
 */
int kmem_open(void);
void kmem_close(void);

/* Opens it if need be. 0; -EFAULT if nothing is there; or what kmem_open says. */
int kmem_read(uint64_t addr, void *buf, size_t len);
/* The calling thread's struct task_struct. */
int kmem_current_task(uint64_t *ret);
/* struct net of the namespace that the calling thread is in. */
int kmem_current_net(uint64_t *ret);

/* Something of the kernel's types: asked for by the first three members, found the others. */
struct kmem_member {
	const char *type;   /* a struct, union or enum: "net" */
	const char *member; /* "nf.hooks_ipv4", of an enum "NF_HOOK_OP_BPF"; NULL: the type itself */
	const char *module; /* whose BTF has it where the kernel's own has not; NULL: none */
	bool found;
	uint8_t shift, bits; /* of a bit-field, in the byte at `at`; bits 0: it is none */
	uint32_t at;	     /* bytes from the start of the struct; of an enum: the value */
	uint32_t size;	     /* bytes */
	uint32_t count;	     /* elements, if it is an array */
};

/* Finds n members in the BTF of the kernel and of its modules. 0; -ENODATA: no BTF. */
int kmem_find(struct kmem_member *v, size_t n);

/* The member, at most 8 bytes of it, of a struct that was read into base. */
uint64_t kmem_value(const struct kmem_member *m, const void *base);

#endif
