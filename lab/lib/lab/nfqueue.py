# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that listens on a queue of netfilter and decides about its packets: raw netlink, no library."""
import socket
import struct

_NETLINK_NETFILTER, _SUBSYSTEM, _REQUEST, _ACK = 12, 3, 1, 4
_ERROR, _PACKET, _VERDICT, _CONFIG = 2, _SUBSYSTEM << 8, _SUBSYSTEM << 8 | 1, _SUBSYSTEM << 8 | 2
_PACKET_HEADER, _VERDICT_HEADER = 1, 2
_COMMAND, _PARAMETERS, _LENGTH = 1, 2, 3
_BIND, _COPY_PACKET, _COPY_BYTES = 1, 2, 256
DROP, ACCEPT = 0, 1


def _attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


class Queue:
    """The queue of this number in this process's namespace; it is ours until the process ends."""

    def __init__(self, number, length=None):
        self.number = number
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self.socket.bind((0, 0))
        self._configure(_COMMAND, struct.pack(">BBH", _BIND, 0, 0))
        self._configure(_PARAMETERS, struct.pack(">IB", _COPY_BYTES, _COPY_PACKET))
        if length is not None:
            self._configure(_LENGTH, struct.pack(">I", length))

    def _send(self, kind, flags, data):
        body = struct.pack(">BBH", socket.AF_UNSPEC, 0, self.number) + data
        self.socket.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | flags, 0, 0) + body)

    def _configure(self, kind, data):
        self._send(_CONFIG, _ACK, _attribute(kind, data))
        error = struct.unpack_from("=i", self.socket.recv(1 << 16), 16)[0]
        if error:
            raise OSError(-error, "the queue can't be had")

    def take(self):
        """Wait for the next packet: its number."""
        message = self.socket.recv(1 << 16)
        kind, at = struct.unpack_from("=H", message, 4)[0], 20
        assert kind == _PACKET, f"netlink message {kind}"
        while at < len(message):
            size, kind = struct.unpack_from("=HH", message, at)
            if kind == _PACKET_HEADER:
                return struct.unpack_from(">I", message, at + 4)[0]
            at += (size + 3) & ~3
        raise AssertionError("a packet without a number")

    def decide(self, packet, verdict):
        self._send(_VERDICT, 0, _attribute(_VERDICT_HEADER, struct.pack(">II", verdict, packet)))

    def decide_all(self, verdict):
        """Never returns."""
        while True:
            self.decide(self.take(), verdict)
