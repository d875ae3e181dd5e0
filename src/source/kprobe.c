/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kprobes by the address of a function where that is known: names of static functions need not be unique,
 * and to find one the kernel may go through all of its symbols (kernel/kallsyms.c kallsyms_lookup_name,
 * before 6.2; kernel/trace/ftrace.c ftrace_lookup_symbols).
 */
#include "source/live_private.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RETPROBE 1 /* /sys/bus/event_source/devices/kprobe/format/retprobe */

/* Number of the kernel's PMU of kprobes, or a negative errno. */
static int pmu_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	int type = -1;

	if (!file)
		return -ENOENT;
	if (fscanf(file, "%d", &type) != 1)
		type = -ENOENT;
	fclose(file);
	return type;
}

int kprobe_open(const char *function, uint64_t addr, bool at_return)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.config = at_return ? RETPROBE : 0,
		.kprobe_func = addr ? 0 : (uint64_t)(uintptr_t)function,
	};
	int type = pmu_type(), fd;

	if (addr)
		attr.kprobe_addr = addr;
	if (type < 0)
		return type;
	attr.type = (uint32_t)type;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

struct bpf_link *kprobe_attach(struct bpf_program *prog, const char *function, uint64_t addr,
			       bool at_return)
{
	int fd = kprobe_open(function, addr, at_return);
	struct bpf_link *link;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	link = bpf_program__attach_perf_event(prog, fd);
	if (!link)
		close(fd);
	return link;
}

/*
 * All links have cookies, though no program reads them: who reads the fdinfo of one without is killed, on 6.18 at
 * least (kernel/trace/bpf_trace.c, bpf_kprobe_multi_show_fdinfo).
 */
struct bpf_link *kprobe_attach_multi(struct bpf_program *prog, const unsigned long *addrs, size_t n)
{
	_cleanup_free_ uint64_t *cookies = calloc(n ? n : 1, sizeof(*cookies));
	LIBBPF_OPTS(bpf_kprobe_multi_opts, opts, .addrs = addrs, .cookies = (const void *)cookies,
		    .cnt = n);

	if (!cookies)
		return NULL; /* with errno ENOMEM */
	return bpf_program__attach_kprobe_multi_opts(prog, NULL, &opts);
}

struct bpf_link *kprobe_attach_fast(struct bpf_program *prog, const char *function, uint64_t addr,
				    bool at_return)
{
	unsigned long place = addr;
	const __u64 cookie = 0;
	LIBBPF_OPTS(bpf_kprobe_multi_opts, opts, .cookies = &cookie, .cnt = 1,
		    .retprobe = at_return);

	if (addr)
		opts.addrs = &place;
	else
		opts.syms = &function;
	return bpf_program__attach_kprobe_multi_opts(prog, NULL, &opts);
}
