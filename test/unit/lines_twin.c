/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A second function called twin, of another size: see lines_subject.c. */

#line 200 "/tree/net/ipv6/twin.c"
static __attribute__((noinline, used)) void twin(void)
{
	__asm__ volatile("nop; nop; nop; nop");
	__asm__ volatile(".skip 64, 0");
}
