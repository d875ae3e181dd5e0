/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sym/modules.h"

#include "base/base.h"

/* FNV-1a. */
static uint64_t add_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return (hash ^ ' ') * 0x100000001b3;
}

/* kernel/module/procfs.c m_show: name, size, references, who refers to it, state, address, taints. */
uint64_t modules_fingerprint(const char *path)
{
	FILE *file = fopen(path ? path : "/proc/modules", "re");
	_cleanup_free_ char *line = NULL;
	uint64_t hash = 0xcbf29ce484222325;
	size_t size = 0;

	if (!file)
		return 0;
	while (getline(&line, &size, file) > 0) {
		char *rest = line;

		for (int field = 0; field < 6; field++) {
			const char *text = strsep(&rest, " \n");

			if (!text)
				break;
			if (field == 0 || field == 4 || field == 5)
				hash = add_text(hash, text);
		}
	}
	fclose(file);
	return hash;
}
