#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""A Redis behind Sentinel: questions go to the replica, and ingest goes on after a failover."""
import json
import os
import subprocess

import generate
from cofdtest import SANITIZED, case, check, die_with_parent, equal, main, until
from redisproc import Client, Redis, hold_port, need_redis

RECORDS = 1000 if SANITIZED else 5000


class Watched:
    """A master, its replica, and a sentinel that watches them."""

    def __init__(self, world):
        need_redis()
        quick = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        self.master = Redis(world, "master", *quick)
        self.replica = Redis(world, "replica", *quick, "--replicaof",
                             "127.0.0.1 %d" % self.master.port)
        until(lambda: self.replica.do("ROLE")[3] == b"connected", "a replica in step")
        self.port = hold_port(world)
        conf = world.write("sentinel/sentinel.conf", "\n".join((
            "port %d" % self.port, "bind 127.0.0.1", "dir " + world.path("sentinel"),
            "sentinel monitor pdns 127.0.0.1 %d 1" % self.master.port,
            # Until lose_master(), so that a crowded machine is taken for no lost master.
            "sentinel down-after-milliseconds pdns 600000",
            "sentinel failover-timeout pdns 10000")) + "\n")
        self.process = subprocess.Popen(["redis-server", conf, "--sentinel"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        world.cleanups.append(self.end)
        until(self.knows_replica, "a sentinel that has reached the replica")

    def knows_replica(self):
        try:
            client = Client(self.port)
        except OSError:
            return False
        found = client.many([("SENTINEL", "replicas", "pdns")], errors=True)[0]
        client.close()
        if not isinstance(found, list) or len(found) != 1:
            return False
        flags = dict(zip(found[0][::2], found[0][1::2]))[b"flags"]
        return flags == b"slave"

    def in_step(self):
        return self.replica.do("ROLE")[4] >= self.master.do("ROLE")[1]

    def lose_master(self):
        """The master dies, and is missed soon."""
        self.master.kill()
        client = Client(self.port)
        # The replica may stand still for seconds and is still the one to become master. A sentinel
        # that stood still does nothing for 30 s; older ones cannot be told otherwise.
        client.many([("SENTINEL", "DEBUG", "tilt-trigger", "600000")], errors=True)
        client.do("SENTINEL", "SET", "pdns", "down-after-milliseconds", "4000")
        client.close()

    def end(self):
        self.process.kill()
        self.process.wait()


def calls(redis, command):
    """How often a server carried out a command."""
    for line in redis.do("INFO", "commandstats").decode().splitlines():
        if line.startswith("cmdstat_%s:calls=" % command):
            return int(line.split("=")[1].split(",")[0])
    return 0


def stored(server):
    """Input records stored; -1 while there is nobody to ask."""
    answer = server.get("/info")
    return json.loads(answer.body)["stats"] if answer.status == 200 else -1


def asked(server, names):
    store = {}
    for name in names:
        store.update(server.get("/query/" + name).model())
    return store


def through_failover(world, layout, read_command):
    redis = Watched(world)
    conf = world.write("cofd.conf", "\n".join((
        "[cofd]", "state_dir = " + world.path("state"),
        "[input.in]", "plugin = cof-file", "path = %s/*.ndjson" % world.path("feed"),
        "follow = yes",
        "[storage.db]", "plugin = redis", "mode = sentinel", "server = 127.0.0.1:%d" % redis.port,
        "master = pdns", "read_from = replica", "layout = " + layout,
        "[output.api]", "plugin = rest", "listen = 127.0.0.1:0",
        "[chain.main]", "route = in -> db -> api", "window_time = 20ms", "retry_max = 200ms")) + "\n")
    os.makedirs(world.path("feed"))
    os.makedirs(world.path("state"), exist_ok=True)
    first = generate.write(world.path("feed/1.ndjson"), RECORDS, RECORDS // 2, 1)
    server = world.serve(conf)
    # Not by counts, which are higher than the true ones where writes were repeated.
    world.wait_read(world.path("feed/1.ndjson"))
    until(redis.in_step, "the replica to have the first file")
    equal(stored(server) >= len(first), True, "the first file, as the replica tells it")
    want = generate.model(first)
    some = sorted({key[0] for key in want})[::20]
    before = calls(redis.master, read_command), calls(redis.replica, read_command)
    equal(sorted(asked(server, some)), sorted(key for key in want if key[0] in set(some)), "before")
    master, replica = (calls(redis.master, read_command) - before[0],
                       calls(redis.replica, read_command) - before[1])
    # A few at the master may be its writer's, which looks into pages that it splits.
    check(replica > 10 * master, "%d questions to the replica, %d to the master" % (replica, master))
    redis.lose_master()
    second = generate.write(world.path("feed/2.ndjson"), RECORDS, RECORDS // 2, 2)
    until(lambda: redis.replica.do("ROLE")[0] == b"master", "a failover")
    world.wait_read(world.path("feed/2.ndjson"))
    until(lambda: stored(server) >= len(first) + len(second), "the second file")
    want = generate.model(first + second)
    some = sorted({key[0] for key in want})[::20]
    have = asked(server, some)
    for key, (begin, end, count) in want.items():
        if key[0] in set(some):
            check(key in have, "%r is missing" % (key,))
            equal(have[key][:2], [begin, end], "times of %r" % (key,))
            check(have[key][2] >= count, "the count of %r" % (key,))


@case("layout compact: the replica answers; after a failover nothing is missing")
def compact(world):
    through_failover(world, "compact", "hgetall")


@case("layout d4: the replica answers; after a failover nothing is missing")
def d4(world):
    through_failover(world, "d4", "sscan")


def acknowledged(server):
    """Records that the chain counts as stored, out of /info."""
    return next(one["counters"]["stored"] for one in server.info()["plugins"]
                if one["kind"] == "chain")


@case("wait_replica = yes: nothing counts as done before a replica has it")
def confirmed(world):
    need_redis()
    master = Redis(world, "master", "--repl-diskless-sync-delay", "0")
    os.makedirs(world.path("state"))
    made = generate.write(world.path("in.ndjson"), 200, 100, 3)
    conf = world.write("cofd.conf", "\n".join((
        "[cofd]", "state_dir = " + world.path("state"),
        "[input.in]", "plugin = cof-file", "path = " + world.path("in.ndjson"), "follow = yes",
        "[storage.db]", "plugin = redis", "server = 127.0.0.1:%d" % master.port,
        "wait_replica = yes",
        "[output.api]", "plugin = rest", "listen = 127.0.0.1:0",
        "[chain.main]", "route = in -> db -> api", "window_time = 20ms", "retry_max = 200ms")) + "\n")
    server = world.serve(conf)
    until(lambda: "no replica confirmed a write within 250 ms" in "\n".join(server.log()),
          "a word of it")
    check(acknowledged(server) == 0, "nothing is stored in the chain's account")
    replica = Redis(world, "replica", "--replicaof", "127.0.0.1 %d" % master.port)
    until(lambda: acknowledged(server) == len(made), "all to be stored once a replica is there")
    check(replica.do("DBSIZE") > 0, "the replica holds it")


if __name__ == "__main__":
    main()
