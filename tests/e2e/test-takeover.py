#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""In the place of analyzer-d4-passivedns, and beside it: the same queue, the same database, the same
answers. A model in Python says what must be there; none of it asks cofd. COFD_TEST_LINES gives the
number of lines where another than the default is wanted."""
import json
import os
import random
import threading
import time

import d4model
from cofdtest import DEADLINE, SANITIZED, TOP, case, check, equal, main, until
from d4model import Ingester, Model, Reader
from d4site import QUEUE, Asker, Site, compare, compare_keys
from redisproc import RedisError

LINES = int(os.environ.get("COFD_TEST_LINES") or (4000 if SANITIZED else 20000))
ADDRESS_TYPES = ("A", "AAAA")


def compare_servers(server, database, model, most=4000):
    """cofd and the other server give the same lines, by name and by address."""
    reader, ask = Reader(database), Asker(server)
    names = sorted(model.names())
    addresses = sorted({key[2] for key in model.store if key[1] in ADDRESS_TYPES})
    rng = random.Random(3)
    questions = [(name, reader.record) for name in rng.sample(names, min(most, len(names)))]
    questions += [(ip, reader.pivot) for ip in rng.sample(addresses, min(most // 4, len(addresses)))]
    for question, answer in questions:
        have = [d4model.reader_form(text) for text in ask.text("/query/" + question)]
        have = [text for text in have if text is not None]
        equal(len(have), len(set(have)), "different records of " + question)
        equal(sorted(have), sorted(answer(question)), "answer to " + question)
    equal(json.loads(ask.text("/info")[0])["stats"], reader.information()["stats"], "stats of /info")


@case("%d lines through the queue into the database: answers, keys, and what the other server reads"
      % LINES)
def whole(world):
    site = Site(world)
    made = list(d4model.lines(LINES))
    begin = time.monotonic()
    site.push(made)
    pushed = time.monotonic()
    server = site.serve(d4="count = sensor")
    site.drained()
    took = time.monotonic() - pushed
    model = Model(made, sensor_counts=True)
    equal(server.info()["stats"], model.processed, "stats of /info")
    compare(server, model)
    database = site.dump()
    compare_keys(database, model)
    compare_servers(server, database, model)
    print("# %d lines, %d tuples; pushed in %.1f s, stored in %.1f s"
          % (len(made), len(model.store), pushed - begin, took))


@case("count = line: one for each line, as the other program counts")
def count_lines(world):
    site = Site(world)
    made = list(d4model.lines(2000, seed=9))
    site.push(made)
    server = site.serve(d4="count = line\nworkers = 2")
    site.drained()
    model = Model(made, sensor_counts=False)
    compare(server, model)
    compare_keys(site.dump(), model)


@case("what the D4 server trimmed is gone, what it kept is stored")
def trimmed(world):
    site = Site(world)
    made = list(d4model.lines(3000, seed=4))
    site.push(made, most=999)
    server = site.serve()
    site.drained()
    model = Model(made[-1000:], sensor_counts=True)
    compare(server, model)
    compare_keys(site.dump(), model)


@case("kill -9 ten times: nothing missing, counts at least the true ones")
def killed(world):
    site = Site(world)
    rng = random.Random(8)
    made = list(d4model.lines(LINES, seed=2))
    part = len(made) // 10
    hit = kills = 0
    # More than ten where too few of these fall into the work, as this script comes to it late.
    while kills < 10 or (hit < 2 and kills < 50):
        if kills >= 10:
            some = list(d4model.lines(part, seed=100 + kills))
            made += some
        else:
            some = made[kills * part:(kills + 1) * part if kills < 9 else len(made)]
        site.push(some)
        server = site.serve(chain="window_time = 10ms\nwindow_records = 500\nqueue_batches = 2",
                            d4="batch_entries = 200")
        client = site.queue.client(2)
        until(lambda: client.do("LLEN", QUEUE + ":cofd:queue") or not client.keys(), "work")
        # Any moment is as good: the pause only spreads the kills over the work.
        time.sleep(rng.random() * 0.05)
        server.kill()
        kills += 1
        hit += bool(client.keys())
        client.close()
    server = site.serve()
    site.drained()
    check(hit >= 2, "some kills fell into the work (%d did)" % hit)
    model = Model(made, sensor_counts=True)
    higher = compare(server, model, exact=False)
    database = site.dump()
    want = model.keys()
    equal(sorted(set(want) - set(database)), [], "keys that are missing")
    check(int(database["stats:processed"]) >= model.processed, "stats:processed")
    print("# %d of %d kills in the work; counts are %d above the true %d"
          % (hit, kills, higher, sum(value[2] for value in model.store.values())))


@case("the database killed and started again in the middle: nothing missing")
def store_restarts(world):
    site = Site(world)
    made = list(d4model.lines(LINES, seed=6))
    half = len(made) // 2
    site.push(made[:half])
    server = site.serve(chain="window_time = 10ms\nwindow_records = 500\nqueue_batches = 2",
                        d4="batch_entries = 200")
    until(lambda: server.info()["stats"] > half // 10, "some of the lines to be stored")
    site.store.kill()
    site.push(made[half:])
    server.wait_log("storage|redis|db")
    equal(server.get("/query/www.d1.example").status, 503, "status while the database is down")
    site.store.start()
    site.drained()
    model = Model(made, sensor_counts=True)
    compare(server, model, exact=False)


@case("the D4 server's Redis killed and started again in the middle: nothing missing")
def queue_restarts(world):
    site = Site(world)
    made = list(d4model.lines(LINES, seed=16))
    half = len(made) // 2
    site.push(made[:half])
    server = site.serve(chain="window_time = 10ms\nwindow_records = 500\nqueue_batches = 2",
                        d4="batch_entries = 200")
    until(lambda: server.info()["stats"] > half // 10, "some of the lines to be stored")
    site.queue.kill()
    site.queue.start()
    site.push(made[half:])
    site.drained()
    compare(server, Model(made, sensor_counts=True), exact=False)


def hold(site, fault, mend, says):
    """Lines that arrive during a fault are stored, each once, when it is over."""
    made = list(d4model.lines(1000, seed=21))
    server = site.serve()
    site.push(made[:500])
    site.drained()
    mark = len(server.log())
    fault()
    site.push(made[500:])
    server.wait_log(says, after=mark)
    check(site.queue.do("LLEN", QUEUE + ":cofd:queue", database=2) > 0, "lines stay in flight")
    mend()
    site.drained()
    model = Model(made, sensor_counts=True)
    compare(server, model)
    compare_keys(site.dump(), model)


@case("out of memory: lines wait until there is room")
def out_of_memory(world):
    site = Site(world, "--maxmemory-policy", "noeviction")
    hold(site, lambda: site.store.do("CONFIG", "SET", "maxmemory", "1"),
         lambda: site.store.do("CONFIG", "SET", "maxmemory", "0"), "OOM")


@case("a database that takes no writes: lines wait")
def read_only(world):
    site = Site(world)
    site.store.do("CONFIG", "SET", "replica-serve-stale-data", "yes")
    hold(site, lambda: site.store.do("CONFIG", "SET", "min-replicas-to-write", "1"),
         lambda: site.store.do("CONFIG", "SET", "min-replicas-to-write", "0"), "NOREPLICAS")


@case("a script that keeps the database busy: lines wait")
def busy(world):
    site = Site(world, "--lua-time-limit", "50")
    done = []

    def script():
        try:
            site.store.do("EVAL", "while true do end", "0")
        except RedisError as error:
            done.append(str(error))

    thread = threading.Thread(target=script, daemon=True)

    def fault():
        thread.start()
        client = site.store.client()
        until(lambda: str(client.many([("PING",)], errors=True)[0]).startswith("BUSY"), "BUSY")
        client.close()

    hold(site, fault, lambda: site.store.do("SCRIPT", "KILL"), "BUSY")
    thread.join(DEADLINE)
    check(done and "killed" in done[0], "the script was killed")


@case("a wrong password is told clearly, and is not in the log")
def wrong_password(world):
    site = Site(world, "--requirepass", "right")
    site.store.password = "right"
    server = world.start(site.conf(redis="password = swordfish"))
    check(server.wait() != 0, "cofd ends with a wrong password of the database")
    text = "\n".join(server.log())
    check("WRONGPASS" in text, "the log names the fault: " + text)
    check("swordfish" not in text, "the log has the password: " + text)
    server = site.serve(redis="password = right")
    site.push(list(d4model.lines(10)))
    site.drained()
    compare(server, Model(d4model.lines(10), sensor_counts=True))


# --- a database that the other program filled ---------------------------------------------------

def put(client, name, number, rdata, first=None, last=None, count=None):
    """One record as the other program's writers leave it, or a part of it."""
    triple = "%s:%s:%d" % (name, rdata, number)
    client.do("SADD", "r:%s:%d" % (name, number), rdata)
    client.do("SADD", "v:%s:%d" % (rdata, number), name)
    for letter, value in (("s", first), ("l", last), ("o", count)):
        if value is not None:
            client.do("SET", letter + ":" + triple, value)


def fill(client):
    put(client, "plain.example", 1, "192.0.2.1", 100, 200, 3)
    put(client, "plain.example", 15, "mail.example", 101, 201, 4)
    # A record of a file import: verbatim.
    put(client, "WWW.Upper.Example.", 1, "192.0.2.2", 1, 2, 1)
    put(client, "lower.example", 5, "Target.Example.COM.", 5, 6, 7)
    put(client, "lower.example", 5, "target.example.com", 3, 5, 10)
    # Members of a record that expired, between others.
    for number in range(5):
        put(client, "dead.example", 1, "192.0.2.%d" % (10 + number), *((50, 60, 1) if number % 2 else ()))
    put(client, "lastonly.example", 1, "192.0.2.20", None, 77, None)
    put(client, "float.example", 1, "192.0.2.21", "1657878272.5", "1657878273.9", 2)
    for rdata, times in (('"v=spf1 -all"', (30, 40, 1)), ('v=spf1 -all"', (20, 50, 2)),
                         ("v=spf1 -all", (35, 36, 4))):
        put(client, "txt.example", 16, rdata, *times)
    for number in range(250):
        put(client, "many.example", 1, "198.51.100.%d" % number, 1000 + number, 2000 + number, 1 + number)
    # The same rdata under two types, each with its times.
    put(client, "two.example", 2, "ns.two.example", 10, 20, 1)
    put(client, "two.example", 5, "ns.two.example", 30, 40, 2)
    put(client, "nope.example", 1, "nxdomain", 5, 6, 9)
    put(client, "null.example", 15, "", 7, 8, 1)
    put(client, "soa.example", 6, "ns.soa.example", 9, 10, 1)
    put(client, "v6.example", 28, "2001:db8::1", 11, 12, 1)
    client.do("SET", "stats:processed", 1234)
    for name, score in (("alpha", 5), ("beta", 12), ("gamma", 5)):
        client.do("SADD", "sensors:seen", name)
        client.do("ZADD", "stats:sensors", score, name)


FILLED = {  # question -> records
    "plain.example": {("plain.example", "A", "192.0.2.1"): [100, 200, 3],
                      ("plain.example", "MX", "mail.example"): [101, 201, 4]},
    "PLAIN.example.": {("plain.example", "A", "192.0.2.1"): [100, 200, 3],
                       ("plain.example", "MX", "mail.example"): [101, 201, 4]},
    "192.0.2.1": {("plain.example", "A", "192.0.2.1"): [100, 200, 3],
                  ("plain.example", "MX", "mail.example"): [101, 201, 4]},
    "192.0.2.2": {("www.upper.example", "A", "192.0.2.2"): [1, 2, 1]},
    "lower.example": {("lower.example", "CNAME", "target.example.com"): [3, 6, 17]},
    "dead.example": {("dead.example", "A", "192.0.2.11"): [50, 60, 1],
                     ("dead.example", "A", "192.0.2.13"): [50, 60, 1]},
    "lastonly.example": {("lastonly.example", "A", "192.0.2.20"): [77, 77, 1]},
    "float.example": {("float.example", "A", "192.0.2.21"): [1657878272, 1657878273, 2]},
    "txt.example": {("txt.example", "TXT", '"v=spf1 -all"'): [20, 50, 7]},
    "many.example": {("many.example", "A", "198.51.100.%d" % n): [1000 + n, 2000 + n, 1 + n]
                     for n in range(250)},
    "two.example": {("two.example", "NS", "ns.two.example"): [10, 20, 1],
                    ("two.example", "CNAME", "ns.two.example"): [30, 40, 2]},
    "nope.example": {},
    "nothing.example": {},
    "null.example": {("null.example", "MX", "."): [7, 8, 1]},
    "soa.example": {("soa.example", "SOA", "ns.soa.example"): [9, 10, 1]},
    "2001:DB8:0::1": {("v6.example", "AAAA", "2001:db8::1"): [11, 12, 1]},
}


@case("a database that the other program filled, with all that lies about in it")
def filled(world):
    site = Site(world)
    client = site.store.client()
    fill(client)
    before = site.dump()
    server = site.serve(layout="")
    for question, want in FILLED.items():
        equal(Asker(server).model("/query/" + question), want, "answer to " + question)
    equal(Asker(server).model("/fquery/mail.example"), FILLED["plain.example"], "/fquery of a target")
    equal(Asker(server).model("/fquery/target.example.com"), FILLED["lower.example"],
          "/fquery of a target in two spellings")
    info = server.info()
    equal(info["stats"], 1234, "stats of /info")
    equal(info["sensors"], Reader(before).information()["sensors"], "sensors of /info")
    equal(site.dump(), before, "a database that was only asked")
    client.close()


@case("the other program and cofd at once on one queue and one database")
def beside(world):
    site = Site(world)
    # Names and times in order, as the other program never sets a first time back.
    made = [text for text in d4model.lines(3000, seed=12, odd=False)]
    made.sort(key=lambda text: float(text.split("||")[0]))
    other = Ingester(site.queue.client(2), site.store.client(), QUEUE)
    site.push(made[:300])
    for _ in range(150):
        other.step()
    server = site.serve(layout="", d4="count = line\nbatch_entries = 20\nmax_in_flight = 40",
                        chain="window_time = 50ms")
    server.wait_log("d4")
    steps = 0
    for start in range(300, len(made), 300):
        site.push(made[start:start + 300])
        for _ in range(100):
            steps += other.step()
    site.drained()
    check(steps > 0, "the other program got a part")
    model = Model(made, sensor_counts=False)
    have = site.dump()
    for key, value in model.keys().items():
        if key[0] in "rvo":
            equal(have.get(key), value, key)
    equal(have["stats:processed"], str(model.processed), "stats:processed")
    compare_servers(server, have, model, most=800)
    print("# the other program took %d of %d lines" % (150 + steps, len(made)))


@case("going back: the other program goes on where cofd was, and reads all of it")
def back(world):
    site = Site(world)
    made = [text for text in d4model.lines(2000, seed=13, odd=False)]
    made.sort(key=lambda text: float(text.split("||")[0]))
    site.push(made[:1000])
    server = site.serve(d4="count = line")
    site.drained()
    server.stop()
    site.push(made[1000:1500])
    other = Ingester(site.queue.client(2), site.store.client(), QUEUE)
    while other.step():
        pass
    compare_keys(site.dump(), Model(made[:1500], sensor_counts=False))
    reader = Reader(site.dump())
    model = Model(made[:1500], sensor_counts=False)
    for name, records in model.names().items():
        served = [key for key in records if d4model.TYPES[key[1]] in d4model.SERVED]
        equal(len(reader.record(name)), len(served), "records that the other server gives of " + name)
    # And forth once more.
    site.push(made[1500:])
    server = site.serve(d4="count = line", layout="")
    site.drained()
    model = Model(made, sensor_counts=False)
    compare(server, model)
    compare_keys(site.dump(), model)


@case("the sample configuration for the take-over, with other ports")
def sample(world):
    site = Site(world)
    with open(os.path.join(TOP, "etc/d4-redis.conf"), encoding="utf-8") as lines:
        text = lines.read()
    for old, new in (("\nserver = 127.0.0.1:6380", "\nserver = 127.0.0.1:%d" % site.queue.port),
                     ("\nserver = 127.0.0.1:6400", "\nserver = 127.0.0.1:%d" % site.store.port),
                     ("listen = 127.0.0.1:8400", "listen = 127.0.0.1:0"),
                     ("/var/lib/cofd/state", world.path("state"))):
        equal(text.count(old), 1, "times that the sample has " + old)
        text = text.replace(old, new)
    os.makedirs(world.path("state"))
    made = ["1657800000.1||c||s||IN||1.2.0.192.asn.cymru.com.||TXT||\"64496\"||60||3",
            "1657800000.1||c||s||IN||txt.example.||TXT||\"Some Text\"||60||3",
            "1657800000.1||c||s||IN||WWW.example.||A||192.0.2.1||60||3",
            "1657800000.1||c||s||IN||www.example.||MX||mail.example.||60||3"]
    site.push(made)
    server = world.serve(world.write("cofd.conf", text))
    site.drained()
    compare(server, Model(made[1:], sensor_counts=False))
    client = site.store.client()
    for key in client.keys():
        seconds = client.do("TTL", key)
        check(23000 < seconds <= 24000 if key.endswith(b":16") else seconds == -1,
              "%r expires in %d s" % (key, seconds))
    client.close()
    equal(sorted(r["rrtype"] for r in server.get("/query/192.0.2.1").records), ["A", "MX"], "pivot")


if __name__ == "__main__":
    main()
