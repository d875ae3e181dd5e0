# SPDX-License-Identifier: GPL-2.0-or-later
"""Source lines: with a made-up vmlinux that has the running kernel's build id, and functions where it has them."""
import ctypes.util
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

from harness import STEP_SECONDS, App, Skip, refused, registry
from lab import await_text
from lab.process import Socket

CASES, case = registry()

BASE = 0x10000000
FUNCTIONS = ("tcp_v4_send_reset", "tcp_v4_rcv", "ip_local_deliver_finish")


def build_id(change=""):
    """Of the running kernel; change: the first digits, of another one."""
    with open("/sys/kernel/notes", "rb") as file:
        notes = file.read()
    at = notes.index(b"\3\0\0\0GNU\0")
    found = notes[at + 8:at + 8 + int.from_bytes(notes[at - 4:at], "little")].hex()
    return change + found[len(change):]


def addresses():
    """Where the kernel's functions begin, from _stext on."""
    wanted, found = {"_stext", *FUNCTIONS}, {}
    with open("/proc/kallsyms", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if len(fields) == 3 and fields[2] in wanted and fields[1] in "tT":
                found[fields[2]] = int(fields[0], 16)
    if not found.get("_stext"):
        raise Skip("kernel addresses are hidden")
    return {name: at - found["_stext"] for name, at in found.items()}


def vmlinux(folder, identity):
    """Each function is 4096 bytes of one line, of a function inlined there (alike ones the compiler would merge)."""
    if not shutil.which("cc"):
        raise Skip("there is no C compiler")
    text, places = "", addresses()
    for number, name in enumerate(FUNCTIONS, 1):
        text += (f'#line {number} "/tree/include/net/inner.h"\n'
                 f"static inline __attribute__((always_inline)) void inner{number}(void) "
                 f'{{ __asm__ volatile("nop; .skip 4095 /* {number} */"); }}\n'
                 f'#line {number}00 "/tree/net/ipv4/{name}.c"\n'
                 f"void {name}(void) {{ inner{number}(); }}\n")
    text += ('#line 1 "/tree/init/main.c"\nvoid start_kernel(void) {}\n'
             'void __attribute__((section(".text._stext"))) _stext(void) {}\n')
    source, path = os.path.join(folder, "fake.c"), os.path.join(folder, "vmlinux")
    with open(source, "w", encoding="ascii") as file:
        file.write(text)
    subprocess.run(["cc", "-g", "-O2", "-ffreestanding", "-fno-pie", "-ffunction-sections", "-c", source,
                    "-o", source + ".o"], check=True)
    with open(source + ".lds", "w", encoding="ascii") as file:
        file.write("SECTIONS {\n .note.gnu.build-id : { *(.note.gnu.build-id) }\n")
        for name, at in sorted(((name, places[name]) for name in ("_stext", *FUNCTIONS)), key=lambda place: place[1]):
            file.write(f" .at_{name} {BASE + at:#x} : {{ *(.text.{name}) }}\n")
        file.write(" .text : { *(.text .text.*) }\n}\n")
    subprocess.run(["ld", "-o", path, f"--build-id=0x{identity}", "-e", "0", "-T", source + ".lds", source + ".o"],
                   check=True)
    return path


def failing(sandbox, folder):
    sandbox.net("pair client server")
    sandbox.env["XDG_CACHE_HOME"] = os.path.join(folder, "cache")
    client = App("client")
    return ("--netns", "server"), lambda: client.run(refused, sandbox["server4"], 8001)


@case("--vmlinux: verdicts name the source lines, with what is inlined there; the second time from the cache")
def verdicts(sandbox):
    with tempfile.TemporaryDirectory() as folder:
        options, fail = failing(sandbox, folder)
        path = vmlinux(folder, build_id())
        for _ in range(2):
            watch = sandbox.watch(*options, "--vmlinux", path)
            fail()
            watch.await_verdicts(bool)
            watch.finish()
            verdict = watch.verdicts()[0]
            lines = [(row["frame"].partition("+")[0], row["function"], row["file"], row["line"], row["inlined"])
                     for row in verdict["kernel_source"] if "function" in row]
            assert lines[:2] == [
                ("tcp_v4_send_reset", "inner1", "include/net/inner.h", 1, True),
                ("tcp_v4_send_reset", "tcp_v4_send_reset", "net/ipv4/tcp_v4_send_reset.c", 100, False)], lines
            assert ("tcp_v4_rcv", "tcp_v4_rcv", "net/ipv4/tcp_v4_rcv.c", 200, False) in lines, lines
            frames = [row["frame"] for row in verdict["kernel_source"] if not row.get("inlined")]
            assert frames == verdict["kernel_stack"], verdict
            assert re.search(r"tcp_v4_send_reset\+0x[0-9a-f]+ \(net/ipv4/tcp_v4_send_reset\.c:100\) <- ",
                             " ".join(verdict["evidence"])), verdict["evidence"]
        kept = os.path.join(folder, "cache/tcpwhy", build_id() + ".lines")
        with open(kept, "r+", encoding="ascii") as file:
            text = file.read().replace("net/ipv4/", "from/cache/")
            file.seek(0)
            file.write(text)
        watch = sandbox.watch(*options, "--vmlinux", path, "--stacks", json_lines=False)
        fail()
        watch.await_text("from/cache/")
        assert watch.end() == 0, watch.errors()
        assert re.search(r"inner1 \(inlined\) include/net/inner\.h:1\n"
                         r" +tcp_v4_send_reset\+0x[0-9a-f]+ from/cache/tcp_v4_send_reset\.c:100 +answered with a reset\n",
                         watch.text()), watch.text()


@case("--vmlinux of another kernel is refused")
def another(sandbox):
    with tempfile.TemporaryDirectory() as folder:
        path = vmlinux(folder, build_id("0123456789"))
        status, out, err = sandbox.call("--vmlinux", path)
        assert (status, out) == (1, ""), err
        assert err.startswith(f"tcpwhy: --vmlinux: {path} is of another kernel: its build id is 0123456789"), err


@case("a recording has the source lines, which replay shows")
def recorded(sandbox):
    with tempfile.TemporaryDirectory() as folder:
        options, fail = failing(sandbox, folder)
        file = os.path.join(folder, "r.pcapng")
        watch = sandbox.watch(*options, "--vmlinux", vmlinux(folder, build_id()), "-o", file, command="record")
        fail()
        watch.await_verdicts(bool)
        watch.finish()
        status, out, err = sandbox.call("replay", file, "--json")
        assert status == 0, err
        replayed = [line for line in map(json.loads, out.splitlines()) if line["type"] == "verdict"]
        assert replayed[0]["kernel_source"] == watch.verdicts()[0]["kernel_source"], replayed
        assert replayed[0]["evidence"] == watch.verdicts()[0]["evidence"], replayed


@case("addr2line answers for any kernel's file")
def addr2line(sandbox):
    with tempfile.TemporaryDirectory() as folder:
        sandbox.env["XDG_CACHE_HOME"] = os.path.join(folder, "cache")
        path = vmlinux(folder, build_id("0123456789"))
        for _ in range(2):
            status, out, err = sandbox.call("addr2line", "--vmlinux", path, "tcp_v4_rcv+0x100", "no_such+0x1")
            assert (status, err) == (1, "tcpwhy: no function no_such of the kernel itself reaches to +0x1; "
                                        "those of a module are FUNC+0xOFF [MODULE]\n"), err
            assert re.fullmatch(r"tcp_v4_rcv\+0x100/0x[0-9a-f]+:\n"
                                r"inner2 at include/net/inner\.h:2\n"
                                r" \(inlined by\) tcp_v4_rcv at net/ipv4/tcp_v4_rcv\.c:200\n", out), out


@case("debug information is fetched where DEBUGINFOD_URLS says")
def debuginfod(sandbox):
    if not ctypes.util.find_library("debuginfod"):
        raise Skip("there is no libdebuginfod")
    with tempfile.TemporaryDirectory() as folder:
        sandbox.env.update(XDG_CACHE_HOME=os.path.join(folder, "cache"), DEBUGINFOD_URLS=f"file://{folder}",
                           DEBUGINFOD_CACHE_PATH=os.path.join(folder, "fetched"))
        os.makedirs(os.path.join(folder, "buildid", build_id()))
        os.rename(vmlinux(folder, build_id()), os.path.join(folder, "buildid", build_id(), "debuginfo"))
        findings = json.loads(sandbox.call("doctor", "--json")[1])["findings"]
        lines = next(one for one in findings if one["name"] == "source lines")
        if not lines["detail"].startswith("to be fetched"):
            raise Skip("this kernel's debug information is installed")
        assert lines["ok"], lines
        status, out, err = sandbox.call("addr2line", "tcp_v4_rcv+0x100")
        assert (status, err) == (0, "") and "tcp_v4_rcv at net/ipv4/tcp_v4_rcv.c:200" in out, out + err


class Slow(http.server.BaseHTTPRequestHandler):
    """Has nothing, and says so only when it may."""

    asked, may_answer = threading.Event(), threading.Event()

    def do_GET(self):  # noqa: N802, http.server's name
        self.asked.set()
        self.may_answer.wait()
        self.send_error(404)

    def log_message(self, *_):
        pass


def dropped(to, port):
    sock = Socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.connect_ex((to, port))
    return sock


@case("a verdict that waits for source lines is made of what was known when it was due, as a replay's is")
def waiting(sandbox):
    if not ctypes.util.find_library("debuginfod"):
        raise Skip("there is no libdebuginfod")
    with tempfile.TemporaryDirectory() as folder, http.server.HTTPServer(("127.0.0.1", 0), Slow) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        sandbox.env.update(XDG_CACHE_HOME=os.path.join(folder, "cache"), DEBUGINFOD_CACHE_PATH=os.path.join(folder, "d"),
                           DEBUGINFOD_URLS=f"http://127.0.0.1:{web.server_address[1]}")
        sandbox.net("""
            pair client server
            in_ns server nft add table inet wall
            in_ns server nft 'add chain inet wall in { type filter hook input priority 0; }'
            in_ns server nft 'add rule inet wall in tcp dport 8002 counter drop'""")
        path, client = f"{folder}/r.pcapng", App("client")
        watch = sandbox.watch("--netns", "server", "-o", path, command="record")
        sock = client.run(dropped, sandbox["server4"], 8002)
        try:
            if not Slow.asked.wait(STEP_SECONDS):
                raise Skip("this kernel's debug information is installed")
            # The SYN is sent again, and dropped again, while the first verdict waits.
            await_text("server", ["nft", "list", "table", "inet", "wall"], "counter packets [2-9]")
        finally:
            Slow.may_answer.set()
        watch.await_verdicts(bool)
        watch.finish()
        status, out, err = sandbox.call("replay", path, "--json")
        assert status == 0, err
        replayed = [line for line in map(json.loads, out.splitlines()) if line["type"] == "verdict"]
        assert replayed == watch.verdicts(), (replayed, watch.verdicts())
        del sock


@case("without debug information doctor names the packages")
def packages(sandbox):
    sandbox.env.pop("DEBUGINFOD_URLS", None)
    findings = json.loads(sandbox.call("doctor", "--json")[1])["findings"]
    lines = next(one for one in findings if one["name"] == "source lines")
    if lines["ok"]:
        raise Skip("this kernel's debug information is installed")
    assert f"linux-image-{os.uname().release}-dbg (Debian)" in lines["detail"], lines
    status, out, err = sandbox.call("addr2line", "tcp_v4_rcv+0x100")
    assert (status, out) == (1, ""), out
    assert err.startswith("tcpwhy: no debug information of kernel ") and "tcpwhy doctor" in err, err
