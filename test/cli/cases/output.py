# SPDX-License-Identifier: GPL-2.0-or-later
"""What is printed, where, and when it ends."""
import os
import signal
import subprocess
import time

from harness import App, connect, refused, registry

CASES, case = registry()

ESCAPE = "\x1b["


def refusing(sandbox):
    """(the options to see only this case's failures, a function that makes one at a port)."""
    sandbox.net("pair client server")
    client = App("client")
    return ("--netns", "server"), lambda port: client.run(refused, sandbox["server4"], port)


@case("armed: a line on stderr, and one on --ready-fd, which is closed then")
def armed(sandbox):
    watch = sandbox.watch(json_lines=False)
    assert watch.ready_text == b"\n", watch.ready_text
    assert watch.ready_is_closed()
    watch.end()
    assert watch.errors().startswith("tcpwhy: armed: tracepoint tier, "), watch.errors()
    assert watch.errors().splitlines()[0].endswith(" probes"), watch.errors()
    assert int(watch.errors().split()[-2]) >= 10, watch.errors()


@case("{0} prints the summary and ends with 0", (("SIGINT",), ("SIGTERM",)))
def signals(sandbox, name):
    options, fail = refusing(sandbox)
    watch = sandbox.watch(*options, json_lines=False)
    fail(8001)
    watch.await_text("no-listener")
    assert watch.end(getattr(signal, name)) == 0, watch.errors()
    assert "incidents  events" in watch.text(), watch.text()
    assert "events: " in watch.text().splitlines()[-1], watch.text()
    assert " seen = " in watch.text() and " lost" in watch.text(), watch.text()


@case("a signal right after a failure: it still gets its verdict")
def judged_at_the_end(sandbox):
    options, fail = refusing(sandbox)
    watch = sandbox.watch(*options)
    fail(8001)
    watch.finish()
    assert [v["cause"] for v in watch.verdicts()] == ["no-listener"], watch.text()


@case("--connect-latency counts each connect(), also those of which no record is shown")
def connect_latency(sandbox):
    options, fail = refusing(sandbox)
    watch = sandbox.watch("--netns", "client", "--connect-latency", json_lines=True)
    server, client = App("server"), App("client")
    listener = server.listen(8080)
    for _ in range(200):
        connection = client.connect(8080)
        listener.accept().close()
        connection.close()
    for _ in range(3):
        fail(8001)
    watch.finish()
    found = {row["dst_port"]: row for row in watch.lines() if row["type"] == "connects"}
    assert set(found) == {8080, 8001}, found
    good, bad = found[8080], found[8001]
    assert (good["connected"], good["failed"]) == (200, 0), good
    assert sum(step["count"] for step in good["latency"]) == 200, good
    assert good["dst"] == sandbox["server4"] and good["netns_inum"] == sandbox.netns("client"), good
    longest = good["latency"][-1]["from_us"]
    assert longest <= good["max_ns"] // 1000 < 2 * max(longest, 1), good
    assert (bad["connected"], bad["failed"], bad["latency"]) == (0, 3, []), bad


@case("--connect-latency names the namespace, also where nothing failed")
def connect_latency_names(sandbox):
    sandbox.net("pair client server")
    watch = sandbox.watch("--netns", "client", "--connect-latency", json_lines=True)
    listener = App("server").listen(8080)
    connection = App("client").connect(8080)
    listener.accept()
    watch.finish()
    connection.close()
    rows = [row for row in watch.lines() if row["type"] == "connects"]
    assert [(row["netns"], row["dst_port"]) for row in rows] == [("client", 8080)], rows


@case("nothing happened: it says so")
def nothing(sandbox):
    options, _ = refusing(sandbox)
    watch = sandbox.watch(*options, json_lines=False)
    assert watch.end() == 0, watch.errors()
    assert watch.text().startswith("Nothing failed.\n"), watch.text()


@case("--count ends it after so many verdicts")
def count(sandbox):
    options, fail = refusing(sandbox)
    watch = sandbox.watch(*options, "--count", "2")
    for port in (8001, 8002, 8003):
        fail(port)
    assert watch.wait() == 0, watch.errors()
    assert len(watch.verdicts()) == 2, watch.text()
    assert [v["id"] for v in watch.verdicts()] == [1, 2], watch.text()
    assert watch.lines()[-1]["type"] == "summary", watch.text()


@case("--duration ends it in time")
def duration(sandbox):
    options, _ = refusing(sandbox)
    began = time.monotonic()
    watch = sandbox.watch(*options, "--duration", "300ms")
    assert watch.wait() == 0, watch.errors()
    assert 0.3 <= time.monotonic() - began < 5, time.monotonic() - began
    assert 0.3e9 <= watch.lines()[-1]["duration_ns"] < 5e9, watch.text()


@case("--quiet prints verdicts only")
def quiet(sandbox):
    options, fail = refusing(sandbox)
    watch = sandbox.watch(*options, "--quiet", "--count", "1", json_lines=False)
    fail(8001)
    assert watch.wait() == 0, watch.errors()
    assert watch.errors() == "", watch.errors()
    assert "no-listener (certain)" in watch.text(), watch.text()
    assert "events:" not in watch.text() and "incidents" not in watch.text(), watch.text()


COLORS = (("--color=always", True), ("--color=never", False), ("--color=auto", False), ("", False))


@case("colour into a pipe with \"{0}\": {1}", COLORS)
def color(sandbox, option, wanted):
    options, fail = refusing(sandbox)
    watch = sandbox.watch(*options, *option.split(), "--count", "1", json_lines=False)
    fail(8001)
    assert watch.wait() == 0, watch.errors()
    assert (ESCAPE in watch.text()) == wanted, repr(watch.text())


@case("colour on a terminal{0}", (("", False), (", but not with NO_COLOR", True)))
def color_on_a_terminal(sandbox, _, no_color):
    options, fail = refusing(sandbox)
    ours, theirs = os.openpty()
    if no_color:
        sandbox.env["NO_COLOR"] = "1"
    watch = sandbox.watch(*options, "--count", "1", json_lines=False, stdout=theirs)
    os.close(theirs)
    fail(8001)
    assert watch.wait() == 0, watch.errors()
    text = os.read(ours, 1 << 16).decode()
    assert "no-listener" in text, text
    assert (ESCAPE in text) != no_color, repr(text)


@case("--json: every line is an object, the summary is last, and it adds up")
def json_shapes(sandbox):
    options, fail = refusing(sandbox)
    watch = sandbox.watch(*options)
    for port in (8001, 8002, 8001):
        fail(port)
    watch.await_verdicts(lambda verdicts: len(verdicts) >= 2)
    watch.finish()
    *lines, summary = watch.lines()
    assert {line["type"] for line in lines} <= {"verdict", "repeat"}, lines
    assert all(line["type"] != "summary" for line in lines)
    for verdict in watch.verdicts():
        for key, kind in (("id", int), ("time", str), ("mono_ns", int), ("cause", str), ("certainty", str),
                          ("event", str), ("count", int), ("flow", dict), ("netns", str), ("netns_inum", int),
                          ("explanation", str), ("evidence", list), ("hit", list), ("fix", list)):
            assert isinstance(verdict.get(key), kind), f"{key} is {verdict.get(key)!r}"
        assert verdict["flow"]["proto"] == "tcp" and verdict["flow"]["family"] == 4, verdict
        assert verdict["flow"]["dst"] == sandbox["server4"], verdict
        assert verdict["flow"]["community_id"].startswith("1:"), verdict
        assert verdict["netns"] == "server" and verdict["netns_inum"] == sandbox.netns("server"), verdict
        assert verdict["fix"] and all(isinstance(fix["command"], str) for fix in verdict["fix"]), verdict
    for counts in (summary, *summary["counts"]):
        assert counts["seen"] == counts["shown"] + counts["suppressed"] + counts["lost"], counts
    for key in ("seen", "shown", "suppressed", "lost"):
        assert summary[key] == sum(counts[key] for counts in summary["counts"]), f"{key} doesn't add up: {summary}"
    assert summary["seen"] > 0
    assert summary["verdicts"]["no-listener"]["incidents"] == 2, summary
    repeats = [line for line in lines if line["type"] == "repeat"]
    assert sum(line["count"] for line in repeats) == 1 and repeats[0]["verdict"] == 1, repeats


@case("--json: a flood is counted exactly")
def flood(sandbox):
    options, fail = refusing(sandbox)
    watch = sandbox.watch(*options)
    for port in range(20000, 20300):
        fail(port)
    watch.finish()
    summary = watch.lines()[-1]
    assert summary["suppressed"] > 0, "nothing was suppressed: the flood is too small"
    assert summary["seen"] == summary["shown"] + summary["suppressed"] + summary["lost"], summary
    resets = sum(c["seen"] for c in summary["counts"] if c["kind"] == "reset_sent")
    assert resets == 300, f"{resets} resets counted: {summary['counts']}"


@case("--all shows every record, as text and as JSON lines", (("--all",), ("--all --json",)))
def every_record(sandbox, words):
    options, fail = refusing(sandbox)
    watch = sandbox.watch(*options, *words.split(), json_lines=False)
    fail(8001)
    assert watch.end() == 0, watch.errors()
    if "--json" not in words:
        assert "reset sent by this host" in watch.text(), watch.text()
        return
    records = [line for line in watch.lines() if line["type"] == "record"]
    kinds = {record["kind"] for record in records}
    assert {"reset_sent", "drop", "answer", "netns"} <= kinds, kinds
    sent = next(record for record in records if record["kind"] == "reset_sent")
    assert sent["packet"]["tcp_flags"] == "SYN" and sent["dst_port"] == 8001, sent
    assert len(watch.verdicts()) == 1, watch.text()
    assert watch.lines()[-1]["shown"] == sum(1 for r in records if "cpu" in r), "shown is not what was shown"


@case("--stacks shows the kernel's functions")
def stacks(sandbox):
    options, fail = refusing(sandbox)
    without = sandbox.watch(*options, "--all", json_lines=False)
    watch = sandbox.watch(*options, "--all", "--stacks", json_lines=False)
    fail(8001)
    for each in (without, watch):
        assert each.end() == 0, each.errors()
    assert "ip_local_deliver" in watch.text(), watch.text()
    assert len(watch.text().splitlines()) > len(without.text().splitlines()) + 5, "no more lines than without"


@case("stdout is closed early: the next verdict ends it")
def closed_early(sandbox):
    options, fail = refusing(sandbox)
    reader, writer = os.pipe()
    watch = sandbox.watch(*options, stdout=writer)
    os.close(writer)
    os.close(reader)
    fail(8001)
    assert watch.wait() in (0, 1), f"exit status {watch.process.returncode}"


@case("stdout is closed early: with --all the next record ends it")
def closed_early_with_all(sandbox):
    options, _ = refusing(sandbox)
    server, client = App("server"), App("client")
    listener = server.listen(8001)
    reader, writer = os.pipe()
    watch = sandbox.watch(*options, "--all", stdout=writer)
    os.close(writer)
    os.close(reader)
    client.run(connect, sandbox["server4"], 8001).close()  # healthy: records, but no verdict
    listener.accept().close()
    assert watch.wait() in (0, 1), f"exit status {watch.process.returncode}"


@case("its output is there while it runs, a line at a time")
def flushed(sandbox):
    options, fail = refusing(sandbox)
    watch = sandbox.watch(*options)
    fail(8001)
    watch.await_verdicts(lambda verdicts: verdicts)
    assert len(watch.verdicts()) == 1
    watch.finish()


@case("an application's file descriptors stay its own")
def descriptors(sandbox):
    done = subprocess.run([sandbox.path, "--quiet", "--", "ls", "/proc/self/fd"], env=sandbox.env, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.stdout.split() == ["0", "1", "2", "3"], done.stdout
