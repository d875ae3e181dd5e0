/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compressed recordings: what comes back, cut off and damaged ones, and one that would fill memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/zst.h"

#include <sys/mman.h>

static uint8_t plain[300000];

/* What zst_compress makes of a file of that size that begins with plain. */
static ssize_t packed(off_t size, uint8_t *to, size_t max)
{
	_cleanup_close_ int in = memfd_create("in", MFD_CLOEXEC);
	_cleanup_close_ int out = memfd_create("out", MFD_CLOEXEC);

	assert_int_equal(write(in, plain, sizeof(plain)), sizeof(plain));
	assert_int_equal(ftruncate(in, size), 0);
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	assert_int_equal(zst_compress(in, out), 0);
	return pread(out, to, max, 0);
}

static int setup(void **state)
{
	unsigned seed = 1;
	(void)state;

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)("TCPWHY"[rand_r(&seed) % 6]);
	return 0;
}

static uint8_t file[400000];

static void comes_back(void **state)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	_cleanup_free_ void *back = NULL;
	ssize_t n = packed(sizeof(plain), file, sizeof(file));
	size_t size;
	(void)state;

	assert_in_range(n, 1, sizeof(plain) / 2);
	assert_true(zst_is(file, (size_t)n));
	assert_int_equal(zst_unpack(file, (size_t)n, &back, &size, &why), 0);
	assert_int_equal(size, sizeof(plain));
	assert_memory_equal(back, plain, size);
	assert_false(zst_is(plain, sizeof(plain)) || zst_is(file, 3));
}

/* Two files, one behind the other, are one (RFC 8878, 3). */
static void two_in_a_row(void **state)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	_cleanup_free_ void *back = NULL;
	size_t n = (size_t)packed(sizeof(plain), file, sizeof(file) / 2), size;
	(void)state;

	memcpy(file + n, file, n);
	assert_int_equal(zst_unpack(file, 2 * n, &back, &size, &why), 0);
	assert_int_equal(size, 2 * sizeof(plain));
}

static void what_is_whole_of_it(void **state)
{
	ssize_t n = packed(sizeof(plain), file, sizeof(file));
	size_t most = 0;
	(void)state;

	for (ssize_t cut = n - 1; cut > 4; cut -= 1 + n / 50) {
		_cleanup_strbuf_ struct strbuf why = {0};
		_cleanup_free_ void *back = NULL;
		size_t size;

		assert_int_equal(zst_unpack(file, (size_t)cut, &back, &size, &why), -EBADMSG);
		assert_string_equal(why.s, "the compressed file is cut off");
		assert_memory_equal(back, plain, size);
		most = size > most ? size : most;
	}
	assert_in_range(most, sizeof(plain) / 2, sizeof(plain));
}

static void damage_is_told(void **state)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	_cleanup_free_ void *back = NULL;
	ssize_t n = packed(sizeof(plain), file, sizeof(file));
	size_t size;
	(void)state;

	memset(file + n / 2, 0xff, 64);
	assert_int_equal(zst_unpack(file, (size_t)n, &back, &size, &why), -EBADMSG);
	assert_non_null(strstr(why.s, "the compressed file is damaged at byte"));
}

static void does_not_fill_memory(void **state)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	_cleanup_free_ void *back = NULL;
	ssize_t n = packed(1 << 30, file, sizeof(file));
	size_t size;
	(void)state;

	assert_in_range(n, 1, sizeof(file) - 1);
	assert_int_equal(zst_unpack(file, (size_t)n, &back, &size, &why), -EFBIG);
	assert_non_null(strstr(why.s, "unpack it with zstd -d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),		cmocka_unit_test(two_in_a_row),
		cmocka_unit_test(what_is_whole_of_it),	cmocka_unit_test(damage_is_told),
		cmocka_unit_test(does_not_fill_memory),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
