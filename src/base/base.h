/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every room needs: cleanup attributes, a string buffer, a vector, and a ban on functions that
 * overflow. Functions return 0 (or a count) or a negative errno; results come through ret_
 * parameters. Nothing here logs or exits.
 */
#ifndef TCPWHY_BASE_H
#define TCPWHY_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void free_ptr(void *p)
{
	free(*(void **)p);
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#define _cleanup_free_ _cleanup_(free_ptr)
#define _cleanup_close_ _cleanup_(close_fd)

#define NSEC_PER_SEC ((uint64_t)1000000000)
#define NSEC_PER_MSEC ((uint64_t)1000000)
#define NSEC_PER_USEC ((uint64_t)1000)

/* CLOCK_MONOTONIC and CLOCK_REALTIME in nanoseconds. */
uint64_t now_mono(void);
uint64_t now_wall(void);
/* Sleeps until ns (CLOCK_MONOTONIC), but no longer than max. */
void nap_until(uint64_t ns, uint64_t max);

/*
 * A growing string. Zero-initialise; s is never NULL after the first append; strbuf_free releases
 * it.
 */
struct strbuf {
	char *s;
	size_t len;
	size_t cap;
	bool oom; /* an allocation failed: the text is cut */
};

#define _cleanup_strbuf_ _cleanup_(strbuf_free)
void strbuf_free(struct strbuf *b);
void strbuf_reset(struct strbuf *b);
void strbuf_addn(struct strbuf *b, const char *s, size_t n);
void strbuf_add(struct strbuf *b, const char *s);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) _printf_(2, 3);

/*
 * A vector of any type: struct { T *v; size_t n, cap; }. vec_push returns a pointer to a new zeroed
 * element, NULL when out of memory; it may move the elements.
 */
#define VEC(T)              \
	struct {            \
		T *v;       \
		size_t n;   \
		size_t cap; \
	}
void *vec_grow(void **v, size_t *n, size_t *cap, size_t size);
#define vec_push(vec)                                                               \
	((__typeof__((vec)->v))vec_grow((void **)&(vec)->v, &(vec)->n, &(vec)->cap, \
					sizeof(*(vec)->v)))
#define vec_free(vec)                      \
	do {                               \
		free((vec)->v);            \
		(vec)->v = NULL;           \
		(vec)->n = (vec)->cap = 0; \
	} while (0)

/* Copies at most size-1 bytes and always terminates; returns false if it had to cut. */
bool str_copy(char *dst, size_t size, const char *src);

/* Whole-string decimal number within [min, max]: 0, or -EINVAL / -ERANGE. */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/*
 * Reads a whole (small or /proc) file, at most max bytes, NUL-terminated: length or negative errno.
 * Caller frees.
 */
ssize_t read_file(const char *path, size_t max, char **ret);

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gets strncpy

#endif
