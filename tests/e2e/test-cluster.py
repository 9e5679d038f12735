#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Ingest into a Redis Cluster of six servers while a master dies and while slots move: nothing is
lost, and everything is answered."""
import http.client
import json
import os
import shutil
import subprocess
import time

import d4model
from cofdtest import DEADLINE, SANITIZED, Skip, case, check, equal, main, until
from d4model import Model
from redisproc import Client, Redis, need_redis

LINES = int(os.environ.get("COFD_TEST_LINES") or (3000 if SANITIZED else 12000))
UUID = "6072e072-bfaa-4395-9bb1-cdb3b470d715"
QUEUE = "analyzer:8:" + UUID
# Until a master is killed, so that a crowded machine is taken for no lost one.
CALM_MS = 600000
OPTIONS = ("--cluster-node-timeout", str(CALM_MS), "--cluster-replica-validity-factor", "0",
           "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0",
           "--repl-ping-replica-period", "1")


class Cluster:
    """Three masters and a replica of each."""

    def __init__(self, world):
        need_redis()
        if shutil.which("redis-cli") is None:
            raise Skip("redis-cli is not installed")
        self.nodes = [Redis(world, "node%d" % n, *OPTIONS, cluster=True) for n in range(6)]
        command = ["redis-cli", "--cluster", "create", "--cluster-yes", "--cluster-replicas", "1"]
        done = subprocess.run(command + ["127.0.0.1:%d" % node.port for node in self.nodes],
                              capture_output=True, text=True, timeout=DEADLINE, check=False)
        equal(done.returncode, 0, "status of redis-cli, which wrote " + done.stdout[-1500:])
        until(self.whole, "a whole cluster")

    def alive(self):
        return [node for node in self.nodes if node.running]

    def whole(self):
        """Every node that lives knows a master for each slot, and every replica is in step."""
        for node in self.alive():
            info = node.do("CLUSTER", "INFO").decode()
            if "cluster_state:ok" not in info or "cluster_slots_ok:16384" not in info:
                return False
            role = node.do("ROLE")
            if role[0] == b"slave" and role[3] != b"connected":
                return False
        return True

    def masters(self):
        return [node for node in self.alive() if node.do("ROLE")[0] == b"master"]

    def slots_of(self, node):
        """Slots of a node: those it owns, without those on the move."""
        mine = next(line for line in node.do("CLUSTER", "NODES").decode().splitlines()
                    if "myself" in line)
        slots = []
        for part in mine.split()[8:]:
            if not part.startswith("["):
                first, _, last = part.partition("-")
                slots += range(int(first), int(last or first) + 1)
        return slots

    def kill_master(self, node, stored):
        """kill -9 a master; wait until its replica took over. Returns what stored() said before."""
        before = {one.port for one in self.masters()}
        count = stored()
        node.kill()
        self.miss_after(1500)
        until(lambda: len(self.masters()) == 3 and
              {one.port for one in self.masters()} != before and self.whole(), "a failover")
        self.miss_after(CALM_MS)
        return count

    def miss_after(self, ms):
        """How long a node is silent until the others take it for lost."""
        for node in self.alive():
            node.do("CONFIG", "SET", "cluster-node-timeout", ms)

    def move(self, source, target, count):
        """Move slots with all their keys, a few keys at a time, as redis-cli does it."""
        one, other = source.client(), target.client()
        ids = {node: node.do("CLUSTER", "MYID").decode() for node in (source, target)}
        for slot in self.slots_of(source)[:count]:
            other.do("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
            one.do("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
            while True:
                keys = one.do("CLUSTER", "GETKEYSINSLOT", slot, 20)
                if not keys:
                    break
                one.do("MIGRATE", "127.0.0.1", target.port, "", 0, 60000, "KEYS", *keys)
            for node in (target, source, *[m for m in self.masters() if m not in (source, target)]):
                node.do("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        one.close()
        other.close()

    def dump(self):
        found = {}
        for node in self.masters():
            client = node.client()
            found.update(d4model.dump(client))
            client.close()
        return found


class Feed:
    """A queue with lines, and cofd that takes them into the cluster."""

    def __init__(self, world, cluster, seed, option="command_timeout = 5m"):
        self.queue = Redis(world, "queue")
        self.made = list(d4model.lines(LINES, seed=seed, odd=False))
        os.makedirs(world.path("state"))
        servers = ", ".join("127.0.0.1:%d" % node.port for node in cluster.nodes[:4])
        self.server = world.serve(world.write("cofd.conf", "\n".join((
            "[cofd]", "state_dir = " + world.path("state"), "[input.queue]", "plugin = d4",
            "server = 127.0.0.1:%d" % self.queue.port, "uuid = " + UUID, "batch_entries = 200",
            "[storage.db]", "plugin = redis", "mode = cluster", "server = " + servers,
            "layout = d4", option, "[output.api]", "plugin = rest",
            "listen = 127.0.0.1:0", "[chain.main]", "route = queue -> db -> api",
            "window_time = 20ms", "window_records = 300", "retry_max = 200ms")) + "\n"))

    def push(self, first, last):
        """Push from so many tenths of the lines on to so many."""
        client = Client(self.queue.port, 2)
        part = self.made[first * len(self.made) // 10:last * len(self.made) // 10]
        client.many([("LPUSH", QUEUE, text) for text in part])
        client.close()

    def stored(self):
        answer = self.server.get("/info")
        return json.loads(answer.text)["stats"] if answer.status == 200 else 0

    def drained(self):
        client = Client(self.queue.port, 2)
        until(lambda: not client.keys(), "an empty queue")
        client.close()

    def compare(self, exact):
        """Each tuple is answered, with its times; counts are exact, or at least the true ones."""
        connection = http.client.HTTPConnection(*self.server.urls[0], timeout=DEADLINE)
        model = Model(self.made, sensor_counts=True)
        for name, want in sorted(model.names().items()):
            connection.request("GET", "/query/" + name)
            answer = connection.getresponse()
            lines = answer.read().decode().splitlines()
            equal(answer.status, 200, "status of %s, which says %s" % (name, lines))
            have = {(r["rrname"], r["rrtype"], r["rdata"]): r for r in map(json.loads, lines)}
            equal(sorted(have), sorted(want), "records of " + name)
            for key, (first, last, count) in want.items():
                one = have[key]
                equal([one["time_first"], one["time_last"]], [first, last], "times of %r" % (key,))
                check(one["count"] == count or (not exact and one["count"] > count),
                      "count of %r: %d, true is %d" % (key, one["count"], count))
        return model


@case("spread over six servers: exact, and every server has a part")
def spread(world):
    cluster = Cluster(world)
    feed = Feed(world, cluster, 31)
    feed.push(0, 10)
    feed.drained()
    model = feed.compare(exact=True)
    have, want = cluster.dump(), model.keys()
    for key, value in want.items():
        equal(have.get(key), value, key)
    equal(have["stats:processed"], str(model.processed), "stats:processed")
    sizes = [node.do("DBSIZE") for node in cluster.masters()]
    check(min(sizes) > len(have) / 6, "keys of the masters: %r" % sizes)


@case("masters killed during ingest: their replicas take over, nothing is lost")
def failover(world):
    cluster = Cluster(world)
    feed = Feed(world, cluster, 32, "wait_replica = yes\ncommand_timeout = 2s")
    feed.push(0, 3)
    until(lambda: feed.stored() > LINES * 0.05, "some of the lines to be stored")
    for number, victim in enumerate(cluster.masters()[:2]):
        feed.push(3 + number * 3, 6 + number * 3)
        begin = time.monotonic()
        count = cluster.kill_master(victim, feed.stored)
        print("# %d of %d lines were stored when a master was killed; whole again after %.1f s"
              % (count, LINES, time.monotonic() - begin))
        victim.start()
        until(cluster.whole, "the killed server to come back as a replica")
    feed.push(9, 10)
    feed.drained()
    model = feed.compare(exact=False)
    equal(len(cluster.masters()), 3, "masters")
    have = cluster.dump()
    for key, value in model.keys().items():
        check(have.get(key) == value or (key[0] == "o" and int(have[key]) > int(value)), key)


@case("slots moved during ingest: nothing is lost, nothing counted twice")
def reshard(world):
    cluster = Cluster(world)
    feed = Feed(world, cluster, 33)
    feed.push(0, 3)
    until(lambda: feed.stored() > LINES * 0.02, "some of the lines to be stored")
    masters = cluster.masters()
    count = 60 if SANITIZED else 250
    for number, (source, target) in enumerate(((0, 1), (1, 2), (2, 0))):
        feed.push(3 + number * 2, 5 + number * 2)
        cluster.move(masters[source], masters[target], count)
    feed.push(9, 10)
    feed.drained()
    model = feed.compare(exact=True)
    have = cluster.dump()
    for key, value in model.keys().items():
        equal(have.get(key), value, key)


if __name__ == "__main__":
    main()
