# SPDX-License-Identifier: GPL-2.0-or-later
"""--host with an address behind NAT: of two containers' failures on the host only that one's is shown."""
import os

from harness import App, connect, registry
from lab import packet

CASES, case = registry()

# A second container, 172.17.0.3, on the bridge of the first.
SECOND = """
    namespaces other
    wire other eth0 host veth1
    ip -n host link set veth1 master docker0 up
    ip -n other addr add 172.17.0.3/16 dev eth0
    ip -n other link set eth0 up
    ip -n other route add default via $bridge4
    carrier other eth0
"""
OUTWARDS = "docker_bridge server" + SECOND
INWARDS = "docker_bridge client" + SECOND + """
    in_ns host iptables -w -t nat -A PREROUTING -p tcp --dport 8443 -j DNAT --to-destination $container4:443
    in_ns host iptables -w -t nat -A PREROUTING -p tcp --dport 9443 -j DNAT --to-destination 172.17.0.3:443
"""


def outward_pair(sandbox, name):
    """A connection from a container through masquerading: (namespace of the far end, its socket, keep these)."""
    port = {"container": 443, "other": 444}[name]
    listener = sandbox.server.listen(port)
    near = App(name)
    sock = near.run(connect, sandbox["server4"], port)
    return "server", listener.accept(), (listener, near, sock)


def inward_pair(sandbox, name):
    """A connection to a container's published port."""
    port = {"container": 8443, "other": 9443}[name]
    near = App(name)
    listener = near.listen(443)
    sock = sandbox.client.run(connect, sandbox["host4"], port)
    return "client", sock, (listener, near, listener.accept())


def broken(end):
    """A segment far beyond the window: conntrack calls it INVALID, and the host answers with a reset."""
    netns, sock, _ = end
    packet.stray(netns, sock, ahead=1 << 26, payload=b"x")
    sock.await_state("CLOSE")


ROWS = (
    ("--host, an address behind masquerading, a new connection", OUTWARDS, outward_pair, False, "172.17.0.2"),
    ("--host, an address behind masquerading, an old connection", OUTWARDS, outward_pair, True, "172.17.0.2"),
    ("--host, an address with a published port, a new connection", INWARDS, inward_pair, False, "172.17.0.2"),
    ("--host, an address with a published port, an old connection", INWARDS, inward_pair, True, "172.17.0.2"),
    ("--host, a prefix behind masquerading, an old connection", OUTWARDS, outward_pair, True, "172.17.0.2/31"),
)


@case("{0}", ROWS)
def behind_nat(sandbox, _, topology, pair, old, host):
    sandbox.net(topology)
    if "docker_bridge server" in topology:
        sandbox.server = App("server")
    else:
        sandbox.client = App("client")
    ends = [pair(sandbox, name) for name in ("container", "other")] if old else None
    watch = sandbox.watch("--host", host)
    ends = ends or [pair(sandbox, name) for name in ("container", "other")]
    for end in ends:
        broken(end)
    both = host.endswith("/31")
    numbers = {sandbox.netns(name) for name in os.listdir("/run/netns")}
    watch.await_verdicts(lambda verdicts: len(own(verdicts, numbers)) >= 1 + both)
    watch.finish()
    verdicts = own(watch.verdicts(), numbers)
    assert [v["cause"] for v in verdicts] == ["conntrack-invalid"] * (1 + both), \
        f"gives {[(v['cause'], v['flow']) for v in verdicts]}"
    text = "".join(v["explanation"] + "".join(v["evidence"]) for v in verdicts)
    assert "172.17.0.2:" in text, text
    assert both == ("172.17.0.3:" in text), text


def own(verdicts, numbers):
    return [v for v in verdicts if v.get("netns_inum") in numbers]
