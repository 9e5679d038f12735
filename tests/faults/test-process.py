#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What befalls a process: signals, limits, swarms of clients, clocks that jump."""
import os
import random
import resource
import signal
import socket
import threading
import time

from faults import FEEDS, HERE, SANITIZED, STORAGES, Plant, Rocks, descriptors, dice, pause, resumed, \
    rounds, stopped
import dnstapwire as wire
import sdkbuild
from cofdtest import DEADLINE, Skip, case, check, equal, main, until


def ended(server):
    """It ended well, or before it had begun to do anything: then the signal has its usual effect."""
    status = server.wait()
    check(status == 0 or (status in (-signal.SIGTERM, -signal.SIGINT) and not server.log()),
          "exit status %d after a signal" % status)


@case("SIGTERM under load, again and again, at times before it serves: exact counts")
def terminated(world):
    rng = dice("terminated")
    plant = Plant(world, FEEDS["d4"](world), STORAGES["redis compact"](world))
    for _ in range(rounds(5, 100)):
        plant.feed.push(1000)
        server = plant.start()
        number = signal.SIGTERM  # libtool's script, by which a build tree starts it, ignores SIGINT
        if rng.random() < 0.6:
            server.ready()
            number = rng.choice((signal.SIGTERM, signal.SIGINT))
        pause(rng, 0.1)
        server.send(number)
        ended(server)
    equal(plant.finish(plant.serve(), exact=True), 0, "counts above the true ones")


@case("SIGTERM under load with a file and RocksDB: exact counts")
def terminated_file(world):
    rng = dice("terminated with a file")
    plant = Plant(world, FEEDS["cof-file"](world), STORAGES["rocksdb"](world))
    for _ in range(rounds(5, 100)):
        plant.feed.push(1000)
        server = plant.start()
        if rng.random() < 0.6:
            server.ready()
        pause(rng, 0.1)
        server.send(signal.SIGTERM)
        ended(server)
    equal(plant.finish(plant.serve(), exact=True), 0, "counts above the true ones")


@case("SIGSTOP and SIGCONT under load, with clients that wait meanwhile: exact, and all are answered")
def paused(world):
    rng = dice("paused")
    plant = Plant(world, FEEDS["d4"](world), STORAGES["rocksdb"](world))
    server = plant.serve()
    for _ in range(rounds(5, 100)):
        plant.feed.push(1000)
        pause(rng, 0.02)
        stopped(server.process)
        connection = server.connect()
        connection.request("GET", "/query/www.d1.example")
        pause(rng, 0.1)
        resumed(server.process)
        equal(connection.getresponse().status, 200, "status of what was asked in the pause")
        connection.close()
    equal(plant.finish(server, exact=True), 0, "counts above the true ones")


def swarm(server, count):
    """So many connections at once, each of which asks as soon as it is open."""
    found = []
    for _ in range(count):
        one = socket.socket()
        one.settimeout(DEADLINE)
        one.connect(server.urls[0])
        one.sendall(b"GET /query/www.d1.example HTTP/1.1\r\nHost: x\r\n\r\n")
        found.append(one)
    return found


def leave(connections):
    for one in connections:
        one.close()


@case("out of descriptors: clients wait or are turned away, ingest goes on, and all is well after it")
def few_descriptors(world):
    plant = Plant(world, FEEDS["d4"](world), STORAGES["redis compact"](world))
    limit = 96
    server = plant.serve(under=("prlimit", "--nofile=%d" % limit))
    plant.feed.push(500)
    plant.drain(server)
    before = descriptors(server.process.pid) + 8  # connections for questions stay open
    for _ in range(rounds(2, 20)):
        crowd = swarm(server, 2 * limit)
        plant.feed.push(1000)
        until(lambda: plant.feed.left() == 0, "lines to be stored while descriptors are out")
        leave(crowd)
        until(lambda: descriptors(server.process.pid) <= before + 4, "descriptors to come back")
        equal(server.get("/query/www.d1.example").status, 200, "status afterwards")
    equal(plant.finish(server, exact=True), 0, "counts above the true ones")


def limited(server, spare):
    """Leave a server so many descriptors more than it has; returns how to lift that."""
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + spare, before[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@case("out of descriptors with RocksDB, which needs some itself: lines wait, nothing is lost")
def few_descriptors_rocksdb(world):
    plant = Plant(world, FEEDS["d4"](world), Rocks(world, options="bulk_records = 20"))
    server = plant.serve()
    plant.feed.push(500)
    plant.drain(server)
    # From now on it has no descriptor left for another file.
    lift = limited(server, 1)
    hold = swarm(server, 10)
    plant.feed.push(1500)
    server.wait_log("Too many open files")
    lift()
    leave(hold)
    plant.drain(server)
    server.stop()
    plant.compare(exact=True)


@case("out of descriptors with dnstap: peers wait, the log tells it once, and all they send is taken")
def few_descriptors_dnstap(world):
    path = world.path("tap.sock")
    server = world.serve(world.conf("[input.tap]\nplugin = dnstap\nsocket = " + path, filters=["tap"]))
    server.wait_log("taking dnstap on")
    equal(server.info()["stats"], 0, "observations")
    lift, begin = limited(server, 2), time.monotonic()
    peers = [wire.Sender(path, DEADLINE) for _ in range(10)]
    server.wait_log("cannot accept a connection: Too many open files")
    # Those accepted keep their places, so that the others have to be tried for again and again.
    time.sleep(2)
    lift()
    for number, peer in enumerate(peers):
        peer.open().send(wire.frame(wire.payload(wire.message("p%d.example" % number, answer=[
            wire.rr("p%d.example" % number, 1, wire.address("192.0.2.1"))]), zone="example")))
        peer.finish()
        peer.close()
    server.wait_stored(10)
    said = len([text for text in server.log() if "cannot accept" in text])
    check(said <= 1 + (time.monotonic() - begin) / 10, "%d lines tell of it" % said)


@case("little address space: it starts or says why it does not, and loses nothing where it dies")
def little_memory(world):
    if SANITIZED:
        raise Skip("sanitizers need all of the address space")
    plant = Plant(world, FEEDS["d4"](world), STORAGES["rocksdb"](world))
    plant.feed.push(3000)
    seen = {}
    for size in rounds((120, 220, 300, 400, 600), range(80, 900, 20)):
        server = plant.start(under=("prlimit", "--as=%d" % (size << 20)))
        until(lambda s=server: not s.running or any("listening on" in t for t in s.log()),
              "a start or an end")
        if server.running:
            server.ready()
            plant.feed.push(500)
            until(lambda s=server: not s.running or plant.feed.left() == 0, "work or an end")
        if server.running:
            server.send(signal.SIGTERM)
        status = server.wait()
        said = [text for text in server.log() if " error " in text] + server.log()[-2:]
        seen[size] = status
        check(status == 0 or said, "it ends with status %d and without a word" % status)
        print("# %4d MiB: status %d; %s" % (size, status, said[0] if status else "worked"))
    check(seen[max(seen)] == 0, "it works with %d MiB" % max(seen))
    plant.finish(plant.serve(), exact=False)


@case("swarms of clients that come, ask and go: ingest goes on, and nothing of them stays")
def swarms(world):
    rng = dice("swarms")
    plant = Plant(world, FEEDS["d4"](world), STORAGES["rocksdb"](world))
    server = plant.serve()
    before = descriptors(server.process.pid)
    over = time.monotonic() + rounds(2, 60)
    failed, seeds = [], [rng.random() for _ in range(8)]

    def client(number):
        mine = random.Random(seeds[number])
        while time.monotonic() < over:
            try:
                some = swarm(server, mine.randrange(1, 20))
                if mine.random() < 0.5:
                    for one in some:
                        one.recv(100)
                leave(some)
            except OSError as error:
                if not isinstance(error, ConnectionError):
                    failed.append(str(error))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        plant.feed.push(500)
        plant.drain(server)
    for thread in threads:
        thread.join()
    equal(failed[:3], [], "connections that hung")
    until(lambda: descriptors(server.process.pid) <= before + 4, "connections to be gone")
    equal(plant.finish(server, exact=True), 0, "counts above the true ones")


@case("the wall clock jumps by years, to and fro: ingest, questions and a stop go on as ever")
def clock(world):
    if SANITIZED:
        raise Skip("sanitizers want to be loaded first")
    shim = world.path("wallclock.so")
    sdkbuild.must(*sdkbuild.CC, "-O1", "-fPIC", "-shared", "-o", shim,
                  os.path.join(HERE, "wallclock.c"))
    plant = Plant(world, FEEDS["d4"](world), STORAGES["redis compact"](world))
    world.write("clock", "0")
    server = plant.serve(under=("env", "LD_PRELOAD=" + shim,
                                "COFD_TEST_CLOCK=" + world.path("clock")))
    day = 86400
    for jump in (400 * day, -400 * day, 0, -20 * 365 * day, 20 * 365 * day, -day, 3600):
        world.write("clock", str(jump))
        plant.feed.push(300)
        plant.drain(server)
        equal(server.get("/query/www.d1.example").status, 200, "status with a clock off by %d s" % jump)
        equal(server.get("/readyz").status, 200, "readiness with a clock off by %d s" % jump)
        mark = len(server.log())
        server.send(signal.SIGHUP)
        server.wait_log("reloaded", after=mark)
    server.stop()
    # Of a slow callback a crowded machine may be the reason.
    said = [text for text in server.log() if " warning " in text and "columns" not in text
            and "timestamp" not in text and "runs as root" not in text
            and "has been in its callback" not in text]
    equal(said, [], "warnings")
    years = {text[:4] for text in server.log() if "reloaded" in text}
    check(len(years) >= 5, "its clock did jump: years of the log are %s" % sorted(years))
    equal(plant.compare(exact=True), 0, "counts above the true ones")


if __name__ == "__main__":
    main()
