# SPDX-License-Identifier: GPL-2.0-or-later
"""Source lines as binutils tell them, to compare tcpwhy's with."""
import os
import re
import subprocess

from kernels import needed


def _output(words, text=None):
    return subprocess.run([needed(words[0], "binutils"), *words[1:]], input=text, text=True, check=True,
                          stdout=subprocess.PIPE).stdout


def symbols(path):
    """The functions of a file: name -> [(section, address)]."""
    found = {}
    for line in _output(["nm", "--format=sysv", path]).splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 7 and fields[2] in ("t", "T", "w", "W"):
            found.setdefault(fields[0], []).append((fields[6], int(fields[1], 16)))
    return found


def lines(path, addresses, section=None, tree=""):
    """What addr2line says of each address (in the section): a list of (function, file:line), innermost first."""
    told = _output(["addr2line", "-f", "-i", "-a", *(["-j", section] if section else []), "-e", path],
                   "".join(f"{at:#x}\n" for at in addresses))
    answers = []
    for block in re.split(r"^0x[0-9a-f]+\n", told, flags=re.M)[1:]:
        rows = block.splitlines()
        answers.append([(function, os.path.normpath(re.sub(r" \(discriminator \d+\)$", "", where).replace(tree, "", 1)))
                        for function, where in zip(rows[::2], rows[1::2])])
    return answers


def tree(vmlinux, functions):
    """Where the kernel's source lay: what stands before init/main.c."""
    [(_, where)] = lines(vmlinux, [functions["start_kernel"][0][1]])[0]
    return where.rpartition("init/main.c:")[0]
