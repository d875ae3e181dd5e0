/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off: cmocka wants these before itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "enrich/lookup.h"
#include "enrich/user_unwind.h"
#include "sym/perf_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>

/* ---- /proc/PID/maps -------------------------------------------------------------------------- */

static void mappings_are_read(void **state)
{
	struct mappings m;
	(void)state;

	mappings_parse("1000-2000 r--p 00000000 fe:01 7   /bin/a b (deleted)\n"
		       "2000-3000 r-xp 00001000 fe:01 7   /bin/a b (deleted)\n"
		       "no mapping at all\n"
		       "5000-4000 r-xp 00000000 00:00 0\n"
		       "\n"
		       "7000-8000 rwxp 00000000 00:00 0\n"
		       "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]",
		       &m);
	assert_int_equal(m.v.n, 3);
	assert_string_equal(m.v.v[0].path, "/bin/a b (deleted)");
	assert_int_equal(m.v.v[0].offset, 0x1000);
	assert_int_equal(m.v.v[0].inode, 7);
	assert_int_equal(m.v.v[0].major, 0xfe);
	assert_string_equal(m.v.v[1].path, "");
	assert_string_equal(m.v.v[2].path, "[vsyscall]");
	assert_null(mappings_find(&m, 0x1fff)); /* not to be executed */
	assert_ptr_equal(mappings_find(&m, 0x2000), &m.v.v[0]);
	assert_null(mappings_find(&m, 0x3000));
	mappings_free(&m);
}

/* ---- /tmp/perf-PID.map ----------------------------------------------------------------------- */

static void assert_map(const char *text, uint64_t addr, const char *want)
{
	char name[16] = "", got[64];
	uint64_t offset = 0;

	if (!perf_map_find(text, addr, name, sizeof(name), &offset)) {
		assert_null(want);
		return;
	}
	snprintf(got, sizeof(got), "%s+%lx", name, (unsigned long)offset);
	assert_string_equal(got, want ? want : "nothing");
}

static void perf_maps_are_read(void **state)
{
	(void)state;
	assert_map("", 0x1000, NULL);
	assert_map("1000 20 f\n", 0x101f, "f+1f");
	assert_map("1000 20 f\n", 0x1020, NULL);
	assert_map("0x1000 0x20 a b\n", 0x1001, "a b+1");
	assert_map("1000 20 f", 0x1001, "f+1");
	/* The place was used again. */
	assert_map("1000 20 old\n1010 20 new\n", 0x1018, "new+8");
	assert_map("1000 20 old\n1010 20 new\n", 0x1008, "old+8");
	/* Lines that make no sense. */
	assert_map("1000 20\n1000 20 \n1000 0 f\nzz 20 f\n1000 zz f\n\n20 f\n", 0x1001, NULL);
	assert_map("11111111111111111111 20 f\n1000 20 g\n", 0x1001, "g+1");
	assert_map("ffffffffffffff00 ffff f\n", 0x10, NULL);
	assert_map("1000 20 a name that is far too long\n", 0x1001, "a name that is +1");
}

/* ---- stacks ---------------------------------------------------------------------------------- */

static struct lookup l;
static struct question q;

static int setup(void **state)
{
	(void)state;
	return user_files_open(&l.files);
}

static int teardown(void **state)
{
	(void)state;
	strbuf_free(&l.out);
	user_files_close(l.files);
	return 0;
}

static void ask_of_self(const ucontext_t *c)
{
	q = (struct question){.kind = Q_USER_STACK, .event_ns = 7};
	q.stack.pid = q.stack.tid = (uint32_t)getpid();
	prctl(PR_GET_NAME, q.stack.comm);
#ifdef __x86_64__
	q.stack.user.frames[0] = (uint64_t)c->uc_mcontext.gregs[REG_RIP];
	q.stack.user.sp = (uint64_t)c->uc_mcontext.gregs[REG_RSP];
	q.stack.user.bp = (uint64_t)c->uc_mcontext.gregs[REG_RBP];
#endif
	q.stack.user.nr = 1;
}

/* As the kernel does: what lies at the stack pointer, whatever AddressSanitizer has between variables. */
static __attribute__((no_sanitize("address"))) void keep_stack(unsigned words)
{
	for (unsigned i = 0; i < words; i++)
		q.stack.user.top[i] = ((const volatile uint64_t *)q.stack.user.sp)[i];
	q.stack.user.nr_top = (uint8_t)words;
}

static int answer(void)
{
	strbuf_reset(&l.out);
	l.count = 0;
	l.q = &q;
	return user_stack_answer(&l);
}

static const struct rec_user_frame *frame(unsigned n)
{
	for (size_t at = 0; at < l.out.len;) {
		const struct rec_hdr *rec = (const void *)(l.out.s + at);

		at += rec->size;
		if (rec->kind == REC_USER_FRAME && !n--)
			return (const void *)rec;
	}
	return NULL;
}

#ifdef __x86_64__
static __attribute__((noipa)) int the_callee(unsigned words)
{
	static ucontext_t c; /* on the stack it would take more than is kept */
	int err;

	getcontext(&c);
	ask_of_self(&c);
	keep_stack(words);
	err = answer();
	__asm__ volatile("" : "+r"(err));
	return err;
}

static __attribute__((noipa)) int the_caller(unsigned words)
{
	int err = the_callee(words);

	__asm__ volatile("" : "+r"(err));
	return err;
}

static void callers_are_found_without_frame_pointers(void **state)
{
	const struct rec_process *p;
	(void)state;

	assert_int_equal(the_caller(REC_UTOP_MAX), 0);
	assert_non_null(frame(0));
	assert_string_equal(frame(0)->name, "the_callee");
	assert_int_equal(frame(0)->at, USER_IN_FILE);
	assert_int_equal(frame(0)->event_ns, 7);
	assert_int_equal(frame(0)->pid, getpid());
	assert_int_equal(frame(0)->end, USER_GOES_ON);
	assert_false(frame(0)->unsure);
	assert_non_null(frame(1));
	assert_string_equal(frame(1)->name, "the_caller");
	p = (const void *)l.out.s;
	assert_int_equal(p->hdr.kind, REC_PROCESS);
	assert_non_null(strstr(p->program, "test_user_stack"));
	assert_int_equal(p->args, 0);
}

static void what_was_not_kept_is_said(void **state)
{
	(void)state;
	assert_int_equal(the_caller(0), 0);
	assert_string_equal(frame(0)->name, "the_callee");
	/* The second where the compiler keeps frame pointers: their chain has no further link. */
	assert_true(frame(0)->end == USER_NO_POINTER || frame(0)->end == USER_NO_CODE);
	assert_null(frame(1));
}
#endif

static void garbage_is_no_stack(void **state)
{
	ucontext_t c;
	(void)state;

	getcontext(&c);
	ask_of_self(&c);
	q.stack.user.frames[0] = 0x1234;
	assert_int_equal(answer(), 0);
	assert_null(frame(0));
	q.stack.user.frames[0] = (uint64_t)&q; /* memory, but no code */
	assert_int_equal(answer(), 0);
	assert_null(frame(0));
}

/* Code that no file has: without tables, so that frame pointers have to do. */
static void assert_named_by_perf_map(uint8_t *code, uint8_t at)
{
	char path[64];
	FILE *file;
	ucontext_t c;

	assert_true(code != MAP_FAILED);
	getcontext(&c);
	ask_of_self(&c);
	q.stack.user.frames[0] = (uint64_t)code + 0x10;
	q.stack.user.frames[1] = (uint64_t)code + 0x35;
	q.stack.user.frames[2] = 0x10; /* garbage */
	q.stack.user.nr = 3;
	assert_int_equal(answer(), 0);
	assert_int_equal(frame(0)->at, at);
	assert_string_equal(frame(0)->name, "");
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%lx 20 first\n%lx 15 second\n", (unsigned long)code,
		(unsigned long)code + 0x20);
	fclose(file);
	assert_int_equal(answer(), 0);
	unlink(path);
	assert_int_equal(frame(0)->at, USER_IN_PERF_MAP);
	assert_string_equal(frame(0)->name, "first");
	assert_int_equal(frame(0)->offset, 0x10);
	assert_true(frame(0)->unsure);
	/* It returns to just behind `second`: the call was its last instruction. */
	assert_string_equal(frame(1)->name, "second");
	assert_int_equal(frame(1)->offset, 0x15);
	assert_int_equal(frame(1)->end, USER_NO_CODE);
	assert_null(frame(2));
	munmap(code, 4096);
}

static void code_in_memory_is_named_by_its_perf_map(void **state)
{
	_cleanup_close_ int fd = memfd_create("code", MFD_CLOEXEC);
	(void)state;

	assert_named_by_perf_map(mmap(NULL, 4096, PROT_READ | PROT_EXEC,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
				 USER_IN_MEMORY);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_named_by_perf_map(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0),
				 USER_FILE_UNREAD);
}

/* The subject of test_user_file.c, or a copy that calls odd_seen otherwise; mapped as a whole. */
static uint8_t *map_subject(const char *dir, const char *options)
{
	char command[1024], path[256];
	uint8_t *at;
	int fd;

	snprintf(command, sizeof(command), "mkdir %s && objcopy %s %s %s/lib", dir, options,
		 getenv("TCPWHY_USER_SUBJECT"), dir);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof(path), "%s/lib", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	at = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_true(at != MAP_FAILED);
	close(fd);
	return at;
}

static uint64_t subject_function(const char *name)
{
	char command[512], line[64] = "";
	FILE *nm;

	snprintf(command, sizeof(command), "nm %s | grep ' %s$'", getenv("TCPWHY_USER_SUBJECT"),
		 name);
	nm = popen(command, "r");
	assert_non_null(nm);
	assert_non_null(fgets(line, sizeof(line), nm));
	pclose(nm);
	return strtoull(line, NULL, 16);
}

static void assert_in(const uint8_t *map, uint64_t at, const char *name, const char *dir)
{
	q.stack.user.frames[0] = (uint64_t)map + at;
	assert_int_equal(answer(), 0);
	assert_string_equal(frame(0)->name, name);
	assert_non_null(strstr(frame(0)->object, dir));
}

static void files_of_one_name_are_told_apart(void **state)
{
	char root[] = "/tmp/tcpwhy-stack-XXXXXX", one[64], other[64], command[64];
	uint8_t *a, *b;
	uint64_t at;
	ucontext_t c;
	(void)state;

	assert_non_null(mkdtemp(root));
	snprintf(one, sizeof(one), "%s/one", root);
	snprintf(other, sizeof(other), "%s/other", root);
	a = map_subject(one, "");
	b = map_subject(other, "--redefine-sym odd_seen=odd_renamed");
	at = subject_function("odd_seen");
	getcontext(&c);
	ask_of_self(&c);
	assert_in(a, at, "odd_seen", one);
	assert_in(b, at, "odd_renamed", other);
	/* Once more, from what was read before. */
	assert_in(a, at, "odd_seen", one);
	/* A file that is gone is still there for who has it. */
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
	assert_in(b, at, "odd_renamed", other);
	munmap(a, 8192);
	munmap(b, 8192);
}

static void long_stacks_are_cut(void **state)
{
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ucontext_t c;
	(void)state;

	assert_true(code != MAP_FAILED);
	getcontext(&c);
	ask_of_self(&c);
	for (unsigned i = 0; i < REC_USTACK_MAX; i++)
		q.stack.user.frames[i] = (uint64_t)code + i + 1;
	q.stack.user.nr = REC_USTACK_MAX;
	assert_int_equal(answer(), 0);
	assert_int_equal(frame(REC_USTACK_MAX - 1)->end, USER_FULL);
	assert_null(frame(REC_USTACK_MAX));
	munmap(code, 4096);
}

static void who_is_gone_has_no_stack(void **state)
{
	ucontext_t c;
	pid_t pid;
	(void)state;

	getcontext(&c);
	ask_of_self(&c);
	pid = fork();
	if (!pid)
		_exit(0);
	assert_true(pid > 0);
	/* A zombie, first. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	q.stack.pid = q.stack.tid = (uint32_t)pid;
	assert_int_equal(answer(), -ESRCH);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(answer(), -ESRCH);
	assert_int_equal(l.count, 0);
}

static void another_program_is_not_taken_for_it(void **state)
{
	ucontext_t c;
	(void)state;

	getcontext(&c);
	ask_of_self(&c);
	str_copy(q.stack.comm, sizeof(q.stack.comm), "before exec");
	assert_int_equal(answer(), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappings_are_read),
		cmocka_unit_test(perf_maps_are_read),
#ifdef __x86_64__
		cmocka_unit_test(callers_are_found_without_frame_pointers),
		cmocka_unit_test(what_was_not_kept_is_said),
#endif
		cmocka_unit_test(garbage_is_no_stack),
		cmocka_unit_test(code_in_memory_is_named_by_its_perf_map),
		cmocka_unit_test(files_of_one_name_are_told_apart),
		cmocka_unit_test(long_stacks_are_cut),
		cmocka_unit_test(who_is_gone_has_no_stack),
		cmocka_unit_test(another_program_is_not_taken_for_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
