# SPDX-License-Identifier: AGPL-3.0-or-later
"""The files that are read: made once, and kept between runs."""
import json
import os
import subprocess
import sys

from benchlib import HERE, TOP, say

SHARED = os.environ.get("COFD_SHARED") or os.path.join(os.path.dirname(TOP), "shared")
DISTINCT = 1000000
GENCOF = os.path.join(SHARED, "bench/gencof")


def kept(bench, name, make):
    """The path of a file that make(output) writes where it is not there yet."""
    path = os.path.join(bench.data, name)
    if not os.path.exists(path):
        say("writing " + path)
        with open(path + ".part", "wb") as out:
            make(out)
        os.rename(path + ".part", path)
    return path


def unique_of(records, repeats):
    """Different records among so many, of which so many percent repeat others."""
    return max(1, records * (100 - repeats) // 100)


def stream(bench, records, repeats=50):
    """Records, so many percent of which repeat others."""
    ours = os.path.exists(GENCOF)
    unique = str(unique_of(records, repeats))
    command = [sys.executable, GENCOF, "--records", str(records), "--unique", unique] if ours else \
        [sys.executable, os.path.join(HERE, "gencof.py"), str(records), unique]
    name = "%s-%d-%d.ndjson" % ("names" if ours else "made-up", records, repeats)
    return kept(bench, name, lambda out: subprocess.run(command, stdout=out, check=True))


def distinct(bench, records):
    """As many different records: gencof makes a million, the rest are these with another label in
    front of the name, which takes minutes rather than hours."""
    part = min(records, DISTINCT)
    source = stream(bench, part, 0)

    def write(out):
        for number in range(records // part):
            subprocess.run(["sed", 's/"rrname": "/&g%d./' % number, source], stdout=out, check=True)

    return kept(bench, "distinct-%d.ndjson" % records, write)


def sensor_line(text):
    """A record as a line of the passivedns log, which D4 queues hold and balboa reads."""
    one = json.loads(text)
    return "%d.000000||c||s||IN||%s||%s||%s||60||%d" % (
        one["time_last"], one["rrname"], one["rrtype"], one["rdata"], one["count"])


def sensor_lines(bench, source):
    """The same records as such lines."""
    def write(out):
        with open(source, encoding="utf-8") as lines:
            for text in lines:
                out.write(sensor_line(text).encode() + b"\n")

    return kept(bench, os.path.basename(source).replace(".ndjson", ".log"), write)


def first_name(source):
    with open(source, encoding="utf-8") as lines:
        return json.loads(next(lines))["rrname"]


def wild(bench, records):
    """Records of as many names below wild.example."""
    path = bench.path("wild.ndjson")
    with open(path, "w", encoding="ascii") as out:
        for number in range(records):
            out.write('{"rrname": "host-%d.wild.example", "rrtype": "A", "rdata": "192.0.%d.%d", '
                      '"time_first": 1657878272, "time_last": 1657878272}\n'
                      % (number, number >> 8, number & 255))
    return path
