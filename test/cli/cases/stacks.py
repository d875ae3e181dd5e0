# SPDX-License-Identifier: GPL-2.0-or-later
"""tcpwhy stacks: what it counts is what happened, by the kernel's own counters; and how its tables come out."""
import os
import pty
import socket
import subprocess

from harness import App, connect, refused, registry

CASES, case = registry()

UDP_RECEIVES = ("__udp4_lib_rcv", "udp_rcv")  # of kernels to come, too
COUNTERS = ("UdpNoPorts", "TcpOutRsts", "TcpActiveOpens", "TcpRetransSegs")
DATAGRAMS, FLOWS, REFUSED, UNANSWERED = 500, 10, 30, 1

TABLE, PORTS = 16384, range(20000, 37000)  # STACKS_TABLE_SIZE of abi/record.h, and more flows than that

# Of what fail() does below: the kinds, and which counter of which namespace says how many there are.
EXACT = (
    ("drop", "--proto udp", "server", "UdpNoPorts"),
    ("rst", "--proto tcp", "server", "TcpOutRsts"),
    ("connect", "", "client", "TcpActiveOpens"),
    ("retransmit", "", "client", "TcpRetransSegs"),
)


def counters(netns):
    text = subprocess.run(["nsenter", f"--net=/run/netns/{netns}", "nstat", "-asz", *COUNTERS], text=True, check=True,
                          stdout=subprocess.PIPE).stdout
    return {line.split()[0]: int(line.split()[1]) for line in text.splitlines() if line.split()[0] in COUNTERS}


def many_datagrams(to, port):
    """From FLOWS sockets; nobody waits for what ICMP says, which is limited."""
    for _ in range(FLOWS):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(DATAGRAMS // FLOWS):
                sock.sendto(b"hello", (to, port))


def from_every_port(to, port):
    for sport in PORTS:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("", sport))
            sock.sendto(b"hello", (to, port))


def unanswered(to, port):
    """Connects that a rule drops, until their SYN has been sent again."""
    try:
        connect(to, port)
    except OSError:
        return
    raise RuntimeError("a connection that a rule drops was accepted")


def topology(sandbox):
    sandbox.net("""
        pair client server
        nft_rule server input 'tcp dport 7001 drop'
        in_ns client sysctl -qw net.ipv4.tcp_syn_retries=1
    """)
    return App("client", "client")


def fail_at_once(sandbox, client):
    to = sandbox["server4"]
    client.run(many_datagrams, to, 9999)
    for _ in range(REFUSED):
        client.run(refused, to, 8099)


def fail(sandbox, client):
    fail_at_once(sandbox, client)
    for _ in range(UNANSWERED):
        client.run(unanswered, sandbox["server4"], 7001)


def whole(line):
    """A table of everything adds up."""
    assert line["type"] == "stacks" and line["all"], line
    assert sum(row["count"] for row in line["rows"]) + line["rest"] + line["others"] == line["seen"], line
    return line


def counted(sandbox, client, *options, netns="server", load=fail):
    """The last table of a run in which the load was."""
    watch = sandbox.watch(*(["--netns", netns] if netns else []), *options, command="stacks")
    load(sandbox, client)
    assert watch.end() == 0, watch.errors()
    return whole(watch.lines()[-1])


@case("stacks {0} are as many as the kernel's {3}", EXACT)
def exact(sandbox, kind, options, netns, counter):
    client = topology(sandbox)
    for by in ("stack", "reason"):
        before = counters(netns)[counter]
        line = counted(sandbox, client, kind, "--by", by, *options.format(**sandbox.env).split(), netns=netns)
        wanted = counters(netns)[counter] - before
        seen = sum(row["count"] for row in line["rows"] if row["kind"] != "reset_received")
        assert wanted and seen == wanted and not line["others"], f"by {by}: {seen}, not {wanted}: {line}"


@case("stacks tell of a drop its function, its reason and its path")
def told(sandbox):
    client = topology(sandbox)
    rows = counted(sandbox, client, "drop")["rows"]
    row = next(row for row in rows if row["count"] == DATAGRAMS)
    assert row["kind"] == "drop" and row["total"] == DATAGRAMS, row
    assert any(frame.startswith(UDP_RECEIVES) for frame in row["kernel_stack"]), row
    assert not any(frame.startswith(("bpf_", "__bpf")) for frame in row["kernel_stack"]), row
    assert "arrives at a device" in row["path"] and "local delivery" in row["path"], row
    assert "UDP receives" in row["path"] and row["path"].index("local delivery") < row["path"].index("UDP receives"), row
    assert any("netfilter LOCAL_IN" in row.get("path", ()) for row in rows), rows


@case("stacks by location and by flow tell the same number")
def views(sandbox):
    client = topology(sandbox)
    rows = counted(sandbox, client, "drop", "--by", "location", "--proto", "udp")["rows"]
    assert [row["count"] for row in rows] == [DATAGRAMS] and "kernel_stack" not in rows[0], rows
    assert rows[0]["location"].startswith(UDP_RECEIVES), rows
    line = counted(sandbox, client, "drop", "--by", "flow", "--proto", "udp", "--top", "5")
    assert line["seen"] == DATAGRAMS and len(line["rows"]) == 5 and line["rest"] > 0, line
    assert all(row["flow"]["dst_port"] == 9999 and row["flow"]["dst"] == sandbox["server4"] for row in line["rows"]), line
    line = counted(sandbox, client, "connect", "--by", "flow", netns="client")
    assert {row["flow"]["dst_port"]: row["count"] for row in line["rows"]} == {8099: REFUSED, 7001: UNANSWERED}, line


@case("stacks that have no room are others")
def others(sandbox):
    client = topology(sandbox)
    line = counted(sandbox, client, "drop", "--by", "flow", "--proto", "udp",
                   load=lambda *_: client.run(from_every_port, sandbox["server4"], 9999))
    assert line["seen"] == len(PORTS) and line["others"] == len(PORTS) - TABLE, line["others"]
    assert sum(row["count"] for row in line["rows"]) + line["rest"] == TABLE, line["rest"]


@case("stacks close tells who ended it")
def closes(sandbox):
    client = topology(sandbox)
    line = counted(sandbox, client, "close", netns="client")
    assert line["seen"] == REFUSED + UNANSWERED, line
    for row in line["rows"]:
        assert row["kind"] == "close" and row["reason"] == "SYN_SENT", row
    by_count = {row["count"]: row["path"] for row in line["rows"]}
    assert "connect()" in by_count[REFUSED] and "retransmission timer" in by_count[UNANSWERED], line


FILTERED = (
    ("--port 8099", REFUSED),
    ("--dport 9999", DATAGRAMS),
    ("--host {server6}", 0),
    ("--src {client4} --proto udp", DATAGRAMS),
    ("--pid {pid} --proto tcp", REFUSED),
    ("--comm client --proto tcp", REFUSED),
    ("--comm nobody", 0),
    ("--iface eth0 --dport 9999", DATAGRAMS),
    ("--iface eth7", 0),
    ("--tier tracepoint --dport 9999", DATAGRAMS),
)


@case("stacks drop {0}", FILTERED)
def filters(sandbox, options, wanted):
    client = topology(sandbox)
    # Where tasks are asked for, their flows are known in their own namespace.
    netns = None if "--pid" in options or "--comm" in options else "server"
    line = counted(sandbox, client, "drop", *options.format(pid=client.pid, **sandbox.env).split(),
                   load=fail_at_once, netns=netns)
    assert line["seen"] == wanted, line


@case("stacks of a command, and of a time")
def ends(sandbox):
    topology(sandbox)
    status, out, err = sandbox.call("stacks", "connect", "--by", "reason", "--", "nsenter", "--net=/run/netns/client",
                                    "python3", "-c", f"import socket\ntry: socket.create_connection"
                                    f"(('{sandbox['server4']}', 8099))\nexcept OSError: print('refused')\n")
    assert status == 0 and out == "refused\n" and "           1  connect\n" in err, out + err
    status, out, err = sandbox.call("stacks", "rst", "--netns", "client", "--interval", "100ms", "--count", "3", "-q")
    assert status == 0 and err == "" and out.count(", by stack: 0 events") == out.count("\n") == 3, out + err
    status, out, err = sandbox.call("stacks", "rst", "--netns", "client", "--duration", "300ms")
    assert status == 0 and out.count("\n") == 1 and "in all 0.3 s, by stack: 0 events" in out, out + err


@case("stacks --folded is for flame graphs")
def folded(sandbox):
    client = topology(sandbox)
    watch = sandbox.watch("drop", "--netns", "server", "--proto", "udp", "--folded", json_lines=False, command="stacks")
    fail_at_once(sandbox, client)
    assert watch.end() == 0, watch.errors()
    lines = watch.text().splitlines()
    assert len(lines) == 1 and lines[0].startswith("drop;") and lines[0].endswith(f" {DATAGRAMS}"), lines
    frames = lines[0].rsplit(" ", 1)[0].split(";")
    receives = next(number for number, frame in enumerate(frames) if frame in UDP_RECEIVES)
    assert frames.index("ip_local_deliver_finish") < receives, lines


@case("stacks append in a pipe and refresh a terminal")
def screens(sandbox):
    client = topology(sandbox)
    watch = sandbox.watch("drop", "--netns", "server", "--interval", "200ms", json_lines=False, command="stacks")
    client.run(many_datagrams, sandbox["server4"], 9999)
    watch.await_text(f"{DATAGRAMS}  drop")
    assert watch.end() == 0 and "\033" not in watch.text(), watch.text()
    reader, writer = pty.openpty()
    watch = sandbox.watch("--netns", "server", "--interval", "100ms", "--count", "2", json_lines=False, command="stacks",
                          stdout=writer)
    os.close(writer)
    assert watch.wait() == 0, watch.errors()
    text = os.read(reader, 1 << 16).decode()
    assert text.count("\033[H\033[2J") == 2 and "in all" in text, text
    os.close(reader)
