# SPDX-License-Identifier: GPL-2.0-or-later
"""./demo where it can't watch: it says why, and tells the same story from a recording."""
import os
import shutil

from cases.usage import NOBODY, reachable
from harness import Skip, registry

CASES, case = registry()

TREE = os.path.join(os.path.dirname(__file__), "..", "..", "..")
RECORDING = os.path.join("test", "golden", "conntrack-invalid.pcapng")


def clone(sandbox, built=True):
    """What ./demo needs of a tree, where everybody may read it."""
    program, path = reachable(sandbox.path), "/run/netns/clone"
    for name in ("demo", os.path.join("tools", "deps.sh"), RECORDING):
        os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
        shutil.copy(os.path.join(TREE, name), os.path.join(path, name))
    os.mkdir(f"{path}/bin")
    sandbox.env["PATH"] = f"{path}/bin:{sandbox.env['PATH']}"
    if built:
        os.mkdir(f"{path}/build")
        shutil.copy(program, f"{path}/build/tcpwhy")
        open(f"{path}/build/build.ninja", "w", encoding="ascii").close()
        command(path, "ninja", "echo no work to do")
    return path


def command(path, name, what):
    """Takes the place of a command of the system's."""
    with open(f"{path}/bin/{name}", "w", encoding="ascii") as script:
        script.write(f"#!/bin/sh\n{what}\n")
    os.chmod(script.name, 0o755)


def demo(sandbox, path, *within):
    sandbox.path, *words = *within, f"{path}/demo"
    return sandbox.call(*words)


def told_from_recording(status, out, err, why):
    assert status == 0 and not err, (status, err)
    said = [line for line in out.splitlines() if "can't watch live here: " in line]
    assert len(said) == 1 and why in said[0], out
    assert out.count("cause     conntrack-invalid (certain)") == 1 and "the end behind the NAT" in out, out


@case("not root, and nobody to ask: why it can't watch, and the recording")
def not_root(sandbox):
    why = "sudo refused it" if shutil.which("sudo") else "that needs root, and there is no sudo here"
    told_from_recording(*demo(sandbox, clone(sandbox), *NOBODY), why)


@case("root as in a container, which may make no namespaces: the recording")
def container(sandbox):
    told_from_recording(*demo(sandbox, clone(sandbox), "setpriv", "--bounding-set", "-sys_admin"),
                        "network namespaces may not be made here")


@case("root that may make namespaces and load no BPF programs: the recording")
def no_bpf(sandbox):
    told_from_recording(*demo(sandbox, clone(sandbox), "unshare", "--user", "--map-root-user"),
                        "BPF programs may not be loaded here")


@case("not root, and not built, with packages missing: which ones")
def not_built(sandbox):
    if shutil.which("sudo"):
        raise Skip("there is sudo, which would ask for a password")
    path = clone(sandbox, built=False)
    for name in ("dpkg-query", "apt-get"):
        command(path, name, "exit 1")
    status, out, err = demo(sandbox, path, *NOBODY)
    assert (status, out) == (1, "") and err.count("\n") == 1, (status, out, err)
    assert "without root nothing can be installed" in err and "meson" in err and "libbpf-dev" in err, err
