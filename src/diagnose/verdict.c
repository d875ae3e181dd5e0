/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/verdict.h"

#include "record/source_text.h"

#include <stdarg.h>

static void source_free(struct verdict_source *s)
{
	free(s->frame);
	free(s->function);
	free(s->file);
}

void verdict_free(struct verdict *v)
{
	free(v->explanation);
	for (size_t i = 0; i < v->evidence.n; i++)
		free(v->evidence.v[i]);
	for (size_t i = 0; i < v->hit.n; i++)
		free(v->hit.v[i]);
	for (size_t i = 0; i < v->stack.n; i++)
		free(v->stack.v[i]);
	for (size_t i = 0; i < v->source.n; i++)
		source_free(&v->source.v[i]);
	for (size_t i = 0; i < v->user_stack.n; i++)
		free(v->user_stack.v[i]);
	free(v->user_stack_end);
	for (size_t i = 0; i < v->path.n; i++)
		free(v->path.v[i]);
	for (size_t i = 0; i < v->fix.n; i++) {
		free(v->fix.v[i].command);
		free(v->fix.v[i].effect);
	}
	vec_free(&v->evidence);
	vec_free(&v->hit);
	vec_free(&v->stack);
	vec_free(&v->source);
	vec_free(&v->user_stack);
	vec_free(&v->path);
	vec_free(&v->fix);
	ledger_free(&v->connect);
	*v = (struct verdict){0};
}

const char *certainty_name(enum certainty c)
{
	switch (c) {
	case CERTAINTY_CERTAIN:
		return "certain";
	case CERTAINTY_LIKELY:
		return "likely";
	case CERTAINTY_UNKNOWN:
		break;
	}
	return "unknown";
}

/* NULL when out of memory. */
static _printf_(1, 0) char *format(const char *fmt, va_list ap)
{
	char *s;

	return vasprintf(&s, fmt, ap) < 0 ? NULL : s;
}

void verdict_explain(struct verdict *v, const char *fmt, ...)
{
	_cleanup_free_ char *s = NULL;
	size_t old = v->explanation ? strlen(v->explanation) : 0;
	char *joined;
	va_list ap;

	va_start(ap, fmt);
	s = format(fmt, ap);
	va_end(ap);
	joined = s ? realloc(v->explanation, old + strlen(s) + 2) : NULL;
	if (!joined)
		return;
	v->explanation = joined;
	if (old)
		joined[old++] = ' ';
	memcpy(joined + old, s, strlen(s) + 1);
}

/* s is taken over, and may be NULL. */
static void line_add(char ***v, size_t *n, size_t *cap, char *s)
{
	char **line = s ? vec_grow((void **)v, n, cap, sizeof(**v)) : NULL;

	if (line)
		*line = s;
	else
		free(s);
}

/* The same, unless it is there already: what was asked twice is answered twice. */
static void line_add_once(char ***v, size_t *n, size_t *cap, char *s)
{
	for (size_t i = 0; s && i < *n; i++)
		if (strcmp((*v)[i], s) == 0) {
			free(s);
			return;
		}
	line_add(v, n, cap, s);
}

void verdict_evidence(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_add_once(&v->evidence.v, &v->evidence.n, &v->evidence.cap, format(fmt, ap));
	va_end(ap);
}

void verdict_frame(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_add(&v->stack.v, &v->stack.n, &v->stack.cap, format(fmt, ap));
	va_end(ap);
}

static void source_add(struct verdict *v, const char *frame, const struct source_line *l,
		       bool inlined)
{
	struct verdict_source s = {.frame = strdup(frame), .inlined = inlined}, *slot = NULL;

	if (l) {
		s.function = strndup(l->function, (size_t)l->function_len);
		s.file = strndup(l->place, (size_t)l->file_len);
		s.line = l->line;
	}
	if (s.frame && (!l || (s.function && s.file)))
		slot = vec_push(&v->source);
	if (slot)
		*slot = s;
	else
		source_free(&s);
}

void verdict_source(struct verdict *v, const char *frame, const char *source)
{
	struct source_line lines[SOURCE_LINES_MAX];
	size_t n = source_lines(source, lines);

	if (!n)
		source_add(v, frame, NULL, false);
	while (n-- > 0)
		source_add(v, frame, &lines[n], n > 0);
}

void verdict_user_frame(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_add(&v->user_stack.v, &v->user_stack.n, &v->user_stack.cap, format(fmt, ap));
	va_end(ap);
}

void verdict_step(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_add(&v->path.v, &v->path.n, &v->path.cap, format(fmt, ap));
	va_end(ap);
}

void verdict_hit(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_add_once(&v->hit.v, &v->hit.n, &v->hit.cap, format(fmt, ap));
	va_end(ap);
}

void verdict_fix(struct verdict *v, const char *effect, const char *fmt, ...)
{
	char *command, *copy = strdup(effect ? effect : "");
	struct verdict_fix *fix = NULL;
	va_list ap;

	va_start(ap, fmt);
	command = format(fmt, ap);
	va_end(ap);
	if (command && copy)
		fix = vec_push(&v->fix);
	if (!fix) {
		free(command);
		free(copy);
		return;
	}
	*fix = (struct verdict_fix){command, copy};
}
