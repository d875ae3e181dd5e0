/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the kernel's modules are others than before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "sym/modules.h"

static uint64_t of(const char *text)
{
	char path[] = "/tmp/modules-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	uint64_t hash;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	hash = modules_fingerprint(path);
	unlink(path);
	return hash;
}

static void tells_what_matters(void **state)
{
	const uint64_t before = of("a 4096 1 b, Live 0xffffffffc0001000\n"
				   "b 8192 0 - Live 0xffffffffc0003000\n");

	(void)state;
	assert_true(before != 0);
	/* Somebody uses a, too. */
	assert_true(of("a 4096 2 b,c, Live 0xffffffffc0001000\n"
		       "b 8192 0 - Live 0xffffffffc0003000\n") == before);
	/* b is not there any more, is loaded at another place, still being loaded, or has another name. */
	assert_true(of("a 4096 1 b, Live 0xffffffffc0001000\n") != before);
	assert_true(of("a 4096 1 b, Live 0xffffffffc0001000\n"
		       "b 8192 0 - Live 0xffffffffc0005000\n") != before);
	assert_true(of("a 4096 1 b, Live 0xffffffffc0001000\n"
		       "b 8192 0 - Loading 0xffffffffc0003000\n") != before);
	assert_true(of("a 4096 1 b, Live 0xffffffffc0001000\n"
		       "c 8192 0 - Live 0xffffffffc0003000\n") != before);
}

static void odd_files(void **state)
{
	(void)state;
	assert_int_equal(modules_fingerprint("/nowhere/modules"), 0);
	assert_true(of("") == of("")); /* none is loaded, or all are built in */
	assert_true(of("cut") != of(""));
	assert_true(of("cut 1 2") == of("cut 3 4\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_matters),
		cmocka_unit_test(odd_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
