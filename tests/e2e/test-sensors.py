#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Questions by sensor_id: what each sensor saw, by the option sensors of the storage rocksdb."""
import json
import random
import time
from urllib.parse import urlencode

import generate
from cofdtest import SANITIZED, case, check, equal, main, until

SENSORS = ("s0", "s1", "s2")
RECORDS = 1500 if SANITIZED else 6000
KILLS = 3 if SANITIZED else 6
BULK = "sensors = yes\nbulk_records = 40"


def observation(rrname, sensor, first=1000, last=1000, rrtype="A", rdata="192.0.2.1", **more):
    one = dict(rrname=rrname, rrtype=rrtype, rdata=rdata, time_first=first, time_last=last, count=1,
               **more)
    return dict(one, sensor_id=sensor) if sensor else one


def append(path, records):
    with open(path, "a", encoding="utf-8") as out:
        for one in records:
            out.write(json.dumps(one) + "\n")


def serve(world, records, storage="sensors = yes", **options):
    path = world.path("in.ndjson")
    append(path, records)
    server = world.serve(world.conf(input="path = " + path, storage=storage, **options))
    server.wait_stored(len(records))
    return server


def ask(server, status=200, path="/api/v1/records", method="GET", body=None, **params):
    headers = {"Content-Type": "text/plain"} if body else None
    answer = server.get("%s?%s" % (path, urlencode(params)), method=method, headers=headers,
                        body=body)
    equal(answer.status, status, "status, with " + answer.text[:300])
    return answer


def names(answer):
    return sorted(one["rrname"] for one in answer.records)


def by_sensor(made, sensor):
    return generate.model([one for one in made if one["sensor_id"] == sensor])


def compare(server, made):
    """All that each sensor saw, and all that all of them did."""
    for sensor in SENSORS:
        answer = ask(server, subdomains=".", sensor_id=sensor)
        equal({one["sensor_id"] for one in answer.records}, {sensor}, "sensor_id")
        equal(answer.model(), by_sensor(made, sensor), "what %s saw" % sensor)
    answer = ask(server, subdomains=".")
    equal(answer.model(), generate.model(made), "what all saw")
    check("sensor_id" not in answer.text, "no sensor is shown where none is asked for")
    equal(ask(server, subdomains=".", sensor_id="s").text, "", "what a sensor that is not there saw")


def own(world, storage):
    made = list(generate.observations(RECORDS, seed=3))
    server = serve(world, made, storage)
    compare(server, made)
    server.stop()
    compare(world.serve(world.path("cofd.conf")), made)


@case("every kind of question: of a sensor, it is as if there were no other")
def kinds(world):
    made = [observation("www.example", "a", 1000, 2000),
            observation("www.example", "b", 3000, 4000),
            observation("mail.example", "b", rrtype="MX", rdata="10 mx.example"),
            observation("www.example", "b", rrtype="TXT", rdata='"x"'),
            observation("v6.example", "a", rrtype="AAAA", rdata="2001:db8::1"),
            observation("nobody.example", None)]
    server = serve(world, made)
    for question, of_a, of_b in (
            ({"name": "www.example"}, ["www.example"], ["www.example"] * 2),
            ({"name": "nobody.example"}, [], []),
            ({"subdomains": "example"}, ["v6.example", "www.example"],
             ["mail.example", "www.example", "www.example"]),
            ({"rdata_name": "mx.example"}, [], ["mail.example"]),
            ({"address": "192.0.2.1"}, ["www.example"], ["www.example"]),
            ({"network": "192.0.2.0/24"}, ["www.example"], ["www.example"]),
            ({"range": "2001:db8::-2001:db8::ff"}, ["v6.example"], []),
            ({"name": "www.example", "rrtype": "A"}, ["www.example"], ["www.example"]),
            # The record as a whole lies within these, what one of them saw does not.
            ({"name": "www.example", "time_last_before": 2000, "rrtype": "A"}, ["www.example"], []),
            ({"name": "www.example", "time_first_after": 3000, "rrtype": "A"}, [], ["www.example"])):
        equal(names(ask(server, sensor_id="a", **question)), of_a, "a: %s" % question)
        equal(names(ask(server, sensor_id="b", **question)), of_b, "b: %s" % question)
    one = ask(server, name="www.example", rrtype="A", sensor_id="b").records[0]
    equal((one["time_first"], one["time_last"], one["count"], one["sensor_id"]),
          (3000, 4000, 1, "b"), "as b saw it")


@case("pages, sorted, in bulk, as JSON and CSV, and sensors of any text")
def shapes(world):
    odd = 'S\u00fcd "1", /&=+?'
    made = [observation("n%d.example" % n, odd if n % 2 else "x", first=1000 + n, last=5000 - n,
                        bailiwick="example" if n % 4 == 1 else "n%d.example" % n)
            for n in range(40)]
    server = serve(world, made)
    want = sorted("n%d.example" % n for n in range(1, 40, 2))
    got, cursor, pages = [], {}, 0
    while cursor is not None:
        answer = ask(server, subdomains="example", sensor_id=odd, limit=3, **cursor)
        got += answer.records
        after = answer.headers.get("x-cofd-cursor")
        cursor = {"cursor": after} if after else None
        pages += 1
        if pages == 1:
            ask(server, 400, subdomains="example", sensor_id="x", limit=3, cursor=after)
    equal(sorted(one["rrname"] for one in got), want, "all pages")
    equal({one["sensor_id"] for one in got}, {odd}, "the sensor")
    check(pages >= 7, "%d pages" % pages)
    answer = ask(server, subdomains="example", sensor_id=odd, sort="-time_first", limit=2)
    equal([(one["rrname"], one["sensor_id"]) for one in answer.records],
          [("n39.example", odd), ("n37.example", odd)], "sorted")
    body = b"n1.example\nn2.example\n192.0.2.1\n"
    answer = ask(server, path="/api/v1/bulk", method="POST", body=body, sensor_id="x", limit=2)
    equal(names(answer), ["n0.example", "n10.example", "n2.example"], "in bulk")
    answer = ask(server, name="n1.example", sensor_id=odd, format="json")
    equal([one["sensor_id"] for one in json.loads(answer.text)], [odd], "JSON")
    equal(ask(server, name="n1.example", sensor_id=odd, format="csv").lines,
          ["time_first,time_last,count,rrtype,rrname,rdata\r\n",
           "1001,4999,1,A,n1.example,192.0.2.1\r\n"], "CSV")
    answer = ask(server, subdomains="example", sensor_id=odd, bailiwick="example")
    equal(names(answer), sorted("n%d.example" % n for n in range(1, 40, 4)), "bailiwick")
    for value, word in (("", "without a value"), ("s" * 256, "256 octets")):
        text = ask(server, 400, name="a.example", sensor_id=value).text
        check("sensor_id" in text and word in text and "expected" in text, text)
    equal(ask(server, name="n1.example", sensor_id="s" * 255).text, "", "the longest one")


def killed(world, storage):
    path = world.write("feed.ndjson", "")
    conf = world.conf(input="path = %s\nfollow = yes" % path, storage=storage,
                      chain="window_records = 100\nwindow_time = 20ms\nqueue_batches = 2")
    rng, made = random.Random(len(storage)), []
    for n in range(KILLS):
        server = world.serve(conf)
        chunk = list(generate.observations(RECORDS // KILLS, seed=n))
        made += chunk
        append(path, chunk)
        # Any moment is as good: the pause only spreads the kills over the work.
        time.sleep(rng.random() * 0.1)
        server.kill()
    server = world.serve(conf)
    append(path, [observation("last.example", "s0")])
    made.append(observation("last.example", "s0"))
    until(lambda: server.get("/query/last.example").body, "the last record")
    agree(server, made)


def agree(server, made):
    """Times are exact; what came twice counts twice, for the record and for its sensor alike."""
    whole, sums = ask(server, subdomains=".").model(), {}
    equal(sorted(whole), sorted(generate.model(made)), "records")
    for sensor in SENSORS:
        have, want = ask(server, subdomains=".", sensor_id=sensor).model(), by_sensor(made, sensor)
        equal({key: value[:2] for key, value in have.items()},
              {key: value[:2] for key, value in want.items()}, "times of " + sensor)
        for key, value in have.items():
            check(value[2] >= want[key][2], "the count of %r" % (key,))
            sums[key] = sums.get(key, 0) + value[2]
    equal(sums, {key: value[2] for key, value in whole.items()}, "counts, of all sensors together")


for how, lines in (("by the log", "sensors = yes"), ("in files", BULK)):
    case("each sensor has its own records, times and counts, also after a restart; %s" % how)(
        lambda world, lines=lines: own(world, lines))
    case("killed at any moment, sensors and records agree; %s" % how)(
        lambda world, lines=lines: killed(world, lines))


@case("what expires does so by when the sensor saw it last")
def expires(world):
    now = int(time.time())
    text = {"rrtype": "TXT", "rdata": '"t"'}
    server = serve(world, [observation("t.example", "old", now - 90000, now - 80000, **text),
                           observation("t.example", "new", now - 90000, now, **text),
                           observation("a.example", "old", now - 90000, now - 80000)],
                   "sensors = yes\nexpire = TXT:40000")
    equal(names(ask(server, subdomains="example")), ["a.example", "t.example"], "all")
    equal(names(ask(server, subdomains="example", sensor_id="old")), ["a.example"], "old")
    equal(names(ask(server, name="t.example", sensor_id="new")), ["t.example"], "new")


def without(server):
    """501, and how to get it."""
    for answer in (ask(server, 501, name="a.example", sensor_id="x"),
                   ask(server, 501, path="/api/v1/bulk", method="POST", body=b"a.example",
                       sensor_id="x")):
        for word in ("sensor_id", "sensors = yes", "/api/v1/stats"):
            check(word in answer.text, "%r lacks %r" % (answer.text, word))


@case("the option comes and goes: from when it came on, and nothing once it went")
def comes_and_goes(world):
    path = world.write("feed.ndjson", "")

    def start(storage, name):
        append(path, [observation(name, "x")])
        server = world.serve(world.conf(input="path = %s\nfollow = yes" % path, storage=storage))
        until(lambda: server.get("/query/" + name).body, "the record")
        return server

    def seen(server):
        return names(ask(server, subdomains="example", sensor_id="x"))
    server = start("", "before.example")
    without(server)
    equal(server.metric("db", "sensors_since"), -1, "not kept")
    server.stop()
    begun = int(time.time())
    server = start("sensors = yes", "a.example")
    server.wait_log("what sensors see is kept from now on")
    equal(seen(server), ["a.example"], "since it came")
    since = server.metric("db", "sensors_since")
    check(begun <= since <= time.time(), "since %d" % since)
    server.stop()
    server = start("sensors = yes", "b.example")
    equal(seen(server), ["a.example", "b.example"], "after a restart")
    equal(server.metric("db", "sensors_since"), since, "since the same time")
    server.stop()
    server = start("", "c.example")
    server.wait_log("removing what was kept of sensors")
    without(server)
    server.stop()
    server = start("sensors = yes", "d.example")
    equal(seen(server), ["d.example"], "anew")
    equal(len(ask(server, subdomains="example").records), 5, "no record is gone")


@case("migrate and export take the records, and say that sensors stay")
def migrated(world):
    server = serve(world, [observation("a.example", "x"), observation("a.example", "y")])
    server.stop()
    text = "\n".join(("[storage.other]", "plugin = rocksdb", "path = " + world.path("other"),
                      "sensors = yes"))
    conf = world.conf(text, input="path = " + world.path("in.ndjson"), storage="sensors = yes")
    said = world.done("migrate", "-c", conf, "--from", "db", "--to", "other")
    check("what single sensors saw of the records of storage.db stays there" in said.stderr,
          said.stderr)
    for name in ("db", "other"):
        lines = world.done("export", "-c", conf, "--from", name).stdout.splitlines()
        one, = [json.loads(line) for line in lines]
        equal((one["rrname"], one["count"], "sensor_id" in one), ("a.example", 2, False), name)


@case("two storages of a chain: the one that keeps sensors gets them")
def two_storages(world):
    made = list(generate.observations(600, seed=9))
    path = world.write("in.ndjson", "")
    append(path, made)
    text = "\n".join(("[storage.plain]", "plugin = rocksdb", "path = " + world.path("plain")))
    conf = world.conf(text, input="path = " + path, storage="sensors = yes")
    with open(conf, encoding="utf-8") as lines:
        changed = lines.read().replace("-> db ->", "-> plain, db ->")
    server = world.serve(world.write("two.conf", changed), outputs=1)
    server.wait_stored(len(made))
    without(server)  # outputs ask the first one
    server.stop()
    server = world.serve(world.conf(input="path = " + path, storage="sensors = yes"))
    compare(server, made)


if __name__ == "__main__":
    main()
