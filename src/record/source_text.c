/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record/source_text.h"

/* "net/ipv4/tcp_ipv4.c:2226" */
static void split_place(struct source_line *l)
{
	const char *colon = memrchr(l->place, ':', (size_t)l->place_len);

	l->file_len = colon ? (int)(colon - l->place) : l->place_len;
	l->line = colon ? (uint32_t)strtoul(colon + 1, NULL, 10) : 0;
}

size_t source_lines(const char *text, struct source_line ret[SOURCE_LINES_MAX])
{
	size_t n = 0;

	while (*text && n < SOURCE_LINES_MAX) {
		const char *end = strstr(text, "; ");
		size_t len = end ? (size_t)(end - text) : strlen(text);
		const char *space = memchr(text, ' ', len);

		if (!space || space == text)
			break;
		ret[n] = (struct source_line){
			.function = text,
			.function_len = (int)(space - text),
			.place = space + 1,
			.place_len = (int)(text + len - space - 1),
		};
		split_place(&ret[n++]);
		text += len + (end ? 2 : 0);
	}
	return n;
}

void source_copy(char *dst, size_t size, const char *text)
{
	size_t len = strlen(text);

	while (len >= size) {
		const char *cut = NULL;

		for (const char *p = text; (p = strstr(p, "; ")) && p < text + len; p++)
			cut = p;
		len = cut ? (size_t)(cut - text) : 0;
	}
	memcpy(dst, text, len);
	dst[len] = '\0';
}
