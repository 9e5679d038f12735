#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 at many moments of an ingest: nothing is missing afterwards."""
import json
import os
import random
import shutil
import time

import generate
from cofdtest import SANITIZED, case, check, equal, main, until

ROUNDS = 4 if SANITIZED else 10
CHUNK = 1500


def append(path, records):
    with open(path, "a", encoding="ascii") as out:
        for one in records:
            out.write(json.dumps(one) + "\n")


def marker(number):
    return {"rrname": "marker%d.example" % number, "rrtype": "A", "rdata": "203.0.113.1",
            "time_first": 1, "time_last": 1, "count": 1}


def stored(server, number):
    return bool(server.get("/query/marker%d.example" % number).body)


def verify(server, made):
    """Every tuple there, first and last exact, counts at least true. Returns how many are higher."""
    higher = 0
    for name, want in sorted(generate.by_name(generate.model(made)).items()):
        have = server.get("/query/" + name).model()
        equal(sorted(have), sorted(want), "records of " + name)
        for key, (first, last, count) in want.items():
            equal(have[key][:2], [first, last], "times of %r" % (key,))
            check(have[key][2] >= count, "count of %r: %d, at least %d" % (key, have[key][2], count))
            higher += have[key][2] > count
    return higher


@case("killed %d times while a followed file grows" % ROUNDS)
def followed(world):
    path = world.write("feed.ndjson", "")
    conf = world.conf(input="path = %s\nfollow = yes" % path,
                      chain="window_records = 150\nwindow_time = 20ms\nqueue_batches = 2")
    rng = random.Random(5)
    made = []
    for number in range(ROUNDS):
        server = world.serve(conf)
        chunk = list(generate.observations(CHUNK, seed=number))
        made += chunk + [marker(number)]
        append(path, chunk + [marker(number)])
        # Any moment is as good: the pause only spreads the kills over the work.
        time.sleep(rng.random() * 0.12)
        server.kill()
    server = world.serve(conf)
    until(lambda: stored(server, ROUNDS - 1), "the last record")
    # It may have been stored before the last kill, and what is read once more comes after it.
    world.wait_read(path)
    verify(server, made)
    # Settled now: a clean restart changes nothing more.
    before = server.info()["stats"]
    check(before >= len(made), "observations: %d of %d" % (before, len(made)))
    server.stop()
    equal(world.serve(conf).info()["stats"], before, "observations after a clean restart")


def kill_in_turns(world, conf, count):
    """Kill it once some part of so many is stored, for several parts; how many kills came in time."""
    kills = 0
    for share in (0, 0.1, 0.3, 0.6, 0.9):
        server = world.serve(conf)
        until(lambda s=server, n=share: s.info()["stats"] >= n * count, "a part to be stored")
        kills += not stored(server, 0)
        server.kill()
    return kills


@case("killed in the middle of a stored file, and again in what follows")
def stored_file(world):
    path = world.path("in.ndjson")
    made = generate.write(path, 8000 if SANITIZED else 30000)
    made.append(marker(0))
    append(path, [marker(0)])
    conf = world.conf(input="path = " + path, chain="window_records = 100\nqueue_batches = 1")
    for _ in range(20):
        if kill_in_turns(world, conf, len(made)) >= 2:
            break
        # This script stood still while all was stored.
        shutil.rmtree(world.path("db"))
        shutil.rmtree(world.path("state"))
        os.makedirs(world.path("state"))
    else:
        raise AssertionError("no two kills ever fell into the work")
    server = world.serve(conf)
    until(lambda: stored(server, 0), "the last record")
    verify(server, made)


@case("killed during an import: importing again with counts = total makes it whole and exact")
def import_again(world):
    path = world.path("in.ndjson")
    made = generate.write(path, 5000)
    conf = world.conf(input="path = %s\ncounts = total" % path, chain="window_records = 100")
    server = world.serve(conf)
    until(lambda: server.info()["stats"] > 0, "the first records")
    server.kill()
    world.done("import", "-c", conf, "-o", "counts=total", path)
    server = world.serve(world.conf(name="serve.conf"))
    for name, want in sorted(generate.by_name(generate.model(made, total=True)).items())[::3]:
        equal(server.get("/query/" + name).model(), want, "records of " + name)


if __name__ == "__main__":
    main()
