/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An empty program, attached and taken away again: whether a kernel has a way, and lets this process use
 * it, is asked of the kernel itself.
 */
#include "source/live_private.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* r0 = 0; exit */
static const struct bpf_insn nothing[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	{.code = BPF_JMP | BPF_EXIT},
};

static int load(enum bpf_prog_type type, enum bpf_attach_type attach_type, int btf_id)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type,
		    .attach_btf_id = (uint32_t)btf_id);
	int fd = bpf_prog_load(type, "tcpwhy_trial", "Dual BSD/GPL", nothing, ARRAY_SIZE(nothing),
			       &opts);

	return fd < 0 ? -errno : fd;
}

/* r1 = r10 - 8; r2 = 8; r3 = 0; call bpf_probe_read_kernel; r0 = 0; exit */
static const struct bpf_insn reads[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10},
	{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -8},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 8},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3},
	{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	{.code = BPF_JMP | BPF_EXIT},
};

int trial_read(void)
{
	_cleanup_close_ int prog = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "tcpwhy_trial",
						 "Dual BSD/GPL", reads, ARRAY_SIZE(reads), NULL);

	return prog < 0 ? -errno : 0;
}

int trial_trampoline(const struct btf *vmlinux)
{
	int id = btf__find_by_name_kind(vmlinux, TRIAL_FUNCTION, BTF_KIND_FUNC);
	_cleanup_close_ int prog = -1, link = -1;

	if (id < 0)
		return -ENOENT;
	prog = load(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, id);
	if (prog < 0)
		return prog;
	link = bpf_raw_tracepoint_open(NULL, prog);
	return link < 0 ? -errno : 0;
}

int trial_kprobe(uint64_t addr)
{
	_cleanup_close_ int prog = load(BPF_PROG_TYPE_KPROBE, 0, 0), event = -1;

	if (prog < 0)
		return prog;
	event = kprobe_open(TRIAL_FUNCTION, addr, false);
	if (event < 0)
		return event;
	return ioctl(event, PERF_EVENT_IOC_SET_BPF, prog) < 0 ? -errno : 0;
}

int trial_kprobe_multi(uint64_t addr)
{
	const char *function = TRIAL_FUNCTION;
	unsigned long place = addr;
	LIBBPF_OPTS(bpf_link_create_opts, opts, .kprobe_multi.cnt = 1);
	_cleanup_close_ int prog = load(BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, 0), link = -1;

	if (prog < 0)
		return prog;
	if (addr)
		opts.kprobe_multi.addrs = &place;
	else
		opts.kprobe_multi.syms = &function;
	link = bpf_link_create(prog, 0, BPF_TRACE_KPROBE_MULTI, &opts);
	return link < 0 ? -errno : 0;
}
