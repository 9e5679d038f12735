#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The storage kvrocks against a real Kvrocks, in both layouts. There is no Debian package of it: where
`kvrocks` is not on PATH, most cases are skipped, and those of the layout compact alone run against a
Redis that a proxy has taught HRANGEBYLEX."""
import json
import os
import shutil
import threading

import d4model
import generate
from cofdtest import SANITIZED, case, check, equal, main, until
from d4model import Model
from redisproc import Kvrocks, Redis, need_kvrocks, ordered_server

LINES = 2000 if SANITIZED else 8000
RECORDS = 2000 if SANITIZED else 10000
LAYOUTS = ("d4", "compact")
UUID = "6072e072-bfaa-4395-9bb1-cdb3b470d715"
QUEUE = "analyzer:8:" + UUID


def storage(servers, layout, *more, name="db", plugin="kvrocks"):
    ports = ", ".join("127.0.0.1:%d" % server.front for server in servers)
    return ["[storage.%s]" % name, "plugin = " + plugin, "server = " + ports, "layout = " + layout, *more]


def server_of(world, layout):
    return Kvrocks(world, layout) if layout == "d4" else ordered_server(world, layout)


def here(layout):
    """Whether there is a server for it."""
    return layout == "compact" or shutil.which("kvrocks") is not None


def configure(world, sections, route, *chain):
    os.makedirs(world.path("state"), exist_ok=True)
    return world.write("cofd.conf", "\n".join((
        "[cofd]", "state_dir = " + world.path("state"), *sections, "[output.api]", "plugin = rest",
        "listen = 127.0.0.1:0", "[chain.main]", "route = " + route, "window_time = 20ms",
        "retry_max = 200ms", *chain)) + "\n")


def push(queue, texts):
    client = queue.client(2)
    client.many([("LPUSH", QUEUE, text) for text in texts])
    client.close()


def drained(queue):
    client = queue.client(2)
    until(lambda: not [k for k in client.keys() if k.startswith(QUEUE.encode())], "an empty queue")
    client.close()


def pages(server, question, limit):
    """The pages of an answer, one after the other."""
    cursor = ""
    while cursor is not None:
        answer = server.get("/api/v1/records?%s&limit=%d%s" % (question, limit, cursor))
        equal(answer.status, 200, "status of a page")
        yield answer.model()
        more = answer.headers.get("x-cofd-cursor")
        cursor = more and "&cursor=" + more


def whole(parts):
    """All pages as one model; fails where a record stands on two."""
    store = {}
    for part in parts:
        check(not set(part) & set(store), "a record stands on two pages")
        store.update(part)
    return store


def compare(server, model, exact=True):
    for name, want in model.names().items():
        have = server.get("/query/" + name).model()
        equal(sorted(have), sorted(want), "records of " + name)
        for key, (first, last, count) in want.items():
            equal(have[key][:2], [first, last], "times of %r" % (key,))
            check(have[key][2] == count or (not exact and have[key][2] > count),
                  "count of %r: %d, want %d" % (key, have[key][2], count))


def through_queue(world, layout):
    """Lines out of a D4 queue, while the database is killed and started again."""
    queue, store = Redis(world, "queue-" + layout), server_of(world, layout)
    # The layout d4 does not keep the case of a TXT, compact does: the model is of what both keep.
    made = [text for text in d4model.lines(LINES, seed=5) if "||TXT||" not in text]
    push(queue, made[:LINES // 2])
    conf = configure(world, [
        "[input.queue]", "plugin = d4", "server = 127.0.0.1:%d" % queue.port, "uuid = " + UUID,
        "batch_entries = 200", *storage([store], layout)], "queue -> db -> api",
        "window_records = 500", "queue_batches = 2")
    server = world.serve(conf)
    until(lambda: server.info()["stats"] > LINES // 20, "some of the lines to be stored")
    store.kill()
    push(queue, made[LINES // 2:])
    server.wait_log(r"error storage\.db: .*trying again until it works")
    store.start()
    drained(queue)
    compare(server, Model(made, sensor_counts=True), exact=False)
    server.stop()


@case("layout d4: %d lines out of a D4 queue, the database killed in between" % LINES)
def queue_d4(world):
    need_kvrocks()
    through_queue(world, "d4")


@case("layout compact: %d lines out of a D4 queue, the database killed in between" % LINES)
def queue_compact(world):
    through_queue(world, "compact")


@case("namespaces by their tokens; a wrong token ends the start and is not in the log")
def namespaces(world):
    need_kvrocks()
    store = Kvrocks(world, "store", "requirepass admin")
    store.password = "admin"
    for name in LAYOUTS:
        store.do("NAMESPACE", "ADD", name, "token-" + name)
    made = generate.write(world.path("in.ndjson"), RECORDS)
    for layout in LAYOUTS:
        conf = configure(world, storage([store], layout, "token = token-" + layout), "db -> api")
        world.done("import", "-c", conf, world.path("in.ndjson"))
    for layout in LAYOUTS:
        conf = configure(world, storage([store], "auto", "token = token-" + layout), "db -> api")
        lines = world.done("export", "-c", conf, "--from", "db").stdout.splitlines()
        equal(len(lines), len(generate.model(made)), "records of the namespace " + layout)
    equal(store.do("SCAN", "0")[1], [], "keys of the default namespace")
    server = world.start(configure(world, storage([store], "auto", "token = swordfish"), "db -> api"))
    check(server.wait() != 0, "cofd ends with a wrong token")
    text = "\n".join(server.log())
    check("Invalid password" in text and "swordfish" not in text, "the log names the fault: " + text)


@case("migrate: d4 to compact to rocksdb and back, all hold the same")
def migrates(world):
    first, second = ordered_server(world, "first"), ordered_server(world, "second")
    conf = configure(world, [
        *storage([first], "d4"), *storage([second], "compact", name="compact"), "[storage.rocks]",
        "plugin = rocksdb", "path = " + world.path("db")], "db -> api")
    made = generate.write(world.path("in.ndjson"), RECORDS)
    world.done("import", "-c", conf, world.path("in.ndjson"))
    for source, target in (("db", "compact"), ("compact", "rocks"), ("rocks", "compact")):
        said = world.done("migrate", "-c", conf, "--from", source, "--to", target).stdout
        check("verified" in said, said)
    want = sorted(world.done("export", "-c", conf, "--from", "db").stdout.splitlines())
    equal(len(want), len(generate.model(made)), "records")
    for name in ("compact", "rocks"):
        have = sorted(world.done("export", "-c", conf, "--from", name).stdout.splitlines())
        equal(have, want, "records in " + name)


def large(world, layout, count):
    """A server over a database in which an address has so many names."""
    store = server_of(world, layout)
    conf = configure(world, storage([store], layout), "db -> api")
    source = world.write("large.ndjson", "".join(json.dumps({
        "rrname": "n%05d.wild.example" % n, "rrtype": "A", "rdata": "192.0.2.1", "time_first": 5,
        "time_last": 6, "count": 1}) + "\n" for n in range(count)))
    world.done("import", "-c", conf, source)
    return store, world.serve(conf)


@case("pages of a long answer: by address in both layouts, below a domain in compact")
def paging(world):
    for layout, question in (("d4", "address=192.0.2.1"), ("compact", "address=192.0.2.1"),
                             ("compact", "subdomains=wild.example")):
        if not here(layout):
            continue
        store, server = large(world, layout, 25000)
        store_of = whole(pages(server, question, 500))
        equal(len(store_of), 25000, "records of %s in the layout %s" % (question, layout))
        server.stop()
        store.kill()
        os.rename(store.directory, store.directory + "-" + question.replace("=", "-"))


@case("the database started again between two pages: told in the layout d4, nothing in compact")
def restarts(world):
    for layout in filter(here, LAYOUTS):
        store, server = large(world, layout, 25000)
        ask, parts, cursor = "/api/v1/records?address=192.0.2.1&limit=1000", [], ""
        for _ in range(3):
            answer = server.get(ask + cursor)
            parts.append(answer.model())
            cursor = "&cursor=" + answer.headers["x-cofd-cursor"]
        store.kill()
        store.start()
        answer = server.get(ask + cursor)
        if layout == "compact":
            equal(len(whole([*parts, answer.model()])), 4000, "records of four pages")
        else:
            check(answer.status >= 500 and "started again" in answer.text, "it is told")


@case("records expire with all their keys")
def expiry(world):
    need_kvrocks()
    store = Kvrocks(world, "store")
    conf = configure(world, storage([store], "d4", "expire = TXT:24000"), "db -> api")
    world.done("import", "-c", conf, world.write("in.ndjson", "".join(json.dumps({
        "rrname": "t.example", "rrtype": kind, "rdata": rdata, "time_first": 5, "time_last": 6,
        "count": 1}) + "\n" for kind, rdata in (("TXT", '"x"'), ("A", "192.0.2.1")))))
    for letter in "slo":
        check(0 < store.do("TTL", letter + ':t.example:x":16') <= 24000, letter + ": expires")
        equal(store.do("TTL", letter + ":t.example:192.0.2.1:1"), -1, letter + ": of an A stays")


def exported(world, conf, name="db"):
    """What a storage holds, as a model."""
    lines = world.done("export", "-c", conf, "--from", name).stdout.splitlines()
    store = {(one["rrname"], one["rrtype"], one["rdata"]):
             [one["time_first"], one["time_last"], one["count"]] for one in map(json.loads, lines)}
    equal(len(lines), len(store), "different lines of the export")
    return store


def forms(world, store, first, second):
    """Import with one plugin into an empty database, then with another; all is there."""
    halves = [generate.write(world.path("%d.ndjson" % n), RECORDS, seed=n) for n in (1, 2)]
    for number, plugin in ((1, first), (2, second)):
        conf = configure(world, storage([store], "compact", plugin=plugin), "db -> api")
        world.done("import", "-c", conf, world.path("%d.ndjson" % number))
    equal(exported(world, conf), generate.model(halves[0] + halves[1]), "records")


@case("layout compact: ordered in an empty database, which the storage redis refuses")
def ordered(world):
    store = ordered_server(world, "store")
    forms(world, store, "kvrocks", "kvrocks")
    equal(store.do("GET", "cofd:layout"), b"compact-ordered 1", "mark")
    equal(store.do("EXISTS", "cofd:f:" + "0" * 16), 0, "inner pages")
    refused = world.start(configure(world, storage([store], "auto", plugin="redis"), "db -> api"))
    check(refused.wait() != 0, "the storage redis ends")
    text = "\n".join(refused.log())
    check("'compact-ordered 1'" in text and "expected 'compact 1'" in text, "it names both: " + text)


@case("layout compact: a database of pages stays one")
def pages_stay(world):
    store = ordered_server(world, "store")
    forms(world, store, "redis", "kvrocks")
    equal(store.do("GET", "cofd:layout"), b"compact 1", "mark")
    check(store.do("HLEN", "cofd:f:" + "0" * 16) > 10, "inner pages")


@case("layout compact: three imports at once lose no counts")
def at_once(world):
    store = ordered_server(world, "store")
    conf = configure(world, storage([store], "compact"), "db -> api")
    made = generate.write(world.path("in.ndjson"), RECORDS)
    def load():
        world.done("import", "-c", conf, world.path("in.ndjson"))
    imports = [threading.Thread(target=load) for _ in range(3)]
    for one in imports:
        one.start()
    for one in imports:
        one.join()
    equal(exported(world, conf), generate.model(3 * made), "records")


@case("layout compact: what expired is not answered, and removed by later writes")
def swept(world):
    store = ordered_server(world, "store")
    for number, (rrtype, rdata, expire) in enumerate((
            ("A", "192.0.2.1", "TXT:1000"), ("NS", "ns.example", "A:1000"))):
        conf = configure(world, storage([store], "compact", "expire = " + expire), "db -> api")
        world.done("import", "-c", conf, world.write("%d.ndjson" % number, "".join(json.dumps({
            "rrname": "n%d.example" % n, "rrtype": rrtype, "rdata": rdata, "time_first": 5,
            "time_last": 6, "count": 1}) + "\n" for n in range(3000))))
        have = exported(world, conf)
        equal(len(have), 3000, "records")
        check(all(key[1] == rrtype for key in have), "what expired is not answered")
    # A sweep goes once round at least while as many are written again.
    world.done("import", "-c", conf, world.path("1.ndjson"))
    equal(store.do("HLEN", "cofd:f:%016x" % 1), 2 + 3000, "fields")
    equal(store.do("HGET", "cofd:stats", "r"), b"3000", "records counted")


def clustered(world):
    """Two nodes with half of the slots each; the topology is set from outside."""
    nodes = [Kvrocks(world, "node%d" % n, cluster=True) for n in range(2)]
    ids = [("%d" % n) * 40 for n in range(2)]
    text = "\n".join("%s 127.0.0.1 %d master - %d-%d" % (ids[n], node.port, 8192 * n, 8192 * n + 8191)
                     for n, node in enumerate(nodes))
    for node, name in zip(nodes, ids):
        node.do("CLUSTERX", "SETNODEID", name)
        node.do("CLUSTERX", "SETNODES", text, 1)
    return nodes


@case("a cluster whose database is ordered: on two slots")
def ordered_cluster(world):
    need_kvrocks()
    made = generate.write(world.path("in.ndjson"), RECORDS)
    nodes = clustered(world)
    for key in ("cofd:f:%016x" % 1, "cofd:r:%016x" % 1):
        nodes[1].do("HSET", key, "m", bytes(9), "h", "")
    nodes[1].do("SET", "cofd:layout", "compact-ordered 1")
    conf = configure(world, storage(nodes[:1], "compact", "mode = cluster"), "db -> api")
    world.done("import", "-c", conf, world.path("in.ndjson"))
    equal(exported(world, conf), generate.model(made), "records")


@case("a cluster of two nodes holds what one holds, in both layouts")
def cluster(world):
    need_kvrocks()
    made = generate.write(world.path("in.ndjson"), RECORDS)
    for layout in LAYOUTS:
        nodes = clustered(world)
        conf = configure(world, storage(nodes[:1], layout, "mode = cluster"), "db -> api")
        world.done("import", "-c", conf, world.path("in.ndjson"))
        equal(exported(world, conf), generate.model(made), "records in the layout " + layout)
        for node in nodes:
            check(len(node.client().keys()) > 10, "both nodes hold some")
            node.kill()
            os.rename(node.directory, node.directory + "-" + layout)


main()
