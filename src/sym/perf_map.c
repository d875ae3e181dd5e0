/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sym/perf_map.h"

/* One hexadecimal number and the blanks behind it; NULL: there is none. */
static const char *number(const char *at, uint64_t *ret)
{
	size_t digits;

	if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
		at += 2;
	digits = strspn(at, "0123456789abcdefABCDEF");
	if (!digits || digits > 16 || (at[digits] != ' ' && at[digits] != '\t'))
		return NULL;
	*ret = strtoull(at, NULL, 16);
	return at + digits + strspn(at + digits, " \t");
}

bool perf_map_find(const char *text, uint64_t addr, char *ret, size_t size, uint64_t *ret_offset)
{
	bool found = false;

	for (const char *end, *line = text; *line; line = *end ? end + 1 : end) {
		uint64_t start, len;
		const char *name = number(line, &start);

		end = strchrnul(line, '\n');
		name = name ? number(name, &len) : NULL;
		if (!name || name >= end || addr < start || addr - start >= len)
			continue;
		snprintf(ret, size, "%.*s", (int)(end - name), name);
		*ret_offset = addr - start;
		found = true;
	}
	return found;
}
