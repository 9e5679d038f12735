# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows of answers over HTTP, against libmicrohttpd with a constant one and against balboa."""
import hashlib
import os
import re
import subprocess
import urllib.request

import balboa
import bench_inputs as inputs
from bench_ingest import database_conf, import_once
from benchlib import Missing, Server, fail, figure, free_port, rate, ratio

CONSTANT = "libmicrohttpd, constant answer"
GRAPHQL = "balboa, GraphQL"
WILD = 1000


def wrk(url, seconds, *options):
    """Answers a second, all of them good."""
    done = subprocess.run(["wrk", "-t", "1", "-c", "64", "-d", "%ds" % seconds, *options, url],
                          capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout:
        fail("not all answers were good:\n" + done.stdout)
    return float(re.search(r"Requests/sec:\s*([\d.]+)", done.stdout).group(1))


def warm(url, *options):
    wrk(url, 1, *options)
    return wrk(url, 4, *options)


def users(bench):
    """A file with a key, and the header that shows it."""
    salt, secret = "0123456789abcdef", "a-long-and-random-secret"
    path = bench.path("users")
    with open(path, "w", encoding="ascii") as out:
        out.write("bench sha256:%s:%s rate=1000000/s quota=1000000000\n"
                  % (salt, hashlib.sha256((salt + secret).encode()).hexdigest()))
    os.chmod(path, 0o600)
    return path, "X-API-Key: bench." + secret


def serve_and_ask(bench, command, port, path, records, key):
    """Answers a second of a server, the first of which has as many records."""
    server = Server(bench, port, *command)
    request = urllib.request.Request(server.url + path)
    if key:
        request.add_header(*key.split(": "))
    with urllib.request.urlopen(request) as answer:
        if answer.read().count(b"\n") < records:
            fail("too few records from " + command[0])
    answers = warm(server.url + path, *(["-H", key] if key else []))
    server.stop()
    return answers


def turns_of(bench, what, path, records=1, key=None, rest=(), **more):
    port = free_port()
    conf = database_conf(bench, "listen = 127.0.0.1:%d" % port, *rest)
    floor = [bench.program("floor-mhd"), str(port), "0", str(records)]
    return bench.turns(
        what, floor=lambda: serve_and_ask(bench, floor, port, path, records, key),
        cofd=lambda: serve_and_ask(bench, [bench.cofd, "run", "-c", conf], port, path, records, key),
        **more)


def balboa_with(bench, source, name):
    """A balboa that was fed with a tenth of the records, and the options of wrk to ask it for one."""
    server = balboa.Balboa(bench, balboa.programs(bench))
    part = bench.path("part.log")
    with open(inputs.sensor_lines(bench, source), "rb") as lines, open(part, "wb") as out:
        out.writelines(line for line, _ in zip(lines, range(max(1, bench.records // 10))))
    server.feed(part)
    if not server.ask(name):
        fail("balboa does not know " + name)
    return server, ("-s", bench.conf(
        "post.lua", 'wrk.method = "POST"', "wrk.body = [[%s]]" % balboa.question(name),
        'wrk.headers["Content-Type"] = "application/json"'))


def rows_of_one_record(bench):
    source = inputs.stream(bench, bench.records)
    name, what, more, peer = inputs.first_name(source), "/query/NAME, one record, answers/s", {}, None
    import_once(bench, source, bench.records)
    try:
        peer, options = balboa_with(bench, source, name)
        more["balboa"] = lambda: warm(peer.url, *options)
    except Missing as why:
        bench.absent(what, GRAPHQL, why)
    turns = turns_of(bench, what, "/query/" + name, **more)
    bench.row(what, rate, turns["cofd"], CONSTANT, turns["floor"], ratio(0.5))
    if peer:
        bench.row(what, rate, turns["cofd"], GRAPHQL, turns["balboa"])
        peer.stop()
    path, key = users(bench)
    what = "the same with key and quota"
    turns = turns_of(bench, what, "/query/" + name, key=key, rest=["users = " + path])
    bench.row(what, rate, turns["cofd"], CONSTANT, turns["floor"])


def rows_of_subdomains(bench):
    import_once(bench, inputs.wild(bench, WILD), WILD)
    for what, path in (("subdomains, 1,000 records each, records/s",
                        "/api/v1/records?subdomains=wild.example"),
                       ("the same by DNSDB's wildcard, records/s",
                        "/dnsdb/v2/lookup/rrset/name/*.wild.example")):
        turns = turns_of(bench, what, path, WILD)
        bench.row(what, rate, [WILD * t for t in turns["cofd"]], CONSTANT,
                  [WILD * t for t in turns["floor"]], figure(1000000))


def measure(bench):
    rows_of_one_record(bench)
    rows_of_subdomains(bench)
