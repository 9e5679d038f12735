# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows of records written into Redis and Kvrocks, beside a loop over hiredis that writes the same keys
as the layout d4."""
import os
import re
import signal
import socket
import subprocess
import time

import bench_inputs as inputs
from bench_ingest import import_with
from benchlib import Missing, Server, fail, figure_most, free_port, plain, rate, ratio, wait_for

# A million records in the layout d4 take a GiB of Redis, and Kvrocks a minute.
REDIS_MOST = 1000000
KVROCKS_MOST = 100000
LOOP = "hiredis loop, keys of d4"


class Store:
    """A server with an empty database, and a connection to it."""

    def __init__(self, bench, plugin, port, *command):
        self.plugin, self.port = plugin, port
        self.server = Server(bench, port, *command)
        self.socket = self.stream = None
        wait_for(self.answers, command[0])

    def answers(self):
        """Whether it takes commands: a server may listen before it does."""
        try:
            self.socket = socket.create_connection(("127.0.0.1", self.port))
            self.stream = self.socket.makefile("rb")
            self.socket.sendall(b"*1\r\n$4\r\nPING\r\n")
            return self.stream.readline() == b"+PONG\r\n"
        except OSError:
            return False

    def send(self, *commands):
        """Send commands without a look at what they answer, other than errors."""
        self.socket.sendall(b"".join(b"*%d\r\n" % len(command) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in command) for command in commands))
        for _ in commands:
            answer = self.stream.readline()
            if answer.startswith(b"-"):
                fail(answer.decode())
        return answer

    def text(self, *command):
        length = int(self.send(command)[1:])
        return self.stream.read(length + 2).decode()[:-2] if length >= 0 else ""

    def sections(self, layout):
        return ["[storage.db]", "plugin = " + self.plugin, "server = 127.0.0.1:%d" % self.port,
                "layout = " + layout]

    def stop(self):
        self.stream.close()
        self.socket.close()
        self.server.stop()


class Redis(Store):
    """A redis-server that keeps nothing on disk."""

    def __init__(self, bench):
        port = free_port()
        super().__init__(bench, "redis", port, bench.peer("redis-server"), "--port", str(port),
                         "--bind", "127.0.0.1", "--save", "", "--dir", bench.tmp, "--logfile",
                         "/dev/null")
        self.empty = self.used()

    def used(self):
        return int(re.search(r"used_memory:(\d+)", self.text(b"INFO", b"memory")).group(1))

    def grown(self):
        """Octets of memory that its records take."""
        return self.used() - self.empty


class Kvrocks(Store):
    """A Kvrocks with its own defaults."""

    def __init__(self, bench):
        port, directory = free_port(), bench.fresh("kvrocks")
        os.mkdir(directory)
        conf = bench.conf("kvrocks/kvrocks.conf", "bind 127.0.0.1", "port %d" % port,
                          "dir " + directory, "daemonize no")
        super().__init__(bench, "kvrocks", port, bench.peer("kvrocks"), "-c", conf)

    def grown(self):
        return 0


def loop_once(bench, store, source):
    """The loop alone: records a second, what the store has grown by."""
    store = store(bench)
    text = bench.run(bench.program("floor-hiredis"), source, str(store.port))[3]
    grown = store.grown()
    store.stop()
    return float(re.search(r"([\d.]+) records/s", text).group(1)), grown


def import_once(bench, store, source, records, layout):
    """cofd import, from the start to the end of the program."""
    store = store(bench)
    conf = bench.conf("store.conf", *store.sections(layout), "[output.api]", "plugin = rest",
                      "[chain.main]", "route = db -> api")
    wall = import_with(bench, conf, source, records)[0]
    grown = store.grown()
    store.stop()
    return records / wall, grown


def fill_queue(queue, lines):
    queue.send((b"SELECT", b"2"))
    with open(lines, "rb") as source:
        part = source.readlines(1 << 20)
        while part:
            queue.send(*((b"LPUSH", b"queue", line.rstrip(b"\n")) for line in part))
            part = source.readlines(1 << 20)


def queue_once(bench, source, records):
    """A full D4 queue into another Redis, from the start of cofd until all is stored."""
    lines = inputs.sensor_lines(bench, source)
    queue, store = Redis(bench), Redis(bench)
    fill_queue(queue, lines)
    conf = bench.conf("queue.conf", "[cofd]", "state_dir = " + bench.tmp, "[input.d4]", "plugin = d4",
                      "server = 127.0.0.1:%d" % queue.port, "queue = queue", *store.sections("d4"),
                      "[chain.main]", "route = d4 -> db")
    begin = time.monotonic()
    cofd = subprocess.Popen([bench.cofd, "run", "-c", conf], env=bench.env,
                            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: cofd.poll() is not None or
             int(store.text(b"GET", b"stats:processed") or 0) >= records, "a D4 queue", 3600)
    wall = time.monotonic() - begin
    if cofd.poll() is not None:
        fail("cofd does not store all lines")
    cofd.send_signal(signal.SIGTERM)
    cofd.wait(60)
    queue.stop()
    grown = store.grown()
    store.stop()
    return records / wall, grown


def rows_of(bench, name, store, repeats, records, reaches, more=()):
    """Both layouts, and what else there is to run, against the loop."""
    source = inputs.stream(bench, records, repeats)
    runs = {"loop": lambda: loop_once(bench, store, source),
            "d4": lambda: import_once(bench, store, source, records, "d4"),
            "compact": lambda: import_once(bench, store, source, records, "compact")}
    runs.update({what: lambda run=run: run(bench, source, records) for what, run in more})
    turns = bench.turns("%s, %d %% repeats" % (name, repeats), **runs)
    for what, reach in reaches.items():
        title = what if what in dict(more) else "import into %s, layout %s" % (name, what)
        bench.row("%s, %d %% repeats, records/s" % (title, repeats), rate, [t[0] for t in turns[what]],
                  LOOP, [t[0] for t in turns["loop"]], reach and ratio(reach))
    return turns


def measure_redis(bench):
    records, queue = min(bench.records, REDIS_MOST), "D4 queue into Redis, layout d4"
    for repeats, least in ((0, 0.9), (50, 1.8)):
        unique = inputs.unique_of(records, repeats)
        turns = rows_of(bench, "Redis", Redis, repeats, records,
                        {"d4": least, queue: None, "compact": None}, [(queue, queue_once)])
        for layout, reach in (("d4", None), ("compact", figure_most(220))):
            bench.row("Redis, layout %s, %d %% repeats, octets a unique record" % (layout, repeats),
                      plain, [t[1] / unique for t in turns[layout]], LOOP,
                      [t[1] / unique for t in turns["loop"]], reach)


def measure_kvrocks(bench):
    records = min(bench.records, KVROCKS_MOST)
    for repeats in (0, 50):
        reaches = {"d4": 0.9, "compact": 3}
        try:
            rows_of(bench, "Kvrocks", Kvrocks, repeats, records, reaches)
        except Missing as why:
            for layout in reaches:
                bench.absent("import into Kvrocks, layout %s, %d %% repeats, records/s"
                             % (layout, repeats), LOOP, why)
