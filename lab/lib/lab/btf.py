# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a member of a kernel's struct lies, by the kernel's own BTF (Documentation/bpf/btf.rst)."""
import struct

_KIND_STRUCT = 4


def _places(where, what):
    at = where.find(what)
    while at >= 0:
        yield at
        at = where.find(what, at + 1)


def offset(name, member):
    """Offset in bytes of a direct member. Looks for the struct's name, as to walk all types would take seconds."""
    with open("/sys/kernel/btf/vmlinux", "rb") as file:
        data = file.read()
    head, types, types_size, strings, strings_size = struct.unpack_from("<IIIII", data, 4)
    types = data[head + types:head + types + types_size]
    strings = data[head + strings:head + strings + strings_size]
    for at in _places(types, struct.pack("<I", strings.index(f"\0{name}\0".encode()) + 1)):
        info, size = struct.unpack_from("<II", types, at + 4) if at + 12 <= len(types) else (0, 0)
        count = info & 0xFFFF
        if at % 4 or info >> 24 & 0x1F != _KIND_STRUCT or not count or not size:
            continue
        for name_off, _, bits in struct.iter_unpack("<III", types[at + 12:at + 12 + 12 * count]):
            if strings[name_off:strings.find(b"\0", name_off)] == member.encode():
                return (bits & 0xFFFFFF if info >> 31 else bits) // 8
    raise LookupError(f"no member {member} of {name} in the kernel's BTF")
