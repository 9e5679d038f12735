#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""A soak: two chains take records and answer questions at half speed, and every ten seconds something
breaks. Memory and descriptors must stay flat, nothing may be missing at the end, and each kind of line
in the log is printed, so that a reader may judge whether a user would understand it.

    soak.py SECONDS
"""
import collections
import os
import re
import statistics
import sys
import threading
import time

import tcpproxy
from faults import D4Feed, FileFeed, Plant, RedisStore, Rocks, dice, resident, resumed, same, stopped
from cofdtest import case, check, main, until
from tcpproxy import Proxy

SECONDS = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 60
EVERY = 10
PUSH = 400


class Questions(threading.Thread):
    """A client that asks one question after the other, with a pause as long as the answer took: half speed."""

    def __init__(self, rng):
        super().__init__(daemon=True)
        self.rng, self.server, self.over = rng, None, False
        self.statuses = collections.Counter()

    def run(self):
        while not self.over:
            begin = time.monotonic()
            try:
                name = "/query/www.d%d.example" % self.rng.randrange(500)
                self.statuses[self.server.get(self.rng.choice((name, "/info", "/metrics"))).status] += 1
            except (OSError, AttributeError, IndexError) as error:
                self.statuses[type(error).__name__] += 1
            time.sleep(min(1, time.monotonic() - begin) + 0.01)


def opened(pid):
    """How many descriptors a process has, and how many more for tables of RocksDB: of these there are
    more the more is stored. One for a table that is deleted is none of these: it might be forgotten."""
    tables = others = 0
    for one in os.listdir("/proc/%d/fd" % pid):
        try:
            table = os.readlink("/proc/%d/fd/%s" % (pid, one)).endswith(".sst")
        except FileNotFoundError:  # closed meanwhile
            continue
        tables, others = tables + table, others + (not table)
    return others, tables


def fold(store, more):
    """Add a part of a model to the whole."""
    for key, (first, last, count) in more.items():
        have = store.setdefault(key, [first, last, 0])
        have[:] = [min(have[0], first), max(have[1], last), have[2] + count]


class Soak:
    """Both chains in one cofd, the feeds, and what breaks."""

    def __init__(self, world):
        self.rng = dice("soak")
        self.world = world
        self.feed, self.file = D4Feed(world), FileFeed(world)
        self.redis = RedisStore(world, "compact", "command_timeout = 2s")
        self.to_redis = Proxy(world, self.redis.port, seed=self.rng.random())
        self.to_queue = Proxy(world, self.feed.port, seed=self.rng.random())
        self.redis.port, self.feed.port = self.to_redis.port, self.to_queue.port
        self.rocks = Rocks(world)
        more = "\n".join((
            "[input.file]", "plugin = cof-file", "path = " + self.file.path, "follow = yes",
            self.rocks.section().replace("storage.db", "storage.files"),
            "[output.second]", "plugin = rest", "listen = 127.0.0.1:0", "[chain.files]",
            "route = file -> files -> second", "window_time = 100ms"))
        self.plant = Plant(world, self.feed, self.redis, window="window_time = 100ms", more=more)
        self.server = None
        self.models, self.counts = {self.feed: {}, self.file: {}}, collections.Counter()
        self.pushing, self.over = threading.Lock(), False  # held while nothing may be pushed
        self.lines, self.restarts, self.samples = [], 0, []
        self.asks = [Questions(self.rng), Questions(self.rng)]

    def start(self):
        self.server = self.plant.serve(outputs=2)
        places = [re.search(r"output\.(\w+): listening on http://(\S+?):(\d+)", text)
                  for text in self.server.log()]
        by_name = {m.group(1): (m.group(2), int(m.group(3))) for m in places if m}
        self.server.urls = [by_name["api"], by_name["second"]]
        for one in self.asks:
            one.server = self.server
        return self.server

    def push(self):
        """The load, with a pause as long as its making took, at least."""
        while not self.over:
            begin = time.monotonic()
            with self.pushing:
                for feed in (self.feed, self.file):
                    feed.push(PUSH)
                    fold(self.models[feed], feed.model(False))
                    self.counts[feed] += len(feed.made)
                    feed.made.clear()
            time.sleep(max(0.2, time.monotonic() - begin))

    def kept(self):
        self.lines += self.server.log()
        self.restarts += 1

    # What breaks. Each is over when it returns.

    def kill(self):
        self.server.kill()
        self.kept()
        self.start()

    def stop(self):
        self.server.stop()
        self.kept()
        self.start()

    def reload(self):
        self.server.send(1)

    def freeze(self):
        stopped(self.server.process)
        time.sleep(self.rng.random())
        resumed(self.server.process)

    def redis_dies(self):
        self.redis.redis.kill()
        time.sleep(self.rng.random() * 2)
        self.redis.redis.start()

    def redis_freezes(self):
        stopped(self.redis.redis.process)
        time.sleep(self.rng.random() * 4)
        resumed(self.redis.redis.process)

    def redis_full(self):
        self.redis.redis.do("CONFIG", "SET", "maxmemory", "1")
        time.sleep(self.rng.random() * 2)
        self.redis.redis.do("CONFIG", "SET", "maxmemory", "0")

    def cuts(self):
        for proxy in (self.to_redis, self.to_queue):
            proxy.fault = tcpproxy.cuts(200000)
            proxy.drop_all()
        time.sleep(self.rng.random() * 3)
        self.to_redis.fault = self.to_queue.fault = None

    def crumbs(self):
        self.to_redis.fault = tcpproxy.crumbs
        time.sleep(self.rng.random() * 2)
        self.to_redis.fault = None

    def nonsense(self):
        self.to_redis.fault = lambda flow, data: data if flow.up else b"HTTP/1.1 400 no\r\n" + data
        time.sleep(self.rng.random())
        self.to_redis.fault = None

    def queue_dies(self):
        with self.pushing:
            self.feed.redis.kill()
            time.sleep(self.rng.random() * 2)
            self.feed.redis.start()

    def crowd(self):
        some = [self.server.connect(self.rng.randrange(2)) for _ in range(200)]
        for one in some:
            one.connect()
        for one in some[::2]:
            one.request("GET", "/query/www.d1.example")
        time.sleep(self.rng.random())
        for one in some:
            one.close()

    def rotate(self):
        """The followed file is moved away, and begins anew."""
        with self.pushing:
            until(self.file_taken, "the file to be read")
            os.rename(self.file.path, self.file.path + ".1")
            open(self.file.path, "w", encoding="ascii").close()

    def file_taken(self):
        answer = self.server.get("/query/" + self.file.mark(), output=1)
        return answer.status == 200 and bool(answer.body)

    def sample(self):
        pid = self.server.process.pid
        others, tables = opened(pid)
        self.samples.append((self.restarts, resident(pid) >> 20, others))
        print("# %4d s: %d MiB, %d descriptors and %d of tables, after %d restarts; %d lines and %d "
              "records" % (time.monotonic() - self.begin, *self.samples[-1][1:], tables, self.restarts,
                           self.counts[self.feed], self.counts[self.file]), flush=True)

    def run(self):
        faults = [self.kill, self.stop, self.reload, self.freeze, self.redis_dies, self.redis_freezes,
                  self.redis_full, self.cuts, self.crumbs, self.nonsense, self.queue_dies, self.crowd,
                  self.rotate]
        self.begin = time.monotonic()
        next_fault, done = self.begin + EVERY, collections.Counter()
        self.start()
        threads = self.asks + [threading.Thread(target=self.push, daemon=True)]
        for one in threads:
            one.start()
        while time.monotonic() < self.begin + SECONDS:
            time.sleep(0.2)
            check(self.server.running and threads[-1].is_alive(), "cofd and its load run")
            if time.monotonic() >= next_fault:
                # Seldom anew: memory and descriptors are to be watched over a long life.
                fault = self.rng.choice(faults if self.rng.random() < 0.05 else faults[2:])
                done[fault.__name__] += 1
                fault()
                self.sample()
                next_fault = time.monotonic() + EVERY
        self.over = True
        for one in self.asks:
            one.over = True
        for one in threads:
            one.join()
        print("# faults: %s" % dict(done))
        print("# answers: %s" % dict(self.asks[0].statuses + self.asks[1].statuses))


def kinds(lines):
    """Lines of a log with what varies taken out, and how often each kind was there."""
    found = collections.Counter()
    for text in lines:
        text = re.sub(r"^\S+ ", "", text)
        text = re.sub(r"/tmp/\S*", "PATH", text)
        found[re.sub(r"\d+(\.\d+)?", "N", text)] += 1
    return found


def flat(samples):
    """Of the longest life: what the last quarter has over the second, in MiB at most, and in descriptors
    in the middle: there are more just after a crowd."""
    life = collections.Counter(one[0] for one in samples).most_common(1)[0][0]
    mine = [one for one in samples if one[0] == life]
    if len(mine) < 8:
        return None
    quarter = len(mine) // 4
    early, late = mine[quarter:2 * quarter], mine[-quarter:]
    memory, descriptors = ([[one[at] for one in part] for part in (early, late)] for at in (1, 2))
    return [max(memory[1]) - max(memory[0]),
            statistics.median(descriptors[1]) - statistics.median(descriptors[0])]


@case("%d seconds of load with a fault each %d seconds" % (SECONDS, EVERY))
def soak(world):
    run = Soak(world)
    run.run()
    server = run.server
    until(lambda: run.feed.left() == 0, "the queue to be empty")
    until(run.file_taken, "the file to be read")
    server.stop()
    run.kept()
    for text, count in sorted(kinds(run.lines).items()):
        print("# log %5d x %s" % (count, text))
    grown = flat(run.samples)
    print("# grown in the longest life: %s MiB and descriptors" % grown)
    higher = [same(run.plant.stored("--from", storage), run.models[feed], exact=False)
              for storage, feed in (("db", run.feed), ("files", run.file))]
    print("# nothing is missing of %d and %d records; counts are %d and %d above the true ones"
          % (*(len(model) for model in run.models.values()), *higher))
    if grown is not None:
        check(grown[0] <= 64, "memory grew by %d MiB" % grown[0])
        check(grown[1] <= 4, "descriptors grew by %g" % grown[1])


if __name__ == "__main__":
    main()
