# SPDX-License-Identifier: GPL-2.0-or-later
"""A command behind --: its exit status, and its connections only."""
import os
import tempfile

from harness import App, await_that, on_one_processor, refused, refused_all, registry

CASES, case = registry()

# Exit status 3 where the connection is refused.
CONNECT = "import socket, sys; sys.exit(socket.socket().connect_ex((sys.argv[1], int(sys.argv[2]))) == 111 and 3)"


def in_client(sandbox, port):
    """A command that connects to that port of the server."""
    return ["nsenter", "--net=/run/netns/client", "/usr/bin/python3", "-c", CONNECT, sandbox["server4"], str(port)]


FINE = "none of its connections failed."
STATUSES = (
    ("its exit status is passed through", ["sh", "-c", "exit 7"], 7, f"The command exited with 7; {FINE}"),
    ("success is passed through", ["true"], 0, f"The command exited with 0; {FINE}"),
    ("killed by a signal: 128 more", ["sh", "-c", "kill -9 $$"], 137, f"ended by signal 9 (Killed); {FINE}"),
    ("a command that isn't there: 127", ["/no/such/command"], 127, "cannot run /no/such/command"),
    ("a command that can't be run: 126", ["/etc/passwd"], 126, "cannot run /etc/passwd"),
    ("its options are its own", ["sh", "-c", '[ "$1" = --json ]', "sh", "--json"], 0, FINE),
)


@case("command: {0}", STATUSES)
def status(sandbox, _, words, wanted, says):
    got, out, err = sandbox.call("--", *words)
    assert got == wanted, f"exit status {got}: {err}"
    assert out == "", out
    assert says in err, err


@case("command: a failure is explained on stderr, and stdout is its own")
def explained(sandbox):
    sandbox.net("pair client server")
    script = "echo mine; exec \"$@\""
    got, out, err = sandbox.call("--", "sh", "-c", script, "sh", *in_client(sandbox, 8001))
    assert got == 3, f"exit status {got}: {err}"
    assert out == "mine\n", out
    assert "no-listener (certain)" in err, err
    assert "Nobody listens on tcp port 8001" in err, err
    assert "The command exited with 3." in err, err
    assert "none of its connections failed" not in err, err


@case("command: with --json lines and command_status")
def as_json(sandbox):
    sandbox.net("pair client server")
    watch = sandbox.watch("--", *in_client(sandbox, 8001))
    assert watch.wait() == 3, watch.errors()
    assert [v["cause"] for v in watch.verdicts()] == ["no-listener"], watch.text()
    assert watch.lines()[-1]["type"] == "summary", watch.text()
    assert watch.lines()[-1]["command_status"] == 3, watch.text()


@case("command: not what others do at the same time")
def not_of_others(sandbox):
    on_one_processor()
    sandbox.net("pair client server")
    other = App("other", "client")
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "go")
        os.mkfifo(fifo)
        watch = sandbox.watch("--", "sh", "-c", f'"$@"; read go <{fifo}', "sh", *in_client(sandbox, 8001))
        watch.await_verdicts(lambda verdicts: verdicts)
        for port in range(8002, 8010):
            other.run(refused, sandbox["server4"], port)
        with open(fifo, "w", encoding="ascii") as go:
            go.write("go\n")
        assert watch.wait() == 0, watch.errors()
    ports = [v["flow"]["dst_port"] for v in watch.verdicts()]
    assert ports == [8001], f"explains ports {ports}"


@case("command: not what timers do while it is running")
def not_of_timers(sandbox):
    sandbox.net("pair client server\nnft_rule server input drop")
    other = App("other", "client")
    with tempfile.TemporaryDirectory() as folder:
        stop = os.path.join(folder, "stop")
        busy = f"while [ ! -e {stop} ]; do :; done"
        script = " & ".join([busy] * len(os.sched_getaffinity(0))) + " & touch $1; wait"
        watch = sandbox.watch("--", "sh", "-c", script, "sh", os.path.join(folder, "started"))
        await_that(lambda: os.path.exists(os.path.join(folder, "started")), "started")
        # The first SYNs are dropped; the second, sent by timers while the command is running, are refused.
        pending = other.later("run", refused_all, sandbox["server4"], range(8002, 8018))
        await_that(lambda: "SYN-SENT" in os.popen("ip netns exec client ss -tn").read(), "connecting")
        sandbox.net("in_ns server nft flush ruleset")
        pending.result()
        with open(stop, "w", encoding="ascii"):
            pass
        assert watch.wait() == 0, watch.errors()
    assert not watch.verdicts(), f"explains {[v['explanation'] for v in watch.verdicts()]}"


@case("command: what its children do is its own")
def of_children(sandbox):
    sandbox.net("pair client server")
    got, _, err = sandbox.call("--", "sh", "-c", '(sh -c \'"$@"; exit 0\' sh "$@") & wait', "sh",
                               *in_client(sandbox, 8001))
    assert got == 0, err
    assert "no-listener" in err, err


@case("command: runs with the privileges of its user")
def privileges(sandbox):
    def own(words):
        return [line for line in words.splitlines() if line.startswith(("CapEff", "CapBnd", "NoNewPrivs"))]

    _, out, err = sandbox.call("--", "cat", "/proc/self/status")
    with open("/proc/self/status", encoding="ascii") as mine:
        assert own(out) == own(mine.read()), f"{out} {err}"


@case("command: ends with tcpwhy")
def ends_too(sandbox):
    watch = sandbox.watch("--", "sh", "-c", "trap 'echo terminated; exit 0' TERM; echo $$; while :; do sleep 0.1; done",
                          json_lines=False)
    watch.await_text("\n")
    watch.process.terminate()
    watch.wait()
    assert "terminated" in watch.text(), watch.text()


@case("command: does not run where tcpwhy can't watch")
def not_unwatched(sandbox):
    with tempfile.TemporaryDirectory() as folder:
        mark = os.path.join(folder, "mark")
        got, _, err = sandbox.call("--btf", "/dev/null", "--", "touch", mark)
        assert got == 1, f"exit status {got}: {err}"
        assert err.startswith("tcpwhy: ") and err.count("\n") == 1, err
        assert not os.path.exists(mark), "it ran"
