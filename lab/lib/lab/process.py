# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications of a scenario: real processes in their namespaces, driven step by step by the script.

    server = Process("server")                    # a process named "server" in the namespace "server"
    listener = server.listen(8080)
    connection = Process("client").connect(8080)  # every call happens in that process
    peer = listener.accept()

An exception of the call (an OSError with its errno, say) is raised in the script. The processes outlive the script, as
their death would close the sockets: the runner ends them once it has its verdicts.
"""
import fcntl
import os
import pickle
import select
import signal
import socket
import sys
import time

from . import nfqueue, system
from .addresses import address, family

PATIENCE = 10.0  # seconds a single step may take before the script gives up
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_USER_TIMEOUT = 19, 20, 21, 18
SIOCOUTQ = 0x5411
_REPAIR_ON, _REPAIR_OFF_NO_PROBE = 1, -1
_RECV_QUEUE, _SEND_QUEUE = 1, 2
TCP_STATES = ("", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
              "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV")


class Socket(socket.socket):
    """A socket inside its process, with what a scenario wants to know of it."""

    def accept(self):
        fd, _ = self._accept()
        return Socket(fileno=fd)

    def sequence(self):
        """(next sequence number this side sends, next one it expects), by way of TCP_REPAIR; no packet is sent."""
        self.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, _REPAIR_ON)
        numbers = []
        for queue in (_SEND_QUEUE, _RECV_QUEUE):
            self.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
            numbers.append(self.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xFFFFFFFF)
        self.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, _REPAIR_OFF_NO_PROBE)
        return tuple(numbers)

    def state(self):
        return TCP_STATES[self.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]

    def await_state(self, *wanted):
        """Wait until the kernel has moved the socket into one of these states."""
        _until(lambda: self.state() in wanted, f"socket is {self.state()}, not {'/'.join(wanted)}")

    def begin_at(self, sequence):
        """Let the coming connect() begin with this sequence number, as another machine's could."""
        self.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, _REPAIR_ON)
        self.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, _SEND_QUEUE)
        self.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, sequence.to_bytes(4, sys.byteorder))
        self.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, _REPAIR_OFF_NO_PROBE)

    def vanish(self):
        """Be gone without a word to the peer, as after a power failure, by way of TCP_REPAIR."""
        self.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, _REPAIR_ON)
        self.close()

    def dissolve(self):
        """connect() to no address at all (AF_UNSPEC), which ends a connection at once."""
        system.connect(self.fileno(), socket.AF_UNSPEC.to_bytes(2, sys.byteorder) + bytes(14))

    def await_unread(self, size):
        """Wait until that many bytes lie unread in the receive queue."""
        _until(lambda: len(self.recv(size, socket.MSG_PEEK | socket.MSG_DONTWAIT)) >= size, "data did not arrive")

    def await_acknowledged(self):
        """Wait until the peer has acknowledged all that was sent (SIOCOUTQ says 0)."""
        _until(lambda: fcntl.ioctl(self, SIOCOUTQ, b"\0" * 4) == b"\0" * 4, "data was not acknowledged")

    def receive(self, size):
        """Exactly size bytes, fewer only at the end of the stream."""
        data = bytearray()
        while len(data) < size:
            part = self.recv(min(size - len(data), 1 << 18))
            if not part:
                break
            data += part
        return bytes(data)


def _until(condition, complaint):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if condition():
                return
        except BlockingIOError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.002)


class Application:
    """What a process can be asked to do beyond calling methods of its sockets."""

    def socket(self, kind=socket.SOCK_STREAM, version=None):
        version = version or family()
        return Socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind)

    def listen(self, port, on="any", backlog=64, version=None):
        version = version or family()
        sock = self.socket(version=version)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address(on, version), port))
        sock.listen(backlog)
        return sock

    def connect(self, port, to="server", timeout=None, version=None):
        sock = self.socket(version=version)
        sock.settimeout(timeout)
        try:
            sock.connect((address(to, version), port))
        except OSError:
            sock.close()
            raise
        sock.settimeout(None)
        return sock

    def datagrams(self, port=0, on="any"):
        sock = self.socket(socket.SOCK_DGRAM)
        sock.bind((address(on), port))
        return sock

    def queue(self, number, length=None):
        """Listen on a queue of netfilter."""
        return nfqueue.Queue(number, length)

    def join(self, group):
        """Go into a control group; what sockets are made from now on belong to it."""
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")

    def run(self, function, *args):
        return function(*args)


here = Application()  # for functions that run() brings into a process
_objects = {0: here}


def _lookup(handle):
    return _objects[handle]


class Pending:
    """A call under way in a process."""

    def __init__(self, process):
        self._process = process

    def done(self, within=0.0):
        return bool(select.select([self._process._channel], [], [], within)[0])

    def result(self, within=PATIENCE):
        return self._process._answer(within)


class Remote:
    """Stands in the script for an object that lives in a process."""

    def __init__(self, process, handle):
        self._process, self._handle = process, handle

    def __reduce__(self):
        return _lookup, (self._handle,)

    def __getattr__(self, method):
        def call(*args, **kwargs):
            self._process._ask(self._handle, method, args, kwargs)
            return self._process._answer(PATIENCE)
        return call

    def later(self, method, *args, **kwargs):
        """Start a call and don't wait for it: the application hangs in it while the script goes on."""
        self._process._ask(self._handle, method, args, kwargs)
        return Pending(self._process)


class Process(Remote):
    """A process; its methods are those of Application. Functions for run() must be defined before it is made."""

    def __init__(self, name, netns=None):
        super().__init__(self, 0)
        sys.stdout.flush()
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                ours.close()
                system.enter_netns(netns or name)
                system.set_name(name)
                _serve(theirs.makefile("rwb"))
            finally:
                os._exit(1)
        theirs.close()
        self._channel, self._stream = ours, ours.makefile("rwb")

    def _ask(self, *request):
        pickle.dump(request, self._stream)
        self._stream.flush()

    def _answer(self, within):
        if not select.select([self._channel], [], [], within)[0]:
            raise TimeoutError("the application did not come back from a call")
        kind, value = pickle.load(self._stream)
        if kind == "error":
            raise value
        return Remote(self, value) if kind == "object" else value

    def kill(self, number=signal.SIGKILL):
        """End the process as kill(1) would, and wait until it is gone: the kernel has closed its sockets then."""
        os.kill(self.pid, number)
        self.ended()

    def ended(self):
        """Wait until it is gone; return the number of the signal that ended it, 0 if it was none."""
        return os.WTERMSIG(os.waitpid(self.pid, 0)[1])


def _serve(stream):
    while True:
        try:
            handle, method, args, kwargs = pickle.load(stream)
        except EOFError:  # the script is over: keep the sockets as they are
            while True:
                signal.pause()
        try:
            value = getattr(_objects[handle], method)(*args, **kwargs)
            reply = ("value", value)
            if isinstance(value, (socket.socket, nfqueue.Queue)):
                _objects[max(_objects) + 1] = value
                reply = ("object", max(_objects))
        except Exception as error:
            reply = ("error", error)
        pickle.dump(reply, stream)
        stream.flush()
