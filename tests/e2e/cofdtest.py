# SPDX-License-Identifier: AGPL-3.0-or-later
"""Harness of the end-to-end tests: starts cofd, asks it over HTTP, prints TAP.

A test script defines functions of one argument (a World) under @case("what it shows") and ends in
main(). Each case has a directory of its own and may start any number of servers; whatever is still
running at its end is told to stop and must do so with status 0 and without a sanitizer report.
Nothing waits by sleeping: every wait is for a condition, with a deadline.
"""
import ctypes
import gzip
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
COFD = os.environ.get("COFD") or os.path.join(TOP, "build/dev/core/cofd")
SAMPLE = os.path.join(TOP, "tests/data/sample.ndjson")
# Slower by much, and keeps what is freed: by sanitizers, or valgrind.
SANITIZED = os.environ.get("COFD_SANITIZE", "") not in ("", "no") or \
    "COFD_VALGRIND" in os.environ
DEADLINE = float(os.environ.get("COFD_TEST_DEADLINE", "240" if SANITIZED else "90"))
REPORT = re.compile(r"runtime error:|ERROR: \w+Sanitizer|WARNING: \w+Sanitizer")
PR_SET_PDEATHSIG = 1

_cases = []
_libc = ctypes.CDLL(None)


class Skip(Exception):
    """Raised by a case that cannot run here; says why."""


def case(title):
    """Register a function as a test case."""
    def register(function):
        _cases.append((title, function))
        return function
    return register


def check(condition, text):
    """Fail the case with a text unless the condition holds."""
    if not condition:
        raise AssertionError(text)


def equal(have, want, what="value"):
    """Fail the case unless both are equal."""
    if have != want:
        raise AssertionError("%s: have %s, want %s" % (what, shorten(have), shorten(want)))


def shorten(value, most=1500):
    text = repr(value)
    return text if len(text) <= most else text[:most] + "... (%d characters)" % len(text)


def until(condition, what, deadline=None):
    """Call condition() until it gives something true, and return that."""
    end = time.monotonic() + (deadline or DEADLINE)
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited in vain for " + what)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Answer:
    """An HTTP answer, read to its end."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def lines(self):
        return self.text.splitlines(keepends=True)

    @property
    def records(self):
        return [json.loads(line) for line in self.lines]

    def model(self):
        """The records as generate.model() has them; fails when one is given twice."""
        store = {}
        for one in self.records:
            key = (one["rrname"], one["rrtype"], one["rdata"])
            check(key not in store, "%r stands twice in the answer" % (key,))
            store[key] = [one["time_first"], one["time_last"], one["count"]]
        return store


def environment(conf):
    """What `cofd run` is started with. RocksDB was built without ThreadSanitizer, which takes all
    that its threads share under its own locks for races. They are suppressed (tsan.supp), but each is
    looked into first, for each eight octets of a key at each comparison: questions about large
    records take minutes. And where the stack of a write is no longer known, nothing says that it was
    one of RocksDB's. So there only what cofd's own code reads and writes is looked at."""
    with open(conf, encoding="utf-8", errors="replace") as file:
        if not re.search(r"^plugin *= *rocksdb$", file.read(), re.M):
            return None
    return dict(os.environ, TSAN_OPTIONS=os.environ.get("TSAN_OPTIONS", "") +
                ":ignore_noninstrumented_modules=1")


class Server:
    """A running `cofd run`, its log collected by a thread. `under`: words of a command that starts
    it, such as prlimit, in the same process."""

    def __init__(self, conf, *options, stdin=subprocess.DEVNULL, under=()):
        self.lines = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [*under, COFD, "run", "-c", conf, *options], stdin=stdin, env=environment(conf),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.urls = []

    def _read(self):
        for raw in self.process.stderr:
            with self.changed:
                self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def log(self):
        with self.changed:
            return [line for line in self.lines if line is not None]

    def wait_log(self, pattern, times=1, after=0):
        """Wait until so many lines from number `after` on match; returns the last match."""
        end = time.monotonic() + DEADLINE
        regex = re.compile(pattern)
        with self.changed:
            while True:
                found = [m for m in map(regex.search, filter(None, self.lines[after:])) if m]
                if len(found) >= times:
                    return found[times - 1]
                if self.lines and self.lines[-1] is None:
                    raise AssertionError("cofd ended without writing %r" % pattern)
                if not self.changed.wait(max(0.01, end - time.monotonic())) and \
                        time.monotonic() > end:
                    raise AssertionError("waited in vain for %r in the log" % pattern)

    def ready(self, outputs=1):
        """Wait until it listens; the addresses are in `urls`, in the order of the log."""
        self.wait_log(r"listening on", outputs)
        found = (re.search(r"listening on https?://(\S+?):(\d+)", line) for line in self.log())
        self.urls = [(m.group(1).strip("[]"), int(m.group(2))) for m in found if m]
        return self

    def connect(self, output=0):
        host, port = self.urls[output]
        return http.client.HTTPConnection(host, port, timeout=DEADLINE)

    def get(self, path, method="GET", headers=None, output=0, body=None):
        connection = self.connect(output)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def info(self, output=0):
        answer = self.get("/info", output=output)
        equal(answer.status, 200, "status of /info")
        return json.loads(answer.text)

    def metric(self, instance, name, output=0):
        """A metric of an instance, or of a chain, as /info has it; None before it starts."""
        for one in self.info(output)["plugins"]:
            if one["instance"] == instance:
                return {**one["counters"], **one["gauges"]}.get(name)
        return None

    def wait_stored(self, records, output=0):
        """Wait until the storage has counted so many input records."""
        until(lambda: self.info(output)["stats"] >= records, "%d records to be stored" % records)

    def send(self, number):
        self.process.send_signal(number)

    def wait(self):
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("cofd did not end in %d s" % DEADLINE) from None
        self.reader.join(DEADLINE)
        self.process.stderr.close()
        return status

    def stop(self, number=signal.SIGTERM):
        """End it by a signal; it must end well."""
        self.send(number)
        equal(self.wait(), 0, "exit status after %s" % signal.Signals(number).name)

    def kill(self):
        self.send(signal.SIGKILL)
        self.wait()

    @property
    def running(self):
        return self.process.poll() is None


class World:
    """What one test case has: a directory, and the servers it starts."""

    def __init__(self, directory):
        self.directory = directory
        self.servers = []
        self.outputs = []
        self.cleanups = []  # functions to call once no server runs any more

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def write(self, name, text):
        """Put a whole file into the case's directory at once; returns its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + "~", "wb") as out:
            os.fchmod(out.fileno(), 0o640)  # a configuration with a secret is refused otherwise
            out.write(text if isinstance(text, bytes) else text.encode("utf-8"))
        os.rename(path + "~", path)
        return path

    def conf(self, text="", name="cofd.conf", **options):
        """Write a configuration: the sections in `text`, and those of the main chain.

        options: input (lines of [input.in], or None for no input), plugin (of that input), filters
        (names in the route), rest (lines of [output.api]), chain (lines of [chain.main]), host (lines of [cofd])."""
        parts = ["[cofd]", "state_dir = " + self.path("state"), options.get("host", ""), text]
        route = []
        if options.get("input") is not None:
            parts += ["[input.in]", "plugin = " + options.get("plugin", "cof-file"),
                      options["input"]]
            route.append("in")
        route += options.get("filters", [])
        parts += ["[storage.db]", "plugin = rocksdb", "path = " + self.path("db"),
                  options.get("storage", ""), "[output.api]", "plugin = rest",
                  "listen = 127.0.0.1:0", options.get("rest", "")]
        parts += ["[chain.main]", "route = " + " -> ".join(route + ["db", "api"]),
                  options.get("chain", "window_time = 20ms")]
        os.makedirs(self.path("state"), exist_ok=True)
        # In one step, as a reload may read it at any moment.
        fresh = self.write(name + ".new", "\n".join(parts) + "\n")
        os.replace(fresh, self.path(name))
        return self.path(name)

    def start(self, conf, *options, stdin=subprocess.DEVNULL, under=()):
        """Start a server and return it without waiting."""
        server = Server(conf, *options, stdin=stdin, under=under)
        self.servers.append(server)
        return server

    def serve(self, conf, *options, outputs=1, stdin=subprocess.DEVNULL, under=()):
        """Start a server and wait until it listens."""
        return self.start(conf, *options, stdin=stdin, under=under).ready(outputs)

    def run(self, *arguments, stdin=None, env=None, text=True):
        """Run cofd to its end; returns status, stdout and stderr as one CompletedProcess."""
        done = subprocess.run([COFD, *arguments], input=stdin, capture_output=True, check=False,
                              timeout=DEADLINE, env=dict(os.environ, **(env or {})),
                              preexec_fn=die_with_parent)
        done.stdout = done.stdout.decode("utf-8", "replace") if text else done.stdout
        done.stderr = done.stderr.decode("utf-8", "replace") if text else done.stderr
        self.outputs.append("cofd %s: status %d" % (" ".join(arguments), done.returncode))
        self.outputs += done.stderr.splitlines() if text else []
        return done

    def done(self, *arguments, **options):
        """As run(); the status must be 0."""
        result = self.run(*arguments, **options)
        equal(result.returncode, 0, "exit status of cofd %s, which wrote %s"
              % (" ".join(arguments), shorten(result.stderr)))
        return result

    def wait_read(self, *paths, instance="in"):
        """Wait until an input that follows files has read these to their ends, and remembers that
        it heard so of all of their records: then these are stored, and outputs were told."""
        def place(path):
            try:
                with open(self.path("state", instance + ".positions"), encoding="utf-8") as lines:
                    fields = [line.split(" ") for line in lines]
            except FileNotFoundError:
                return None
            inode = str(os.stat(path).st_ino)
            return next((int(known[2]) for known in fields[1:] if known[1] == inode), None)
        for path in paths:
            until(lambda p=path: place(p) == os.path.getsize(p), "%s to be read" % path)

    def end(self):
        """Stop what runs; returns what was wrong."""
        wrong = []
        for server in self.servers:
            if server.running:
                try:
                    server.stop()
                except AssertionError as error:
                    wrong.append(str(error))
            elif not server.process.stderr.closed:
                server.wait()
        for cleanup in self.cleanups:
            cleanup()
        for line in self.log():
            if REPORT.search(line):
                wrong.append("sanitizer report: " + line)
        return wrong

    def log(self):
        return self.outputs + [line for server in self.servers for line in server.log()]


def run_case(function):
    """Run one case; returns the lines that say what was wrong, none when all was well."""
    directory = tempfile.mkdtemp(prefix="cofd-test-")
    world = World(directory)
    wrong = []
    try:
        function(world)
    except Skip:
        world.end()
        raise
    except Exception:  # pylint: disable=broad-except
        wrong += traceback.format_exc().splitlines()
    finally:
        ended = world.end()
        wrong += ended
        if wrong:
            wrong += ["log: " + line for line in world.log()[-200:]]
        shutil.rmtree(directory, ignore_errors=True)
    return wrong


def main():
    """Run the cases of this script, or those whose title holds the words given."""
    chosen = [c for c in _cases if all(word in c[0] for word in sys.argv[1:])]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print("1..%d" % len(chosen), flush=True)
    bad = 0
    for number, (title, function) in enumerate(chosen, 1):
        try:
            wrong = run_case(function)
        except Skip as reason:
            print("ok %d - %s # SKIP %s" % (number, title, reason), flush=True)
            continue
        bad += bool(wrong)
        for line in wrong:
            print("# " + line)
        print("%s %d - %s" % ("not ok" if wrong else "ok", number, title), flush=True)
    sys.exit(1 if bad else 0)


def gunzip(data):
    return gzip.decompress(data)
