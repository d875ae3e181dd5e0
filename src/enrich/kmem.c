/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/kmem.h"

#include "abi/record.h" /* the types of the skeleton */
#include "peek.skel.h"

#include <bpf/bpf.h>
#include <pthread.h>
#include <sys/resource.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct peek_bpf *skel; /* under lock */

static int silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

static int load(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	libbpf_print_fn_t before = libbpf_set_print(silent);
	int err = 0;

	/* Kernels before 5.11 charge BPF memory to it (commit 97306be45fbe). */
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	skel = peek_bpf__open_and_load();
	if (!skel)
		err = -errno;
	libbpf_set_print(before);
	/* The verifier's word for a helper that lockdown=confidentiality takes away. */
	return err == -EINVAL || err == -EACCES ? -EPERM : err;
}

static int open_locked(void)
{
	return skel ? 0 : load();
}

int kmem_open(void)
{
	int err;

	pthread_mutex_lock(&lock);
	err = open_locked();
	pthread_mutex_unlock(&lock);
	return err;
}

void kmem_close(void)
{
	pthread_mutex_lock(&lock);
	peek_bpf__destroy(skel);
	skel = NULL;
	pthread_mutex_unlock(&lock);
}

/* net/bpf/test_run.c, bpf_prog_test_run_raw_tp: in the calling thread, on this CPU. */
static int run(const struct bpf_program *prog, const void *args, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = (uint32_t)size);

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
		return -errno;
	return (int)opts.retval < 0 ? -EFAULT : 0;
}

static int read_locked(uint64_t addr, char *buf, size_t len)
{
	while (len) {
		size_t n = len < sizeof(skel->bss->peeked) ? len : sizeof(skel->bss->peeked);
		uint64_t args[] = {addr, n};
		int err = run(skel->progs.peek, args, sizeof(args));

		if (err)
			return err;
		memcpy(buf, skel->bss->peeked, n);
		addr += n;
		buf += n;
		len -= n;
	}
	return 0;
}

int kmem_read(uint64_t addr, void *buf, size_t len)
{
	int err;

	pthread_mutex_lock(&lock);
	err = open_locked();
	if (!err)
		err = read_locked(addr, buf, len);
	pthread_mutex_unlock(&lock);
	return err;
}

int kmem_current_task(uint64_t *ret)
{
	int err;

	pthread_mutex_lock(&lock);
	err = open_locked();
	if (!err)
		err = run(skel->progs.peek_task, NULL, 0);
	if (!err)
		*ret = skel->bss->peeking_task;
	pthread_mutex_unlock(&lock);
	return err;
}

/* Where task_struct has the way to its namespace; read once. */
static int net_members(struct kmem_member ret[2])
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	static struct kmem_member members[] = {
		{.type = "task_struct", .member = "nsproxy"},
		{.type = "nsproxy", .member = "net_ns"},
	};
	int err = 0;

	pthread_mutex_lock(&once);
	if (!members[0].found || !members[1].found)
		err = kmem_find(members, ARRAY_SIZE(members));
	if (!err && (!members[0].found || !members[1].found))
		err = -EOPNOTSUPP;
	memcpy(ret, members, sizeof(members));
	pthread_mutex_unlock(&once);
	return err;
}

int kmem_current_net(uint64_t *ret)
{
	struct kmem_member m[2];
	uint64_t at = 0;
	int err = net_members(m);

	if (!err)
		err = kmem_current_task(&at);
	if (!err)
		err = kmem_read(at + m[0].at, &at, sizeof(at));
	if (!err)
		err = kmem_read(at + m[1].at, ret, sizeof(*ret));
	return err;
}
