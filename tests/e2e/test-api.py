#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The API at /api/v1: its questions, formats, bounds and errors, and the document that tells them."""
import csv
import io
import ipaddress
import json
import os
import re
import shutil
import signal
import subprocess
import time
import zlib
from urllib.parse import quote, urlencode

from cofdtest import DEADLINE, SANITIZED, Skip, case, check, equal, gunzip, main, until
from redisproc import Redis
from restclient import key_entry, within_a_day, write_secret

MANY = 5000 if SANITIZED else 20000
LINES = int(os.environ.get("COFD_TEST_LINES", "5000" if SANITIZED else "100000"))
DAY = 86400
FIELDS = ("time_first", "time_last", "count", "rrtype", "rrname", "rdata")


def record(rrname, rrtype, rdata, first=100, last=200, count=1, **more):
    return dict(rrname=rrname, rrtype=rrtype, rdata=rdata, time_first=first, time_last=last,
                count=count, **more)


WEB = [record("example", "NS", "ns.example.net", 1000, 9000, 5),
       record("a.example", "A", "192.0.2.1", 2000, 3000, 7),
       record("a.example", "MX", "10 m.example", 2500, 8000, 1),
       record("a.example", "TXT", '"say ""hi"", you"', 2600, 2700, 9),
       record("b.a.example", "A", "192.0.2.2", 4000, 5000, 2),
       record("b.example", "A", "192.0.2.1", 1500, 9900, 3),
       record("b.example", "AAAA", "2001:db8::1", 1600, 1700, 4),
       record("c.example", "CNAME", "a.example", 3000, 3100, 8),
       record("xa.example", "A", "192.0.2.200", 5000, 6000, 6),
       record("m.example", "TYPE65280", "\\# 2 ABCD", 10, 20, 1),
       record("other.test", "A", "198.51.100.5", DAY, 2 * DAY, 10)]


def serve(world, records=None, rest="", storage=None, **options):
    records = WEB if records is None else records
    # Written once: a file that is written anew is read anew. Each storage has a memory of its own.
    source = world.path("in.ndjson")
    if not os.path.exists(source):
        world.write("in.ndjson", "".join(json.dumps(r) + "\n" for r in records))
    if storage:
        state = world.path("state%d" % zlib.crc32(storage.encode()))
        os.makedirs(state, exist_ok=True)
        conf = world.write("cofd.conf", "\n".join((
            "[cofd]", "state_dir = " + state, "[input.in]", "plugin = cof-file",
            "path = " + source, "[storage.db]", storage, "[output.api]", "plugin = rest",
            "listen = 127.0.0.1:0", rest, "[chain.main]", "route = in -> db -> api",
            "window_time = 20ms")) + "\n")
    else:
        conf = world.conf(input="path = " + source, rest=rest, **options)
    server = world.serve(conf)
    server.wait_stored(len(records))
    return server


def ask(server, path="/api/v1/records", headers=None, method="GET", body=None, **params):
    return server.get(path + ("?" + urlencode(params) if params else ""), method=method,
                      headers=headers, body=body)


def key(r):
    return str(r["rrname"]), str(r["rrtype"]).replace("TYPE", ""), r["rdata"]


def good(answer):
    equal(answer.status, 200, "status, with " + answer.text[:300])
    return answer


def wanted(condition):
    """Those of WEB, as they are answered."""
    out = []
    for r in WEB:
        if condition(r):
            r = dict(r)
            r["rrtype"] = 65280 if r["rrtype"] == "TYPE65280" else r["rrtype"]
            if r["rrtype"] == "TXT":
                r["rdata"] = r["rdata"].replace('"say ""hi"", you"', '"say " "hi" ", you"')
            out.append(r)
    return out


def same(answer, condition, what):
    got = good(answer).records
    for one in got:
        one.pop("origin")
    want = wanted(condition)
    have = sorted(key(r) for r in got)
    equal(have, sorted(key(r) for r in want), what)


def refused(answer, status, *words):
    equal(answer.status, status, "status, with " + answer.text)
    text = json.loads(answer.text)["error"]
    for word in words:
        check(word in text, "%r lacks %r" % (text, word))
    check(answer.text.endswith("\n"), "a newline")


# --- questions --------------------------------------------------------------------------------

QUESTIONS = (
    ("name", "a.example", lambda r: r["rrname"] == "a.example"),
    ("name", "A.Example.", lambda r: r["rrname"] == "a.example"),
    ("name", "nope.example", lambda r: False),
    ("subdomains", "a.example", lambda r: ("." + r["rrname"]).endswith(".a.example")),
    ("subdomains", "example", lambda r: r["rrname"] != "other.test"),
    ("subdomains", ".", lambda r: True),
    ("rdata_name", "m.example", lambda r: r["rrtype"] == "MX"),
    ("rdata_name", "a.example.", lambda r: r["rrtype"] == "CNAME"),
    ("address", "192.0.2.1", lambda r: r["rdata"] == "192.0.2.1"),
    ("address", "2001:DB8:0::1", lambda r: r["rdata"] == "2001:db8::1"),
    ("network", "192.0.2.0/25", lambda r: r["rdata"] in ("192.0.2.1", "192.0.2.2")),
    ("network", "0.0.0.0/0", lambda r: r["rrtype"] == "A"),
    ("network", "2001:db8::/32", lambda r: r["rrtype"] == "AAAA"),
    ("range", "192.0.2.2-192.0.2.200", lambda r: r["rdata"] in ("192.0.2.2", "192.0.2.200")),
    ("range", "192.0.2.1-192.0.2.1", lambda r: r["rdata"] == "192.0.2.1"))


def every_question(server):
    for field, value, condition in QUESTIONS:
        same(ask(server, **{field: value}), condition, "%s=%s" % (field, value))


@case("rocksdb answers every kind of question")
def questions(world):
    every_question(serve(world))


@case("redis in the compact layout answers every kind of question")
def questions_compact(world):
    redis = Redis(world, "redis")
    every_question(serve(world, storage="plugin = redis\nlayout = compact\nserver = 127.0.0.1:%d"
                         % redis.port))


@case("what the storage cannot answer is 501, with the reason")
def unsupported(world):
    redis = Redis(world, "redis")
    server = serve(world, storage="plugin = redis\nlayout = d4\nserver = 127.0.0.1:%d" % redis.port)
    for field, value, condition in QUESTIONS:
        answer = ask(server, **{field: value})
        if field in ("subdomains", "network") or value == "192.0.2.2-192.0.2.200":
            refused(answer, 501, "does not offer")
        elif not any(r["rrtype"] == "TYPE65280" for r in wanted(condition)):
            same(answer, condition, "%s=%s" % (field, value))
    refused(ask(server, name="a.example", bailiwick="example"), 501, "bailiwick")
    for one in (server, serve(world)):
        refused(ask(one, name="a.example", sensor_id="s1"), 501, "sensor_id", "sensors = yes",
                "/api/v1/stats")


@case("rrtype keeps the types asked for")
def types(world):
    server = serve(world)
    for value, kinds in (("a", ["A"]), ("A,MX", ["A", "MX"]), ("TYPE1,15", ["A", "MX"]),
                         ("AAAA", []), ("mx,MX", ["MX"])):
        same(ask(server, name="a.example", rrtype=value),
             lambda r, k=kinds: r["rrname"] == "a.example" and r["rrtype"] in k, value)
    equal([r["rrtype"] for r in ask(server, subdomains=".", rrtype="65280").records], [65280],
          "a type without a name")


@case("time fences keep what lies between, in seconds, dates, and before now")
def fences(world):
    now = int(time.time())
    fresh = record("now.test", "A", "203.0.113.1", now - 1000, now - 10)
    server = serve(world, WEB + [fresh])

    def names(**params):
        return sorted({r["rrname"] for r in good(ask(server, subdomains=".", **params)).records})
    for field in ("time_first", "time_last"):
        for edge in (1000, 2000, 9900, 20):
            for word, inside in (("after", lambda r, e: r >= e), ("before", lambda r, e: r <= e)):
                want = sorted({r["rrname"] for r in WEB + [fresh] if inside(r[field], edge)})
                equal(names(**{"%s_%s" % (field, word): edge}), want,
                      "%s_%s=%d" % (field, word, edge))
    equal(names(time_first_after="1970-01-02", time_last_before="1970-01-03"), ["other.test"],
          "dates")
    equal(names(time_first_after="1970-01-02T00:00:00Z", time_first_before="1970-01-02T00:00:00Z"),
          ["other.test"], "a time of the day")
    equal(names(time_first_after="1970-01-02T00:00:01Z"), ["now.test"], "a second later")
    equal(names(time_first_after="-%d" % (100 * DAY)), ["now.test"], "before now")
    equal(names(time_last_before="-%d" % (100 * DAY), time_last_after=100000), ["other.test"],
          "both")


# --- formats ----------------------------------------------------------------------------------

@case("the format goes by Accept, or by the parameter")
def formats(world):
    server = serve(world)
    kinds = {"application/x-ndjson": lambda t: [json.loads(x) for x in t.splitlines()],
             "application/json": json.loads,
             "text/csv": lambda t: list(csv.DictReader(io.StringIO(t, newline="")))}
    accepts = ((None, "application/x-ndjson"), ("*/*", "application/x-ndjson"),
               ("application/json", "application/json"), ("text/csv", "text/csv"),
               ("TEXT/CSV", "text/csv"), ("text/*", "text/csv"),
               ("application/ndjson", "application/x-ndjson"),
               ("application/*", "application/x-ndjson"),
               ("text/html,application/xhtml+xml,*/*;q=0.8", "application/x-ndjson"),
               ("application/json, text/plain, */*", "application/json"),
               ("application/json;q=0.5, text/csv;q=0.7", "text/csv"),
               ("application/json;q=0, application/x-ndjson;q=0.1", "application/x-ndjson"),
               ("application/x-ndjson;q=0,*/*", "application/json"))
    want = sorted((str(r["time_first"]), str(r["count"])) + key(r)
                  for r in wanted(lambda r: r["rrname"] != "other.test"))
    for accept, kind in accepts:
        answer = good(ask(server, subdomains="example", headers={"Accept": accept} if accept else {}))
        check(answer.headers["content-type"].startswith(kind), "%s gave %s"
              % (accept, answer.headers["content-type"]))
        check("Accept" in answer.headers["vary"], "Vary names Accept")
        got = kinds[kind](answer.text)
        equal(sorted((str(r["time_first"]), str(r["count"])) + key(r) for r in got), want, accept)
    for word, kind in (("ndjson", "application/x-ndjson"), ("json", "application/json"),
                       ("csv", "text/csv")):
        answer = good(ask(server, name="a.example", format=word, headers={"Accept": "text/html"}))
        check(answer.headers["content-type"].startswith(kind), "format=" + word)
        empty = good(ask(server, name="nope.example", format=word)).text
        equal(list(kinds[kind](empty)), [], "nothing, as " + word)
    refused(ask(server, name="a.example", headers={"Accept": "text/html"}), 406, "Accept",
            "application/json", "text/csv")
    refused(ask(server, name="a.example", headers={"Accept": "image/png, */*;q=0"}), 406)


@case("CSV has its head, CRLF and quotes; JSON and NDJSON have COF's fields in order")
def shapes(world):
    server = serve(world)
    text = ask(server, name="a.example", rrtype="TXT", format="csv").text
    equal(text.splitlines(keepends=True),
          ["time_first,time_last,count,rrtype,rrname,rdata\r\n",
           '2600,2700,9,TXT,a.example,"""say "" ""hi"" "", you"""\r\n'], "CSV")
    text = ask(server, name="a.example", rrtype="A").text
    equal(text, '{"time_first": 2000, "time_last": 3000, "count": 7, "rrtype": "A", "rrname": '
          '"a.example", "rdata": "192.0.2.1", "origin": "origin not configured"}\n', "NDJSON")
    equal(ask(server, name="a.example", rrtype="A", format="json").text, "[\n" + text.rstrip("\n")
          + "\n]\n", "JSON")
    head = ask(server, name="a.example", method="HEAD")
    equal((head.status, head.body), (200, b""), "HEAD")


@case("a long answer streams, whole, in every format, plain and compressed")
def long_answers(world):
    records = [record("n%05d.example" % n, "A", "198.51.100.1", 100 + n, 200 + n)
               for n in range(MANY)]
    server = serve(world, records)
    want = sorted(r["rrname"] for r in records)
    for word in ("ndjson", "json", "csv"):
        answer = good(ask(server, address="198.51.100.1", format=word))
        got = (answer.records if word == "ndjson" else json.loads(answer.text) if word == "json"
               else list(csv.DictReader(io.StringIO(answer.text, newline=""))))
        equal(sorted(r["rrname"] for r in got) == want, True, word)
        packed = ask(server, address="198.51.100.1", format=word,
                     headers={"Accept-Encoding": "gzip"})
        equal(gunzip(packed.body) == answer.body, True, word + ", compressed")


def resident(server):
    """Most memory that the server has had so far, in KiB."""
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as lines:
        return next(int(one.split()[1]) for one in lines if one.startswith("VmHWM:"))


@case("%d records stream in every format, and take no memory for that" % LINES)
def memory(world):
    source = world.write("in.ndjson", "".join(
        '{"rrname":"n%07d.example","rrtype":"A","rdata":"198.51.100.1","time_first":100,'
        '"time_last":%d,"count":1}\n' % (n, 200 + n) for n in range(LINES)))
    server = world.serve(world.conf(input="path = " + source,
                                    rest="max_records = 0\nquery_timeout = 1h\nanswer_timeout = 1h"))
    server.wait_stored(LINES)

    def stream(path):
        """Octets and lines of an answer, which is thrown away as it comes."""
        connection = server.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        size = lines = 0
        while True:
            part = answer.read(1 << 20)
            if not part:
                break
            size += len(part)
            lines += part.count(b"\n")
        connection.close()
        return size, lines

    # What the storage caches, and what it still tidies up, is not of the answer.
    before = -1
    for _ in range(10):
        stream("/query/198.51.100.1")
        rest, before = resident(server) - before, resident(server)
        if rest < 512:
            break
    sizes = []
    for word, extra in (("ndjson", 0), ("json", 2), ("csv", 1)):
        size, lines = stream("/api/v1/records?address=198.51.100.1&format=" + word)
        equal(lines, LINES + extra, "lines of " + word)
        sizes.append(size)
    grown = resident(server) - before
    print("# %d records: answers of %s MB, memory before %d MB, then %d KiB more"
          % (LINES, [size // 10 ** 6 for size in sizes], before // 1024, grown), flush=True)
    if not SANITIZED:
        check(grown < 8192, "memory grew by %d KiB" % grown)


# --- limit, cursor, sort ----------------------------------------------------------------------

def trailer_of(server, target):
    """The last lines of an answer in chunks, as they come over the wire, and its records."""
    connection = server.connect()
    connection.connect()
    connection.sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                             % target).encode())
    data = b""
    while True:
        part = connection.sock.recv(65536)
        if not part:
            break
        data += part
    connection.close()
    end = data.rindex(b"\r\n0\r\n")
    trailer = dict(x.split(": ", 1) for x in data[end + 5:].decode().split("\r\n") if ": " in x)
    return {k.lower(): v for k, v in trailer.items()}, data.count(b'{"time_first"')


@case("limit and cursor page through an answer, by header, or by trailer where it streams")
def paging(world):
    count = 5000
    server = serve(world, [record("n%04d.example" % n, "A", "198.51.100.1") for n in range(count)])
    for limit in (1, 7, 1000):
        got, cursor, pages = [], {}, 0
        while True:
            answer = good(ask(server, address="198.51.100.1", limit=limit, **cursor))
            got += [r["rrname"] for r in answer.records]
            pages += 1
            more = answer.headers.get("x-cofd-cursor")
            equal("x-cofd-limited" in answer.headers, more is not None, "limited goes with a cursor")
            if more is None or pages == 40:
                break
            cursor = {"cursor": more}
        equal(len(set(got)), len(got), "records, each once")
        equal(len(got), min(count, 40 * limit), "records in pages of %d" % limit)
    trailer, got = trailer_of(server, "/api/v1/records?address=198.51.100.1&limit=2500")
    equal((got, trailer["x-cofd-limited"]), (2500, "yes"), "the first part")
    rest, got = trailer_of(server, "/api/v1/records?address=198.51.100.1&limit=2500&cursor="
                           + trailer["x-cofd-cursor"])
    equal((got, "x-cofd-cursor" in rest), (2500, False), "the second part")
    for fmt in ("csv", "json"):
        answer = ask(server, address="198.51.100.1", limit=5, format=fmt,
                     cursor=trailer["x-cofd-cursor"])
        equal(good(answer).text.count("198.51.100.1"), 5, "the cursor goes on as " + fmt)


@case("a cursor keeps the fences of its first page, and is of one question")
def cursor_questions(world):
    now = int(time.time())
    server = serve(world, [record("n.example", "TXT", '"%d"' % n, now - 5000, now - 10)
                           for n in range(30)])
    question = dict(name="n.example", time_first_after=-100000, limit=10)
    first = good(ask(server, **question))
    cursor = first.headers["x-cofd-cursor"]
    until(lambda: int(time.time()) > now + 1, "the clock to go on")
    second = good(ask(server, cursor=cursor, **question))
    equal(len(second.records), 10, "records of the second page")
    check(not {r["rdata"] for r in first.records} & {r["rdata"] for r in second.records}, "others")
    refused(ask(server, cursor=cursor, name="m.example", time_first_after=-100000), 400, "cursor",
            "another question")
    refused(ask(server, cursor=cursor, name="n.example"), 400, "another question")
    refused(ask(server, cursor=int(cursor) ^ 1, **question), 400, "cursor", "from the beginning")
    refused(ask(server, cursor=cursor, sort="count", **question), 400, "cursor", "sort")
    equal(server.get("/query/n.example", headers={"dribble-paginate-cursor": cursor}).status, 400,
          "at /query")


@case("sort orders by every field, both ways, and keeps the first of it")
def sorting(world):
    server = serve(world)

    def order(field, r):
        kinds = {"A": 1, "NS": 2, "CNAME": 5, "MX": 15, "TXT": 16, "AAAA": 28}
        value = kinds.get(r["rrtype"], 65280) if field == "rrtype" else r[field]
        return value
    for field in FIELDS:
        for sign in ("", "-"):
            for limit in (1, 4, 100):
                got = [order(field, r) for r in good(
                    ask(server, subdomains=".", sort=sign + field, limit=limit)).records]
                want = sorted((order(field, r) for r in wanted(lambda r: True)), reverse=sign == "-")
                equal(got, want[:limit], "sort=%s%s&limit=%d" % (sign, field, limit))
    equal(ask(server, subdomains=".", sort="count", limit=4).headers["x-cofd-limited"], "yes",
          "what was left out is told")
    check("x-cofd-limited" not in ask(server, subdomains=".", sort="count").headers, "all")
    server.stop()
    bound = serve(world, rest="sort_records = 5")
    refused(ask(bound, subdomains=".", sort="count", limit=6), 400, "limit", "sort_records")
    answer = good(ask(bound, subdomains=".", sort="-count"))
    equal([r["count"] for r in answer.records], [10, 9, 8, 7, 6], "the first of all")
    equal(answer.headers["x-cofd-limited"], "yes", "and that there were more")
    bound.stop()
    bound = serve(world, rest="max_records = 10")
    refused(ask(bound, subdomains=".", sort="count", limit=2), 400, "sort", "max_records")
    equal(len(good(ask(bound, subdomains="example", sort="count", limit=2)).records), 2, "fewer")


# --- mistakes ---------------------------------------------------------------------------------

WRONG = (
    ("", "name", "expected"), ("foo=1&name=a.example", "foo", "no such parameter"),
    ("name=a.example&address=192.0.2.1", "name", "exactly one"),
    ("name=a.example&name=b.example", "name", "twice"), ("name", "name", "without a value"),
    ("name=", "name", "without a value"), ("name=a..b", "name", "expected"),
    ("name=192.0.2.1", "name", "address"), ("name=" + "a" * 64, "name", ""),
    ("name=%zz", "name", "percent"), ("name=a%00b", "name", "NUL"), ("name=" + "a." * 3000, "name", ""),
    ("name=%ff%fe", "name", "expected"), ("subdomains=..", "subdomains", ""),
    ("rdata_name=1.2.3.4", "rdata_name", "address"), ("address=a.example", "address", "192.0.2.1"),
    ("address=1.2.3", "address", ""), ("address=1.2.3.4/32", "address", ""),
    ("network=192.0.2.1", "network", "192.0.2.0/24"), ("network=192.0.2.0/33", "network", ""),
    ("network=::/129", "network", ""), ("network=x/8", "network", ""),
    ("range=192.0.2.1", "range", "lower one first"), ("range=192.0.2.9-192.0.2.1", "range", ""),
    ("range=192.0.2.1-::1", "range", "family"), ("range=-", "range", ""),
    ("name=a.example&rrtype=NOPE", "rrtype", "expected"),
    ("name=a.example&rrtype=A,,MX", "rrtype", ""), ("name=a.example&rrtype=65536", "rrtype", ""),
    ("name=a.example&rrtype=" + ",".join(str(n) for n in range(1, 40)), "rrtype", "32"),
    ("name=a.example&bailiwick=192.0.2.1", "bailiwick", "is an address"),
    ("name=a.example&bailiwick=", "bailiwick", "without a value"),
    ("name=a.example&limit=0", "limit", "from 1"), ("name=a.example&limit=-1", "limit", ""),
    ("name=a.example&limit=1e3", "limit", ""), ("name=a.example&limit=99999999999999999999", "limit", ""),
    ("name=a.example&cursor=0", "cursor", "from 1"), ("name=a.example&cursor=x", "cursor", ""),
    ("name=a.example&cursor=9223372036854775808", "cursor", ""),
    ("name=a.example&sort=nope", "sort", "time_last"), ("name=a.example&sort=--count", "sort", ""),
    ("name=a.example&format=xml", "format", "ndjson, json, csv"),
    ("name=a.example&time_first_after=x", "time_first_after", "2026-01-31"),
    ("name=a.example&time_first_before=2026-02-30", "time_first_before", ""),
    ("name=a.example&time_last_after=2026-1-1", "time_last_after", ""),
    ("name=a.example&time_last_before=99999999999999", "time_last_before", ""),
    ("name=a.example&time_last_before=2026-01-31T25:00:00Z", "time_last_before", ""),
    ("name=a.example&time_first_after=20&time_first_before=10", "time_first_after", "later"),
    ("name=a.example&time_last_after=20&time_last_before=10", "time_last_after", "later"))


@case("every wrong parameter is 400, with its name, what was wrong and what was expected")
def mistakes(world):
    server = serve(world)
    for text, field, word in WRONG:
        answer = server.get("/api/v1/records" + ("?" + text if text else ""))
        refused(answer, 400, word)
        check(json.loads(answer.text)["error"].startswith(field + ":"),
              "%s: %s" % (text, answer.text))
        check(answer.body.isascii(), "ASCII")
    for path, method, allowed in (("/api/v1/records", "POST", "GET, HEAD"),
                                  ("/api/v1/bulk", "GET", "POST"), ("/api/v1/bulk", "PUT", "POST"),
                                  ("/openapi.json", "DELETE", "GET, HEAD"), ("/", "POST", "GET, HEAD")):
        answer = server.get(path, method=method, body=b"x" if method == "POST" else None)
        equal((answer.status, answer.headers.get("allow")), (405, allowed), method + " " + path)
    for path in ("/api", "/api/v1", "/api/v1/record", "/api/v2/records", "/openapi.yaml"):
        equal(server.get(path).status, 404, path)


@case("bailiwicks: shown where known, asked for alone, in bulk and over pages")
def bailiwicks(world):
    zones = ["www.a.example", "a.example", "example", ".", None, "b.example"]
    records = [dict(WEB[0], rrname="www.a.example", rdata="192.0.2.%d" % n, rrtype="A",
                    **({"bailiwick": zone} if zone else {})) for n, zone in enumerate(zones)]
    server = serve(world, records + [dict(records[3], bailiwick="example")])
    shown = {r["rdata"][-1]: (r.get("bailiwick"), r.get("cofd_zones"))
             for r in good(ask(server, name="www.a.example")).records}
    equal(shown, {"0": (zones[0], None), "1": (zones[1], None), "2": (zones[2], None),
                  "3": ("example", 3), "4": (None, None), "5": (None, None)}, "shown")
    for zone, wanted_ones in (("Example.", "23"), (".", "3"), ("a.example", "1"), ("example.net", "")):
        got = good(ask(server, name="www.a.example", bailiwick=zone)).records
        equal("".join(sorted(r["rdata"][-1] for r in got)), wanted_ones, zone)
        got = good(bulk(server, "www.a.example\n192.0.2.3", bailiwick=zone)).records
        equal(sorted(r["rdata"][-1] for r in got), sorted(wanted_ones + "3" * ("3" in wanted_ones)),
              zone + ", in bulk")
    first = good(ask(server, subdomains=".", bailiwick="example", limit=1))
    rest = good(ask(server, subdomains=".", bailiwick="example",
                    cursor=first.headers["x-cofd-cursor"]))
    equal(sorted(r["rdata"][-1] for r in first.records + rest.records), ["2", "3"], "pages")
    one = json.loads(good(ask(server, address="192.0.2.3", format="json")).text)
    equal([r["bailiwick"] for r in one], ["example"], "JSON")
    equal([r["bailiwick"] for r in good(ask(server, name="www.a.example", sort="rdata",
                                            bailiwick="example")).records], ["example"] * 2, "sorted")
    check("example\r" not in good(ask(server, name="www.a.example", format="csv")).text, "CSV")
    refused(ask(server, name="www.a.example", bailiwick="a..b"), 400, "bailiwick")


# --- bulk -------------------------------------------------------------------------------------

def bulk(server, body, kind="text/plain", headers=None, **params):
    body = body.encode() if isinstance(body, str) else body
    return ask(server, "/api/v1/bulk", dict({"Content-Type": kind}, **(headers or {})), "POST", body,
               **params)


@case("a bulk look-up answers names and addresses, in their order")
def bulk_answers(world):
    server = serve(world)
    items = ["b.example", "192.0.2.1", "nope.example", "C.Example.", "2001:db8::1", "b.example"]
    want = []
    for item in items:
        field = "address" if item[0] in "12" else "name"
        want += [key(r) for r in ask(server, **{field: item}).records]
    for body, kind in (("\n".join(items) + "\n", "text/plain"), ("\r\n".join(items), "text/plain"),
                       ("\n\n  ".join(items), "text/plain; charset=utf-8"),
                       (json.dumps(items), "application/json")):
        equal([key(r) for r in good(bulk(server, body, kind)).records], want, kind)
        equal([key(r) for r in json.loads(good(bulk(server, body, kind, format="json")).text)], want,
              kind + ", as JSON")
    got = good(bulk(server, "\n".join(items), limit=1)).records
    equal([r["rrname"] for r in got], ["b.example", "a.example", "c.example", "b.example",
                                       "b.example"], "one for each question")
    equal([r["rrtype"] for r in bulk(server, "\n".join(items), rrtype="AAAA").records],
          ["AAAA"] * 3, "a filter")
    equal(len(bulk(server, "\n".join(items), time_last_before=5000).records), 5, "a fence")
    equal([r["rrname"] for r in good(bulk(server, '["\u00e4.example"]', "application/json")).records],
          [], "a name in UTF-8")


@case("a bulk look-up is bounded, and says which item is wrong")
def bulk_mistakes(world):
    server = serve(world, rest="bulk_items = 5\nbulk_bytes = 1K")
    refused(bulk(server, ""), 400, "body", "no question")
    refused(bulk(server, "a.example\nb..example\n"), 400, "body", "item 2", "b..example")
    refused(bulk(server, "a.example\n1.2.3.999\n"), 400, "item 2")
    refused(bulk(server, "a\n" * 6), 400, "6 questions", "at most 5", "bulk_items")
    refused(bulk(server, b"\xff\xfe\n"), 400, "item 1", "UTF-8")
    for body, word in (("{}", "array"), ("[1]", "item 1"), ('["a", null]', "item 2"), ("[", "JSON"),
                       ("[]", "no question"), ('["a\\u0000b..c"]', "item 1")):
        refused(bulk(server, body, "application/json"), 400, "body", word)
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html"):
        refused(bulk(server, "a.example", kind), 415, "Content-Type", "text/plain", "application/json")
    refused(bulk(server, "a" * 1025), 413, "body", "bulk_bytes")
    refused(bulk(server, "a.example", cursor=5), 400, "cursor", "no such parameter")
    refused(bulk(server, "a.example", sensor_id="x"), 501, "sensor_id")
    refused(bulk(server, "a.example", headers={"Accept": "image/png"}), 406, "Accept")
    # In chunks, so that nobody knows beforehand.
    connection = server.connect()
    connection.request("POST", "/api/v1/bulk", body=iter([b"a.example\n"] * 400),
                       headers={"Content-Type": "text/plain"}, encode_chunked=True)
    equal(connection.getresponse().status, 413, "too many octets in chunks")
    connection.close()
    connection = server.connect()
    connection.request("POST", "/api/v1/bulk", body=iter([b"a.exa", b"mple\n", b"b.example"]),
                       headers={"Content-Type": "text/plain"}, encode_chunked=True)
    answer = connection.getresponse()
    equal((answer.status, answer.read().count(b"\n")), (200, 5), "a body in chunks")
    connection.close()


@case("a bound that a reload lowers holds for the body that is under way")
def bulk_reloaded(world):
    server = serve(world, rest="threads = 1\nbulk_bytes = 256K\nrequest_timeout = 10m")
    connection = server.connect()
    connection.putrequest("POST", "/api/v1/bulk")
    connection.putheader("Content-Type", "text/plain")
    connection.putheader("Content-Length", "200001")
    connection.endheaders(b"a.example\n" * 10000)
    # An answer by the same thread says that it has taken what came before, and the new settings.
    equal(ask(server, name="a.example").status, 200, "status before")
    serve_conf = open(world.path("cofd.conf"), encoding="ascii").read()
    world.write("cofd.conf", serve_conf.replace("bulk_bytes = 256K", "bulk_bytes = 1K"))
    after = len(server.log())
    server.send(signal.SIGHUP)
    server.wait_log(r"reloaded ", after=after)
    equal(ask(server, name="a.example").status, 200, "status after")
    connection.send(b"a.example\n" * 10000 + b"\n")
    answer = connection.getresponse()
    equal((answer.status, b"bulk_bytes" in answer.read()), (413, True), "answer")
    connection.close()


@case("a bulk look-up of many names streams")
def bulk_many(world):
    count = 1000
    server = serve(world, [record("n%d.example" % n, "TXT", '"%d %d"' % (n, m)) for n in range(count)
                           for m in range(5)])
    names = ["n%d.example" % n for n in range(count)]
    got = good(bulk(server, "\n".join(names)))
    equal([r["rrname"] for r in got.records], [n for n in names for _ in range(5)], "records")
    check("transfer-encoding" in got.headers, "it streams")


@case("curl asks for records, pages and a bulk look-up")
def curl(world):
    if not shutil.which("curl"):
        raise Skip("curl is not installed")
    server = serve(world)
    base = "http://%s:%d" % server.urls[0]

    def run(*arguments, stdin=b""):
        done = subprocess.run(["curl", "-sS", "--fail-with-body", *arguments], input=stdin,
                              capture_output=True, timeout=DEADLINE, check=False)
        equal(done.returncode, 0, "status of curl, which wrote %r" % done.stderr)
        return done.stdout.decode("ascii")
    equal(len(json.loads(run("-H", "Accept: application/json", "--compressed", "-G",
                             "--data-urlencode", "subdomains=EXAMPLE.", base
                             + "/api/v1/records"))), 10, "records as JSON")
    got, cursor = [], []
    while True:
        head, _, body = run("-i", base + "/api/v1/records?subdomains=example&limit=4",
                            *cursor).partition("\r\n\r\n")
        got += [key(json.loads(one)) for one in body.splitlines()]
        more = re.search(r"(?im)^X-Cofd-Cursor: (\d+)", head)
        if not more:
            break
        cursor = ["-G", "-d", "cursor=" + more.group(1)]
    equal((len(got), len(set(got))), (10, 10), "records of all pages")
    text = run("-H", "Content-Type: text/plain", "--data-binary", "@-", base + "/api/v1/bulk?format=csv",
               stdin=b"a.example\n192.0.2.1\n")
    equal(len(text.splitlines()), 6, "lines of CSV")


@case("a bulk look-up takes as many requests of the quota as it has questions")
def bulk_quota(world):
    users = write_secret(world, "users", key_entry("k", "s", "quota=10", "scopes=query,stats"))
    server = serve(world, rest="users = %s\nanonymous = stats" % users)
    mine = {"X-API-Key": "k.s"}
    within_a_day()
    equal(len(good(bulk(server, "a.example\n" * 6, headers=mine)).records), 18, "6 questions")
    refused(bulk(server, "a.example\n" * 6, headers=mine), 429, "quota", "fewer")
    equal(len(good(bulk(server, "a.example\n" * 2, headers=mine)).records), 6, "2 questions")
    equal(bulk(server, "a.example\n").status, 401, "without a key")
    equal(ask(server, name="a.example").status, 401, "a look-up without a key")
    equal(ask(server, "/api/v1/stats").status, 200, "statistics, which are open here")
    equal(ask(server, "/openapi.json").status, 200, "the document, which always is")


# --- statistics -------------------------------------------------------------------------------

def scan_done(server):
    def done():
        stats = json.loads(good(ask(server, "/api/v1/stats")).text)
        return stats if stats["scan"]["state"] == "done" else None
    return until(done, "the scan to end")


@case("stats tells records by type and by day first seen, and by sensor")
def stats(world):
    records = [dict(r, sensor_id="s%d" % (n % 2)) for n, r in enumerate(WEB)]
    server = serve(world, records)
    stats_now = scan_done(server)
    equal(stats_now["observations"], len(WEB), "observations")
    equal({s["sensor_id"]: s["count"] for s in stats_now["sensors"]}, {"s0": 6, "s1": 5}, "sensors")
    scan = stats_now["scan"]
    equal(scan["by_type"], {"A": 5, "NS": 1, "CNAME": 1, "MX": 1, "TXT": 1, "AAAA": 1,
                            "TYPE65280": 1}, "by type")
    equal(scan["by_day_first_seen"], {"1970-01-01": 10, "1970-01-02": 1}, "by day")
    equal((scan["complete"], scan["records"]), (True, len(WEB)), "all of it")
    check(0 <= scan["age"] < DEADLINE and abs(scan["taken"] - time.time()) < DEADLINE, "its age")


@case("the scan is bounded, is repeated when it is old, and can be switched off")
def stats_bounds(world):
    server = serve(world, rest="stats_records = 4\nstats_age = 100ms")

    def counted():
        # Where asking takes longer than stats_age, each question finds another scan under way.
        scan = json.loads(good(ask(server, "/api/v1/stats")).text)["scan"]
        return scan if "complete" in scan else None
    scan = until(counted, "a scan to end")
    equal((scan["complete"], scan["records"], sum(scan["by_type"].values())), (False, 4, 4), "a part")
    taken = scan["taken"]
    until(lambda: json.loads(ask(server, "/api/v1/stats").text)["scan"]["taken"] > taken,
          "another scan")
    server.stop()
    off = serve(world, rest="stats_records = 0")
    equal(json.loads(ask(off, "/api/v1/stats").text)["scan"], {"state": "off"}, "switched off")
    refused(ask(off, "/api/v1/stats", name="x"), 400, "name", "no such parameter", "none")


@case("redis in both layouts tells records by type and day as well")
def stats_redis(world):
    for layout in ("compact", "d4"):
        redis = Redis(world, layout)
        records = [r for r in WEB if r["rrtype"] != "TYPE65280"]
        server = serve(world, records, storage="plugin = redis\nlayout = %s\nserver = 127.0.0.1:%d"
                       % (layout, redis.port))
        scan = scan_done(server)["scan"]
        equal((scan["by_type"]["A"], scan["by_day_first_seen"]),
              (5, {"1970-01-01": 9, "1970-01-02": 1}), layout)
        server.stop()


# --- the document -----------------------------------------------------------------------------

def check_schema(schema, document, where):
    """That a schema is one of OpenAPI 3.0."""
    check(isinstance(schema, dict), where + ": an object")
    if "$ref" in schema:
        node = document
        for part in schema["$ref"].split("/")[1:]:
            check(part in node, where + ": %s leads nowhere" % schema["$ref"])
            node = node[part]
        return
    known = {"type", "enum", "format", "minimum", "maximum", "pattern", "minLength", "items",
             "minItems", "maxItems", "properties", "required", "description", "oneOf"}
    check(set(schema) <= known, where + ": %s" % (set(schema) - known))
    if "oneOf" not in schema:
        check(schema["type"] in ("string", "integer", "number", "boolean", "array", "object"), where)
    check((schema.get("type") == "array") == ("items" in schema), where + ": items of an array")
    for inner in schema.get("oneOf", []) + list(schema.get("properties", {}).values()) + \
            [schema[k] for k in ("items",) if k in schema]:
        check_schema(inner, document, where)
    check(set(schema.get("required", [])) <= set(schema.get("properties", {})), where + ": required")
    if "pattern" in schema:
        re.compile(schema["pattern"])


def check_document(document):
    """The rules of OpenAPI 3.0 that such a document can break."""
    check(re.fullmatch(r"3\.0\.\d+", document["openapi"]), "version")
    check(set(document) <= {"openapi", "info", "servers", "paths", "components", "security", "tags"},
          "keys of the document")
    check(document["info"]["title"] and document["info"]["version"], "title and version")
    seen = set()
    for path, item in document["paths"].items():
        check(path.startswith("/") and "{" not in path, path)
        for method, operation in item.items():
            where = method + " " + path
            check(method in ("get", "head", "post", "put", "delete", "options", "patch"), where)
            check(operation["operationId"] not in seen, where + ": operationId")
            seen.add(operation["operationId"])
            check(set(operation) <= {"operationId", "summary", "description", "parameters",
                                     "responses", "requestBody", "security", "tags"}, where)
            names = [(p["name"], p["in"]) for p in operation["parameters"]]
            equal(len(names), len(set(names)), where + ": parameters")
            for parameter in operation["parameters"]:
                check(parameter["in"] == "query" and parameter["description"], where)
                check_schema(parameter["schema"], document, where + " " + parameter["name"])
            check(operation["responses"], where)
            for status, response in operation["responses"].items():
                check(re.fullmatch(r"[1-5]\d\d", status) and response["description"], where)
                for kind, media in response.get("content", {}).items():
                    check(re.fullmatch(r"[a-z]+/[a-z-]+", kind), kind)
                    check_schema(media["schema"], document, where)
            for media in operation.get("requestBody", {}).get("content", {}).values():
                check_schema(media["schema"], document, where)
    schemes = document["components"]["securitySchemes"]
    for one in document["security"]:
        check(set(one) <= set(schemes), "schemes of credentials")
    equal({s["type"] for s in schemes.values()}, {"apiKey", "http"}, "kinds of credentials")
    for name, schema in document["components"]["schemas"].items():
        check_schema(schema, document, name)


def example_wrong(schema):
    """A value that the schema does not admit; None: there is none."""
    if "enum" in schema:
        return schema["enum"][0] + "x"
    if schema["type"] == "integer":
        return str(schema["minimum"] - 1)
    if "pattern" in schema:
        value = "2026-13"
        return None if re.fullmatch(schema["pattern"], value) else value
    return None


def admits(schema, value):
    if "enum" in schema:
        return value in schema["enum"]
    if schema["type"] == "integer":
        return schema["minimum"] <= value <= schema["maximum"]
    return "pattern" not in schema or re.fullmatch(schema["pattern"], value) is not None


def base_of(path, parameter):
    """Parameters with which a request is good, together with one more."""
    questions_ = ("name", "subdomains", "rdata_name", "address", "network", "range")
    return {"name": "a.example"} if path == "/api/v1/records" and parameter not in questions_ else {}


@case("openapi.json is valid, and says of each path what the path does")
def openapi(world):
    server = serve(world)
    answer = good(ask(server, "/openapi.json"))
    check(answer.headers["content-type"].startswith("application/json"), "media type")
    document = json.loads(answer.text)
    check_document(document)
    every = {p["name"]: p for item in document["paths"].values() for op in item.values()
             for p in op["parameters"]}
    equal(len(every), 17, "parameters in all")
    seen = set()
    for path, item in document["paths"].items():
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
            operation = item.get(method.lower())
            if operation is None:
                equal(ask(server, path, method=method).status, 405, "%s %s" % (method, path))
                continue
            seen.add((method, path))
            check_operation(server, path, method, operation, every)
    check(("POST", "/api/v1/bulk") in seen and ("GET", "/api/v1/records") in seen, "the paths")
    # What the serving tells of itself, and the document: the same.
    text = json.loads(ask(server, "/api/v1/records", nope=1).text)["error"]
    equal(text.split("expected ")[1].split(", "),
          [p["name"] for p in document["paths"]["/api/v1/records"]["get"]["parameters"]],
          "parameters that an error tells")


def check_operation(server, path, method, operation, every):
    own = {p["name"]: p for p in operation["parameters"]}
    where = "%s %s" % (method, path)

    def send(**params):
        body, headers = (b"a.example", {"Content-Type": "text/plain"}) if method == "POST" else (
            None, {})
        answer = ask(server, path, headers, method, body, **params)
        check(str(answer.status) in operation["responses"], "%s %s: status %d is not documented"
              % (where, params, answer.status))
        if method != "HEAD":
            kind = answer.headers["content-type"].split(";")[0]
            check(kind in operation["responses"][str(answer.status)]["content"],
                  "%s: %s is not documented" % (where, kind))
        return answer
    if "name" not in own:
        equal(send().status, 200, where)
    for name, parameter in every.items():
        value = parameter["example"]
        check(admits(parameter["schema"], value), "%s: the example %r" % (name, value))
        answer = send(**dict(base_of(path, name), **{name: value}))
        if name not in own:
            equal(answer.status, 400, "%s with %s" % (where, name))
            continue
        known = {"cursor": 400, "sensor_id": 501}.get(name, 200)
        equal(answer.status, known, "%s?%s=%s" % (where, name, value))
        if method != "HEAD":
            check("no such parameter" not in answer.text, name)
        for word in parameter["schema"].get("enum", []):
            equal(send(**dict(base_of(path, name), **{name: word})).status, 200, word)
        wrong = example_wrong(parameter["schema"])
        if wrong is not None:
            equal(send(**dict(base_of(path, name), **{name: wrong})).status, 400,
                  "%s?%s=%s" % (where, name, wrong))


# --- the page ---------------------------------------------------------------------------------

@case("the page at / is whole by itself")
def page(world):
    server = serve(world)
    answer = good(server.get("/"))
    check(answer.headers["content-type"].startswith("text/html"), "media type")
    text = answer.text
    check("api/v1/records" in text and "openapi.json" in text, "it asks the API")
    equal(re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:|openapi|#)[^\"']*", text), [], "foreign assets")
    equal(re.findall(r"https?://", text), [], "foreign addresses")
    equal(server.get("/", method="HEAD").status, 200, "HEAD")


def chromium():
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if shutil.which(name):
            return shutil.which(name)
    raise Skip("no Chromium is installed")


def rendered(world, server, fragment, number):
    """The page as a browser shows it once it has rested."""
    host, port = server.urls[0]
    done = subprocess.run(
        [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir=" + world.path("browser%d" % number),
         "--virtual-time-budget=20000", "--dump-dom", "http://%s:%d/#%s" % (host, port, fragment)],
        capture_output=True, timeout=DEADLINE, check=False)
    return done.stdout.decode("utf-8", "replace")


@case("a browser shows the records that the page asks for")
def browser(world):
    chromium()
    server = serve(world)
    text = rendered(world, server, "name=a.example", 1)
    check("192.0.2.1" in text and "3 records" in text, "records in " + text[-3000:])
    check("Nothing found." in rendered(world, server, "name=nope.example", 2), "nothing")
    check("neither a name nor an address" in
          rendered(world, server, "name=" + quote("a..b"), 3), "an error")


@case("ranges agree with what the addresses are")
def ranges(world):
    addresses = [ipaddress.ip_address("10.0.0.0") + n * 37 for n in range(200)]
    server = serve(world, [record("n.example", "A", str(a)) for a in addresses])
    for low, high in ((0, 199), (5, 5), (17, 90)):
        got = good(ask(server, range="%s-%s" % (addresses[low], addresses[high]))).records
        equal(sorted(r["rdata"] for r in got), sorted(map(str, addresses[low:high + 1])), "a range")
    for prefix in (8, 22, 25, 30, 32):
        network = ipaddress.ip_network("%s/%d" % (addresses[50], prefix), strict=False)
        got = good(ask(server, network=str(network))).records
        equal(sorted(r["rdata"] for r in got), sorted(str(a) for a in addresses if a in network),
              str(network))


if __name__ == "__main__":
    main()
