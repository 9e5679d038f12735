#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""A client that others wrote: dnsdbq speaks CIRCL's convention to /query, and DNSDB's API."""
import json
import os
import shlex
import shutil
import subprocess

from cofdtest import DEADLINE, SAMPLE, Skip, case, equal, main


def serve(world):
    server = world.serve(world.conf(input="path = " + SAMPLE))
    server.wait_stored(16)
    return server


def dnsdbq(world, *arguments):
    if not shutil.which("dnsdbq"):
        raise Skip("dnsdbq is not installed")
    server = serve(world)
    conf = world.write("dnsdbq.conf", "CIRCL_SERVER=http://127.0.0.1:%d/query\nCIRCL_AUTH=a:b\n"
                       % server.urls[0][1])
    env = dict(os.environ, HOME=world.directory, DNSDBQ_CONFIG_FILE=conf)
    done = subprocess.run(["dnsdbq", "-u", "circl", *arguments, "-j"], env=env, check=False,
                          capture_output=True, text=True, timeout=DEADLINE)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


@case("dnsdbq -r finds a name")
def name(world):
    done, records = dnsdbq(world, "-r", "www.framtro.nu")
    equal(done.returncode, 0, "exit status; it wrote " + done.stderr)
    equal([(r["rrname"], r["rrtype"], r["time_first"], r["count"]) for r in records],
          [("www.framtro.nu", "AAAA", 1657879064, 1)], "records")


@case("dnsdbq -i finds the names of an address")
def address(world):
    done, records = dnsdbq(world, "-i", "2a02:250:0:8::53")
    equal(done.returncode, 0, "exit status; it wrote " + done.stderr)
    equal(len({r["rrname"] for r in records}), 16, "names")


@case("dnsdbq survives a question without an answer")
def nothing(world):
    done, records = dnsdbq(world, "-r", "nope.example")
    equal((done.returncode >= 0, records), (True, []), "no crash, no records")


# --- DNSDB's API ---------------------------------------------------------------------------------

# rrname, rrtype, rdata, time_first, time_last, count
RECORDS = [
    ("example.com", "A", "192.0.2.1", 1577836800, 1580000000, 3),
    ("example.com", "A", "192.0.2.2", 1609459200, 1612000000, 4),
    ("example.com", "NS", "ns1.example.net", 1577836800, 1612000000, 5),
    ("example.com", "MX", "10 mx.example.net", 1577836800, 1580000000, 2),
    ("example.com", "TXT", '"v=spf1 -all"', 1577836800, 1580000000, 1),
    ("www.example.com", "CNAME", "web.example.org", 1577836800, 1580000000, 7),
    ("www.example.org", "AAAA", "2001:db8::1", 1577836800, 1580000000, 6),
    ("212.0/24.150.104.24.in-addr.arpa", "PTR", "example.com", 1577836800, 1580000000, 1),
]
BAILIWICKS = {"NS": {"bailiwick": "com"}, "CNAME": {"bailiwick": "example.com"}}


class Client:
    """dnsdbq pointed at a server of its own; prints what it was asked and what it said."""

    def __init__(self, world):
        if not shutil.which("dnsdbq"):
            raise Skip("dnsdbq is not installed")
        keys = ("rrname", "rrtype", "rdata", "time_first", "time_last", "count")
        path = world.write("in.ndjson", "".join(
            json.dumps(dict(zip(keys, r), **BAILIWICKS.get(r[1], {}))) + "\n" for r in RECORDS))
        self.server = world.serve(world.conf(input="path = " + path,
                                             storage="forward_index = yes"))
        self.server.wait_stored(len(RECORDS))
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith(("DNSDB", "APIKEY"))}
        self.env.update(HOME=world.directory, DNSDB_API_KEY="k",
                        DNSDB_SERVER="http://127.0.0.1:%d" % self.server.urls[0][1])

    def run(self, *arguments, stdin=None):
        done = subprocess.run(["dnsdbq", "-u", "dnsdb2", *arguments], env=self.env, check=False,
                              input=stdin, capture_output=True, text=True, timeout=DEADLINE)
        print("# $ dnsdbq -u dnsdb2 " + shlex.join(arguments))
        for line in ((stdin or "") + done.stdout + done.stderr).splitlines():
            print("#   " + line)
        equal(done.returncode >= 0, True, "end without a signal")
        return done

    def records(self, *arguments, stdin=None):
        done = self.run("-j", *arguments, stdin=stdin)
        equal(done.returncode, 0, "exit status; it wrote " + done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()
                if line.startswith("{")]

    def found(self, *arguments):
        """What there is as (owner, type, rdata), sorted."""
        return sorted((r["rrname"], r["rrtype"], r["rdata"][0])
                      for r in self.records(*arguments))


def tuples(*numbers):
    """Records by their numbers, as an answer has them."""
    dotted = {"NS", "MX", "CNAME", "PTR"}
    return sorted((RECORDS[n][0] + ".", RECORDS[n][1],
                   RECORDS[n][2] + ("." if RECORDS[n][1] in dotted else "")) for n in numbers)


@case("dnsdbq by DNSDB: names, types, raw names")
def dnsdb_rrset(world):
    client = Client(world)
    equal(client.found("-r", "example.com"), tuples(0, 1, 2, 3, 4), "-r")
    equal(client.found("-r", "EXAMPLE.com./MX"), tuples(3), "with a type")
    equal(client.found("-r", "example.com/A,NS"), tuples(0, 1, 2), "two types, two requests")
    equal(client.found("-t", "TXT", "-r", "example.com"), tuples(4), "-t")
    equal(client.found("-R", "076578616d706c6503636f6d00"), tuples(0, 1, 2, 3, 4), "-R")
    equal(client.found("-R", "076578616d706c6503636f6d00/NS"), tuples(2), "-R with a type")
    equal(client.found("-r", "212.0%2F24.150.104.24.in-addr.arpa"), tuples(7), "a slash")
    equal(client.found("-r", "example.com/NS/com"), tuples(2), "with a bailiwick")
    equal(client.found("-r", "example.com/NS/example.com"), [], "with another")
    found = client.records("-r", "example.com/A,NS")  # two questions, in no order
    equal(sorted((r["rrtype"], r.get("bailiwick")) for r in found),
          [("A", None), ("A", None), ("NS", "com.")], "shown where known")
    done = client.run("-r", "example.com/MX")
    equal([line for line in done.stdout.splitlines() if line and not line.startswith(";")],
          ["example.com.  MX  10 mx.example.net."], "as text")
    done = client.run("-j", "-r", "nope.example")
    equal((done.returncode, done.stdout), (0, ""), "nothing")
    equal("no results found" in done.stderr, True, "it says so")


@case("dnsdbq by DNSDB: wildcards left and right")
def dnsdb_wildcards(world):
    client = Client(world)
    equal(client.found("-r", "*.example.com"), tuples(0, 1, 2, 3, 4, 5), "left")
    equal(client.found("-r", "*.example.com/CNAME"), tuples(5), "left, with a type")
    equal(client.found("-r", "www.example.*"), tuples(5, 6), "right")
    equal(client.found("-n", "*.example.net"), tuples(2, 3), "rdata, left")
    equal(client.found("-n", "ns1.example.*"), tuples(2), "rdata, right")
    done = client.run("-j", "-r", "a.*.com")
    equal((done.stdout, "wildcard" in done.stderr), ("", True), "in the middle")
    equal(client.found("-r", "*.example.com/ANY/example.com"), tuples(5), "left, a bailiwick")


@case("dnsdbq by DNSDB: rdata by name, address, network, range, on the wire")
def dnsdb_rdata(world):
    client = Client(world)
    equal(client.found("-n", "mx.example.net"), tuples(3), "-n")
    equal(client.found("-n", "ns1.example.net/NS"), tuples(2), "-n with a type")
    equal(client.found("-i", "192.0.2.1"), tuples(0), "-i")
    equal(client.found("-i", "192.0.2.0/24"), tuples(0, 1), "a network")
    equal(client.found("-i", "192.0.2.2,31"), tuples(1), "with a comma")
    equal(client.found("-i", "192.0.2.0-192.0.2.1"), tuples(0), "a range")
    equal(client.found("-i", "2001:db8::/32"), tuples(6), "IPv6")
    equal(client.found("-N", "c0000201"), tuples(0), "-N, an address")
    equal(client.found("-N", "036e7331076578616d706c65036e657400"), tuples(2), "-N, a name")
    equal(client.found("-N", "000a/MX"), tuples(3), "-N, a beginning")


@case("dnsdbq by DNSDB: time fences, limit, offset, sorting")
def dnsdb_limits(world):
    client = Client(world)
    fenced = ("-A", "2020-06-01", "-r", "example.com/A")
    equal(client.found(*fenced), tuples(1), "-A")
    equal(client.found("-B", "2020-06-01", "-r", "example.com/A"), tuples(0), "-B")
    equal(client.found("-A", "2020-01-01", "-B", "2022-01-01", "-r", "example.com/A"),
          tuples(0, 1), "-A -B")
    equal(client.found("-c", "-A", "2020-06-01", "-B", "2022-01-01", "-r", "example.com"),
          tuples(1), "-c")
    pages = [client.found("-l", "2", "-O", str(n), "-r", "example.com") for n in (0, 2, 4)]
    equal([len(page) for page in pages], [2, 2, 1], "pages")
    equal(sorted(sum(pages, [])), tuples(0, 1, 2, 3, 4), "all of them")
    done = client.run("-j", "-l", "2", "-L", "9", "-r", "example.com")
    equal("Query limit reached" in done.stderr, True, "it says that there is more")
    counts = [r["count"] for r in client.records("-S", "-k", "count", "-r", "example.com")]
    equal(counts, [5, 4, 3, 2, 1], "-S -k count")
    equal(len(client.records("-L", "1", "-r", "example.com")), 1, "-L")
    shown = client.records("-T", "datefix", "-r", "example.com/TXT")
    equal(shown[0]["time_first"], "2020-01-01 00:00:00", "-T datefix")


@case("dnsdbq by DNSDB: summarize, and -I")
def dnsdb_summaries(world):
    client = Client(world)
    equal(client.records("-V", "summarize", "-r", "example.com"),
          [{"count": 15, "num_results": 5, "time_first": 1577836800, "time_last": 1612000000}],
          "summary")
    equal(client.records("-V", "summarize", "-M", "4", "-r", "example.com/A")[0]["count"], 7, "-M 4")
    equal(client.records("-V", "summarize", "-M", "2", "-r", "example.com/A")[0]["count"], 3, "-M 2")
    equal(client.records("-V", "summarize", "-i", "192.0.2.0/24")[0]["num_results"], 2, "network")
    done = client.run("-V", "summarize", "-r", "example.com")
    equal("num_results: 5" in done.stdout, True, "as text")
    done = client.run("-I")
    equal(("limit: unlimited" in done.stdout, "results_max: 1000000" in done.stdout), (True, True),
          "-I")
    done = client.run("-j", "-I")
    equal(json.loads(done.stdout)["rate"]["reset"], "n/a", "-I as JSON")


@case("dnsdbq by DNSDB: batches, one after the other and merged")
def dnsdb_batches(world):
    client = Client(world)
    batch = ("# a comment\nrrset/name/example.com/A\nrdata/ip/192.0.2.0,24\n$OPTIONS -l 1\n"
             "rrset/name/*.example.com\n$OPTIONS\nrrset/name/nope.example\n"
             "rrset/name/212.0%2F24.150.104.24.in-addr.arpa\nrdata/name/ns1.example.*\n"
             "rrset/raw/076578616d706c6503636f6d00/NS\nrdata/raw/c0000201\n")
    done = client.run("-j", "-f", stdin=batch)
    equal(done.returncode, 0, "exit status; it wrote " + done.stderr)
    counts, count = [], 0
    for line in done.stdout.splitlines():
        if line == "--":
            counts.append(count)
            count = 0
        else:
            count += 1
    equal(counts, [2, 2, 1, 0, 1, 1, 1, 1], "answers")
    done = client.run("-j", "-ff", stdin=batch)
    equal(done.stdout.count("-- NOERROR"), 8, "answers with marks")
    merged = client.records("-f", "-m", stdin="rrset/name/example.com/A\nrrset/name/example.com/NS\n"
                                              "rdata/ip/2001:db8::1\n")
    equal(sorted(r["count"] for r in merged), [3, 4, 5, 6], "-f -m")


if __name__ == "__main__":
    main()
