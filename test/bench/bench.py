# SPDX-License-Identifier: GPL-2.0-or-later
"""Two network namespaces, and a tcpwhy that watches them: shared by what is measured here."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NAMES = [f"twbench{os.getpid()}{side}" for side in ("s", "r")]
SENDER, RECEIVER = NAMES


def sh(*words, **more):
    return subprocess.run(words, check=True, text=True, stdout=subprocess.PIPE, **more).stdout


def inside(name, *words):
    return ("ip", "netns", "exec", name) + words


def cpu_ns(pid):
    """CPU time that the process has taken."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * 10**9 // os.sysconf("SC_CLK_TCK")


class Watch:
    """tcpwhy, running and armed."""

    def __init__(self, program, *args, command=()):
        reader, writer = os.pipe()
        self.out = tempfile.TemporaryFile("w+")
        began = time.monotonic()
        self.process = subprocess.Popen([program, *command, "--quiet", "--json", "--ready-fd", str(writer), *args],
                                        pass_fds=[writer], stdout=self.out)
        os.close(writer)
        if not os.read(reader, 1):
            sys.exit("bench: tcpwhy did not start")
        self.armed_ms = (time.monotonic() - began) * 1000
        os.close(reader)

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        if self.process.wait(20):
            sys.exit("bench: tcpwhy failed")
        self.out.seek(0)
        return [json.loads(line) for line in self.out]


@contextlib.contextmanager
def topology():
    """SENDER is 10.77.0.1, RECEIVER 10.77.0.2."""
    try:
        for name in NAMES:
            sh("ip", "netns", "add", name)
            sh(*inside(name, "ip", "link", "set", "lo", "up"))
        sh("ip", "link", "add", "twb0", "netns", SENDER, "type", "veth", "peer", "name", "twb0", "netns", RECEIVER)
        for last, name in enumerate(NAMES, 1):
            sh(*inside(name, "ip", "addr", "add", f"10.77.0.{last}/24", "dev", "twb0"))
            sh(*inside(name, "ip", "link", "set", "twb0", "up"))
        yield
    finally:
        for name in NAMES:
            subprocess.run(("ip", "netns", "delete", name), check=False, stderr=subprocess.DEVNULL)
