/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was found in one build's debug information, kept in a file: looked up by key, never trusted blindly. */
#ifndef TCPWHY_LINE_CACHE_H
#define TCPWHY_LINE_CACHE_H

#include "base/base.h"

#include <limits.h>

struct line_cache {
	char path[PATH_MAX]; /* "": nothing is kept */
	struct strbuf head;  /* the first line of the file, which says what it is of */
	struct strbuf text;  /* head and a line for each key */
	struct strbuf added; /* lines that the file does not have yet */
};

/*
 * Where files go: $XDG_CACHE_HOME/tcpwhy, else ~/.cache/tcpwhy, for root /var/cache/tcpwhy. "" if there is no such
 * place.
 */
void line_cache_dir(char ret[PATH_MAX]);

/* A file that is damaged, of another build or writable for others is as if there were none. */
void line_cache_open(struct line_cache *c, const char *dir, const char *build_id);
/* NULL: not known. Else the value, *len bytes, valid until the next call with c. */
const char *line_cache_get(const struct line_cache *c, const char *key, size_t *len);
/* Neither key nor value may have control characters, but a value tabs: such are not kept. */
void line_cache_put(struct line_cache *c, const char *key, const char *value);
/* Writes what was added. 0 or a negative errno. */
int line_cache_save(struct line_cache *c);
void line_cache_close(struct line_cache *c);

#endif
