/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off: cmocka wants these before itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "sym/user_file.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>

/* The subject, and what a test makes of it; nm tells where its functions are. */
static char dir[64], subject[PATH_MAX];

static int _printf_(1, 2) run(const char *fmt, ...)
{
	char command[2 * PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static int setup(void **state)
{
	const char *path = getenv("TCPWHY_USER_SUBJECT");

	(void)state;
	assert_non_null(path);
	str_copy(subject, sizeof(subject), path);
	str_copy(dir, sizeof(dir), "/tmp/tcpwhy-user-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return run("rm -r %s", dir);
}

/* A file of the folder, made by objcopy from the subject. */
static const char *made(const char *name, const char *options)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(run("cd %s && objcopy %s %s %s", dir, options, subject, path), 0);
	return path;
}

static int read_path(const char *path, struct user_file **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	*ret = NULL;
	assert_true(fd >= 0);
	return user_file_read(fd, ret);
}

static int debug_path(struct user_file *f, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return user_file_debug(f, fd);
}

static struct user_file *read_ok(const char *path)
{
	struct user_file *f;

	assert_int_equal(read_path(path, &f), 0);
	return f;
}

static uint64_t address_of(const char *function)
{
	char command[PATH_MAX + 64], line[128] = "";
	FILE *nm;

	snprintf(command, sizeof(command), "nm %s | grep ' %s$'", subject, function);
	nm = popen(command, "r");
	assert_non_null(nm);
	assert_non_null(fgets(line, sizeof(line), nm));
	pclose(nm);
	return strtoull(line, NULL, 16);
}

static void assert_at(const struct user_file *f, uint64_t addr, const char *want)
{
	struct user_symbol s;
	char got[128];

	assert_int_equal(user_file_symbol(f, addr, &s), 0);
	snprintf(got, sizeof(got), "%s+%lu", s.name, (unsigned long)s.offset);
	assert_string_equal(got, want);
}

static void assert_unknown(const struct user_file *f, uint64_t addr)
{
	struct user_symbol s;

	assert_int_equal(user_file_symbol(f, addr, &s), -ENOENT);
}

static void functions_are_found(void **state)
{
	struct user_file *f = read_ok(subject);
	(void)state;

	assert_true(user_file_is_whole(f));
	assert_int_equal(strlen(user_file_build_id(f)), 40);
	assert_at(f, address_of("odd_hidden"), "odd_hidden+0");
	assert_at(f, address_of("odd_seen") + 1, "odd_seen+1");
	assert_unknown(f, 0);
	user_file_free(f);
}

static void of_several_names_the_plain_one_is_taken(void **state)
{
	struct user_file *f = read_ok(subject);
	uint64_t at = address_of("odd_one");
	(void)state;

	assert_int_equal(at, address_of("_odd_one"));
	assert_int_equal(at, address_of("odd_alias"));
	assert_at(f, at, "odd_one+0");
	assert_at(f, at + 1, "odd_one+1");
	user_file_free(f);
}

static void without_a_size_a_function_reaches_to_the_next(void **state)
{
	struct user_file *f = read_ok(subject);
	uint64_t at = address_of("odd_endless");
	(void)state;

	assert_at(f, at, "odd_endless+0");
	assert_at(f, at + 2, "odd_endless+2");
	assert_at(f, at + 3, "odd_last+0");
	user_file_free(f);
}

static void what_is_stripped_has_no_names(void **state)
{
	struct user_file *f = read_ok(made("stripped", "--strip-all"));
	(void)state;

	assert_false(user_file_is_whole(f));
	/* Not that of the exported function before it. */
	assert_unknown(f, address_of("odd_hidden"));
	assert_unknown(f, address_of("odd_endless"));
	user_file_free(f);
}

static void a_debug_file_gives_them_back(void **state)
{
	struct user_file *f;
	char debug[PATH_MAX];
	(void)state;

	str_copy(debug, sizeof(debug), made("subject.debug", "--only-keep-debug"));
	f = read_ok(made("linked", "--strip-all --add-gnu-debuglink=subject.debug"));
	assert_string_equal(user_file_debuglink(f), "subject.debug");
	assert_false(user_file_is_whole(f));
	assert_int_equal(debug_path(f, debug), 0);
	assert_true(user_file_is_whole(f));
	assert_at(f, address_of("odd_hidden"), "odd_hidden+0");
	user_file_free(f);
}

static void a_debug_file_of_another_build_is_refused(void **state)
{
	struct user_file *f = read_ok(made("stripped", "--strip-all")), *none;
	char other[PATH_MAX];
	(void)state;

	str_copy(other, sizeof(other),
		 made("other.debug", "--only-keep-debug --remove-section=.note.gnu.build-id"));
	assert_int_equal(debug_path(f, other), -ESTALE);
	user_file_free(f);
	/* Nor is one believed where neither of them tells its build. */
	none = read_ok(made("none", "--strip-all --remove-section=.note.gnu.build-id"));
	assert_string_equal(user_file_build_id(none), "");
	assert_int_equal(debug_path(none, other), -ESTALE);
	assert_unknown(none, address_of("odd_hidden"));
	user_file_free(none);
}

static void places_in_the_file_have_addresses(void **state)
{
	struct user_file *f = read_ok(subject);
	uint64_t addr;
	(void)state;

	assert_int_equal(user_file_address(f, UINT64_MAX, &addr), -ENOENT);
	assert_int_equal(user_file_address(f, 0, &addr), -ENOENT); /* the header is no code */
	user_file_free(f);
}

static void callers_are_found_where_tables_are(void **state)
{
	struct user_file *f = read_ok(subject);
	struct user_rule rule;
	(void)state;

	assert_int_equal(user_file_rule(f, 1, &rule), -ENOENT);
#ifdef __x86_64__
	assert_int_equal(user_file_rule(f, address_of("odd_hidden"), &rule), 0);
	assert_int_equal(rule.cfa, CFA_BY_SP);
	assert_int_equal(rule.cfa_offset, 8); /* nothing but the return address is on the stack */
	assert_false(rule.outermost);
	assert_int_equal(user_file_rule(f, address_of("_start"), &rule), 0);
	assert_true(rule.outermost);
#endif
	user_file_free(f);
}

/* LeakSanitizer's: libelf 0.188 loses memory where a section with names is damaged, which is not ours to free. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static int libelf_may_leak(void **state)
{
	(void)state;
	if (__lsan_disable)
		__lsan_disable();
	return 0;
}

static int leaks_count_again(void **state)
{
	(void)state;
	if (__lsan_enable)
		__lsan_enable();
	return 0;
}

/* ---- damaged files --------------------------------------------------------------------------- */

static int read_bytes(const uint8_t *bytes, size_t len, struct user_file **ret)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/damaged", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	fclose(file);
	return read_path(path, ret);
}

/* Whatever is in it: an answer or none, nothing else. */
static void look_around(struct user_file *f)
{
	struct user_symbol s;
	struct user_rule rule;
	uint64_t addr;

	for (uint64_t at = 0; at < 0x4000; at += 61) {
		if (!user_file_address(f, at, &addr))
			(void)user_file_rule(f, addr, &rule);
		if (!user_file_symbol(f, at, &s))
			assert_true(strlen(s.name) > 0);
	}
	(void)strlen(user_file_debuglink(f));
}

static void truncated_files_are_survived(void **state)
{
	_cleanup_free_ char *bytes = NULL;
	ssize_t len = read_file(subject, 16 << 20, &bytes);
	struct user_file *f;
	unsigned refused = 0;
	(void)state;

	assert_true(len > 0);
	for (ssize_t n = 0; n < len; n += 1 + len / 300) {
		if (read_bytes((uint8_t *)bytes, (size_t)n, &f)) {
			refused++;
			continue;
		}
		look_around(f);
		user_file_free(f);
	}
	assert_true(refused > 0);
	assert_int_equal(read_bytes((uint8_t *)bytes, 0, &f), -ENOEXEC);
	assert_int_equal(read_bytes((uint8_t *)bytes, EI_NIDENT, &f), -ENOEXEC);
	assert_int_equal(read_bytes((const uint8_t *)"#!/bin/sh\n", 10, &f), -ENOEXEC);
}

/* The subject with a section header that claims more than there is memory, in a file with a hole of that size. */
static void huge_claims_are_refused(void **state)
{
	_cleanup_free_ char *bytes = NULL;
	ssize_t len = read_file(subject, 16 << 20, &bytes);
	char path[PATH_MAX];
	struct user_file *f;
	Elf64_Ehdr head;
	(void)state;

	assert_true(len > (ssize_t)sizeof(head));
	memcpy(&head, bytes, sizeof(head));
	for (unsigned i = 1; i < head.e_shnum; i++) {
		uint64_t at = head.e_shoff + i * sizeof(Elf64_Shdr);
		Elf64_Shdr section;

		memcpy(&section, bytes + at, sizeof(section));
		if (section.sh_type != SHT_SYMTAB)
			continue;
		section.sh_size = (uint64_t)100 << 30;
		section.sh_offset = 0;
		memcpy(bytes + at, &section, sizeof(section));
	}
	(void)read_bytes((uint8_t *)bytes, (size_t)len, &f);
	user_file_free(f);
	snprintf(path, sizeof(path), "%s/damaged", dir);
	assert_int_equal(truncate(path, (off_t)101 << 30), 0);
	assert_int_equal(read_path(path, &f), -ENOEXEC);
}

static void damaged_files_are_survived(void **state)
{
	_cleanup_free_ char *bytes = NULL;
	ssize_t len = read_file(subject, 16 << 20, &bytes);
	unsigned seed = 1;
	(void)state;

	assert_true(len > 0);
	for (int round = 0; round < 300; round++) {
		_cleanup_free_ uint8_t *copy = malloc((size_t)len);
		struct user_file *f;

		assert_non_null(copy);
		memcpy(copy, bytes, (size_t)len);
		for (int i = 0; i < 40; i++)
			copy[(size_t)rand_r(&seed) % (size_t)len] = (uint8_t)rand_r(&seed);
		/* and where sections begin and end */
		for (int i = 0; i < 4; i++)
			copy[(size_t)len - 1 - (size_t)rand_r(&seed) % 2048] ^=
				(uint8_t)rand_r(&seed);
		if (read_bytes(copy, (size_t)len, &f))
			continue;
		look_around(f);
		user_file_free(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_found),
		cmocka_unit_test(of_several_names_the_plain_one_is_taken),
		cmocka_unit_test(without_a_size_a_function_reaches_to_the_next),
		cmocka_unit_test(what_is_stripped_has_no_names),
		cmocka_unit_test(a_debug_file_gives_them_back),
		cmocka_unit_test(a_debug_file_of_another_build_is_refused),
		cmocka_unit_test(places_in_the_file_have_addresses),
		cmocka_unit_test(callers_are_found_where_tables_are),
		cmocka_unit_test(truncated_files_are_survived),
		cmocka_unit_test(huge_claims_are_refused),
		cmocka_unit_test_setup_teardown(damaged_files_are_survived, libelf_may_leak,
						leaks_count_again),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
