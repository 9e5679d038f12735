#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What befalls the files of RocksDB: a full disk, a read-only one, damaged files, a second process."""
import glob
import os
import shutil
import subprocess

from faults import D4Feed, FileFeed, Plant, Rocks, as_root, dice, rounds
from cofdtest import Skip, case, check, equal, main, until

# Both ways into the database: the write-ahead log, and files of their own.
WAYS = {"small batches": "", "whole files": "bulk_records = 50"}


def each(title):
    """A case for each way to write."""
    def register(function):
        for way, options in WAYS.items():
            case("%s (%s)" % (title, way))(lambda world, text=options: function(world, text))
        return function
    return register


def mount(world, size):
    """A small disk of its own; returns its directory."""
    if not as_root():
        raise Skip("only root may mount a small disk")
    path = world.path("disk")
    os.makedirs(path)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "cofd-test", path],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skip("mounting is not allowed here: " + done.stderr.strip())
    world.cleanups.append(lambda: subprocess.run(["umount", "-l", path], check=False))
    return path


def remount(path, options):
    subprocess.run(["mount", "-o", "remount," + options, path], check=True)


def fill(disk):
    """Leave no room."""
    with open(os.path.join(disk, "filler"), "wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError:
            pass


def waits(plant, server, says):
    """Something is under way that does not get into the database; questions are answered."""
    server.wait_log(says)
    server.wait_log("does not take writes")
    check(plant.feed.left() > 0, "lines stay in the queue")
    equal(server.get("/query/www.d1.example").status, 200, "status of a question meanwhile")


def told_once(server, what):
    equal(len([text for text in server.log() if what in text]), 1, "lines that have " + what)


@each("a full disk: lines wait, questions are answered, and all is stored when there is room")
def full(world, options):
    disk = mount(world, 24 << 20)
    plant = Plant(world, D4Feed(world), Rocks(world, os.path.join(disk, "db"), options))
    server = plant.serve()
    plant.feed.push(1000)
    plant.drain(server)
    fill(disk)
    plant.feed.push(2500)
    waits(plant, server, "No space left")
    os.unlink(os.path.join(disk, "filler"))
    plant.drain(server)
    server.wait_log("takes writes again")
    told_once(server, "trying again until it works")
    equal(plant.finish(server, exact=False), 0, "counts above the true ones")


@case("killed on a full disk, and started on one: an error that says so, and nothing is missing later")
def full_start(world):
    disk = mount(world, 24 << 20)
    plant = Plant(world, D4Feed(world), Rocks(world, os.path.join(disk, "db")))
    server = plant.serve()
    plant.feed.push(1000)
    plant.drain(server)
    fill(disk)
    plant.feed.push(1500)
    waits(plant, server, "No space left")
    server.kill()
    server = plant.start()
    until(lambda: not server.running or any("listening on" in t for t in server.log()), "a start or an end")
    if server.running:
        server.kill()
    else:
        equal(server.wait(), 1, "exit status on a full disk")
        check(any("No space left" in text for text in server.log()), "the reason is told")
    os.unlink(os.path.join(disk, "filler"))
    plant.finish(plant.serve(), exact=False)


@each("a disk that becomes read-only: lines wait until it can be written again")
def read_only(world, options):
    disk = mount(world, 64 << 20)
    plant = Plant(world, D4Feed(world), Rocks(world, os.path.join(disk, "db"), options))
    server = plant.serve()
    plant.feed.push(1000)
    plant.drain(server)
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    world.cleanups.insert(0, lambda: subprocess.run(["umount", "-l", disk], check=False))
    server.stop()
    remount(disk, "bind,ro")
    server = plant.start()
    equal(server.wait(), 1, "exit status on a read-only disk")
    check(any("Read-only file system" in text for text in server.log()), "the reason is told")
    remount(disk, "bind,rw")
    plant.feed.push(1500)
    server = plant.serve()
    equal(plant.finish(server, exact=True), 0, "counts above the true ones")


def data_files(plant):
    return sorted(glob.glob(os.path.join(plant.storage.path, "*.sst")))


def filled(world):
    """A database with data files, and its server stopped."""
    plant = Plant(world, FileFeed(world), Rocks(world, options="bulk_records = 50"),
                  window="window_records = 10000\nwindow_time = 1s")
    server = plant.serve()
    plant.feed.push(6000)
    plant.drain(server)
    server.stop()
    plant.compare(exact=True)
    check(data_files(plant), "there are data files")
    return plant


def flip(path, at, count=16):
    with open(path, "r+b") as file:
        file.seek(at)
        data = file.read(count)
        file.seek(at)
        file.write(bytes(c ^ 0xff for c in data))


@case("a data file with wrong octets: an error, never a wrong answer; the copy is good again")
def corrupt(world):
    plant = filled(world)
    rng = dice("corrupt")
    whole = world.path("whole")
    shutil.copytree(plant.storage.path, whole)
    want = plant.model()
    seen = {"refused": 0, "errors": 0, "right": 0}
    for _ in range(rounds(4, 100)):
        victim = max(data_files(plant), key=os.path.getsize)
        flip(victim, int(rng.random() * 0.8 * os.path.getsize(victim)))
        server = plant.start()
        until(lambda s=server: not s.running or any("listening on" in t for t in s.log()),
              "a start or an end")
        if not server.running:
            equal(server.wait(), 1, "exit status")
            check(any("orruption" in text for text in server.log()), "the reason is told")
            seen["refused"] += 1
        else:
            server.ready()
            for key in rng.sample(sorted(want), 60):
                answer = server.get("/query/" + key[0])
                check(answer.status in (200, 500, 503), "status %d" % answer.status)
                if answer.status != 200:
                    seen["errors"] += 1
                    continue
                for other, have in answer.model().items():
                    equal(have, want.get(other), "answer from a damaged database")
                seen["right"] += 1
            server.send(15)
            server.wait()
        shutil.rmtree(plant.storage.path)
        shutil.copytree(whole, plant.storage.path)
    print("# starts refused: %(refused)d; answers: %(right)d right, %(errors)d errors" % seen)
    plant.finish(plant.serve(), exact=True)


@case("a data file that is gone, or cut short: refused at start, with its name")
def gone(world):
    plant = filled(world)
    victim = data_files(plant)[0]
    whole = open(victim, "rb").read()
    for damage in (lambda: os.unlink(victim), lambda: os.truncate(victim, len(whole) // 2)):
        damage()
        server = plant.start()
        equal(server.wait(), 1, "exit status")
        check(any(os.path.basename(victim)[:6] in text for text in server.log()), "the file is named")
        with open(victim, "wb") as file:
            file.write(whole)
    plant.finish(plant.serve(), exact=True)


def log_file(plant):
    """The write-ahead log."""
    return max(glob.glob(os.path.join(plant.storage.path, "*.log")), key=os.path.getsize)


def killed_with_log(world, number):
    """A database whose records are in its write-ahead log only. What is remembered of the input is
    taken away, so that nothing is read again. Returns the model of a first part, too, and the size of
    the log once it was stored."""
    plant = Plant(world, FileFeed(world, number), Rocks(world, world.path("db%d" % number)))
    server = plant.serve()
    plant.feed.push(800)
    plant.drain(server)
    first, size = plant.model(), os.path.getsize(log_file(plant))
    plant.feed.push(100)
    plant.drain(server)
    server.kill()
    world.write("feed.ndjson", "")
    check(os.path.getsize(log_file(plant)) > size > 1000, "the records are in the log")
    return plant, first, size


@case("a write-ahead log that ends in a part of a record, zeros or noise: all before that is there")
def torn(world):
    rng = dice("torn")
    for number, kind in enumerate(("part", "zeros", "noise") * rounds(1, 20)):
        plant, first, acked = killed_with_log(world, number)
        path = log_file(plant)
        if kind == "part":
            os.truncate(path, rng.randrange(acked, os.path.getsize(path)))
        else:
            with open(path, "ab") as file:
                file.write(bytes(rng.randrange(256) if kind == "noise" else 0
                                 for _ in range(rng.randrange(1, 5000))))
        world.serve(plant.conf).stop()
        have = plant.stored()
        equal(sorted(set(first) - set(have)), [], "records of before that are missing")
        equal(sorted(set(have) - set(plant.model())), [], "records that nobody sent")
        if kind != "part":
            equal(plant.compare(exact=True), 0, "counts above the true ones")


@case("a write-ahead log that lost what was acknowledged: it starts, and has what came before")
def cut_log(world):
    plant, _, _ = killed_with_log(world, 1)
    os.truncate(log_file(plant), os.path.getsize(log_file(plant)) * 2 // 3)
    world.serve(plant.conf).stop()
    have, want = plant.stored(), plant.model()
    check(0 < len(have) < len(want), "records: %d of %d" % (len(have), len(want)))
    for key, (first, last, count) in have.items():
        check(key in want and want[key][0] <= first and last <= want[key][1] and
              count <= want[key][2], "record %r is more than was sent" % (key,))
    print("# the log cut to two thirds: %d of %d records" % (len(have), len(want)))


@case("a second process on the same path is refused and says why; the first goes on")
def second(world):
    plant = Plant(world, D4Feed(world), Rocks(world))
    server = plant.serve()
    for command in (("run", "-c", plant.conf), ("export", "-c", plant.conf)):
        done = world.run(*command)
        check(done.returncode not in (0, 2), "status %d of a second process" % done.returncode)
        check("in use by another process" in done.stderr, "it says why: " + done.stderr)
    plant.feed.push(1000)
    equal(plant.finish(server, exact=True), 0, "counts above the true ones")


if __name__ == "__main__":
    main()
