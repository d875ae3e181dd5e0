# SPDX-License-Identifier: GPL-2.0-or-later
"""--pid with children and with what was there before, and what tcpwhy leaves behind."""
import glob
import os
import subprocess

from harness import App, await_that, connect, refused, registry, reset_by_close

CASES, case = registry()


def forked(function, *args):
    """In an App: run the function in a child of it."""
    pid = os.fork()
    if pid == 0:
        try:
            function(*args)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def forked_to_wait(path, function, *args):
    """In an App: a child that runs the function when someone writes into the fifo."""
    pid = os.fork()
    if pid == 0:
        try:
            with open(path, "rb") as fifo:
                fifo.read(1)
            function(*args)
        finally:
            os._exit(0)
    return pid


def ports(watch):
    return {v["flow"]["dst_port"] for v in watch.verdicts()} | {v["flow"]["src_port"] for v in watch.verdicts()}


@case("--pid: its children too")
def children(sandbox):
    sandbox.net("pair client server")
    parent, other = App("parent", "client"), App("other", "client")
    watch = sandbox.watch("--pid", str(parent.pid))
    assert parent.run(forked, refused, sandbox["server4"], 8001) == 0
    assert other.run(forked, refused, sandbox["server4"], 8002) == 0
    watch.await_verdicts(lambda verdicts: verdicts)
    watch.finish()
    assert 8001 in ports(watch), "not the child's"
    assert 8002 not in ports(watch), "another's child's"


@case("--pid: children that were there before")
def older_children(sandbox):
    sandbox.net("pair client server")
    parent = App("parent", "client")
    fifo = f"/run/netns/{os.getpid()}"  # a private file system
    os.mkfifo(fifo)
    parent.run(forked_to_wait, fifo, refused, sandbox["server4"], 8001)
    watch = sandbox.watch("--pid", str(parent.pid))
    with open(fifo, "wb") as go:
        go.write(b"x")
    watch.await_verdicts(lambda verdicts: verdicts)
    watch.finish()
    assert 8001 in ports(watch), "not the child's"


@case("--pid: connections that were there before")
def older_connections(sandbox):
    sandbox.net("pair client server")
    server, mine, other = App("server"), App("mine", "client"), App("other", "client")
    ends = []
    for app, port in ((mine, 8001), (other, 8002)):
        listener = server.listen(port)
        ends.append((app.run(connect, sandbox["server4"], port), listener.accept()))
    watch = sandbox.watch("--pid", str(mine.pid))
    for near, far in ends:
        server.run(reset_by_close, far)
        near.await_state("CLOSE")
    watch.await_verdicts(lambda verdicts: verdicts)
    watch.finish()
    assert 8001 in ports(watch), "not its own"
    assert 8002 not in ports(watch), "another's"


@case("--pid: a listening socket that was there before")
def older_listener(sandbox):
    sandbox.net("pair client server")
    server, client = App("server"), App("client")
    listener = server.listen(8001, backlog=0)
    first = client.run(connect, sandbox["server4"], 8001)
    watch = sandbox.watch("--pid", str(server.pid))
    waiting = client.later("run", connect, sandbox["server4"], 8001)
    watch.await_verdicts(lambda verdicts: verdicts)
    watch.finish()
    assert [v["cause"] for v in watch.verdicts()] == ["listen-overflow"], watch.text()
    del listener, first, waiting


def bpf_ids(pid):
    """The ids of a process's BPF programs and links."""
    found = {"prog": set(), "link": set()}
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        try:
            with open(path, encoding="ascii") as file:
                lines = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        except FileNotFoundError:
            continue
        for kind, ids in found.items():
            ids |= {lines[key].strip() for key in (f"{kind}_id",) if key in lines}
    return found


def bpf_is_there(kind, number):
    return subprocess.run(["bpftool", kind, "show", "id", number], capture_output=True, check=False).returncode == 0


@case("kill -9 leaves no BPF program and no link")
def killed(sandbox):
    watch = sandbox.watch("--", "sleep", "60")
    ids = bpf_ids(watch.pid)
    assert len(ids["link"]) >= 5 and len(ids["prog"]) >= 5, f"has only {ids}"
    assert all(bpf_is_there(kind, number) for kind in ids for number in ids[kind])
    watch.kill()
    for kind, numbers in ids.items():
        for number in numbers:
            await_that(lambda kind=kind, number=number: not bpf_is_there(kind, number), f"gone: {kind} {number}")


@case("privileges are dropped once it is armed")
def privileges(sandbox):
    watch = sandbox.watch("--netns", str(os.stat("/proc/self/ns/net").st_ino))
    with open(f"/proc/{watch.pid}/status", encoding="ascii") as file:
        status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1", status
    effective = int(status["CapEff"], 16)
    for number, name in ((39, "BPF"), (38, "PERFMON"), (6, "SETGID"), (7, "SETUID"), (3, "FOWNER"), (16, "SYS_MODULE")):
        assert not effective >> number & 1, f"still has CAP_{name}"
    for key in ("CapPrm", "CapBnd"):
        assert int(status[key], 16) == effective, f"{key} is {status[key]}, CapEff {status['CapEff']}"
    watch.finish()
