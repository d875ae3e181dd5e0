/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What test_user_file.c reads: functions with one address, functions without a size, a static one. */
__asm__(".text\n"
	".globl odd_one, _odd_one, odd_alias\n"
	".type odd_one, %function\n"
	".type _odd_one, %function\n"
	".type odd_alias, %notype\n"
	"odd_alias:\n"
	"_odd_one:\n"
	"odd_one:\n"
	"	.byte 0\n"
	"	.byte 0\n"
	".size odd_one, 2\n"
	".size _odd_one, 2\n"
	".globl odd_endless\n"
	".type odd_endless, %function\n"
	"odd_endless:\n" /* without a size */
	"	.byte 0\n"
	"	.byte 0\n"
	"	.byte 0\n"
	".size odd_endless, 0\n"
	".globl odd_last\n"
	".type odd_last, %function\n"
	"odd_last:\n"
	"	.byte 0\n"
	".size odd_last, 1\n");

static __attribute__((noinline)) int odd_hidden(int n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 1;
}

int odd_seen(int n);
__attribute__((noinline)) int odd_seen(int n)
{
	return odd_hidden(n) * 3;
}

int main(int argc, char **argv)
{
	(void)argv;
	return odd_seen(argc) == 0;
}
