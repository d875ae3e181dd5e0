/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off: cmocka wants these before itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "record/source_text.h"
#include "sym/build_id.h"
#include "sym/lines.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/utsname.h>

/* A host in a folder: what runs there is the subject, unless a test says otherwise. */
static char root[64], subject[PATH_MAX], id[BUILD_ID_TEXT];

static void run(const char *command)
{
	assert_int_equal(system(command), 0);
}

/* Of a file of the host; folders are made. */
static const char *host_path(const char *path)
{
	static char whole[PATH_MAX];
	char folders[PATH_MAX + 16];

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	snprintf(folders, sizeof(folders), "mkdir -p %.*s", (int)(strrchr(whole, '/') - whole),
		 whole);
	run(folders);
	return whole;
}

static void host_write(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(host_path(path), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void host_copy(const char *path, size_t len)
{
	_cleanup_free_ char *text = NULL;
	ssize_t size = read_file(subject, 64 << 20, &text);

	assert_true(size > 0);
	host_write(path, text, len < (size_t)size ? len : (size_t)size);
}

/* What runs has this build id, but for the first byte, which is changed by `other`. */
static void host_runs(const char *notes, uint8_t other)
{
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint8_t id[64];
	} note = {{4, (Elf64_Word)strlen(id) / 2, NT_GNU_BUILD_ID}, "GNU", {0}};

	for (size_t i = 0; i < strlen(id) / 2; i++) {
		unsigned byte;

		assert_int_equal(sscanf(id + 2 * i, "%2x", &byte), 1);
		note.id[i] = (uint8_t)byte;
	}
	note.id[0] ^= other;
	host_write(notes, &note, sizeof(note.head) + 4 + strlen(id) / 2);
}

static const char *cache_file(void)
{
	static char path[PATH_MAX + 80];

	snprintf(path, sizeof(path), "%s/cache/%s.lines", root, id);
	return path;
}

static int setup(void **state)
{
	const char *path = getenv("TCPWHY_LINES_SUBJECT");
	bool debug;

	(void)state;
	str_copy(root, sizeof(root), "/tmp/tcpwhy-lines-XXXXXX");
	assert_non_null(path);
	assert_non_null(mkdtemp(root));
	str_copy(subject, sizeof(subject), path);
	assert_int_equal(build_id_of_file(subject, id, &debug), 0);
	assert_true(debug);
	host_runs("/sys/kernel/notes", 0);
	unsetenv("DEBUGINFOD_URLS");
	return 0;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	run(command);
	return 0;
}

static int open_lines(const char *vmlinux, struct lines **ret, struct strbuf *why)
{
	char cache[80];
	struct lines_options o = {.vmlinux = vmlinux, .root = root, .cache_dir = cache};

	snprintf(cache, sizeof(cache), "%s/cache", root);
	*ret = NULL;
	return lines_open(&o, ret, why);
}

static struct lines *open_subject(void)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	struct lines *l;

	assert_int_equal(open_lines(subject, &l, &why), 0);
	return l;
}

static void assert_refused(const char *vmlinux, int err, const char *sentence)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	struct lines *l;

	assert_int_equal(open_lines(vmlinux, &l, &why), err);
	assert_non_null(why.s);
	if (!strstr(why.s, sentence))
		fail_msg("\"%s\" does not say \"%s\"", why.s, sentence);
}

static void assert_source(struct lines *l, struct lines_place at, const char *want)
{
	_cleanup_strbuf_ struct strbuf got = {0};

	at.module = at.module ? at.module : "";
	assert_int_equal(lines_find(l, &at, &got), 0);
	assert_string_equal(got.s, want);
}

static int find_error(struct lines *l, struct lines_place at)
{
	_cleanup_strbuf_ struct strbuf got = {0};
	int err;

	at.module = at.module ? at.module : "";
	err = lines_find(l, &at, &got);
	assert_int_equal(got.len, 0);
	return err;
}

#define OUTER                                                                \
	"outer net/ipv4/outer.c:102; middle include/net/middle.h:32; inner " \
	"include/linux/inner.h:22"

static void test_inlined(void **state)
{
	struct lines *l = open_subject();

	(void)state;
	assert_source(l, (struct lines_place){.name = "outer", .offset = 2}, OUTER);
	assert_source(l, (struct lines_place){.name = "start_kernel", .offset = 2},
		      "start_kernel init/main.c:302");
	assert_int_equal(find_error(l, (struct lines_place){.name = "no_such", .offset = 2}),
			 -ENOENT);
	assert_int_equal(find_error(l, (struct lines_place){.name = "outer", .offset = 1 << 20}),
			 -ENOENT);
	assert_int_equal(find_error(l, (struct lines_place){.name = "", .offset = 2}), -ENOENT);
	assert_int_equal(find_error(l, (struct lines_place){.name = "outer", .offset = UINT64_MAX}),
			 -ENOENT);
	lines_close(l);
}

/* Two functions of one name: told apart by size, or by where they are. */
static void test_namesakes(void **state)
{
	struct lines *l = open_subject();
	struct lines_place at = {.name = "twin", .module = "", .offset = 2};
	lines_matches m = {0};
	size_t v6;

	(void)state;
	assert_int_equal(lines_all(l, &at, &m), 2);
	assert_int_not_equal(m.v[0].size, m.v[1].size);
	v6 = m.v[1].size > m.v[0].size;
	assert_string_equal(m.v[v6].source, "twin net/ipv6/twin.c:202");
	assert_string_equal(m.v[!v6].source, "twin net/ipv4/twin.c:202");
	assert_int_equal(find_error(l, at), -ENOTUNIQ);
	at.size = m.v[v6].size;
	assert_source(l, at, "twin net/ipv6/twin.c:202");
	at.start = m.v[!v6].start; /* kallsyms' sizes are not to be relied on */
	assert_source(l, at, "twin net/ipv4/twin.c:202");
	at.start = 1;
	assert_int_equal(find_error(l, at), -ENOENT);
	lines_matches_free(&m);
	lines_close(l);
}

/* Labels of assembler have no size: the next symbol ends them, and two at one address are no trouble. */
static void test_zero_size(void **state)
{
	struct lines_place at = {.name = "stext_alias", .module = "", .offset = 1};
	struct lines *l = open_subject();
	lines_matches m = {0};

	(void)state;
	assert_int_equal(lines_all(l, &at, &m), 1);
	assert_true(m.v[0].size >= 4);
	assert_int_equal(m.v[0].start, 0);
	lines_matches_free(&m);
	lines_close(l);
}

static void test_refused(void **state)
{
	char path[PATH_MAX];
	struct stat st;

	(void)state;
	host_runs("/sys/kernel/notes", 1);
	assert_refused(subject, -ESTALE, "is of another kernel: its build id is");
	host_runs("/sys/kernel/notes", 0);
	assert_refused("/no/such/file", -EINVAL, "/no/such/file: No such file");
	assert_refused("/dev/null", -ENOEXEC, "is no ELF file");
	assert_refused(root, -ENOEXEC, "is no ELF file");
	assert_int_equal(stat(subject, &st), 0);
	for (size_t len = 0; len < (size_t)st.st_size; len += (size_t)st.st_size / 16) {
		host_copy("/cut", len);
		snprintf(path, sizeof(path), "%s/cut", root);
		assert_refused(path, len < 64 ? -ENOEXEC : -ENODATA, "/cut ");
	}
	assert_refused(NULL, -ENOENT, "no debug information of kernel");
	host_write("/sys/kernel/notes", "\4\0\0\0\377\377\377\377\3\0\0\0GNU", 16);
	assert_refused(NULL, -ENOENT, "tells no build id");
	host_runs("/sys/kernel/notes", 0);
}

/* Where distributions put it; files of other builds are passed over. */
static void test_places(void **state)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	struct utsname uts;
	char path[256];
	struct lines *l;

	(void)state;
	uname(&uts);
	snprintf(path, sizeof(path), "/usr/lib/debug/boot/vmlinux-%s", uts.release);
	host_write(path, "nothing", 7);
	assert_refused(NULL, -ESTALE, "is no ELF file");
	snprintf(path, sizeof(path), "/usr/lib/debug/lib/modules/%s/vmlinux", uts.release);
	host_copy(path, SIZE_MAX);
	assert_int_equal(open_lines(NULL, &l, &why), 0);
	assert_string_equal(lines_path(l) + strlen(root), path);
	assert_source(l, (struct lines_place){.name = "outer", .offset = 2}, OUTER);
	lines_close(l);
}

/* Of two modules of that name the build id says which one is loaded. */
static void test_modules(void **state)
{
	struct lines_place at = {.name = "outer", .module = "x_y", .offset = 2};
	struct utsname uts;
	struct lines *l;
	char path[256];
	static const char dep[] = "kernel/x-y-z.ko:\nkernel/a/x_y.ko.xz: kernel/b.ko\n"
				  "updates/x-y.ko:\n\nbroken";

	(void)state;
	uname(&uts);
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", uts.release);
	host_write(path, dep, sizeof(dep) - 1);
	snprintf(path, sizeof(path), "/usr/lib/debug/lib/modules/%s/kernel/a/x_y.ko", uts.release);
	host_copy(path, 5000);
	l = open_subject();
	assert_int_equal(find_error(l, at), -ENOENT); /* it isn't loaded */
	lines_close(l);
	host_runs("/sys/module/x_y/notes/.note.gnu.build-id", 0);
	/* The kernel's cache would have the answer: it is the same build. */
	unlink(cache_file());
	l = open_subject();
	assert_int_equal(find_error(l, at), -ENOENT);
	at.module = "../kernel";
	assert_int_equal(find_error(l, at), -ENOENT);
	lines_close(l);
	snprintf(path, sizeof(path), "/usr/lib/debug/lib/modules/%s/updates/x-y.ko.debug",
		 uts.release);
	host_copy(path, SIZE_MAX);
	at.module = "x_y";
	l = open_subject();
	assert_source(l, at, OUTER);
	lines_close(l);
}

/* Replaces the cache's file, and asks. */
static void assert_with_cache(const char *text, const char *want)
{
	struct lines *l;
	FILE *f = fopen(cache_file(), "w");

	assert_non_null(f);
	fprintf(f, "%s", text);
	assert_int_equal(fclose(f), 0);
	l = open_subject();
	assert_source(l, (struct lines_place){.name = "outer", .offset = 2}, want);
	lines_close(l);
}

static void test_cache(void **state)
{
	static const char made_up[] = "outer+0x2\t10 20 outer made/up.c:1\n";
	struct lines *l = open_subject();
	_cleanup_free_ char *text = NULL;
	_cleanup_strbuf_ struct strbuf with = {0};
	struct stat st;

	(void)state;
	assert_source(l, (struct lines_place){.name = "outer", .offset = 2}, OUTER);
	lines_close(l);
	assert_int_equal(stat(cache_file(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(read_file(cache_file(), 1 << 20, &text) > 0);
	assert_non_null(strstr(text, "outer+0x2\t"));

	strbuf_addf(&with, "tcpwhy lines 1 %s\n%s", id, made_up);
	assert_with_cache(with.s, "outer made/up.c:1"); /* it is read */
	with.s[with.len - 1] = '\0';
	assert_with_cache(with.s, OUTER); /* its end was cut off */
	strbuf_reset(&with);
	strbuf_addf(&with, "tcpwhy lines 1 0%s\n%s", id + 1, made_up);
	assert_with_cache(id[0] == '0' ? "" : with.s, OUTER); /* of another build */
	assert_with_cache("", OUTER);
	assert_with_cache("\n\n\t\t\n", OUTER);

	strbuf_reset(&with);
	strbuf_addf(&with, "tcpwhy lines 1 %s\n%s", id, made_up);
	assert_int_equal(chmod(cache_file(), 0622), 0); /* others could have written it */
	assert_with_cache(with.s, OUTER);
	assert_int_equal(stat(cache_file(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* Values that no tcpwhy wrote. */
static void test_cache_nonsense(void **state)
{
	static const char *const values[] = {"",    " ",    "x",      "1",	"1 ",
					     "1 2", "1 2 ", "\t\t\t", "zz 3 x", "1 zz y"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		FILE *f = fopen(cache_file(), "w");
		struct lines *l;

		assert_non_null(f);
		fprintf(f, "tcpwhy lines 1 %s\nouter+0x2\t%s\n", id, values[i]);
		assert_int_equal(fclose(f), 0);
		l = open_subject();
		assert_int_equal(find_error(l, (struct lines_place){.name = "outer", .offset = 2}),
				 -ENOENT);
		lines_close(l);
	}
	unlink(cache_file());
}

static void test_source_text(void **state)
{
	struct source_line lines[SOURCE_LINES_MAX];
	char copy[24];

	(void)state;
	assert_int_equal(source_lines(OUTER, lines), 3);
	assert_int_equal(lines[1].function_len, 6);
	assert_memory_equal(lines[1].function, "middle", 6);
	assert_int_equal(lines[2].place_len, 24);
	assert_memory_equal(lines[2].place, "include/linux/inner.h:22", 24);
	assert_int_equal(source_lines("", lines), 0);
	assert_int_equal(source_lines("nothing", lines), 0);
	assert_int_equal(source_lines(" a.c:1", lines), 0);
	assert_int_equal(source_lines("f a b.c:1; ; ", lines), 1);
	assert_int_equal(lines[0].place_len, 7);
	source_copy(copy, sizeof(copy), "f a.c:1; g b.c:2; h include/c.h:3");
	assert_string_equal(copy, "f a.c:1; g b.c:2");
	source_copy(copy, sizeof(copy), "function much/longer/than/that.c:1; g b.c:2");
	assert_string_equal(copy, "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inlined),	    cmocka_unit_test(test_namesakes),
		cmocka_unit_test(test_zero_size),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_places),	    cmocka_unit_test(test_modules),
		cmocka_unit_test(test_cache),	    cmocka_unit_test(test_cache_nonsense),
		cmocka_unit_test(test_source_text),
	};

	return cmocka_run_group_tests_name("lines", tests, setup, teardown);
}
