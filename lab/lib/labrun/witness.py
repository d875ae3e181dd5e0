# SPDX-License-Identifier: GPL-2.0-or-later
"""Was the kernel traced all the time?

Some virtual machines' kernels run no BPF program while a process of the machine's own agent runs. A TCP timer that expires
just then leaves no event, for any tool: what a connection died of can't be told, and a case that wants it told has to be
tried again. The witness: how many timer interrupts the kernel took, and of how many a BPF program was told.
"""
import contextlib

from lab import bpf

_TRACEPOINT = "local_timer_entry"  # x86: arch/x86/kernel/apic/apic.c
_TRIES = 100  # to read both numbers between two interrupts


def _taken():
    with open("/proc/interrupts", encoding="ascii") as file:
        cpus = len(file.readline().split())
        line = next(line for line in file if line.lstrip().startswith("LOC:"))
    return sum(int(word) for word in line.split()[1:cpus + 1])


def _both(counter):
    for _ in range(_TRIES):
        told, taken = counter.value(), _taken()
        if counter.value() == told:
            return taken, told
    raise OSError("too many interrupts")


class Witness:
    """From now on."""

    def __init__(self):
        self._told = None
        with contextlib.suppress(OSError):
            told = bpf.Counter(_TRACEPOINT)
            self._start, self._told = _both(told), told

    def missed(self):
        """(interrupts of which the program wasn't told, all interrupts) since the start; (0, 0) where there is no telling."""
        if not self._told:
            return 0, 0
        with contextlib.suppress(OSError):
            taken, told = (end - start for end, start in zip(_both(self._told), self._start))
            return max(0, taken - told), taken
        return 0, 0
