/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sym/build_id.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>

static int id_text(const uint8_t *id, size_t len, char ret[BUILD_ID_TEXT])
{
	if (!len || len > (BUILD_ID_TEXT - 1) / 2)
		return -ENODATA;
	for (size_t i = 0; i < len; i++)
		snprintf(ret + 2 * i, 3, "%02x", id[i]);
	return 0;
}

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

int build_id_of_notes(const char *path, char ret[BUILD_ID_TEXT])
{
	_cleanup_free_ char *notes = NULL;
	ssize_t len = read_file(path, 1 << 20, &notes);
	size_t at = 0;

	if (len < 0)
		return (int)len;
	while (at + sizeof(GElf_Nhdr) <= (size_t)len) {
		GElf_Nhdr n;
		size_t name = at + sizeof(n), desc;

		memcpy(&n, notes + at, sizeof(n));
		desc = name + padded(n.n_namesz);
		at = desc + padded(n.n_descsz);
		if (desc + n.n_descsz > (size_t)len)
			break;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    !memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)))
			return id_text((const uint8_t *)notes + desc, n.n_descsz, ret);
	}
	return -ENOENT;
}

static bool has_debug(Elf *elf)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return false;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr header, *shdr = gelf_getshdr(scn, &header);
		const char *name = shdr ? elf_strptr(elf, names, shdr->sh_name) : NULL;

		if (name && !strcmp(name, ".debug_info") && shdr->sh_type != SHT_NOBITS)
			return true;
	}
	return false;
}

int build_id_of_file(const char *path, char ret[BUILD_ID_TEXT], bool *ret_debug)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const void *id;
	ssize_t len;
	Elf *elf;
	int err;

	*ret_debug = false;
	if (fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF) {
		elf_end(elf);
		return -ENOEXEC;
	}
	*ret_debug = has_debug(elf);
	len = dwelf_elf_gnu_build_id(elf, &id);
	err = len > 0 ? id_text(id, (size_t)len, ret) : -ENODATA;
	elf_end(elf);
	return err;
}
