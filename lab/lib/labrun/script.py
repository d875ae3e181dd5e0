# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a scenario's Python in a fork of the runner: no interpreter to start, no modules to import and compile.

On an emulated machine these cost more than what the script does. Everything else is as if it had been started anew:
its own working directory, environment, name, open files and __main__.
"""
import gc
import importlib
import os
import runpy
import sys

import lab
from lab import system


def run(name, cwd, env, output):
    """Run the script and return its exit status, or the negative number of the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        _child(name, cwd, env, output)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _child(name, cwd, env, output):
    status = 1
    try:
        gc.freeze()  # garbage of the runner must not close files of the script
        _files(output)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        system.set_name(os.path.basename(name))
        importlib.reload(lab)  # it looks at the environment
        runpy.run_path(name, run_name="__main__")
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _files(output):
    """Input from nowhere, output to a file descriptor if given, and nothing else open."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if output is not None:
        os.dup2(output, 1)
        os.dup2(output, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
