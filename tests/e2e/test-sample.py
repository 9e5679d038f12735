#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The sixteen sample records, in by a file and out over HTTP to the byte."""
import json
import time

from cofdtest import SAMPLE, case, check, equal, gunzip, main

ORIGIN = "origin not configured"
ADDRESS = "2a02:250:0:8::53"


def expected(one, origin=ORIGIN):
    """The line that answers with a record: order and spacing are part of the interface."""
    return ('{"time_first": %d, "time_last": %d, "count": %d, "rrtype": "%s", "rrname": "%s", '
            '"rdata": "%s", "origin": "%s"}\n' % (
                one["time_first"], one["time_last"], one["count"], one["rrtype"], one["rrname"],
                one["rdata"], origin))


def samples():
    with open(SAMPLE, encoding="ascii") as lines:
        return [json.loads(line) for line in lines]


def serve(world, **options):
    server = world.serve(world.conf(input="path = " + SAMPLE, **options))
    server.wait_stored(len(samples()))
    return server


@case("each sample record is served byte for byte")
def bytes_of_names(world):
    server = serve(world)
    equal(len(samples()), 16, "samples")
    for one in samples():
        answer = server.get("/query/" + one["rrname"])
        equal(answer.status, 200, "status")
        equal(answer.headers["content-type"], "application/x-ndjson", "media type")
        equal(answer.text, expected(one), "answer for " + one["rrname"])


@case("the address gives all sixteen, each once, and in the same order each time")
def bytes_of_address(world):
    server = serve(world)
    answer = server.get("/query/" + ADDRESS)
    equal(sorted(answer.lines), sorted(expected(one) for one in samples()), "lines")
    equal(server.get("/query/" + ADDRESS).body, answer.body, "second answer")


@case("names and addresses are found in every spelling")
def spellings(world):
    server = serve(world)
    plain = server.get("/query/www.framtro.nu").body
    check(plain, "an answer")
    for name in ("WWW.Framtro.NU", "www.framtro.nu.", "wWw.fRaMtRo.nU.", "www%2Eframtro.nu",
                 "%77ww.framtro.nu", "/www.framtro.nu"):
        equal(server.get("/query/" + name).body, plain, "answer for " + name)
    plain = server.get("/query/" + ADDRESS).body
    for address in ("2A02:250:0:8::53", "2a02:0250:0000:0008:0000:0000:0000:0053",
                    "2a02:250:0:8:0:0:0:53", "2a02:250::8:0:0:0:53", "2a02:250:0:8::0.0.0.83",
                    "2a02%3A250%3A0%3A8%3A%3A53"):
        equal(server.get("/query/" + address).body, plain, "answer for " + address)


@case("a name in U-label form is found by its A-label form")
def unicode_name(world):
    server = serve(world)
    plain = server.get("/query/xn--ihuvudetpevap-xfb.se").body
    check(plain, "an answer")
    label = b"xn--ihuvudetpevap-xfb".decode("idna")
    check(not label.isascii(), "a name beyond ASCII")
    quoted = "".join("%%%02X" % b if b > 126 else chr(b) for b in label.encode("utf-8"))
    equal(server.get("/query/%s.se" % quoted).body, plain, "answer for " + quoted)
    equal(server.get("/query/%s.SE" % quoted.upper()).body, plain, "answer for the upper case")


@case("nothing found is 200 with an empty body")
def nothing(world):
    server = serve(world)
    for path in ("/query/nope.example", "/query/192.0.2.77", "/query/2001:db8::77",
                 "/fquery/nope.example", "/fquery/192.0.2.77", "/query/se"):
        answer = server.get(path)
        equal((answer.status, answer.body), (200, b""), path)


@case("what is neither name nor address is 400 with a JSON error")
def bad_questions(world):
    server = serve(world)
    for path in ("/query/a..b", "/query/" + "a" * 64 + ".example", "/query/" + "a." * 130,
                 "/query/%FF%FE", "/fquery/..", "/query/", "/query/%zz", "/query/192.0.2.256",
                 "/query/192.0.2.0/24"):
        answer = server.get(path)
        equal(answer.status, 400, "status of " + path)
        check(answer.headers["content-type"].startswith("application/json"), "media type")
        check(json.loads(answer.text)["error"], "a reason")
        check(answer.text.endswith("\n"), "a newline after the first line")


@case("other paths are 404, other methods 405")
def wrong_requests(world):
    server = serve(world)
    for path in ("/x", "/query", "/nope", "/infos", "/Query/a.example", "/info/x"):
        answer = server.get(path)
        equal(answer.status, 404, "status of " + path)
        check(json.loads(answer.text)["error"], "a reason")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/query/www.framtro.nu", "/info"):
            answer = server.get(path, method=method, body=b"x" if method != "DELETE" else None)
            equal(answer.status, 405, "%s %s" % (method, path))
            check("GET" in answer.headers.get("allow", ""), "Allow names GET")


@case("HEAD gives the headers of GET without a body")
def head(world):
    server = serve(world)
    for path in ("/query/www.framtro.nu", "/query/nope.example", "/info", "/nope", "/query/a..b"):
        get = server.get(path)
        answer = server.get(path, method="HEAD")
        equal((answer.status, answer.body), (get.status, b""), "HEAD " + path)
        equal(answer.headers.get("content-type"), get.headers.get("content-type"), "media type")
    equal(server.get("/query/www.framtro.nu", method="HEAD").headers["content-length"],
          str(len(server.get("/query/www.framtro.nu").body)), "length")


@case("gzip is used when accepted, and only then")
def compressed(world):
    server = serve(world)
    path = "/query/" + ADDRESS
    plain = server.get(path)
    check("content-encoding" not in plain.headers, "no encoding unless asked for")
    packed = server.get(path, headers={"Accept-Encoding": "deflate, gzip;q=0.8"})
    equal(packed.headers.get("content-encoding"), "gzip", "encoding")
    equal(gunzip(packed.body), plain.body, "unpacked answer")
    check(len(packed.body) < len(plain.body), "fewer octets")
    for accept in ("gzip;q=0", "identity", "br"):
        answer = server.get(path, headers={"Accept-Encoding": accept})
        check("content-encoding" not in answer.headers, "no gzip for " + accept)
        equal(answer.body, plain.body, "answer for " + accept)


@case("one connection serves many requests")
def keep_alive(world):
    server = serve(world)
    connection = server.connect()
    connection.connect()
    socket = connection.sock
    for n in range(50):
        path = ("/query/www.framtro.nu", "/query/nope.example", "/query/a..b", "/info")[n % 4]
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        equal(response.status, 400 if n % 4 == 2 else 200, "status")
        check(connection.sock is socket, "the connection is still the first")
    connection.close()


@case("/info tells of an empty store, and of a full one")
def info(world):
    # A store without records: the counters are there, and are zero.
    empty = world.serve(world.conf())
    have = empty.info()
    equal((have["software"], have["stats"], have["sensors"]), ("cofd", 0, []), "empty store")
    check(have["version"], "a version")
    empty.stop()
    source = world.write("in.ndjson", "".join(
        '{"rrname": "a%d.example", "rrtype": "A", "rdata": "192.0.2.1", "time_first": 1, '
        '"time_last": 2, "sensor_id": "%s"}\n' % (n, "ab"[n % 3 == 0]) for n in range(10)))
    server = world.serve(world.conf(input="path = " + source))
    server.wait_stored(10)
    have = server.info()
    equal(have["stats"], 10, "observations")
    equal(have["sensors"], [{"sensor_id": "a", "count": 6}, {"sensor_id": "b", "count": 4}],
          "sensors by their counts")
    equal(list(have)[:4], ["version", "software", "stats", "sensors"], "order of keys")


@case("the option origin is served, with its odd characters escaped")
def origin(world):
    server = serve(world, rest='origin = https://pdns.example/"a"\\é')
    line = server.get("/query/www.framtro.nu").text
    equal(json.loads(line)["origin"], 'https://pdns.example/"a"\\é', "origin")
    check(line.isascii(), "only ASCII")


@case("a record is held back for window_time, and no longer")
def soon(world):
    # The window holds records back for a bounded time, not until it is full: that they come at all
    # shows that.
    begin = time.monotonic()
    serve(world, chain="window_time = 2s")
    check(time.monotonic() - begin > 1, "held back")


if __name__ == "__main__":
    main()
