#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Measures cofd against floors, small programs that do with the same libraries what must be done at
least, and against other programs of its kind. All of a row run in turns, so that they meet the same
machine; each ratio is of one turn. `./dev bench` builds what is needed and runs this. README.md here
says what the rows mean."""
import argparse
import importlib.util
import os

import bench_ingest
import bench_inputs
import bench_query
import bench_redis
import bench_websocket
from benchlib import Bench, Missing, milliseconds, rate, ratio_most, table


def measure_latency(bench):
    """p99 under a full-speed ingest against p99 at rest, by the module that measures it."""
    what, against = "/query/NAME, p99 under ingest", "the same at rest"
    if importlib.util.find_spec("bench_latency") is None:
        bench.absent(what, against, "bench_latency.py is not there")
        return
    latency = importlib.import_module("bench_latency")
    source = bench_inputs.stream(bench, bench.records)
    script = latency.write_script(source, bench.path("latency.lua"))
    sources = source, latency.write_others(source, bench.path("latency-others.ndjson"))
    turns = bench.turns(what, both=lambda: latency.once(bench, sources, script))["both"]
    rest, busy = ([turn[i] for turn in turns] for i in (0, 1))
    bench.row(what, milliseconds, [b[0] for b in busy], against, [r[0] for r in rest], ratio_most(3))
    bench.row("  answers/s meanwhile", rate, [b[1] for b in busy], against, [r[1] for r in rest])
    bench.row("  records/s taken meanwhile", rate, [b[2] for b in busy])


PARTS = {"parse": bench_ingest.rows_of_parsing, "import": bench_ingest.measure,
         "query": bench_query.measure, "latency": measure_latency, "redis": bench_redis.measure_redis,
         "kvrocks": bench_redis.measure_kvrocks, "websocket": bench_websocket.measure}


def arguments():
    parser = argparse.ArgumentParser(description="measure cofd against floors and peers")
    parser.add_argument("records", nargs="?", type=int, default=1000000)
    parser.add_argument("--big", action="store_true",
                        help="also import ten and fifty million records; needs 20 GB of disk")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=[*PARTS, "big"], action="append",
                        help="measure only this; may be repeated")
    parser.add_argument("--build", required=True, help="build directory")
    return parser.parse_args()


def measure(bench, args):
    for name, part in PARTS.items():
        if args.only is None or name in args.only:
            try:
                part(bench)
            except Missing as why:
                bench.absent(name, "", why)
    if args.big or "big" in (args.only or ()):
        bench_ingest.measure_big(bench)


def main():
    args = arguments()
    before = os.getloadavg()[0]
    bench = Bench(args)
    try:
        measure(bench, args)
    finally:
        bench.close()
    print("\n" + "\n".join(bench.texts))
    print("%d records; medians of %d rounds, with the least and the greatest ratio; %d processors, "
          "load %.1f when it began, %.1f at its end\n"
          % (bench.records, bench.rounds, os.cpu_count(), before, os.getloadavg()[0]))
    print(table(bench.rows))


if __name__ == "__main__":
    main()
