# SPDX-License-Identifier: GPL-2.0-or-later
"""A control group (v2) of a case's own. Nothing else of a case outlives its processes, so somebody has to remove it."""
import contextlib
import os
import time

_PATIENCE = 10  # seconds that the case's processes may take to be gone


class Missing(Exception):
    """There can be no control group here."""


def _root():
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in file:
            _, path, kind = line.split()[:3]
            if kind == "cgroup2":
                return path
    raise Missing("no cgroup2 file system is mounted")


def _remove(path):
    until = time.monotonic() + _PATIENCE
    while os.path.isdir(path) and time.monotonic() < until:
        try:
            os.rmdir(path)
        except OSError:  # a process is not gone yet
            time.sleep(0.01)


def _janitor(path):
    """A process that removes the group once this one and all that it started are gone, whatever ended them."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.dup2(reader, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        os.read(3, 1)
        _remove(path)
        os._exit(0)
    os.close(reader)
    return writer


@contextlib.contextmanager
def made():
    path = os.path.join(_root(), f"lab-{os.getpid()}")
    try:
        os.mkdir(path)
    except OSError as error:
        raise Missing(f"no control group can be made: {error.strerror}") from error
    writer = _janitor(path)
    try:
        yield path
    finally:
        _remove(path)
        os.close(writer)
