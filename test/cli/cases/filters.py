# SPDX-License-Identifier: GPL-2.0-or-later
"""Every filter: of the same failures, made at the same time, it has to show these and only these."""
import os

from harness import App, on_one_processor, ping, refused, refused_datagram, registry

CASES, case = registry()

# What fails, by its port: (who, call, address). All of it comes from the namespace "client"; {sport1} is the
# source port of the first, {sport2} of the second.
FAILURES = {
    8001: ("alpha", refused, "server4"),
    8002: ("beta", refused, "server4"),
    8003: ("alpha", refused, "second4"),
    8004: ("gamma", refused_datagram, "server4"),
    8005: ("gamma", refused, "server6"),
    8006: ("gamma", refused, "third4"),  # goes out through eth1
}
PINGS = {"icmp": "server4", "icmpv6": "server6"}  # dropped by a rule; known by their protocol

TOPOLOGY = """
    pair client server
    in_ns server ip addr add $second4/16 dev eth0
    nft_rule server input 'icmp type echo-request drop; icmpv6 type echo-request drop'
    namespaces third
    wire client eth1 third eth0
    in_ns client ip addr add 192.168.77.1/24 dev eth1
    in_ns third ip addr add 192.168.77.2/24 dev eth0
    in_ns client ip link set eth1 up
    in_ns third ip link set eth0 up
    carrier client eth1
    carrier third eth0
"""

TCP = {8001, 8002, 8003, 8005, 8006}
TO_SERVER4 = {8001, 8002, 8004, "icmp"}

# The options, with {…} filled in below, and what has to be shown.
ROWS = (
    ("--host {server4}", TO_SERVER4),
    ("--host {server6}", {8005, "icmpv6"}),
    ("--host 10.0.2.2/31", TO_SERVER4 | {8003}),
    ("--host {second4} --host {third4}", {8003, 8006}),
    ("--host 192.168.77.1", {8006}),
    ("--host 10.0.9.9", set()),
    ("--src 192.168.77.1", {8006}),
    ("--src 192.168.77.0/24 --dst {server4}", set()),
    ("--src {second4}", {8003}),  # the reset's sender
    ("--dst {second4}", {8003}),
    ("--src {client4} --dst {server4}", TO_SERVER4),
    ("--port 8001", {8001}),
    ("--port 8001 --port 8004", {8001, 8004}),
    ("--port {sport2}", {8002}),
    ("--sport {sport2}", {8002}),
    ("--dport 8002", {8002}),
    ("--dport 8001 --dport 8005", {8001, 8005}),
    ("--sport {sport1} --dport 8001", {8001}),
    ("--sport {sport2} --dport 8001", set()),
    ("--host {server4} --dport 8001", {8001}),
    ("--host {second4} --dport 8001", set()),
    ("--proto tcp", TCP),
    ("--proto udp", {8004}),
    ("--proto icmp", {"icmp"}),
    ("--proto icmpv6", {"icmpv6"}),
    ("--proto tcp --host {server4}", {8001, 8002}),
    ("--comm beta", {8002}),
    ("--comm gamma", {8004, 8005, 8006}),
    ("--comm bet", set()),
    ("--comm alpha --dport 8003", {8003}),
    ("--netns third", {8006}),
    ("--netns pid:{third_pid}", {8006}),
    ("--netns /run/netns/third", {8006}),
    ("--netns {third_inode}", {8006}),
    ("--netns client", TCP | {8004}),
    ("--iface eth1", {8006}),
    ("--iface eth7", set()),
    ("--pid {alpha_pid}", {8001, 8003}),
    ("--pid {beta_pid}", {8002}),
)


def shown(verdicts, numbers):
    """The failures that the verdicts about these namespaces are about."""
    found = set()
    for verdict in verdicts:
        if verdict.get("netns_inum", 0) not in numbers:
            continue  # somebody else's
        flow = verdict["flow"]
        ports = {flow.get("src_port"), flow.get("dst_port")} & set(FAILURES)
        found |= ports or {flow["proto"]}
    return found


@case("{0}", ROWS)
def filter_shows_its_own(sandbox, options, wanted):
    on_one_processor()  # sockets of different applications then have the same address, one after the other
    sandbox.env["third4"] = "192.168.77.2"
    sandbox.net(TOPOLOGY)
    apps = {name: App(name, "client") for name in ("alpha", "beta", "gamma", "pinger")}
    third = App("third")
    numbers = {sandbox.netns(name) for name in os.listdir("/run/netns")} | {0}
    sport = 20000 + os.getpid() % 1000 * 10  # not those of another run on this machine
    more = {"sport1": sport + 1, "sport2": sport + 2, "alpha_pid": apps["alpha"].pid, "beta_pid": apps["beta"].pid,
            "third_pid": third.pid, "third_inode": sandbox.netns("third")}
    watch = sandbox.watch(*options.format(**sandbox.env, **more).split())
    for number, (port, (who, call, to)) in enumerate(FAILURES.items(), 1):
        apps[who].run(call, sandbox[to], port, sport + number)
    for to in PINGS.values():
        apps["pinger"].run(ping, sandbox[to])
    watch.await_verdicts(lambda verdicts: shown(verdicts, numbers) >= wanted)
    watch.finish()
    got = shown(watch.verdicts(), numbers)
    assert got == wanted, f"shows {sorted(map(str, got))}, not {sorted(map(str, wanted))}: " + "; ".join(
        f"{v['cause']} in {v.get('netns')}: {v['explanation'][:80]}" for v in watch.verdicts())


@case("without a filter")
def no_filter_shows_all(sandbox):
    filter_shows_its_own(sandbox, "", set(FAILURES) | set(PINGS))
