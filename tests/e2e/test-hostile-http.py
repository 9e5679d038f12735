#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Requests that nobody sends by mistake: the right status or a closed connection, and no harm.

COFD_TEST_REQUESTS says how many (default 1000), COFD_TEST_SEED from which seed. The table of what was
sent and what came of it is printed as comments.
"""
import os
import random
import socket
import threading
import time

from cofdtest import DEADLINE, SAMPLE, SANITIZED, case, check, equal, main, until
from restclient import NAME, ask, connect_tls, key_entry, make_certificate, write_secret

COUNT = int(os.environ.get("COFD_TEST_REQUESTS", "1000"))
SEED = int(os.environ.get("COFD_TEST_SEED", "1"))
# What a half-sent request waits for.
PATIENCE_S = 10 if SANITIZED else 5
PATIENCE = "%ds" % PATIENCE_S
GONE = "closed"   # the connection ends without an answer
HOST = b"Host: x\r\n"
ROUTES = [b"/query/", b"/fquery/", b"//query//", b"/info/", b"/", b"/metrics?"]


def octets(rng, most, alphabet=bytes(range(256))):
    return bytes(rng.choice(alphabet) for _ in range(rng.randrange(1, most)))


def line_safe(rng, most):
    """Octets that do not end a request's target."""
    return octets(rng, most, bytes(b for b in range(33, 256) if b not in b" ?#"))


def get(target, headers=b"", method=b"GET", version=b"HTTP/1.1"):
    return method + b" " + target + b" " + version + b"\r\n" + HOST + headers + b"\r\n"


# Each maker gives what is sent, and the statuses that are right; the last word tells what to do
# when all is sent: wait for the answer, end the sending side, or just leave.

def bad_escape(rng):
    bad = rng.choice([b"%", b"%z1", b"%1", b"%%", b"%g0", b"a%2", b"%-1", b"%u0041", b"%0x"])
    return get(b"/query/" + octets(rng, 20, b"abcdef.") + bad), {400}, "wait"


def odd_escape(rng):
    text = b"".join(b"%%%02X" % rng.randrange(256) for _ in range(rng.randrange(1, 60)))
    return get(rng.choice([b"/query/", b"/fquery/"]) + text), {200, 400}, "wait"


def raw_octets(rng):
    return get(b"/query/" + line_safe(rng, 200)), {200, 400, GONE}, "wait"


def overlong_name(rng):
    return get(b"/query/" + b"a." * rng.randrange(128, 4000)), {400}, "wait"


def overlong_target(rng):
    return get(b"/query/" + b"a" * rng.randrange(8200, 28000)), {414}, "wait"


def huge_target(rng):
    return get(b"/query/" + b"a" * rng.randrange(40000, 200000)), {414, 431, 413, GONE}, "wait"


def pipelined(rng):
    count = rng.randrange(2, 30)
    return get(NAME.encode()) * count, {200}, "wait:%d" % count


def pipelined_bad(rng):
    return get(NAME.encode()) + get(b"/query/%zz") + get(b"/nowhere"), {200, 400, 404}, "wait:3"


def half_sent(rng):
    whole = get(NAME.encode(), b"X-A: b\r\n" * rng.randrange(5))
    return whole[:rng.randrange(1, len(whole) - 1)], {GONE, 400}, rng.choice(["end", "leave"])


def half_body(rng):
    text = b"Content-Length: %d\r\n" % rng.randrange(1, 1 << 40)
    return get(NAME.encode(), text) + octets(rng, 100), {413}, rng.choice(["wait", "leave"])


def chunked(rng):
    headers = b"Transfer-Encoding: chunked\r\n"
    return (get(NAME.encode(), headers, rng.choice([b"GET", b"HEAD"])) + octets(rng, 50), {413, 400},
            "wait")


def post_body(rng):
    return (get(NAME.encode(), b"Content-Length: 3\r\n", b"POST") + b"abc", {405}, "wait")


def header_flood(rng):
    flood = b"".join(b"X-%d: %s\r\n" % (n, b"v" * rng.randrange(20))
                     for n in range(rng.randrange(500, 5000)))
    return get(NAME.encode(), flood), {200, 413, 431, GONE}, "wait"


def long_header(rng):
    return (get(NAME.encode(), b"X: " + b"v" * rng.randrange(30000, 300000) + b"\r\n"),
            {200, 431, 413, GONE}, "wait")


def bad_headers(rng):
    bad = rng.choice([b"no colon\r\n", b": empty\r\n", b" folded\r\n", b"a\0b: c\r\n", b"a: \0\r\n",
                      b"Content-Length: -1\r\n", b"Content-Length: 1, 2\r\n",
                      b"Content-Length: 99999999999999999999999\r\n", b"Host: y\r\n",
                      b"Transfer-Encoding: gzip\r\n", b"X\xff: \xff\r\n", b"Cookie: ;=;\r\n",
                      b"Content-Length: 0\r\nContent-Length: 7\r\n"])
    return get(NAME.encode(), bad), {200, 400, 413, GONE}, "end"


def credentials(rng):
    scheme = rng.choice([b"Basic ", b"Bearer ", b"", b"Basic", b"Negotiate "])
    text = line_safe(rng, 2000)
    return (get(NAME.encode(), rng.choice([b"Authorization: ", b"X-API-Key: ", b"x-api-key:"]) +
                scheme + text + b"\r\n"), {401, 400, GONE}, "wait")


def forwarded(rng):
    return (get(NAME.encode(), b"X-Forwarded-For: " + octets(rng, 500, b'0123456789.:,[]" ab') +
                b"\r\n"), {200, 400}, "wait")


def odd_method(rng):
    method = rng.choice([b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"OPTIONS", b"PATCH", b"get",
                         b"X" * rng.randrange(1, 3000), b"PRI", b"\x01"])
    return get(NAME.encode(), method=method), {405, 400, GONE}, "wait"


def odd_version(rng):
    version = rng.choice([b"HTTP/0.9", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1.1.1", b"ICY",
                          b"", b"HTTP/" + b"1" * 500])
    return get(NAME.encode(), version=version), {200, 400, 404, 505, GONE}, "end"


def noise(rng):
    return octets(rng, 3000), {400, 404, 405, 413, 414, 431, 505, GONE}, "end"


def tls_hello(rng):
    return b"\x16\x03\x01\x02\x00\x01\x00" + octets(rng, 500), {400, GONE}, "end"


def newlines(rng):
    return b"\r\n" * rng.randrange(1, 2000) + get(NAME.encode()), {200, 400, GONE}, "wait"


def nowhere(rng):
    target = rng.choice([b"/", b"/..", b"/../../etc/passwd", b"*", b"/query", b"/QUERY/a",
                         b"http://x", b"/%71uery/a", b"/metrics/", b"/healthz/x", b"//", b"/info?/"
                         b"/query/" + line_safe(rng, 30)])
    return get(target), {200, 400, 401, 404}, "wait"


def absolute(rng):
    text = rng.choice([b"http://", b"HTTPS://", b"http:///", b"https://u:p@h"]) + line_safe(rng, 80)
    return get(text), {200, 400, 404, 401, GONE}, "wait"


def early_leave(rng):
    return get(rng.choice([NAME.encode(), b"/info", b"/metrics"])), {GONE, 200, 401}, "leave"


MAKERS = [bad_escape, odd_escape, raw_octets, overlong_name, overlong_target, huge_target, pipelined,
          pipelined_bad, half_sent, half_body, chunked, post_body, header_flood, long_header,
          bad_headers, credentials, forwarded, odd_method, odd_version, noise, tls_hello, newlines,
          nowhere, absolute, early_leave]


def receive(sock, answers):
    """Statuses of the answers, up to so many; GONE where the connection ends before."""
    data, found = b"", []
    reader = sock.makefile("rb")
    try:
        while len(found) < answers:
            line = reader.readline(70000)
            if not line:
                break
            check(line.startswith(b"HTTP/1."), "%r is no status line" % line[:100])
            found.append(int(line.split()[1]))
            length = None
            while True:
                data = reader.readline(70000)
                if data in (b"\r\n", b""):
                    break
                if data.lower().startswith(b"content-length:"):
                    length = int(data.split(b":")[1])
            if length is None or len(reader.read(length)) < length:
                break
    except ConnectionError:
        pass
    return found or [GONE]


def exchange(address, text, then):
    sock = socket.create_connection(address, DEADLINE)
    try:
        sock.sendall(text)
        if then == "leave":
            return [GONE]
        if then == "end":
            sock.shutdown(socket.SHUT_WR)
        return receive(sock, int(then[5:] or 1) if then.startswith("wait:") else 1)
    except (ConnectionError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        # What was answered before the connection ended may be there still.
        try:
            return receive(sock, 1)
        except OSError:
            return [GONE]
    finally:
        sock.close()


def exchange_in_time(address, text, then, right):
    """As exchange(), again where a hang-up may be for this script's own standing still."""
    while True:
        began = time.monotonic()
        have = exchange(address, text, then)
        if have != [GONE] or GONE in right or time.monotonic() - began < PATIENCE_S / 2:
            return have


def attack(world, server, count, threads=16):
    """Send the requests from several threads; returns the table of statuses by maker."""
    table, wrong, lock = {}, [], threading.Lock()

    def work(part):
        for number in range(part, count, threads):
            rng = random.Random(SEED * 1000003 + number)
            maker = MAKERS[number % len(MAKERS)]
            text, right, then = maker(rng)
            try:
                have = exchange_in_time(server.urls[0], text, then, right)
            except Exception as error:  # pylint: disable=broad-except
                have = ["%s: %s" % (type(error).__name__, error)]
            with lock:
                for status in have:
                    row = table.setdefault(maker.__name__, {})
                    row[status] = row.get(status, 0) + 1
                    if status not in right and then != "leave":
                        wrong.append("%s, number %d: %s; %r" % (maker.__name__, number, status,
                                                               text[:200]))
    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    world.outputs += ["table: %s" % table]
    for name, row in sorted(table.items()):
        print("# %-16s %s" % (name, ", ".join("%s: %d" % (status, row[status])
                                             for status in sorted(row, key=str))), flush=True)
    equal(wrong[:5], [], "answers that are not right")


def resident(server):
    with open("/proc/%d/statm" % server.process.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@case("requests of all bad kinds: no crash, no hang, the right status")
def hostile(world):
    users = write_secret(world, "users", key_entry("alice", "s"))
    conf = world.conf(input="path = " + SAMPLE, rest="request_timeout = %s\nusers = %s\n"
                      "anonymous = query\nauth_failures = 0\ntrusted_proxies = 127.0.0.1\n"
                      "access_log = %s\naccess_log_format = json" 
                      % (PATIENCE, users, world.path("access")))
    server = world.serve(conf)
    until(lambda: server.get(NAME).body, "the samples")
    attack(world, server, 50, 1)
    before = resident(server)
    attack(world, server, COUNT)
    check(server.running, "it runs")
    equal(len(server.get(NAME).records), 1, "records afterwards")
    grown = resident(server) - before
    check(SANITIZED or grown < 64 << 20, "memory grew by %d octets" % grown)


@case("the same against HTTPS: what is not TLS is closed, and others are served")
def hostile_tls(world):
    certificate, key = make_certificate(world, "one")
    conf = world.conf(input="path = " + SAMPLE, rest="request_timeout = %s\n"
                      "tls_certificate = %s\ntls_key = %s" % (PATIENCE, certificate, key))
    server = world.serve(conf)
    until(lambda: ask(connect_tls(server, certificate), NAME).records, "the samples")
    for number in range(0, COUNT, 10):
        text, _, then = MAKERS[number // 10 % len(MAKERS)](random.Random(SEED * 7919 + number))
        sock = socket.create_connection(server.urls[0], DEADLINE)
        try:
            sock.sendall(text)
            if then != "leave":
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
        except TimeoutError:
            raise
        except OSError:
            pass  # it was closed on us
        finally:
            sock.close()
    answer = ask(connect_tls(server, certificate), NAME)
    equal(len(answer.records), 1, "records afterwards")


if __name__ == "__main__":
    main()
