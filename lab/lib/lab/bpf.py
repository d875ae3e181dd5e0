# SPDX-License-Identifier: GPL-2.0-or-later
"""The smallest use of bpf(2): programs written as instructions, attached in this namespace until the returned file
descriptor closes."""
import ctypes
import os
import socket
import struct

from . import btf, system

_NR_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
_MAP_CREATE, _MAP_LOOKUP, _PROG_LOAD, _OBJ_PIN, _RAW_TRACEPOINT_OPEN, _LINK_CREATE = 0, 1, 5, 6, 17, 28
_ARRAY = 2  # a type of map
_SCHED_CLS, _XDP, _CGROUP_SKB, _RAW_TRACEPOINT, _CGROUP_SOCK_ADDR, _NETFILTER = 3, 6, 8, 17, 18, 32  # program types
_CGROUP_INGRESS, _CGROUP_EGRESS, _CONNECT4, _CONNECT6 = 0, 1, 10, 11  # attach types
_ATTACH_XDP, _ATTACH_NETFILTER, _ATTACH_TCX_INGRESS, _XDP_SKB_MODE = 37, 45, 46, 2
_XDP_DROP, _TC_ACT_SHOT = 1, 2
_NF_DROP, _NF_ACCEPT = 0, 1
_MAP_LOOKUP_ELEM, _PROBE_READ_KERNEL = 1, 113
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    return system.syscall(_NR_BPF, ctypes.c_int(command), buffer, ctypes.c_uint(128))


def _insn(code, dst=0, src=0, offset=0, value=0):
    return struct.pack("<BBhi", code, src << 4 | dst, offset, value)


def _move(dst, value):
    return _insn(0xB7, dst, value=value)


def _result(value):
    return _move(0, value) + _insn(0x95)


def _load(kind, point, name, code):
    instructions, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    return _bpf(_PROG_LOAD, struct.pack("=IIQQIIQII16sII", kind, len(code) // 8, ctypes.addressof(instructions),
                                        ctypes.addressof(licence), 0, 0, 0, 0, 0, name.encode()[:15], 0, point))


def _attach(program, point, target, flags=0, more=b""):
    try:
        return _bpf(_LINK_CREATE, struct.pack("=IIII", program, target, point, flags) + more)
    finally:
        os.close(program)


def drop_by_xdp(interface):
    """Drop all that arrives, by generic XDP."""
    program = _load(_XDP, 0, "drop_xdp", _result(_XDP_DROP))
    return _attach(program, _ATTACH_XDP, socket.if_nametoindex(interface), _XDP_SKB_MODE)


def drop_by_tc(interface):
    """Drop all that arrives, by a program of traffic control (tcx, Linux 6.6)."""
    program = _load(_SCHED_CLS, 0, "drop_tc", _result(_TC_ACT_SHOT))
    return _attach(program, _ATTACH_TCX_INGRESS, socket.if_nametoindex(interface))


def pin_classifier(path):
    """A program of traffic control that drops all, as a file for tc(8); the path must be in a BPF file system."""
    program = _load(_SCHED_CLS, 0, "drop_tc", _result(_TC_ACT_SHOT))
    name = ctypes.create_string_buffer(path.encode())
    _bpf(_OBJ_PIN, struct.pack("=QI", ctypes.addressof(name), program))
    os.close(program)


def drop_by_cgroup(path, direction):
    """Drop what processes of a control group send ("egress") or are sent ("ingress")."""
    point = {"ingress": _CGROUP_INGRESS, "egress": _CGROUP_EGRESS}[direction]
    with _folder(path) as group:
        return _attach(_load(_CGROUP_SKB, point, f"drop_{direction}", _result(0)), point, group)


def forbid_connect(path):
    """Let every connect() of a control group's processes fail."""
    opened = []
    for point, name in ((_CONNECT4, "forbid_connect4"), (_CONNECT6, "forbid_connect6")):
        with _folder(path) as group:
            opened.append(_attach(_load(_CGROUP_SOCK_ADDR, point, name, _result(0)), point, group))
    return opened


class Counter:
    """Counts the hits of a tracepoint."""

    def __init__(self, tracepoint):
        self._map = _bpf(_MAP_CREATE, struct.pack("=IIII", _ARRAY, 4, 8, 1))
        code = (_insn(0x18, 1, 1, value=self._map) + _insn(0)  # r1 = the map
                + _insn(0x62, 10, offset=-4) + _insn(0xBF, 2, 10) + _insn(0x07, 2, value=-4)  # r2 = &0
                + _insn(0x85, value=_MAP_LOOKUP_ELEM) + _insn(0x15, 0, offset=2)
                + _move(1, 1) + _insn(0xDB, 0, 1)  # lock *r0 += 1
                + _result(0))
        program = _load(_RAW_TRACEPOINT, 0, "count", code)
        name = ctypes.create_string_buffer(tracepoint.encode())
        try:
            self._link = _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("=QI", ctypes.addressof(name), program))
        finally:
            os.close(program)

    def value(self):
        key, value = ctypes.create_string_buffer(4), ctypes.create_string_buffer(8)
        _bpf(_MAP_LOOKUP, struct.pack("=IIQQ", self._map, 0, ctypes.addressof(key), ctypes.addressof(value)))
        return struct.unpack("=Q", value.raw)[0]


class _folder:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self):
        return self.fd

    def __exit__(self, *_):
        os.close(self.fd)


def _drop_from(source):
    """Instructions for a hook of netfilter on the way in: drop what comes from there, accept the rest."""
    words = struct.unpack(f"={len(source) // 4}i", source)
    code = (_insn(0x79, 6, 1, 8)  # r6 = ctx->skb
            + _insn(0x79, 3, 6, btf.offset("sk_buff", "data"))  # r3 = skb->data: there the IP header begins
            + _insn(0x07, 3, value=12 if len(source) == 4 else 8)  # r3 += offset of the source address
            + _insn(0xBF, 1, 10) + _insn(0x07, 1, value=-16)  # r1 = r10 - 16
            + _move(2, len(source)) + _insn(0x85, value=_PROBE_READ_KERNEL))
    for number, word in enumerate(words):  # another address: go on behind the drop
        code += _insn(0x61, 2, 10, -16 + 4 * number) + _insn(0x56, 2, 0, 2 * (len(words) - number), word)
    return code + _result(_NF_DROP) + _result(_NF_ACCEPT)


def drop_by_netfilter(hook, priority, source):
    """Drop all that comes from one address, by a program at a hook of netfilter (Linux 6.4)."""
    version = socket.AF_INET6 if ":" in source else socket.AF_INET
    code = _drop_from(socket.inet_pton(version, source))
    program = _load(_NETFILTER, _ATTACH_NETFILTER, "drop_source", code)
    return _attach(program, _ATTACH_NETFILTER, 0, 0,
                   struct.pack("=IIiI", 10 if version == socket.AF_INET6 else 2, HOOKS[hook], priority, 0))
