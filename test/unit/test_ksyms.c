/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off: cmocka wants these before itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "base/base.h"
#include "sym/ksyms.h"

#include <sys/mman.h>

/* Loads text as if it were /proc/kallsyms. */
static int load(const char *text, size_t len, struct ksyms **ret)
{
	_cleanup_close_ int fd = memfd_create("kallsyms", MFD_CLOEXEC);
	char path[32];

	*ret = NULL;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return ksyms_load(path, ret);
}

static struct ksyms *load_ok(const char *text)
{
	struct ksyms *k;

	assert_int_equal(load(text, strlen(text), &k), 0);
	return k;
}

static void assert_found(const struct ksyms *k, uint64_t addr, const char *want)
{
	struct rec_symbol sym = {0};
	char got[160];

	assert_int_equal(ksyms_find(k, addr, &sym), 0);
	assert_int_equal(sym.addr, addr);
	snprintf(got, sizeof(got), "%s+0x%lx/0x%lx%s%s", sym.name, (unsigned long)sym.offset,
		 (unsigned long)sym.func_size, sym.module[0] ? " " : "", sym.module);
	assert_string_equal(got, want);
}

static void assert_not_found(const struct ksyms *k, uint64_t addr)
{
	struct rec_symbol sym = {0};

	assert_int_equal(ksyms_find(k, addr, &sym), -ENOENT);
}

static uint64_t address_of(const struct ksyms *k, const char *name)
{
	uint64_t addr = 1;

	ksyms_locate(k, &name, 1, &addr);
	return addr;
}

static void test_find(void **state)
{
	struct ksyms *k = load_ok("ffffffff81000000 T first\n"
				  "ffffffff81000040 t second\n"
				  "ffffffff81000048 d no_text\n"
				  "ffffffff81000080 W third\n");

	(void)state;
	assert_found(k, 0xffffffff81000000, "first+0x0/0x40");
	assert_found(k, 0xffffffff8100003f, "first+0x3f/0x40");
	assert_found(k, 0xffffffff81000050, "second+0x10/0x40");
	assert_found(k, 0xffffffff81000090, "third+0x10/0x0");
	assert_not_found(k, 0xffffffff80ffffff);
	assert_not_found(k, 0xffffffff82000000); /* not third and 16 MB */
	assert_not_found(k, 0);
	assert_not_found(k, UINT64_MAX);
	assert_int_equal(address_of(k, "second"), 0xffffffff81000040);
	assert_int_equal(address_of(k, "no_text"), 0);
	assert_int_equal(address_of(k, "sec"), 0);
	assert_int_equal(address_of(k, ""), 0);
	ksyms_free(k);
}

/* The list isn't in the order of addresses, and a module's neighbour isn't its successor. */
static void test_modules(void **state)
{
	struct ksyms *k = load_ok("ffffffff81000000 T tcp_v4_rcv\n"
				  "ffffffff81000100 T _etext\n"
				  "ffffffffc0300000 t nft_do_chain\t[nf_tables]\n"
				  "ffffffffc0300800 t nft_last\t[nf_tables]\n"
				  "ffffffffc0100000 t veth_xmit\t[veth]\n"
				  "ffffffffc0100100 t tcp_v4_rcv\t[veth]\n"
				  "ffffffffc0500000 t bpf_prog_6deef7357e7b4530_on_drop\t[bpf]\n"
				  "ffffffffa0000000 t low\t[arm64_like]\n");
	uint64_t addrs[4];

	(void)state;
	assert_found(k, 0xffffffffc0100010, "veth_xmit+0x10/0x100 veth");
	assert_found(k, 0xffffffffc0100110, "tcp_v4_rcv+0x10/0x0 veth");
	assert_found(k, 0xffffffffc0300010, "nft_do_chain+0x10/0x800 nf_tables");
	assert_found(k, 0xffffffffc0500020, "bpf_prog_6deef7357e7b4530_on_drop+0x20/0x0 bpf");
	assert_found(k, 0xffffffffa0000008, "low+0x8/0x0 arm64_like");
	assert_not_found(k, 0xffffffffc0200000);	  /* between two modules */
	assert_int_equal(address_of(k, "tcp_v4_rcv"), 0); /* two of them */
	assert_int_equal(address_of(k, "veth_xmit"), 0xffffffffc0100000);
	assert_int_equal(address_of(k, "low"), 0xffffffffa0000000);
	ksyms_locate(k, (const char *const[]){"veth_xmit", "missing", "_etext", "tcp_v4_rcv"}, 4,
		     addrs);
	assert_int_equal(addrs[0], 0xffffffffc0100000);
	assert_int_equal(addrs[1], 0);
	assert_int_equal(addrs[2], 0xffffffff81000100);
	assert_int_equal(addrs[3], 0);
	ksyms_free(k);
}

static void test_aliases(void **state)
{
	struct ksyms *k = load_ok("ffffffff81000000 T _stext\n"
				  "ffffffff81000000 T __text\n"
				  "ffffffff81000000 W weak\n"
				  "ffffffff81000000 T startup_64\n"
				  "ffffffff81000000 T startup_other\n"
				  "ffffffff81000010 W only_weak\n"
				  "ffffffff81000020 T end\n");

	(void)state;
	assert_found(k, 0xffffffff81000004, "startup_64+0x4/0x10");
	assert_found(k, 0xffffffff81000014, "only_weak+0x4/0x10");
	assert_int_equal(address_of(k, "_stext"), 0xffffffff81000000);
	ksyms_free(k);
}

static void test_hidden(void **state)
{
	static const char zeros[] = "0000000000000000 T _stext\n0000000000000000 t tcp_v4_rcv\n";
	static const char some[] = "0000000000000000 T fixed\nffffffff81000000 T real\n";
	struct ksyms *k;

	(void)state;
	assert_int_equal(load(zeros, strlen(zeros), &k), -EPERM);
	assert_null(k);
	k = load_ok(some);
	assert_not_found(k, 0x10);
	ksyms_free(k);
}

static void test_no_symbols(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"\n\n\n",
		"ffffffff81000000",
		"ffffffff81000000 T cut",
		"ffffffff81000000 T \n",
		"ffffffff81000000  T x\n",
		"ffffffff81000000 T\n",
		"(null) T x\n",
		"zz T x\n",
		" T x\n",
		"ffffffff81000000 D data\n",
		"1ffffffff81000000 T too_long\n",
		"ffffffff81000000Tx\n",
	};
	struct ksyms *k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(load(texts[i], strlen(texts[i]), &k), -ENODATA);
	assert_int_equal(ksyms_load("/nonexistent", &k), -ENOENT);
	assert_int_equal(ksyms_load("/proc", &k), -EISDIR);
}

/* A last line without newline may have lost the end of its name. */
static void test_truncated(void **state)
{
	struct ksyms *k = load_ok("ffffffff81000000 T whole\nffffffff81000010 T tcp_v4_r");

	(void)state;
	assert_int_equal(address_of(k, "tcp_v4_r"), 0);
	assert_found(k, 0xffffffff81000010, "whole+0x10/0x0");
	ksyms_free(k);
}

static void test_odd_lines(void **state)
{
	static const char text[] = "ffffffff81000000 T a\0b\n"
				   "ffffffff81000010 t bracket]\n"
				   "ffffffff81000020 t tab\t]\n"
				   "ffffffff81000030 t empty\t[]\n"
				   "ffffffff81000040 t long\t[than_thirtyone_characters_allowed]\n"
				   "ffffffff81000050 t same\t[than_thirtyone_characters_allowed]\n"
				   "FFFFFFFF81000060 T UPPER\n";
	struct ksyms *k;

	(void)state;
	assert_int_equal(load(text, sizeof(text) - 1, &k), 0);
	assert_found(k, 0xffffffff81000001, "a+0x1/0x10");
	assert_found(k, 0xffffffff81000011, "bracket]+0x1/0x10");
	assert_found(k, 0xffffffff81000041, "long+0x1/0x10 than_thirtyone_characters_allow");
	assert_found(k, 0xffffffff81000061, "UPPER+0x1/0x0");
	ksyms_free(k);
}

/* Lines that don't fit into one read, and one that fits into none. */
static void test_long(void **state)
{
	_cleanup_strbuf_ struct strbuf b = {0};
	_cleanup_free_ char *name = calloc(1, 501);
	struct rec_symbol sym;
	struct ksyms *k;

	(void)state;
	assert_non_null(name);
	memset(name, 'x', 500);
	for (uint64_t i = 0; i < 20000; i++)
		strbuf_addf(&b, "%016lx t %s%lu\n", (unsigned long)(0xffffffff81000000 + i * 16),
			    i % 100 ? "f" : name, (unsigned long)i);
	assert_int_equal(load(b.s, b.len, &k), 0);
	assert_found(k, 0xffffffff81000000 + 19998 * 16 + 5, "f19998+0x5/0x10");
	assert_int_equal(ksyms_find(k, 0xffffffff81000000 + 100 * 16, &sym), 0);
	assert_int_equal(strlen(sym.name), sizeof(sym.name) - 1);
	assert_int_equal(address_of(k, "f12345"), 0xffffffff81000000 + 12345 * 16);
	ksyms_free(k);

	strbuf_reset(&b);
	for (int i = 0; i < 20000; i++)
		strbuf_add(&b, "abcdefgh");
	assert_int_equal(load(b.s, b.len, &k), -EINVAL);
}

static void test_this_kernel(void **state)
{
	struct rec_symbol sym = {0};
	struct ksyms *k;
	uint64_t addr;
	int err = ksyms_load(NULL, &k);

	(void)state;
	if (err) {
		print_message("# this kernel's symbols skipped: %s\n", strerror(-err));
		return;
	}
	addr = address_of(k, "tcp_v4_rcv");
	assert_int_not_equal(addr, 0);
	assert_int_equal(ksyms_find(k, addr + 1, &sym), 0);
	assert_string_equal(sym.name, "tcp_v4_rcv");
	assert_int_equal(sym.offset, 1);
	assert_true(sym.func_size > 64);
	ksyms_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),	    cmocka_unit_test(test_modules),
		cmocka_unit_test(test_aliases),	    cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_no_symbols),  cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_odd_lines),   cmocka_unit_test(test_long),
		cmocka_unit_test(test_this_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
