/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The symbols lie in one array sorted by address, 16 bytes each; their names lie one after the
 * other in one text. A kernel of 200,000 text symbols takes about 8 MB.
 */
#include "sym/ksyms.h"

#include "base/base.h"

#include <fcntl.h>

/*
 * Where no symbol of the same module follows, the end of a function is unknown. It is told up to the end of
 * its page: what was loaded since lies in pages of its own.
 */
#define PAGE 0x1000ull
#define FUNC_MAX 0x1000000ull

/*
 * One read() of /proc/kallsyms gives at most a page; a line is KSYM_NAME_LEN (512) and some more at
 * most.
 */
#define CHUNK 65536

#define AMBIGUOUS UINT64_MAX /* no function is there */

struct sym {
	uint64_t addr;
	uint32_t name;	 /* offset into names */
	uint16_t module; /* index, 0 the kernel itself */
	bool weak;
};

struct module {
	char name[32];
};

struct ksyms {
	VEC(struct sym) syms;
	VEC(struct module) modules;
	struct strbuf names;
	bool hidden; /* a text symbol without an address was seen */
};

static const char *sym_name(const struct ksyms *k, const struct sym *s)
{
	return k->names.s + s->name;
}

/* Symbols of one module follow each other, so the last module is nearly always the right one. */
static int module_index(struct ksyms *k, const char *name, size_t len)
{
	struct module *m;

	if (len >= sizeof(m->name))
		len = sizeof(m->name) - 1;
	for (size_t i = k->modules.n; i-- > 0;) {
		const char *known = k->modules.v[i].name;

		if (!strncmp(known, name, len) && !known[len])
			return (int)i;
	}
	if (k->modules.n > UINT16_MAX)
		return -E2BIG;
	m = vec_push(&k->modules);
	if (!m)
		return -ENOMEM;
	memcpy(m->name, name, len);
	return (int)(k->modules.n - 1);
}

static int sym_add(struct ksyms *k, struct sym sym, const char *name, size_t len)
{
	struct sym *s;

	if (k->names.len + len >= UINT32_MAX)
		return -E2BIG;
	s = vec_push(&k->syms);
	if (!s)
		return -ENOMEM;
	*s = sym;
	s->name = (uint32_t)k->names.len;
	strbuf_addn(&k->names, name, len + 1);
	return k->names.oom ? -ENOMEM : 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * "ffffffff81000000 T name" or "ffffffffc0000000 t name\t[module]" (kernel/kallsyms.c, s_show);
 * *end is a NUL in place of the newline. Whatever looks different is skipped.
 */
static int line_parse(struct ksyms *k, char *line, char *end)
{
	struct sym sym = {0};
	int digit, module = 0;
	char *p = line, *name, *tab;

	for (; (digit = hex_digit(*p)) >= 0; p++)
		sym.addr = sym.addr << 4 | (uint64_t)digit;
	name = p + 3;
	if (p == line || p - line > 16 || name >= end || p[0] != ' ' || p[2] != ' ')
		return 0;
	sym.weak = (p[1] | 0x20) == 'w';
	if (!sym.weak && (p[1] | 0x20) != 't')
		return 0;
	if (!sym.addr) {
		k->hidden = true;
		return 0;
	}
	tab = end[-1] == ']' ? memchr(name, '\t', (size_t)(end - name)) : NULL;
	if (tab && tab[1] == '[' && end - tab > 3) {
		module = module_index(k, tab + 2, (size_t)(end - tab) - 3);
		if (module < 0)
			return module;
		*tab = '\0';
		end = tab;
	}
	sym.module = (uint16_t)module;
	return sym_add(k, sym, name, (size_t)(end - name));
}

/* Takes the whole lines of buf; returns how many bytes those are, or a negative errno. */
static ssize_t lines_parse(struct ksyms *k, char *buf, size_t len)
{
	char *line = buf, *end;
	int err;

	while ((end = memchr(line, '\n', len - (size_t)(line - buf)))) {
		*end = '\0';
		err = line_parse(k, line, end);
		if (err)
			return err;
		line = end + 1;
	}
	return line - buf;
}

/* A last line without newline is perhaps cut in the middle of its name, so it isn't taken. */
static int file_parse(struct ksyms *k, int fd)
{
	_cleanup_free_ char *buf = malloc(CHUNK);
	size_t len = 0;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, buf + len, CHUNK - len), used;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		len += (size_t)n;
		used = lines_parse(k, buf, len);
		if (used < 0)
			return (int)used;
		len -= (size_t)used;
		if (len == CHUNK)
			return -EINVAL; /* no kallsyms has such lines */
		memmove(buf, buf + used, len);
	}
}

static int sym_compare(const void *a, const void *b)
{
	const struct sym *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

/*
 * The kernel's own symbols come sorted, and first; the modules' don't. Most often that leaves
 * little to sort.
 */
static void syms_sort(struct sym *v, size_t n)
{
	size_t sorted = 1;

	while (sorted < n && !v[sorted].module && v[sorted - 1].addr <= v[sorted].addr)
		sorted++;
	qsort(v + sorted, n - sorted, sizeof(*v), sym_compare);
	if (sorted < n && v[sorted].addr < v[sorted - 1].addr)
		qsort(v, n, sizeof(*v), sym_compare);
}

/*
 * Gives back what the doubling of the vectors took too much; a shrinking realloc that fails changes
 * nothing.
 */
static void ksyms_shrink(struct ksyms *k)
{
	void *p = realloc(k->syms.v, k->syms.n * sizeof(*k->syms.v));

	if (p)
		k->syms.v = p;
	p = realloc(k->names.s, k->names.len + 1);
	if (p)
		k->names.s = p;
}

int ksyms_load(const char *path, struct ksyms **ret)
{
	_cleanup_close_ int fd = open(path ? path : "/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	struct ksyms *k;
	int err;

	if (fd < 0)
		return -errno;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	err = vec_push(&k->modules) ? file_parse(k, fd)
				    : -ENOMEM; /* module 0 is the kernel: no name */
	if (!err && !k->syms.n)
		err = k->hidden ? -EPERM : -ENODATA;
	if (err) {
		ksyms_free(k);
		return err;
	}
	syms_sort(k->syms.v, k->syms.n);
	ksyms_shrink(k);
	*ret = k;
	return 0;
}

void ksyms_free(struct ksyms *k)
{
	if (!k)
		return;
	vec_free(&k->syms);
	vec_free(&k->modules);
	strbuf_free(&k->names);
	free(k);
}

/* The number of symbols at or below addr. */
static size_t syms_below(const struct ksyms *k, uint64_t addr)
{
	size_t lo = 0, hi = k->syms.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (k->syms.v[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Of several names of one address: weak aliases, and names with underscores (_text), say less than
 * the others.
 */
static size_t sym_rank(const struct ksyms *k, const struct sym *s)
{
	return strspn(sym_name(k, s), "_") + (s->weak ? 100 : 0);
}

/* The best name for the address of symbol i, the last one at that address. */
static const struct sym *sym_best(const struct ksyms *k, size_t i)
{
	const struct sym *best = &k->syms.v[i], *s = best;

	while (s > k->syms.v && s[-1].addr == best->addr)
		if (sym_rank(k, --s) <= sym_rank(k, best))
			best = s;
	return best;
}

int ksyms_find(const struct ksyms *k, uint64_t addr, struct rec_symbol *ret)
{
	size_t next = syms_below(k, addr);
	const struct sym *s;
	uint64_t size = 0;

	if (!next)
		return -ENOENT;
	s = sym_best(k, next - 1);
	if (next < k->syms.n && k->syms.v[next].module == s->module)
		size = k->syms.v[next].addr - s->addr;
	if (size > FUNC_MAX)
		size = 0; /* two areas of one module, as its text and its .init.text */
	if (addr - s->addr >= (size ? size : PAGE - s->addr % PAGE))
		return -ENOENT;
	ret->addr = addr;
	ret->offset = addr - s->addr;
	ret->func_size = size;
	str_copy(ret->name, sizeof(ret->name), sym_name(k, s));
	str_copy(ret->module, sizeof(ret->module), k->modules.v[s->module].name);
	return 0;
}

struct wanted {
	const char *name;
	size_t place;
};

static int wanted_compare(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void ksyms_locate(const struct ksyms *k, const char *const names[], size_t n, uint64_t addrs[])
{
	_cleanup_free_ struct wanted *wanted = calloc(n ? n : 1, sizeof(*wanted));

	memset(addrs, 0, n * sizeof(*addrs));
	if (!wanted)
		return;
	for (size_t i = 0; i < n; i++)
		wanted[i] = (struct wanted){names[i], i};
	qsort(wanted, n, sizeof(*wanted), wanted_compare);
	for (size_t i = 0; i < k->syms.n; i++) {
		const struct sym *s = &k->syms.v[i];
		struct wanted key = {.name = sym_name(k, s)}, *w;

		w = bsearch(&key, wanted, n, sizeof(*wanted), wanted_compare);
		if (w && addrs[w->place] && addrs[w->place] != s->addr)
			addrs[w->place] = AMBIGUOUS;
		else if (w)
			addrs[w->place] = s->addr;
	}
	for (size_t i = 0; i < n; i++)
		if (addrs[i] == AMBIGUOUS)
			addrs[i] = 0;
}
