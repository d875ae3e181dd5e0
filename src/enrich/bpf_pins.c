/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is pinned below /sys/fs/bpf can only be told by opening it. */
#include "enrich/bpf_private.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <sys/vfs.h>

/* So many files and so deep: some programs pin thousands, and it should stay cheap. */
#define FILES_MAX 1024
#define DEPTH_MAX 4

struct pins {
	struct bpf_found *f;
	size_t files;
};

/* The program of a file descriptor, or of a link; 0: it is a map. */
static uint32_t fd_prog(int fd)
{
	struct bpf_prog_info prog = {0};
	struct bpf_link_info link_info = {0};
	uint32_t prog_len = sizeof(prog), link_len = sizeof(link_info);
	char path[32], link[32] = "";

	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return 0;
	if (!strcmp(link, "anon_inode:bpf-prog"))
		return bpf_obj_get_info_by_fd(fd, &prog, &prog_len) ? 0 : prog.id;
	if (!strcmp(link, "anon_inode:bpf_link"))
		return bpf_obj_get_info_by_fd(fd, &link_info, &link_len) ? 0 : link_info.prog_id;
	return 0;
}

static void file_look(struct pins *p, const char *path)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	uint32_t id = fd < 0 ? 0 : fd_prog(fd);

	for (size_t i = 0; id && i < p->f->n; i++)
		if (p->f->v[i].id == id && !p->f->v[i].pinned[0])
			str_copy(p->f->v[i].pinned, sizeof(p->f->v[i].pinned), path);
}

static void dir_look(struct pins *p, const char *dir, int depth)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && p->files < FILES_MAX && (entry = readdir(d))) {
		char path[256];

		if (entry->d_name[0] == '.' || (size_t)snprintf(path, sizeof(path), "%s/%s", dir,
								entry->d_name) >= sizeof(path))
			continue;
		p->files++;
		if (entry->d_type == DT_REG)
			file_look(p, path);
		else if (entry->d_type == DT_DIR && depth < DEPTH_MAX)
			dir_look(p, path, depth + 1);
	}
	if (d)
		closedir(d);
}

void bpf_pins_fill(struct bpf_found *f)
{
	static const char root[] = "/sys/fs/bpf";
	struct pins p = {.f = f};
	struct statfs fs;

	if (!statfs(root, &fs) && fs.f_type == BPF_FS_MAGIC)
		dir_look(&p, root, 1);
}
