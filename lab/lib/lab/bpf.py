# SPDX-License-Identifier: GPL-2.0-or-later
"""The smallest use of bpf(2): a program that returns a constant, attached to an interface of this namespace."""
import ctypes
import os
import socket
import struct

from . import system

_NR_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
_PROG_LOAD, _LINK_CREATE = 5, 28
_SCHED_CLS, _XDP = 3, 6  # program types
_ATTACH_XDP, _ATTACH_TCX_INGRESS, _XDP_SKB_MODE = 37, 46, 2
_XDP_DROP, _TC_ACT_SHOT = 1, 2


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    return system.syscall(_NR_BPF, ctypes.c_int(command), buffer, ctypes.c_uint(128))


def _attach(kind, point, flags, interface, result):
    code = struct.pack("<BBhi", 0xB7, 0, 0, result) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # r0 = result; exit
    instructions, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    program = _bpf(_PROG_LOAD, struct.pack("=IIQQ", kind, len(code) // 8, ctypes.addressof(instructions),
                                           ctypes.addressof(licence)))
    return _bpf(_LINK_CREATE, struct.pack("=IIII", program, socket.if_nametoindex(interface), point, flags))


def drop_by_xdp(interface):
    """Drop all that arrives, by generic XDP, until the returned file descriptor closes."""
    return _attach(_XDP, _ATTACH_XDP, _XDP_SKB_MODE, interface, _XDP_DROP)


def drop_by_tc(interface):
    """Drop all that arrives, by a program of traffic control (tcx, Linux 6.6), until the descriptor closes."""
    return _attach(_SCHED_CLS, _ATTACH_TCX_INGRESS, 0, interface, _TC_ACT_SHOT)
