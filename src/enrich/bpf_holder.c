/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel doesn't tell who holds a BPF program, so /proc/PID/fd of all processes has to be walked.
 * One walk notes every program; a single read tells whether what it noted still holds.
 */
#include "enrich/bpf.h"
#include "enrich/process.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/pidfd.h>

/* More programs than that are held nowhere; a process that holds many leaves room for others. */
#define HOLDERS_MAX 4096

/* A walk may take a fifth of the time; who asks waits for its turn at most that long. */
#define WALK_SHARE 5
#define WALK_WAIT_NS (150 * NSEC_PER_MSEC)
/* What the last walk didn't find isn't looked for again that long: most programs have no holder. */
#define WALK_AGE_NS NSEC_PER_SEC

struct holder {
	uint32_t prog_id;
	uint32_t pid;
	uint32_t fd;
};

static struct {
	pthread_mutex_t lock;
	VEC(struct holder) v;
	uint64_t walked_ns; /* when the last walk began */
	uint64_t next_ns;   /* the next may begin */
	uint32_t newest;    /* program then */
} holders = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The program that a file descriptor of this process is, or that its link holds; 0 if it is neither. */
static uint32_t own_prog(int fd, bool is_link)
{
	struct bpf_prog_info prog = {0};
	struct bpf_link_info link = {0};
	uint32_t size = is_link ? sizeof(link) : sizeof(prog);

	if (bpf_obj_get_info_by_fd(fd, is_link ? (void *)&link : &prog, &size))
		return 0;
	return is_link ? link.prog_id : prog.id;
}

/*
 * … of another one. Its fdinfo says so, too; but to read that of a kprobe.multi link that has no cookies kills
 * the reader, on 6.18 at least: kernel/trace/bpf_trace.c, bpf_kprobe_multi_show_fdinfo.
 */
static uint32_t fd_prog(int process, uint32_t pid, uint32_t fd)
{
	_cleanup_close_ int own = -1;
	char path[48], name[32];
	bool is_link;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/fd/%u", pid, fd);
	n = readlink(path, name, sizeof(name) - 1);
	if (n <= 0)
		return 0;
	name[n] = '\0';
	is_link = !strcmp(name, "anon_inode:bpf_link");
	if (!is_link && strcmp(name, "anon_inode:bpf-prog"))
		return 0;
	own = pidfd_getfd(process, (int)fd, 0);
	return own < 0 ? 0 : own_prog(own, is_link);
}

static void holder_note(uint32_t prog_id, uint32_t pid, uint32_t fd)
{
	struct holder *h;

	for (size_t i = 0; i < holders.v.n; i++)
		if (holders.v.v[i].prog_id == prog_id)
			return;
	h = holders.v.n < HOLDERS_MAX ? vec_push(&holders.v) : NULL;
	if (h)
		*h = (struct holder){prog_id, pid, fd};
}

static void walk_process(int proc_fd, const char *name, uint32_t pid)
{
	_cleanup_close_ int process = -1;
	struct dirent *entry;
	char path[32];
	DIR *d;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/fd", name) >= sizeof(path))
		return;
	fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		close_fd(&fd);
		return;
	}
	process = pidfd_open((pid_t)pid, 0);
	while (process >= 0 && (entry = readdir(d))) {
		uint32_t prog_id;
		uint64_t n;

		if (parse_u64(entry->d_name, 0, INT_MAX, &n))
			continue;
		prog_id = fd_prog(process, pid, (uint32_t)n);
		if (prog_id)
			holder_note(prog_id, pid, (uint32_t)n);
	}
	closedir(d);
}

/* /proc lists processes in ascending order, so the first to be noted is the lowest. */
static void walk(void)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;
	uint32_t next;
	uint64_t pid;

	nap_until(holders.next_ns, WALK_WAIT_NS);
	holders.walked_ns = now_mono();
	holders.v.n = 0;
	while (!bpf_prog_get_next_id(holders.newest, &next))
		holders.newest = next;
	while (d && (entry = readdir(d)))
		if (!parse_u64(entry->d_name, 1, UINT32_MAX, &pid))
			walk_process(dirfd(d), entry->d_name, (uint32_t)pid);
	if (d)
		closedir(d);
	holders.next_ns = now_mono() + (now_mono() - holders.walked_ns) * (WALK_SHARE - 1);
}

/* What was noted, if it still holds; if not, there has to be a walk. */
static uint32_t holder_find(uint32_t prog_id)
{
	for (size_t i = 0; i < holders.v.n; i++) {
		const struct holder *h = &holders.v.v[i];
		_cleanup_close_ int process = -1;

		if (h->prog_id != prog_id)
			continue;
		process = pidfd_open((pid_t)h->pid, 0);
		if (process >= 0 && fd_prog(process, h->pid, h->fd) == prog_id)
			return h->pid;
		holders.walked_ns = 0;
		return 0;
	}
	return 0;
}

/* Ids count up (kernel/bpf/syscall.c, bpf_prog_alloc_id): a higher one came after the walk. */
static bool walk_is_due(uint32_t prog_id)
{
	return prog_id > holders.newest || !holders.walked_ns ||
	       now_mono() - holders.walked_ns > WALK_AGE_NS;
}

int bpf_holder(uint32_t prog_id, uint32_t *ret_pid, char ret_comm[16])
{
	uint32_t pid;

	if (!prog_id)
		return -ENOENT;
	pthread_mutex_lock(&holders.lock);
	pid = holder_find(prog_id);
	if (!pid && walk_is_due(prog_id)) {
		walk();
		pid = holder_find(prog_id);
	}
	pthread_mutex_unlock(&holders.lock);
	if (!pid)
		return -ENOENT;
	*ret_pid = pid;
	process_comm(pid, ret_comm, 16);
	return 0;
}
