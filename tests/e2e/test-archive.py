#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The output cof-file: what is stored is in its files, and reading them gives an equal database."""
import glob
import gzip
import json
import os
import re
import shutil
import signal
import subprocess

import generate
from cofdtest import DEADLINE, SANITIZED, Skip, case, check, equal, main, until

RECORDS = int(os.environ.get("COFD_TEST_LINES", "4000" if SANITIZED else "20000"))
# What is written at once, where a machine that stood still has made the archive late.
FRAME = 1 << 20


def conf(world, archive, chain="window_time = 20ms", name="cofd.conf", counts="add", stop="60s"):
    return world.write(name, """[cofd]
state_dir = %s
stop_timeout = %s
[input.in]
plugin = cof-file
path = %s
follow = yes
counts = %s
[storage.db]
plugin = rocksdb
path = %s
[output.api]
plugin = rest
listen = 127.0.0.1:0
[output.arc]
plugin = cof-file
%s
[chain.main]
route = in -> db -> api, arc
%s
""" % (world.path("state"), stop, world.path("in.ndjson"), counts, world.path("db"), archive, chain))


def content(path):
    with open(path, "rb") as data:
        raw = data.read()
    if raw[:4] == b"\x28\xb5\x2f\xfd":
        if shutil.which("zstd") is None:
            raise Skip("zstd is not installed")
        raw = subprocess.run(["zstd", "-dc", "-"], input=raw, capture_output=True, check=True,
                             timeout=DEADLINE).stdout
    elif raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    check(raw.endswith(b"\n"), "%s ends with a whole line" % path)
    return raw.decode("ascii").splitlines(keepends=True)


def peek(path):
    """As content(), of a file that is being written: nothing while its end is under way."""
    try:
        return content(path)
    except (AssertionError, EOFError):
        return []


def files(world):
    return sorted(glob.glob(world.path("arc", "*")))


def lines(world):
    return [line for path in files(world) for line in content(path)]


def counted(records):
    return sum(one["count"] for one in records)


def export(world, name="cofd.conf"):
    done = world.done("export", "-c", world.path(name), "--from", "db")
    return sorted(done.stdout.splitlines())


def replay(world, paths):
    """An export of a fresh database that the files were imported into."""
    other = world.write("replay.conf", """[storage.db]
plugin = rocksdb
path = %s
[input.in]
plugin = cof-file
path = -
[chain.main]
route = in -> db
""" % world.path("replayed"))
    shutil.rmtree(world.path("replayed"), ignore_errors=True)
    world.done("import", "-c", other, *paths)
    return export(world, "replay.conf")


def run_all(world, archive, records=RECORDS, **options):
    """Store generated records in steps, to a stop; returns the objects."""
    made = generate.write(world.path("in.ndjson"), records)
    server = world.serve(conf(world, archive, **options))
    server.wait_stored(records)
    server.stop()
    return made


def whole_round(world, compression, suffix):
    made = run_all(world, "directory = %s\ncompression = %s\nrotate_size = %d\n"
                   % (world.path("arc"), compression, RECORDS * 4),
                   chain="window_time = 20ms\nwindow_records = 500")
    paths = files(world)
    check(len(paths) >= 3, "%d files" % len(paths))
    for path in paths:
        check(re.fullmatch(r"arc-\d{8}T\d{6}Z-\d{4}\.ndjson" + re.escape(suffix),
                           os.path.basename(path)), path)
        size = os.path.getsize(path)
        check(size < RECORDS * 4 + FRAME, "the size of %s: %d" % (path, size))
    equal(os.listdir(world.path("arc")), [os.path.basename(p) for p in
                                          sorted(paths, key=lambda p: os.listdir(
                                              world.path("arc")).index(os.path.basename(p)))],
          "nothing else is left")
    have = lines(world)
    equal(sum(json.loads(line)["count"] for line in have), sum(one["count"] for one in made),
          "counts in all lines")
    equal(replay(world, paths), export(world), "database after the replay")


@case("%d records in files rotated by size: the replay gives an equal database" % RECORDS)
def plain(world):
    whole_round(world, "none", "")


@case("the same, packed by gzip")
def gzipped(world):
    whole_round(world, "gzip", ".gz")


@case("the same, packed by zstd")
def zstd(world):
    whole_round(world, "zstd", ".zst")


@case("totals are in the lines: a replay with counts = add gives them too")
def totals(world):
    made = generate.write(world.path("in.ndjson"), 2000)
    server = world.serve(conf(world, "directory = " + world.path("arc"), counts="total"))
    server.wait_stored(2000)
    server.stop()
    want = generate.model(made, total=True)
    have = {(r["rrname"], r["rrtype"], r["rdata"]): [r["time_first"], r["time_last"], r["count"]]
            for r in map(json.loads, replay(world, files(world)))}
    equal(have, want, "records")


@case("a file is complete after rotate_time, also when nothing more comes, and on SIGHUP")
def by_time(world):
    first = counted(generate.write(world.path("in.ndjson"), 10))
    server = world.serve(conf(world, "directory = %s\nrotate_time = 1s" % world.path("arc")))
    # Each in one file, or in more where cofd stood still between two windows.
    until(lambda: counted(map(json.loads, lines(world))) == first, "a file")
    before = len(files(world))
    second = list(generate.observations(10, seed=2))
    with open(world.path("in.ndjson"), "a", encoding="ascii") as out:
        for one in second:
            out.write(json.dumps(one) + "\n")
    until(lambda: counted(map(json.loads, lines(world))) == first + counted(second), "a second one")
    check(len(files(world)) > before, "what came later is in another file")
    server.stop()
    before = len(files(world))
    server = world.serve(conf(world, "directory = %s\nrotate_time = 0\nrotate_size = 0"
                              % world.path("arc")))
    with open(world.path("in.ndjson"), "a", encoding="ascii") as out:
        out.write(json.dumps(next(generate.observations(1, seed=3))) + "\n")
    until(lambda: server.metric("arc", "lines") == 1, "a line")
    equal(len(files(world)), before, "files that are complete")
    server.send(signal.SIGHUP)
    until(lambda: len(files(world)) == before + 1, "one more")
    server.stop()
    want = first + counted(second) + counted(generate.observations(1, seed=3))
    equal(counted(map(json.loads, lines(world))), want, "counts in all lines")


@case("one file: appended to over runs, opened anew on SIGHUP after it was moved away")
def one_file(world):
    path = world.path("arc.ndjson.gz")
    setting = "path = %s\ncompression = gzip\nfsync = never" % path
    run_all(world, setting, 100)
    first = content(path)
    with open(world.path("in.ndjson"), "a", encoding="ascii") as out:
        for one in generate.observations(100, seed=2):
            out.write(json.dumps(one) + "\n")
    server = world.serve(conf(world, setting))
    server.wait_stored(200)
    until(lambda: sum(json.loads(l)["count"] for l in peek(path)) == sum(
        one["count"] for seed in (1, 2) for one in generate.observations(100, seed=seed)), "all")
    until(lambda: server.metric("arc", "queue") == 0, "the queue to be empty")
    os.rename(path, path + ".1")
    before = server.metric("arc", "lines")
    server.send(signal.SIGHUP)
    server.wait_log("reloaded")
    with open(world.path("in.ndjson"), "a", encoding="ascii") as out:
        out.write(json.dumps(next(generate.observations(1, seed=3))) + "\n")
    until(lambda: server.metric("arc", "lines") == before + 1, "one line more")
    server.stop()
    equal(len(content(path)), 1, "lines in the new file")
    check(content(path + ".1")[:len(first)] == first, "the old one was appended to")


def killed(world, compression):
    """Kill it again and again; with fsync = each, what it stored is in whole files at the end."""
    archive = "directory = %s\ncompression = %s\nfsync = each" % (world.path("arc"), compression)
    path = world.write("in.ndjson", "")
    made = list(generate.observations(RECORDS // 2))
    step = len(made) // 5
    for turn in range(5):
        server = world.serve(conf(world, archive, "window_time = 20ms\nwindow_records = 100"))
        before = server.info()["stats"]
        with open(path, "a", encoding="ascii") as out:
            for one in made[turn * step:(turn + 1) * step]:
                out.write(json.dumps(one) + "\n")
        server.wait_stored(before + step // 2)
        server.kill()
    server = world.serve(conf(world, archive))
    # Some kill fell into a file that was begun; not each must.
    until(lambda: any("finished what an earlier run left" in line for line in world.log()),
          "a file to be finished that a kill left")
    # Counts in the storage do not say that all is stored: what was in hand at a kill is there twice.
    world.wait_read(path)
    server.stop()
    want = generate.model(made)
    have = generate.model(map(json.loads, lines(world)))
    equal(set(have), set(want), "tuples in the archive")
    for key, value in want.items():
        check(have[key][0] == value[0] and have[key][1] == value[1], "times of %r" % (key,))
        check(have[key][2] >= value[2], "%r: %d in the archive, %d stored" %
              (key, have[key][2], value[2]))


@case("killed five times, with fsync = each: nothing that was stored is missing in the files")
def killed_plain(world):
    killed(world, "none")


@case("the same, packed by zstd: files are cut at their last whole frame")
def killed_zstd(world):
    killed(world, "zstd")


@case("the same, packed by gzip")
def killed_gzip(world):
    killed(world, "gzip")


@case("what a crash left is cut at its last whole line or frame, and strangers are left alone")
def recovery(world):
    os.makedirs(world.path("arc"))
    good = b'{"a": 1}\n{"a": 2}\n'
    stamp = "20260131T120000Z-0001.ndjson"
    parts = {".arc-%s.part" % stamp: good + b'{"a": 3',
             ".arc-%s.gz.part" % stamp: gzip.compress(good) + gzip.compress(good)[:-9],
             ".arc-%s.part" % stamp.replace("-0001", "-0002"): b'{"a": ',
             ".arc-x-%s.part" % stamp: good + b"half", ".other-%s.part" % stamp: good + b"half"}
    for name, data in parts.items():
        world.write("arc/" + name, data)
    world.write("in.ndjson", "")
    server = world.serve(conf(world, "directory = " + world.path("arc")))
    server.stop()
    equal(sorted(os.listdir(world.path("arc"))),
          sorted(["arc-" + stamp, "arc-%s.gz" % stamp, ".arc-x-%s.part" % stamp,
                  ".other-%s.part" % stamp]), "files")
    for path in files(world):
        equal("".join(content(path)).encode(), good, path)
    with open(world.path("arc", ".other-%s.part" % stamp), "rb") as other:
        equal(other.read(), good + b"half", "the stranger")


@case("a full disk: logged once, counted, tried again; nothing is missing when there is room")
def full_disk(world):
    path = world.path("arc.ndjson")
    os.symlink("/dev/full", path)
    world.write("in.ndjson", "")
    server = world.serve(conf(world, "path = %s\nqueue_bytes = 1M" % path,
                              "window_time = 20ms\nwindow_records = 1000"))
    made = generate.write(world.path("in.ndjson"), RECORDS)
    server.wait_log(r"arc.ndjson: cannot be written: No space left on device; trying again")
    until(lambda: server.metric("arc", "retries") >= 2, "repetitions")
    # The chain waits with the archive, and no more than its queue is stored without it.
    equal(server.metric("arc", "dropped"), 0, "dropped")
    os.unlink(path)
    server.wait_stored(RECORDS)
    server.wait_log("writing works again")
    server.stop()
    equal(len([line for line in server.log() if "trying again until" in line]), 1, "lines of log")
    have = [json.loads(line) for line in content(path)]
    equal(sum(one["count"] for one in have), sum(one["count"] for one in made), "counts")


@case("overflow = drop: the chain goes on, what is left out is counted and logged")
def drop(world):
    path = world.path("arc.ndjson")
    os.symlink("/dev/full", path)
    records = max(RECORDS, 16000)
    generate.write(world.path("in.ndjson"), records, unique=records)
    server = world.serve(conf(world, "path = %s\nqueue_bytes = 1M\noverflow = drop" % path,
                              "window_time = 20ms\nwindow_records = 1000"))
    server.wait_stored(records)
    server.wait_log("the queue is full; lines are dropped")
    world.wait_read(world.path("in.ndjson"))  # then the archive was told of the last window, too
    dropped, folded = server.metric("arc", "dropped"), server.metric("main", "folded")
    os.unlink(path)
    server.wait_log("writing works again")
    until(lambda: server.metric("arc", "queue") == 0, "the queue to be written")
    server.stop()
    check(dropped > 0, "some were dropped")
    equal(len(content(path)) + dropped + folded, records, "lines written and dropped")


@case("a stop with a full disk ends in time and says what is lost")
def stop_full(world):
    path = world.path("arc.ndjson")
    os.symlink("/dev/full", path)
    generate.write(world.path("in.ndjson"), 1000)
    setting = conf(world, "path = " + path, stop="1s")
    for turn in range(10):
        server = world.serve(setting)
        with open(world.path("in.ndjson"), "a", encoding="ascii") as out:
            out.write(json.dumps(next(generate.observations(1, seed=turn + 2))) + "\n")
        server.wait_log("trying again until")
        server.send(signal.SIGTERM)
        status = server.wait()
        if status == 0 or not any("blocks past its deadline" in line for line in server.log()):
            break
        # It may have stood still itself from before its deadline until long after that.
    equal(status, 0, "status")
    check(any("could not write all in time" in line for line in server.log()), "it says so")


@case("wrong settings are errors that name them; a file that is none of ours is left alone")
def settings(world):
    world.write("in.ndjson", "")

    def problem(archive):
        done = world.run("check", "-c", conf(world, archive))
        check(done.returncode != 0, "%s passed the check" % archive)
        return done.stderr + done.stdout
    check("expected one of them" in problem("compression = gzip"), "neither path nor directory")
    check("expected one of them" in problem("path = a\ndirectory = b"), "both")
    check("letters, digits" in problem("directory = a\nprefix = ../x"), "prefix")
    check("zstd" in problem("directory = a\ncompression = lz4"), "compression")
    strange = world.write("strange", "#!/bin/sh\nexit 0\n")
    server = world.start(conf(world, "path = " + strange))
    server.wait_log("does not begin as a file with this compression does; move it away")
    check(server.wait() != 0, "it does not run")
    with open(strange, encoding="ascii") as text:
        equal(text.read(), "#!/bin/sh\nexit 0\n", "the stranger")
    server = world.start(conf(world, "directory = /proc/nothing/here"))
    server.wait_log("directory /proc/nothing/here cannot be made or used")
    check(server.wait() != 0, "it does not run")


if __name__ == "__main__":
    main()
