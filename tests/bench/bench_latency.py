# SPDX-License-Identifier: AGPL-3.0-or-later
"""The slowest answers of /query while the same cofd takes records at full speed, against those of
one at rest. For bench.py:

    import bench_latency
    bench_latency.measure(bench, source)

where `bench` gives build, tmp, env, rounds, conf() and row(), and `source` is a file of COF lines of
some hundred thousand records or more. Alone, with a build directory that has all programs:

    python3 bench_latency.py BUILD SOURCE [ROUNDS]
"""
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

# Names asked for in turn: more than one block of the database holds.
NAMES = 1000
# Connections and seconds of one measurement.
CONNECTIONS, SECONDS = 16, 5
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def write_script(source, path):
    """What tells wrk to ask for one name of the file after the other."""
    with open(source, encoding="utf-8") as lines:
        names = sorted({json.loads(text)["rrname"] for text, _ in zip(lines, range(20 * NAMES))})
    names = [name for name in names if re.fullmatch(r"[a-z0-9._-]+", name)]
    random.Random(1).shuffle(names)
    with open(path, "w", encoding="ascii") as out:
        out.write("local paths = {%s}\n" % ", ".join('"/query/%s"' % name for name in names[:NAMES]))
        out.write("local i = 0\nfunction request()\n  i = i % #paths + 1\n"
                  "  return wrk.format(nil, paths[i])\nend\n")
    return path


def write_others(source, path):
    """The same records of other names, so that the ingest has something to add."""
    with open(source, "rb") as lines, open(path, "wb") as out:
        for text in lines:
            out.write(text.replace(b'"rrname": "', b'"rrname": "w.', 1))
    return path


class Asked:
    """A cofd that answers, and reads a named pipe."""

    def __init__(self, bench, pipe, db):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = "http://127.0.0.1:%d" % port
        conf = bench.conf("latency.conf", "[input.pipe]", "plugin = cof-file", "path = " + pipe,
                          "follow = yes", "[storage.db]", "plugin = rocksdb", "path = " + db,
                          "[output.api]", "plugin = rest", "listen = 127.0.0.1:%d" % port,
                          "[chain.main]", "route = pipe -> db -> api")
        self.process = subprocess.Popen([os.path.join(bench.build, "prefix/sbin/cofd"), "run", "-c", conf],
                                        env=bench.env, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.await_stored(0)

    def stored(self):
        """Observations stored so far."""
        with urllib.request.urlopen(self.url + "/info", timeout=60) as answer:
            return json.load(answer)["stats"]

    def await_stored(self, least):
        """Wait until it serves, and has stored so many."""
        end = time.monotonic() + 120
        while self.process.poll() is None and time.monotonic() < end:
            try:
                if self.stored() >= least:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        sys.exit("cofd does not do what it should")

    def ask(self, script):
        """The 99th percentile in seconds, answers a second, observations stored a second."""
        before, begin = self.stored(), time.monotonic()
        done = subprocess.run(["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", "%ds" % SECONDS,
                               "--latency", "-s", script, self.url],
                              capture_output=True, text=True, check=True)
        if "Non-2xx" in done.stdout:
            sys.exit("not all answers were good:\n" + done.stdout)
        ingested = (self.stored() - before) / (time.monotonic() - begin)
        number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", done.stdout).groups()
        rate = float(re.search(r"Requests/sec:\s*([\d.]+)", done.stdout).group(1))
        return float(number) * UNITS[unit], rate, ingested

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)


def once(bench, sources, script):
    """What ask() tells at rest, and under ingest: of one cofd, over a database made anew."""
    db, pipe = os.path.join(bench.tmp, "latency-db"), os.path.join(bench.tmp, "latency-pipe")
    shutil.rmtree(db, ignore_errors=True)
    if not os.path.exists(pipe):
        os.mkfifo(pipe)
    conf = bench.conf("latency-import.conf", "[storage.db]", "plugin = rocksdb", "path = " + db,
                      "[output.api]", "plugin = rest", "[chain.main]", "route = db -> api")
    subprocess.run([os.path.join(bench.build, "prefix/sbin/cofd"), "import", "-c", conf, sources[0]],
                   env=bench.env, capture_output=True, check=True)
    cofd = Asked(bench, pipe, db)
    cofd.ask(script)
    rest, before = cofd.ask(script), cofd.stored()
    feeder = subprocess.Popen(["sh", "-c", 'exec >"$1"; while cat "$2" "$3"; do :; done', "feed", pipe,
                               sources[1], sources[0]], stderr=subprocess.DEVNULL,
                              start_new_session=True)
    try:
        cofd.await_stored(before + 1)
        return rest, cofd.ask(script)
    finally:
        os.killpg(feeder.pid, signal.SIGKILL)
        feeder.wait()
        cofd.stop()


def measure(bench, source):
    script = write_script(source, os.path.join(bench.tmp, "latency.lua"))
    others = write_others(source, os.path.join(bench.tmp, "latency-others.ndjson"))
    runs = [once(bench, (source, others), script) for _ in range(bench.rounds)]
    ratios = [busy[0] / rest[0] for rest, busy in runs]
    median = [[statistics.median(values) for values in zip(*column)] for column in zip(*runs)]
    bench.row("/query p99, at rest and under ingest", "%.2f ms" % (1e3 * median[0][0]),
              "%.2f ms" % (1e3 * median[1][0]),
              "%.2f (%.2f to %.2f)" % (statistics.median(ratios), min(ratios), max(ratios)))
    bench.row("  answers/s meanwhile", "%.0f k/s" % (median[0][1] / 1e3),
              "%.0f k/s" % (median[1][1] / 1e3), "")
    bench.row("  records/s taken meanwhile", "", "%.0f k/s" % (median[1][2] / 1e3), "")


class Alone:
    """As much of bench.py's Bench as is needed."""

    def __init__(self, build, rounds, tmp):
        self.build, self.rounds, self.tmp = os.path.abspath(build), rounds, tmp
        self.env = dict(os.environ, COFD_PLUGIN_PATH=os.path.join(self.build, "prefix/lib/cofd"))

    def conf(self, name, *lines):
        path = os.path.join(self.tmp, name)
        with open(path, "w", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")
        return path

    def row(self, *cells):
        print(" | ".join(cells), flush=True)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as tmp:
        measure(Alone(sys.argv[1], int(sys.argv[3]) if len(sys.argv) > 3 else 5, tmp), sys.argv[2])


if __name__ == "__main__":
    main()
