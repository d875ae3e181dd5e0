/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sym/lines.h"

#include "sym/debug_file.h"
#include "sym/debug_find.h"
#include "sym/debuginfod.h"
#include "sym/line_cache.h"

#include <malloc.h>
#include <sys/utsname.h>

#define MATCHES_MAX 64
/* What elfutils has read of a file it keeps: after so many places that is enough. */
#define READS_MAX 200

/* The kernel itself, or a module. */
struct unit {
	char module[64];
	char id[BUILD_ID_TEXT]; /* "": it can't be told what runs */
	char path[PATH_MAX];	/* "": not looked for yet */
	bool missing;		/* it was looked for in vain */
	struct debug_file *file;
	unsigned reads;
	struct line_cache cache;
};

struct lines {
	struct utsname uts;
	struct debug_host host;
	char cache_dir[PATH_MAX];
	VEC(struct unit *) units; /* the first is the kernel */
	bool stop;
};

void lines_matches_free(lines_matches *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].source);
	vec_free(m);
}

/* ---- units ----------------------------------------------------------------------------------- */

static struct unit *unit_add(struct lines *l, const char *module)
{
	struct unit *u = calloc(1, sizeof(*u)), **slot = u ? vec_push(&l->units) : NULL;

	if (!slot) {
		free(u);
		return NULL;
	}
	str_copy(u->module, sizeof(u->module), module);
	*slot = u;
	return u;
}

static struct unit *unit_of(struct lines *l, const char *module)
{
	struct unit *u;

	for (size_t i = 0; i < l->units.n; i++)
		if (!strcmp(l->units.v[i]->module, module))
			return l->units.v[i];
	if (strchr(module, '/'))
		return NULL;
	u = unit_add(l, module);
	if (u && debug_running_id(&l->host, module, u->id) < 0)
		u->id[0] = '\0';
	else if (u)
		line_cache_open(&u->cache, l->cache_dir, u->id);
	return u;
}

/* Its debug information, opened; NULL: none. */
static struct debug_file *unit_file(struct lines *l, struct unit *u)
{
	_cleanup_strbuf_ struct strbuf ignored = {0};

	if (u->file && ++u->reads > READS_MAX) {
		debug_close(u->file);
		u->file = NULL;
		u->reads = 0;
	}
	if (u->file || u->missing || !u->id[0])
		return u->file;
	u->missing = (!u->path[0] && debug_find(&l->host, u->module, u->id, u->path, &ignored) &&
		      (!debuginfod_wanted() || debuginfod_fetch(u->id, &l->stop, u->path))) ||
		     debug_open(u->path, &u->file);
	return u->file;
}

static void unit_rest(struct unit *u)
{
	(void)line_cache_save(&u->cache); /* then it is found again the next time */
	debug_close(u->file);
	u->file = NULL;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int use_given(struct lines *l, const struct lines_options *o, struct unit *kernel,
		     struct strbuf *why)
{
	char running[BUILD_ID_TEXT];
	int err = o->any_kernel ? 0 : debug_running_id(&l->host, "", running);

	if (err) {
		strbuf_addf(why, "the running kernel tells no build id (/sys/kernel/notes): %s",
			    strerror(-err));
		return err;
	}
	str_copy(kernel->path, sizeof(kernel->path), o->vmlinux);
	err = debug_check(o->vmlinux, o->any_kernel ? NULL : running, kernel->id, why);
	return err == -ENOENT ? -EINVAL : err;
}

static int find_kernel(struct lines *l, struct unit *kernel, struct strbuf *why)
{
	int err = debug_running_id(&l->host, "", kernel->id);

	if (err) {
		strbuf_addf(why, "the running kernel tells no build id (/sys/kernel/notes): %s",
			    strerror(-err));
		return -ENOENT;
	}
	err = debug_find(&l->host, "", kernel->id, kernel->path, why);
	if (!err)
		return 0;
	kernel->path[0] = '\0';
	if (debuginfod_wanted())
		return 0;
	if (err == -ENOENT)
		strbuf_addf(why, "no debug information of kernel %s", l->host.release);
	return err;
}

int lines_open(const struct lines_options *o, struct lines **ret, struct strbuf *why)
{
	struct lines *l = calloc(1, sizeof(*l));
	struct unit *kernel = l ? unit_add(l, "") : NULL;
	int err;

	if (!kernel) {
		lines_close(l);
		return -ENOMEM;
	}
	uname(&l->uts);
	l->host = (struct debug_host){o->root ? o->root : "", l->uts.release};
	if (o->cache_dir)
		str_copy(l->cache_dir, sizeof(l->cache_dir), o->cache_dir);
	else
		line_cache_dir(l->cache_dir);
	err = o->vmlinux ? use_given(l, o, kernel, why) : find_kernel(l, kernel, why);
	if (err) {
		lines_close(l);
		return err;
	}
	line_cache_open(&kernel->cache, l->cache_dir, kernel->id);
	*ret = l;
	return 0;
}

void lines_rest(struct lines *l)
{
	for (size_t i = 0; i < l->units.n; i++)
		unit_rest(l->units.v[i]);
	malloc_trim(0);
}

void lines_close(struct lines *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->units.n; i++) {
		unit_rest(l->units.v[i]);
		line_cache_close(&l->units.v[i]->cache);
		free(l->units.v[i]);
	}
	vec_free(&l->units);
	free(l);
}

void lines_stop(struct lines *l)
{
	__atomic_store_n(&l->stop, true, __ATOMIC_RELAXED);
}

const char *lines_path(const struct lines *l)
{
	return l->units.v[0]->path;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* All functions of that name: "START SIZE SOURCE" each, with tabs between them. */
static int read_debug(struct lines *l, struct unit *u, const struct lines_place *at,
		      struct strbuf *value)
{
	struct debug_file *kernel = unit_file(l, l->units.v[0]), *d = unit_file(l, u);
	const char *tree = kernel ? debug_tree(kernel) : "";
	const struct debug_symbol *s, *text;
	uint64_t base;
	size_t n;

	if (!d)
		return -ENOENT;
	base = debug_functions(d, "_stext", &text) ? text->addr : 0;
	n = debug_functions(d, at->name, &s);
	for (size_t i = 0; i < n && i < MATCHES_MAX; i++) {
		if (at->offset > s[i].size)
			continue;
		strbuf_addf(value, "%s%llx %llx ", value->len ? "\t" : "",
			    (unsigned long long)(s[i].addr - base), (unsigned long long)s[i].size);
		(void)debug_source(d, s[i].name, s[i].addr + at->offset, tree, value);
	}
	return value->oom ? -ENOMEM : 0;
}

/* One "START SIZE SOURCE". A cache's file may have anything. */
static void match_add(const char *text, size_t len, uint64_t size, lines_matches *ret)
{
	_cleanup_free_ char *copy = strndup(text, len);
	struct lines_match m = {0}, *slot;
	char *end;

	if (!copy || !len)
		return;
	m.start = strtoull(copy, &end, 16);
	if (*end != ' ')
		return;
	m.size = strtoull(end + 1, &end, 16);
	if (*end != ' ' || (size && m.size != size))
		return;
	m.source = strdup(end + 1);
	slot = m.source ? vec_push(ret) : NULL;
	if (slot)
		*slot = m;
	else
		free(m.source);
}

static void matches_read(const char *value, size_t len, uint64_t size, lines_matches *ret)
{
	while (len) {
		const char *tab = memchr(value, '\t', len);
		size_t n = tab ? (size_t)(tab - value) : len;

		match_add(value, n, size, ret);
		n += tab != NULL;
		value += n;
		len -= n;
	}
}

int lines_all(struct lines *l, const struct lines_place *at, lines_matches *ret)
{
	_cleanup_strbuf_ struct strbuf key = {0}, value = {0};
	struct unit *u = unit_of(l, at->module);
	const char *known;
	size_t len;
	int err;

	if (!u || !u->id[0])
		return -ENOENT;
	strbuf_addf(&key, "%s+0x%llx", at->name, (unsigned long long)at->offset);
	if (!key.s)
		return -ENOMEM;
	known = line_cache_get(&u->cache, key.s, &len);
	if (!known) {
		err = read_debug(l, u, at, &value);
		if (err)
			return err;
		known = value.s ? value.s : "";
		len = value.len;
		line_cache_put(&u->cache, key.s, known);
	}
	/* The cache has them whatever their size: one name is asked with and without it. */
	matches_read(known, len, at->size, ret);
	return (int)ret->n;
}

int lines_find(struct lines *l, const struct lines_place *at, struct strbuf *ret)
{
	/* kallsyms leaves symbols out, so its sizes may differ: where the function is says more. */
	struct lines_place any = *at;
	const struct lines_match *found = NULL;
	lines_matches m = {0};
	size_t fit = 0, sized = 0;
	int err;

	any.size = 0;
	err = lines_all(l, &any, &m);
	for (size_t i = 0; i < m.n; i++)
		sized += at->size && m.v[i].size == at->size;
	for (size_t i = 0; i < m.n; i++) {
		bool here =
			at->start ? m.v[i].start == at->start : !sized || m.v[i].size == at->size;

		if (!here)
			continue;
		fit++;
		found = &m.v[i];
	}
	if (err >= 0)
		err = fit > 1 ? -ENOTUNIQ : fit && *found->source ? 0 : -ENOENT;
	if (!err)
		strbuf_add(ret, found->source);
	lines_matches_free(&m);
	return err;
}
