# SPDX-License-Identifier: GPL-2.0-or-later
"""Words on the command line: wrong ones, help, the pages of the causes; and users without privileges."""
import json
import os

from harness import Skip, registry

CASES, case = registry()

PAGES = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "causes")

WRONG = (
    "--no-such-option", "--hots 10.0.0.1", "--host", "--host 10.0.0.300", "--host 10.0.0.1/24", "--host localhost",
    "--port 0", "--port 65536", "--port http", "--proto sctp", "--pid 0", "--pid x", "--count 0", "--duration 5",
    "--duration 0s", "--color blue", "--comm a-name-that-is-too-long", "--json=yes", "--ready-fd 77", "--",
    "--pid 1 -- true", "--proto icmp --port 80", "--host 10.0.0.1 --src fd00::1", "curl", "--json watch", "explian",
    "explain one two", "explain --what", "explain no-such-cause", "doctor --what", "doctor now",
    "stacks udp", "stacks drop --by port", "stacks --top 0", "stacks --interval 5", "stacks --folded --json",
    "stacks --folded --by flow", "stacks --", "stacks --stacks",
    "--tier ftrace", "doctor --tier", "--tier trampoline,kprobe", "addr2line", "addr2line tcp_v4_rcv", "addr2line f+x",
    "addr2line f+0x1/", "addr2line f+1 --vmlinux", "addr2line +0x1",
)


def one_sentence(err):
    """A single line in the form of a message."""
    assert err.count("\n") == 1 and err.endswith("\n"), f"stderr is not one line: {err!r}"
    assert err.startswith("tcpwhy: "), err


@case("wrong usage: {0}", tuple((words,) for words in WRONG))
def wrong(sandbox, words):
    status, out, err = sandbox.call(*words.split())
    assert status == 2, f"exit status {status}: {out}{err}"
    assert out == "", out
    one_sentence(err)


@case("wrong usage is answered with what may have been meant")
def meant(sandbox):
    for words, hint in (("--hots 10.0.0.1", "--host"), ("explian", "tcpwhy explain"), ("curl x", "tcpwhy -- curl"),
                        ("explain no-listner", "no-listener"), ("--host 10.0.0.1/24", "10.0.0.0/24")):
        assert hint in sandbox.call(*words.split())[2], words


@case("a namespace that isn't there is an error")
def no_namespace(sandbox):
    for spec in ("no-such-namespace", "pid:4194304", "/no/such/file", "/etc/passwd"):
        status, out, err = sandbox.call("--netns", spec)
        assert status != 0 and out == "", f"{spec}: {status} {out}"
        one_sentence(err)


@case("--help and --version")
def help_and_version(sandbox):
    status, out, err = sandbox.call("--help")
    assert status == 0 and err == "", err
    for word in ("Usage:", "--host", "--netns", "--json", "--ready-fd", "explain", "doctor", "-- command"):
        assert word in out, f"{word} is missing"
    assert sandbox.call("watch", "-h")[1] == out
    status, out, err = sandbox.call("--version")
    assert status == 0 and out.startswith("tcpwhy ") and out[7].isdigit() and err == "", out + err


@case("explain lists every cause, and prints the page of each")
def explain(sandbox):
    status, out, err = sandbox.call("explain")
    assert status == 0 and err == "", err
    causes = [line.split()[0] for line in out.splitlines()]
    pages = {name[:-3] for name in os.listdir(PAGES) if name.endswith(".md")}
    assert len(causes) == len(set(causes)) and set(causes) == pages, set(causes) ^ pages
    for cause in causes:
        status, page, err = sandbox.call("explain", cause)
        assert status == 0 and err == "", err
        assert cause in page.splitlines()[0] and len(page) > 500, f"{cause}: {page[:200]}"


@case("doctor says what this kernel lets it see")
def doctor(sandbox):
    status, out, err = sandbox.call("doctor")
    assert status == 0, out + err
    assert "kfree_skb" in out and "tcp_send_reset" in out, out
    status, out, err = sandbox.call("doctor", "--json")
    findings = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and findings, out + err


@case("--tier attaches in one way only, or says in one sentence why it can't")
def tiers(sandbox):
    found = json.loads(sandbox.call("doctor", "--json")[1])["findings"]
    there = {one["name"]: one["ok"] for one in found}
    assert there["BTF tracepoints"], there
    for tier, name in (("tracepoint", "BTF tracepoints"), ("trampoline", "trampolines"), ("kprobe", "kprobes")):
        status, out, err = sandbox.call("--tier", tier, "--duration", "10ms")
        assert status == (0 if there[name] else 1), f"{tier}: {status} {err}"
        if status:
            assert out == "", out
            one_sentence(err)
            assert f"--tier {tier}: " in err, err
        else:
            assert f"armed: {tier} tier" in err, err


@case("doctor says of each probe how it is attached, or what is lost without it")
def doctor_probes(sandbox):
    told = json.loads(sandbox.call("doctor", "--json", "--tier", "tracepoint")[1])
    assert told["tier"] == "tracepoint", told["tier"]
    probes = {one["name"]: one for one in told["findings"]}
    assert probes["kfree_skb"]["ok"] and probes["kfree_skb"]["detail"].startswith("tp_btf/kfree_skb"), probes["kfree_skb"]
    for name in ("SYN at listener", "SYN at TIME_WAIT", "REJECT, IPv4"):
        assert not probes[name]["ok"], probes[name]
        assert "no trampolines; no kprobes; lost: " in probes[name]["detail"], probes[name]


NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
NOT_ROOT = ((), ("--json",), ("--", "echo", "ran"))


@case("not root, with \"{0}\": one sentence", tuple((" ".join(words),) for words in NOT_ROOT))
def not_root(sandbox, words):
    path, sandbox.path = reachable(sandbox.path), "setpriv"
    status, out, err = sandbox.call(*NOBODY[1:], path, *words.split())
    assert status == 1, f"exit status {status}: {err}"
    assert out == "", out
    one_sentence(err)
    assert "root" in err, err


@case("not root: what needs no privileges works")
def not_root_explains(sandbox):
    path, sandbox.path = reachable(sandbox.path), "setpriv"
    for words in (("explain",), ("--help",), ("--version",)):
        status, out, err = sandbox.call(*NOBODY[1:], path, *words)
        assert status == 0 and out and err == "", err


def reachable(path):
    """A copy that nobody can run: the build may lie in root's own folders. On the case's private file system."""
    import os
    import shutil

    copy = "/run/netns/tcpwhy"
    shutil.copy(path, copy)
    os.chmod(copy, 0o755)
    if os.statvfs(copy).f_flag & os.ST_NOEXEC:
        raise Skip("no file system to run it from")
    return copy
