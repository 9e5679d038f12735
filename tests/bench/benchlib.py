# SPDX-License-Identifier: AGPL-3.0-or-later
"""What all measurements share: directories, programs, rows and their table, servers."""
import collections
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
MIB = 1 << 20


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values)


def fail(text):
    sys.exit("bench: " + text)


class Missing(Exception):
    """A peer that is not on this machine; its rows say so."""


# What issue and README want of a row: of its ratio or of cofd's own figure, at least or at most.
Reach = collections.namedtuple("Reach", "value of_ratio most")


def ratio(value):
    return Reach(value, True, False)


def ratio_most(value):
    return Reach(value, True, True)


def figure(value):
    return Reach(value, False, False)


def figure_most(value):
    return Reach(value, False, True)


def rate(value):
    """Something a second."""
    if value >= 1e6:
        return "%.2f M" % (value / 1e6)
    return ("%.0f k" if value >= 20000 else "%.1f k" if value >= 1000 else "%.0f ") % (
        value / (1e3 if value >= 1000 else 1))


def plain(value):
    return "%.0f" % value


def mebi(value):
    return "%.0f MiB" % (value / MIB)


def seconds(value):
    return "%.1f s" % value


def milliseconds(value):
    return "%.2f ms" % (value * 1000)


class Row:
    """A line of the table: figures of cofd, and of a floor or peer in the same turns."""

    def __init__(self, what, form, ours, against="", theirs=(), reach=None):
        self.what, self.form, self.ours, self.against = what, form, list(ours), against
        self.theirs, self.reach = list(theirs), reach
        self.ratios = [o / t for o, t in zip(self.ours, self.theirs) if t]

    def verdict(self):
        reach = self.reach
        if reach is None:
            return ""
        of = self.ratios if reach.of_ratio else self.ours
        met = median(of) <= reach.value if reach.most else median(of) >= reach.value
        wanted = "%g" % reach.value if reach.of_ratio else self.form(reach.value)
        return "%s%s: %s" % ("at most " if reach.most else "", wanted, "yes" if met else "no")

    def cells(self):
        spread = "%.2f (%.2f to %.2f)" % (median(self.ratios), min(self.ratios), max(
            self.ratios)) if self.ratios else ""
        theirs = self.form(median(self.theirs)) if self.theirs else ""
        return (self.what, self.form(median(self.ours)), self.against, theirs, spread,
                self.verdict())


class Absent:
    """A line of the table for what could not be measured."""

    def __init__(self, what, against, why):
        self.what, self.against, self.why = what, against, why

    def cells(self):
        return self.what, "not run", self.against, self.why, "", ""


HEAD = ("row", "cofd", "against", "its figure", "cofd / that", "reach")


def table(rows):
    cells = [HEAD] + [row.cells() for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
             for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


class Bench:
    """Directories, programs and results of one run."""

    def __init__(self, args):
        self.build, self.records, self.rounds = args.build, args.records, args.rounds
        self.data = os.path.join(self.build, "data")
        os.makedirs(self.data, exist_ok=True)
        self.tmp = tempfile.mkdtemp(prefix="run-", dir=self.data)
        self.env = dict(os.environ, COFD_PLUGIN_PATH=":".join((
            os.path.join(self.build, "prefix/lib/cofd"),
            os.path.join(self.build, "tests/bench"))))
        # As installed: what libtool leaves in the build tree is a script that starts it.
        self.cofd = os.path.join(self.build, "prefix/sbin/cofd")
        self.rows, self.texts = [], []

    def close(self):
        shutil.rmtree(self.tmp, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.tmp, name)

    def program(self, name):
        """One of the programs that are built for measuring."""
        path = os.path.join(self.build, "tests/bench", name)
        if not os.path.exists(path):
            raise Missing(name + " was not built")
        return path

    def peer(self, name):
        """A program of others: on PATH, or unpacked by ./dev."""
        places = os.environ.get("COFD_BENCH_PROGRAMS", "") + ":" + os.environ.get("PATH", "")
        path = shutil.which(name, path=places)
        if path is None:
            raise Missing(name + " is not installed")
        return path

    def row(self, *args, **named):
        self.rows.append(Row(*args, **named))
        say(" | ".join(cell for cell in self.rows[-1].cells() if cell))

    def absent(self, what, against, why):
        self.rows.append(Absent(what, against, str(why)))
        say("%s: not run: %s" % (what, why))

    def turns(self, what, **runs):
        """Run each in turn, `rounds` times; returns its results by name. What is missing has none."""
        results = {name: [] for name in runs}
        for number in range(self.rounds):
            say("%s, round %d of %d" % (what, number + 1, self.rounds))
            for name, run in runs.items():
                results[name].append(run())
        return results

    def conf(self, name, *lines):
        path = self.path(name)
        with open(path, "w", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")
        return path

    def fresh(self, name):
        """A path at which nothing lies."""
        shutil.rmtree(self.path(name), ignore_errors=True)
        return self.path(name)

    def run(self, *command):
        """Run to the end; returns wall seconds, processor seconds, greatest memory, output."""
        begin = time.monotonic()
        with tempfile.TemporaryFile(dir=self.tmp) as out:
            process = subprocess.Popen(command, env=self.env, stdout=out, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            text = out.read().decode("utf-8", "replace")
        if process.returncode != 0:
            fail("%s ended with status %d:\n%s" % (" ".join(command), process.returncode, text))
        return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, text


def size_of(directory):
    """Octets in the files below a directory, while they may come and go."""
    total = 0
    for place, _, files in os.walk(directory):
        for name in files:
            try:
                total += os.path.getsize(os.path.join(place, name))
            except FileNotFoundError:
                pass
    return total


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(ready, what, limit=60):
    end = time.monotonic() + limit
    while not ready():
        if time.monotonic() > end:
            fail("%s: not within %d seconds" % (what, limit))
        time.sleep(0.01)


class Server:
    """A program that serves on a port until it is told to end."""

    def __init__(self, bench, port, *command):
        self.url, self.port = "http://127.0.0.1:%d" % port, port
        self.process = subprocess.Popen(command, env=bench.env, stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.serves, command[0])

    def serves(self):
        if self.process.poll() is not None:
            fail("%s does not serve" % self.process.args[0])
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def stop(self):
        self.process.stdin.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
