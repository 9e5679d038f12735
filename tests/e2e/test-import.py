#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""`cofd import`: files once through the chain, compared with a model that knows nothing of cofd."""
import contextlib
import gzip
import json
import os
import pty
import re
import shutil
import signal
import subprocess

import generate
from cofdtest import COFD, DEADLINE, SAMPLE, SANITIZED, Skip, case, check, equal, main

RECORDS = 6000 if SANITIZED else 20000


def load(world, conf, *arguments, **options):
    """Import, and return what it said: the log, then the line that sums up."""
    done = world.done("import", "-c", conf, *arguments, **options)
    return done.stderr + done.stdout


def compare(server, store, every=1):
    """Each name of the model asked for, and its records as the model has them."""
    connection = server.connect()
    names = sorted(generate.by_name(store).items())[::every]
    for name, want in names:
        connection.request("GET", "/query/" + name)
        response = connection.getresponse()
        have = {}
        for line in response.read().splitlines():
            one = json.loads(line)
            key = (one["rrname"], one["rrtype"], one["rdata"])
            check(key not in have, "%r stands twice" % (key,))
            have[key] = [one["time_first"], one["time_last"], one["count"]]
        equal(have, want, "records of " + name)
    connection.close()
    return len(names)


@case("%d records: counts, first and last are those of the model, by name and by address" % RECORDS)
def against_model(world):
    source = world.path("in.ndjson")
    store = generate.model(generate.write(source, RECORDS))
    conf = world.conf()
    load(world, conf, source)
    server = world.serve(conf)
    check(compare(server, store) > RECORDS // 10, "many names")
    addresses = {}
    for key, value in store.items():
        if key[1] in ("A", "AAAA"):
            addresses.setdefault(key[2], {})[key] = value
    for address, want in sorted(addresses.items())[::11]:
        equal(server.get("/query/" + address).model(), want, "records of " + address)
    stats = server.info()
    equal(stats["stats"], RECORDS, "observations")
    equal({s["sensor_id"]: s["count"] for s in stats["sensors"]},
          {"s%d" % n: len(range(n, RECORDS, 3)) for n in range(3)}, "sensors")


@case("importing with counts = add twice doubles the counts and nothing else")
def add_twice(world):
    source = world.path("in.ndjson")
    made = generate.write(source, 3000)
    conf = world.conf()
    load(world, conf, source)
    load(world, conf, source)
    compare(world.serve(conf), generate.model(made + made))


@case("importing with counts = total twice changes nothing")
def total_twice(world):
    source = world.path("in.ndjson")
    store = generate.model(generate.write(source, 3000), total=True)
    conf = world.conf()
    for _ in range(2):
        load(world, conf, "-o", "counts=total", source)
        server = world.serve(conf)
        compare(server, store)
        server.stop()
    # What is observed afterwards counts on top; the older total then says nothing new.
    key = ("total.example", "A", "192.0.2.1")
    one = {"rrname": key[0], "rrtype": key[1], "rdata": key[2], "time_first": 5, "time_last": 9}
    stated = world.write("stated.ndjson", json.dumps(dict(one, count=7)) + "\n")
    seen = world.write("seen.ndjson", json.dumps(dict(one, time_last=11)) + "\n")
    for path, setting, count in ((stated, "total", 7), (seen, "add", 8), (stated, "total", 8)):
        load(world, conf, "-o", "counts=" + setting, path)
        server = world.serve(conf)
        equal(server.get("/query/total.example").records[0]["count"], count, "count")
        server.stop()


@case("a file, gzip, zstd, a directory, and standard input give the same")
def forms(world):
    source = world.path("in.ndjson")
    store = generate.model(generate.write(source, 600))
    with open(source, "rb") as plain:
        text = plain.read()
    many = world.path("many")
    lines = text.splitlines(keepends=True)
    for n in range(3):
        part = b"".join(lines[n::3])
        world.write("many/%d.%s" % (n, ("ndjson", "json", "gz")[n]),
                    gzip.compress(part) if n == 2 else part)
    ways = [[world.write("in.gz", gzip.compress(text))], [many], ["-"]]
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", source, "-o", world.path("in.zst")], check=True)
        ways.append([world.path("in.zst")])
    for number, way in enumerate(ways):
        shutil.rmtree(world.path("db"), ignore_errors=True)
        conf = world.conf(name="cofd%d.conf" % number)
        load(world, conf, *way, stdin=text if way == ["-"] else None)
        server = world.serve(conf)
        compare(server, store)
        equal(server.info()["stats"], 600, "observations from %s" % way)
        server.stop()


@case("a file holding one JSON array is taken")
def array(world):
    made = list(generate.observations(500))
    conf = world.conf()
    load(world, conf, world.write("in.json", json.dumps(made, indent=1)))
    compare(world.serve(conf), generate.model(made))


@case("bad lines are counted and named by file and line, and the rest goes on")
def rejected(world):
    good = '{"rrname": "g%d.example", "rrtype": "A", "rdata": "192.0.2.1", "time_first": 1, "time_last": 2}\n'
    bad = ['{"rrname": "x"\n', "nonsense\n", '{"rrtype": "A"}\n',
           '{"rrname": "x", "rrtype": "A", "rdata": "not an address", "time_first": 1, "time_last": 2}\n',
           '{"rrname": "a..b", "rrtype": "A", "rdata": "192.0.2.1", "time_first": 1, "time_last": 2}\n']
    text = ""
    for number, line in enumerate(bad):
        text += good % number + line
    source = world.write("in.ndjson", text + good % 99)
    conf = world.conf()
    said = load(world, conf, source)
    check(re.search(r"\b5 rejected", said), "five rejected: " + said)
    for line in range(2, 11, 2):
        check("%s:%d" % (source, line) in said, "line %d is named: %s" % (line, said))
    server = world.serve(conf)
    equal(len(server.get("/query/192.0.2.1").records), 6, "records")


@case("of many bad lines the first are logged, and how many more there were")
def many_rejected(world):
    said = load(world, world.conf(), world.write("in.ndjson", "nonsense\n" * 500))
    check(re.search(r"\b500 rejected", said), "500 rejected: " + said)
    named = len(re.findall(r"in\.ndjson:\d+: ", said))
    left = sum(map(int, re.findall(r"(\d+) more refusals were not logged", said)))
    equal(named + left, 500, "lines named and not named; it said " + said)
    check(10 <= named < 500, "%d lines are named" % named)


@case("without a terminal the end is one plain line: records, rejected, speed")
def plain_line(world):
    source = world.path("in.ndjson")
    generate.write(source, 2000)
    said = load(world, world.conf(), source)
    check("\r" not in said and "\x1b" not in said, "nothing for a terminal: %r" % said)
    last = said.strip().splitlines()[-1]
    check(re.search(r"2000 records.*\d/s.*\b0 rejected", last), "last line: " + last)


@case("on a terminal there is a progress bar")
def terminal(world):
    source = world.path("in.ndjson")
    generate.write(source, 3000)
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        raise Skip("no terminal can be made here: %s" % error) from None
    with subprocess.Popen([COFD, "import", "-c", world.conf(), source], stderr=theirs,
                          stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                got = os.read(ours, 65536)
            except OSError:
                break
            if not got:
                break
            said += got
        equal(process.wait(DEADLINE), 0, "exit status")
    os.close(ours)
    check(b"\r" in said and b"%" in said, "a bar: %r" % said[-300:])
    check(b"3000 records" in said, "the count: %r" % said[-300:])


@case("a missing file is an error that names it")
def missing(world):
    done = world.run("import", "-c", world.conf(), world.path("nope.ndjson"))
    check(done.returncode != 0, "status")
    check(world.path("nope.ndjson") in done.stderr, done.stderr)
    done = world.run("import", "-c", world.conf())
    equal(done.returncode, 2, "status without a file")


@case("an unknown setting or chain is an error that names it")
def bad_settings(world):
    conf = world.conf()
    done = world.run("import", "-c", conf, "-o", "cuonts=total", SAMPLE)
    check(done.returncode != 0 and "counts" in done.stderr, "the nearest option: " + done.stderr)
    done = world.run("import", "-c", conf, "-o", "counts=totals", SAMPLE)
    check(done.returncode != 0 and "total" in done.stderr, "what would be right: " + done.stderr)
    done = world.run("import", "-c", conf, "--chain", "mian", SAMPLE)
    check(done.returncode != 0 and "main" in done.stderr, "the chains there are: " + done.stderr)


@case("a database that a running cofd holds is refused, with the reason")
def locked(world):
    conf = world.conf()
    server = world.serve(conf)
    done = world.run("import", "-c", conf, SAMPLE)
    equal(done.returncode, 1, "exit status")
    check(world.path("db") in done.stderr and re.search(r"lock|in use|another", done.stderr),
          "the reason: " + done.stderr)
    equal(server.info()["stats"], 0, "observations")


@case("filters of the chain judge an import too")
def filtered(world):
    source = world.path("in.ndjson")
    made = generate.write(source, 2000)
    conf = world.conf("[filter.types]\nplugin = rrtype\naccept = A, AAAA\n", filters=["types"])
    load(world, conf, source)
    kept = [one for one in made if one["rrtype"] in ("A", "AAAA")]
    server = world.serve(conf)
    compare(server, generate.model(kept))
    check(kept and len(kept) < len(made), "some of each")
    dropped = next(one for one in made if one["rrtype"] == "TXT")
    check(not [r for r in server.get("/query/" + dropped["rrname"]).records
               if r["rrtype"] == "TXT"], "no TXT")


@case("an import of nothing ends well")
def empty(world):
    conf = world.conf()
    load(world, conf, world.write("empty.ndjson", ""))
    load(world, conf, "-", stdin=b"")
    equal(world.serve(conf).info()["stats"], 0, "observations")


def write_many(process):
    """More than a pipe and a batch hold, so that some of it is in the chain; no end follows."""
    for number in range(10000):
        process.stdin.write(b'{"rrname":"n%d.example","rrtype":"A","rdata":"192.0.2.1",'
                            b'"time_first":1,"time_last":2}\n' % number)
    process.stdin.flush()


@case("an interrupted import stores what it took, and its line says so")
def interrupted(world):
    conf = world.conf(chain="window_time = 1h")
    command = [COFD, "import", "-c", conf, "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        write_many(process)
        process.send_signal(signal.SIGINT)
        text = process.stdout.read().decode()
        equal(process.wait(DEADLINE), 1, "exit status")
    found = re.match(r"interrupted after (\d+) records .*: (\d+) stored, .* (\d+) filtered, "
                     r"(\d+) rejected$", text)
    check(found is not None, "it said %r" % text)
    taken, stored, filtered, rejected = map(int, found.groups())
    check(taken > 0, "nothing was taken")
    equal(stored + filtered + rejected, taken, "stored, filtered and rejected")


@case("an import yields to nobody, whatever the chain says")
def not_nice(world):
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    command = [COFD, "import", "-c", world.conf(chain="nice = 7"), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        write_many(process)
        found = set()
        for task in os.listdir("/proc/%d/task" % process.pid):
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                found.add(os.getpriority(os.PRIO_PROCESS, int(task)))
        process.stdin.close()
        equal(process.wait(DEADLINE), 0, "exit status")
    equal(found | {19}, {usual, 19}, "nice values of threads; compaction has 19")


if __name__ == "__main__":
    main()
