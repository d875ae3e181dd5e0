# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel packages: finding, downloading and unpacking them into the cache, with apt but beside the host's."""
import contextlib
import fcntl
import glob
import gzip
import hashlib
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.abspath(os.environ.get("TCPWHY_VM_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tcpwhy", "vm"))
KERNELS = os.path.join(CACHE, "kernels")

# Where Debian keeps kernels: the suite, and whether it is in the security archive.
SUITES = {"bullseye-security": True, "bookworm-security": True, "trixie-security": True,
          "trixie-backports": False, "sid": False}
# A kernel for virtual machines; from 6.19 on linux-image is empty, and linux-binary and linux-modules hold its parts.
PACKAGE = re.compile(r"linux-(image|binary)-(\d+\.\d+)(\S*)-cloud-amd64")
# What must be there before the host's root file system is; all else is loaded on demand from there.
EARLY_MODULES = ("virtio_pci", "virtiofs", "overlay")


class VmError(Exception):
    """One sentence for the user."""


def needed(command, package):
    path = shutil.which(command, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise VmError(f"{command} is missing: install the package {package}")
    return path


def output(words, what, **more):
    try:
        done = subprocess.run(words, **{"stdin": subprocess.DEVNULL, **more}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, errors="replace", check=False)
    except FileNotFoundError:
        raise VmError(f"{what} needs {words[0]}, which is missing here") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"{words[0]} failed"]
        raise VmError(f"{what} failed: {lines[-1]}")
    return done.stdout


@contextlib.contextmanager
def locked():
    """The cache for this process alone."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# ---- apt, with lists, cache and sources of its own ----

def _mirrors():
    """The addresses of Debian's archive and security archive that this host uses."""
    found = {}
    for line in output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                        "Created-By: Packages"], "asking apt for its sources").splitlines():
        uri, release, component = line.split(" ")[:3]
        name = os.path.basename(uri.rstrip("/"))
        if component == "main" and name in ("debian", "debian-security"):
            found.setdefault(name == "debian-security", uri)
    if False in found and True in found:
        return found
    raise VmError("apt's sources on this host name no mirror of Debian and of its security updates: "
                  "write a sources.list with both and set TCPWHY_VM_SOURCES to its path")


def _keyring():
    path = "/usr/share/keyrings/debian-archive-keyring.gpg"
    return f" [signed-by={path}]" if os.path.exists(path) else ""


def _write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def _apt_environment():
    """Makes apt's private state; the host's settings for downloads (a proxy, say) stay in force."""
    apt = os.path.join(CACHE, "apt")
    for folder in ("state", "cache/archives/partial"):
        os.makedirs(os.path.join(apt, folder), exist_ok=True)
    sources = os.environ.get("TCPWHY_VM_SOURCES")
    if not sources:
        mirrors, sources = _mirrors(), os.path.join(apt, "sources.list")
        _write(sources, "".join(f"deb{_keyring()} {mirrors[security]} {suite} main\n"
                                for suite, security in SUITES.items()))
    _write(os.path.join(apt, "status"), "")
    own = {"Dir::Etc::parts": "/dev/null", "Dir::Etc::main": "/dev/null", "Dir::Etc::sourceparts": "/dev/null",
           "Dir::Etc::sourcelist": os.path.abspath(sources), "Dir::State": f"{apt}/state",
           "Dir::State::status": f"{apt}/status", "Dir::Cache": f"{apt}/cache",
           "Dir::Cache::pkgcache": "pkgcache.bin", "APT::Sandbox::User": "root",
           "APT::Update::Error-Mode": "any", "APT::Architecture": "amd64"}
    settings = [line for line in output(["apt-config", "dump", "Acquire"], "asking apt for its settings").splitlines()
                if not line.endswith(' "";')]
    _write(os.path.join(apt, "apt.conf"), "\n".join(settings + [f'{key} "{value}";' for key, value in own.items()]))
    return dict(os.environ, APT_CONFIG=os.path.join(apt, "apt.conf"), LC_ALL="C.UTF-8")


def _numbers(text):
    return [int(number) for number in re.findall(r"\d+", text)]


class Archive:
    """What Debian has: for each series (as "6.1") the newest package and its version."""

    def __init__(self):
        self.env = _apt_environment()
        self.trouble = ""
        try:  # a suite that is gone must not hide the others
            output(["apt-get", "-q", "update"], "fetching Debian's package lists", env=self.env)
        except VmError as error:
            self.trouble = f" ({error})"
        names = [name for start in ("linux-image-", "linux-binary-")
                 for name in self._apt_cache("pkgnames", start) if PACKAGE.fullmatch(name)]
        if not names:
            raise VmError(f"Debian's package lists hold no kernels{self.trouble}")
        self.newest = {}
        for line in self._apt_cache("madison", *names):
            name, version = [field.strip() for field in line.split("|")[:2]]
            kind, series, _ = PACKAGE.fullmatch(name).groups()
            rank = (_numbers(version.split("-")[0]), kind == "binary", _numbers(name))
            if series not in self.newest or rank > self.newest[series][0]:
                self.newest[series] = (rank, name, version)

    def _apt_cache(self, *words):
        return output(["apt-cache", *words], "asking for Debian's kernels", env=self.env).splitlines()

    def series(self):
        return sorted(self.newest, key=_numbers)

    def release(self, series):
        """The full name of a series' newest kernel, as uname -r says it."""
        if series not in self.newest:
            raise VmError(f"Debian has no kernel {series} now, but {', '.join(self.series())}{self.trouble}")
        return re.sub(r"^linux-(image|binary)-", "", self.newest[series][1])

    def download(self, series, folder):
        _, name, version = self.newest[series]
        release = self.release(series)
        names = [name]
        if name.startswith("linux-binary-"):
            names += [f"linux-modules-{release}", f"linux-base-{release}"]
        output(["apt-get", "-q", "download", *[f"{one}={version}" for one in names]],
               f"downloading kernel {release}", env=self.env, cwd=folder)
        return glob.glob(os.path.join(folder, "*.deb"))

    def download_debug(self, release, folder):
        output(["apt-get", "-q", "download", f"linux-image-{release}-dbg"],
               f"downloading the debug information of kernel {release}", env=self.env, cwd=folder)
        return glob.glob(os.path.join(folder, "*.deb"))


# ---- from packages to what QEMU boots ----

def _filter(words, text):
    done = subprocess.run(words, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise VmError(f"unpacking a kernel with {words[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _unpack_image(path):
    """The kernel inside of a bzImage (Documentation/arch/x86/boot.rst: payload_offset, payload_length)."""
    with open(path, "rb") as file:
        image = file.read()
    if image[0x202:0x206] != b"HdrS":
        raise VmError(f"{path} is no kernel image")
    start = (image[0x1f1] + 1) * 512 + struct.unpack_from("<I", image, 0x248)[0]
    payload = image[start:start + struct.unpack_from("<I", image, 0x24c)[0]]
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:2] == b"\x1f\x8b":
        return gzip.decompress(payload[:-4])
    for magic, command in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")):
        if payload.startswith(magic):  # followed by the size of the contents
            return _filter([needed(command, command), "-dcq"], payload[:-4])
    raise VmError(f"{path} is compressed in a way not known here")


def _module_text(path):
    with open(path, "rb") as file:
        text = file.read()
    if path.endswith(".xz"):
        return lzma.decompress(text)
    return _filter([needed("zstd", "zstd"), "-dcq"], text) if path.endswith(".zst") else text


def _early_modules(root, release):
    """Files of the modules needed to mount the root file system, in the order of loading."""
    base, files = os.path.join(root, release), []
    depends = {}
    with open(os.path.join(base, "modules.dep"), encoding="utf-8") as file:
        for line in file:
            path, _, others = line.partition(":")
            depends[path] = others.split()
    for wanted in EARLY_MODULES:
        for path, others in depends.items():
            if re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(path)).replace("-", "_") == wanted:
                files += [one for one in [*reversed(others), path] if one not in files]
    return [os.path.join(base, path) for path in files]


def _cpio(entries):
    """An archive in the format of an initramfs, of (path, mode, contents)."""
    data = b""
    for number, (path, mode, text) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(text), 0, 0, 0, 0, len(name), 0)
        data += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        data += b"\0" * (-len(data) % 4) + text
        data += b"\0" * (-len(data) % 4)
    return data


def _init():
    """The init program, built once for each state of its source."""
    source = os.path.join(HERE, "init.c")
    with open(source, "rb") as file:
        path = os.path.join(CACHE, f"init-{hashlib.sha256(file.read()).hexdigest()[:16]}")
    if not os.path.exists(path):
        output([needed("gcc", "gcc"), "-D_GNU_SOURCE", "-std=gnu11", "-O2", "-static", "-o", path + ".new", source],
               "building the virtual machine's init (gcc and libc6-dev are needed)")
        os.rename(path + ".new", path)
    return path


class Kernel:
    """A kernel in the cache."""

    def __init__(self, release):
        self.release = release
        self.folder = os.path.join(KERNELS, release)
        self.image = os.path.join(self.folder, "vmlinux")
        self.packed = os.path.join(self.folder, "vmlinuz")  # only what unpacks itself gets another address (KASLR)
        self.modules = os.path.join(self.folder, "modules")
        self.debug = os.path.join(self.folder, "debug")  # with prepare_debug: a root with usr/lib/debug

    def initramfs(self):
        """Written anew if the init program has changed."""
        init = _init()
        path = os.path.join(self.folder, os.path.basename(init) + ".cpio")
        if not os.path.exists(path):
            with open(init, "rb") as file:
                entries = [("init", 0o100755, file.read()), ("modules", 0o040755, b"")]
            for number, module in enumerate(_early_modules(self.modules, self.release)):
                name = re.sub(r"\.(xz|zst)$", "", os.path.basename(module))
                entries.append((f"modules/{number:02}-{name}", 0o100644, _module_text(module)))
            with open(path + ".new", "wb") as file:
                file.write(_cpio(entries))
            os.rename(path + ".new", path)
        return path


def cached(series):
    """The newest kernel of a series that has been prepared, or None."""
    try:
        return Kernel(os.readlink(os.path.join(KERNELS, series)))
    except OSError:
        return None


def _build(archive, series, release, folder):
    debs = archive.download(series, folder)
    for deb in debs:
        output(["dpkg-deb", "-x", deb, os.path.join(folder, "tree")], f"unpacking {os.path.basename(deb)}")
        os.unlink(deb)
    tree = os.path.join(folder, "tree")
    roots = [path for path in (os.path.join(tree, "usr/lib/modules"), os.path.join(tree, "lib/modules"))
             if os.path.isdir(os.path.join(path, release))]
    images = [path for path in (os.path.join(tree, "boot", f"vmlinuz-{release}"),
                                *[os.path.join(root, release, "vmlinuz") for root in roots]) if os.path.exists(path)]
    if not roots or not images:
        raise VmError(f"the packages of kernel {release} hold no image or no modules where they are expected")
    with open(os.path.join(folder, "vmlinux"), "wb") as file:
        file.write(_unpack_image(images[0]))
    os.rename(images[0], os.path.join(folder, "vmlinuz"))
    if len(roots) > 1:
        output(["cp", "-a", os.path.join(roots[1], release), roots[0]], "putting the modules together")
    # depmod wants them in lib/modules of some root.
    os.makedirs(os.path.join(folder, "lib"))
    os.rename(roots[0], os.path.join(folder, "lib/modules"))
    output([needed("depmod", "kmod"), "-b", folder, release], "listing the modules' dependencies")
    os.rename(os.path.join(folder, "lib/modules"), os.path.join(folder, "modules"))
    os.rmdir(os.path.join(folder, "lib"))
    shutil.rmtree(tree)


def prepare(archive, series):
    """Downloads and unpacks the newest kernel of a series, unless it is here."""
    release = archive.release(series)
    kernel = Kernel(release)
    if not os.path.exists(kernel.packed):
        os.makedirs(KERNELS, exist_ok=True)
        print(f"fetching kernel {release}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=KERNELS) as folder:
            whole = os.path.join(folder, release)
            os.mkdir(whole)
            _build(archive, series, release, whole)
            if os.path.exists(kernel.folder):  # by an earlier version, which kept no vmlinuz
                os.rename(os.path.join(whole, "vmlinuz"), kernel.packed)
            else:
                os.rename(whole, kernel.folder)
    kernel.initramfs()
    link = os.path.join(KERNELS, series)
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(release, link)
    return kernel


def prepare_debug(series):
    """A kernel of a series with its debug information and that of its network modules (400 MB), unless it is here.

    If it isn't, it is the newest: the archive has no debug information of others.
    """
    kernel = cached(series)
    if kernel and os.path.exists(kernel.debug) and os.path.exists(kernel.packed):
        return kernel
    archive = Archive()
    kernel = prepare(archive, series)
    if os.path.exists(kernel.debug):
        return kernel
    print(f"fetching the debug information of kernel {kernel.release} (300 MB)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=KERNELS) as folder:
        tree = os.path.join(folder, "debug")
        os.mkdir(tree)
        for deb in archive.download_debug(kernel.release, folder):
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as unpacker:
                output(["tar", "-x", "-C", tree, "--wildcards", "./usr/lib/debug/boot/*",
                        "./usr/lib/debug/lib/modules/*/kernel/net/*"],
                       f"unpacking {os.path.basename(deb)}", stdin=unpacker.stdout)
        os.rename(tree, kernel.debug)
    return kernel
