# SPDX-License-Identifier: GPL-2.0-or-later
"""--nft-trace: nftables' own trace names the rule, and nothing of the ruleset is different afterwards."""
import os
import select
import signal
import socket
import subprocess

from harness import STEP_SECONDS, App, Skip, await_that, registry
from lab.process import Socket

CASES, case = registry()

RULES = """
table inet wall {
    chain deep {
        tcp dport 7001 drop comment "not this"
        meta l4proto { tcp, udp } th dport 7002 counter drop comment "this"
        meta l4proto { tcp, udp } th dport 7000-7999 drop comment "nor this"
    }
    chain input {
        type filter hook input priority filter; policy accept;
        tcp dport 7003 reject with tcp reset comment "aloud"
        udp dport 7003 reject comment "aloud, too"
        th dport 7000-7999 jump deep
    }
}
table inet later {
    chain input {
        type filter hook input priority filter + 10; policy drop;
        meta l4proto { icmp, ipv6-icmp } accept
        th dport 1-7999 accept
    }
}
"""


def nft(*words, stdin=None, netns="server"):
    return subprocess.run(["nsenter", f"--net=/run/netns/{netns}", "nft", *words], input=stdin, text=True, check=True,
                          stdout=subprocess.PIPE).stdout


def prepare(sandbox):
    """A firewall, and its ruleset as text."""
    sandbox.net("pair client server")
    nft("-f", "-", stdin=RULES)
    return nft("-a", "list", "ruleset")


def handle(listed, comment):
    line = next(one for one in listed.splitlines() if f'comment "{comment}"' in one)
    return int(line.rsplit("# handle ", 1)[1])


class Monitor:
    """What changes in the ruleset of "server"."""

    def __init__(self):
        self._nft = subprocess.Popen(["nsenter", "--net=/run/netns/server", "nft", "monitor"], stdout=subprocess.PIPE)
        self._seen = b""
        self._marks = 0
        await_that(lambda: self.mark(seconds=0.2), "told by nft monitor what changes")

    def mark(self, seconds=STEP_SECONDS):
        """Make a change, and wait until it is told; false if it isn't."""
        self._marks += 1
        name = f"mark_{self._marks}"
        nft(f"add table inet {name}; delete table inet {name}")
        while f"add table inet {name}\n".encode() not in self._seen:
            if not select.select([self._nft.stdout], [], [], seconds)[0]:
                return False
            more = os.read(self._nft.stdout.fileno(), 1 << 16)
            assert more, "nft monitor has ended"
            self._seen += more
        return True

    def end(self):
        """All that was told."""
        assert self.mark(), "nft monitor doesn't tell any more"
        self._nft.kill()
        self._nft.wait()
        return self._seen.decode()


def begin(sandbox, netns, *options, **more):
    try:
        return sandbox.watch("--nft-trace", "--netns", netns, *options, **more)
    except AssertionError as error:
        if "needs Linux 5.12" in str(error):
            raise Skip("this kernel has no tables with an owner") from error
        raise


def traced(sandbox, *options, netns="server", **more):
    """A watch of a namespace, where its table now is."""
    watch = begin(sandbox, netns, *options, **more)
    name = f"tcpwhy_trace_{watch.pid}"
    watch.await_text(f"added a rule, table inet {name}, that marks", watch.err)
    assert f"table inet {name}\n" in nft("list", "tables", netns=netns), "its table is not there"
    return watch


def begin_to_connect(to, port):
    """A socket that nobody waits for."""
    sock = Socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.connect_ex((to, port))
    return sock


def datagram(to, port):
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"lost", (to, port))


def many_datagrams(to, port, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(count):
            sock.sendto(b"lost", (to, port))


SEND = {"tcp": begin_to_connect, "udp": datagram}


def verdict_on(watch, port):
    def of_port(verdicts):
        return [v for v in verdicts if port in (v["flow"].get("src_port"), v["flow"].get("dst_port"))]
    watch.await_verdicts(of_port)
    found = of_port(watch.verdicts())
    assert found, f"no verdict for port {port}: {watch.text()}"
    return found[0]


def check(verdict, cause, says):
    """The trace was what told it: no probe, no counter."""
    assert (verdict["cause"], verdict["certainty"]) == (cause, "certain"), verdict
    assert says in verdict["explanation"], verdict["explanation"]
    told = " ".join(verdict["evidence"])
    assert "the kernel's own trace (nftrace) of this very packet names" in told, told


@case("nft-trace: which rule, {0} over IPv{1}", [(proto, version) for proto in SEND for version in (4, 6)])
def which_rule(sandbox, proto, version):
    before = prepare(sandbox)
    this, aloud = handle(before, "this"), handle(before, {"tcp": "aloud", "udp": "aloud, too"}[proto])
    client = App("client")
    watch = traced(sandbox, "--tier", "tracepoint")
    for port in (7002, 7003, 8000):
        client.run(SEND[proto], sandbox[f"server{version}"], port)
    check(verdict_on(watch, 7002), "nftables-rule",
          f"nftables rule handle {this} of chain deep in table inet wall: meta l4proto {{ tcp, udp }} th dport 7002 ")
    check(verdict_on(watch, 7003), "reject-rule",
          f"nftables rule handle {aloud} of chain input in table inet wall: {proto} dport 7003 reject")
    check(verdict_on(watch, 8000), "nftables-rule",
          "No rule decided, but the policy of base chain input in table inet later is drop.")
    watch.finish()


@case("nft-trace: as a record")
def record(sandbox):
    this = handle(prepare(sandbox), "this")
    watch = traced(sandbox, "--tier", "tracepoint", "--all")
    App("client").run(datagram, sandbox["server4"], 7002)
    verdict_on(watch, 7002)
    told = [line["netfilter"] for line in watch.lines() if line.get("kind") == "drop" and line.get("dst_port") == 7002]
    assert told == [{"has": "chain,rule,handle,traced", "table_family": "inet", "table": "wall", "chain": "deep",
                     "handle": this}], told
    watch.finish()


@case("nft-trace: with filters over IPv{0}", ((4,), (6,)))
def filtered(sandbox, version):
    prepare(sandbox)
    watch = traced(sandbox, "--tier", "tracepoint", "--src", sandbox[f"client{version}"], "--port", "7002",
                   "--proto", "tcp")
    watch.await_text("marks packets of these addresses, ports and protocols", watch.err)
    App("client").run(begin_to_connect, sandbox[f"server{version}"], 7002)
    check(verdict_on(watch, 7002), "nftables-rule", " of chain deep in table inet wall: ")
    watch.finish()


@case("nft-trace: of a command")
def of_command(sandbox):
    sandbox.net("pair client server")
    nft("add table ip out; add chain ip out way { type filter hook output priority 0; };"
        "add rule ip out way tcp dport 7002 drop", netns="client")
    script = f"import socket; s = socket.socket(); s.settimeout(0.1); s.connect_ex(('{sandbox['server4']}', 7002))"
    watch = begin(sandbox, "client", "--tier", "tracepoint", "--",
                  "nsenter", "--net=/run/netns/client", "/usr/bin/python3", "-c", script)
    assert watch.wait() == 0, watch.errors()
    check(verdict_on(watch, 7002), "nftables-rule", " of chain way in table ip out: tcp dport 7002 drop")


@case("nft-trace: the ruleset is the same after {0}", (("SIGINT",), ("SIGTERM",), ("SIGKILL",), ("its time",)))
def same_after(sandbox, how):
    before = prepare(sandbox)
    watch = traced(sandbox, *(["--duration", "1s"] if how == "its time" else []))
    if how == "its time":
        assert watch.wait() == 0, watch.errors()
    else:
        status = watch.end(getattr(signal, how))
        assert status == (-signal.SIGKILL if how == "SIGKILL" else 0), f"{status}: {watch.errors()}"
    # The kernel tells nobody when it takes the table away.
    await_that(lambda: "tcpwhy" not in nft("list", "tables"), "without its table")
    after = nft("-a", "list", "ruleset")
    assert after == before, after


@case("nft-trace: without that option no table is ever made")
def not_without(sandbox):
    prepare(sandbox)
    client, monitor = App("client"), Monitor()
    watch = sandbox.watch("--netns", "server")
    client.run(datagram, sandbox["server4"], 7002)
    verdict_on(watch, 7002)
    watch.finish()
    assert "tcpwhy" not in (told := monitor.end()), told
    monitor = Monitor()
    traced(sandbox).finish()
    assert "add table inet tcpwhy_trace_" in (told := monitor.end()), told  # it would have been seen


@case("nft-trace: where there is no base chain, nothing is added")
def nothing_to_trace(sandbox):
    sandbox.net("pair client server")
    nft("add table inet empty; add chain inet empty unused")
    before = nft("list", "ruleset")
    watch = sandbox.watch("--nft-trace", "--netns", "server")
    watch.await_text("no rule added: there is no base chain of nftables to trace", watch.err)
    assert nft("list", "ruleset") == before
    watch.finish()


@case("nft-trace: messages that are lost are said to be, and the next ones are heard")
def overrun(sandbox):
    prepare(sandbox)
    client = App("client")
    watch = traced(sandbox, "--tier", "tracepoint")
    os.kill(watch.pid, signal.SIGSTOP)
    client.run(many_datagrams, sandbox["server4"], 7001, 10000)
    os.kill(watch.pid, signal.SIGCONT)
    watch.await_text("--nft-trace: more packets than can be followed", watch.err)
    client.run(begin_to_connect, sandbox["server4"], 7002)  # the details of TCP's drops are limited apart
    check(verdict_on(watch, 7002), "nftables-rule", 'comment "this"')
    watch.finish()
    watch.await_text("--nft-trace: messages were lost, ", watch.err)
