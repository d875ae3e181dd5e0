/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/mappings.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* fs/proc/task_mmu.c, show_map_vma: "7f12-7f34 r-xp 00026000 fe:01 1234   /usr/lib/libc.so.6 (deleted)" */
static void line_take(const char *line, size_t len, struct mappings *m)
{
	unsigned long long start, end, offset, inode;
	unsigned major, minor;
	struct mapping *slot;
	char x;
	int at = 0;

	if (sscanf(line, "%llx-%llx %*c%*c%c%*c %llx %x:%x %llu%n", &start, &end, &x, &offset,
		   &major, &minor, &inode, &at) != 7 ||
	    (size_t)at > len || x != 'x' || start >= end)
		return;
	at += (int)strspn(line + at, " ");
	slot = vec_push(&m->v);
	if (!slot)
		return;
	*slot = (struct mapping){start, end, offset, major, minor, inode, NULL};
	slot->path = strndup(line + at, (size_t)at < len ? len - (size_t)at : 0);
	if (!slot->path)
		m->v.n--;
}

void mappings_parse(const char *text, struct mappings *ret)
{
	*ret = (struct mappings){0};
	while (*text) {
		const char *end = strchrnul(text, '\n');

		line_take(text, (size_t)(end - text), ret);
		text = *end ? end + 1 : end;
	}
}

void mappings_free(struct mappings *m)
{
	for (size_t i = 0; i < m->v.n; i++)
		free(m->v.v[i].path);
	vec_free(&m->v);
}

const struct mapping *mappings_find(const struct mappings *m, uint64_t addr)
{
	for (size_t i = 0; i < m->v.n; i++)
		if (addr >= m->v.v[i].start && addr < m->v.v[i].end)
			return &m->v.v[i];
	return NULL;
}

static int open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

int process_file(uint32_t pid, const char *path)
{
	char whole[PATH_MAX];
	int n = pid ? snprintf(whole, sizeof(whole), "/proc/%u/root%s", pid, path)
		    : snprintf(whole, sizeof(whole), "%s", path);

	return n < (int)sizeof(whole) ? open_regular(whole) : -ENAMETOOLONG;
}

int mapping_open(uint32_t pid, const struct mapping *m)
{
	char path[80];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/map_files/%llx-%llx", pid,
		 (unsigned long long)m->start, (unsigned long long)m->end);
	fd = open_regular(path);
	if (fd >= 0)
		return fd;
	fd = *m->path == '/' ? process_file(pid, m->path) : -ENOENT;
	if (fd < 0)
		return fd;
	if (!fstat(fd, &st) && st.st_ino == m->inode && major(st.st_dev) == m->major &&
	    minor(st.st_dev) == m->minor)
		return fd;
	close(fd);
	return -ESTALE;
}
