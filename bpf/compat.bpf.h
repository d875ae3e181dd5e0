/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The one place for what differs between kernels and machines; each quirk names the change it
 * serves.
 */
#ifndef TCPWHY_COMPAT_H
#define TCPWHY_COMPAT_H

/* Number and second argument of the system call that `regs` belongs to, seen at its exit. */
static __always_inline int syscall_nr(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return (int)BPF_CORE_READ(regs, orig_ax);
#else
	return BPF_CORE_READ((struct pt_regs___arm64 *)regs, syscallno);
#endif
}

static __always_inline int syscall_fd(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return (int)BPF_CORE_READ(regs, di);
#else
	return (int)BPF_CORE_READ((struct pt_regs___arm64 *)regs, orig_x0);
#endif
}

static __always_inline const void *syscall_arg2(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return (const void *)BPF_CORE_READ(regs, si);
#else
	return (const void *)BPF_CORE_READ((struct pt_regs___arm64 *)regs, regs[1]);
#endif
}

#if defined(__TARGET_ARCH_x86)
#define NR_CONNECT 42 /* arch/x86/entry/syscalls/syscall_64.tbl */
#else
#define NR_CONNECT 203 /* include/uapi/asm-generic/unistd.h */
#endif

/* enum sock_flags (include/net/sock.h): bit numbers of sk_flags. */
enum sock_flags {
	SOCK_DEAD,
	SOCK_DONE,
	SOCK_LINGER = 4,
};

#endif
