# SPDX-License-Identifier: GPL-2.0-or-later
"""The few system calls that Python 3.11 has no function for."""
import contextlib
import ctypes
import errno
import os
import signal
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def unshare(flags):
    _checked(_libc.unshare(flags))


def mount(source, target, kind, flags=0):
    encoded = [text.encode() if text else None for text in (source, target, kind)]
    _checked(_libc.mount(*encoded, ctypes.c_ulong(flags), None))


def die_with_parent():
    """Be killed as soon as the thread that forked this process is gone, whatever ended it."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))


def set_name(name):
    """Set the name that ps shows (comm), at most 15 characters."""
    _checked(_libc.prctl(PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15])))


def enter_netns(name):
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        _checked(_libc.setns(fd, CLONE_NEWNET))
    finally:
        os.close(fd)


def connect(fd, address):
    """connect(2) to an address in the kernel's own form."""
    _checked(_libc.connect(fd, address, len(address)))


def forbid_connect():
    """Let every connect(2) of this process fail with EPERM, by a seccomp filter."""
    number = {"x86_64": 42, "aarch64": 203}[os.uname().machine]
    code = b"".join(struct.pack("=HBBI", *insn) for insn in (
        (0x20, 0, 0, 0),  # the system call's number
        (0x15, 0, 1, number),
        (0x06, 0, 0, 0x00050000 | errno.EPERM),  # SECCOMP_RET_ERRNO
        (0x06, 0, 0, 0x7FFF0000)))  # SECCOMP_RET_ALLOW
    text = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(text))
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(_libc.prctl(PR_SET_SECCOMP, 2, ctypes.create_string_buffer(program, len(program))))


@contextlib.contextmanager
def netns(name):
    """Be in a network namespace; sockets opened inside stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter_netns(name)
        yield
    finally:
        _checked(_libc.setns(home, CLONE_NEWNET))
        os.close(home)


def syscall(number, *args):
    return _checked(_libc.syscall(ctypes.c_long(number), *args))
