/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The one place for what differs between kernels and machines; each quirk names the change it
 * serves.
 */
#ifndef TCPWHY_COMPAT_H
#define TCPWHY_COMPAT_H

/* Number and second argument of the system call that `regs` belongs to, seen at its exit. */
INLINE int syscall_nr(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return (int)BPF_CORE_READ(regs, orig_ax);
#else
	return BPF_CORE_READ((struct pt_regs___arm64 *)regs, syscallno);
#endif
}

INLINE int syscall_fd(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return (int)BPF_CORE_READ(regs, di);
#else
	return (int)BPF_CORE_READ((struct pt_regs___arm64 *)regs, orig_x0);
#endif
}

#if defined(__TARGET_ARCH_x86)
#define SYSCALL_ARG(regs, x86, arm64) BPF_CORE_READ(regs, x86)
#else
#define SYSCALL_ARG(regs, x86, arm64) BPF_CORE_READ((struct pt_regs___arm64 *)regs, arm64)
#endif

INLINE const void *syscall_arg2(struct pt_regs *regs)
{
	return (const void *)SYSCALL_ARG(regs, si, regs[1]);
}

INLINE u64 syscall_arg3(struct pt_regs *regs)
{
	return SYSCALL_ARG(regs, dx, regs[2]);
}

INLINE u64 syscall_arg4(struct pt_regs *regs)
{
	return SYSCALL_ARG(regs, r10, regs[3]);
}

INLINE const void *syscall_arg5(struct pt_regs *regs)
{
	return (const void *)SYSCALL_ARG(regs, r8, regs[4]);
}

INLINE u64 regs_sp(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(regs, sp);
#else
	return BPF_CORE_READ((struct pt_regs___arm64 *)regs, sp);
#endif
}

INLINE u64 regs_bp(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(regs, bp);
#else
	return BPF_CORE_READ((struct pt_regs___arm64 *)regs, regs[29]);
#endif
}

/* arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h */
#if defined(__TARGET_ARCH_x86)
#define NR_CONNECT 42
#define NR_SENDTO 44
#define NR_SENDMSG 46
#else
#define NR_CONNECT 203
#define NR_SENDTO 206
#define NR_SENDMSG 211
#endif

/* enum sock_flags (include/net/sock.h): bit numbers of sk_flags. */
enum sock_flags {
	SOCK_DEAD,
	SOCK_DONE,
	SOCK_KEEPOPEN = 3,
	SOCK_LINGER,
};

/*
 * ---- arguments of kernel functions: signatures drift, even within a stable series; user space finds
 * each argument's place in the kernel's BTF (KERNEL_FUNCTIONS in abi/config.h).
 */

/*
 * Written so that clang can't fold the cases into one load at a variable offset, which the verifier
 * of 5.10 forbids ("dereference of modified ctx ptr").
 */
#define CTX_LOAD(ctx, n)                                                              \
	({                                                                            \
		u64 value_;                                                           \
		asm volatile("%0 = *(u64 *)(%1 + " #n ")" : "=r"(value_) : "r"(ctx)); \
		value_;                                                               \
	})

/* In programs at fentry and fexit: the context is an array of the arguments. */
INLINE u64 arg_fentry(void *ctx, u8 place)
{
	switch (place) {
	case 1:
		return CTX_LOAD(ctx, 0);
	case 2:
		return CTX_LOAD(ctx, 8);
	case 3:
		return CTX_LOAD(ctx, 16);
	case 4:
		return CTX_LOAD(ctx, 24);
	case 5:
		return CTX_LOAD(ctx, 32);
	case 6:
		return CTX_LOAD(ctx, 40);
	case 7:
		return CTX_LOAD(ctx, 48);
	default:
		return 0;
	}
}

/* In programs at kprobes: the registers of the calling convention. */
INLINE u64 arg_kprobe(void *ctx, u8 place)
{
#if defined(__TARGET_ARCH_x86)
	struct pt_regs *regs = ctx;

	switch (place) {
	case 1:
		return BPF_CORE_READ(regs, di);
	case 2:
		return BPF_CORE_READ(regs, si);
	case 3:
		return BPF_CORE_READ(regs, dx);
	case 4:
		return BPF_CORE_READ(regs, cx);
	case 5:
		return BPF_CORE_READ(regs, r8);
	case 6:
		return BPF_CORE_READ(regs, r9);
	default:
		return 0;
	}
#else
	struct pt_regs___arm64 *regs = ctx;

	switch (place) {
	case 1:
		return BPF_CORE_READ(regs, regs[0]);
	case 2:
		return BPF_CORE_READ(regs, regs[1]);
	case 3:
		return BPF_CORE_READ(regs, regs[2]);
	case 4:
		return BPF_CORE_READ(regs, regs[3]);
	case 5:
		return BPF_CORE_READ(regs, regs[4]);
	case 6:
		return BPF_CORE_READ(regs, regs[5]);
	default:
		return 0;
	}
#endif
}

/* Where a kprobe is: the function's address, or a few bytes into it. */
INLINE u64 ip_kprobe(void *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ((struct pt_regs *)ctx, ip);
#else
	return BPF_CORE_READ((struct pt_regs___arm64 *)ctx, pc);
#endif
}

/*
 * The first two arguments of a va_list that nobody has read yet. x86-64 psABI 3.5.7: offsets into the
 * register save area, then the stack; AAPCS64: top of the saved registers, and an offset to it.
 */
INLINE void va_list_read(u64 list, u64 args[2])
{
	u64 at = 0;
	s32 offset = 0;

#if defined(__TARGET_ARCH_x86)
	bpf_probe_read_kernel(&offset, sizeof(offset), (void *)list);
	if (offset + 16 <= 48) {
		bpf_probe_read_kernel(&at, sizeof(at), (void *)(list + 16));
		at += offset;
	} else if (offset < 48) { /* one in a register, one on the stack: the second is left out */
		bpf_probe_read_kernel(&at, sizeof(at), (void *)(list + 16));
		bpf_probe_read_kernel(args, 8, (void *)(at + offset));
		args[1] = 0;
		return;
	} else {
		bpf_probe_read_kernel(&at, sizeof(at), (void *)(list + 8));
	}
#else
	bpf_probe_read_kernel(&offset, sizeof(offset), (void *)(list + 24));
	bpf_probe_read_kernel(&at, sizeof(at), (void *)(list + (offset < 0 ? 8 : 0)));
	at += offset < 0 ? offset : 0;
#endif
	bpf_probe_read_kernel(args, 16, (void *)at);
}

INLINE u64 ret_kprobe(void *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ((struct pt_regs *)ctx, ax);
#else
	return BPF_CORE_READ((struct pt_regs___arm64 *)ctx, regs[0]);
#endif
}

#endif
