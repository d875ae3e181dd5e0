/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a place in the kernel comes from, as text: "FUNCTION FILE:LINE", and the same of each function that was inlined
 * there, inwards, with "; " between them.
 */
#ifndef TCPWHY_SOURCE_TEXT_H
#define TCPWHY_SOURCE_TEXT_H

#include "base/base.h"

#define SOURCE_LINES_MAX 32

struct source_line { /* points into the text */
	const char *function;
	const char *place; /* "net/ipv4/tcp_ipv4.c:2226" */
	int function_len, place_len;
	int file_len; /* of place: without the line */
	uint32_t line;
};

/* Takes a text apart: how many lines; what isn't such a text has none. */
size_t source_lines(const char *text, struct source_line ret[SOURCE_LINES_MAX]);
/* Copies a text; what doesn't fit goes from its end, line by line. */
void source_copy(char *dst, size_t size, const char *text);

#endif
