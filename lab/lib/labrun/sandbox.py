# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a case lives: its own mounts (so its own names of network namespaces), processes and a scratch network.

The kernel cleans up, whatever happens to the runner: it dies -> the sandbox's init dies -> every process of the case
dies -> nothing holds the mount namespace -> the network namespaces go. The machine's own network is never touched:
`setup` and `provoke` start in an empty network namespace.
"""
import os
import pickle
import signal
import socket
import subprocess

from lab import system

from . import script

NETNS = "/run/netns"


def private_names():
    """Give this process and its children their own, empty /run/netns."""
    os.makedirs(NETNS, exist_ok=True)
    system.unshare(system.CLONE_NEWNS)
    system.mount(None, "/", None, system.MS_REC | system.MS_PRIVATE)
    system.mount("lab", NETNS, "tmpfs")


def namespace_numbers():
    """{inode number: name} of the case's network namespaces."""
    return {os.stat(os.path.join(NETNS, name)).st_ino: name for name in os.listdir(NETNS)}


class Sandbox:
    """A PID namespace whose init runs the commands of a case. tcpwhy runs outside, where BPF's process ids hold."""

    def __init__(self):
        ours, theirs = socket.socketpair()
        self._outer = os.fork()
        if self._outer == 0:
            ours.close()
            try:
                _outer(theirs)
            finally:
                os._exit(1)
        theirs.close()
        self._channel = ours.makefile("rwb")
        self.scratch = pickle.load(self._channel)  # number of the scratch network namespace

    def run(self, words, cwd, env, output):
        """Run a command inside and return its exit status; output is an open file descriptor or None to inherit."""
        return self._ask(_command, words, cwd, env, output)

    def run_python(self, name, cwd, env, output):
        """The same for a Python script."""
        return self._ask(script.run, name, cwd, env, output)

    def _ask(self, *request):
        pickle.dump(request, self._channel)
        self._channel.flush()
        return pickle.load(self._channel)

    def close(self):
        """End every process of the case, and wait until they are gone."""
        if self._outer:
            self._channel.close()
            os.kill(self._outer, signal.SIGTERM)  # see _outer: it kills init first
            os.waitpid(self._outer, 0)
            self._outer = None


def _outer(channel):
    """Between runner and init: the first fork after unshare(CLONE_NEWPID) is init of the new namespace."""
    system.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    system.unshare(system.CLONE_NEWPID | system.CLONE_NEWNET)
    init = os.fork()
    if init == 0:
        system.die_with_parent()
        _init(channel)
    channel.close()

    def end(*_):
        os.kill(init, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    os.waitpid(init, 0)  # returns once the whole namespace is empty
    os._exit(0)


def _init(channel):
    stream = channel.makefile("rwb")
    pickle.dump(os.stat("/proc/thread-self/ns/net").st_ino, stream)
    stream.flush()
    while True:
        try:
            function, *args = pickle.load(stream)
        except EOFError:
            os._exit(0)
        pickle.dump(function(*args), stream)
        stream.flush()


def _command(words, cwd, env, output):
    return subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                          check=False).returncode
