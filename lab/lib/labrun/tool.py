# SPDX-License-Identifier: GPL-2.0-or-later
"""tcpwhy as the runner sees it: wait until it is armed, read its JSON lines, end it with SIGINT."""
import base64
import json
import os
import re
import select
import signal
import subprocess
import tempfile
import time
import zlib

from lab import system

_SCALE = float(os.environ.get("LAB_PATIENCE", "1"))  # for slow builds: sanitizers, emulated machines
READY_SECONDS, VERDICT_SECONDS, EXIT_SECONDS = 15 * _SCALE, 10 * _SCALE, 20 * _SCALE


class ToolError(Exception):
    """tcpwhy did not start, broke its contract or did not end well."""


def _prepare():
    system.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Tool:
    def __init__(self, path, args, recording=None, shown=False):
        """Start it, to record into a file or not.

        shown: as a user does, with its text on the terminal, until its first verdict. See wait().
        """
        self.lines = []  # every JSON object it printed
        self._path, self._recording = path, recording
        self._rest = b""
        self._errors = tempfile.TemporaryFile()
        ready, theirs = os.pipe()
        try:
            mode, streams = ["--json"], {"stdout": subprocess.PIPE, "stderr": self._errors}
            if recording:
                mode = ["record", "-o", recording, *mode]
            if shown:
                mode, streams = ["--count", "1"], {}
            self._process = subprocess.Popen([path, *mode, "--ready-fd", str(theirs), *args],
                                             stdin=subprocess.DEVNULL, pass_fds=[theirs], preexec_fn=_prepare, **streams)
        except OSError as error:
            os.close(ready)
            raise ToolError(f"{path}: {error.strerror}") from error
        finally:
            os.close(theirs)
        try:
            if not select.select([ready], [], [], READY_SECONDS)[0]:
                raise self._broken("not ready in time")
            if not os.read(ready, 1):
                raise self._broken("ended before it was ready")
        finally:
            os.close(ready)

    def _broken(self, what):
        self.kill()
        return ToolError(f"tcpwhy {what}" + self.errors())

    def errors(self):
        """What it wrote to stderr, as an addition to a message."""
        file = self._errors.fileno()  # its position is tcpwhy's, too
        text = os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace").strip()
        return f"\n{text}" if text else ""

    @property
    def tier(self):
        """The best tier that it attached with, as it said when it was armed."""
        armed = re.search(r"armed: (\w+) tier", self.errors())
        if not armed:
            raise self._broken("did not name its tier")
        return armed[1]

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _read(self, deadline):
        """Read what is there, at most until the deadline; false at the end of its output."""
        if not select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            return True
        data = os.read(self._process.stdout.fileno(), 1 << 16)
        *complete, self._rest = (self._rest + data).split(b"\n")
        for line in complete:
            try:
                self.lines.append(json.loads(line))
            except ValueError as error:
                raise self._broken(f"printed a line that is no JSON ({error}): {line[:200]!r}") from error
        return bool(data)

    def wait(self):
        """Wait until it ends by itself, after its first verdict."""
        try:
            self._process.wait(VERDICT_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._broken("gave no verdict in time") from None

    def await_verdicts(self, enough):
        """Read until enough(lines) or for as long as a verdict may take."""
        deadline = time.monotonic() + VERDICT_SECONDS
        while not enough(self.lines) and time.monotonic() < deadline and self._read(deadline):
            pass

    def stop(self):
        """End it the way a user does; it then prints what is pending, and its summary."""
        self._process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + EXIT_SECONDS
        while self._read(deadline):
            if time.monotonic() >= deadline:
                raise self._broken("did not end after SIGINT")
        status = self._process.wait()
        if self._rest:
            raise ToolError(f"tcpwhy ended within a line: {self._rest[:200]!r}")
        if status != 0:
            raise ToolError(f"tcpwhy ended with status {status}" + self.errors())
        if not self.lines or self.lines[-1].get("type") != "summary":
            raise ToolError("tcpwhy's last line is no summary" + self.errors())

    def recording(self):
        with open(self._recording, "rb") as file:
            return base64.b64encode(zlib.compress(file.read())).decode()

    def replayed(self):
        """Every JSON object that a replay of the recording prints."""
        done = subprocess.run([self._path, "replay", "--json", self._recording], capture_output=True, text=True,
                              timeout=EXIT_SECONDS, check=False)
        if done.returncode or done.stderr:
            raise ToolError(f"tcpwhy replay ended with status {done.returncode}\n{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]
