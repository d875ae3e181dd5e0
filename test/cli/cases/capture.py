# SPDX-License-Identifier: GPL-2.0-or-later
"""replay of what tcpdump and dumpcap have captured: real failures, and healthy traffic that looks alike."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time

from cases.record import dropped, folder, healthy, network, unread
from harness import App, Skip, await_that, connect, refused, refused_datagram, registry, reset_by_close
from lab import packet
from lab.process import Socket

CASES, case = registry()

# The last packet of each capture.
END, END_PORT = b"that was all", 4000


def datagram(to):
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(END, (to, END_PORT))


@contextlib.contextmanager
def capturing(netns, path, program, *options):
    """Captures in a namespace, from before the first packet to behind the last."""
    if not shutil.which(program):
        raise Skip(f"there is no {program}")
    # At once, which leaves room for few packets if they may be long.
    quick = ("-U", "--immediate-mode", "-B", "32768", "-Z", "root") if program == "tcpdump" else ("-q",)
    words = ["nsenter", f"--net=/run/netns/{netns}", program, *quick, *options, "-w", path]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            said = b""
            while b"istening on" not in said and b"File: " not in said:
                line = process.stderr.readline()
                assert line, f"{program} ended: {said}"
                said += line
            yield
            await_that(lambda: has(path, END), f"was all of it in {path}")
        finally:
            process.terminate()


def has(path, text):
    with open(path, "rb") as file:
        return text in file.read()


def replay(sandbox, *words):
    """(verdicts, what it says) of captures."""
    status, out, err = sandbox.call("replay", "--json", *words)
    assert status == 0, (status, out, err)
    verdicts = [line for line in map(json.loads, out.splitlines()) if line["type"] == "verdict"]
    assert all(v["certainty"] in ("likely", "unknown") for v in verdicts), verdicts
    return verdicts, err


def told(verdicts):
    """Cause and service of each."""
    ends = []
    for v in verdicts:
        port = min(v["flow"]["src_port"], v["flow"]["dst_port"])
        if port != END_PORT:
            ends.append((v["cause"], port))
    return sorted(ends)


def aborted(port):
    """The server ends an established connection with a reset."""
    with Socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        client = connect("127.0.0.1", port)
        reset_by_close(listener.accept())
        client.close()


def given_up(to, port):
    """A SYN that nobody answers, sent twice."""
    with Socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.5)
        try:
            sock.connect((to, port))
        except TimeoutError:
            return
    raise RuntimeError("connected")


def failures(sandbox, client, server):
    """One of each kind over the wire, seen by the server, and the causes."""
    client.run(refused, sandbox["server4"], 8001)
    client.run(refused, sandbox["server6"], 8001)
    client.run(given_up, sandbox["server4"], 8002)
    client.run(refused_datagram, sandbox["server4"], 8003)
    client.run(dropped, sandbox["server4"], 8002)  # one SYN is no failure yet
    client.run(datagram, sandbox["server4"])
    return [("connect-refused", 8001), ("connect-refused", 8001), ("connect-refused", 8003), ("syn-unanswered", 8002)]


@case("{0}: what it captured, whole, cut off, and with short packets", (("tcpdump",), ("dumpcap",)))
def programs(sandbox, program):
    with folder() as where:
        path, short = f"{where}/whole", f"{where}/short"
        client, server = network(sandbox)
        with capturing("server", path, program, "-i", "eth0"), capturing("client", short, program, "-i", "eth0", "-s", "74"):
            wanted = failures(sandbox, client, server)
        for captured in path, short:
            verdicts, said = replay(sandbox, captured)
            assert told(verdicts) == wanted, verdicts
            assert said.count("\n") == 1 and "a capture of another program" in said, said
        os.truncate(path, os.stat(path).st_size - 7)
        verdicts, said = replay(sandbox, path)
        assert told(verdicts) == wanted and "the capture ends there" in said and said.count("\n") == 1, said


@case("a capture on all interfaces of a router has each packet twice, and each failure once")
def twice(sandbox):
    with folder() as where:
        path = f"{where}/any"
        sandbox.net("routed; nft_rule server input 'tcp dport 8002 drop'")
        client, server = App("client"), App("server")
        with capturing("router", path, "tcpdump", "-i", "any"):
            wanted = failures(sandbox, client, server)
        verdicts, _ = replay(sandbox, path)
        assert told(verdicts) == wanted, verdicts
        syns = [e for v in verdicts if v["cause"] == "syn-unanswered" for e in v["evidence"] if e.startswith("SYN with")]
        assert syns and ", 2 times;" in syns[0], syns


@case("one direction only: nothing is said that the other one would contradict")
def one_way(sandbox):
    with folder() as where:
        client, server = network(sandbox)
        paths = {way: f"{where}/{way}" for way in ("in", "out")}
        with capturing("server", paths["in"], "tcpdump", "-i", "eth0", "-Q", "in"):
            failures(sandbox, client, server)
        with capturing("server", paths["out"], "tcpdump", "-i", "eth0", "-Q", "out"):
            failures(sandbox, client, server)
            server.run(datagram, sandbox["client4"])
        # The client tells that nobody answered; a refusal is the server's word.
        assert told(replay(sandbox, paths["in"])[0]) == [("syn-unanswered", 8002)], replay(sandbox, paths["in"])
        assert told(replay(sandbox, paths["out"])[0]) == [("connect-refused", 8001), ("connect-refused", 8001),
                                                          ("connect-refused", 8003)], replay(sandbox, paths["out"])


@case("loopback: resets of established connections, and healthy ones")
def loopback(sandbox):
    with folder() as where:
        path = f"{where}/lo"
        _, server = network(sandbox)
        with capturing("server", path, "tcpdump", "-i", "lo"):
            server.run(healthy, 8005)
            server.run(unread, 8004)
            server.run(aborted, 8006)
            server.run(datagram, "127.0.0.1")
        verdicts, _ = replay(sandbox, path)
        assert told(verdicts) == [("peer-reset", 8004), ("peer-reset", 8006)], verdicts
        said = {min(v["flow"]["src_port"], v["flow"]["dst_port"]): " ".join(v["evidence"]) for v in verdicts}
        assert "with 5 from 127.0.0.1" in said[8004] and "ends its own connection" in said[8004], said
        assert not [v for v in replay(sandbox, "--port", "8005", path)[0]]


def forged(port):
    """A reset that does not fit is answered with a challenge ACK, and the connection lives."""
    with Socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        client = connect("127.0.0.1", port)
        server = listener.accept()
        seq, _ = client.sequence()
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(packet.tcp(client.getsockname(), ("127.0.0.1", port), seq + 1000, 0, packet.RST),
                       ("127.0.0.1", 0))
        time.sleep(0.06)  # packets that close together may be in the wrong order
        client.send(b"x")
        server.recv(1)
        client.close()
        server.recv(1)
        server.close()


KEPT = []


def collision(port):
    """The SYN of a client that forgot its old connection, which stays."""
    listener = Socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    client = connect("127.0.0.1", port, 7001)
    KEPT.extend((listener, client))
    seq, _ = client.sequence()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for _ in range(2):
            raw.sendto(packet.tcp(client.getsockname(), client.getpeername(), seq + (1 << 24), 0, packet.SYN),
                       ("127.0.0.1", 0))
            time.sleep(0.6)  # challenge ACKs are limited to one in half a second


@case("resets and SYNs that a connection answers with a challenge ACK")
def challenged(sandbox):
    with folder() as where:
        _, server = network(sandbox)
        for what, port, wanted in (forged, 8001, []), (collision, 8007, [("challenge-ack", 7001)]):
            path = f"{where}/{what.__name__}"
            with capturing("server", path, "tcpdump", "-i", "lo"):
                server.run(what, port)
                server.run(datagram, "127.0.0.1")
            assert told(replay(sandbox, path)[0]) == wanted, replay(sandbox, path)
        assert any("was not over" in e for v in replay(sandbox, path)[0] for e in v["evidence"])


@case("several files: the next one of a capture, and captures of both ends")
def several(sandbox):
    with folder() as where:
        client, _ = network(sandbox)
        for name in "first", "second":
            with capturing("server", f"{where}/{name}", "tcpdump", "-i", "eth0"), \
                 capturing("client", f"{where}/{name}-client", "dumpcap", "-i", "eth0"):
                client.run(refused, sandbox["server4"], 8001)
                client.run(datagram, sandbox["server4"])
        status, out, err = sandbox.call("replay", f"{where}/first", f"{where}/second")
        assert (status, err.count("\n")) == (0, 2) and "both ends" not in out, (status, out, err)
        status, out, err = sandbox.call("replay", f"{where}/first", f"{where}/first-client")
        assert status == 0 and out.count("both ends of tcp") == 1 and "connect-refused (likely)" in out, (out, err)


PCAP = bytes.fromhex("d4c3b2a1020004000000000000000000ffff0000")
WRONG = (
    ("an unknown link type", PCAP + (105).to_bytes(4, "little"), "packets of the link type IEEE802_11 (105)"),
    ("no packets", PCAP + (1).to_bytes(4, "little"), "no TCP in it that can be read"),
    ("half a header", PCAP[:16], "no capture that can be read"),
)


@case("{0}: one sentence", WRONG)
def wrong(sandbox, _, file, says):
    with folder() as where:
        path = f"{where}/x"
        with open(path, "wb") as out:
            out.write(file)
        status, out, err = sandbox.call("replay", path)
        assert (status, out) == (1, "") and err.startswith(f"tcpwhy: {path}: ") and says in err, (status, out, err)
        assert err.count("\n") == 1, err
