# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the tests of faults share: the harness of tests/e2e, seeds, feeds, storages, and the comparison
of all that is stored with a model that never asked cofd.

COFD_FAULTS_LONG=1 makes the rounds many, COFD_FAULTS_SEED replays those of a failure."""
import json
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

# pylint: disable=wrong-import-position
import d4model
import generate
from cofdtest import DEADLINE, SANITIZED, check, equal, until
from d4site import QUEUE, UUID
from redisproc import Client, Redis

LONG = os.environ.get("COFD_FAULTS_LONG", "") not in ("", "0")
SEED = int(os.environ.get("COFD_FAULTS_SEED") or 0) or random.SystemRandom().randrange(1, 1 << 32)


def rounds(few, many):
    """How often: a few times in a check, many times with --long."""
    return many if LONG else few


def dice(what):
    """Random numbers of a case, and how to have the same ones again."""
    print("# %s: COFD_FAULTS_SEED=%d" % (what, SEED), flush=True)
    return random.Random("%d %s" % (SEED, what))


# --- storages ------------------------------------------------------------------------------------

class Rocks:
    """A database in a directory."""

    def __init__(self, world, directory=None, options=""):
        self.path, self.layout = directory or world.path("db"), "rocksdb"
        self.options = options

    def section(self):
        return "[storage.db]\nplugin = rocksdb\npath = %s\n%s" % (self.path, self.options)


class RedisStore:
    """A redis-server in one of the two layouts, asked directly or through something at `port`."""

    def __init__(self, world, layout="compact", options="", server=()):
        self.redis = Redis(world, "store", *server)
        self.layout, self.options, self.port = layout, options, self.redis.port

    def section(self):
        return "[storage.db]\nplugin = redis\nserver = 127.0.0.1:%d\nlayout = %s\n%s" % (
            self.port, self.layout, self.options)


STORAGES = {"rocksdb": Rocks, "redis compact": RedisStore,
            "redis d4": lambda world: RedisStore(world, "d4")}


# --- feeds: what cofd is to take, each record replayable ----------------------------------------

class FileFeed:
    """A file that grows and is followed."""

    def __init__(self, world, seed=1):
        self.path, self.seed, self.made, self.part = world.write("feed.ndjson", ""), seed, [], 0

    def section(self):
        return "[input.in]\nplugin = cof-file\npath = %s\nfollow = yes" % self.path

    def push(self, count):
        """Add so many records, the last of which nothing else is like."""
        self.part += 1
        some = list(generate.observations(count, seed=self.seed * 1000 + self.part))
        some.append({"rrname": self.mark(), "rrtype": "A", "rdata": "203.0.113.1", "time_first": 1,
                     "time_last": 1, "count": 1})
        with open(self.path, "a", encoding="ascii") as out:
            out.write("".join(json.dumps(one) + "\n" for one in some))
        self.made += some

    def mark(self):
        return "marker%d.example" % self.part

    def busy(self, server):
        return not self.taken(server)

    def taken(self, server):
        """Whether all that was pushed is stored."""
        answer = server.get("/query/" + self.mark())
        return answer.status == 200 and bool(answer.body)

    def model(self, fold_texts):  # whose texts are in lower case
        del fold_texts
        return generate.model(self.made)


class D4Feed:
    """The queue of a D4 server."""

    def __init__(self, world, seed=1):
        self.redis = Redis(world, "queue")
        self.seed, self.made, self.part, self.port = seed, [], 0, self.redis.port

    def section(self):
        # No timeout within reach of a crowded machine: what is not acknowledged comes again, and
        # counts are not exact then.
        return ("[input.in]\nplugin = d4\nserver = 127.0.0.1:%d\nuuid = %s\nbatch_entries = 200\n"
                "command_timeout = 10m" % (self.port, UUID))

    def push(self, count):
        self.part += 1
        some = list(d4model.lines(count, seed=self.seed * 1000 + self.part))
        client = Client(self.redis.port, 2)
        client.many([("LPUSH", QUEUE, text) for text in some])
        client.close()
        self.made += some

    def left(self):
        """Entries that are not stored, in the queue or in flight."""
        client = Client(self.redis.port, 2)
        try:
            return sum(client.do("LLEN", key) for key in client.keys())
        finally:
            client.close()

    def busy(self, _server):
        return self.left() > 0

    def taken(self, _server):
        return self.left() == 0

    def model(self, fold_texts):
        return d4model.Model(self.made, True, fold_texts).store


FEEDS = {"cof-file": FileFeed, "d4": D4Feed}


# --- a site: a feed, a storage, and cofd between them ---------------------------------------------

class Plant:
    """A feed and a storage, and the cofd that connects them."""

    def __init__(self, world, feed, storage, window="window_time = 10ms\nwindow_records = 200",
                 host="", rest="", more="", outputs="api"):
        os.makedirs(world.path("state"), exist_ok=True)
        self.world, self.feed, self.storage = world, feed, storage
        self.text = "\n".join((
            "[cofd]", "state_dir = " + world.path("state"), host, more, feed.section(),
            storage.section(), "[output.api]", "plugin = rest", "listen = 127.0.0.1:0", rest,
            "[chain.main]", "route = in -> db -> " + outputs, window,
            "queue_batches = 2", "retry_max = 200ms")) + "\n"
        self.conf = world.write("cofd.conf", self.text)

    def serve(self, **options):
        return self.world.serve(self.conf, **options)

    def start(self, **options):
        return self.world.start(self.conf, **options)

    def drain(self, server):
        until(lambda: self.feed.taken(server), "all records to be stored",
              DEADLINE * 10 if LONG else DEADLINE)

    def stored(self, *options):
        """All that the storage holds, by `cofd export`; no server may run on a database of files."""
        store = {}
        for line in self.world.done("export", "-c", self.conf, *options).stdout.splitlines():
            one = json.loads(line)
            key = (one["rrname"], one["rrtype"], one["rdata"])
            check(key not in store, "%r stands twice in the export" % (key,))
            store[key] = [one["time_first"], one["time_last"], one["count"]]
        return store

    def model(self):
        """What the storage has to hold."""
        return self.feed.model(self.storage.layout == "d4")

    def compare(self, exact):
        """Every record of the model is stored, and nothing else. Returns by how much counts are
        higher, which they may be where not `exact`."""
        return same(self.stored(), self.model(), exact)

    def finish(self, server, exact):
        """Wait until all is stored, stop, and compare."""
        self.drain(server)
        server.stop()
        return self.compare(exact)


def same(have, want, exact):
    """Records, times, and counts, which are exact or at least the true ones."""
    equal(sorted(set(want) - set(have))[:5], [], "records that are missing")
    equal(sorted(set(have) - set(want))[:5], [], "records that nobody sent")
    higher = 0
    for key, (first, last, count) in want.items():
        equal(have[key][:2], [first, last], "times of %r" % (key,))
        check(have[key][2] == count or (not exact and have[key][2] > count),
              "count of %r: %d, true is %d" % (key, have[key][2], count))
        higher += have[key][2] - count
    return higher


def pause(rng, most):
    """Any moment is as good: this only spreads faults over the work."""
    time.sleep(rng.random() * most)


def stopped(process):
    """Stop a process in its tracks, and wait until it is."""
    process.send_signal(signal.SIGSTOP)
    until(lambda: state(process.pid) in "Tt", "a process to stand still")


def resumed(process):
    process.send_signal(signal.SIGCONT)


def state(pid):
    """The letter that the kernel has for a process."""
    with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


def resident(pid):
    """Octets of memory that a process uses."""
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def as_root():
    return os.geteuid() == 0


__all__ = ["HERE", "LONG", "SEED", "SANITIZED", "rounds", "dice", "Rocks", "RedisStore", "STORAGES",
           "FileFeed", "D4Feed", "FEEDS", "Plant", "same", "pause", "stopped", "resumed",
           "resident", "descriptors", "as_root"]
