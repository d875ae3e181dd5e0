/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/user_unwind.h"

#include <limits.h>
#include <sys/stat.h>

#define FILES_MAX 32
#define WORD ((int64_t)sizeof(uint64_t))

struct known {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
	struct user_file *file; /* NULL: it can't be used */
	uint64_t used;		/* 0: free */
};

struct user_files {
	struct known v[FILES_MAX];
	uint64_t uses;
};

int user_files_open(struct user_files **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void user_files_close(struct user_files *f)
{
	for (size_t i = 0; f && i < FILES_MAX; i++)
		user_file_free(f->v[i].file);
	free(f);
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool debug_take(struct user_file *f, uint32_t pid, const char *path)
{
	_cleanup_close_ int fd = process_file(pid, path);

	return fd >= 0 && !user_file_debug(f, fd);
}

/* Where distributions put what they strip off: for the process's own files first. */
static void debug_find(struct user_file *f, uint32_t pid, const char *object)
{
	static const char *const links[] = {"%.*s/%s", "%.*s/.debug/%s", "/usr/lib/debug%.*s/%s"};
	const char *id = user_file_build_id(f), *link = user_file_debuglink(f);
	const char *slash = strrchr(object, '/');
	char path[PATH_MAX];

	if (user_file_is_whole(f) || strlen(id) < 3)
		return;
	snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
	if (debug_take(f, pid, path) || debug_take(f, 0, path))
		return;
	if (!*link || strchr(link, '/') || !slash)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		int n = snprintf(path, sizeof(path), links[i], (int)(slash - object), object, link);

		if (n < (int)sizeof(path) && debug_take(f, pid, path))
			return;
	}
}

static bool known_is(const struct known *k, const struct stat *st)
{
	return k->used && k->dev == st->st_dev && k->ino == st->st_ino && k->size == st->st_size &&
	       k->changed.tv_sec == st->st_ctim.tv_sec && k->changed.tv_nsec == st->st_ctim.tv_nsec;
}

static struct user_file *file_of(struct user_process *p, const struct mapping *m)
{
	_cleanup_close_ int fd = mapping_open(p->pid, m);
	struct user_files *files = p->files;
	struct known *k = &files->v[0];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (known_is(&files->v[i], &st)) {
			files->v[i].used = ++files->uses;
			return files->v[i].file;
		}
		if (files->v[i].used < k->used)
			k = &files->v[i];
	}
	user_file_free(k->file);
	*k = (struct known){st.st_dev, st.st_ino, st.st_size, st.st_ctim, NULL, ++files->uses};
	if (user_file_read(fd, &k->file) < 0)
		k->file = NULL;
	else
		debug_find(k->file, p->pid, m->path);
	return k->file;
}

struct user_code user_code_at(struct user_process *p, uint64_t pc, bool call)
{
	struct user_code c = {.map = mappings_find(&p->maps, pc - call)};

	if (!c.map || !c.map->inode)
		return c;
	c.file = file_of(p, c.map);
	if (c.file && user_file_address(c.file, pc - call - c.map->start + c.map->offset, &c.addr))
		c.file = NULL;
	return c;
}

/* ---- callers --------------------------------------------------------------------------------- */

/* What lies at addr, if it was kept. */
static bool word_at(const struct rec_user *s, uint64_t addr, uint64_t *ret)
{
	uint64_t at = addr - s->sp;

	if (!addr || addr < s->sp || at % sizeof(*ret) || at / sizeof(*ret) >= s->nr_top)
		return false;
	*ret = s->top[at / sizeof(*ret)];
	return true;
}

/* As compilers do it that keep frame pointers, and the kernel takes it for granted. */
static const struct user_rule by_pointer = {
	.cfa = CFA_BY_BP, .cfa_offset = 2 * WORD, .bp_saved = true, .bp_offset = -2 * WORD};

static uint64_t cfa_of(const struct user_rule *rule, const struct user_regs *r)
{
	uint64_t from = rule->cfa == CFA_BY_SP ? r->sp : rule->cfa == CFA_BY_BP ? r->bp : 0;

	return from ? from + (uint64_t)rule->cfa_offset : 0;
}

enum user_stack_end user_caller(const struct rec_user *s, const struct user_code *c,
				struct user_regs *r, bool *ret_unsure)
{
	struct user_rule rule;
	bool linked;
	uint64_t cfa;

	*ret_unsure = !c->file || user_file_rule(c->file, c->addr, &rule);
	if (*ret_unsure)
		rule = by_pointer;
	if (rule.outermost)
		return USER_OUTERMOST;
	cfa = cfa_of(&rule, r);
	linked = rule.cfa == CFA_BY_BP && rule.cfa_offset == 2 * WORD && r->link >= 0;
	if (!word_at(s, cfa ? cfa - WORD : 0, &r->pc)) {
		if (!linked)
			return USER_NO_POINTER;
		if ((uint32_t)r->link + 1 >= s->nr)
			return s->nr == REC_USTACK_MAX ? USER_FULL : USER_NO_CODE;
		r->pc = s->frames[r->link + 1];
	}
	if (rule.bp_saved) {
		r->link = linked && rule.bp_offset == -2 * WORD ? r->link + 1 : -1;
		if (!word_at(s, cfa ? cfa + (uint64_t)rule.bp_offset : 0, &r->bp))
			r->bp = 0;
	}
	r->sp = cfa;
	return USER_GOES_ON;
}
