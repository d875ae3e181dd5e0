# SPDX-License-Identifier: GPL-2.0-or-later
"""Of a thousand packets that netfilter drops, among others that it accepts: who dropped each, and nothing changed."""
import json
import re
import socket
import subprocess
import time
from dataclasses import dataclass

from cases.nft_trace import traced
from harness import App, registry
from lab import bpf, packet
from lab.addresses import address
from lab.process import Socket

CASES, case = registry()

PER_SECOND = 64  # details of so many drops of a kind are shown each second; a kind: place, protocol, namespace
ROUNDS, PER_ROUND = 5, 52  # 5 rounds × 52 × (TCP, UDP) × (IPv4, IPv6)
SO_RCVBUFFORCE = 33
FOREIGN = {version: address("other", version) for version in (4, 6)}  # whose packets a BPF program drops

# Rules are told by their comments; all of it is seen by IPv4 and IPv6.
RULES = """
    table inet first {
        set closed { type inet_service; elements = { 7004, 7104 }; }
        map decide { type inet_service : verdict; elements = { 7003 : drop, 7103 : drop, 9100 : accept }; }
        chain deeper { meta l4proto { tcp, udp } th dport 7002 counter drop comment "goto" ; }
        chain deep {
            meta l4proto { tcp, udp } th dport 7001 counter drop comment "jump"
            meta l4proto { tcp, udp } th dport 7002 goto deeper
        }
        chain input {
            type filter hook input priority filter - 10; policy accept;
            meta l4proto { tcp, udp } th dport 7000 counter drop comment "direct"
            jump deep
            meta l4proto { tcp, udp } counter th dport vmap @decide comment "vmap"
            meta l4proto { tcp, udp } th dport @closed counter drop comment "set"
            meta l4proto { tcp, udp } th dport 7005 limit rate 1000000/second counter drop comment "limit"
        }
    }
    table inet second {
        chain input {
            type filter hook input priority filter + 10; policy drop;
            meta l4proto { tcp, udp } th dport 7006 counter drop comment "later"
            meta l4proto { tcp, udp } th dport 9000-9200 counter accept comment "accepted"
            meta l4proto { icmp, ipv6-icmp } accept
        }
    }
"""
POLICY, IPTABLES, LEGACY, FOREIGN_PORT = 7007, 7008, 7009, 9100
BY_COMMENT = {7000: "direct", 7001: "jump", 7002: "goto", 7003: "vmap", 7004: "set", 7005: "limit", 7006: "later"}


@dataclass
class Wanted:
    cause: str
    table: str = None
    chain: str = None
    handle: int = None
    function: str = None  # regular expression


def run(netns, *words, stdin=None):
    return subprocess.run(["nsenter", f"--net=/run/netns/{netns}", *words], input=stdin, text=True, check=True,
                          stdout=subprocess.PIPE).stdout


def rules(netns):
    """Every rule of nftables, as JSON."""
    listed = json.loads(run(netns, "nft", "-j", "-a", "list", "ruleset"))["nftables"]
    return [one["rule"] for one in listed if "rule" in one]


def counter(rule):
    return next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)


def without_counters(netns):
    """All rulesets as text, the traffic's counters left out."""
    texts = [run(netns, "nft", "-a", "list", "ruleset")]
    texts += [run(netns, f"{name}-legacy-save", "-c") for name in ("iptables", "ip6tables")]
    text = re.sub(r"packets \d+ bytes \d+", "", "\n".join(texts))
    return re.sub(r"\[\d+:\d+\]|^# .* on .*$", "", text, flags=re.M)


def legacy_counter(netns, version):
    name = "iptables" if version == 4 else "ip6tables"
    return int(re.search(rf"\[(\d+):\d+\] -A PREROUTING .*--dport {LEGACY} -j DROP",
                         run(netns, f"{name}-legacy-save", "-c", "-t", "raw"))[1])


def prepare(sandbox):
    """The firewalls of the namespace "server"; true if there is also a BPF program."""
    sandbox.net(f"""
        pair client server
        interface client eth0 other 16 48
        for number in 0 1 2 3 4 5 6 7 8 9; do
            ip -n client addr add 10.0.1.10$number/16 dev eth0
            ip -n client addr add 2001:db8:0:1::10$number/48 dev eth0 nodad
        done
        for tool in iptables ip6tables; do
            command -v $tool-legacy >/dev/null || {{ echo "no $tool-legacy"; exit 77; }}
            for proto in tcp udp; do
                in_ns server $tool-nft -w -t mangle -A PREROUTING -p $proto --dport {IPTABLES} -j DROP
            done
            in_ns server $tool-legacy -w -t raw -A PREROUTING -p tcp --dport {LEGACY} -j DROP
            in_ns server $tool-legacy -w -t raw -A PREROUTING -p tcp --dport 1 -j DROP
        done
    """)
    run("server", "nft", "-f", "-", stdin=RULES)
    with open("/proc/kallsyms", encoding="utf-8") as file:
        return " bpf_nf_link_attach\n" in file.read()


def wanted(with_bpf):
    """{(port, protocol, IP version): Wanted}"""
    found, every = {}, rules("server")
    for version in (4, 6):
        for proto in ("tcp", "udp"):
            for port, comment in BY_COMMENT.items():
                rule = next(one for one in every if one.get("comment") == comment)
                found[port, proto, version] = Wanted("nftables-rule", rule["table"], rule["chain"], rule["handle"])
            found[POLICY, proto, version] = Wanted("nftables-rule", "second", "input")
            family = {4: "ip", 6: "ip6"}[version]
            tables = [one for one in every if (one["family"], one["table"]) == (family, "mangle")]
            rule = tables[("tcp", "udp").index(proto)]
            found[IPTABLES, proto, version] = Wanted("iptables-rule", "mangle", "PREROUTING", rule["handle"])
            if with_bpf:
                found[FOREIGN_PORT, proto, version] = Wanted("foreign-hook", function="nf_hook_run_bpf")
        found[LEGACY, "tcp", version] = Wanted("iptables-rule", function="ip6?t(able_raw_hook|_do_table)")
    return found


def source_of(port, version):
    """An address for each service: many services of the same two ends would be one scan."""
    if port == FOREIGN_PORT:
        return FOREIGN[version]
    return {4: "10.0.1.10", 6: "2001:db8:0:1::10"}[version] + str(port % 10)


class Load:
    """Sends packets that are dropped, each of another flow, and in between some that are not."""

    def __init__(self, sandbox, plan):
        self.sandbox, self.plan, self.sent = sandbox, plan, {}
        self.port = 20000

    def _drop(self, proto, version, number):
        ports = [port for port, *rest in self.plan if rest == [proto, version]]
        port = ports[number % len(ports)]
        self.port += 1
        source = source_of(port, version)
        target = self.sandbox[f"server{version}"]
        if proto == "tcp":
            packet.send("client", packet.tcp((source, self.port), (target, port), number, 0, packet.SYN))
        else:
            self.sandbox.client.run(send_datagram, (source, self.port), (target, port))
        self.sent[self.port] = (port, proto, version)

    def _accept(self, listeners, version):
        ends = self.sandbox[f"client{version}"], (self.sandbox[f"server{version}"], 9000)
        conn = self.sandbox.client.run(connect_from, *ends)
        other = listeners[version].accept()
        conn.close()
        other.close()

    def round(self, listeners):
        """A second's worth, evenly: what tcpwhy tells in a second is limited."""
        began = time.monotonic()
        for number in range(PER_ROUND):
            for version in (4, 6):
                for proto in ("tcp", "udp"):
                    self._drop(proto, version, number)
            if number % 10 == 0:
                self._accept(listeners, 4 if number % 20 else 6)
            time.sleep(max(0, began + 1.1 * (number + 1) / PER_ROUND - time.monotonic()))


def send_datagram(source, target):
    with socket.socket(socket.AF_INET6 if ":" in source[0] else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(source)
        sock.sendto(b"lost", target)
        if source[0] not in FOREIGN.values():
            sock.sendto(b"taken", (target[0], 9050))


def datagrams(port):
    """A socket for both IP versions, which nobody reads."""
    sock = Socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    sock.bind(("", port))
    return sock


def connect_from(source, target):
    sock = Socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((source, 0))
    sock.connect(target)
    return sock


def drops(lines):
    """{source port of the flow: record} of what netfilter dropped."""
    return {line["src_port"]: line for line in lines
            if line.get("kind") == "drop" and 7000 <= line.get("dst_port", 0) <= FOREIGN_PORT}


def is_right(line, want):
    told = line.get("netfilter", {})
    if want.function:
        return bool(re.match(want.function, told.get("function", "")))
    # Handles are unique in a table; before 5.17 a rule doesn't lead to its chain.
    chain = told.get("chain", want.chain) if want.handle else told.get("base_chain")
    return (told.get("table"), chain, told.get("handle")) == (want.table, want.chain, want.handle)


def check_records(load, plan, lines):
    """Every single drop names who dropped it."""
    told = drops(lines)
    sent = {port: what for port, what in load.sent.items() if what in plan}
    missing = [sent[port] for port in sent if port not in told]
    assert not missing, f"{len(missing)} of {len(sent)} drops are not shown: {missing[:5]}"
    wrong = [(sent[port], told[port].get("netfilter")) for port in sent
             if not is_right(told[port], plan[sent[port]])]
    assert not wrong, f"{len(wrong)} of {len(sent)} are wrong: {wrong[:5]}"


def by_service(verdicts):
    return {(v["flow"].get("dst_port"), v["flow"]["proto"], v["flow"]["family"]): v for v in verdicts}


def check_verdicts(plan, verdicts, exact):
    """Each service has a verdict, which stands for all its flows, and none names anybody else."""
    told = by_service(verdicts)
    missing = plan.keys() - told.keys()
    assert not missing, f"no verdict for {sorted(missing)}"

    def honest(key):
        """What says less, but nothing wrong: rules of iptables-nft are nftables', too."""
        if exact:
            return {plan[key].cause}
        return {plan[key].cause, "netfilter-drop"} | ({"nftables-rule"} if key[0] == IPTABLES else set())

    wrong = [(key, told[key]["cause"], told[key]["certainty"]) for key in plan if told[key]["cause"] not in honest(key)]
    assert not wrong, f"{len(wrong)} of {len(plan)} verdicts are wrong: {wrong}"


def check_counters(load, before):
    """The rulesets are the same, and their counters are exactly what was sent."""
    after = without_counters("server")
    assert after == before, f"the rulesets are not what they were:\n{after}"
    for port, comment in BY_COMMENT.items():
        count = counter(next(one for one in rules("server") if one.get("comment") == comment))
        sent = sum(to == port for to, *_ in load.sent.values())
        assert comment == "vmap" or count == sent, f'rule "{comment}" has counted {count} packets of {sent}'
    for version in (4, 6):
        sent = sum((to, what) == (LEGACY, version) for to, _, what in load.sent.values())
        count = legacy_counter("server", version)
        assert count == sent, f"iptables-legacy has counted {count} packets of {sent}"


@case("who dropped each of 1040 packets{0}", (("",), (", by nftables' own trace",)))
def thousand(sandbox, by_trace):
    with_bpf = prepare(sandbox)
    server, sandbox.client = App("server"), App("client")
    if with_bpf:
        for version in (4, 6):
            server.run(bpf.drop_by_netfilter, "input", 5, FOREIGN[version])
    listeners = {version: server.listen(9000, version=version) for version in (4, 6)}
    server.run(datagrams, 9050)
    plan = wanted(with_bpf)
    before = without_counters("server")
    if by_trace:
        watch = traced(sandbox, "--all", "--tier", "tracepoint")
    else:
        watch = sandbox.watch("--all", "--netns", "server")
    watch.await_text("armed", watch.err)
    exact = "armed: tracepoint" not in watch.errors()
    load = Load(sandbox, plan)
    assert PER_ROUND < PER_SECOND
    for _ in range(ROUNDS):
        load.round(listeners)
    watch.await_verdicts(lambda verdicts: plan.keys() <= by_service(verdicts).keys())
    watch.finish()
    if exact:
        check_records(load, plan, watch.lines())
    elif by_trace:
        of_nftables = {what: want for what, want in plan.items() if not want.function}
        check_records(load, of_nftables, watch.lines())
    check_counters(load, before)
    check_verdicts(plan, watch.verdicts(), exact)
