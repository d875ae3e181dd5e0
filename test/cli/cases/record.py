# SPDX-License-Identifier: GPL-2.0-or-later
"""record and replay: what was recorded gives the same verdicts again, to anybody, on any machine."""
import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile

from cases.usage import reachable
from harness import App, Skip, connect, refused, refused_datagram, registry
from lab.process import Socket

CASES, case = registry()

NOBODY = 65534


@contextlib.contextmanager
def folder():
    """A folder that everybody may read."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o755)
        yield path


def dropped(to, port):
    """A SYN that a rule drops; nobody waits for an answer."""
    with Socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect_ex((to, port))


def unread(port):
    """A connection that is closed with bytes unread."""
    with Socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        client = connect("127.0.0.1", port)
        server = listener.accept()
        client.send(b"hello")
        server.recv(1, socket.MSG_PEEK)
        server.close()
        client.close()


def healthy(port):
    with Socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        client = connect("127.0.0.1", port)
        server = listener.accept()
        client.close()
        server.recv(1)
        server.close()


def network(sandbox):
    sandbox.net("""
        pair client server
        in_ns server nft add table inet wall
        in_ns server nft 'add chain inet wall in { type filter hook input priority 0; }'
        in_ns server nft 'add rule inet wall in tcp dport 8002 drop'""")
    return App("client"), App("server")


def record(sandbox, path, *options, **more):
    return sandbox.watch("-o", path, *options, command="record", **more)


def failures(sandbox, client, server):
    """One of each kind; the causes of their verdicts."""
    client.run(refused, sandbox["server4"], 8001)
    client.run(dropped, sandbox["server4"], 8002)
    client.run(refused_datagram, sandbox["server4"], 8003)
    server.run(unread, 8004)
    return ["close-with-unread-data", "nftables-rule", "no-listener", "no-listener"]


def recorded(sandbox, path, *options):
    """A recording of failures(), and its live verdicts."""
    client, server = network(sandbox)
    watch = record(sandbox, path, "--netns", "server", *options)
    causes = failures(sandbox, client, server)
    watch.await_verdicts(lambda v: len(v) >= len(causes))
    watch.finish()
    verdicts = watch.verdicts()
    assert sorted(v["cause"] for v in verdicts) == causes, watch.text()
    return verdicts


def replay(sandbox, *words, **more):
    """(verdicts, summary) of a replay as JSON."""
    status, out, err = sandbox.call("replay", "--json", *words, **more)
    assert status == 0 and not err, (status, err)
    *lines, summary = [json.loads(line) for line in out.splitlines()]
    assert summary["type"] == "summary", summary
    return [line for line in lines if line["type"] == "verdict"], summary


@case("a replay gives the very same verdicts, without root")
def same_verdicts(sandbox):
    with folder() as where:
        path = f"{where}/a.pcapng"
        live = recorded(sandbox, path)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, oct(os.stat(path).st_mode)
        os.chmod(path, 0o644)
        sandbox.path = reachable(sandbox.path)
        again, _ = replay(sandbox, path, user=NOBODY, group=NOBODY, extra_groups=[])
        assert again == live, (live, again)
        assert any("table inet wall: tcp dport 8002 drop" in v["explanation"] for v in again), "no lookups are in it"


@case("the same from --everything, in which healthy connections are, too")
def everything(sandbox):
    with folder() as where:
        client, server = network(sandbox)
        plain, full = (record(sandbox, f"{where}/{name}", "--netns", "server", *more)
                       for name, more in (("plain", ()), ("full", ("--everything", "--all"))))
        server.run(healthy, 8005)
        causes = failures(sandbox, client, server)
        for watch in plain, full:
            watch.await_verdicts(lambda v: len(v) >= len(causes))
            watch.finish()
        for watch, name in (plain, "plain"), (full, "full"):
            assert replay(sandbox, f"{where}/{name}")[0] == watch.verdicts(), name
        seen = {name: sandbox.call("replay", "--json", "--all", "--port", "8005", f"{where}/{name}")[1]
                for name in ("plain", "full")}
        assert '"kind":"state"' in seen["full"] and '"kind":"state"' not in seen["plain"], seen


@case("tshark reads a recording: packets with their verdicts as comments, records as journal entries")
def tshark(sandbox):
    if not shutil.which("tshark"):
        raise Skip("there is no tshark")
    with folder() as where:
        path = f"{where}/a.pcapng"
        recorded(sandbox, path)

        def fields(show, *names):
            words = [word for name in names for word in ("-e", name)]
            done = subprocess.run(["tshark", "-r", path, "-Y", show, "-T", "fields", *words], text=True, check=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert "cut short" not in done.stderr and "malformed" not in done.stdout.lower(), done.stderr
            return [line.split("\t") for line in done.stdout.splitlines()]

        rows = fields("tcp.dstport == 8002 && tcp.flags.syn == 1", "frame.comment", "frame.interface_name",
                      "frame.packet_flags_direction", "ip.dst")
        assert rows, "the dropped packet isn't there"
        comment, interface, direction, to = rows[0]
        assert comment.startswith("nftables-rule (certain): "), comment
        assert "packet dropped" in comment and "reason=NETFILTER_DROP" in comment, comment
        assert (interface, direction, to) == ("eth0", "0x00000001", sandbox["server4"]), rows[0]
        names = [name for row in fields("systemd_journal", "systemd_journal.message") for name in row]
        assert any(name.startswith("firewall rule looked up") for name in names), names
        assert any(name.startswith("close-with-unread-data (certain): ") for name in names), names


SECRET = b"GET /secret HTTP/1.1\r\n" + bytes(range(256)) * 12


def data_dropped(port):
    """A connection whose data a rule drops."""
    with Socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        client = connect("127.0.0.1", port)
        client.send(SECRET)
        return client


def packets(path):
    """(captured bytes, length on the wire) of each packet of a pcapng file of this machine's byte order."""
    with open(path, "rb") as file:
        data = file.read()
    at, found = 0, []
    while at < len(data):
        kind, size = struct.unpack_from("=II", data, at)
        if kind == 6:  # enhanced packet block
            captured, length = struct.unpack_from("=II", data, at + 20)
            found.append((data[at + 28:at + 28 + captured], length))
        at += size
    return found


@case("payload is recorded only with --snaplen{0}, and only so much of it",
      [("", (), 0), (" 200", ("--snaplen", "200"), 200), (" 32768", ("--snaplen", "32768"), 32768)])
def snaplen(sandbox, _, options, most):
    with folder() as where:
        path = f"{where}/a.pcapng"
        _, server = network(sandbox)
        sandbox.net("in_ns server nft 'add rule inet wall in tcp dport 8006 tcp flags & psh == psh drop'")
        watch = record(sandbox, path, "--netns", "server", *options)
        client = server.run(data_dropped, 8006)
        watch.await_verdicts(lambda v: v)
        watch.finish()
        assert [v["cause"] for v in watch.verdicts()] == ["nftables-rule"], watch.text()
        carrying = [(data, length) for data, length in packets(path) if length > len(SECRET)]
        assert carrying, packets(path)
        for data, length in carrying:
            headers = length - len(SECRET)
            assert data[headers:] == SECRET[:max(0, most - headers)], (len(data), length)
        with open(path, "rb") as file:
            assert (b"/secret" in file.read()) == bool(most)
        verdicts, _ = replay(sandbox, path)
        assert verdicts == watch.verdicts(), (verdicts, watch.verdicts())
        del client


@case("kill -9 leaves a readable recording")
def killed(sandbox):
    with folder() as where:
        path = f"{where}/a.pcapng"
        client, server = network(sandbox)
        watch = record(sandbox, path, "--netns", "server")
        causes = failures(sandbox, client, server)
        watch.await_verdicts(lambda v: len(v) >= len(causes))
        watch.end(signal.SIGKILL)
        assert replay(sandbox, path)[0] == watch.verdicts(), "not what was printed"


@case("a recording that was cut off: what is before that, and where it ends")
def cut_off(sandbox):
    with folder() as where:
        path = f"{where}/a.pcapng"
        live = recorded(sandbox, path)
        size = os.stat(path).st_size
        for at in range(size, 1000, -size // 60):
            os.truncate(path, at)
            status, out, err = sandbox.call("replay", "--json", path)
            assert status == 0, (at, status, err)
            assert not err or ("ends within a block at byte " in err and err.count("\n") == 1), err
            assert len([1 for line in out.splitlines() if '"type":"verdict"' in line]) <= len(live), out
        for at in range(28):
            os.truncate(path, at)
            status, out, err = sandbox.call("replay", path)
            assert (status, out) == (1, "") and " at byte 0" in err, (at, status, err)


@case("--size and --files bound it on disk{0}, and all files together are one recording",
      (("", "", ()), (", with --compress", ".zst", ("--compress",))))
def rotated(sandbox, _, ending, options):
    with folder() as where:
        path = f"{where}/a.pcapng"
        client, _ = network(sandbox)
        watch = record(sandbox, path, "--netns", "server", "--size", "64K", "--files", "3", *options)
        for port in range(9001, 9031):
            client.run(refused, sandbox["server4"], port, port + 10000)
            watch.await_verdicts(lambda v: v)
        watch.finish()
        files = sorted(os.listdir(where))
        assert files == ["a.pcapng", f"a.pcapng.1{ending}", f"a.pcapng.2{ending}"], (files, watch.errors())
        for name in files:
            most = 16 << 10 if name.endswith(".zst") else 192 << 10
            assert os.stat(f"{where}/{name}").st_size < most, (name, os.stat(f"{where}/{name}").st_size)
            assert stat.S_IMODE(os.stat(f"{where}/{name}").st_mode) == 0o600, name
        for name in files[1:]:
            verdicts, summary = replay(sandbox, f"{where}/{name}")
            assert verdicts and {v["cause"] for v in verdicts} == {"no-listener"}, (name, summary)
        alone = [replay(sandbox, f"{where}/{name}")[1]["seen"] for name in files]
        both = replay(sandbox, *(f"{where}/{name}" for name in files), f"{where}/{files[1]}")[1]["seen"]
        assert both == sum(alone), (alone, both)


@case("compressed: a recording, a capture, and what is left of a file that was cut off")
def compressed(sandbox):
    if not shutil.which("zstd"):
        raise Skip("there is no zstd")
    with folder() as where:
        path = f"{where}/a.pcapng"
        live = recorded(sandbox, path)
        subprocess.check_call(["zstd", "-q", path])
        assert replay(sandbox, f"{path}.zst")[0] == live
        with open(f"{path}.zst", "rb") as file:
            packed = file.read()
        # It is less than a block of zstd's, of which nothing is left; of two the first.
        for file, ends, verdicts in ((packed[:-9], 1, 0), ((packed * 2)[:-9], 0, len(live))):
            with open(f"{where}/cut.zst", "wb") as cut:
                cut.write(file)
            status, out, err = sandbox.call("replay", "--json", f"{where}/cut.zst")
            assert status == ends and ": the compressed file is cut off" in err and err.count("\n") == 1, (status, err)
            assert out.count('"type":"verdict"') == verdicts, out
        capture = os.path.join(os.path.dirname(__file__), "..", "..", "fuzz", "seeds", "capture.pcap")
        subprocess.check_call(["zstd", "-q", capture, "-o", f"{where}/capture.zst"])
        plain, packed = (sandbox.call("replay", name) for name in (capture, f"{where}/capture.zst"))
        assert plain[:2] == packed[:2] and "connect-refused (likely)" in plain[1], (plain, packed)


@case("in a folder of another user it starts over: renaming needs privileges that are dropped")
def starts_over(sandbox):
    with folder() as where:
        path = f"{where}/a.pcapng"
        client, _ = network(sandbox)
        os.chown(where, NOBODY, NOBODY)
        watch = record(sandbox, path, "--netns", "server", "--size", "64K")
        for port in range(9001, 9011):
            client.run(refused, sandbox["server4"], port)
            watch.await_verdicts(lambda v: v)
        watch.finish()
        assert watch.errors().count("it starts over instead") == 1, watch.errors()
        assert os.listdir(where) == ["a.pcapng"] and os.stat(path).st_size < 192 << 10, os.stat(path)
        assert {v["cause"] for v in replay(sandbox, path)[0]} == {"no-listener"}


@case("filters of a replay choose connections")
def filtered(sandbox):
    with folder() as where:
        path = f"{where}/a.pcapng"
        live = recorded(sandbox, path)
        hit = [v["hit"][0] for v in live if v["cause"] == "close-with-unread-data"]
        pid, comm = hit[0].split()[1:3]
        inum = str(sandbox.netns("server"))
        for options, causes in ((("--netns", "server"), sorted(v["cause"] for v in live)), (("--netns", "client"), []),
                                (("--netns", inum, "--port", "8002"), ["nftables-rule"]), (("--netns", "1"), []),
                                (("--pid", pid), ["close-with-unread-data"]), (("--pid", "1"), []),
                                (("--comm", comm), ["close-with-unread-data"]), (("--comm", "nobody"), []),
                                (("--comm", comm, "--pid", "1"), []), (("--port", "8002"), ["nftables-rule"]), (("--proto", "udp"), ["no-listener"]),
                                (("--host", "127.0.0.0/8"), ["close-with-unread-data"]),
                                (("--src", sandbox["server4"]), ["no-listener"]), (("--iface", "nowhere0"), []),
                                (("--dst", sandbox["server4"], "--dport", "8001"), ["no-listener"])):
            found = sorted(v["cause"] for v in replay(sandbox, path, *options)[0])
            assert found == causes, (options, found)


@case("--diff: what appears, vanishes and changes")
def differences(sandbox):
    with folder() as where:
        client, server = network(sandbox)
        for name, ports in ("was", (8001, 8002)), ("is", (8002, 8006)):
            watch = record(sandbox, f"{where}/{name}", "--netns", "server")
            for port in ports:
                client.run(dropped, sandbox["server4"], port)
            watch.await_verdicts(lambda v: len(v) >= 2)
            watch.finish()
            server.run(subprocess.check_call, ["nft", "flush", "ruleset"])
        status, out, err = sandbox.call("replay", "--diff", f"{where}/was", f"{where}/is")
        ends = f"tcp {sandbox['client4']} -> {sandbox['server4']}"
        assert (status, err) == (1, ""), (status, err)
        assert out.splitlines() == [f"~ nftables-rule (certain) became no-listener (certain)  {ends}:8002",
                                    f"- no-listener (certain)  {ends}:8001",
                                    f"+ no-listener (certain)  {ends}:8006"], out
        assert sandbox.call("replay", "--diff", f"{where}/is", f"{where}/is") == (0, "", "")


@case("recordings of two hosts: by time, and both ends of a connection together")
def two_hosts(sandbox):
    with folder() as where:
        client, _ = network(sandbox)
        watches = [record(sandbox, f"{where}/{name}", "--netns", name, json_lines=False,
                          within=("unshare", "--uts", "sh", "-c", f'hostname {name}; exec "$@"', "sh"))
                   for name in ("client", "server")]
        client.run(refused, sandbox["server4"], 8001)
        for watch in watches:
            watch.await_text("cause")
            watch.end()
        status, out, err = sandbox.call("replay", f"{where}/client", f"{where}/server")
        assert (status, err) == (0, ""), (status, err)
        assert "  on client\n" in out and "  on server\n" in out, out
        pairs = [line for line in map(json.loads, sandbox.call("replay", "--json", f"{where}/client",
                                                               f"{where}/server")[1].splitlines())
                 if line["type"] == "joined"]
        assert len(pairs) == 1 and pairs[0]["flow"]["dst_port"] == 8001, pairs
        assert {end["host"]: end["cause"] for end in pairs[0]["ends"]}["server"] == "no-listener", pairs
        if shutil.which("mergecap"):
            subprocess.check_call(["mergecap", "-w", f"{where}/both", f"{where}/server", f"{where}/client"])
            merged = sandbox.call("replay", f"{where}/both")[1]
            assert sorted(merged.splitlines()) == sorted(out.splitlines()), merged
        last = out.splitlines()[-1]
        assert last.startswith("both ends of tcp ") and "client says " in last and "server says no-listener" in last, out


@case("not root: no file is left")
def not_root(sandbox):
    with folder() as where:
        os.chmod(where, 0o777)
        sandbox.path = reachable(sandbox.path)
        status, out, err = sandbox.call("record", "-o", f"{where}/x", user=NOBODY, group=NOBODY, extra_groups=[])
        assert (status, out) == (1, "") and "root" in err and not os.listdir(where), (status, err)


WRONG = (
    (("record",), 2, "record needs a file"),
    (("record", "-o"), 2, "-o needs a value: -o FILE"),
    (("record", "-o", "-"), 2, "-o -: a recording needs a file"),
    (("record", "-o", "x", "--size", "1K"), 2, '--size: "1K" is not allowed; give a size such as'),
    (("record", "-o", "x", "--size", "64Q"), 2, '--size: "64Q" is not allowed'),
    (("record", "-o", "/dev/null"), 1, "-o /dev/null: there is such a file"),
    (("record", "-o", "/nowhere/x"), 1, "-o /nowhere/x: No such file or directory"),
    (("replay",), 2, "replay needs a recording"),
    (("replay", "--diff", "x"), 2, "--diff compares two recordings, not 1"),
    (("replay", "--netns", "/run/netns/x", "y"), 2, "--netns /run/netns/x: a recording knows no paths"),
    (("replay", "/nowhere/x"), 1, "/nowhere/x: No such file or directory"),
    (("replay", "/etc/passwd"), 1, "/etc/passwd: this is neither a recording nor a capture (pcapng, pcap): no section begins at byte 0"),
    (("replay", "/tmp"), 1, "/tmp: Is a directory"),
    (("replay", "/dev/null"), 1, "/dev/null: only files can be replayed, no pipes: write it to a file first"),
    (("replay", "--diff", "--json", "x", "y"), 2, "--diff and --json can't go together"),
)


@case("{0} is refused with one sentence", [((" ".join(words)), words, status, says) for words, status, says in WRONG])
def wrong(sandbox, _, words, status, says):
    ended, out, err = sandbox.call(*words)
    assert (ended, out) == (status, ""), (ended, out, err)
    assert err.startswith(f"tcpwhy: {says}") and err.count("\n") == 1, err


@case("what a recording holds doesn't steer the terminal, nor do errors about it")
def escaped(sandbox):
    recording = os.path.join(os.path.dirname(__file__), "..", "..", "golden", "no-listener.pcapng")
    with open(recording, "rb") as file:
        data = file.read()
    with folder() as where:
        for name, run in (("a", b"1"), ("b", b"2")):
            at = data.index(b"_HOSTNAME=") + len("_HOSTNAME=")
            changed = bytearray(data[:at] + b"\x1b" + run + data[at + 2:])
            at = changed.index(b"TCPWHY_RUN=") + len("TCPWHY_RUN=")
            changed[:] = changed.replace(changed[at:at + 8], run * 8)
            at = changed.index(b"TCPWHY_FUNCTION_SIZE=") + len("TCPWHY_FUNCTION_SIZE=")
            changed[at:at + 2] = b"\x1b]"
            with open(f"{where}/{name}", "wb") as file:
                file.write(changed)
        status, out, err = sandbox.call("replay", f"{where}/a", f"{where}/b")
        assert status == 0 and "both ends of" in out and "makes no sense" in err, (status, out, err)
        assert "\x1b" not in out + err and "\\x1b1" in out and "\\x1b]" in err, (out, err)
