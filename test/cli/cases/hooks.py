# SPDX-License-Identifier: GPL-2.0-or-later
"""tcpwhy hooks: every netfilter hook of a namespace, in call order, and whose it is."""
import json
import os
import re
import subprocess

from cases.usage import NOBODY, one_sentence, reachable
from harness import App, Skip, registry
from lab import bpf

CASES, case = registry()

# What nft makes of it, by hook point; the kernel adds conntrack and NAT.
RULES = """
    namespaces box
    ip -n box link add d0 type veth peer name d1
    in_ns box nft -f - <<END
        table inet filt {
            chain in { type filter hook input priority 0; policy drop;
                ct state invalid drop
            }
            chain early { type filter hook input priority -10; }
            chain dev { type filter hook ingress device "d0" priority 5; }
        }
        table ip trans {
            chain post { type nat hook postrouting priority srcnat;
                masquerade
            }
            chain way { type route hook output priority mangle; }
        }
        table ip6 six { chain forw { type filter hook forward priority 3; policy drop; }
        }
        table arp a { chain i { type filter hook input priority 0; }
        }
        table bridge b { chain f { type filter hook forward priority 7; }
        }
        table netdev nd { chain i { type filter hook ingress device "d0" priority 1; }
        }
END
"""
CHAINS = [
    ("ip", "input", -10, "inet", "filt", "early", "filter", "accept"),
    ("ip", "input", 0, "inet", "filt", "in", "filter", "drop"),
    ("ip", "output", -150, "ip", "trans", "way", "route", "accept"),
    ("ip", "postrouting", 100, "ip", "trans", "post", "nat", "accept"),
    ("ip6", "input", -10, "inet", "filt", "early", "filter", "accept"),
    ("ip6", "input", 0, "inet", "filt", "in", "filter", "drop"),
    ("ip6", "forward", 3, "ip6", "six", "forw", "filter", "drop"),
    ("arp", "input", 0, "arp", "a", "i", "filter", "accept"),
    ("bridge", "forward", 7, "bridge", "b", "f", "filter", "accept"),
    ("netdev", "ingress", 1, "netdev", "nd", "i", "filter", "accept"),
    ("inet", "ingress", 5, "inet", "filt", "dev", "filter", "accept"),
]


def hooks_of(sandbox, *words):
    """(records of hooks, lines that say what comparing found), as --json tells them."""
    status, out, err = sandbox.call("hooks", "--json", *words)
    assert status == 0 and err == "", f"exit status {status}: {err}"
    lines = [json.loads(line) for line in out.splitlines()]
    hooks = [line for line in lines if line["type"] == "record"]
    compared = [line for line in lines if line["type"] == "hooks_compared"]
    assert len(hooks) + len(compared) == len(lines), out
    assert all(hook["kind"] == "hook" for hook in hooks), out
    return hooks, compared


def text_of(sandbox, *words):
    status, out, err = sandbox.call("hooks", *words)
    assert status == 0 and err == "", f"exit status {status}: {err}"
    return out


def chain_of(hook):
    return tuple(hook[name] for name in ("hook_family", "hook", "priority", "table_family", "table", "chain",
                                         "chain_type", "policy"))


def point_of(hook):
    return hook["hook_family"], hook["hook"], hook.get("interface")


@case("hooks: every chain at its point, in call order, among the kernel's own")
def chains(sandbox):
    sandbox.net(RULES)
    hooks, compared = hooks_of(sandbox, "--netns", "box")
    assert [chain_of(hook) for hook in hooks if hook["made_by"] == "nftables"] == CHAINS, hooks
    assert {hook["netns_inum"] for hook in hooks} == {sandbox.netns("box")}
    assert [hook["interface"] for hook in hooks if hook["hook"] == "ingress"] == ["d0", "d0"], hooks
    for before, hook in zip(hooks, hooks[1:]):
        if point_of(before) == point_of(hook) and not before.get("below_nat") and not hook.get("below_nat"):
            assert before["priority"] <= hook["priority"], (before, hook)
    below = [hook["chain"] for hook in hooks if hook.get("below_nat")]
    assert below == ["post"], below
    before = hooks[[hook.get("chain") for hook in hooks].index("post") - 1]
    assert before["name"].startswith("nf_nat_") and before["made_by"] == "kernel", before
    # include/uapi/linux/netfilter_ipv4.h: where connection tracking is
    first = [hook["priority"] for hook in hooks if point_of(hook) == ("ip", "prerouting", None)][:2]
    assert first == [-400, -200], hooks
    assert len(compared) == 1 and compared[0]["netns"] == sandbox.netns("box"), compared
    assert compared[0]["differences"] == [], compared
    assert compared[0]["compared"] or compared[0]["why_not"], compared


@case("hooks: a chain that is gone is no longer told")
def gone(sandbox):
    sandbox.net(RULES)
    sandbox.net("in_ns box nft flush ruleset")
    hooks, _ = hooks_of(sandbox, "--netns", "box")
    assert not [hook for hook in hooks if hook["made_by"] == "nftables"], hooks


@case("hooks: as text")
def text(sandbox):
    sandbox.net(RULES)
    out = text_of(sandbox, "--netns", "box")
    assert out.startswith(f"netns box, {sandbox.netns('box')}\n\n"), out
    points = re.findall(r"^(?:IPv|ARP|bridge|device).*$", out, re.M)
    order = [points.index(point) for point in ("IPv4 input", "IPv4 output", "IPv6 input", "ARP input", "bridge forward",
                                               "device d0 ingress")]
    assert order == sorted(order), points
    assert re.search(r"\n +0  nft_do_chain\w* +\S+ +chain inet filt in \(filter, policy drop\)\n", out), out
    assert re.search(r"\nIPv4 postrouting\n(?: +-?\d+  [^n].*\n)* +100  nf_nat_\w+ .*\n"
                     r" +100  nft_\w+ .*chain ip trans post ", out), out
    assert "!" not in out, out
    assert "kernel's own list" in out.splitlines()[-1], out


@case("hooks: the way of a packet, drawn")
def graph(sandbox):
    sandbox.net(RULES)
    out = text_of(sandbox, "--netns", "box", "--graph")
    for line in out.splitlines():
        assert len(line) <= 100, line
    four, six, bridge = re.split(r"^(?=netns box)", out, flags=re.M)[1:]
    assert "IPv4\n" in four and "IPv6\n" in six and "bridge\n" in bridge, out
    order = ["packets come in", "┌─ ingress", "netdev nd i, policy accept", "inet filt dev, policy accept",
             "┌─ prerouting", "routing decision", "┌─ input", "inet filt early, policy accept",
             "inet filt in, policy drop", "local processes", "┌─ output", "ip trans way, policy accept",
             "┌─ postrouting", "ip trans post, policy accept", "packets go out"]
    places = [four.find(word) for word in order]
    assert -1 not in places and places == sorted(places), (places, four)
    assert "six forw, policy drop" in six and "six forw" not in four, out
    assert "b f, policy accept" in bridge and "which port?" in bridge, out
    middle = four.splitlines()[2].index("packets come in") + len("packets come in") // 2
    assert four.splitlines()[3].rstrip() == " " * middle + "│", four


@case("hooks: tables of iptables-legacy")
def legacy(sandbox):
    sandbox.net("namespaces box")
    tries = [subprocess.run(["nsenter", "--net=/run/netns/box", tool, "-w", "-t", table, "-A", chain, "-j", "ACCEPT"],
                            capture_output=True, check=False)
             for tool, table, chain in (("iptables-legacy", "raw", "PREROUTING"), ("iptables-legacy", "nat", "OUTPUT"),
                                        ("ip6tables-legacy", "mangle", "FORWARD"))]
    if any(one.returncode for one in tries):
        raise Skip("this kernel has no iptables-legacy")
    hooks, _ = hooks_of(sandbox, "--netns", "box")
    found = [(hook["hook_family"], hook["hook"], hook["priority"]) for hook in hooks if hook["made_by"] == "iptables"]
    # Before 5.15 every namespace has all tables that are loaded anywhere.
    found = [one for one in found if (one[0], one[2]) in (("ip", -300), ("ip", -100), ("ip", 100), ("ip6", -150))]
    assert found == [
        ("ip", "prerouting", -300), ("ip", "prerouting", -100), ("ip", "input", 100), ("ip", "output", -300),
        ("ip", "output", -100), ("ip", "postrouting", 100),
        *(("ip6", point, -150) for point in ("prerouting", "input", "forward", "output", "postrouting"))], found
    out = text_of(sandbox, "--netns", "box")
    for table in ("iptables-legacy table raw", "iptables-legacy table nat", "ip6tables-legacy table mangle"):
        assert table in out, out


@case("hooks: a BPF program, and who holds it, is marked")
def program(sandbox):
    sandbox.net("namespaces box")
    app = App("loader", "box")
    try:
        app.run(hold_program)
    except OSError as error:
        raise Skip(f"no BPF programs at netfilter's hooks: {error}") from error
    hooks, _ = hooks_of(sandbox, "--netns", "box")
    found = [hook for hook in hooks if hook["made_by"] == "bpf"]
    assert len(found) == 1, hooks
    assert found[0]["prog_name"] == "drop_source" and found[0]["prog_id"], found
    assert (found[0]["hook_family"], found[0]["hook"], found[0]["priority"]) == ("ip", "input", 123), found
    assert (found[0]["pid"], found[0]["comm"]) == (app.pid, "loader"), found
    out = text_of(sandbox, "--netns", "box")
    marked = [line for line in out.splitlines() if line.startswith("!")]
    assert len(marked) == 2, out
    assert f"BPF program {found[0]['prog_id']} drop_source, held by pid {app.pid} (loader)" in marked[0], out
    assert "not the kernel's own" in marked[1], out
    assert "│ !  123 " in text_of(sandbox, "--netns", "box", "--graph")


def hold_program():
    """Stays attached as long as this process lives."""
    hold_program.link = bpf.drop_by_netfilter("input", 123, "10.9.8.7")


@case("hooks: a module that is no part of the kernel is marked")
def foreign(sandbox):
    folder = os.environ.get("VM_MODULE")
    if not folder:
        raise Skip(os.environ.get("VM_MODULE_WHY") or "no module to load: see test/vm/run --module lab/lib/guard")
    sandbox.net("namespaces box")
    subprocess.run(["insmod", f"{folder}/guard.ko", "source=10.9.8.7", "priority=-10"], check=True)
    try:
        hooks, _ = hooks_of(sandbox, "--netns", "box")
        out = text_of(sandbox, "--netns", "box")
    finally:
        subprocess.run(["rmmod", "guard"], check=True)
    found = [hook for hook in hooks if hook["made_by"] == "foreign-module"]
    assert [(hook["hook_family"], hook["hook"], hook["priority"], hook["name"], hook["module"]) for hook in found] == [
        ("ip", "input", -10, "guard_input", "guard")], hooks
    assert re.search(r"^! +-10  guard_input +guard +a module that is no part of the kernel$", out, re.M), out
    assert "guard" not in text_of(sandbox, "--netns", "box")


@case("hooks: one namespace or all")
def namespaces(sandbox):
    sandbox.net("namespaces one two\n in_ns two nft 'table ip t { chain c { type filter hook input priority 9; }; }'")
    empty = hooks_of(sandbox, "--netns", "one")[0]  # but for what some kernels put into every namespace
    assert not [hook for hook in empty if hook["made_by"] == "nftables"], empty
    assert ("no netfilter hooks" in text_of(sandbox, "--netns", "one")) == (not empty), empty
    hooks, compared = hooks_of(sandbox, "--all-netns")
    mine = [hook["netns_inum"] for hook in hooks if hook.get("chain") == "c" and hook["priority"] == 9]
    assert mine == [sandbox.netns("two")], hooks
    assert {sandbox.netns("one"), sandbox.netns("two")} < {line["netns"] for line in compared}, compared
    assert len(compared) == len({line["netns"] for line in compared}), compared
    path, sandbox.path = sandbox.path, "nsenter"
    status, out, err = sandbox.call("--net=/run/netns/two", path, "hooks")
    assert status == 0 and out.startswith("netns two, ") and "chain ip t c " in out, out + err


WRONG = ("hooks --what", "hooks now", "hooks --netns", "hooks --netns one --all-netns", "hooks --json --graph",
         "hooks --")


@case("wrong usage: {0}", tuple((words,) for words in WRONG))
def wrong(sandbox, words):
    status, out, err = sandbox.call(*words.split())
    assert status == 2 and out == "", f"exit status {status}: {out}{err}"
    one_sentence(err)


@case("hooks: help, and a namespace that isn't there")
def answers(sandbox):
    status, out, err = sandbox.call("hooks", "--help")
    assert status == 0 and err == "" and "--all-netns" in out and "--graph" in out, out + err
    for spec in ("no-such-namespace", "pid:4194304", "/etc/passwd", "4294967295"):
        status, out, err = sandbox.call("hooks", "--netns", spec)
        assert status == 1 and out == "", f"{spec}: {status} {out}"
        one_sentence(err)


@case("not root, with \"hooks\": one sentence")
def not_root(sandbox):
    path, sandbox.path = reachable(sandbox.path), "setpriv"
    status, out, err = sandbox.call(*NOBODY[1:], path, "hooks")
    assert status == 1 and out == "", f"exit status {status}: {out}{err}"
    one_sentence(err)
    assert "root" in err, err
