/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * elfutils finds the compilation unit of an address by .debug_aranges, maps the file, and reads of a unit what it
 * is asked for: a few of a kernel's thousands.
 */
#include "sym/debug_file.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <limits.h>

#define DEPTH_MAX 32

struct debug_file {
	Dwfl *dwfl;
	Dwfl_Module *mod;
	VEC(struct debug_symbol) symbols; /* functions, by name and address */
	char tree[PATH_MAX];
	bool tree_known;
};

/* A file that has none in itself would make libdwfl look elsewhere: that is done here, by build id. */
static int find_none(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
		     const char *file, const char *link, GElf_Word crc, char **ret)
{
	(void)mod, (void)userdata, (void)name, (void)base, (void)file, (void)link, (void)crc;
	*ret = NULL;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = find_none,
	.section_address = dwfl_offline_section_address,
};

/* ---- symbols --------------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
	const struct debug_symbol *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int by_name(const void *a, const void *b)
{
	const struct debug_symbol *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : by_address(a, b);
}

/* Symbols of text, as /proc/kallsyms has them: assembler's often lack type and size. */
static bool is_text(Elf *elf, const GElf_Sym *sym)
{
	int type = GELF_ST_TYPE(sym->st_info);
	GElf_Shdr header, *shdr;

	if (type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC)
		return false;
	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE)
		return false;
	shdr = gelf_getshdr(elf_getscn(elf, sym->st_shndx), &header);
	return shdr && shdr->sh_flags & SHF_EXECINSTR;
}

static int load_symbols(struct debug_file *d)
{
	int n = dwfl_module_getsymtab(d->mod);
	Dwarf_Addr bias;
	Elf *elf = dwfl_module_getelf(d->mod, &bias);
	uint64_t next = 0;

	for (int i = 1; elf && i < n; i++) {
		GElf_Sym sym;
		GElf_Word shndx;
		struct debug_symbol *s;
		const char *name = dwfl_module_getsym(d->mod, i, &sym, &shndx);

		if (!name || !*name || !is_text(elf, &sym))
			continue;
		s = vec_push(&d->symbols);
		if (!s)
			return -ENOMEM;
		*s = (struct debug_symbol){name, sym.st_value, sym.st_size};
	}
	if (!d->symbols.n)
		return -ENODATA;
	qsort(d->symbols.v, d->symbols.n, sizeof(*d->symbols.v), by_address);
	for (size_t i = d->symbols.n; i-- > 0;) {
		struct debug_symbol *s = &d->symbols.v[i];

		if (i + 1 < d->symbols.n && s[1].addr != s->addr)
			next = s[1].addr;
		if (next)
			s->size = next - s->addr;
	}
	qsort(d->symbols.v, d->symbols.n, sizeof(*d->symbols.v), by_name);
	return 0;
}

size_t debug_functions(const struct debug_file *d, const char *name,
		       const struct debug_symbol **ret)
{
	size_t lo = 0, hi = d->symbols.n, n = 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(d->symbols.v[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret = d->symbols.v + lo;
	while (lo + n < d->symbols.n && !strcmp((*ret)[n].name, name))
		n++;
	return n;
}

/* ---- files ----------------------------------------------------------------------------------- */

int debug_open(const char *path, struct debug_file **ret)
{
	struct debug_file *d;
	Dwarf_Addr bias;
	int err = 0;

	if (access(path, R_OK) < 0)
		return -errno;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->dwfl = dwfl_begin(&callbacks);
	d->mod = d->dwfl ? dwfl_report_offline(d->dwfl, "", path, -1) : NULL;
	if (!d->mod || dwfl_report_end(d->dwfl, NULL, NULL) < 0 ||
	    !dwfl_module_getdwarf(d->mod, &bias))
		err = -ENODATA;
	if (!err)
		err = load_symbols(d);
	if (err) {
		debug_close(d);
		return err;
	}
	*ret = d;
	return 0;
}

void debug_close(struct debug_file *d)
{
	if (!d)
		return;
	dwfl_end(d->dwfl);
	vec_free(&d->symbols);
	free(d);
}

/* ---- source lines ---------------------------------------------------------------------------- */

/* Takes "/./" and "/dir/../" out of a path, in place. */
static void simplify(char *path)
{
	char *to = path, *floor = path; /* nothing before floor is taken back */

	for (const char *from = path; *from;) {
		size_t len = strcspn(from, "/");
		const char *part = from;
		bool more = from[len] == '/';

		from += len + more;
		if ((len == 1 && part[0] == '.') || (!len && to > path))
			continue;
		if (len == 2 && part[0] == '.' && part[1] == '.') {
			if (to > floor) {
				for (to--; to > floor && to[-1] != '/';)
					to--;
				continue;
			}
			floor = to + 3;
		}
		memmove(to, part, len + more);
		to += len + more;
		if (!len)
			floor = to; /* the root */
	}
	*to = '\0';
}

/* file as the compiler named it, without the tree's place. */
static void add_place(const char *file, const char *dir, int line, const char *tree,
		      struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf path = {0};
	size_t cut = strlen(tree);

	if (*file != '/' && dir && *dir)
		strbuf_addf(&path, "%s/", dir);
	strbuf_add(&path, file);
	if (!path.s)
		return;
	simplify(path.s);
	strbuf_add(out, cut && !strncmp(path.s, tree, cut) ? path.s + cut : path.s);
	strbuf_addf(out, ":%d", line);
}

static const char *compile_dir(Dwarf_Die *cu)
{
	Dwarf_Attribute attr;

	return dwarf_formstring(dwarf_attr(cu, DW_AT_comp_dir, &attr));
}

/* Compilers may leave .debug_aranges out; libdw before 0.192 knows no other way. */
static Dwarf_Die *unit_of(struct debug_file *d, uint64_t addr, Dwarf_Die *found,
			  Dwarf_Addr *ret_bias)
{
	Dwarf_Die *cu = dwfl_module_addrdie(d->mod, addr, ret_bias);
	Dwarf *dwarf = cu ? NULL : dwfl_module_getdwarf(d->mod, ret_bias);
	Dwarf_CU *unit = NULL;

	while (dwarf && !dwarf_get_units(dwarf, unit, &unit, NULL, NULL, found, NULL))
		if (dwarf_haspc(found, addr - *ret_bias) > 0)
			return found;
	return cu;
}

/*
 * The functions that have pc in them, the outermost first: a subprogram, and those inlined there. How many.
 */
static size_t functions_at(Dwarf_Die *cu, Dwarf_Addr pc, Dwarf_Die stack[DEPTH_MAX])
{
	Dwarf_Die die, inside = *cu;
	size_t n = 0;
	int none = dwarf_child(&inside, &die);

	while (!none) {
		int tag = dwarf_tag(&die);
		bool function = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;

		if ((function || tag == DW_TAG_lexical_block) && dwarf_haspc(&die, pc) > 0) {
			if (function && n < DEPTH_MAX)
				stack[n++] = die;
			inside = die;
			none = dwarf_child(&inside, &die);
		} else {
			none = dwarf_siblingof(&die, &die);
		}
	}
	return n;
}

static int attr_number(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (dwarf_formudata(dwarf_attr(die, name, &attr), &value) || value > INT_MAX)
		return 0;
	return (int)value;
}

/* Where the function that was inlined as die is called. */
static void add_call(Dwarf_Die *cu, Dwarf_Die *die, const char *tree, struct strbuf *out)
{
	Dwarf_Files *files;
	size_t n;
	const char *file = NULL;

	if (!dwarf_getsrcfiles(cu, &files, &n))
		file = dwarf_filesrc(files, (size_t)attr_number(die, DW_AT_call_file), NULL, NULL);
	add_place(file ? file : "??", file ? compile_dir(cu) : NULL,
		  attr_number(die, DW_AT_call_line), tree, out);
}

static const char *function_name(Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);

	return name ? name : "??";
}

int debug_source(struct debug_file *d, const char *symbol, uint64_t addr, const char *tree,
		 struct strbuf *out)
{
	Dwarf_Die found, functions[DEPTH_MAX];
	Dwarf_Addr bias = 0;
	Dwarf_Die *cu = unit_of(d, addr, &found, &bias);
	Dwarf_Line *line = cu ? dwarf_getsrc_die(cu, addr - bias) : NULL;
	const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	int number = 0;
	size_t n;

	if (!file || dwarf_lineno(line, &number))
		return -ENOENT;
	n = functions_at(cu, addr - bias, functions);
	strbuf_addf(out, "%s ", n ? function_name(&functions[0]) : symbol);
	for (size_t i = 1; i < n; i++) {
		add_call(cu, &functions[i], tree, out);
		strbuf_addf(out, "; %s ", function_name(&functions[i]));
	}
	add_place(file, compile_dir(cu), number, tree, out);
	return out->oom ? -ENOMEM : 0;
}

const char *debug_tree(struct debug_file *d)
{
	static const char main_c[] = "init/main.c:";
	_cleanup_strbuf_ struct strbuf source = {0};
	const struct debug_symbol *start;
	char *end, *path;

	if (d->tree_known)
		return d->tree;
	d->tree_known = true;
	if (!debug_functions(d, "start_kernel", &start) ||
	    debug_source(d, start->name, start->addr, "", &source) < 0)
		return d->tree;
	path = strchr(source.s, ' ') + 1;
	end = strstr(path, main_c);
	if (end && strspn(end + strlen(main_c), "0123456789") == strlen(end + strlen(main_c))) {
		*end = '\0';
		if (!str_copy(d->tree, sizeof(d->tree), path))
			d->tree[0] = '\0';
	}
	return d->tree;
}
