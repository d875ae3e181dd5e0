/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BPF programs of a cgroup. The kernel says which run (its own and those of its ancestors, unless
 * one below them overrides); where they were attached is found on the way up.
 */
#include "enrich/bpf_private.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* include/linux/exportfs.h and fs/kernfs/mount.c: since 5.5 the id is all of a handle. */
#define HANDLE_TYPE_KERNFS 0xfe
#define DEPTH_MAX 64

static const struct {
	enum bpf_attach_type type;
	enum bpf_place place;
} hooks[] = {
	{BPF_CGROUP_INET_INGRESS, BPF_AT_CGROUP_INGRESS},
	{BPF_CGROUP_INET_EGRESS, BPF_AT_CGROUP_EGRESS},
	{BPF_CGROUP_INET4_CONNECT, BPF_AT_CGROUP_CONNECT},
	{BPF_CGROUP_INET6_CONNECT, BPF_AT_CGROUP_CONNECT},
	{BPF_CGROUP_INET4_BIND, BPF_AT_CGROUP_BIND},
	{BPF_CGROUP_INET6_BIND, BPF_AT_CGROUP_BIND},
};

/* The second is where systemd's hybrid layout has it. A file descriptor or a negative errno. */
static int mount_open(void)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		int fd = open(mounts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && !fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC)
			return fd;
		close_fd(&fd);
	}
	return -ENOENT;
}

static int cgroup_open(int mount_fd, uint64_t cgroup)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(cgroup)];
	} u = {.handle = {.handle_bytes = sizeof(cgroup), .handle_type = HANDLE_TYPE_KERNFS}};
	int fd;

	memcpy(u.handle.f_handle, &cgroup, sizeof(cgroup));
	fd = open_by_handle_at(mount_fd, &u.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Its path, as it was opened; "" if that can't be told. */
static void path_of(int fd, char *ret, size_t size)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", fd);
	n = readlink(link, ret, size - 1);
	ret[n > 0 ? n : 0] = '\0';
}

struct chain {
	int fd[DEPTH_MAX]; /* of the cgroup, its parent… */
	size_t n;
};

static void chain_close(struct chain *c)
{
	while (c->n)
		close(c->fd[--c->n]);
}

#define _cleanup_chain_ _cleanup_(chain_close)

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Up to the root of the mount. */
static int chain_open(struct chain *c, uint64_t cgroup)
{
	_cleanup_close_ int mount_fd = mount_open();
	int fd;

	if (mount_fd < 0)
		return mount_fd;
	fd = cgroup_open(mount_fd, cgroup);
	if (fd < 0)
		return fd;
	c->fd[c->n++] = fd;
	while (c->n < DEPTH_MAX && !same_file(fd, mount_fd)) {
		fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			break;
		c->fd[c->n++] = fd;
	}
	return 0;
}

/* The path of the cgroup that the program is attached to, "" if that is above the mount's root. */
static void attached_where(const struct chain *c, enum bpf_attach_type type, uint32_t id, char *ret,
			   size_t size)
{
	uint32_t ids[BPF_IDS_MAX], n;

	ret[0] = '\0';
	for (size_t i = 0; i < c->n; i++) {
		bpf_query(c->fd[i], type, 0, ids, &n);
		for (uint32_t j = 0; j < n; j++) {
			if (ids[j] != id)
				continue;
			path_of(c->fd[i], ret, size);
			return;
		}
	}
}

int bpf_cgroup_find(struct bpf_found *f, uint64_t cgroup)
{
	_cleanup_chain_ struct chain c = {.n = 0};
	int err = chain_open(&c, cgroup);

	for (size_t i = 0; !err && i < ARRAY_SIZE(hooks); i++) {
		uint32_t ids[BPF_IDS_MAX], n;

		err = bpf_query(c.fd[0], hooks[i].type, BPF_F_QUERY_EFFECTIVE, ids, &n);
		for (uint32_t j = 0; j < n; j++) {
			char where[80];

			attached_where(&c, hooks[i].type, ids[j], where, sizeof(where));
			bpf_note(f, hooks[i].place, ids[j], "", where);
		}
	}
	return err;
}
