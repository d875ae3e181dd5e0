#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns docs/causes/*.md into a C table: pages.py DIR OUT.c OUT.d

The first line of a page is its title, "# id: one sentence".
"""
import os
import sys


def c_string(text):
    """A C string literal, one source line per line of text."""
    out = []
    for line in text.splitlines(keepends=True):
        esc = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
        out.append('"%s"' % esc.replace("??", '?""?'))
    return "\n\t\t".join(out) or '""'


def title_of(page_id, text):
    """The sentence of the first line, without the leading id."""
    first = text.split("\n", 1)[0].lstrip("# ").strip().replace("`", "")
    if first.startswith(page_id):
        first = first[len(page_id):].lstrip(" :-\u2013\u2014")
    return first


def main():
    directory, out_c, out_d = sys.argv[1:]
    names = sorted(n for n in os.listdir(directory) if n.endswith(".md"))
    paths = [os.path.join(directory, n) for n in names]
    with open(out_c, "w", encoding="utf-8") as c:
        c.write('/* Made by tools/pages.py from docs/causes. */\n#include "cli/cli.h"\n\n')
        c.write("const struct cause_page cause_pages[] = {\n")
        for name, path in zip(names, paths):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            page_id = name[: -len(".md")]
            c.write("\t{\n\t\t%s,\n\t\t%s,\n\t\t%s,\n\t},\n"
                    % (c_string(page_id), c_string(title_of(page_id, text)), c_string(text)))
        c.write("\t{NULL, NULL, NULL},\n};\n")
    # The directory's own time changes when a page comes or goes.
    with open(out_d, "w", encoding="utf-8") as d:
        d.write("%s: %s\n" % (out_c, " ".join([directory] + paths)))


main()
