# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules of our own, built for a kernel of Debian's with its headers package and the host's gcc."""
import glob
import hashlib
import os
import re
import shutil
import tempfile

from kernels import VmError, needed, output

# What Debian's kbuild of newer releases needs, and this host may be too old for: package, and what it is looked for by.
LIBRARIES = ("libc6", "libelf1t64", "zlib1g", "libzstd1")
# Programs of kbuild that only pick the one for the kernel's architecture.
REAL = {"modpost": "modpost.real-lsb-64", "objtool": "objtool.real-x86"}
# GCC 12 doesn't know -fmin-function-alignment, which newer kernels were configured with.
SETTINGS = ("CC=gcc", "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=", "KCFLAGS=-falign-functions=16",
            "CONFIG_DEBUG_INFO_BTF_MODULES=")


def _unpack(archive, names, folder, tree):
    os.makedirs(tree)
    output(["apt-get", "-q", "download", *names], f"downloading {names[0]}", env=archive.env, cwd=folder)
    for deb in glob.glob(os.path.join(folder, "*.deb")):
        output(["dpkg-deb", "-x", deb, tree], f"unpacking {os.path.basename(deb)}")
        os.unlink(deb)


def _packages(archive, release):
    """The headers of a kernel, with those that they depend on."""
    name = f"linux-headers-{release}"
    try:
        told = output(["apt-cache", "show", name], "asking for headers", env=archive.env)
    except VmError:
        raise VmError(f"Debian has no {name} now") from None
    depends = re.search(r"^Depends: (.*)$", told, re.M)
    return [name, *re.findall(r"\b(linux-headers-\S+-common|linux-kbuild-\S+?)(?=[ ,]|$)", depends[1])]


def _is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def _wrap(tree, final, libraries):
    """Let kbuild's programs run with the libraries of their own release."""
    loader = os.path.join(libraries, "ld-linux-x86-64.so.2")
    for path in glob.glob(f"{tree}/usr/lib/linux-kbuild-*/**/*", recursive=True):
        if os.path.islink(path) or not os.access(path, os.X_OK) or not os.path.isfile(path) or not _is_elf(path):
            continue
        if ".real-" in path or path.endswith(".elf"):
            continue
        real = os.path.join(os.path.dirname(path), REAL.get(os.path.basename(path), os.path.basename(path) + ".elf"))
        if not os.path.exists(real):
            os.rename(path, real)
        else:
            os.unlink(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec {loader} --library-path {libraries} {real.replace(tree, final)} "$@"\n')
        os.chmod(path, 0o755)


def _headers(archive, kernel):
    """Unpacks the headers of a kernel beside it, unless they are there."""
    final = os.path.join(kernel.folder, "headers")
    if os.path.isdir(final):
        return final
    names = _packages(archive, kernel.release)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=kernel.folder) as folder:
        tree = os.path.join(folder, "headers")
        _unpack(archive, names, folder, tree)
        _unpack(archive, LIBRARIES, folder, os.path.join(folder, "libraries"))
        found = glob.glob(f"{folder}/libraries/**/x86_64-linux-gnu", recursive=True)
        os.rename(found[0], os.path.join(tree, "libraries"))
        # Relative addresses lead from the headers to kbuild, but for one.
        for makefile in glob.glob(f"{tree}/usr/src/linux-headers-*-amd64/Makefile"):
            with open(makefile, encoding="utf-8") as file:
                text = file.read()
            with open(makefile, "w", encoding="utf-8") as file:
                file.write(text.replace("/usr/src/", f"{final}/usr/src/"))
        _wrap(tree, final, os.path.join(final, "libraries"))
        os.rename(tree, final)
    return final


def _hash(source):
    digest = hashlib.sha256()
    for name in sorted(os.listdir(source)):
        with open(os.path.join(source, name), "rb") as file:
            digest.update(name.encode() + b"\0" + file.read())
    return digest.hexdigest()[:16]


def build(archive, kernel, source):
    """Builds the module whose Kbuild file lies in the folder `source`; the folder with the .ko. archive() makes one."""
    path = os.path.join(kernel.folder, f"module-{os.path.basename(source.rstrip('/'))}-{_hash(source)}")
    if os.path.isdir(path):
        return path
    headers = _headers(archive(), kernel)
    tree = os.path.join(headers, "usr/src", f"linux-headers-{kernel.release}")
    with tempfile.TemporaryDirectory(prefix=".new-", dir=kernel.folder) as folder:
        work = os.path.join(folder, "work")
        shutil.copytree(source, work)
        output([needed("make", "make"), "-s", "-C", tree, f"M={work}", *SETTINGS, "modules"],
               f"building the module in {source} for kernel {kernel.release}")
        os.makedirs(os.path.join(folder, "done"))
        for module in glob.glob(f"{work}/*.ko"):
            shutil.copy(module, os.path.join(folder, "done"))
        os.rename(os.path.join(folder, "done"), path)
    return path
