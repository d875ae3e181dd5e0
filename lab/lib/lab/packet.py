# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets written by hand, sent by a raw socket inside a namespace."""
import socket
import struct

from . import system

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


def _checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp(src, dst, seq, ack, flags, payload=b"", window=512, hops=64, damaged=False):
    """An IP packet with a TCP segment; src and dst are (address, port). A damaged one carries a wrong checksum."""
    version = socket.AF_INET6 if ":" in src[0] else socket.AF_INET
    source, target = socket.inet_pton(version, src[0]), socket.inet_pton(version, dst[0])
    head = struct.pack("!HHIIBBHHH", src[1], dst[1], seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags, window, 0, 0)
    size = len(head) + len(payload)
    pseudo = source + target + struct.pack("!IHBB", size, 0, 0, socket.IPPROTO_TCP)
    check = _checksum(pseudo + head + payload) ^ (0x5555 if damaged else 0)
    segment = head[:16] + struct.pack("!H", check) + head[18:] + payload
    if version == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, size, socket.IPPROTO_TCP, hops) + source + target + segment
    # The kernel fills in the id and the header checksum.
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, hops, socket.IPPROTO_TCP, 0) + source + target + segment


def send(netns, packet):
    """Send a packet from a namespace, as it is."""
    version = socket.AF_INET6 if packet[0] >> 4 == 6 else socket.AF_INET
    target = packet[24:40] if version == socket.AF_INET6 else packet[16:20]
    with system.netns(netns), socket.socket(version, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(packet, (socket.inet_ntop(version, target), 0))


def stray(netns, connection, flags=ACK | PSH, ahead=0, payload=b"", **more):
    """Send a segment of a live connection past its socket, `ahead` bytes beyond what it sent last."""
    seq, ack = connection.sequence()
    ends = connection.getsockname()[:2], connection.getpeername()[:2]
    send(netns, tcp(*ends, seq + ahead, ack, flags, payload, **more))
