#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What an operator of a public server relies on: who is let in, what is logged, what is measured."""
import json
import os
import re
import signal
import socket
import time

from cofdtest import DEADLINE, SAMPLE, SANITIZED, case, check, equal, main, until
from restclient import NAME, ask, basic, key_entry, password_entry, status, write_secret


def serve(world, rest, **more):
    server = world.serve(world.conf(input="path = " + SAMPLE, rest=rest, **more))
    until(lambda: server.get("/readyz").status in (200, 403), "it is ready")
    return server


def reload(server, pattern=r"reloaded "):
    after = len(server.log())
    server.send(signal.SIGHUP)
    server.wait_log(pattern, after=after)


def resident(server):
    """Octets of memory; sanitizers keep what is freed, so there it means nothing."""
    with open("/proc/%d/statm" % server.process.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- who is let in --------------------------------------------------------------------------------

@case("networks are let in and kept out, also after a reload")
def networks(world):
    server = serve(world, "deny = 127.0.0.0/8")
    answer = status(server, NAME, want=403)
    check("address" in answer.text, answer.text)
    status(server, "/healthz", want=403)
    for rest, want in (("allow = 192.0.2.0/24, 2001:db8::/32", 403),
                       ("allow = 192.0.2.0/24\nallow = 127.0.0.1", 200),
                       ("allow = ::ffff:127.0.0.1", 200),
                       ("allow = 127.0.0.0/8\ndeny = 127.0.0.1", 403), ("", 200)):
        world.conf(input="path = " + SAMPLE, rest=rest)
        reload(server)
        status(server, NAME, want=want)


@case("a proxy is believed only where it is trusted, and only what it says itself")
def proxies(world):
    server = serve(world, "deny = 192.0.2.66\ndeny = 2001:db8::66")
    status(server, NAME, {"X-Forwarded-For": "192.0.2.66"}, 200)
    world.conf(input="path = " + SAMPLE,
               rest="deny = 192.0.2.66\ndeny = 2001:db8::66\n"
                    "trusted_proxies = 127.0.0.1, 10.0.0.0/8")
    reload(server)
    for header, want in (("192.0.2.66", 403), ("192.0.2.1", 200), ("192.0.2.66, 192.0.2.1", 200),
                         ("192.0.2.1, 192.0.2.66", 403), ("192.0.2.66, 10.1.2.3", 403),
                         ("192.0.2.66,10.1.2.3 , 10.9.9.9", 403), ("192.0.2.66:4711", 403),
                         ("2001:db8::66", 403), ("[2001:DB8::66]:80", 403), ("unknown", 200),
                         ("192.0.2.66, unknown", 200), ("", 200), (",,,", 200),
                         ("192.0.2.1:\", 192.0.2.66", 403), ("[192.0.2.1]\", 192.0.2.66", 403),
                         ("x" * 9000 + ",192.0.2.66", 403), ("192.0.2.66" + "," * 3000, 200)):
        status(server, NAME, {"X-Forwarded-For": header}, want)
    status(server, NAME, {"Forwarded": "for=192.0.2.66"}, 200)
    world.conf(input="path = " + SAMPLE, rest="deny = 192.0.2.66\ndeny = 2001:db8::66\n"
               "trusted_proxies = 127.0.0.1, 10.0.0.0/8\nproxy_header = forwarded")
    reload(server)
    for header, want in (("for=192.0.2.66", 403), ("FOR=\"192.0.2.66:80\";proto=http", 403),
                         ("proto=https; for=\"[2001:db8::66]:80\"", 403), ("for=192.0.2.1", 200),
                         ("for=192.0.2.66, for=10.0.0.1;by=10.0.0.2", 403), ("for=_hidden", 200),
                         ("for=192.0.2.66, for=\"_a,for=192.0.2.66\"", 200), ("by=192.0.2.66", 200),
                         ("for=\"192.0.2.66", 200),
                         ("for=192.0.2.1;x=\", for=192.0.2.66", 403),
                         ("for=192.0.2.1;x=\"\\, for=\"192.0.2.66\"", 403)):
        status(server, NAME, {"Forwarded": header}, want)
    status(server, NAME, {"X-Forwarded-For": "192.0.2.66"}, 200)


@case("rates of addresses: each for itself, IPv6 by its network, in bounded memory")
def addresses(world):
    server = serve(world, "anonymous_rate = 2/10m\ntrusted_proxies = 127.0.0.1\n"
                          "tracked_addresses = 1024")

    def asked(connection, address):
        return ask(connection, NAME, headers={"X-Forwarded-For": address}).status
    connection = server.connect()
    for address in ("192.0.2.1", "192.0.2.2"):
        equal([asked(connection, address) for _ in range(4)], [200, 200, 429, 429], address)
    equal([asked(connection, "2001:db8::%x" % n) for n in range(4)], [200, 200, 429, 429], "one /64")
    equal(asked(connection, "2001:db8:0:1::1"), 200, "another /64")
    before = resident(server)
    for number in range(4000):
        equal(asked(connection, "10.0.%d.%d" % (number >> 8, number & 255)), 200, "of a newcomer")
    check(SANITIZED or resident(server) - before < 16 << 20, "memory grew by %d octets"
          % (resident(server) - before))


@case("scripts of the origins named may ask, and no others")
def cors(world):
    users = write_secret(world, "users", key_entry("alice", "s", "quota=100"))
    server = serve(world, "cors_origin = https://map.example, http://localhost:8080\nusers = "
                   + users)
    wants = {"Access-Control-Request-Method": "GET",
             "Access-Control-Request-Headers": "x-api-key"}
    answer = status(server, NAME, dict(wants, Origin="https://map.example"), 204, "OPTIONS")
    equal(answer.headers["access-control-allow-origin"], "https://map.example", "origin")
    check("X-API-Key" in answer.headers["access-control-allow-headers"], "headers")
    check("GET" in answer.headers["access-control-allow-methods"], "methods")
    answer = status(server, NAME, dict(wants, Origin="https://other.example"), 204, "OPTIONS")
    check("access-control-allow-origin" not in answer.headers, "no other origin")
    key = {"X-API-Key": "alice.s"}
    answer = status(server, NAME, dict(key, Origin="http://localhost:8080"))
    equal(answer.headers["access-control-allow-origin"], "http://localhost:8080", "origin")
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    for name in ("X-RateLimit-Remaining", "X-Cofd-Cursor", "X-Cofd-Limited", "x-dribble-cursor"):
        check(name in exposed, "%s is exposed in %s" % (name, exposed))
    equal(answer.headers["x-ratelimit-remaining"], "99", "a preflight takes nothing")
    answer = status(server, NAME, {"Origin": "https://map.example"}, 401)
    check("access-control-allow-origin" in answer.headers, "a refusal can be read, too")
    for headers in (key, dict(key, Origin="https://other.example"), dict(key, Origin="null")):
        answer = status(server, NAME, headers)
        check("access-control-allow-origin" not in answer.headers, "none for %s" % headers)
        equal(answer.headers["vary"], "Origin", "Vary")
    world.conf(input="path = " + SAMPLE, rest="cors_origin = *")
    reload(server)
    answer = status(server, NAME, {"Origin": "https://other.example"})
    equal(answer.headers["access-control-allow-origin"], "*", "any origin")
    world.conf(input="path = " + SAMPLE)
    reload(server)
    status(server, NAME, dict(wants, Origin="https://map.example"), 405, "OPTIONS")


# --- the access log -------------------------------------------------------------------------------

COMMON = re.compile(r'^(\S+) - (\S+) \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] '
                    r'"([A-Z]+) (\S*) (HTTP/1\.[01])" (\d{3}) (\d+)$')


def lines_of(path, count):
    """Wait for so many lines, beside those of what the tests wait by."""
    def read():
        with open(path, encoding="ascii") as file:
            lines = [line for line in file.read().split("\n")[:-1]
                     if "/readyz" not in line and "?before" not in line]
        return lines if len(lines) >= count else None
    return until(read, "%d lines in %s" % (count, path))


@case("the access log in the common format: who, what, status and octets")
def common_log(world):
    users = write_secret(world, "users", key_entry("alice", "s") + password_entry("bob", "p"))
    path = world.path("access")
    server = serve(world, "users = %s\naccess_log = %s\nanonymous = query" % (users, path))
    until(lambda: server.get(NAME + "?before").body, "the samples")
    equal(os.stat(path).st_mode & 0o777 & 0o027, 0, "others cannot read it")
    want = []
    for url, headers, method, who in (
            (NAME, {}, "GET", "-"), (NAME, {"X-API-Key": "alice.s"}, "GET", "alice"),
            (NAME, basic("bob", "p"), "HEAD", "bob"), ("/info", {}, "GET", "-"),
            (NAME, {"X-API-Key": "alice.t"}, "GET", "-"), ("/query/a?b=c&d&e=%22", {}, "GET", "-"),
            ("/query/..", {}, "GET", "-"), (NAME, {}, "DELETE", "-"), ("/nowhere", {}, "GET", "-"),
            ("/query/%22%0d%0ax", {}, "GET", "-"), ('/query/"\\', {}, "GET", "-")):
        answer = server.get(url, method=method, headers=headers)
        seen = url.replace("\\", "\\x5c").replace('"', "\\x22")
        want.append(("127.0.0.1", who, method, seen, "HTTP/1.1", str(answer.status),
                     str(len(answer.body))))
    lines = lines_of(path, len(want))
    have = [COMMON.match(line) for line in lines]
    check(all(have), "lines %s" % lines)
    equal(sorted(m.groups() for m in have), sorted(want), "lines")


@case("the access log as JSON, questions hidden, opened again by SIGHUP, or within the log")
def json_log(world):
    path = world.path("access")
    rest = "access_log = %s\naccess_log_format = json\naccess_log_query = %s"
    server = serve(world, rest % (path, "full"))
    asked = []

    def samples():
        asked.append(server.get(NAME + "?before"))
        return asked[-1].body

    def logged(what):
        with open(path, encoding="ascii") as file:
            return file.read().count(what)
    until(samples, "the samples")
    status(server, "/query/secret.example?also=secret")
    # A request is logged once its answer is out: all of them here, none in the next file.
    until(lambda: logged("also=secret") == 1 and logged("?before") == len(asked), "the questions")
    world.conf(input="path = " + SAMPLE, rest=rest % (path, "hidden"))
    os.rename(path, path + ".1")
    reload(server)
    for url in ("/query/secret.example?also=secret", "//query//secret.example",
                "/fquery/secret.example", "/secret", "/query/a/secret", "http://h/query/secret",
                "/dnsdb/v2/lookup/rrset/name/secret.example/A", "/api/v1/secret", NAME):
        server.get(url)
    lines = [json.loads(line) for line in lines_of(path, 9)]
    check("secret" not in json.dumps(lines), "no question is in %s" % lines)
    equal(sorted(line["target"] for line in lines),
          sorted(["/query/-", "//query/-", "/fquery/-", "/-", "/query/-", "http://h/query/-",
                  "/dnsdb/v2/lookup/rrset/name/-", "/api/v1/-", "/query/-"]), "targets")
    last = [line for line in lines if line["records"] == 1][0]
    equal((last["client"], last["user"], last["method"], last["status"], last["records"]),
          ("127.0.0.1", "", "GET", 200, 1), "the last line")
    check(last["bytes"] > 100 and 0 < last["ms"] < DEADLINE * 1000, "its numbers")
    check(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", last["time"]), "its time")
    world.conf(input="path = " + SAMPLE, rest="access_log = log")
    reload(server)
    status(server, NAME)
    server.wait_log(r'info output\.api: 127\.0\.0\.1 - - \[.*"GET %s HTTP/1.1" 200 ' % NAME)


@case("an access log on a full disk is told once and counted, and answers go on")
def full_log(world):
    if not os.path.exists("/dev/full"):
        return
    server = serve(world, "access_log = /dev/full")
    for _ in range(10):
        status(server, NAME)
    until(lambda: metrics(server)["cofd_output_access_log_lost_total"][0][1] >= 10, "the counter")
    told = [line for line in server.log() if "access log cannot be written" in line]
    equal(len(told), 1, "lines that tell")


# --- metrics and health ---------------------------------------------------------------------------

SAMPLE_LINE = re.compile(r'^([a-z_][a-z0-9_]*)\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\} (\S+)$')


def metrics(server, headers=None):
    """The samples of /metrics by name; every rule of the format is checked."""
    answer = status(server, "/metrics", headers)
    check(answer.headers["content-type"].startswith("text/plain; version=0.0.4"), "media type")
    check(answer.text.endswith("\n"), "a last newline")
    found, types, family, seen = {}, {}, None, set()
    for line in answer.text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            check(family not in types, "%s stands once" % family)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            equal(name, family, "TYPE behind HELP")
            types[family] = kind
        else:
            match = SAMPLE_LINE.match(line)
            check(match, "%r is no sample" % line)
            name, labels, value = match.groups()
            base = re.sub("_(bucket|sum|count)$", "", name) if types[family] == "histogram" else name
            equal(base, family, "family of %s" % line)
            check((name, labels) not in seen, "%s is there twice" % line)
            seen.add((name, labels))
            equal(name.endswith("_total"), types[family] == "counter", "suffix of " + name)
            found.setdefault(name, []).append((labels, float(value)))
    return found


@case("/metrics: every counter of every plugin, histograms of latency and of ingest lag")
def prometheus(world):
    server = serve(world, "")
    server.wait_stored(16)
    before = metrics(server)
    for _ in range(20):
        status(server, NAME)
    # A request is counted once its answer is out, which may be after the client has it.
    count = "cofd_output_request_duration_seconds_count"
    until(lambda: metrics(server)[count][0][1] - before[count][0][1] >= 20, "20 requests measured")
    # The storage shows a record before the chain hears that it has it.
    until(lambda: metrics(server)["cofd_chain_stored_total"] == [('instance_name="main"', 16)], "16 stored")
    until(lambda: metrics(server)["cofd_chain_ingest_lag_seconds_count"][0][1] > 0, "a lag")
    after = metrics(server)
    equal(after["cofd_build_info"][0][1], 1, "build_info")
    check(('instance_name="api",plugin="rest"',) == tuple(
        labels for labels, _ in after["cofd_output_requests_total"]), "labels")
    for plugin in server.info()["plugins"]:
        for name in list(plugin["counters"]) + list(plugin["gauges"]):
            check(any(key.startswith("cofd_%s_%s" % (plugin["kind"], name)) for key in after) or
                  name == "write_time", "%s of %s is shown" % (name, plugin["instance"]))
    check("cofd_chain_write_time_seconds_total" in after, "milliseconds are shown as seconds")
    for name, least in (("cofd_output_request_duration_seconds", 20),
                        ("cofd_chain_ingest_lag_seconds", 1)):
        buckets = after[name + "_bucket"]
        values = [value for _, value in buckets]
        bounds = [re.search('le="([^"]+)"', labels).group(1) for labels, _ in buckets]
        equal(values, sorted(values), "cumulative counts")
        equal([float(b) for b in bounds], sorted(float(b) for b in bounds), "bounds")
        equal(bounds[-1], "+Inf", "last bound")
        equal(values[-1], after[name + "_count"][0][1], "count")
        check(values[-1] >= least, "%d values" % values[-1])
        check(after[name + "_sum"][0][1] > 0, "sum")


@case("/readyz tells a lost input, and why to the admin alone; /healthz stays well")
def readiness(world):
    # Held and not listened on, so that nobody else does.
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    users = write_secret(world, "users", key_entry("root", "s", "scopes=admin"))
    text = "[input.feed]\nplugin = d4\nserver = 127.0.0.1:%d\nuuid = 6072e072-bfaa-4395-9bb1-cdb3b470d715\n" % port
    conf = world.conf(text, rest="users = %s\nanonymous = query" % users)
    whole = open(conf, encoding="ascii").read().replace("route = ", "route = feed -> ")
    world.write("cofd.conf", whole)
    server = world.serve(conf)
    root = {"X-API-Key": "root.s"}
    # Inputs start behind outputs, so for a moment none has said anything.
    until(lambda: server.get("/readyz").status == 503, "the input to be missed")
    answer = status(server, "/readyz", want=503)
    equal(json.loads(answer.text), {"ready": False}, "what a stranger learns")
    answer = status(server, "/readyz", root, 503)
    equal(json.loads(answer.text), {"ready": False, "unconnected": ["feed"]}, "why")
    status(server, "/healthz")
    for word, want in (("none", 200), ("any", 503), ("all", 503)):
        world.write("cofd.conf", whole.replace("anonymous = query",
                                               "anonymous = query\nready_inputs = " + word))
        reload(server)
        status(server, "/readyz", want=want)
    probe.close()


# --- many at once ---------------------------------------------------------------------------------

def turns(server):
    """How often each thread that answers has gone to sleep, by its number."""
    found = {}
    for task in os.listdir("/proc/%d/task" % server.process.pid):
        path = "/proc/%d/task/%s/" % (server.process.pid, task)
        with open(path + "comm", encoding="ascii") as comm, \
                open(path + "status", encoding="ascii") as text:
            if comm.read().strip() == "MHD-worker":
                found[task] = int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text.read(),
                                            re.M).group(1))
    return found


@case("connections that come at once go to the threads in equal parts")
def shared_out(world):
    server = serve(world, "threads = 2")
    equal(len(turns(server)), 2, "threads")
    connections = [server.connect() for _ in range(16)]
    os.kill(server.process.pid, signal.SIGSTOP)
    for connection in connections:
        connection.connect()  # they wait in the socket's queue
    os.kill(server.process.pid, signal.SIGCONT)
    by_thread = dict.fromkeys(turns(server), 0)
    for connection in connections:
        before = turns(server)
        for _ in range(20):
            connection.request("GET", NAME)
            answer = connection.getresponse()
            answer.read()
            equal(answer.status, 200, "status")
        after = turns(server)
        by_thread[max(after, key=lambda task, b=before, a=after: a[task] - b[task])] += 1
        # None is closed: each stays with its thread.
    check(min(by_thread.values()) >= 6, "connections by thread: %r" % by_thread)
    for connection in connections:
        connection.close()


# --- time -----------------------------------------------------------------------------------------

def ends(sock):
    """Read until the other side has closed; returns what came."""
    got = b""
    try:
        while True:
            data = sock.recv(65536)
            if not data:
                return got
            got += data
    except ConnectionError:
        return got


def in_time(function):
    """What the function gives; None where this script was too slow itself, and was cut off."""
    try:
        return function()
    except ConnectionError:
        return None


def with_body(server):
    """What a request with the beginning of a body gets."""
    with socket.create_connection(server.urls[0], DEADLINE) as body:
        body.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab" % NAME.encode())
        return ends(body)


@case("a request that trickles in is cut off in time, and so is silence; quick ones go on")
def slow_request(world):
    server = world.serve(world.conf(input="path = " + SAMPLE, rest="request_timeout = 3s"))
    until(lambda: in_time(lambda: server.get("/readyz").status == 200), "it to be ready")
    begin = time.monotonic()
    slow = socket.create_connection(server.urls[0], DEADLINE)
    silent = socket.create_connection(server.urls[0], DEADLINE)
    text, cut = b"GET %s HTTP/1.1\r\nHost: x\r\nX-A: " % NAME.encode() + b"a" * 100000, False
    try:
        for number in range(len(text)):
            slow.sendall(text[number:number + 1])
            if number % 10 == 0:
                until(lambda: in_time(lambda: status(server, NAME)), "an answer to a quick one")
            slow.settimeout(0.02)
            try:
                cut = slow.recv(1) == b""
            except TimeoutError:
                cut = False
            if cut or time.monotonic() - begin > DEADLINE:
                break
    except ConnectionError:
        cut = True
    check(cut, "the slow client is cut off")
    check(time.monotonic() - begin >= 2.9, "but not before its time")
    equal(ends(silent), b"", "what a silent client got")
    until(lambda: in_time(lambda: b" 413 " in with_body(server)), "a body to be refused")
    until(lambda: in_time(lambda: metrics(server)["cofd_output_slow_clients_total"][0][1] >= 2),
          "the counter")


@case("an answer that is read too slowly is cut off in time")
def slow_reader(world):
    lines = "".join('{"rrname": "many.example", "rrtype": "TXT", "rdata": "%s%d", "time_first": 1, '
                    '"time_last": 2}\n' % ("x" * 900, n) for n in range(20000))
    conf = world.conf(input="path = " + world.write("feed", lines),
                      rest="answer_timeout = 15s\nquery_timeout = 15s\ngzip = no")
    server = world.serve(conf)
    server.wait_stored(20000)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.settimeout(DEADLINE)
    slow.connect(server.urls[0])
    slow.sendall(b"GET /query/many.example HTTP/1.1\r\nHost: x\r\n\r\n")
    check(slow.recv(100).startswith(b"HTTP/1.1 200"), "it begins")
    until(lambda: metrics(server)["cofd_output_slow_clients_total"][0][1] >= 1, "the cut")
    until(lambda: metrics(server)["cofd_output_active"][0][1] <= 1, "its end")
    check(not ends(slow).endswith(b"0\r\n\r\n"), "it does not pass for a whole answer")
    status(server, NAME)


if __name__ == "__main__":
    main()
