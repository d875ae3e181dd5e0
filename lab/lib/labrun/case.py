# SPDX-License-Identifier: GPL-2.0-or-later
"""One case from beginning to end: set up, arm, provoke, compare."""
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from lab.addresses import environment

from . import cgroup, match, sandbox, scenario, tool, witness

_WRONG = "wrong verdicts"
SKIP = 77  # exit status of a setup that finds this machine can't make the failure


@dataclass
class Result:
    status: str  # "ok", "skip" or "not ok"
    why: str = ""  # one line
    detail: str = ""  # more lines
    verdicts: tuple = ()  # what tcpwhy said, each as "cause (certainty)"
    weaker: str = ""  # how much less that is than wanted, see match.weaker
    untraced: tuple = (0, 0)  # timer interrupts without an event, and all of them, see witness
    recording: str = ""  # where it is wanted, what tcpwhy recorded: base64 of what zlib made of it

    def says_nothing(self):
        """Was tcpwhy wrong, but perhaps not told of all that happened?"""
        return self.why == _WRONG and self.untraced[0] > 0


class _Stop(Exception):
    def __init__(self, status, why, detail=""):
        super().__init__(why)
        self.result = Result(status, why, detail)


def _in_virtual_machine():
    """Is this machine one that test/vm/run made?"""
    with open("/proc/cmdline", encoding="utf-8") as file:
        return " vm_run=" in file.read()


def _env(case):
    lib = os.path.join(scenario.LAB, "lib")
    env = dict(os.environ, LAB_LIB=lib, PYTHONPATH=lib, PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8",
               PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **environment(case.family))
    env.pop("LAB_FIX", None)
    first = 10000 + os.getpid() % 45 * 1100
    env["LAB_PORTS"] = f"{first} {first + 1099}"
    if case.fix:
        env["LAB_FIX"] = case.fix["name"]
    return env


def _output(log):
    log.seek(0)
    return log.read().decode(errors="replace").rstrip()


def _step(run, case, words, env, log, what):
    """One step inside of the sandbox, by run or run_python of it."""
    status = run(words, case.scenario.path, env, log.fileno() if log else None)
    if status == SKIP:
        raise _Stop("skip", _output(log).splitlines()[-1] if log and _output(log) else "not possible here")
    if status:
        raise _Stop("not ok", f"{what} failed ({status})", _output(log) if log else "")


def _apply_fix(box, case, env, log):
    fix = case.fix
    words = ["nsenter", f"--net={sandbox.NETNS}/{fix['netns']}", "sh", "-ec", fix["command"]]
    _step(box.run, case, words, env, log, f"fix '{fix['command']}'")


def _own(lines, numbers):
    """The verdicts about this case's namespaces: others may fail connections on the machine at the same time.

    Where a connect() ended after its verdict, the verdict's ledger is that of the end.
    """
    ends = {line["verdict"]: {"connect": line["connect"]} for line in lines if line.get("type") == "connect_end"}
    return [{**line, **ends.get(line["id"], {})} for line in lines
            if line.get("type") == "verdict" and line.get("netns_inum") in numbers.keys() | {None, 0}]


def _same_again(watcher, numbers):
    """A replay of what was recorded gives the very same verdicts."""
    return match.differences(_own(watcher.lines, numbers), _own(watcher.replayed(), numbers))


def _wait_for_user(case):
    pid = os.getpid()
    print(f"\n{case.title} is up: {' '.join(sorted(sandbox.namespace_numbers().values()))}\n"
          f"Look around from another terminal: sudo nsenter -t {pid} -m ip netns exec NAME COMMAND\n"
          "Enter ends it.", flush=True)
    try:
        sys.stdin.readline()
    except KeyboardInterrupt:
        pass


def _shell(case):
    print(f"\n{case.title} is up: ip netns exec NAME COMMAND; leave the shell to end it.", flush=True)
    subprocess.run([os.environ.get("SHELL", "/bin/sh")], check=False)


def _judge(case, options, numbers, seen, watcher):
    """Compare tcpwhy's verdicts with the wanted ones; seen is what the applications saw."""
    verdicts = _own(watcher.lines, numbers)
    names = tuple(match.name(verdict) for verdict in verdicts)
    wanted = case.wanted(watcher.tier)
    rest = verdicts, case.scenario.allow_other, environment(case.family)
    problems = match.compare(wanted, *rest)
    differences = _same_again(watcher, numbers)
    if differences:
        return Result("not ok", "a replay says something else", "\n".join(differences + problems), verdicts=names)
    if not problems:
        return Result("ok", detail=seen, verdicts=names)
    weaker = match.weaker(wanted, case.weaker, *rest) if options.weaker else None
    if weaker:
        return Result("ok", detail=seen, verdicts=names, weaker=weaker)
    lines = [*problems, match.summary(watcher.lines[-1])]
    return Result("not ok", _WRONG, "\n".join(lines) + watcher.errors(), verdicts=names)


def run(case, options, show):
    """Run a case; this process must be there for it alone. With show, its output goes to the terminal."""
    if case.alone and not _in_virtual_machine():
        return Result("skip", "it changes the machine as a whole, so only in a virtual machine: test/vm/run")
    sandbox.private_names()
    if "control group" not in case.scenario.needs:
        return _run(case, options, show, {})
    try:
        with cgroup.made() as path:
            return _run(case, options, show, {"LAB_CGROUP": path})
    except cgroup.Missing as missing:
        return Result("skip", str(missing))


def _cleanup(box, case, env):
    """What no end of a process undoes, in a virtual machine."""
    if os.path.exists(os.path.join(case.scenario.path, "cleanup")):
        box.run(["./cleanup"], case.scenario.path, env, None)


def _run(case, options, show, more):
    # Before Linux 5.11 the BPF programs of a scenario count as locked memory; later the limit doesn't matter.
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # The log is open before the sandbox's init is forked, which writes to it too.
    with tempfile.TemporaryDirectory(prefix="lab-") as folder, tempfile.TemporaryFile() as log:
        box, watcher = sandbox.Sandbox(), None
        stream = None if show else log
        env = {**_env(case), **more}
        try:
            _step(box.run, case, ["./setup"], env, log, "setup")
            if case.fix:
                _apply_fix(box, case, env, log)
            numbers = sandbox.namespace_numbers()
            if options.tcpwhy:
                watched = witness.Witness()
                tier = ("--tier", options.tier) if options.tier else ()
                watcher = tool.Tool(options.tcpwhy, (*tier, *case.scenario.args), shown=options.demo,
                                    recording=None if options.demo else os.path.join(folder, "recording.pcapng"))
            _step(box.run_python, case, "./provoke", env, stream, "provoke")
            numbers.update(sandbox.namespace_numbers())
            numbers[box.scratch] = None
            if options.keep:
                _wait_for_user(case)
            if options.shell:
                _shell(case)
            if options.demo:
                watcher.wait()
            if options.demo or not watcher:
                return Result("ok", detail=_output(log))
            wanted = len(case.wanted(watcher.tier))
            if wanted and case.scenario.settle == "verdict":
                watcher.await_verdicts(lambda lines: len(_own(lines, numbers)) >= wanted)
            watcher.stop()
            untraced = watched.missed()
            result = _judge(case, options, numbers, _output(log), watcher)
            result.untraced = untraced
            if options.recordings:
                result.recording = watcher.recording()
            return result
        except _Stop as stop:
            return stop.result
        except tool.ToolError as error:
            first, _, rest = str(error).partition("\n")
            return Result("not ok", first, rest)
        finally:
            if watcher:
                watcher.kill()
            _cleanup(box, case, env)
            box.close()
