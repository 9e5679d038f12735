# SPDX-License-Identifier: AGPL-3.0-or-later
"""The row of a websocket whose messages are records."""
import re
import signal
import subprocess

import bench_inputs as inputs
from benchlib import fail, free_port, rate


class Feed:
    """A websocket server that replays a file to one client after the other."""

    def __init__(self, bench, source):
        self.port = free_port()
        self.process = subprocess.Popen([bench.program("serve-ws"), str(self.port), source],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            fail("serve-ws does not serve")

    def began(self):
        """When the client that comes next, or that came last, got its first octet."""
        return float(self.process.stdout.readline().split()[1])

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)


def floor_once(bench, feed):
    text = bench.run(bench.program("floor-lws-client"), str(feed.port), str(bench.records))[3]
    feed.began()
    return float(re.search(r"([\d.]+) messages/s", text).group(1))


def cofd_once(bench, feed):
    """cofd into a storage that keeps nothing: records a second, from the first octet of the server
    until the storage has been given all of them."""
    records = bench.records
    conf = bench.conf("ws.conf", "[input.ws]", "plugin = cof-ws", "url = ws://127.0.0.1:%d/" % feed.port,
                      "batch_time = 20ms", "[storage.null]", "plugin = null",
                      "announced = %d" % records, "[chain.main]", "route = ws -> null",
                      "window_time = 20ms")
    cofd = subprocess.Popen([bench.cofd, "run", "-c", conf], env=bench.env, stdin=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)
    lines = []
    for text in cofd.stderr:
        lines.append(text)
        found = re.search(r"%d observations at ([\d.]+)" % records, text)
        if found:
            break
    else:
        fail("cofd did not take all messages:\n" + "".join(lines))
    cofd.send_signal(signal.SIGTERM)
    cofd.stderr.read()
    cofd.wait(60)
    return records / (float(found.group(1)) - feed.began())


def measure(bench):
    feed, what = Feed(bench, inputs.stream(bench, bench.records)), "websocket into nothing, messages/s"
    turns = bench.turns(what, floor=lambda: floor_once(bench, feed), cofd=lambda: cofd_once(bench, feed))
    feed.stop()
    bench.row(what, rate, turns["cofd"], "libwebsockets, counting", turns["floor"])
