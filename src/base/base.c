/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/base.h"

#include <fcntl.h>
#include <stdarg.h>
#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t now_mono(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t now_wall(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void nap_until(uint64_t ns, uint64_t max)
{
	uint64_t now = now_mono(), end = ns < now + max ? ns : now + max;
	struct timespec ts = {(time_t)(end / NSEC_PER_SEC), (long)(end % NSEC_PER_SEC)};

	if (end > now)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

void strbuf_free(struct strbuf *b)
{
	free(b->s);
	*b = (struct strbuf){0};
}

void strbuf_reset(struct strbuf *b)
{
	b->len = 0;
	if (b->s)
		b->s[0] = '\0';
}

static bool strbuf_room(struct strbuf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 64;
	char *s;

	while (cap < b->len + n + 1)
		cap *= 2;
	if (cap == b->cap)
		return true;
	s = realloc(b->s, cap);
	if (!s) {
		b->oom = true;
		return false;
	}
	if (!b->s)
		s[0] = '\0';
	b->s = s;
	b->cap = cap;
	return true;
}

void strbuf_addn(struct strbuf *b, const char *s, size_t n)
{
	if (!strbuf_room(b, n) || !n)
		return;
	memcpy(b->s + b->len, s, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void strbuf_add(struct strbuf *b, const char *s)
{
	strbuf_addn(b, s, strlen(s));
}

void strbuf_addc(struct strbuf *b, char c)
{
	strbuf_addn(b, &c, 1);
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !strbuf_room(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(b->s + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void *vec_grow(void **v, size_t *n, size_t *cap, size_t size)
{
	char *elem;

	if (*n == *cap) {
		size_t want = *cap ? *cap * 2 : 8;
		void *p = reallocarray(*v, want, size);

		if (!p)
			return NULL;
		*v = p;
		*cap = want;
	}
	elem = (char *)*v + (*n)++ * size;
	memset(elem, 0, size);
	return elem;
}

bool str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);
	bool whole = n < size;

	if (!size)
		return false;
	if (!whole)
		n = size - 1;
	memcpy(dst, src, n);
	dst[n] = '\0';
	return whole;
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	unsigned long long n;
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno || n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

ssize_t read_file(const char *path, size_t max, char **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, cap = 0;

	if (fd < 0)
		return -errno;
	while (len < max) {
		ssize_t n;

		if (cap - len < 4096) {
			char *bigger = realloc(buf, cap + 16384 + 1);

			if (!bigger)
				return -ENOMEM;
			buf = bigger;
			cap += 16384;
		}
		n = read(fd, buf + len, cap - len < max - len ? cap - len : max - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (!buf)
		return -EINVAL;
	buf[len] = '\0';
	*ret = buf;
	buf = NULL;
	return (ssize_t)len;
}
