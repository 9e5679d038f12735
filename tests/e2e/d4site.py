# SPDX-License-Identifier: AGPL-3.0-or-later
"""A D4 server's Redis, a Redis database, and cofd between them; and how what cofd answers, and what
the database holds, compare with a model of the lines (d4model.Model)."""
import http.client
import json
import os

import d4model
from cofdtest import DEADLINE, check, equal, until
from redisproc import Redis

UUID = "6072e072-bfaa-4395-9bb1-cdb3b470d715"
QUEUE = "analyzer:8:" + UUID


class Site:
    """A D4 server's Redis, a database, and cofd between them."""

    def __init__(self, world, *redis_options):
        self.world = world
        self.queue = Redis(world, "queue")
        self.store = Redis(world, "store", *redis_options)
        self.server = None

    def conf(self, d4="", redis="", chain="window_time = 20ms", layout="layout = d4"):
        """Timeouts are out of reach: what is sent again after one may be counted twice."""
        os.makedirs(self.world.path("state"), exist_ok=True)
        return self.world.write("cofd.conf", "\n".join((
            "[cofd]", "state_dir = " + self.world.path("state"),
            "[input.queue]", "plugin = d4", "server = 127.0.0.1:%d" % self.queue.port,
            "uuid = " + UUID, "command_timeout = 10m", d4,
            "[storage.db]", "plugin = redis", "server = 127.0.0.1:%d" % self.store.port,
            "command_timeout = 5m", layout, redis,
            "[output.api]", "plugin = rest", "listen = 127.0.0.1:0", "ip_query = pivot",
            "[chain.main]", "route = queue -> db -> api", "retry_max = 200ms", chain)) + "\n")

    def serve(self, **options):
        self.server = self.world.serve(self.conf(**options))
        return self.server

    def push(self, texts, most=100000000):
        """As a D4 server does it: each line at the left, and what is too much off the right."""
        client = self.queue.client(2)
        commands = []
        for text in texts:
            commands += [("LPUSH", QUEUE, text), ("LTRIM", QUEUE, "0", str(most))]
        client.many(commands)
        client.close()

    def drained(self):
        """Wait until the queue and all in-flight lists are empty."""
        client = self.queue.client(2)
        until(lambda: not [k for k in client.keys() if k.startswith(QUEUE.encode())],
              "an empty queue")
        client.close()

    def dump(self):
        client = self.store.client()
        try:
            return d4model.dump(client)
        finally:
            client.close()


class Asker:
    """Questions over one connection."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection(*server.urls[0], timeout=DEADLINE)

    def text(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read().decode("utf-8")
        equal(answer.status, 200, "status of " + path)
        return body.splitlines()

    def model(self, path):
        store = {}
        for one in map(json.loads, self.text(path)):
            key = (one["rrname"], one["rrtype"], one["rdata"])
            check(key not in store, "%r stands twice in the answer" % (key,))
            store[key] = [one["time_first"], one["time_last"], one["count"]]
        return store


def compare(server, model, exact=True):
    """Every tuple of the model by its name. Returns by how much counts are higher."""
    ask, higher = Asker(server), 0
    for name, want in sorted(model.names().items()):
        have = ask.model("/query/" + name)
        equal(sorted(have), sorted(want), "records of " + name)
        for key, (first, last, count) in want.items():
            equal(have[key][:2], [first, last], "times of %r" % (key,))
            check(have[key][2] == count or (not exact and have[key][2] > count),
                  "count of %r: %d, want %d" % (key, have[key][2], count))
            higher += have[key][2] - count
    return higher


def compare_keys(database, model):
    """The database holds exactly what the other program would have written, and its statistics."""
    records = {k: v for k, v in database.items() if k[:2] in ("r:", "v:", "s:", "l:", "o:")}
    want = model.keys()
    equal(sorted(set(records) ^ set(want)), [], "keys of one side only")
    for key, value in want.items():
        equal(records[key], value, key)
    others = {k: v for k, v in database.items() if k not in records}
    equal(others, {"stats:processed": str(model.processed),
                   "dist:ttl": {str(t): str(n) for t, n in model.ttls.items()},
                   "dist:class": {"IN": str(model.processed)},
                   "dist:type": {str(d4model.TYPES[t]): str(n) for t, n in model.types.items()}},
          "statistics")
