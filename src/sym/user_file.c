/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sym/user_file.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <gelf.h>

#define SYMBOLS_MAX 1000000
#define SEGMENTS_MAX 64
#define PART_MAX (256u << 20) /* bytes of a section or segment */

/* DWARF's numbers of registers: System V ABI, AMD64 supplement, figure 3.36. Other machines: by frame pointers only. */
#ifdef __x86_64__
#define OWN_MACHINE EM_X86_64
#define REG_BP 6
#define REG_SP 7
#else
#define OWN_MACHINE EM_AARCH64
#define REG_BP -1
#define REG_SP -1
#endif

struct function {
	uint64_t addr;
	uint64_t size;	  /* 0: to the next one */
	const char *name; /* in an Elf's memory */
	uint8_t worth;	  /* of those at one address the best gives its name */
};

struct segment {
	uint64_t offset, size, addr;
};

struct user_file {
	Elf *elf, *debug;
	Dwarf_CFI *cfi;
	char build_id[BUILD_ID_TEXT];
	const char *debuglink;
	bool whole;
	struct segment segments[SEGMENTS_MAX];
	size_t nr_segments;
	VEC(struct function) functions; /* by address, one at each */
};

/* ---- functions ------------------------------------------------------------------------------- */

/* "connect" rather than "__connect", what others call rather than what they don't. */
static uint8_t function_worth(const GElf_Sym *sym, const char *name)
{
	unsigned bars = (unsigned)strspn(name, "_");

	return (uint8_t)((GELF_ST_TYPE(sym->st_info) != STT_NOTYPE) << 4 |
			 (3 - (bars < 3 ? bars : 3)) << 2 |
			 (GELF_ST_BIND(sym->st_info) != STB_LOCAL) << 1 | (sym->st_size != 0));
}

static bool is_function(const GElf_Sym *sym)
{
	int type = GELF_ST_TYPE(sym->st_info);

	return (type == STT_FUNC || type == STT_GNU_IFUNC ||
		(type == STT_NOTYPE && GELF_ST_BIND(sym->st_info) != STB_LOCAL)) &&
	       sym->st_shndx != SHN_UNDEF && sym->st_value;
}

static int by_address(const void *a, const void *b)
{
	const struct function *x = a, *y = b;
	int order = (x->addr > y->addr) - (x->addr < y->addr);

	order = order ? order : y->worth - x->worth;
	return order ? order : strcmp(x->name, y->name);
}

static void functions_sort(struct user_file *f)
{
	size_t n = 0;

	if (f->functions.n)
		qsort(f->functions.v, f->functions.n, sizeof(*f->functions.v), by_address);
	for (size_t i = 0; i < f->functions.n; i++)
		if (!n || f->functions.v[n - 1].addr != f->functions.v[i].addr)
			f->functions.v[n++] = f->functions.v[i];
	f->functions.n = n;
}

static int functions_add(struct user_file *f, Elf *elf, Elf_Scn *scn, const GElf_Shdr *head)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t n = data && head->sh_entsize ? data->d_size / head->sh_entsize : 0;

	for (size_t i = 1; i < n && i <= SYMBOLS_MAX && i <= INT32_MAX; i++) {
		GElf_Sym sym;
		const char *name;
		struct function *slot;

		if (!gelf_getsym(data, (int)i, &sym) || !is_function(&sym))
			continue;
		name = elf_strptr(elf, head->sh_link, sym.st_name);
		if (!name || !*name)
			continue;
		slot = vec_push(&f->functions);
		if (!slot)
			return -ENOMEM;
		*slot = (struct function){sym.st_value, sym.st_size, name,
					  function_worth(&sym, name)};
	}
	return 0;
}

/* Adds the functions of the sections of that type; how many sections there are, or -ENOMEM. */
static int functions_of(struct user_file *f, Elf *elf, unsigned type)
{
	Elf_Scn *scn = NULL;
	int found = 0, err;

	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr header, *head = gelf_getshdr(scn, &header);

		if (!head || head->sh_type != type)
			continue;
		err = functions_add(f, elf, scn, head);
		if (err)
			return err;
		found++;
	}
	return found;
}

int user_file_symbol(const struct user_file *f, uint64_t addr, struct user_symbol *ret)
{
	size_t lo = 0, hi = f->functions.n;
	const struct function *at;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->functions.v[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return -ENOENT;
	at = &f->functions.v[lo - 1];
	/* Where only what is exported has names, what follows a function need not be part of it. */
	if (at->size ? addr - at->addr >= at->size : !f->whole)
		return -ENOENT;
	*ret = (struct user_symbol){at->name, addr - at->addr};
	return 0;
}

/* ---- callers --------------------------------------------------------------------------------- */

/* Of the register's value in the caller: is it kept, saved (*ret_offset), or is there none? */
enum register_rule { REGISTER_SAME, REGISTER_SAVED, REGISTER_NONE, REGISTER_ODD };

static enum register_rule register_rule(Dwarf_Frame *frame, int reg, int64_t *ret_offset)
{
	Dwarf_Op mem[3], *ops;
	size_t n;

	if (dwarf_frame_register(frame, reg, mem, &ops, &n))
		return REGISTER_ODD;
	if (!n)
		return ops ? REGISTER_NONE : REGISTER_SAME;
	/* DW_OP_call_frame_cfa, with an offset or at it */
	if (ops[0].atom != DW_OP_call_frame_cfa || n > 2 ||
	    (n == 2 && ops[1].atom != DW_OP_plus_uconst))
		return REGISTER_ODD;
	*ret_offset = n == 2 ? (int64_t)ops[1].number : 0;
	return REGISTER_SAVED;
}

static void frame_rule(Dwarf_Frame *frame, struct user_rule *ret)
{
	int ra = dwarf_frame_info(frame, NULL, NULL, NULL);
	enum register_rule bp;
	int64_t at = 0;
	Dwarf_Op *ops;
	size_t n;

	ret->outermost = register_rule(frame, ra, &at) == REGISTER_NONE;
	if (ret->outermost || at != -(int64_t)sizeof(uint64_t) ||
	    dwarf_frame_cfa(frame, &ops, &n) || n != 1 || ops[0].atom != DW_OP_bregx)
		return;
	bp = register_rule(frame, REG_BP, &ret->bp_offset);
	if (bp == REGISTER_ODD)
		return;
	ret->bp_saved = bp == REGISTER_SAVED;
	ret->cfa_offset = (int64_t)ops[0].number2;
	if (ops[0].number == REG_SP)
		ret->cfa = CFA_BY_SP;
	else if (ops[0].number == REG_BP)
		ret->cfa = CFA_BY_BP;
}

int user_file_rule(struct user_file *f, uint64_t addr, struct user_rule *ret)
{
	Dwarf_Frame *frame = NULL;

	*ret = (struct user_rule){0};
	if (REG_SP < 0 || !f->cfi || dwarf_cfi_addrframe(f->cfi, addr, &frame))
		return -ENOENT;
	frame_rule(frame, ret);
	free(frame);
	return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void build_id_read(Elf *elf, char ret[BUILD_ID_TEXT])
{
	const void *id;
	ssize_t len = dwelf_elf_gnu_build_id(elf, &id);

	ret[0] = '\0';
	for (ssize_t i = 0; i < len && i < (BUILD_ID_TEXT - 1) / 2; i++)
		snprintf(ret + 2 * i, 3, "%02x", ((const uint8_t *)id)[i]);
}

/* One of ours, as far as its head tells; without the tables of sections or segments that need numbers beyond 16 bits. */
static bool is_ours(int fd)
{
	Elf64_Ehdr head;

	return pread(fd, &head, sizeof(head), 0) == sizeof(head) &&
	       !memcmp(head.e_ident, ELFMAG, SELFMAG) && head.e_ident[EI_CLASS] == ELFCLASS64 &&
	       head.e_machine == OWN_MACHINE && (head.e_shnum || !head.e_shoff) &&
	       head.e_phnum != PN_XNUM;
}

/* Files have holes: what says that it is large need not be, but would take as much memory. */
static bool has_huge_parts(Elf *elf)
{
	bool large = false, whole = false;
	Elf_Scn *scn = NULL;
	size_t n = 0;

	(void)elf_getphdrnum(elf, &n);
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr header, *p = gelf_getphdr(elf, (int)i, &header);

		if (p && p->p_filesz > PART_MAX)
			return true;
	}
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr header, *s = gelf_getshdr(scn, &header);

		if (!s || s->sh_type == SHT_NOBITS)
			continue;
		whole |= s->sh_type == SHT_SYMTAB;
		if (s->sh_size > PART_MAX &&
		    (s->sh_type != SHT_PROGBITS || s->sh_flags & SHF_ALLOC))
			return true;
		large |= s->sh_size > PART_MAX;
	}
	return large && !whole; /* what debuggers need is not read of a file with symbols */
}

/* Read, not mapped: a file that is cut meanwhile must not end us. NULL: none of ours. */
static Elf *elf_read(int fd)
{
	Elf *elf;

	if (!is_ours(fd))
		return NULL;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && !has_huge_parts(elf))
		return elf;
	elf_end(elf);
	return NULL;
}

static void segments_read(struct user_file *f)
{
	size_t n = 0;

	if (elf_getphdrnum(f->elf, &n))
		return;
	for (size_t i = 0; i < n && f->nr_segments < SEGMENTS_MAX; i++) {
		GElf_Phdr header, *p = gelf_getphdr(f->elf, (int)i, &header);

		if (p && p->p_type == PT_LOAD && p->p_flags & PF_X)
			f->segments[f->nr_segments++] =
				(struct segment){p->p_offset, p->p_filesz, p->p_vaddr};
	}
}

int user_file_read(int fd, struct user_file **ret)
{
	struct user_file *f = calloc(1, sizeof(*f));
	GElf_Word crc;
	int n = -ENOMEM;

	if (!f)
		return -ENOMEM;
	f->elf = elf_read(fd);
	if (f->elf) {
		segments_read(f);
		build_id_read(f->elf, f->build_id);
		f->cfi = dwarf_getcfi_elf(f->elf);
		n = functions_of(f, f->elf, SHT_SYMTAB);
		f->whole = n > 0;
		if (!f->whole)
			f->debuglink = dwelf_elf_gnu_debuglink(f->elf, &crc);
		if (n >= 0)
			n = functions_of(f, f->elf, SHT_DYNSYM);
		elf_cntl(f->elf, ELF_C_FDDONE);
		functions_sort(f);
	}
	if (f->elf && n >= 0 && f->nr_segments) {
		*ret = f;
		return 0;
	}
	n = f->elf && n == -ENOMEM ? -ENOMEM : -ENOEXEC;
	user_file_free(f);
	return n;
}

int user_file_debug(struct user_file *f, int fd)
{
	Elf *elf = f->debug ? NULL : elf_read(fd);
	char id[BUILD_ID_TEXT];
	int n;

	if (!elf)
		return -ENOEXEC;
	build_id_read(elf, id);
	n = *id && strcmp(id, f->build_id) == 0 ? functions_of(f, elf, SHT_SYMTAB) : -ESTALE;
	if (n > 0) {
		elf_cntl(elf, ELF_C_FDDONE);
		f->debug = elf;
		f->whole = true;
		functions_sort(f);
		return 0;
	}
	elf_end(elf);
	return n ? n : -ENODATA;
}

void user_file_free(struct user_file *f)
{
	if (!f)
		return;
	if (f->cfi)
		dwarf_cfi_end(f->cfi);
	elf_end(f->elf);
	elf_end(f->debug);
	vec_free(&f->functions);
	free(f);
}

const char *user_file_build_id(const struct user_file *f)
{
	return f->build_id;
}

const char *user_file_debuglink(const struct user_file *f)
{
	return f->debuglink ? f->debuglink : "";
}

bool user_file_is_whole(const struct user_file *f)
{
	return f->whole;
}

int user_file_address(const struct user_file *f, uint64_t offset, uint64_t *ret)
{
	for (size_t i = 0; i < f->nr_segments; i++) {
		const struct segment *s = &f->segments[i];

		if (offset < s->offset || offset - s->offset >= s->size)
			continue;
		*ret = s->addr + (offset - s->offset);
		return 0;
	}
	return -ENOENT;
}
