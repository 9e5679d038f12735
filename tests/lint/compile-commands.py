#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""compile_commands.json for a build directory, out of what make would do there.

    compile-commands.py BUILD      write BUILD/compile_commands.json
"""
import json
import os
import re
import shlex
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def commands(build):
    """The command that compiles each source of the programs and plugins; of its copies, one."""
    done = subprocess.run(["make", "-n", "-B", "V=1", "-o", "Makefile", "-o", "config.status", "-o",
                           "configure", "all-am"], cwd=build, check=True, capture_output=True)
    found = {}
    for line in done.stdout.decode().replace("\\\n", " ").splitlines():
        match = re.search(r"(\S*gcc\S*|\S*clang\S*|\bcc\b) .* -c -o (\S+) (?:`.*?`)?(\S+\.c)\b",
                          line)
        if match is None:
            continue
        command = line[match.start(1):].split(" &&")[0]
        words = [w for w in shlex.split(re.sub(r"`.*?`", "", command)) if w]
        words = [w for i, w in enumerate(words)
                 if not w.startswith(("-M", "-W")) and words[i - 1] not in ("-MT", "-MF")]
        near = os.path.normpath(os.path.join(build, match.group(3)))
        source = near if os.path.exists(near) else os.path.join(TOP, match.group(3))
        words[-1] = source
        found[source] = {"directory": build, "file": source, "arguments": words}
    return sorted(found.values(), key=lambda one: one["file"])


def main():
    build = os.path.abspath(sys.argv[1])
    found = commands(build)
    if not found:
        sys.exit("%s: make shows no command that compiles" % build)
    with open(os.path.join(build, "compile_commands.json"), "w", encoding="utf-8") as out:
        json.dump(found, out, indent=1)


main()
