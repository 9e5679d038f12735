#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""`cofd migrate` and `cofd export`: what arrives is what was there, however often it is killed."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import generate
import redisproc
from cofdtest import COFD, DEADLINE, SANITIZED, case, check, die_with_parent, equal, main, until

RECORDS = 8000 if SANITIZED else 50000
TRIES = 20


def storages(world, more=""):
    """A configuration with the harness's storage `db` and one more, `other`, that no route names."""
    return world.conf("[storage.other]\nplugin = rocksdb\npath = %s\n%s" % (world.path("o"), more))


def fill(world, conf, records, unique, seed=1):
    """Import generated records into `db`; returns what was imported."""
    source = world.path("in%d.ndjson" % seed)
    made = generate.write(source, records, unique, seed)
    world.done("import", "-c", conf, source)
    return made


def export(world, conf, storage, *options):
    """The lines of a storage, as they were written."""
    done = world.run("export", "-c", conf, "--from", storage, *options, text=False)
    equal(done.returncode, 0, "status of export: %r" % done.stderr)
    return done.stdout.splitlines(keepends=True)


def model_of(lines):
    store = {}
    for line in lines:
        one = json.loads(line)
        key = (one["rrname"], one["rrtype"], one["rdata"])
        check(key not in store, "%r stands twice" % (key,))
        store[key] = [one["time_first"], one["time_last"], one["count"]]
    return store


def info_of(world, conf, path):
    """What /info says of the database in a directory."""
    with open(conf, encoding="utf-8") as text:
        text = text.read().replace(world.path("db"), world.path(path), 1)
    text = text.replace("[storage.other]\nplugin = rocksdb\npath = " + world.path("o"), "")
    server = world.serve(world.write("info.conf", text))
    info = server.info()
    server.stop()
    return info["stats"], sorted((s["sensor_id"], s["count"]) for s in info["sensors"])


def interrupt(world, state, number, *arguments):
    """Start cofd and signal it once the state file tells of progress; true when that was in time."""
    with subprocess.Popen([COFD, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, preexec_fn=die_with_parent) as process:
        end = time.monotonic() + DEADLINE
        while process.poll() is None and time.monotonic() < end:
            try:
                with open(state, encoding="ascii") as text:
                    if re.search(r"^token [0-9a-f]+$", text.read(), re.M):
                        break
            except FileNotFoundError:
                pass
        process.send_signal(number)
        said = process.stderr.read().decode("utf-8", "replace")
        status = process.wait(DEADLINE)
    world.outputs += said.splitlines()
    return status == (-number if number == signal.SIGKILL else 1)


def blocks(pid, number):
    with open("/proc/%d/status" % pid, encoding="ascii") as text:
        mask = int(re.search(r"^SigBlk:\s*([0-9a-f]+)$", text.read(), re.M).group(1), 16)
    return bool(mask >> (number - 1) & 1)


def records_in(state):
    """What a state file says of progress; 0 without one."""
    if not os.path.exists(state):
        return 0
    with open(state, encoding="ascii") as text:
        return int(re.search(r"^records (\d+)$", text.read(), re.M).group(1))


def remove(*paths):
    """Remove those files that are there."""
    for path in filter(os.path.exists, paths):
        os.remove(path)


@case("%d records migrate: equal exports, equal statistics, and again without any change" % RECORDS)
def whole(world):
    conf = storages(world)
    made = fill(world, conf, RECORDS * 3 // 2, RECORDS)
    said = world.done("migrate", "-c", conf, "--from", "db", "--to", "other")
    check("verified, both hold the same" in said.stdout, said.stdout)
    check(said.stderr.count("warning") == 0, "no warning: " + said.stderr)
    lines = export(world, conf, "other")
    equal(model_of(lines), generate.model(made), "records")
    equal(generate.zones(map(json.loads, lines)), generate.zones(made), "bailiwicks")
    check(any(b"cofd_zones" in line for line in lines), "some have several")
    check(lines == export(world, conf, "db"), "both exports are equal")
    stats = info_of(world, conf, "o")
    equal(stats[0], len(made), "observations")
    equal(stats, info_of(world, conf, "db"), "statistics")
    said = world.done("migrate", "-c", conf, "--from", "db", "--to", "other")
    check("verified, all of it is there" in said.stdout, said.stdout)
    check(lines == export(world, conf, "other"), "nothing changed")
    equal(info_of(world, conf, "o"), stats, "statistics after the second time")


def interrupted(world, number):
    conf, state = storages(world), world.path("state.file")
    fill(world, conf, RECORDS, RECORDS)
    command = ["migrate", "-c", conf, "--from", "db", "--to", "other", "--state", state]
    for _ in range(TRIES):
        in_time, moved = interrupt(world, state, number, *command), records_in(state)
        if in_time and 0 < moved < RECORDS:
            break
        # It was done, or all was moved and it was verifying that.
        check(in_time or moved == 0, "without a state file it is done")
        shutil.rmtree(world.path("o"))
        remove(state)
    else:
        raise AssertionError("it was never interrupted in time")
    other = world.run("migrate", "-c", conf, "--from", "other", "--to", "db", "--state", state)
    equal(other.returncode, 1, "status with the state of something else")
    check("belongs to" in other.stderr, other.stderr)
    said = world.done(*command)
    check("going on after %d records" % moved in said.stderr, said.stderr)
    check("verified, both hold the same" in said.stdout, said.stdout)
    check(not os.path.exists(state), "the state file is removed at the end")
    check(export(world, conf, "db") == export(world, conf, "other"), "both exports are equal")
    equal(info_of(world, conf, "o"), info_of(world, conf, "db"), "statistics")


@case("killed in the middle, it goes on where it was, and all is equal at the end")
def killed(world):
    interrupted(world, signal.SIGKILL)


@case("stopped by SIGTERM it says so, remembers, and goes on")
def stopped(world):
    interrupted(world, signal.SIGTERM)


@case("a target that held records keeps them, and has the wider of both")
def merged(world):
    conf = storages(world)
    first = fill(world, conf, 6000, 3000, seed=1)
    world.done("migrate", "-c", conf, "--from", "db", "--to", "other")
    shutil.rmtree(world.path("db"))
    # Of the same names, some seen more often, some less, and some that the other one lacks.
    second = first[:2000] + first[:1000] + list(generate.observations(500, 500, seed=2))
    source = world.write("second.ndjson", "".join(json.dumps(one) + "\n" for one in second))
    world.done("import", "-c", conf, source)
    said = world.done("migrate", "-c", conf, "--from", "db", "--to", "other")
    check("verified, all of it is there" in said.stdout, said.stdout)
    want = generate.model(first)
    for key, (low, high, count) in generate.model(second).items():
        have = want.setdefault(key, [low, high, count])
        want[key] = [min(have[0], low), max(have[1], high), max(have[2], count)]
    equal(model_of(export(world, conf, "other")), want, "records")
    equal(info_of(world, conf, "o")[0], len(first), "observations")


@case("what the target does not show is found and named, and the status says so")
def not_verified(world):
    conf = storages(world, "expire = TXT:1\n")
    made = fill(world, conf, 3000, 2000)
    lost = len([key for key in generate.model(made) if key[1] == "TXT"])
    check(lost > 10, "some TXT")
    done = world.run("migrate", "-c", conf, "--from", "db", "--to", "other")
    equal(done.returncode, 1, "status")
    check("NOT all" in done.stdout, done.stdout)
    check("%d are missing" % lost in done.stderr, done.stderr)
    equal(len(re.findall(r" TXT .* is missing", done.stderr)), 10, "records that are named")


@case("a wrong command line is an error that says what would be right")
def usage(world):
    conf = storages(world)
    for arguments, status, pattern in (
            (["--from", "bd", "--to", "other"], 1, r"no storage 'bd'; did you mean 'db'"),
            (["--from", "db", "--to", "othre"], 1, r"no storage 'othre'; did you mean 'other'"),
            (["--from", "db", "--to", "nowhere"], 1, r"storages in .*: other db"),
            (["--from", "db", "--to", "db"], 2, r"both name 'db'; expected two"),
            (["--from", "db"], 2, r"--to is missing"),
            (["--to", "db"], 2, r"--from is missing")):
        done = world.run("migrate", "-c", conf, *arguments)
        equal(done.returncode, status, "status of %s" % arguments)
        check(re.search(pattern, done.stderr), "%s: %s" % (arguments, done.stderr))
    damaged = world.write("state.file", "cofd-resume 1\nwhat migrate --from db --to other\nrecords x\n")
    foreign = world.write("foreign", "something else\n")
    for path, pattern in ((damaged, "damaged"), (foreign, "not a state file")):
        done = world.run("migrate", "-c", conf, "--from", "db", "--to", "other", "--state", path)
        equal(done.returncode, 1, "status with " + path)
        check(pattern in done.stderr and path in done.stderr, done.stderr)
    for arguments, status, pattern in (
            ([], 1, "choose a storage by --from"),
            (["--from", "db", "--rrtype", "A,QQQ"], 2, "'QQQ' is no record type"),
            (["--from", "db", "--rrtype", ""], 2, "at least one"),
            (["--from", "db", "--under", "a..b"], 2, "no domain name"),
            (["--from", "db", "--time-last-after", "yesterday"], 2, "'yesterday' is no time"),
            (["--from", "db", "-o", "x", "-o", "y"], 2, "twice"),
            (["--from", "db", "-o", world.path("no/such/place")], 1, "cannot be written")):
        done = world.run("export", "-c", conf, *arguments)
        equal(done.returncode, status, "status of %s" % arguments)
        check(pattern in done.stderr, "%s: %s" % (arguments, done.stderr))


@case("one database named by two sections is refused")
def one_database(world):
    conf = world.conf("[storage.other]\nplugin = rocksdb\npath = %s\n" % world.path("db"))
    done = world.run("migrate", "-c", conf, "--from", "db", "--to", "other")
    equal(done.returncode, 1, "status")
    check("in use by another process or another storage section" in done.stderr, done.stderr)


@case("nothing migrates to nothing, and is exported as nothing")
def nothing(world):
    conf = storages(world)
    world.done("migrate", "-c", conf, "--from", "db", "--to", "other")
    equal(export(world, conf, "other"), [], "lines")


@case("export: type, domain and time narrow it, as the model says")
def narrowed(world):
    conf = storages(world)
    store = generate.model(fill(world, conf, 4000, 3000))
    middle = sorted(value[1] for value in store.values())[len(store) // 2]
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(middle))
    for options, wanted in (
            (["--rrtype", "TXT,MX,type2"], lambda k, v: k[1] in ("TXT", "MX", "NS")),
            (["--under", "Test."], lambda k, v: k[0].endswith(".test")),
            (["--time-last-after", str(middle)], lambda k, v: v[1] >= middle),
            (["--time-last-after", date], lambda k, v: v[1] >= middle),
            (["--under", "example", "--rrtype", "A", "--time-last-after", str(middle)],
             lambda k, v: k[0].endswith(".example") and k[1] == "A" and v[1] >= middle)):
        want = {key: value for key, value in store.items() if wanted(key, value)}
        check(0 < len(want) < len(store), "a part: %s" % options)
        equal(model_of(export(world, conf, "db", *options)), want, "records of %s" % options)


@case("import of an export with counts = total gives an equal database")
def round_trip(world):
    conf = storages(world)
    fill(world, conf, RECORDS // 2, RECORDS // 4)
    dump = world.path("dump.ndjson")
    world.done("export", "-c", conf, "--from", "db", "-o", dump)
    check(not os.path.exists(dump + ".part"), "no unfinished file is left")
    with open(dump, "rb") as lines:
        lines = lines.readlines()
    shutil.rmtree(world.path("db"))
    world.done("import", "-c", conf, "-o", "counts=total", dump)
    check(export(world, conf, "db") == lines, "both exports are equal")


@case("export to a pipe, stopped in the middle: the second run goes on without a gap")
def pipe(world):
    conf, state = storages(world), world.path("state.file")
    fill(world, conf, RECORDS, RECORDS)
    whole_export = export(world, conf, "db")
    command = [COFD, "export", "-c", conf, "--from", "db", "--state", state]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, preexec_fn=die_with_parent) as process:
        first = [process.stdout.readline()]  # and now it waits for the pipe, which is not read
        process.send_signal(signal.SIGTERM)
        # When it has seen the signal, it lets another one end the process at once.
        until(lambda: not blocks(process.pid, signal.SIGTERM), "the signal to be seen")
        first += process.stdout.readlines()
        said = process.stderr.read().decode()
        equal(process.wait(DEADLINE), 1, "status")
    check(0 < len(first) < len(whole_export), "a part: %d; %s" % (len(first), said))
    check("goes on from there" in said, said)
    second = export(world, conf, "db", "--state", state)
    check(first + second == whole_export, "%d and %d lines are those of %d"
          % (len(first), len(second), len(whole_export)))
    check(not os.path.exists(state), "the state file is removed at the end")


@case("export to a file, killed in the middle: the second run completes the same file")
def killed_export(world):
    conf, state, dump = storages(world), world.path("state.file"), world.path("dump")
    fill(world, conf, RECORDS, RECORDS)
    command = ["export", "-c", conf, "--from", "db", "--state", state, "-o", dump]
    for _ in range(TRIES):
        # When the file has its name, only the state file is still to be removed.
        if interrupt(world, state, signal.SIGKILL, *command) and not os.path.exists(dump):
            break
        remove(dump, dump + ".part", state)
    else:
        raise AssertionError("it was never killed in time")
    check(not os.path.exists(dump), "what is not complete does not have the name")
    check(os.path.exists(dump + ".part"), "it is beside")
    said = world.done(*command)
    check("going on after" in said.stderr, said.stderr)
    with open(dump, "rb") as lines:
        check(lines.readlines() == export(world, conf, "db"), "it is complete")


def plain(model):
    """A model in the spellings that the layout d4 keeps: it writes all rdata in lower case."""
    return {(name, kind, rdata.lower()): seen for (name, kind, rdata), seen in model.items()}


@case("from RocksDB into both layouts of Redis and back: every record, every time and count")
def through_redis(world):
    servers = [redisproc.Redis(world, layout) for layout in ("d4", "compact")]
    sections = ["[storage.%s]\nplugin = redis\nserver = 127.0.0.1:%d\nlayout = %s\n"
                % (layout, server.port, layout)
                for layout, server in zip(("d4", "compact"), servers)]
    conf = world.conf("\n".join(sections) + "[storage.other]\nplugin = rocksdb\npath = "
                      + world.path("o"))
    made = fill(world, conf, RECORDS // 5, RECORDS // 10)
    want = plain(model_of(export(world, conf, "db")))
    check(len(want) > 100 and len(made) > len(want), "there is something to migrate")
    for source, target in (("db", "d4"), ("d4", "compact"), ("compact", "other")):
        world.done("migrate", "-c", conf, "--from", source, "--to", target)
        equal(plain(model_of(export(world, conf, target))), want, "%s to %s" % (source, target))
    equal(info_of(world, conf, "o"), info_of(world, conf, "db"), "statistics")


@case("what another program left in a database and is no record is not copied, but counted and told")
def left_out(world):
    server = redisproc.Redis(world, "old")
    client = server.client()
    client.many([("SADD", "r:a.example:1", "192.0.2.1", "192.0.2.2", "nonsense"),
                 ("SET", "s:a.example:192.0.2.1:1", "5"), ("SET", "l:a.example:192.0.2.1:1", "6"),
                 ("SET", "s:a.example:nonsense:1", "5"), ("SADD", "r:a.example:word", "x")])
    client.close()
    conf = world.conf("[storage.old]\nplugin = redis\nserver = 127.0.0.1:%d\n" % server.port)
    for command in (("migrate", "--to", "db"), ("export",)):
        done = world.done(command[0], "-c", conf, "--from", "old", *command[1:])
        check("storage.old has more than was read of it: unreadable 2, stale 1;" in done.stderr,
              "%s said: %s" % (command[0], done.stderr))
    equal(len(export(world, conf, "db")), 1, "records")


@case("records of a type that expires are not answered once their time is over")
def expire(world):
    conf = world.conf(storage="expire = TXT:24000, NS:1000")
    now = int(time.time())
    lines = ""
    for number, (rrtype, rdata, ago) in enumerate((
            ("TXT", '"old"', 25000), ("TXT", '"new"', 20000), ("NS", "ns.example", 1500),
            ("A", "192.0.2.1", 99999))):
        lines += json.dumps({"rrname": "x%d.example" % number, "rrtype": rrtype, "rdata": rdata,
                             "time_first": now - 100000, "time_last": now - ago}) + "\n"
    world.done("import", "-c", conf, world.write("in.ndjson", lines))
    server = world.serve(conf)
    for number, count in enumerate((0, 1, 0, 1)):
        equal(len(server.get("/query/x%d.example" % number).records), count, "x%d" % number)
    server.stop()
    bad = world.run("check", "-c", world.conf(storage="expire = TXT:1h, A:5, A:6"))
    equal(bad.returncode, 1, "status of check")
    check("'TXT:1h'; expected TYPE:SECONDS" in bad.stderr and "twice" in bad.stderr, bad.stderr)


if __name__ == "__main__":
    main()
