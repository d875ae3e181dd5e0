# SPDX-License-Identifier: GPL-2.0-or-later
"""What a case is written with: a sandbox with namespaces and applications, and tcpwhy as its user sees it."""
import errno
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass

from lab import system
from lab.addresses import environment
from lab.process import Process, Socket
from labrun import sandbox

LAB_LIB = os.path.dirname(os.path.dirname(os.path.abspath(system.__file__)))
SCALE = float(os.environ.get("LAB_PATIENCE", "1"))  # for slow builds: sanitizers, emulated machines
CASE_SECONDS, STEP_SECONDS, VERDICT_SECONDS = 60 * SCALE, 15 * SCALE, 5 * SCALE
SKIPPED = 77


class Skip(Exception):
    """This machine can't do that."""


@dataclass
class Named:
    title: str
    function: object
    arguments: tuple = ()


def registry():
    """An empty list of cases, and a decorator that adds to it: @case("title") or @case("title of {0}", rows)."""
    cases = []

    def case(title, rows=((),)):
        def add(function):
            cases.extend(Named(title.format(*row), function, tuple(row)) for row in rows)
            return function
        return add
    return cases, case


def isolate():
    """This process and its children: their own process group and names of namespaces, gone with the runner."""
    os.setsid()
    system.die_with_parent()
    sandbox.private_names()


def on_one_processor():
    """From here on all of the case runs on one CPU: what the kernel frees there is used again at once."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


class App(Process):
    """A process in a namespace that makes and takes connections; ends with its case."""

    def __init__(self, name, netns=None):
        super().__init__(name, netns)
        self.run(system.die_with_parent)


class Case:
    def __init__(self, path):
        self.path, self.watches = path, []
        self.env = dict(os.environ, LAB_LIB=LAB_LIB, LC_ALL="C.UTF-8",
                        PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **environment(4))
        for name in ("NO_COLOR", "CLICOLOR_FORCE"):
            self.env.pop(name, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for watch in self.watches:
            watch.kill()

    def net(self, script):
        """Shell commands with the functions of lab/lib/topology.sh and the lab's addresses."""
        done = subprocess.run(["sh", "-ec", f'. "$LAB_LIB/topology.sh"\n{script}'], env=self.env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode == SKIPPED:
            raise Skip(done.stdout.strip())
        assert done.returncode == 0, f"setup failed: {done.stdout}"

    def __getitem__(self, role):
        """An address of the lab: "server4"."""
        return self.env[role]

    def call(self, *args, **more):
        """Run tcpwhy to its end: (exit status, stdout, stderr)."""
        done = subprocess.run([self.path, *args], env=self.env, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=STEP_SECONDS, check=False, **more)
        return done.returncode, done.stdout, done.stderr

    def watch(self, *args, json_lines=True, command="watch", within=(), **more):
        """Start it (within: as arguments of another program), and wait until it is armed."""
        watch = Watch([*within, self.path, command], [*(["--json"] if json_lines else []), *args], self.env, **more)
        self.watches.append(watch)
        watch.await_ready()
        return watch

    @staticmethod
    def netns(name):
        """The inode number of a namespace."""
        return os.stat(f"/run/netns/{name}").st_ino


class _Stream:
    """Collects what comes out of a pipe."""

    def __init__(self, pipe):
        self.data, self.ended = b"", False
        self.changed = threading.Condition()
        self._pipe = pipe
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while data := os.read(self._pipe.fileno(), 1 << 16):
            with self.changed:
                self.data += data
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, enough, seconds=STEP_SECONDS):
        """Until enough() or its end; false if that takes too long."""
        with self.changed:
            return self.changed.wait_for(lambda: self.ended or enough(), seconds)


class Watch:
    """A running tcpwhy watch."""

    def __init__(self, program, options, env, ready=True, **more):
        def prepare():
            system.die_with_parent()
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self._ready, theirs = os.pipe()
        words = program + (["--ready-fd", str(theirs)] if ready else []) + options
        more.setdefault("stdout", subprocess.PIPE)
        self.process = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        pass_fds=[theirs], preexec_fn=prepare, **more)
        os.close(theirs)
        self.out = _Stream(self.process.stdout) if self.process.stdout else None
        self.err = _Stream(self.process.stderr)
        self.ready_text = b""

    @property
    def pid(self):
        return self.process.pid

    def await_ready(self):
        assert select.select([self._ready], [], [], STEP_SECONDS)[0], "not armed in time"
        self.ready_text = os.read(self._ready, 16)
        assert self.ready_text, f"ended before it was armed: {self.errors()}"

    def ready_is_closed(self):
        """Is the file descriptor for readiness closed now?"""
        return bool(select.select([self._ready], [], [], STEP_SECONDS)[0]) and os.read(self._ready, 16) == b""

    def text(self):
        return self.out.data.decode()

    def errors(self):
        return self.err.data.decode()

    def lines(self):
        """Its complete JSON lines so far."""
        *complete, _ = self.out.data.split(b"\n")
        return [json.loads(line) for line in complete]

    def verdicts(self):
        return [line for line in self.lines() if line["type"] == "verdict"]

    def await_verdicts(self, enough):
        """Wait until enough(verdicts); the caller's check tells if that never was."""
        self.out.wait(lambda: enough(self.verdicts()), VERDICT_SECONDS)

    def await_text(self, text, stream=None):
        stream = stream or self.out
        assert stream.wait(lambda: text.encode() in stream.data) and text.encode() in stream.data, \
            f"no {text!r} in {stream.data.decode()!r}"

    def wait(self):
        """Wait for its end: the exit status."""
        try:
            status = self.process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"does not end by itself; said {self.errors()!r}") from None
        for stream in (self.out, self.err):
            assert stream is None or stream.wait(lambda: False), "something keeps its output open"
        return status

    def end(self, number=signal.SIGINT):
        """End it as its user does: the exit status."""
        self.process.send_signal(number)
        return self.wait()

    def finish(self):
        """End it; it has to be all right, and its last line the summary."""
        status = self.end()
        assert status == 0, f"ended with {status}: {self.errors()}"
        assert self.lines() and self.lines()[-1]["type"] == "summary", "the last line is no summary"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


# ---- what applications do; to be given to App.run() ----


def connect(to, port, sport=0):
    """A connected socket."""
    sock = Socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_STREAM)
    if sport:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", sport))
    try:
        sock.connect((to, port))
    except OSError:
        sock.close()
        raise
    return sock


def refused(to, port, sport=0):
    """A connection that nobody listens for."""
    try:
        connect(to, port, sport).close()
    except ConnectionRefusedError:
        return
    raise RuntimeError(f"{to} port {port} accepted the connection")


def refused_all(to, ports):
    """Connections under way at the same time; all are refused in the end."""
    pending = select.poll()
    socks = {}
    for port in ports:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.connect_ex((to, port))
        pending.register(sock, select.POLLOUT)
        socks[sock.fileno()] = sock
    while socks:
        for number, _ in pending.poll(STEP_SECONDS * 1000):
            pending.unregister(number)
            with socks.pop(number) as sock:
                if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != errno.ECONNREFUSED:
                    raise RuntimeError("a connection was not refused")


def refused_datagram(to, port, sport=0):
    """A datagram that nobody listens for, and the ICMP error that says so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(STEP_SECONDS)
        sock.bind(("", sport))
        sock.connect((to, port))
        sock.send(b"hello")
        try:
            sock.recv(1)
        except ConnectionRefusedError:
            return
    raise RuntimeError("the datagram was taken")


def ping(to):
    """An echo request; nobody waits for an answer."""
    version, proto, kind = ((socket.AF_INET6, socket.IPPROTO_ICMPV6, 128) if ":" in to
                            else (socket.AF_INET, socket.IPPROTO_ICMP, 8))
    body = bytes([kind, 0, 0, 0, 0, 1, 0, 1])
    total = sum(int.from_bytes(body[i:i + 2], "big") for i in range(0, len(body), 2))
    check = (~total & 0xFFFF).to_bytes(2, "big")  # ICMPv6's is filled in by the kernel
    with socket.socket(version, socket.SOCK_RAW, proto) as sock:
        sock.sendto(body[:2] + check + body[4:], (to, 0))


def reset_by_close(sock):
    """Close with SO_LINGER and time 0: the peer gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def await_that(condition, what):
    """For what can't be waited for with an event."""
    deadline = time.monotonic() + STEP_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never {what}"
        time.sleep(0.01)
