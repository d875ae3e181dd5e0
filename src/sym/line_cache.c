/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "tcpwhy lines 1 BUILD-ID", then lines of key, tab, value. A new file takes the old one's place at once. */
#include "sym/line_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#define FILE_MAX (4u << 20)

void line_cache_dir(char ret[PATH_MAX])
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n = 0;

	ret[0] = '\0';
	if (xdg && xdg[0] == '/')
		n = snprintf(ret, PATH_MAX, "%s/tcpwhy", xdg);
	else if (!geteuid())
		n = snprintf(ret, PATH_MAX, "/var/cache/tcpwhy");
	else if (home && home[0] == '/')
		n = snprintf(ret, PATH_MAX, "%s/.cache/tcpwhy", home);
	if (n >= PATH_MAX)
		ret[0] = '\0';
}

/* Who else may write it could say anything of the kernel. */
static bool is_own(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && !(st->st_mode & 022) &&
	       st->st_size <= FILE_MAX;
}

/* The whole lines of the file, head included; nothing if it isn't ours. */
static void load(const struct line_cache *c, struct strbuf *ret)
{
	_cleanup_close_ int fd = open(c->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	char buf[16384];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !is_own(&st))
		return;
	while (ret->len <= FILE_MAX && (n = read(fd, buf, sizeof(buf))) > 0)
		strbuf_addn(ret, buf, (size_t)n);
	if (ret->len < c->head.len || memcmp(ret->s, c->head.s, c->head.len) != 0 ||
	    memchr(ret->s, '\0', ret->len)) {
		strbuf_reset(ret);
		return;
	}
	while (ret->s[ret->len - 1] != '\n') /* the rest of a line that was cut off */
		ret->len--;
	ret->s[ret->len] = '\0';
}

void line_cache_open(struct line_cache *c, const char *dir, const char *build_id)
{
	*c = (struct line_cache){0};
	strbuf_addf(&c->head, "tcpwhy lines 1 %s\n", build_id);
	if (!*dir || snprintf(c->path, sizeof(c->path), "%s/%s.lines", dir, build_id) >= PATH_MAX)
		c->path[0] = '\0';
	else
		load(c, &c->text);
	if (!c->text.len)
		strbuf_add(&c->text, c->head.s ? c->head.s : "\n");
}

static const char *find(const struct strbuf *text, const char *key, size_t *len)
{
	_cleanup_strbuf_ struct strbuf start = {0};
	const char *at;

	strbuf_addf(&start, "\n%s\t", key);
	if (!start.s || !text->len)
		return NULL;
	at = memmem(text->s, text->len, start.s, start.len);
	if (!at)
		return NULL;
	at += start.len;
	*len = strcspn(at, "\n");
	return at;
}

const char *line_cache_get(const struct line_cache *c, const char *key, size_t *len)
{
	return find(&c->text, key, len);
}

static bool is_clean(const char *s, bool tabs)
{
	for (; *s; s++)
		if ((uint8_t)*s < 0x20 && !(tabs && *s == '\t'))
			return false;
	return true;
}

void line_cache_put(struct line_cache *c, const char *key, const char *value)
{
	size_t len;

	if (!is_clean(key, false) || !is_clean(value, true) || find(&c->text, key, &len))
		return;
	strbuf_addf(&c->text, "%s\t%s\n", key, value);
	strbuf_addf(&c->added, "%s\t%s\n", key, value);
}

static int write_all(int fd, const struct strbuf *text)
{
	size_t at = 0;

	while (at < text->len) {
		ssize_t n = write(fd, text->s + at, text->len - at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* For its owner only: which places of the kernel were asked is nobody else's business. */
static int replace(const struct line_cache *c, const struct strbuf *text)
{
	char temp[PATH_MAX + 8];
	_cleanup_close_ int fd = -1;
	int err;

	snprintf(temp, sizeof(temp), "%s.XXXXXX", c->path);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text);
	if (!err && rename(temp, c->path) < 0)
		err = -errno;
	if (err)
		unlink(temp);
	return err;
}

static void make_folders(const char *path)
{
	char dir[PATH_MAX];

	str_copy(dir, sizeof(dir), path);
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(dir, 0700);
		*slash = '/';
	}
}

int line_cache_save(struct line_cache *c)
{
	_cleanup_strbuf_ struct strbuf text = {0};

	if (!c->path[0] || !c->added.len)
		return 0;
	make_folders(c->path);
	load(c, &text); /* what others have added since */
	if (!text.len || text.len + c->added.len > FILE_MAX) {
		strbuf_reset(&text);
		strbuf_addn(&text, c->head.s, c->head.len);
	}
	strbuf_addn(&text, c->added.s, c->added.len);
	strbuf_reset(&c->added);
	return text.oom ? -ENOMEM : replace(c, &text);
}

void line_cache_close(struct line_cache *c)
{
	strbuf_free(&c->head);
	strbuf_free(&c->text);
	strbuf_free(&c->added);
}
