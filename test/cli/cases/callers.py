# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions of a process called connect(): in C, Python, and code made while it runs; as far as that can be known."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from harness import App, Skip, connect, registry, reset_by_close

CASES, case = registry()

# Fails to connect, then lives on until its input ends.
CLIENT = r"""
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef LATER
#define LATER 0
#endif

int dial(const char *to, const char *port);
int __attribute__((noipa)) dial(const char *to, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int fd = socket(AF_INET, SOCK_STREAM | LATER, 0), failed;

	inet_pton(AF_INET, to, &a.sin_addr);
	failed = connect(fd, (void *)&a, sizeof(a));
	if (LATER)
		poll(&(struct pollfd){fd, POLLOUT, 0}, 1, -1);
	close(fd);
	return failed;
}

int __attribute__((noipa)) client_main(const char *to, const char *port)
{
	int failed = dial(to, port);

	__asm__ volatile("" : "+r"(failed));
	return failed;
}

#ifdef MADE_CODE /* push %rbp; mov %rsp,%rbp; call *%rdx; pop %rbp; ret */
int __attribute__((noipa)) made(const char *to, const char *port)
{
	static const char code[] = "\x55\x48\x89\xe5\xff\xd2\x5d\xc3";
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char path[64];
	FILE *map;

	memcpy(at, code, sizeof(code));
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	map = fopen(path, "w");
	fprintf(map, "what is this\n%lx 8 js:made_function\n", (unsigned long)at);
	fclose(map);
	return ((int (*)(const char *, const char *, void *))at)(to, port, client_main);
}
#else
#define made client_main
#endif

int main(int argc, char **argv)
{
	int failed = made(argv[1], argv[2]);

	puts(failed ? "failed" : "connected");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return argc > 3;
}
"""

PYTHON = """
import socket, sys
def ask():
    sock = socket.socket()
    try:
        sock.connect((sys.argv[1], int(sys.argv[2])))
    except ConnectionRefusedError:
        print("failed", flush=True)
ask()
sys.stdin.read()
"""

KEPT = ("-fno-omit-frame-pointer",)
TABLES = ("-fomit-frame-pointer", "-fasynchronous-unwind-tables")
NEITHER = ("-fomit-frame-pointer", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")


def port():
    """Of this case alone: other runs on this machine fail, too."""
    return str(20000 + os.getpid() % 20000)


@contextlib.contextmanager
def built(*flags):
    """The path of a client, in a folder of its own."""
    if os.uname().machine != "x86_64":
        raise Skip("unwind tables are read on x86-64 only")
    if not shutil.which("cc"):
        raise Skip("there is no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "client")
        subprocess.run(["cc", "-O2", *flags, "-x", "c", "-", "-o", path], input=CLIENT, text=True, check=True)
        yield path


@contextlib.contextmanager
def failed(*words):
    """A client in its namespace that has failed and still runs."""
    with subprocess.Popen(["nsenter", "--net=/run/netns/client", *words], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == "failed\n"
        yield process


def verdict_of(sandbox, *words, options=()):
    """What tcpwhy says while the client still runs."""
    watch = sandbox.watch("--port", port(), *options)
    with failed(*words) as process:
        watch.await_verdicts(lambda found: found)
        verdict = watch.verdicts()[0]
        assert verdict["process"]["pid"] == process.pid, verdict["process"]
    watch.finish()
    return verdict


def functions(verdict):
    return [re.sub(r"\+0x[0-9a-f]+", "", frame) for frame in verdict["user_stack"]]


@case("connect() of a C program with {0}", (("frame pointers", KEPT), ("unwind tables only", TABLES)))
def c_program(sandbox, _, flags):
    sandbox.net("pair client server")
    with built(*flags) as path:
        verdict = verdict_of(sandbox, path, sandbox["server4"], port())
        assert functions(verdict) == ["connect libc.so.6", "dial client", "client_main client", "main client"], verdict
        assert "user_stack_end" not in verdict, verdict
        assert verdict["process"]["program"] == path and verdict["process"]["arguments"] == 2, verdict["process"]
        assert sandbox["server4"] not in str(verdict["process"]), "an argument is shown"


@case("connect() of a C program with neither: the rest is not known")
def c_program_blind(sandbox):
    sandbox.net("pair client server")
    with built(*NEITHER) as path:
        verdict = verdict_of(sandbox, path, sandbox["server4"], port())
    names = functions(verdict)
    # The caller of connect() is known by libc's tables; what a stray register leads to is no caller.
    assert names[:2] == ["connect libc.so.6", "dial client"], verdict
    assert set(names[2:]) <= {"client_main client", "main client"}, verdict
    assert "dial" in verdict["user_stack_end"], verdict


@case("connect() of a stripped C program: its debug file has the names")
def c_program_stripped(sandbox):
    sandbox.net("pair client server")
    if not shutil.which("objcopy"):
        raise Skip("there is no objcopy")
    with built(*TABLES, "-Wl,--build-id=sha1") as path:
        folder = os.path.dirname(path)
        subprocess.run(["objcopy", "--only-keep-debug", path, f"{folder}/client.debug"], check=True)
        subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={folder}/client.debug", path], check=True)
        verdict = verdict_of(sandbox, path, sandbox["server4"], port())
        assert functions(verdict)[1:3] == ["dial client", "client_main client"], verdict
        os.unlink(f"{folder}/client.debug")
        # Another file now, so that nothing is remembered of it.
        os.rename(shutil.copy(path, f"{folder}/copy"), path)
        verdict = verdict_of(sandbox, path, sandbox["server4"], port())
        assert functions(verdict)[:3] == ["connect libc.so.6", " client", " client"], verdict


@case("connect() of a Python program: as far as its interpreter lets one see")
def python_program(sandbox):
    sandbox.net("pair client server")
    verdict = verdict_of(sandbox, "/usr/bin/python3", "-c", PYTHON, sandbox["server4"], port())
    frames = verdict["user_stack"]
    assert re.fullmatch(r"connect\+0x[0-9a-f]+ libc.so.6", frames[0]), frames
    assert len(frames) > 2 and all("python3" in frame for frame in frames[1:]), frames
    assert any("Py" in frame for frame in frames), frames
    assert functions(verdict)[-1] == "main python3" or "not known" in verdict["user_stack_end"], verdict


@case("connect() from code made while the program runs: named by its perf map")
def made_code(sandbox):
    sandbox.net("pair client server")
    with built(*KEPT, "-DMADE_CODE") as path:
        verdict = verdict_of(sandbox, path, sandbox["server4"], port())
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"/tmp/perf-{verdict['process']['pid']}.map")
    assert functions(verdict) == ["connect libc.so.6", "dial client", "client_main client", "js:made_function (perf map)",
                                  "made client", "main client"], verdict
    assert "js:made_function has no unwind tables" in verdict["user_stack_end"], verdict


@case("connect() of a program that only its own mount namespace has")
def own_mounts(sandbox):
    sandbox.net("pair client server")
    with built(*TABLES) as path:
        inside = f'mount -t tmpfs none /mnt && cp "{path}" /mnt/only_here && exec /mnt/only_here "$@"'
        verdict = verdict_of(sandbox, "unshare", "--mount", "sh", "-c", inside, "sh", sandbox["server4"], port())
    assert not os.path.exists("/mnt/only_here")
    assert functions(verdict) == ["connect libc.so.6", "dial only_here", "client_main only_here", "main only_here"], verdict


@case("--stacks: connect() of a C program that doesn't wait for it")
def later(sandbox):
    # A neighbour that isn't there: asked three times, 100 ms each.
    sandbox.net("pair client server; setting client net.ipv4.neigh.eth0.retrans_time_ms=100\n"
                "ip -n server addr flush dev eth0")
    with built(*TABLES, "-DLATER=SOCK_NONBLOCK") as path:
        verdict = verdict_of(sandbox, path, sandbox["server4"], port(), options=("--stacks",))
    assert functions(verdict) == ["connect libc.so.6", "dial client", "client_main client", "main client"], verdict


@case("a reset by close(): who called it; by a process that is killed: there is no stack any more")
def closed(sandbox):
    sandbox.net("pair client server")
    server, client, victim = App("server"), App("client"), App("victim", "client")
    listener = server.listen(int(port()))
    ends = []
    for app in (client, victim):
        ends.append((app.run(connect, sandbox["server4"], int(port())), listener.accept()))
    ends[1][1].send(b"unread")
    ends[1][0].recv(1, socket.MSG_PEEK)
    watch = sandbox.watch("--port", port())
    client.run(reset_by_close, ends[0][0])
    os.kill(victim.pid, signal.SIGKILL)
    watch.await_verdicts(lambda found: {verdict["process"]["pid"] for verdict in found if "process" in verdict}
                         == {client.pid, victim.pid})
    watch.finish()
    said = {verdict["process"]["pid"]: verdict for verdict in watch.verdicts()}
    assert functions(said[client.pid])[0] == "close libc.so.6", said
    assert "user_stack" not in said[victim.pid], said
    assert said[victim.pid]["user_stack_end"] == "The process was ending: it had no stack any more.", said


@case("the callers of a recorded connect() are the same in its replay")
def replayed(sandbox):
    sandbox.net("pair client server")
    with built(*TABLES) as path, tempfile.TemporaryDirectory() as folder:
        recording = os.path.join(folder, "recording.pcapng")
        watch = sandbox.watch("-o", recording, "--port", port(), command="record")
        with failed(path, sandbox["server4"], port()):
            watch.await_verdicts(lambda found: found)
        watch.finish()
        live = watch.verdicts()
        status, out, err = sandbox.call("replay", "--stacks", recording)
        assert (status, err) == (0, ""), err
        assert re.search(r"called by connect\+0x[0-9a-f]+ libc.so.6\n +dial\+0x[0-9a-f]+ client\n", out), out
        assert f"started as {path} with 2 arguments" in out, out
        _, out, _ = sandbox.call("replay", "--json", recording)
        assert [line["user_stack"] for line in map(json.loads, out.splitlines())
                if line["type"] == "verdict"] == [verdict["user_stack"] for verdict in live]
