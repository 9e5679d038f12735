#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""`cofd run` with inputs: files that grow, filters, several inputs and chains, back-pressure."""
import json
import os
import re
import signal
import subprocess
import sys

import generate
from cofdtest import SANITIZED, Skip, case, check, equal, main, until

FLOOD = 40000 if SANITIZED else 300000


def line(rrname, rdata="192.0.2.1", rrtype="A", time=1000, **more):
    return json.dumps(dict(rrname=rrname, rrtype=rrtype, rdata=rdata, time_first=time,
                           time_last=time, **more)) + "\n"


def append(path, text):
    with open(path, "a", encoding="utf-8") as out:
        out.write(text)


def names(server, query, output=0):
    return sorted(r["rrname"] for r in server.get("/query/" + query, output=output).records)


def counter(server, kind, instance, name):
    """A counter of an instance, out of /info."""
    for one in server.info()["plugins"]:
        if (one["kind"], one["instance"]) == (kind, instance):
            return dict(one["counters"], **one["gauges"])[name]
    raise AssertionError("no %s %s in /info" % (kind, instance))


@case("a restart goes on from the remembered position and counts nothing twice")
def restart(world):
    path = world.write("in.ndjson", "".join(line("a%d.example" % n) for n in range(100)))
    conf = world.conf(input="path = " + path)
    server = world.serve(conf)
    server.wait_stored(100)
    server.stop()
    append(path, "".join(line("b%d.example" % n) for n in range(20)) + line("a0.example"))
    server = world.serve(conf)
    server.wait_stored(121)
    server.stop()
    server = world.serve(conf)
    equal(server.info()["stats"], 121, "observations")
    equal(len(names(server, "192.0.2.1")), 120, "names")
    equal(server.get("/query/a0.example").records[0]["count"], 2, "seen twice")
    equal(server.get("/query/a1.example").records[0]["count"], 1, "seen once")


@case("follow = yes reads what is appended, and over a rotation")
def follow(world):
    path = world.write("feed.ndjson", line("a.example"))
    # What comes late into the old file is waited for longer than this script may stand still.
    server = world.serve(world.conf(input="path = %s\nfollow = yes\nrotate_wait = 10m" % path,
                                    chain="window_time = 50ms"))
    server.wait_stored(1)
    append(path, line("b.example"))
    server.wait_stored(2)
    append(path, line("c.example")[:20])
    os.rename(path, path + ".1")
    append(path + ".1", line("c.example")[20:] + line("d.example"))
    world.write("feed.ndjson", line("e.example"))
    server.wait_stored(5)
    append(path, line("f.example"))
    server.wait_stored(6)
    equal(names(server, "192.0.2.1"), ["%s.example" % c for c in "abcdef"], "names")


@case("filters judge in the order of the route, and what they drop is counted")
def filters(world):
    path = world.write("in.ndjson", "".join((
        line("keep.example"), line("x.spam.example"), line("spam.example"),
        line("nospam.example"), line("keep.example", "10.1.2.3"),
        line("keep.example", '"text"', "TXT"), line("tracker.example"))))
    rules = world.write("rules", "# a comment\n*track*\n")
    text = ("[filter.types]\nplugin = rrtype\nreject = TXT\n"
            "[filter.junk]\nplugin = exclude\nsuffix = spam.example\nfile = %s\n"
            "network = 10.0.0.0/8\n" % rules)
    server = world.serve(world.conf(text, input="path = " + path, filters=["types", "junk"]))
    until(lambda: names(server, "192.0.2.1") == ["keep.example", "nospam.example"], "the names")
    equal(names(server, "10.1.2.3"), [], "excluded network")
    equal(len(server.get("/query/keep.example").records), 1, "records of keep.example")
    equal(server.info()["stats"], 2, "observations")
    # The storage shows a record before the chain hears that it has it.
    until(lambda: [counter(server, "chain", "main", name)
                   for name in ("received", "filtered", "stored")] == [7, 5, 2],
          "7 to be received, 5 filtered, 2 stored")


@case("several inputs feed one chain")
def several_inputs(world):
    text, route = "", []
    for n in range(4):
        path = world.path("in%d.ndjson" % n)
        generate.write(path, 1000, seed=n)
        text += "[input.in%d]\nplugin = cof-file\npath = %s\n" % (n, path)
        route.append("in%d" % n)
    text += ("[storage.db]\nplugin = rocksdb\npath = %s\n[output.api]\nplugin = rest\n"
             "listen = 127.0.0.1:0\n[chain.main]\nroute = %s -> db -> api\n"
             % (world.path("db"), ", ".join(route)))
    server = world.serve(world.write("cofd.conf", text))
    server.wait_stored(4000)
    made = [one for n in range(4) for one in generate.observations(1000, seed=n)]
    for name, want in sorted(generate.by_name(generate.model(made)).items())[::7]:
        equal(server.get("/query/" + name).model(), want, "records of " + name)


@case("several chains run side by side, and may share a filter")
def several_chains(world):
    one = world.write("one.ndjson", "".join(line("one%d.example" % n) for n in range(50)))
    two = world.write("two.ndjson", "".join(line("two%d.example" % n) for n in range(50)) +
                      line("two.example", '"text"', "TXT"))
    conf = world.write("cofd.conf", """
[input.one]
plugin = cof-file
path = {one}
[input.two]
plugin = cof-file
path = {two}
[filter.types]
plugin = rrtype
accept = A
[storage.left]
plugin = rocksdb
path = {dir}/left
[storage.right]
plugin = rocksdb
path = {dir}/right
[output.leftapi]
plugin = rest
listen = 127.0.0.1:0
[output.rightapi]
plugin = rest
listen = 127.0.0.1:0
[chain.left]
route = one -> types -> left -> leftapi
[chain.right]
route = two -> types -> right -> rightapi
""".format(one=one, two=two, dir=world.directory))
    server = world.serve(conf, outputs=2)
    by_source = {}
    for text in server.log():
        found = re.search(r"output\.(\w+): .*listening on http://127\.0\.0\.1:(\d+)", text)
        if found:
            by_source[found.group(1)] = ("127.0.0.1", int(found.group(2)))
    server.urls = [by_source["leftapi"], by_source["rightapi"]]
    server.wait_stored(50, 0)
    server.wait_stored(50, 1)
    equal(names(server, "192.0.2.1", 0), sorted("one%d.example" % n for n in range(50)), "left")
    equal(names(server, "192.0.2.1", 1), sorted("two%d.example" % n for n in range(50)), "right")
    equal(server.get("/query/two.example", output=1).body, b"", "filtered in the right one")


@case("a stored file of %d lines goes through a tiny queue and window" % FLOOD)
def back_pressure(world):
    path = world.path("in.ndjson")
    with open(path, "w", encoding="ascii") as out:
        for n in range(FLOOD):
            out.write('{"rrname":"n%d.example","rrtype":"A","rdata":"192.0.2.%d","time_first":1,'
                      '"time_last":2}\n' % (n % 5000, n // 5000 % 100))
    server = world.serve(world.conf(
        input="path = " + path,
        chain="queue_batches = 1\nqueue_bytes = 1M\nwindow_records = 100\nwindow_bytes = 1M\n"))
    server.wait_stored(FLOOD)
    equal(server.info()["stats"], FLOOD, "observations")
    count = sum(r["count"] for n in (0, 1, 4999) for r in server.get("/query/n%d.example" % n).records)
    equal(count, 3 * FLOOD // 5000, "sum of counts of three names")


SLICE = "100000"  # ns: the least that Linux knows


def short_slices():
    """Whether the kernel lets a thread choose how long its turns are, and tells of it."""
    release = tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2])
    return release >= (6, 12) and os.path.exists("/proc/self/sched")


def batch_allowed():
    """Whether a process may yield by SCHED_BATCH: tried by one that is for nothing else."""
    code = "import os; os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def slice_of(process, task):
    with open("/proc/%d/task/%s/sched" % (process, task), encoding="ascii") as file:
        found = re.search(r"^se\.slice *: *(\d+)$", file.read(), re.M)
    return found.group(1) if found else SLICE


def threads(process):
    """The nice value and the policy of each thread (proc(5), fields 19 and 41), and its slice."""
    found = []
    for task in os.listdir("/proc/%d/task" % process):
        with open("/proc/%d/task/%s/stat" % (process, task), encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        found.append((int(fields[16]), int(fields[38]),
                      slice_of(process, task) if short_slices() else SLICE))
    return [t for t in found if t[0] < 19]  # compaction has 19


@case("nice: the threads that bring, fold and write records yield to the others")
def nice(world):
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    if usual >= 9 or os.sched_getscheduler(0) != os.SCHED_OTHER:
        raise Skip("the tests themselves run at low priority")
    policy = os.SCHED_BATCH if batch_allowed() else os.SCHED_OTHER
    for chain, by in ("nice = 3", 3), ("", 10), ("nice = 0", 0):
        path = world.write("in.ndjson", line("a.example"))
        server = world.serve(world.conf(input="follow = yes\npath = " + path, chain=chain))
        append(path, line("b%d.example" % by))
        until(lambda by=by: names(server, "b%d.example" % by), "what was appended")
        there = threads(server.process.pid)
        equal([t for t in there if t[0] != usual], [(usual + by, policy, SLICE)] * 3 if by else [],
              chain or "by default")
        check((usual, os.SCHED_OTHER, SLICE) in there, "answers have no short turns: %r" % there)
        server.stop()


@case("a storage whose path cannot be made is an error that names it")
def no_storage(world):
    world.write("file", "not a directory")
    conf = world.write("cofd.conf", "[storage.db]\nplugin = rocksdb\npath = %s\n[output.api]\n"
                       "plugin = rest\nlisten = 127.0.0.1:0\n[chain.main]\nroute = db -> api\n"
                       % world.path("file/db"))
    done = world.run("run", "-c", conf)
    equal(done.returncode, 1, "exit status")
    check(world.path("file/db") in done.stderr, "the path: " + done.stderr)


@case("a port that is taken is an error that names it")
def port_taken(world):
    server = world.serve(world.conf())
    port = server.urls[0][1]
    conf = world.write("second.conf", "[storage.db]\nplugin = rocksdb\npath = %s\n[output.api]\n"
                       "plugin = rest\nlisten = 127.0.0.1:%d\n[chain.main]\nroute = db -> api\n"
                       % (world.path("second"), port))
    done = world.run("run", "-c", conf)
    equal(done.returncode, 1, "exit status")
    check(str(port) in done.stderr and "in use" in done.stderr, "the reason: " + done.stderr)


@case("SIGTERM and SIGINT end it cleanly, in the middle of its work too")
def clean_stop(world):
    path = world.path("in.ndjson")
    made = generate.write(path, 20000)
    conf = world.conf(input="path = " + path, chain="window_records = 200")
    server = world.serve(conf)
    server.wait_stored(1)
    server.stop(signal.SIGINT)
    server = world.serve(conf)
    server.stop(signal.SIGTERM)
    server = world.serve(conf)
    server.wait_stored(len(made))
    server.stop()
    server = world.serve(conf)
    equal(server.info()["stats"], len(made), "observations: none lost, none twice")
    for name, want in sorted(generate.by_name(generate.model(made)).items())[::40]:
        equal(server.get("/query/" + name).model(), want, "records of " + name)


@case("the log is text, JSON lines or journald's, as asked for")
def log_formats(world):
    server = world.serve(world.conf(host="log_format = text"))
    server.stop()
    for text in server.log():
        check(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug) [\w.-]+: ",
                       text), "text line: " + text)
    server = world.start(world.conf(host="log_format = json\nlog_level = debug"))
    server.wait_log("listening on")
    server.stop()
    for text in server.log():
        one = json.loads(text)
        check({"time", "level", "source", "message"} <= set(one), "JSON line: " + text)
    server = world.start(world.conf(host="log_format = journal"))
    server.wait_log("listening on")
    server.stop()
    for text in server.log():
        check(re.match(r"<[3467]>[\w.-]+: ", text), "journald line: " + text)


@case("log_level = error leaves the rest out")
def log_level(world):
    server = world.start(world.conf(host="log_level = error"))
    # It is silent; that it is up shows in that it stops with status 0 when told to.
    until(lambda: os.path.exists(world.path("db", "CURRENT")), "the database")
    server.send(signal.SIGTERM)
    equal(server.wait(), 0, "exit status")
    equal(server.log(), [], "log")


if __name__ == "__main__":
    main()
