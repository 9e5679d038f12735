# SPDX-License-Identifier: AGPL-3.0-or-later
"""The peer balboa with its RocksDB backend: started here with a configuration of its own, fed with
lines of the passivedns log through its socket, asked by GraphQL."""
import json
import os
import socket
import time
import urllib.request

from benchlib import Server, fail, free_port, size_of

LAST = "the-last-one.example"
FEEDERS = """feeder:
    - name: bench
      type: socket
      path: %s
      input_format: gamelinux
"""
LIMIT = 3600  # seconds for all lines


def programs(bench):
    """Its two programs; Missing where one is not there."""
    return bench.peer("balboa"), bench.peer("balboa-rocksdb")


def question(name):
    return json.dumps({"query": "query { entries(rrname: \"%s\") { rrname rrtype rdata time_first "
                                "time_last count sensor_id } }" % name})


class Balboa:
    """Front end and backend, with an empty database. The front end listens for GraphQL on all
    addresses, as it has no option for that; nothing here asks it but over the loopback."""

    def __init__(self, bench, peer):
        front, back = peer
        self.directory, self.port = bench.fresh("balboa"), free_port()
        os.mkdir(self.directory)
        self.socket = os.path.join(self.directory, "socket")
        feeders = bench.conf("balboa/feeders.yaml", FEEDERS % self.socket)
        backend = free_port()
        self.back = Server(bench, backend, back, "-d", self.database, "-l", "127.0.0.1", "-p",
                           str(backend), "-R")
        self.front = Server(bench, self.port, front, "serve", "-f", feeders, "-H",
                            "127.0.0.1:%d" % backend, "-l", os.path.join(self.directory, "log"), "-p",
                            str(self.port))
        self.url = self.front.url + "/query"

    @property
    def database(self):
        return os.path.join(self.directory, "db")

    def ask(self, name):
        request = urllib.request.Request(self.url, question(name).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]["entries"]

    def feed(self, path):
        """Send a file; seconds from the first octet until the line behind it is answered."""
        begin = time.monotonic()
        with socket.socket(socket.AF_UNIX) as feeder, open(path, "rb") as lines:
            feeder.connect(self.socket)
            feeder.sendfile(lines)
            feeder.sendall(b"1657878141.000000||c||s||IN||%s||A||192.0.2.1||60||1\n" % LAST.encode())
        while not self.ask(LAST):
            if time.monotonic() > begin + LIMIT:
                fail("balboa does not store all lines")
            time.sleep(0.01)
        return time.monotonic() - begin

    def stop(self):
        self.front.stop()
        self.back.stop()


def ingest(bench, peer, lines, _records):
    """Seconds for a file of lines, octets on disk once it was stopped."""
    peer = Balboa(bench, peer)
    took = peer.feed(lines)
    peer.stop()
    return took, size_of(peer.database)
