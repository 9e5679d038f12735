# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows of reading, parsing, and importing into the embedded database; what it takes on disk and in
memory."""
import os
import re
import shutil
import time

import balboa
import bench_inputs as inputs
from benchlib import (Missing, Server, fail, figure_most, free_port, mebi, median, plain, rate, ratio,
                      seconds, size_of)

C_LOOP, AS_LEFT = "RocksDB C loop", ", as left at its end"
STILL = 5  # seconds without a change of size: then a database has settled
SETTLE_LIMIT = 600
BIG, MANY, FEW = 10000000, 50000000, 1000000  # records of --big


def rows_of_parsing(bench):
    """Lines to records, beside jansson's parser on the same lines."""
    source = inputs.stream(bench, bench.records)
    turns = bench.turns("parsing", text=lambda: bench.run(bench.program("bench-parse"), source)[3])
    found = [[float(re.search(word + r" +(\d+) ", text).group(1))
              for word in ("json_loadb", "cof_reader_object")] for text in turns["text"]]
    bench.row("parse and canonicalise, records/s", rate, [f[1] for f in found], "jansson's parse alone",
              [f[0] for f in found], ratio(12))
    bench.texts.append(bench.run(bench.program("bench-canon"))[3])


def database_conf(bench, *more):
    return bench.conf("database.conf", "[storage.db]", "plugin = rocksdb", "path = " + bench.path("db"),
                      "[output.api]", "plugin = rest", *more, "[chain.main]", "route = db -> api")


def import_with(bench, conf, source, records):
    """One import, from the start of the process to its end."""
    done = bench.run(bench.cofd, "import", "-c", conf, source)
    if "%d records" % records not in done[3] or " 0 rejected" not in done[3]:
        fail("the import did not take all records: " + done[3])
    return done


def import_once(bench, source, records):
    """Into a fresh database: wall seconds, processor seconds, memory, output."""
    bench.fresh("db")
    return import_with(bench, database_conf(bench), source, records)


def floor_once(bench, source):
    return bench.run(bench.program("floor-rocksdb"), source, bench.fresh("floor"))


def balboa_or_none(bench, what):
    """Balboa's programs, or None and a row that says so."""
    try:
        return balboa.programs(bench)
    except Missing as why:
        bench.absent(what, "balboa", why)
        return None


def rows_of_repeats(bench, repeats):
    """Embedded ingest of a stream with so many percent of repeats."""
    source, records = inputs.stream(bench, bench.records, repeats), bench.records
    runs = {"floor": lambda: floor_once(bench, source),
            "cofd": lambda: import_once(bench, source, records)}
    what = "import, %d %% repeats, " % repeats
    peer = balboa_or_none(bench, what + "records/s")
    if peer:
        lines = inputs.sensor_lines(bench, source)
        runs["balboa"] = lambda: balboa.ingest(bench, peer, lines, records)
    if repeats == 50:
        runs["read"] = lambda: bench.run(bench.program("floor-read"), source)
    turns = bench.turns(what.rstrip(", "), **runs)
    show_rates(bench, what + "records/s", turns, repeats)
    if repeats == 50:
        show_sizes(bench, what, turns, inputs.unique_of(records, repeats))
    else:
        bench.row(what + "greatest memory", mebi, [t[2] for t in turns["cofd"]], C_LOOP,
                  [t[2] for t in turns["floor"]])


def show_rates(bench, what, turns, repeats):
    ours = [bench.records / t[0] for t in turns["cofd"]]
    for name, against, reach in (("balboa", "balboa", 20), ("floor", C_LOOP, 12),
                                 ("read", "reading the file alone", None)):
        if name in turns:
            bench.row(what, rate, ours, against, [bench.records / t[0] for t in turns[name]],
                      ratio(reach) if reach and repeats == 50 else None)


def show_sizes(bench, what, turns, unique):
    bench.row(what + "processor seconds", seconds, [t[1] for t in turns["cofd"]], C_LOOP,
              [t[1] for t in turns["floor"]])
    bench.row(what + "greatest memory", mebi, [t[2] for t in turns["cofd"]], C_LOOP,
              [t[2] for t in turns["floor"]])
    bench.row("disk at the end of the import, octets a unique record", plain,
              [size_of(bench.path("db")) / unique], "")
    settled = [settle(bench) / unique]
    bench.row("disk, settled, octets a unique record", plain, settled, C_LOOP + AS_LEFT,
              [size_of(bench.path("floor")) / unique], figure_most(40))
    if "balboa" in turns:
        bench.row("disk, settled, octets a unique record", plain, settled, "balboa" + AS_LEFT,
                  [turns["balboa"][-1][1] / unique])
    row_of_mtbl(bench, settled, unique)


def settle(bench):
    """The size of the database after `cofd run` has had it until its size stays the same."""
    port = free_port()
    server = Server(bench, port, bench.cofd, "run", "-c",
                    database_conf(bench, "listen = 127.0.0.1:%d" % port))
    size, since, begin = -1, 0, time.monotonic()
    while time.monotonic() < begin + SETTLE_LIMIT:
        now = size_of(bench.path("db"))
        if now != size:
            size, since = now, time.monotonic()
        elif time.monotonic() > since + STILL:
            break
        time.sleep(0.2)
    server.stop()
    return size_of(bench.path("db"))


def row_of_mtbl(bench, settled, unique):
    what, source = "disk, settled, octets a unique record", inputs.stream(bench, bench.records)
    try:
        bench.run(bench.program("floor-mtbl"), source, bench.path("mtbl"), bench.tmp)
    except Missing as why:
        bench.absent(what, "mtbl", why)
        return
    bench.row(what, plain, settled, "mtbl", [os.path.getsize(bench.path("mtbl")) / unique])


def measure(bench):
    for repeats in (0, 50, 95):
        rows_of_repeats(bench, repeats)
    shutil.rmtree(bench.path("floor"), ignore_errors=True)


def measure_big(bench):
    """Many records for memory, and many different ones for the rate."""
    source = inputs.stream(bench, BIG)
    wall, _, memory, _ = import_once(bench, source, BIG)
    what = "import of %g M, " % (BIG / 1e6)
    bench.row(what + "50 % repeats, records/s", rate, [BIG / wall])
    bench.row(what + "greatest memory", mebi, [memory], reach=figure_most(256 << 20))
    bench.row(what + "settled, octets a unique record", plain,
              [settle(bench) / inputs.unique_of(BIG, 50)], reach=figure_most(40))
    few = inputs.distinct(bench, FEW)
    rates = [FEW / import_once(bench, few, FEW)[0] for _ in range(bench.rounds)]
    wall, _, memory, _ = import_once(bench, inputs.distinct(bench, MANY), MANY)
    what = "import of %g M different records, " % (MANY / 1e6)
    bench.row(what + "records/s", rate, [MANY / wall], "%g M of them" % (FEW / 1e6), [median(rates)],
              ratio(0.7))
    bench.row(what + "greatest memory", mebi, [memory])
