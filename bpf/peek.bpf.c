// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * Reads the kernel's memory for lookups: src/enrich/kmem.c runs these programs itself, with
 * BPF_PROG_TEST_RUN; nothing is attached. No access needs CO-RE, so that loading needs no BTF of the
 * kernel's: what is where, user space knows.
 */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>

#define PEEK_MAX 4096

u8 peeked[PEEK_MAX];
u64 peeking_task; /* struct task_struct of the calling thread */

/* Arguments: an address, how many bytes. */
SEC("raw_tp")
int peek(u64 *args)
{
	u64 len = args[1];

	if (len > PEEK_MAX)
		return -1;
	return (int)bpf_probe_read_kernel(peeked, (u32)len, (const void *)args[0]);
}

SEC("raw_tp")
int peek_task(void *ctx)
{
	(void)ctx;
	peeking_task = bpf_get_current_task();
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
