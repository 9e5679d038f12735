#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Several cofd that give each other what they store: by live feeds, archives and exports."""
import json
import os
import socket

import generate
from cofdtest import DEADLINE, SANITIZED, case, check, equal, main, until
from wsclient import WebSocket

RECORDS = int(os.environ.get("COFD_TEST_LINES", "1500" if SANITIZED else "6000"))


def reserve_port(world):
    """A free port that nobody else is given while the case runs: bound here, and not listened on,
    so that a server which sets SO_REUSEADDR, and others after it, can have it."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    world.cleanups.append(holder.close)
    return holder.getsockname()[1]


class Node:
    """A cofd with a file of its own observations, which may subscribe to others."""

    def __init__(self, world, name, node=True, live="", more=""):
        self.world, self.name, self.live, self.more = world, name, live, more
        self.port = reserve_port(world)
        self.node = "node = " + name if node else ""
        self.source = world.write("%s.ndjson" % name, "")
        self.from_others = []
        self.server = None
        os.makedirs(world.path("state-" + name))

    def conf(self):
        inputs = "".join("[input.from%d]\nplugin = cof-ws\nurl = ws://127.0.0.1:%d/\n"
                         "reconnect_min = 20ms\nreconnect_max = 200ms\n" % (n, other.port)
                         for n, other in enumerate(self.from_others))
        routes = ", ".join(["own"] + ["from%d" % n for n in range(len(self.from_others))])
        return self.world.write(self.name + ".conf", """[cofd]
state_dir = %s
%s
[input.own]
plugin = cof-file
path = %s
follow = yes
%s[storage.db]
plugin = rocksdb
path = %s
[output.api]
plugin = rest
listen = 127.0.0.1:0
[output.live]
plugin = cof-ws
listen = 127.0.0.1:%d
%s
%s
[chain.main]
route = %s -> db -> api, live%s
window_time = 20ms
""" % (self.world.path("state-" + self.name), self.node, self.source, inputs,
            self.world.path("db-" + self.name), self.port, self.live, self.more, routes,
            ", arc" if "output.arc" in self.more else ""))

    def start(self):
        self.server = self.world.serve(self.conf(), outputs=2)
        return self

    def wait_subscribers(self, count):
        until(lambda: self.server.metric("live", "subscribers") == count,
              "%d subscribers of %s" % (count, self.name))

    def feed(self, records):
        with open(self.source, "a", encoding="ascii") as out:
            out.write("".join(json.dumps(one) + "\n" for one in records))

    def wait_counts(self, total):
        """Wait until as many observations are stored here, and no fewer."""
        def enough():
            have = self.count()
            return have if have >= total else None
        have = until(enough, "%s to have %d observations" % (self.name, total))
        equal(have, total, "observations at " + self.name)

    def count(self):
        """Sum of all counts: what export would have, by a query while it runs."""
        connection = self.server.connect()
        total = 0
        for name in self.world.names:
            connection.request("GET", "/query/" + name)
            total += sum(json.loads(line)["count"]
                         for line in connection.getresponse().read().splitlines())
        connection.close()
        return total

    def export(self, path=None):
        """Dump of the stopped cofd's database."""
        done = self.world.done("export", "-c", self.world.path(self.name + ".conf"), "--from", "db",
                               *(["-o", path] if path else []))
        return sorted(done.stdout.splitlines())


def observed(world, count, seed):
    made = list(generate.observations(count, seed=seed))
    world.names = getattr(world, "names", set()) | {one["rrname"] for one in made}
    return made


def counts(records):
    return sum(one["count"] for one in records)


def subscribe(nodes):
    """Start them, and wait until all are connected."""
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait_subscribers(sum(node in other.from_others for other in nodes))


def equal_model(node, records):
    have = {(r["rrname"], r["rrtype"], r["rdata"]): [r["time_first"], r["time_last"], r["count"]]
            for r in map(json.loads, node.export())}
    equal(have, generate.model(records), "database of " + node.name)


@case("two cofd: the second has what the first stored, %d observations, equal to the last count"
      % RECORDS)
def pair(world):
    one, two = Node(world, "one"), Node(world, "two")
    two.from_others = [one]
    made = observed(world, RECORDS, 1)
    subscribe([one, two])
    one.feed(made)
    one.wait_counts(counts(made))
    two.wait_counts(counts(made))
    two.server.stop()
    one.server.stop()
    equal(two.export(), one.export(), "database of the second")
    equal_model(one, made)


@case("a third that joins late catches up by an export, and goes on by the live feed")
def late(world):
    one, two, three = (Node(world, name) for name in ("one", "two", "three"))
    two.from_others = [one]
    three.from_others = [one]
    first, second = observed(world, RECORDS, 1), observed(world, RECORDS, 2)
    again = [dict(record, time_last=record["time_last"] + 1000) for record in first[::3]]
    subscribe([one, two])
    one.feed(first)
    one.wait_counts(counts(first))
    two.wait_counts(counts(first))
    # The first is stopped for its export; meanwhile the third imports it and is made ready.
    one.server.stop()
    dump = world.path("dump.ndjson")
    one.export(dump)
    three.conf()
    world.done("import", "-c", world.path("three.conf"), dump)
    three.start()
    one.start()
    one.wait_subscribers(2)
    one.feed(second + again)
    total = counts(first) + counts(second) + counts(again)
    for node in (one, two, three):
        node.wait_counts(total)
    for node in (three, two, one):
        node.server.stop()
    equal(three.export(), one.export(), "database of the third")
    equal(two.export(), one.export(), "database of the second")
    equal_model(one, first + second + again)


@case("a ring of three: each has every observation of all, once")
def ring(world):
    nodes = [Node(world, name) for name in ("one", "two", "three")]
    for number, node in enumerate(nodes):
        node.from_others = [nodes[number - 1]]
    subscribe(nodes)
    made = [observed(world, RECORDS // 3, seed) for seed in (1, 2, 3)]
    # The same tuples from all sides at once, so that one window has several paths.
    shared = observed(world, 200, 9)
    for node, own in zip(nodes, made):
        node.feed(own)
        node.feed(shared)
    every = [one for own in made for one in own] + 3 * shared
    for node in nodes:
        node.wait_counts(counts(every))
    # A last record of each, twice: when the second ones are everywhere, all that went before has
    # come back to where it began, as it travels in order. There it was dropped, and not counted.
    for turn in range(2):
        for node in nodes:
            last = {"rrname": "end%d.%s.example" % (turn, node.name), "rrtype": "A",
                    "rdata": "192.0.2.1", "time_first": 1, "time_last": 2, "count": 1}
            node.feed([last])
            every.append(last)
            world.names.add(last["rrname"])
        for node in nodes:
            for last in every[-3:]:
                until(lambda n=node, l=last: n.server.get("/query/" + l["rrname"]).body,
                      "%s at %s" % (last["rrname"], node.name))
    for node in nodes:
        equal(node.count(), counts(every), "observations at %s in the end" % node.name)
        until(lambda n=node: n.server.metric("main", "looped") > 0,
              "records to come back to " + node.name)
    for node in nodes:
        node.server.stop()
    for node in nodes:
        equal_model(node, every)


@case("a message says by which nodes it came; one with the own name in it is dropped as looped")
def paths(world):
    one, two = Node(world, "one"), Node(world, "two", live="relay = no")
    two.from_others = [one]
    subscribe([one, two])
    with WebSocket("127.0.0.1", one.port, timeout=DEADLINE) as first, \
            WebSocket("127.0.0.1", two.port, timeout=DEADLINE) as second:
        one.wait_subscribers(2)
        two.wait_subscribers(1)

        def record(name, **more):
            return dict({"rrname": name, "rrtype": "A", "rdata": "192.0.2.1", "time_first": 1,
                         "time_last": 2, "count": 3}, **more)
        one.feed([record("own.example")])
        equal(first.receive(), record("own.example", cofd_via="one"), "an own record")
        one.feed([record("came.example", cofd_via="far,near")])
        equal(first.receive()["cofd_via"], "far,near,one", "a path")
        one.feed([record("own.example", cofd_via="x"), record("own.example", cofd_via="y"),
                  record("own.example"), record("own.example", cofd_via="x", count=5)])
        parts = {}
        while sum(parts.values()) < 14:  # in three messages, or more where a window ended between
            part = first.receive()
            parts[part["cofd_via"]] = parts.get(part["cofd_via"], 0) + part["count"]
        equal(parts, {"x,one": 8, "y,one": 3, "one": 3}, "counts by path")
        one.feed([record("loop.example", cofd_via="x,one,y")])
        until(lambda: one.server.metric("main", "looped") == 1, "a loop")
        equal(one.server.get("/query/loop.example").body, b"", "it is not stored")
        for bad in ("a b", "", "a,", ",".join("n%d" % n for n in range(33)), 64 * "x"):
            one.feed([record("bad.example", cofd_via=bad)])
        one.feed([record("bad.example", cofd_via=7), record("total.example", cofd_total="x")])
        until(lambda: one.server.metric("own", "rejected") == 7, "seven to be rejected")
        one.feed([record("total.example", count=0, cofd_total=70)])
        equal(first.receive(), record("total.example", count=0, cofd_total=70, cofd_via="one"),
              "a total")
        world.names = {"own.example", "came.example", "total.example"}
        two.wait_counts(one.count())
        # relay = no: only its own go out from the second.
        two.feed([record("two.example")])
        equal(second.receive(), record("two.example", cofd_via="two"), "the second's own")


@case("a full mesh with relay = no: each observation once at each node")
def mesh(world):
    nodes = [Node(world, name, live="relay = no") for name in ("one", "two", "three")]
    for node in nodes:
        node.from_others = [other for other in nodes if other is not node]
    subscribe(nodes)
    made = [observed(world, RECORDS // 6, seed) for seed in (1, 2, 3)]
    for node, own in zip(nodes, made):
        node.feed(own)
    every = [one for own in made for one in own]
    for node in nodes:
        node.wait_counts(counts(every))
    for node in nodes:
        node.server.stop()
    for node in nodes:
        equal_model(node, every)


@case("an archive with stamp = yes feeds another node, and is dropped where it was written")
def archive(world):
    arc = "[output.arc]\nplugin = cof-file\ndirectory = %s\nstamp = yes\n" % world.path("arc")
    one, two = Node(world, "one", more=arc), Node(world, "two")
    made = observed(world, RECORDS // 6, 1)
    one.start()
    one.feed(made)
    one.wait_counts(counts(made))
    one.server.stop()
    paths_ = [world.path("arc", name) for name in sorted(os.listdir(world.path("arc")))]
    two.conf()
    world.done("import", "-c", world.path("two.conf"), *paths_)
    equal(two.export(), one.export(), "database of the second")
    before = one.export()
    world.done("import", "-c", world.path("one.conf"), *paths_)
    equal(one.export(), before, "database of the first")


@case("a node's name that is none is an error that says what one is")
def names(world):
    for number, name in enumerate(("a b", "a,b", 64 * "x")):
        node = Node(world, "n%d" % number)
        node.node = "node = " + name
        done = world.run("check", "-c", node.conf())
        check(done.returncode != 0 and "1 to 63 letters, digits, dots" in done.stderr + done.stdout,
              done.stderr)


if __name__ == "__main__":
    main()
