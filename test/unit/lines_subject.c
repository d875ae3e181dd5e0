/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What test_lines.c looks at: built with debug information, as if it were a kernel. Never run. */

#define NOPS __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop")
#define FUNCTION __attribute__((noinline, used))

/* Symbols of assembler, without type and size: the first of all, and an alias. */
__asm__(".text\n.globl _stext\n_stext:\n.globl stext_alias\nstext_alias:\nnop; nop; nop; nop\n");

#line 20 "/tree/include/linux/./inner.h"
static inline __attribute__((always_inline)) void inner(void)
{
	NOPS;
}

#line 30 "/tree/include/net/../net/middle.h"
static inline __attribute__((always_inline)) void middle(void)
{
	inner();
}

#line 100 "/tree/net/ipv4/outer.c"
FUNCTION void outer(void)
{
	middle();
}

#line 200 "/tree/net/ipv4/twin.c"
static FUNCTION void twin(void)
{
	NOPS;
}

#line 300 "/tree/init/main.c"
FUNCTION void start_kernel(void)
{
	NOPS;
	twin();
}

int main(void)
{
	return 0;
}
