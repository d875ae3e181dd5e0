# SPDX-License-Identifier: GPL-2.0-or-later
"""The address plan of the lab: a role has the same addresses in every topology.

Two roles on one wire use prefixes wide enough to see each other (/16, /48); behind a router /24 and /64.
"""
import os

ROLES = {
    "client": ("10.0.1.2", "2001:db8:0:1::2"),
    "other": ("10.0.1.3", "2001:db8:0:1::3"),  # a second address of the client
    "router": ("10.0.1.1", "2001:db8:0:1::1"),  # the router's side towards the client
    "uplink": ("10.0.2.1", "2001:db8:0:2::1"),  # the router's side towards the server
    "server": ("10.0.2.2", "2001:db8:0:2::2"),
    "second": ("10.0.2.3", "2001:db8:0:2::3"),  # a second address of the server
    "host": ("10.0.3.2", "2001:db8:0:3::2"),
    "bridge": ("172.17.0.1", "2001:db8:17::1"),  # docker0 on the host
    "container": ("172.17.0.2", "2001:db8:17::2"),
    "nobody": ("10.0.9.9", "2001:db8:0:9::9"),  # inside everyone's prefix, owned by no one
    "elsewhere": ("203.0.113.7", "2001:db8:f00d::7"),  # outside everyone's prefix
    "loopback": ("127.0.0.1", "::1"),
    "any": ("0.0.0.0", "::"),
}


def family():
    """The IP version of this run, 4 or 6."""
    return int(os.environ.get("LAB_FAMILY", "4"))


def address(role, version=None):
    """The address of a role in the given IP version, by default that of this run."""
    return ROLES[role][0 if (version or family()) == 4 else 1]


def environment(version):
    """The plan as shell variables: $server is this run's, $server4 and $server6 are both."""
    env = {"LAB_FAMILY": str(version), "iptables": "iptables" if version == 4 else "ip6tables"}
    for role, (v4, v6) in ROLES.items():
        env[role + "4"], env[role + "6"] = v4, v6
        env[role] = v4 if version == 4 else v6
    return env
