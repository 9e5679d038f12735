#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""DNSDB's API, version 2, asked over plain HTTP: paths, parameters, framing, statuses, streams."""
import gzip
import json
import os
import random
import re
import socket
import string
import time

import redisproc
import restclient
from cofdtest import DEADLINE, SANITIZED, case, check, equal, main, until

BASE = "/dnsdb/v2/"
NOW = int(time.time())
INDEX = "forward_index = yes"
LINES = int(os.environ.get("COFD_TEST_LINES", "10000" if SANITIZED else "200000"))
if os.environ.get("COFD_TEST_MILLION"):
    LINES = 1000000

# rrname, rrtype, rdata, time_first, time_last, count
RECORDS = [
    ("example.com", "A", "192.0.2.1", 100, 200, 3),
    ("example.com", "AAAA", "2001:db8::1", 100, 200, 1),
    ("example.com", "NS", "ns1.example.net", 100, 300, 5),
    ("example.com", "NS", "ns2.example.net", 100, 300, 5),
    ("example.com", "MX", "10 mx.example.net", 150, 250, 2),
    ("example.com", "TXT", '"v=spf1 -all"', 100, 200, 1),
    ("example.com", "SOA", "ns1.example.net host.example.net 1 2 3 4 5", 100, 200, 1),
    ("example.com", "RRSIG", "A 8 2 300 20260101000000 20251201000000 12345 example.com AAAA", 100,
     200, 1),
    ("example.com", "DS", "1 8 2 AABB", 100, 200, 1),
    ("www.example.com", "CNAME", "web.example.org", 100, 200, 7),
    ("a.www.example.com", "A", "192.0.2.9", 500, 600, 1),
    ("www.example.org", "A", "192.0.2.130", 1000, 2000, 4),
    ("www.example", "A", "198.51.100.7", 1000, 2000, 1),
    ("wwwx.example.org", "A", "203.0.113.1", 1000, 2000, 1),
    ("_sip._tcp.example.com", "SRV", "10 60 5060 sip.example.net", 100, 200, 1),
    ("1.2.0.192.in-addr.arpa", "PTR", "example.com", 100, 200, 1),
    ("212.0/24.150.104.24.in-addr.arpa", "PTR", "slash.example.com", 100, 200, 1),
    ("odd.example.net", "TYPE65280", "\\# 2 BEEF", 100, 200, 1),
    ("recent.example.net", "A", "192.0.2.77", NOW - 5000, NOW - 100, 1),
    (".", "NS", "a.root-servers.net", 100, 200, 9),
    ("*.wild.example", "A", "192.0.2.50", 100, 200, 1),
]


def lines_of(records):
    keys = ("rrname", "rrtype", "rdata", "time_first", "time_last", "count")
    return "".join(json.dumps(dict(zip(keys, r))) + "\n" for r in records)


def serve(world, records=None, storage=INDEX, rest=""):
    records = RECORDS if records is None else records
    path = world.write("in.ndjson", lines_of(records))
    server = world.serve(world.conf(input="path = " + path, storage=storage, rest=rest))
    server.wait_stored(len(records))
    return server


def ask(server, path, headers=None):
    """The objects of an answer and its last line; fails unless it is framed as it must be."""
    answer = server.get(BASE + path, headers=headers)
    equal(answer.status, 200, "status of %s, which says %r" % (path, answer.body[:300]))
    equal(answer.headers["content-type"], "application/x-ndjson", "media type")
    return framed(answer.body)


def framed(body):
    check(body.endswith(b"\n") and b"\n\n" not in body and body.isascii(), "lines are not whole")
    lines = [json.loads(line) for line in body.decode("ascii").splitlines()]
    equal(lines[0], {"cond": "begin"}, "first line")
    check(lines[-1]["cond"] in ("succeeded", "limited", "failed"), "no end: %r" % lines[-1])
    objects = []
    for line in lines[1:-1]:
        check(set(line) <= {"obj"}, "odd line %r" % line)
        if line:
            objects.append(line["obj"])
    return objects, lines[-1]


def owners(server, path):
    objects, end = ask(server, path)
    equal(end, {"cond": "succeeded"}, "end of " + path)
    return sorted((o["rrname"], o["rrtype"]) for o in objects)


def names(server, path):
    return sorted({name for name, _ in owners(server, path)})


def refused(server, path, status, words="", method="GET", body=None):
    answer = server.get(path if path.startswith("/") else BASE + path, method=method, body=body)
    equal(answer.status, status, "status of %s, which says %r" % (path, answer.body[:300]))
    equal(answer.headers["content-type"], "text/plain", "media type of %s" % path)
    check(re.fullmatch(r"Error: [ -~]+\n", answer.text), "body of %s: %r" % (path, answer.text))
    check(words in answer.text, "%r does not say %r" % (answer.text, words))
    return answer


@case("a look-up is framed, and its objects are as documented, octet by octet")
def framing(world):
    server = serve(world)
    answer = server.get(BASE + "lookup/rrset/name/example.com/MX")
    equal(answer.text, '{"cond":"begin"}\n{"obj":{"count":2,"time_first":150,"time_last":250,'
          '"rrname":"example.com.","rrtype":"MX","rdata":["10 mx.example.net."]}}\n'
          '{"cond":"succeeded"}\n', "answer")
    answer = server.get(BASE + "lookup/rrset/name/nope.example")
    equal((answer.status, answer.text), (200, '{"cond":"begin"}\n{"cond":"succeeded"}\n'), "none")
    objects, _ = ask(server, "lookup/rrset/name/odd.example.net")
    equal([(o["rrtype"], o["rdata"]) for o in objects], [("TYPE65280", ["\\# 2 BEEF"])], "unknown")
    rdata = {o["rrtype"]: o["rdata"] for o in ask(server, "lookup/rdata/name/ns1.example.net")[0]}
    equal(rdata, {"NS": ["ns1.example.net."],
                  "SOA": ["ns1.example.net. host.example.net. 1 2 3 4 5"]}, "rdata")
    objects, _ = ask(server, "lookup/rrset/name/example.com/ANY-DNSSEC")
    equal({o["rrtype"]: o["rdata"][0] for o in objects}, {
        "DS": "1 8 2 AABB",
        "RRSIG": "A 8 2 300 20260101000000 20251201000000 12345 example.com. AAAA"}, "DNSSEC")
    objects, _ = ask(server, "lookup/rrset/name/_sip._tcp.example.com")
    equal(objects[0]["rdata"], ["10 60 5060 sip.example.net."], "SRV")
    objects, _ = ask(server, "lookup/rrset/name/example.com/TXT")
    equal(objects[0]["rdata"], ['"v=spf1 -all"'], "TXT")


@case("bailiwicks: shown where known, asked for, merged, and in no other answer")
def bailiwicks(world):
    base = {"rrname": "a.example.com", "rrtype": "A", "time_first": 1, "time_last": 2, "count": 1}
    lines = [dict(base, rdata="192.0.2.1", bailiwick="example.com"),
             dict(base, rdata="192.0.2.1", bailiwick="COM.", rrname="A.example.com."),
             dict(base, rdata="192.0.2.2", bailiwick="."),
             dict(base, rdata="192.0.2.3"),
             dict(base, rdata="192.0.2.4", bailiwick="example.net"),
             dict(base, rdata="192.0.2.5", bailiwick="a.example.com", rrname="b.a.example.com")]
    path = world.write("in.ndjson", "".join(json.dumps(line) + "\n" for line in lines))
    server = world.serve(world.conf(input="path = " + path, storage=INDEX))
    server.wait_stored(len(lines))
    name = BASE + "lookup/rrset/name/a.example.com/A"
    shown = {o["rdata"][0][-1]: o.get("bailiwick") for o in ask(server, name[len(BASE):])[0]}
    equal(shown, {"1": "example.com.", "2": ".", "3": None, "4": None}, "the deepest is shown")
    answer = server.get(name + "/Example.COM.")
    equal(answer.text, '{"cond":"begin"}\n{"obj":{"count":2,"time_first":1,"time_last":2,'
          '"rrname":"a.example.com.","rrtype":"A","bailiwick":"example.com.",'
          '"rdata":["192.0.2.1"]}}\n{"cond":"succeeded"}\n', "an answer")
    equal([(o["rdata"], o["bailiwick"]) for o in ask(server, name[len(BASE):] + "/com")[0]],
          [(["192.0.2.1"], "com.")], "another zone of the same record")
    found = {zone: len(owners(server, "lookup/rrset/name/%s/ANY/%s" % (of, zone)))
             for of, zone in (("*.a.example.com", "."), ("a.example.*", "com"),
                              ("*.example.com", "a.example.com"), ("*.com", "example.net"))}
    equal(found, {".": 1, "com": 1, "a.example.com": 1, "example.net": 0}, "with wildcards")
    objects, _ = ask(server, "summarize/rrset/name/*.example.com/A/com")
    equal([o["num_results"] for o in objects], [1], "a summary")
    objects, _ = ask(server, "lookup/rdata/ip/192.0.2.1")
    equal(["bailiwick" in o for o in objects], [False], "look-ups by rdata have none")
    equal([r for r in server.get("/query/a.example.com").records if "bailiwick" in r], [], "/query")
    refused(server, "lookup/rrset/name/a.example.com/A/a..b", 400, "label")
    odd = [p["counters"]["odd_bailiwicks"] for p in server.info()["plugins"] if p["kind"] == "input"]
    equal(odd, [1], "bailiwicks left out")


@case("paths: slashes at the beginning, any case, the root, escapes, types")
def paths(world):
    server = serve(world)
    everything = owners(server, "lookup/rrset/name/example.com")
    equal([t for _, t in everything], ["A", "AAAA", "MX", "NS", "NS", "SOA", "TXT"], "types")
    for path in ("EXAMPLE.com.", "example%2Ecom", "example.com/ANY", "example.com/any",
                 "example.com/TYPE255", "ex%61mple.com?x=1&swclient=dnsdbq&version=2.6.8&id=7&q"):
        equal(owners(server, "lookup/rrset/name/" + path), everything, path)
    answer = server.get("//dnsdb/v2/lookup/rrset/name/example.com/a",
                        headers={"Accept": "application/json", "X-API-Key": "any"})
    equal([o["rdata"] for o in framed(answer.body)[0]], [["192.0.2.1"]], "two slashes")
    equal(owners(server, "lookup/rrset/name/example.com/type1"), [("example.com.", "A")], "TYPE1")
    equal(owners(server, "lookup/rrset/name/."), [(".", "NS")], "the root")
    equal(owners(server, "lookup/rrset/name/odd.example.net/TYPE65280"),
          [("odd.example.net.", "TYPE65280")], "TYPE65280")
    for slash in ("%2F", "%2f", "%252F", "%252f"):
        equal(names(server, "lookup/rrset/name/212.0%s24.150.104.24.in-addr.arpa" % slash),
              ["212.0/24.150.104.24.in-addr.arpa."], slash)
    equal(names(server, "lookup/rrset/name/%5C042.wild.example"), ["*.wild.example."], "a real *")
    equal(names(server, "lookup/rrset/name/%5C*.wild.example"), ["*.wild.example."], "a real *")


@case("wildcards to the left, with the name itself, and to the right")
def wildcards(world):
    server = serve(world)
    below = ["_sip._tcp.example.com.", "a.www.example.com.", "example.com.", "www.example.com."]
    for path in ("*.example.com", "%2A.example.com", "*.EXAMPLE.com."):
        equal(names(server, "lookup/rrset/name/" + path), below, path)
    equal(owners(server, "lookup/rrset/name/*.example.com/A"),
          [("a.www.example.com.", "A"), ("example.com.", "A")], "with a type")
    right = ["www.example.", "www.example.com.", "www.example.org."]
    for path in ("www.example.*", "www.example.%2A", "WWW.example.*."):
        equal(names(server, "lookup/rrset/name/" + path), right, path)
    equal(names(server, "lookup/rrset/name/www.*"), right, "one label")
    equal(owners(server, "lookup/rrset/name/www.example.*/CNAME"), [("www.example.com.", "CNAME")],
          "right, with a type")
    equal(names(server, "lookup/rrset/name/+.example.com"), ["www.example.com."], "one label left")
    equal(names(server, "lookup/rrset/name/www.example.+"), ["www.example.com.",
                                                             "www.example.org."], "one label right")
    equal(names(server, "lookup/rdata/name/*.example.net"),
          ["_sip._tcp.example.com.", "example.com."], "rdata below")
    equal(names(server, "lookup/rdata/name/+.example.com"),
          ["212.0/24.150.104.24.in-addr.arpa."], "rdata one below")
    equal(owners(server, "lookup/rdata/name/ns1.*"), [("example.com.", "NS"),
                                                      ("example.com.", "SOA")], "rdata right")
    equal(owners(server, "lookup/rdata/name/ns1.example.*/NS"), [("example.com.", "NS")], "type")
    equal(len(names(server, "lookup/rrset/name/*.")), 13, "all names")
    for bad in ("a.*.com", "*.example.*", "foo*.com", "*foo.com", "+.example.+", "*.a*b.com"):
        for where in ("lookup/rrset/name/", "lookup/rdata/name/", "summarize/rrset/name/"):
            refused(server, where + bad, 400, "wildcard")


@case("names in rdata of every kind")
def rdata_names(world):
    server = serve(world)
    for name, want in (("ns2.example.net", [("example.com.", "NS")]),
                       ("MX.example.net.", [("example.com.", "MX")]),
                       ("web.example.org/CNAME", [("www.example.com.", "CNAME")]),
                       ("sip.example.net", [("_sip._tcp.example.com.", "SRV")]),
                       ("example.com", [("1.2.0.192.in-addr.arpa.", "PTR")]),
                       ("ns1.example.net/SOA", [("example.com.", "SOA")]),
                       ("ns1.example.net/TXT", []), ("host.example.net", [])):
        equal(owners(server, "lookup/rdata/name/" + name), want, name)


@case("addresses: one, networks with a comma, ranges")
def addresses(world):
    server = serve(world)
    for path, want in (("192.0.2.1", ["example.com."]),
                       ("192.0.2.0,25", ["*.wild.example.", "a.www.example.com.", "example.com.",
                                         "recent.example.net."]),
                       ("192.0.2.129%2C25", ["www.example.org."]),
                       ("192.0.2.5-192.0.2.50", ["*.wild.example.", "a.www.example.com."]),
                       ("192.0.2.1/A", ["example.com."]), ("192.0.2.1/any", ["example.com."]),
                       ("192.0.2.1/AAAA", ["example.com."]),
                       ("2001%3Adb8%3A%3A1", ["example.com."]),
                       ("2001:0DB8::1", ["example.com."]), ("2001%3Adb8%3A%3A,32", ["example.com."]),
                       ("2001:db8::-2001:db8::ff", ["example.com."]),
                       ("::ffff:192.0.2.1", []), ("203.0.113.2,32", [])):
        equal(names(server, "lookup/rdata/ip/" + path), want, path)
    equal(len(owners(server, "lookup/rdata/ip/0.0.0.0,0")), 7, "all of IPv4")
    for bad in ("192.0.2.1,33", "192.0.2", "192.0.2.1/TXT", "192.0.2.0/24", "192.0.2.0%2F24",
                "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::1", "x", "192.0.2.1,", "1.2.3.4-",
                "2001:db8::,129", "192.0.2.1%00"):
        refused(server, "lookup/rdata/ip/" + bad, 400)


def wire(name):
    return "".join("%02x%s" % (len(label), label.encode().hex()) for label in name.split(".")) + "00"


@case("names and rdata given on the wire")
def raw(world):
    server = serve(world)
    equal(owners(server, "lookup/rrset/raw/" + wire("WWW.example.com")),
          [("www.example.com.", "CNAME")], "owner")
    equal(owners(server, "lookup/rrset/raw/00/NS"), [(".", "NS")], "root")
    for hexes, want in (
            ("c0000201", [("example.com.", "A")]),
            ("c0000201/A", [("example.com.", "A")]),
            ("C0000201", [("example.com.", "A")]), ("c000020101/A", []),
            ("20010db8/AAAA", [("example.com.", "AAAA")]),
            (wire("ns1.example.net"), [("example.com.", "NS"), ("example.com.", "SOA")]),
            (wire("ns1.example.net") + "/NS", [("example.com.", "NS")]),
            (wire("ns1.example.net")[:-2] + "/NS", [("example.com.", "NS")]),
            ("036e7331", [("example.com.", "NS"), ("example.com.", "SOA")]),
            ("036e73/NS", [("example.com.", "NS")] * 2),
            ("000a" + wire("mx.example.net"), [("example.com.", "MX")]),
            ("000a/MX", [("example.com.", "MX")]),
            ("000a003c13c4" + wire("sip.example.net") + "/SRV", [("_sip._tcp.example.com.", "SRV")]),
            ("0b763d73/TXT", [("example.com.", "TXT")]), ("0b763d73", [("example.com.", "TXT")]),
            ("beef", [("odd.example.net.", "TYPE65280")]),
            ("be/TYPE65280", [("odd.example.net.", "TYPE65280")]),
            ("000108/DS", [("example.com.", "DS")])):
        equal(owners(server, "lookup/rdata/raw/" + hexes), want, hexes)
    refused(server, "lookup/rdata/raw/c00002010/A", 400, "two for each octet")
    for bad in ("rrset/raw/zz", "rrset/raw/0366", "rrset/raw/0000", "rdata/raw/0g", "rdata/raw/",
                "rrset/raw/00/A/example.com", "rrset/raw/c00c"):
        refused(server, "lookup/" + bad, 400)


@case("without reading all records, what no index finds is told")
def no_scan(world):
    server = serve(world, rest="dnsdb_scan = no")
    refused(server, "lookup/rdata/raw/0b763d73/TXT", 501, "not allowed")
    equal(owners(server, "lookup/rdata/raw/c0000201/A"), [("example.com.", "A")], "indexed")
    objects, end = ask(server, "lookup/rdata/raw/" + wire("ns1.example.net"))
    equal(len(objects), 2, "indexed ones")
    equal(end["cond"], "limited", "end")


@case("limit and offset: exact, one more, none left, pages that fit together")
def limits(world):
    server = serve(world, rest="dnsdb_limit = 5\ndnsdb_max_limit = 6\ndnsdb_max_offset = 50")
    path = "lookup/rrset/name/example.com?"
    reached = {"cond": "limited", "msg": "Query limit reached"}
    for query, count, end in (("limit=3", 3, reached), ("limit=7", 6, {"cond": "limited", "msg":
                                                                      "Result limit reached"}),
                              ("limit=0", 6, {"cond": "limited", "msg": "Result limit reached"}),
                              ("", 5, reached), ("offset=6", 1, {"cond": "succeeded"}),
                              ("offset=2&limit=5", 5, {"cond": "succeeded"}),
                              ("offset=1&limit=5", 5, reached), ("offset=50", 0,
                                                                 {"cond": "succeeded"})):
        objects, last = ask(server, path + query)
        equal((len(objects), last), (count, end), query)
    pages = [ask(server, path + "limit=2&offset=%d" % n)[0] for n in range(0, 8, 2)]
    whole = ask(server, path + "limit=6")[0] + ask(server, path + "offset=6")[0]
    equal([o for page in pages for o in page], whole, "pages")
    refused(server, path + "offset=51", 416, "50")
    for bad in ("limit=x", "limit=-1", "limit=", "limit", "limit=1.5", "limit=99999999999999999999",
                "offset=-1", "offset=%20", "max_count=1", "limit=%00", "limit=" + "1" * 100):
        refused(server, path + bad, 400)


@case("time fences, absolute and relative")
def fences(world):
    server = serve(world)
    path = "lookup/rrset/name/example.com/A?"
    for query, found in (("time_first_before=100", 1), ("time_first_before=99", 0),
                         ("time_first_after=100", 1), ("time_first_after=101", 0),
                         ("time_last_after=200", 1), ("time_last_after=201", 0),
                         ("time_last_before=200", 1), ("time_last_before=199", 0),
                         ("time_first_after=50&time_last_before=300", 1),
                         ("time_first_after=300&time_first_before=200", 0)):
        equal(len(ask(server, path + query)[0]), found, query)
    path = "lookup/rdata/ip/192.0.2.77?"
    for query, found in (("time_last_after=-3600", 1), ("time_last_after=-10", 0),
                         ("time_first_before=-1000", 1), ("time_first_after=-1000", 0),
                         ("time_first_after=-999999999999", 1)):
        equal(len(ask(server, path + query)[0]), found, query)
    for bad in ("time_last_after=x", "time_last_after=", "time_first_before=1e3",
                "time_last_before=--1", "time_first_after=99999999999999999999999"):
        refused(server, path + bad, 400, bad.split("=")[0])


@case("humantime and aggr")
def booleans(world):
    server = serve(world)
    path = "lookup/rrset/name/example.com/A?"
    for yes in ("t", "True", "1", "y", "YES"):
        found = ask(server, path + "humantime=" + yes)[0][0]
        equal((found["time_first"], found["time_last"]),
              ("1970-01-01T00:01:40Z", "1970-01-01T00:03:20Z"), yes)
        equal(ask(server, path + "aggr=" + yes)[0][0]["time_first"], 100, "aggr")
    for no in ("f", "False", "0", "n"):
        equal(ask(server, path + "humantime=%s&aggr=%s" % (no, no))[0][0]["time_first"], 100, no)
    path = BASE + "lookup/rrset/name/*.example.com?aggr="
    equal(server.get(path + "f").text, server.get(path + "t").text, "one time slice a record")
    path = "lookup/rrset/name/example.com/A?"
    for bad in ("humantime=maybe", "aggr=", "aggr=2"):
        refused(server, path + bad, 400, "true or false")


@case("summaries, their limit and max_count")
def summaries(world):
    server = serve(world)
    for path, want, end in (
            ("rrset/name/example.com", {"count": 18, "num_results": 7, "time_first": 100,
                                        "time_last": 300}, "succeeded"),
            ("rrset/name/*.example.com/A", {"count": 4, "num_results": 2, "time_first": 100,
                                            "time_last": 600}, "succeeded"),
            ("rdata/ip/192.0.2.0,25?limit=1", {"count": 3, "num_results": 1, "time_first": 100,
                                               "time_last": 200}, "limited"),
            ("rrset/name/example.com/NS?max_count=4", {"count": 5, "num_results": 1, "time_first":
                                                       100, "time_last": 300}, "limited"),
            ("rrset/name/example.com/NS?max_count=10", {"count": 10, "num_results": 2,
                                                        "time_first": 100, "time_last": 300},
             "succeeded"),
            ("rdata/name/ns1.*?time_last_after=250", {"count": 5, "num_results": 1, "time_first":
                                                      100, "time_last": 300}, "succeeded"),
            ("rdata/raw/c0000201", {"count": 3, "num_results": 1, "time_first": 100, "time_last":
                                    200}, "succeeded"),
            ("rrset/raw/00", {"count": 9, "num_results": 1, "time_first": 100, "time_last": 200},
             "succeeded")):
        objects, last = ask(server, "summarize/" + path)
        equal((objects, last["cond"]), ([want], end), path)
    answer = server.get(BASE + "summarize/rrset/name/example.com/MX")
    equal(answer.text, '{"cond":"begin"}\n{"obj":{"count":2,"num_results":1,"time_first":150,'
          '"time_last":250}}\n{"cond":"succeeded"}\n', "octets")
    equal(ask(server, "summarize/rrset/name/nope"), ([], {"cond": "succeeded"}), "nothing")
    refused(server, "summarize/rrset/name/example.com?offset=1", 400, "lookup")
    refused(server, "summarize/rrset/name/example.com?max_count=0", 400, "max_count")


@case("ANY leaves the types of DNSSEC out, unless told otherwise")
def any_dnssec(world):
    server = serve(world, rest="dnsdb_any_dnssec = yes")
    equal([t for _, t in owners(server, "lookup/rrset/name/example.com")],
          ["A", "AAAA", "DS", "MX", "NS", "NS", "RRSIG", "SOA", "TXT"], "types")
    equal([t for _, t in owners(server, "lookup/rrset/name/example.com/ANY-DNSSEC")],
          ["DS", "RRSIG"], "DNSSEC")


@case("ping and rate_limit")
def service(world):
    server = serve(world)
    answer = server.get(BASE + "ping", headers={"X-Api-Key": "wrong"})
    equal((answer.status, answer.text), (200, '{"ping":"ok"}\n'), "ping")
    answer = server.get(BASE + "rate_limit?swclient=dnsdbq&version=2.6.8")
    equal((answer.status, answer.text),
          (200, '{"rate":{"reset":"n/a","limit":"unlimited","remaining":"n/a","results_max":1000000,'
           '"offset_max":3000000}}\n'), "rate_limit")


@case("keys: unknown ones are refused as the clients expect, quotas are told and end")
def keys(world):
    users = restclient.write_secret(world, "users", restclient.key_entry("many", "s") +
                                    restclient.key_entry("few", "s", "quota=2", "rate=100/10m",
                                                         "expires=2090-12-31") +
                                    restclient.key_entry("old", "s", "expires=2001-01-01") +
                                    restclient.key_entry("stats", "s", "scopes=stats"))
    server = serve(world, rest="anonymous = stats\nusers = " + users)
    path = BASE + "lookup/rrset/name/example.com/MX"

    def status(key, want, where=path):
        answer = server.get(where, headers={"X-API-Key": key} if key else {})
        equal(answer.status, want, "status with %r of %s" % (key, where))
        if want != 200:
            equal(answer.headers["content-type"], "text/plain", "media type")
            check(re.fullmatch(r"Error: [ -~]+\n", answer.text), repr(answer.text))
        return answer

    equal(len(framed(status("many.s", 200).body)[0]), 1, "with a key")
    for key in (None, "many.x", "x", "nobody.s"):
        equal(status(key, 403).text, "Error: Provided API key is not valid.\n", "text")
    status("old.s", 401)
    status("stats.s", 403)
    equal(status("x", 200, BASE + "ping").text, '{"ping":"ok"}\n', "ping with a wrong key")
    status("x", 403, BASE + "rate_limit")
    rate = json.loads(status("many.s", 200, BASE + "rate_limit").text)["rate"]
    equal(rate["limit"], "unlimited", "no quota")
    rates = []
    restclient.within_a_day()
    for want in (200, 200, 429):
        rates.append(json.loads(status("few.s", 200, BASE + "rate_limit").text)["rate"])
        answer = status("few.s", want)
    check(int(answer.headers["retry-after"]) > 0, "Retry-After")
    equal([r["remaining"] for r in rates], [2, 1, 0], "remaining")
    equal({(r["limit"], r["burst_size"], r["burst_window"]) for r in rates}, {(2, 100, 600)}, "quota")
    check(NOW < rates[0]["reset"] <= NOW + 2 * 86400, "reset %r" % rates[0]["reset"])
    check(rates[0]["expires"] > 3000000000, "expires %r" % rates[0]["expires"])


@case("statuses of what cannot be answered, with a line of text each")
def statuses(world):
    server = serve(world, storage="")
    for path in ("", "nope", "lookup", "regex/rrnames/x", "glob/rdata/x", "lookups/rrset/name/x",
                 "/dnsdb/v1/lookup/rrset/name/x", "/dnsdb/", "ping/x"):
        refused(server, path, 404)
    for path in ("lookup/", "lookup/rrset", "lookup/rrset/name", "lookup/rrset/name/", "lookup/x/y/z",
                 "lookup/rrset/ip/192.0.2.1", "lookup/rrset/name//A", "lookup/rrset/name/a..b",
                 "lookup/rrset/name/x/NOTYPE", "lookup/rrset/name/x/1", "lookup/rrset/name/x/",
                 "lookup/rrset/name/x/A/y/z", "lookup/rrset/name/x/A/", "lookup/rrset/name/x/A/a..b",
                 "lookup/rdata/name/x/A/y", "lookup/rrset/name/%zz", "lookup/rrset/name/%2",
                 "lookup/rrset/name/" + "a" * 64, "lookup/rrset/name/" + "a." * 200,
                 "summarize/rrset/name/x/TYPE65536", "lookup/rrset/name/x/TYPE-1"):
        refused(server, path, 400)
    refused(server, "lookup/rrset/name/www.example.*", 501, "forward_index")
    refused(server, "lookup/rdata/name/ns1.*", 501, "forward_index")
    refused(server, "summarize/rrset/name/www.*", 501, "forward_index")
    refused(server, "ping", 405, "GET", method="DELETE")
    refused(server, "ping", 413, "body", body="x")
    refused(server, "lookup/rrset/name/" + "a" * 9000, 414, "8192")
    equal(server.get("/dnsdbx").status, 404, "another path")


def serve_redis(world, layout, records):
    """A server on a Redis of its own; its first record has a bailiwick."""
    redis = redisproc.Redis(world, "redis-" + layout)
    lines = lines_of(records)
    path = world.write(layout + ".ndjson", '{"bailiwick": "com", ' + lines[1:])
    conf = world.write(layout + ".conf", """[cofd]
state_dir = %s
[input.in]
plugin = cof-file
path = %s
[storage.other]
plugin = redis
server = 127.0.0.1:%d
layout = %s
[output.api]
plugin = rest
listen = 127.0.0.1:0
[chain.main]
route = in -> other -> api
window_time = 20ms
""" % (world.directory, path, redis.port, layout))
    server = world.serve(conf)
    server.wait_stored(len(records))
    return server


@case("what a storage lacks is an error with a reason, and the rest works")
def lacking(world):
    redisproc.need_redis()
    server = serve_redis(world, "compact", [RECORDS[0], *RECORDS])
    refused(server, "lookup/rrset/name/www.example.*", 501, "right-hand")
    refused(server, "lookup/rdata/name/*.example.net", 501, "rdata below a domain")
    equal(names(server, "lookup/rrset/name/*.www.example.com"),
          ["a.www.example.com.", "www.example.com."], "left wildcard")
    equal(names(server, "lookup/rdata/ip/192.0.2.0,29"), ["example.com."], "network")
    equal(owners(server, "lookup/rdata/raw/" + wire("ns2.example.net") + "/NS"),
          [("example.com.", "NS")], "raw")
    equal(owners(server, "lookup/rrset/name/example.com/MX"), [("example.com.", "MX")], "name")
    equal(owners(server, "lookup/rrset/name/*.example.com/ANY/com"), [("example.com.", "A")],
          "bailiwick")
    server.stop()
    server = serve_redis(world, "d4", RECORDS[:5])
    equal(names(server, "lookup/rrset/name/example.com"), ["example.com."], "name")
    refused(server, "lookup/rrset/name/example.com/ANY/com", 501, "keeps no bailiwicks")


@case("HEAD, compression, and any Accept")
def transport(world):
    many = [("h%d.many.example" % n, "A", "10.0.%d.%d" % (n >> 8, n & 255), 1, 2, 1)
            for n in range(3000)]
    server = serve(world, many)
    path = BASE + "lookup/rrset/name/*.many.example"
    plain = server.get(path, headers={"Accept": "text/html"})
    check("content-encoding" not in plain.headers, "compressed unasked")
    equal(len(framed(plain.body)[0]), 3000, "objects")
    packed = server.get(path, headers={"Accept-Encoding": "gzip, deflate"})
    equal(packed.headers.get("content-encoding"), "gzip", "encoding")
    equal(gzip.decompress(packed.body), plain.body, "the same")
    for one in (path, path + "?limit=1", BASE + "ping"):
        answer = server.get(one, method="HEAD")
        equal((answer.status, answer.body), (200, b""), "HEAD " + one)
    equal(len(framed(server.get(path).body)[0]), 3000, "and it goes on")


@case("octets outside of ASCII come as escapes, and no line is torn")
def escapes(world):
    records = [("\\000\\255x.example", "TXT", '"q\\"\\\\ \\010\\226\\128\\168"', 1, 2, 1),
               ("u.example", "TXT", '"\u2028 \u00fc"', 1, 2, 1)]
    server = serve(world, records)
    objects, _ = ask(server, "lookup/rrset/name/*.example")
    equal(sorted(o["rrname"] for o in objects), ["\\000\\255x.example.", "u.example."], "names")
    for one in objects:
        check(one["rdata"][0].isprintable() and one["rdata"][0].isascii(), repr(one))


def resident(server):
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


@case("a long answer streams, and memory stays flat meanwhile")
def long_answer(world):
    path = world.path("many.ndjson")
    with open(path, "w", encoding="ascii") as out:
        for n in range(LINES):
            out.write('{"rrname":"host-%d.many.example","rrtype":"A","rdata":"10.%d.%d.%d",'
                      '"time_first":%d,"time_last":%d,"count":1}\n'
                      % (n, n >> 16 & 255, n >> 8 & 255, n & 255, n, n + 10))
    server = world.serve(world.conf(input="path = " + path, storage=INDEX + "\ncache_size = 8M",
                                    rest="query_timeout = 1h\nanswer_timeout = 2h\ndnsdb_max_limit = 2000000"))
    server.wait_stored(LINES)
    for question in ("rrset/name/*.many.example", "rdata/ip/10.0.0.0,8"):
        count = octets = 0
        connection = server.connect()
        most = least = resident(server)
        connection.request("GET", BASE + "lookup/%s?limit=0" % question)
        response = connection.getresponse()
        last = b""
        while True:
            block = response.read(1 << 20)
            if not block:
                break
            count += block.count(b'{"obj":')
            octets += len(block)
            last = (last + block)[-300:]
            most = max(most, resident(server))
        connection.close()
        print("# %s: %d octets, resident memory %d to %d KiB" % (question, octets, least, most))
        # An object's name may lie across two blocks.
        check(LINES - 64 <= count <= LINES, "%d objects" % count)
        equal(last.splitlines()[-1], b'{"cond":"succeeded"}', "end")
        check(SANITIZED or most - least < 16 * 1024, # sanitizers keep what is freed
              "memory grew from %d to %d KiB" % (least, most))
    objects, end = ask(server, "lookup/rrset/name/*.many.example?offset=%d&limit=2" % (LINES // 2))
    equal((len(objects), end["cond"]), (2, "limited"), "an offset into the middle")
    objects, end = ask(server, "summarize/rrset/name/*.many.example?limit=0")
    equal(objects[0]["num_results"], LINES, "summary")
    objects, end = ask(server, "lookup/rdata/raw/0a000001?limit=0")
    equal([o["rdata"] for o in objects], [["10.0.0.1"]], "raw, read through")
    objects, end = ask(server, "lookup/rrset/name/*.many.example?time_first_after=%d&limit=0"
                       % (LINES - 5))
    equal((len(objects), end["cond"]), (5, "succeeded"), "few among many")


@case("an answer that takes too long ends in a line that says so")
def too_long(world):
    many = [("h%d.many.example" % n, "TXT", '"%s"' % ("x" * 250), 1, 2, 1) for n in range(30000)]
    server = serve(world, many, rest="query_timeout = 5s\nthreads = 1")
    with socket.create_connection(server.urls[0], timeout=DEADLINE) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"GET /dnsdb/v2/lookup/rrset/name/*.many.example?limit=0 HTTP/1.0\r\n\r\n")
        time.sleep(5.2)  # longer than query_timeout, whatever the machine does
        body = b""
        while True:
            block = client.recv(1 << 16)
            if not block:
                break
            body += block
    head, _, body = body.partition(b"\r\n\r\n")
    check(b" 200 " in head, "status line %r" % head[:100])
    last = json.loads(body.splitlines()[-1])
    equal(last.get("cond"), "failed", "last line")
    check("deadline" in last["msg"], last["msg"])


@case("the forward index is made for a database that has none, and goes with the option")
def forward_index(world):
    server = serve(world, storage="")
    refused(server, "lookup/rrset/name/www.example.*", 501, "forward_index")
    server.stop()
    server = world.serve(world.conf(storage=INDEX))
    server.wait_log("the forward index was made")
    equal(names(server, "lookup/rrset/name/www.example.*"),
          ["www.example.", "www.example.com.", "www.example.org."], "made at start")
    server.stop()
    server = world.serve(world.conf())
    server.wait_log("removing the forward index")
    equal(len(owners(server, "lookup/rrset/name/example.com")), 7, "the records are as they were")
    refused(server, "lookup/rrset/name/www.example.*", 501, "forward_index")


def hostile(rng):
    """A path that a client might send to do harm, or by mistake."""
    parts = ["lookup", "summarize", "rrset", "rdata", "name", "ip", "raw", "rate_limit", "ping", "..",
             ".", "", "*", "*.com", "a.*", "ANY", "%00", "%", "%2", "%zz", "%2F", "192.0.2.0,24",
             "c0000201", "x" * rng.randrange(1, 3000), "." * 300, "\\" * rng.randrange(1, 80), "+.a",
             "-", ",", "1-2", "::,0", "%ff%fe", "\\300", "\\", "0" * 2001, "TYPE99999", "'\"<>;|&"]
    keys = ["limit", "offset", "max_count", "time_first_after", "time_last_before", "aggr",
            "humantime", "swclient", "id", "", "x" * 300, "%6cimit"]
    values = ["", "0", "-1", "1", "9" * 30, "t", "-9223372036854775808", "%00", "&", "=", "x" * 500]
    path = "/".join(rng.choice(parts) for _ in range(rng.randrange(1, 7)))
    if rng.random() < 0.7:
        path = "%s/%s/%s/%s" % (rng.choice(parts[:2]), rng.choice(parts[2:4]),
                                rng.choice(parts[4:7]), path)
    if rng.random() < 0.1:
        path += "".join(rng.choice(string.printable[:94]) for _ in range(rng.randrange(50)))
    query = "&".join("%s=%s" % (rng.choice(keys), rng.choice(values))
                     for _ in range(rng.randrange(4)))
    return BASE + path.replace(" ", "").replace("#", "") + ("?" + query if query else "")


@case("hostile paths and parameters get a status and a line each, and nothing breaks")
def hostile_paths(world):
    server = serve(world)
    rng = random.Random(5)
    seen = {}
    connection = server.connect()
    for _ in range(2000):
        path = hostile(rng)
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        seen[response.status] = seen.get(response.status, 0) + 1
        check(response.status in (200, 400, 404, 414, 416, 501), "%d to %r" % (response.status, path))
        check(body.endswith(b"\n") and body.isascii(), "body %r to %r" % (body[:200], path))
        if response.status != 200:
            check(body.startswith(b"Error: ") and body.count(b"\n") == 1, "body %r" % body[:200])
        if response.getheader("Connection") == "close":
            connection.close()
            connection = server.connect()
    connection.close()
    print("# statuses: %s" % dict(sorted(seen.items())))
    check({200, 400, 404} <= set(seen), "too few kinds of answers: %s" % seen)
    until(lambda: server.get(BASE + "ping").status == 200, "an answer afterwards")


if __name__ == "__main__":
    main()
