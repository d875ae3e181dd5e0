# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scenario's `provoke` is written with. Everything it needs is here: `from lab import *`."""
import errno
import os
import re
import subprocess
import sys
import time

from . import bpf, nfqueue, packet
from .addresses import address, family
from .process import PATIENCE, TCP_USER_TIMEOUT, Process, here

__all__ = ["address", "family", "fixed", "Process", "here", "packet", "bpf", "nfqueue", "say", "fail", "check",
           "raises", "hangs", "command", "await_text", "sockets", "errno", "TCP_USER_TIMEOUT"]

# Set when a fix of the scenario was applied: the script must then see a cure instead of the failure.
fixed = bool(os.environ.get("LAB_FIX"))


def say(who, what):
    """Tell what an application or the network does, for whoever watches."""
    print(f"  {who:<12}{what}", flush=True)


def fail(why):
    """The failure did not happen as it should."""
    print(f"provoke failed: {why}", file=sys.stderr, flush=True)
    os._exit(1)


def check(condition, why):
    if not condition:
        fail(why)


def raises(number, who, doing, call, *args, **kwargs):
    """Make the call, which must fail with this errno, and tell it the way the application would log it."""
    try:
        value = call(*args, **kwargs)
    except TimeoutError as error:
        seen = error.errno or errno.EAGAIN  # a timeout of the application itself has no errno
    except OSError as error:
        seen = error.errno
    else:
        fail(f"{who}: {doing}: succeeded ({value!r}), wanted {errno.errorcode[number]}")
    check(seen == number, f"{who}: {doing}: {errno.errorcode.get(seen, seen)}, wanted {errno.errorcode[number]}")
    text = "timed out, the application gives up" if seen == errno.EAGAIN else os.strerror(seen)
    say(who, f"{doing}: {text}")


def hangs(pending, who, doing):
    """The call under way must not come back; a tenth of a second must do, as the cause has happened before."""
    if pending.done(within=0.1):
        try:
            fail(f"{who}: {doing}: came back with {pending.result()!r}")
        except OSError as error:
            fail(f"{who}: {doing}: {error}")
    say(who, f"{doing}: hangs, nobody tells it")


def command(netns, *words):
    """Run a command in a namespace and return what it prints."""
    done = subprocess.run(["nsenter", f"--net=/run/netns/{netns}", *words], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check(done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def await_text(netns, words, pattern, absent=False):
    """Repeat a command until its output matches (or no longer matches) the pattern; return the output."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        output = command(netns, *words)
        if bool(re.search(pattern, output)) != absent:
            return output
        time.sleep(0.01)
    fail(f"{' '.join(words)}: waited in vain for {'no ' if absent else ''}{pattern}")


def sockets(netns, *expression):
    """The state of each TCP socket of a namespace that matches an expression of ss(8)."""
    return [line.split()[0] for line in command(netns, "ss", "-Htan", *expression).splitlines()]
