#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layout of what plugins and cofd share is as recorded, and a change of it does not pass."""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "x86_64.txt")
LIBRARY = os.path.join(os.environ.get("COFD_BUILD", "."), "sdk", ".libs", "libcofd.so")


def compare(record):
    done = subprocess.run([sys.executable, os.path.join(HERE, "layout.py"), "compare", record],
                          stdout=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode()


def compare_edited(pattern, replacement):
    """Compare with a record in which something is otherwise."""
    with open(RECORD, encoding="utf-8") as lines:
        text, count = re.subn(pattern, replacement, lines.read(), flags=re.M)
    assert count == 1, "%d places match %s" % (count, pattern)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as out:
        out.write(text)
        out.flush()
        return compare(out.name)


def exported():
    done = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], stdout=subprocess.PIPE,
                          check=True)
    return set(re.findall(r" [TW] (cof_\w+)$", done.stdout.decode(), re.M))


def recorded():
    with open(RECORD, encoding="utf-8") as lines:
        return set(re.findall(r"^function (?!typedef).*?\b(cof_\w+)\(", lines.read(), re.M))


def cases():
    status, text = compare(RECORD)
    if status == 77:
        yield None, "only the layout of x86-64 with 64 bit pointers is recorded", ""
        return
    yield status == 0, "the layout is as recorded", text
    status, text = compare_edited(r"^  120 8 const void \*ops\n", "")
    yield status == 1 and "COF_ABI_MINOR" in text, "a field that was appended is found", text
    status, text = compare_edited(r"^(struct cof_tally size 24\n)", r"\1  0 8 uint64_t gone\n")
    yield status == 1 and "COF_ABI_MAJOR" in text, "a field that is gone is found", text
    status, text = compare_edited(r"^  48 8 uint64_t count$", "  40 8 uint64_t count")
    yield status == 1 and "COF_ABI_MAJOR" in text, "a field that has moved is found", text
    status, text = compare_edited(r"ack\)\(void \*self, uint64_t", "ack)(void *self, uint32_t")
    yield status == 1 and "COF_ABI_MAJOR" in text, "a callback with other arguments is found", text
    status, text = compare_edited(r"^constant COF_REJECT 3$", "constant COF_REJECT 2")
    yield status == 1 and "COF_ABI_MAJOR" in text, "a constant with another value is found", text
    yield exported() == recorded(), "the library exports what the headers declare", \
        "not in both: %s" % sorted(exported() ^ recorded())


def main():
    bad, number = 0, 0
    for good, title, text in cases():
        number += 1
        if good is None:
            print("1..0 # SKIP " + title)
            return
        bad += not good
        for line in text.splitlines() if not good else []:
            print("# " + line)
        print("%s %d - %s" % ("ok" if good else "not ok", number, title), flush=True)
    print("1..%d" % number)
    sys.exit(1 if bad else 0)


main()
