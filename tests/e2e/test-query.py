#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Questions beyond a single name: pivots, odd types, long answers."""
import json
import threading

from cofdtest import SANITIZED, case, check, equal, gunzip, main

MANY = 10000 if SANITIZED else 50000


def record(rrname, rrtype, rdata, first=100, last=200, **more):
    return json.dumps(dict(rrname=rrname, rrtype=rrtype, rdata=rdata, time_first=first,
                           time_last=last, **more)) + "\n"


WEB = [("a.example", "A", "192.0.2.1"), ("a.example", "MX", "10 m.example"),
       ("a.example", "TXT", '"hello \\"world\\""'), ("b.example", "A", "192.0.2.1"),
       ("b.example", "A", "192.0.2.2"), ("c.example", "CNAME", "a.example"),
       ("d.example", "NS", "a.example"), ("d.example", "A", "192.0.2.9"),
       ("m.example", "AAAA", "2001:db8::1"), ("_sip._tcp.s.example", "SRV", "10 60 5060 a.example"),
       ("1.2.0.192.in-addr.arpa", "PTR", "a.example"), ("sub.a.example", "A", "192.0.2.3")]


def serve(world, lines=None, rest=""):
    lines = lines if lines is not None else [record(*one) for one in WEB]
    source = world.write("in.ndjson", "".join(lines))
    server = world.serve(world.conf(input="path = " + source, rest=rest))
    server.wait_stored(len(lines))
    return server


def tuples(answer):
    equal(answer.status, 200, "status")
    got = [(r["rrname"], r["rrtype"], r["rdata"]) for r in answer.records]
    equal(len(got), len(set(got)), "records, each once")
    return sorted(got)


def of(*names):
    return sorted(one for one in WEB if one[0] in names)


@case("a name gives the records of exactly that name, in the order of type and rdata")
def name(world):
    server = serve(world)
    equal(tuples(server.get("/query/a.example")), of("a.example"), "a.example")
    equal([r["rrtype"] for r in server.get("/query/a.example").records], ["A", "MX", "TXT"],
          "types by their numbers")
    equal(tuples(server.get("/query/example")), [], "the name above")


@case("an address gives the records that point to it, and no other of their names")
def exact(world):
    server = serve(world)
    equal(tuples(server.get("/query/192.0.2.1")),
          [("a.example", "A", "192.0.2.1"), ("b.example", "A", "192.0.2.1")], "192.0.2.1")
    equal(tuples(server.get("/query/2001:DB8::1")), of("m.example"), "2001:DB8::1")


@case("/fquery gives all records of every name that points there, each once")
def pivot(world):
    server = serve(world)
    equal(tuples(server.get("/fquery/192.0.2.1")), of("a.example", "b.example"), "an address")
    equal(tuples(server.get("/fquery/m.example")), of("a.example"), "an exchange")
    equal(tuples(server.get("/fquery/A.example.")),
          of("c.example", "d.example", "_sip._tcp.s.example", "1.2.0.192.in-addr.arpa"),
          "a name in CNAME, NS, SRV and PTR")
    equal(tuples(server.get("/fquery/c.example")), [], "a name that nothing points to")


@case("ip_query = pivot makes /query of an address answer like /fquery")
def pivot_option(world):
    server = serve(world, rest="ip_query = pivot")
    for address in ("192.0.2.1", "2001:db8::1", "192.0.2.200"):
        equal(server.get("/query/" + address).body, server.get("/fquery/" + address).body, address)
    equal(tuples(server.get("/query/192.0.2.1")), of("a.example", "b.example"), "192.0.2.1")
    equal(tuples(server.get("/query/a.example")), of("a.example"), "a name stays exact")


@case("a name that points to a target by two types is given once")
def pivot_twice(world):
    server = serve(world, [record("z.example", "NS", "t.example"),
                           record("z.example", "MX", "10 t.example"),
                           record("z.example", "MX", "20 t.example")])
    equal(len(tuples(server.get("/fquery/t.example"))), 3, "records")


@case("types without a mnemonic are answered as numbers, found whatever their spelling")
def odd_types(world):
    server = serve(world, [record("t.example", "TYPE65280", "\\# 2 abcd"),
                           record("t.example", 65280, "\\# 2 ABCD"),
                           record("t.example", "https", "1 . alpn=h2")])
    got = server.get("/query/t.example").records
    equal(sorted((r["rrtype"], r["count"]) for r in got if r["rrtype"] != "HTTPS"), [(65280, 2)],
          "the unknown type, folded into one")
    equal([r["rrtype"] for r in got], ["HTTPS", 65280], "types")


@case("odd octets in names and texts are answered as ASCII escapes")
def odd_octets(world):
    server = serve(world, [record("a\\000b.example", "A", "192.0.2.1"),
                           record("caf\u00e9.example", "TXT", '"gr\u00fc\u00df"'),
                           record("*.example", "A", "192.0.2.1"),
                           record("_dmarc.example", "TXT", "v=DMARC1; p=none")])
    every = b"".join(server.get("/query/" + q).body for q in (
        "a%5C000b.example", "*.example", "%2A.example", "_dmarc.example", "192.0.2.1"))
    check(every.isascii(), "only ASCII")
    check(b"\\u0000" not in every, "no \\u0000")
    equal(len(server.get("/query/192.0.2.1").records), 2, "records of the address")
    equal(server.get("/query/_dmarc.example").records[0]["rdata"], '"v=DMARC1; p=none"', "text")
    equal(len(server.get("/query/a%5C000b.example").records), 1, "a NUL in a name")


@case("the root is a name")
def root(world):
    server = serve(world, [record(".", "NS", "a.root-servers.net."),
                           record("com.", "NS", "a.gtld-servers.net.")])
    equal([r["rdata"] for r in server.get("/query/.").records], ["a.root-servers.net"], "root")
    equal([r["rrname"] for r in server.get("/fquery/a.gtld-servers.net").records], ["com"], "com")


@case("an answer of many records streams, whole, plain and compressed")
def many(world):
    names = ["n%d.example" % n for n in range(MANY)]
    server = serve(world, [record(name, "A", "198.51.100.1") for name in names])
    answer = server.get("/query/198.51.100.1")
    equal(sorted(r["rrname"] for r in answer.records), sorted(names), "names")
    packed = server.get("/query/198.51.100.1", headers={"Accept-Encoding": "gzip"})
    equal(gunzip(packed.body) == answer.body, True, "the compressed answer is the same")
    equal(server.get("/fquery/198.51.100.1").body == answer.body, True, "the pivot is the same")


@case("a client that leaves in the middle hurts nobody")
def leave(world):
    server = serve(world, [record("n%d.example" % n, "A", "198.51.100.1") for n in range(MANY // 2)])
    for path in ("/query/198.51.100.1", "/fquery/198.51.100.1"):
        for _ in range(10):
            connection = server.connect()
            connection.request("GET", path)
            connection.getresponse().read(1000)
            connection.close()
    equal(len(server.get("/query/198.51.100.1").lines), MANY // 2, "lines")


@case("many clients at once get their own answers")
def together(world):
    server = serve(world, [record("n%d.example" % n, "A", "198.51.100.%d" % (n % 200))
                           for n in range(4000)])
    wrong = []

    def ask(start):
        connection = server.connect()
        for n in range(start, start + 60):
            connection.request("GET", "/query/n%d.example" % n)
            got = [json.loads(line) for line in connection.getresponse().read().splitlines()]
            if [r["rdata"] for r in got] != ["198.51.100.%d" % (n % 200)]:
                wrong.append((n, got))
        connection.close()

    threads = [threading.Thread(target=ask, args=(n * 60,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(wrong, [], "answers")


if __name__ == "__main__":
    main()
