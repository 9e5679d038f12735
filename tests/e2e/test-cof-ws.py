#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""input/cof-ws: what a websocket brings is stored, whatever happens to the connection.

COFD_TEST_LINES: messages of the large cases (default 6000). COFD_TEST_HOLD: seconds for which
storage stands still while memory is watched (default 2)."""
import array
import fcntl
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

from cofdtest import DEADLINE, HERE, SANITIZED, Skip, case, check, die_with_parent, equal, main, until
from redisproc import Redis
from wsserver import (BINARY, CLOSE, PING, PONG, Certificates, Proxy, WsServer, calm_port, fragments,
                      frame, numbered)

LINES = int(os.environ.get("COFD_TEST_LINES", "2000" if SANITIZED else "6000"))
HOLD = float(os.environ.get("COFD_TEST_HOLD", "2"))
QUICK = "reconnect_min = 10ms\nreconnect_max = 50ms\nbatch_time = 20ms\n"


def line(rrname, rdata="192.0.2.1", rrtype="A", when=1000, **more):
    return json.dumps(dict(rrname=rrname, rrtype=rrtype, rdata=rdata, time_first=when,
                           time_last=when, **more))


def section(url, more=""):
    return "[input.ws]\nplugin = cof-ws\nurl = %s\n%s%s" % (url, QUICK, more)


def run(world, url, more="", **options):
    """A running cofd that is subscribed to an address."""
    return world.serve(world.conf(section(url, more), filters=["ws"], **options))


def names(server, query="192.0.2.1"):
    return sorted(r["rrname"] for r in server.get("/query/" + query).records)


def metric(server, name, instance="ws", kind="input"):
    for one in server.info()["plugins"]:
        if (one["kind"], one["instance"]) == (kind, instance):
            return dict(one["counters"], **one["gauges"])[name]
    raise AssertionError("no %s %s in /info" % (kind, instance))


def wait_metric(server, name, least):
    def there():
        try:
            return metric(server, name) >= least
        except (AssertionError, KeyError):  # outputs start before inputs
            return False
    until(there, "%s to be %d" % (name, least))


def lines_with(server, pattern):
    return [text for text in server.log()
            if re.search(pattern, text) and "runs as root" not in text]


def stay(peer):
    """Read what the client sends until it leaves."""
    while peer.socket.recv(4096):
        pass


def saying(*messages):
    """A handler that sends these messages and stays."""
    def handler(peer):
        peer.accept().say(*messages)
        stay(peer)
    return handler


def end(server, *sockets):
    """Stop cofd, and look whether a handler found fault."""
    server.stop()
    for one in sockets:
        equal(one.wrong, [], "faults found by the websocket server")


# --- messages --------------------------------------------------------------------------------------


@case("a message a record, several lines in one, an array, several objects: all are stored")
def messages(world):
    def handler(peer):
        equal(peer.request.target, "/", "target")
        equal(peer.request.header("sec-websocket-extensions"), None, "extensions offered")
        peer.accept()
        peer.say(line("a.example"), line("b.example") + "\n" + line("c.example"),
                 line("d.example") + "\r\n" + line("e.example") + "\r\n",
                 "[%s,\n %s]" % (line("f.example"), line("g.example")),
                 line("h.example") + line("i.example"),
                 json.dumps(json.loads(line("j.example")), indent=2),
                 "\ufeff" + line("k.example"), "", "\n", line("L.Example."))
        peer.send(frame(line("m.example"), BINARY))
        stay(peer)
    ws = WsServer(world, handler)
    server = run(world, ws.url)
    server.wait_stored(13)
    equal(names(server), ["%s.example" % c for c in "abcdefghijklm"], "names")
    equal(metric(server, "rejected"), 0, "rejected")
    equal(metric(server, "messages"), 11, "messages")
    equal(metric(server, "connected"), 1, "connected")
    equal(metric(server, "reconnects"), 0, "reconnects")
    equal(len(lines_with(server, "connected")), 1, "lines of the log about the connection")
    end(server, ws)


@case("a record of a quiet stream does not wait for more of them")
def quiet(world):
    ws = WsServer(world, saying(line("a.example")))
    server = run(world, ws.url, "batch_records = 65536\n")
    server.wait_stored(1)
    wait_metric(server, "seconds_since_message", 1)
    end(server, ws)


@case("fragments, with pings between them, and octets that come one by one")
def fragmented(world):
    answers = []

    def handler(peer):
        peer.accept()
        one, two, rest = fragments(line("a.example") + "\n" + line("b.example"), 10, 100)
        peer.send(one, frame(b"first", PING), two, frame(b"", PONG), rest)
        answers.append(peer.read())
        whole = b"".join(fragments(line("c.example"), 1, 0, 3)) + frame(b"second", PING)
        for octet in whole:
            peer.send(bytes([octet]))
        answers.append(peer.read())
        peer.send(*fragments("", 0), *fragments(line("d.example"), 0))
        stay(peer)
    ws = WsServer(world, handler)
    server = run(world, ws.url)
    server.wait_stored(4)
    equal(names(server), ["%s.example" % c for c in "abcd"], "names")
    equal(answers, [(PONG, b"first"), (PONG, b"second")], "answers to pings")
    end(server, ws)


@case("a message of half a megabyte in odd fragments is read as a whole")
def large(world):
    text = "\n".join(line("n%d.example" % n) for n in range(5000))
    sizes = [random.Random(7).randrange(70000) for _ in range(12)]

    def handler(peer):
        peer.accept().send(*fragments(text, *sizes))
        stay(peer)
    ws = WsServer(world, handler)
    server = run(world, ws.url)
    server.wait_stored(5000)
    equal(len(names(server)), 5000, "names")
    equal(metric(server, "messages"), 1, "messages")
    end(server, ws)


@case("what is no record is counted as rejected, and the log says where and why")
def rejected(world):
    bad = ["no JSON", '{"rrname": "a.example"}', line("b.example") + "\n{\n" + line("c.example"),
           line("..", "x"), line("d.example", ["192.0.2.1", "nowhere"])]
    ws = WsServer(world, saying(*bad, line("e.example")))
    server = run(world, ws.url)
    server.wait_stored(4)
    equal(names(server), ["%s.example" % c for c in "bcde"], "names")
    equal(metric(server, "rejected"), 5, "rejected")
    server.wait_log(r"%s: message 2, line 1: .*rrtype" % ws.url)
    server.wait_log(r"%s: message 3, line 2: " % ws.url)
    end(server, ws)


@case("a message that is too long is rejected as a whole, and the next one is read")
def too_long(world):
    long = line("a.example") + "\n" + " " * 3000

    def handler(peer):
        peer.accept().say(long, line("b.example"))
        peer.send(*fragments(long, 700, 700, 700), frame(line("c.example")))
        peer.say(line("d.example").ljust(2048), line("e.example").ljust(2049))
        peer.say(line("f.example"))
        stay(peer)
    ws = WsServer(world, handler)
    server = run(world, ws.url, "max_message = 2K\n")
    server.wait_stored(4)
    equal(names(server), ["%s.example" % c for c in "bcdf"], "names")
    equal([metric(server, name) for name in ("too_long", "rejected", "messages")], [3, 3, 7],
          "too_long, rejected, messages")
    server.wait_log(r"message 1 is longer than max_message \(2048 octets\)")
    end(server, ws)


@case("counts and sensor_id mean what they mean for files")
def record_rules(world):
    ws = WsServer(world, saying(line("a.example", count=5), line("a.example", count=3),
                                line("b.example", sensor_id="theirs")))
    server = run(world, ws.url, "counts = total\nsensor_id = ours\n")
    server.wait_stored(3)
    equal(server.get("/query/a.example").records[0]["count"], 5, "the larger total")
    equal({one["sensor_id"]: one["count"] for one in server.info()["sensors"]},
          {"ours": 2, "theirs": 1}, "sensors")
    end(server, ws)


@case("several addresses, one with a comma in its query, feed one instance")
def several(world):
    seen = []

    def handler(peer):
        seen.append(peer.request.target)
        peer.accept().say(line("n%d.example" % len(seen)))
        stay(peer)
    one, two = WsServer(world, handler), WsServer(world, handler)
    server = run(world, one.url + "feed?rrtype=A,AAAA&new=1, " + two.url,
                 "url = %s?secret=x\n" % one.url)
    server.wait_stored(3)
    equal(sorted(seen), ["/", "/?secret=x", "/feed?rrtype=A,AAAA&new=1"], "targets")
    wait_metric(server, "connected", 3)
    check(metric(server, "seconds_since_message_3") >= 0, "a gauge for each address")
    equal(lines_with(server, "secret"), [], "lines with a secret")
    end(server, one, two)


# --- connections -----------------------------------------------------------------------------------


@case("a server that is not there, goes and comes: each change is told once, with the reason")
def changes(world):
    port = calm_port()
    url = "ws://127.0.0.1:%d/" % port
    server = run(world, url)
    wait_metric(server, "reconnects", 5)
    equal(len(lines_with(server, "warning.*cannot connect")), 1, "warnings")
    server.wait_log(r"warning input.ws: %s: cannot connect: .*; trying again" % url)

    accepted = []

    def handler(peer):  # which may be called before there is a `ws`
        accepted.append(peer.accept())
        number = len(accepted)
        peer.say(line("n%d.example" % number))
        if number == 1:
            peer.send(frame(b"\x03\xe9" + b"moving \x07 on", CLOSE))
            equal(peer.read()[0], CLOSE, "the answer to a close")
        elif number == 2:
            peer.send(frame(line("cut.example"))[:50])
        else:
            stay(peer)
            return
        peer.close()
    ws = WsServer(world, handler, port=port)
    server.wait_stored(3)
    server.wait_log("connected again, at attempt", 2)
    server.wait_log("connected, at attempt")
    server.wait_log(r"connection lost: closed by the server with status 1001 \(moving \? on\)")
    server.wait_log("connection lost: it ended without a good-bye, in the middle of a message")
    equal(len(lines_with(server, "warning input.ws")), 3, "warnings")
    equal(names(server), ["n1.example", "n2.example", "n3.example"], "names")
    equal(metric(server, "cut"), 1, "cut messages")
    end(server, ws)


@case("a name that leads nowhere, a refusal and a redirect are told as what they are")
def refusals(world):
    def refuse(peer):
        peer.refuse(*(["403 Forbidden"] if peer.number < 3 else
                      ["302 Found", "Location: %snext" % ws.url]))
        equal(peer.request.target, "/", "nothing follows a redirect")
    ws = WsServer(world, refuse)
    # With a label that is too long: no name server is asked, whose silence would take its time.
    nowhere = 64 * "x" + ".invalid"
    server = run(world, "%s, ws://%s/" % (ws.url, nowhere))
    server.wait_log(r"%s: cannot connect: .*HTTP status 403" % ws.url)
    server.wait_log(r"ws://%s/: cannot connect: cannot resolve %s: " % (nowhere, nowhere))
    until(lambda: ws.connections >= 5, "more attempts")
    equal(len(lines_with(server, "warning.*403")), 1, "warnings")
    end(server, ws)


@case("a server that accepts and says nothing is given up after connect_timeout")
def connect_timeout(world):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = run(world, "ws://127.0.0.1:%d/" % port, "connect_timeout = 200ms\n")
        server.wait_log(r"cannot connect: no answer within connect_timeout \(200 ms\)")
        wait_metric(server, "reconnects", 2)
        end(server)


@case("a silent server is pinged, and dropped when it does not answer")
def idle(world):
    pings = []

    def handler(peer):
        number = peer.number
        peer.accept()
        while True:
            opcode, payload = peer.read()
            if opcode != PING:
                return
            pings.append(number)
            if number == 1 and len(pings) >= 4:
                continue
            peer.send(frame(payload, PONG))
            if number > 1:
                peer.say(line("b.example"))
    ws = WsServer(world, handler)
    server = run(world, ws.url, "ping_interval = 100ms\nidle_timeout = 12s\n")
    server.wait_log("connection lost: nothing came for 12000 ms, not even the answer to a ping")
    server.wait_stored(1)
    equal(pings[:4], [1, 1, 1, 1], "pings of the first connection")
    check(5 > pings.count(1), "one ping is under way at a time")
    end(server, ws)


@case("when cofd stops, it says good-bye")
def good_bye(world):
    said = []

    def handler(peer):
        peer.accept().say(line("a.example"))
        said.append(peer.read())
        peer.send(frame(said[0][1], CLOSE))
        peer.close()
    ws = WsServer(world, handler)
    server = run(world, ws.url)
    server.wait_stored(1)
    end(server, ws)
    # cofd does not wait long for an answer; the handler may hear of it after that.
    until(lambda: said, "the good-bye")
    equal(said, [(CLOSE, b"\x03\xe9")], "what the client said")
    equal(lines_with(server, "warning"), [], "warnings")


# --- TLS, logins, proxy ----------------------------------------------------------------------------


@case("wss: a certificate has to be by the right authority, and for the right host")
def tls(world):
    certificates = Certificates(world)
    ip = WsServer(world, saying(line("ip.example")),
                  certificates.server("ip", "IP:127.0.0.1"))
    name = WsServer(world, saying(line("name.example")),
                    certificates.server("name", "DNS:localhost"))
    by_name = "wss://localhost:%d/" % name.port
    trust = "ca_file = %s\n" % certificates.ca
    server = run(world, "%s, %s" % (ip.url, by_name), trust)
    server.wait_stored(2)
    end(server, ip, name)
    server = run(world, name.url, trust)
    server.wait_log(r"%s: cannot connect: the server's certificate is not for 127.0.0.1" % name.url)
    wait_metric(server, "reconnects", 2)
    end(server)
    server = run(world, ip.url)
    server.wait_log(r"cannot connect: the server's certificate is not trusted: ")
    wait_metric(server, "reconnects", 2)
    equal(metric(server, "messages"), 0, "messages")
    end(server)
    server = run(world, "%s, %s" % (ip.url, name.url), "insecure = yes\n")
    server.wait_log("insecure = yes: anybody on the way can read and forge")
    wait_metric(server, "messages", 2)
    end(server, ip, name)


@case("IPv6, plain and by TLS")
def ipv6(world):
    certificates = Certificates(world)
    hosts = []

    def handler(peer):
        hosts.append(peer.request.header("host"))
        peer.accept().say(line("n%d.example" % len(hosts)))
        stay(peer)
    try:
        plain = WsServer(world, handler, host="::1")
    except OSError as reason:
        raise Skip("no IPv6 here: %s" % reason) from None
    good = WsServer(world, handler, certificates.server("six", "IP:::1"), host="::1")
    bad = WsServer(world, handler, certificates.server("other", "IP:::2,DNS:localhost"), host="::1")
    server = run(world, "%s, %s, %s" % (plain.url, good.url, bad.url),
                 "ca_file = %s\n" % certificates.ca)
    server.wait_stored(2)
    server.wait_log(r"cannot connect: the server's certificate is not for ::1")
    equal(sorted(hosts), sorted("[::1]:%d" % one.port for one in (plain, good)), "hosts")
    end(server, plain, good, bad)


def blurting(world):
    """The port of a server that speaks first, and no TLS."""
    listener = socket.create_server(("127.0.0.1", 0))
    world.cleanups.append(listener.close)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
                connection.sendall(b"220 no websocket here\r\n")
                connection.recv(4096)
                connection.close()
            except OSError:
                return
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


@case("wss: many messages, and a server that speaks no TLS")
def tls_many(world):
    certificates = Certificates(world)

    def handler(peer):
        peer.accept()
        for start in range(0, LINES, 50):
            peer.say(*map(numbered, range(start, min(start + 50, LINES))))
        stay(peer)
    ws = WsServer(world, handler, certificates.server("ip", "IP:127.0.0.1"))
    server = run(world, "%s, wss://127.0.0.1:%d/" % (ws.url, blurting(world)),
                 "ca_file = %s\n" % certificates.ca)
    server.wait_stored(LINES)
    equal(metric(server, "messages"), LINES, "messages")
    server.wait_log("cannot connect: the handshake of TLS failed")
    end(server, ws)


@case("a ca_file that cannot be read ends cofd at once, with the reason")
def bad_ca(world):
    path = world.write("ca.pem", "nothing\n")
    for file in (path, world.path("none.pem")):
        conf = world.conf(section("wss://127.0.0.1:1/", "ca_file = %s\n" % file), filters=["ws"])
        done = world.run("run", "-c", conf)
        equal(done.returncode, 1, "exit status")
        check("ca_file: cannot load authorities from " + file in done.stderr, done.stderr)


@case("logins: basic, bearer out of a file that changes, further header fields")
def logins(world):
    seen = []

    def handler(peer):
        seen.append(peer.request)
        peer.accept()
        peer.say(line("n%d.example" % len(seen)))
        if len(seen) == 2:
            until(lambda: changed.is_set(), "another token")
            peer.close()
        else:
            stay(peer)
    changed = threading.Event()
    ws = WsServer(world, handler)
    server = run(world, ws.url, "user = me\npassword = x:y\nheader = X-One: 1, X-Two: a, b\n"
                 "header = Origin: https://here.example\n")
    server.wait_log("travel in clear")
    wait_metric(server, "messages", 1)
    end(server, ws)
    equal([seen[0].header(name) for name in ("authorization", "x-one", "x-two", "origin", "host")],
          ["Basic bWU6eDp5", "1", "a, b", "https://here.example", "127.0.0.1:%d" % ws.port],
          "fields")
    token = world.write("token", "one\n")
    fields = world.write("fields", "# a secret\nX-Key: three,four\n\n")
    server = run(world, ws.url, "token_file = %s\nheader_file = %s\n" % (token, fields))
    wait_metric(server, "messages", 1)
    world.write("token", "  two \nrest\n")
    changed.set()
    wait_metric(server, "messages", 2)
    equal([one.header("authorization") for one in seen[1:]], ["Bearer one", "Bearer two"], "tokens")
    equal(seen[1].header("x-key"), "three,four", "field of the file")
    os.unlink(token)
    ws.peers[-1].close()
    server.wait_log("cannot connect: cannot open %s: No such file" % token)
    end(server, ws)
    equal([text for text in world.log() if "three" in text or "Bearer" in text], [], "secrets told")


@case("subprotocols are offered, and one that was not offered is refused")
def subprotocols(world):
    offered = []

    def handler(peer):
        offered.append(peer.request.header("sec-websocket-protocol"))
        peer.accept("Sec-WebSocket-Protocol: " + ("other" if len(offered) == 1 else "cof.v1"))
        peer.say(line("a.example"))
        stay(peer)
    ws = WsServer(world, handler)
    server = run(world, ws.url, "subprotocol = cof.v2, cof.v1\n")
    server.wait_stored(1)
    equal(offered, ["cof.v2, cof.v1"] * 2, "offered")
    server.wait_log("cannot connect: .*subprotocol")
    end(server, ws)


@case("through a proxy, with a login, plain and by TLS; the environment names none")
def proxy(world):
    certificates = Certificates(world)
    ws = WsServer(world, saying(line("plain.example")))
    secure = WsServer(world, saying(line("secure.example")),
                      certificates.server("ip", "IP:127.0.0.1"))
    way = Proxy(world, "me:pass@word")
    secret = world.write("secret", "pass@word\n")
    text = "proxy = 127.0.0.1:%d\nproxy_user = me\n" % way.port
    server = run(world, "%s, %s" % (ws.url, secure.url), "ca_file = %s\n%sproxy_password_file = %s\n"
                 % (certificates.ca, text, secret))
    server.wait_stored(2)
    end(server, ws, secure)
    equal(sorted(way.targets), sorted("127.0.0.1:%d" % one.port for one in (ws, secure)), "targets")
    server = run(world, ws.url, text + "proxy_password = wrong\n")
    server.wait_log("cannot connect: the proxy does not let it through")
    end(server)
    os.environ["http_proxy"] = "127.0.0.1:1"
    try:
        server = run(world, ws.url)
        wait_metric(server, "messages", 1)
        end(server)
    finally:
        del os.environ["http_proxy"]


# --- nothing is lost -------------------------------------------------------------------------------


class Killable:
    """A websocket server that is killed without warning."""

    def __init__(self, port, first, last, hang):
        self.completed, self.hangs = first, hang >= 0
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "wsserver.py"), *map(str, (port, first, last, hang))],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            preexec_fn=die_with_parent)
        equal(self.process.stdout.readline(), "ready\n", "the server's first word")

    def read(self):
        """One line: whether there was one, and it was about a message."""
        text = self.process.stdout.readline()
        if text.strip().isdigit() and text.endswith("\n"):
            self.completed = int(text)
            return True
        return False

    def reach(self, goal):
        """Wait for a number of complete messages, or for the half of one."""
        while (self.hangs or self.completed < goal) and self.read():
            pass

    def kill(self):
        """SIGKILL; returns the number of messages that were complete by then."""
        self.process.kill()
        while self.read():
            pass
        self.process.wait(DEADLINE)
        self.process.stdout.close()
        return self.completed


@case("%d messages, the server killed and started again ten times: nothing is missing" % LINES)
def killed(world):
    port = calm_port()
    server = run(world, "ws://127.0.0.1:%d/" % port)
    at, lives = 0, 11
    for life in range(lives):
        goal = LINES * (life + 1) // lives
        # In turns: stopped in the middle of a message, and killed in full flow.
        hang = goal if life % 2 == 0 and life + 1 < lives else -1
        ws = Killable(port, at, min(LINES, goal + LINES // lives // 2), hang)
        ws.reach(goal)
        if life + 1 < lives:
            at = ws.kill()
        else:
            # Not a number of observations: some may have come twice, complete and not told of.
            until(lambda: server.get("/query/n%d.example" % (LINES - 1)).body, "the last message")
    server.wait_log("connected again", lives - 1)
    equal(len(lines_with(server, "warning.*connection lost")), lives - 1, "losses told")
    equal(ws.kill(), LINES, "messages completed")
    check(metric(server, "cut") >= lives // 2, "messages were cut")
    equal(metric(server, "rejected"), 0, "rejected")
    server.stop()
    done = world.done("export", "-c", world.path("cofd.conf"))
    have = set(re.findall(r'"rrname": "n(\d+)\.example"', done.stdout))
    missing = [n for n in range(LINES) if str(n) not in have]
    equal(missing[:20], [], "missing of %d, of which %d are there" % (LINES, len(have)))
    equal(len(have), LINES, "records")


def resident(server):
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as lines:
        return int(re.search(r"VmRSS:\s+(\d+)", lines.read()).group(1))


def redis_conf(world, redis, url):
    """With a chain that holds at most 550 records: two windows, and two batches and one more."""
    return world.write("cofd.conf", "\n".join((
        "[cofd]", section(url, "batch_records = 50\n"), "[storage.db]", "plugin = redis",
        "server = 127.0.0.1:%d" % redis.port, "layout = compact", "command_timeout = 5m",
        "[output.api]", "plugin = rest", "listen = 127.0.0.1:0",
        "[chain.main]", "route = ws -> db -> api", "window_time = 20ms", "window_records = 200",
        "queue_batches = 2")) + "\n")


@case("while storage stands still, the server is held and memory stays flat; then all goes on")
def held(world):
    redis = Redis(world, "redis")
    total = max(LINES, 60000) * 2
    sent, stopped = [0], threading.Event()

    def handler(peer):
        peer.accept()
        for start in range(0, total, 100):
            peer.say(*map(numbered, range(start, min(start + 100, total))))
            sent[0] = min(start + 100, total)
            if sent[0] == 2000:
                stopped.wait(DEADLINE)
        stay(peer)
    ws = WsServer(world, handler)
    server = world.serve(redis_conf(world, redis, ws.url))
    until(lambda: sent[0] == 2000, "the first messages")
    redis.process.send_signal(signal.SIGSTOP)
    stopped.set()
    try:
        before = quiet_at(server, lambda: sent[0])
        check(before < total, "the server is held, at %d of %d" % (before, total))
        size = resident(server)
        time.sleep(HOLD)
        grown = resident(server) - size
        equal(sent[0], before, "messages sent meanwhile")
        check(grown < 4096, "memory grew by %d KiB" % grown)
        print("# held %g s at message %d of %d: resident %d KiB, %+d KiB"
              % (HOLD, before, total, size, grown))
    finally:
        redis.process.send_signal(signal.SIGCONT)
    server.wait_stored(total)
    equal(metric(server, "messages"), total, "messages")
    equal(metric(server, "reconnects"), 0, "reconnects")
    end(server, ws)


def quiet_at(server, place):
    """Wait until something does not go on though cofd runs, by its answers to other questions,
    which need no storage; returns how far it is."""
    last, rounds = place(), 0
    deadline = time.monotonic() + DEADLINE
    while rounds < 80:
        equal(server.get("/nowhere").status, 404, "status of a path that there is not")
        time.sleep(0.02)
        now = place()
        last, rounds = now, rounds + 1 if now == last else 0
        check(time.monotonic() < deadline, "the server is never held")
    return last


@case("a connection that is reset while storage stands still loses nothing that had arrived")
def reset(world):
    redis = Redis(world, "redis")
    go, over = threading.Event(), threading.Event()
    arrived = [0]
    running = []

    def handler(peer):
        peer.accept()
        if peer.number > 1:
            stay(peer)
            return
        peer.say(line("first.example"))
        check(go.wait(DEADLINE), "a storage that stands still")
        octets = fill(running[0], peer.socket, b"".join(map(frame, map(numbered, range(200000)))))
        size = 0
        while size + len(frame(numbered(arrived[0]))) <= octets:
            size += len(frame(numbered(arrived[0])))
            arrived[0] += 1
        peer.reset()
        over.set()
    ws = WsServer(world, handler)
    server = world.serve(redis_conf(world, redis, ws.url))
    running.append(server)
    server.wait_stored(1)
    redis.process.send_signal(signal.SIGSTOP)
    try:
        go.set()
        check(over.wait(DEADLINE), "the connection is filled and reset")
    finally:
        redis.process.send_signal(signal.SIGCONT)
    # The chain, and what is read at once: more than that was with the kernel when the reset came.
    held_at_most = 550 + 65536 // len(frame(numbered(10)))
    check(arrived[0] > held_at_most, "only %d messages arrived" % arrived[0])
    server.wait_stored(arrived[0] + 1)
    server.wait_log("connected again")
    equal(metric(server, "messages"), arrived[0] + 1, "messages")
    end(server, ws)


def fill(server, connection, octets):
    """Send until nothing more goes out; returns how many octets the client's kernel then has."""
    connection.setblocking(False)
    size, at = array.array("i", [0]), [0]

    def arrived():
        try:
            while at[0] < len(octets):
                at[0] += connection.send(octets[at[0]:at[0] + 65536])
        except BlockingIOError:
            pass
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, size)
        return at[0] - size[0]
    have = quiet_at(server, arrived)
    check(at[0] < len(octets), "the client is never held")
    return have


# --- configuration ---------------------------------------------------------------------------------


@case("mistakes in the configuration are named, with what would be right")
def mistakes(world):
    for text, want in (
            ("", "url: none is given"),
            ("url = http://x/\n", "url: number 1 is no address of a websocket; expected ws://"),
            ("url = ws://a/, b\n", "url: number 2 is no address"),
            ("url = ws://me:pw@x/\n", "holds a user; give user and password as options"),
            ("url = ws://x:0/\n", "the port is none; expected 1 to 65535"),
            ("url = ws://x/#f\n", "write them as %XX"),
            ("url = ws://[1.2.3.4]/\n", "what stands in brackets is no IPv6 address"),
            ("url = ws://x/\nca_file = /x\n", "ca_file: is of use with wss:// only"),
            ("url = wss://x/\nca_file = /x\ninsecure = yes\n", "is not looked at with insecure = yes"),
            ("url = ws://x/\nuser = me\n", "user: needs either password or password_file"),
            ("url = ws://x/\ntoken = a\ntoken_file = b\n", "token: give token or token_file"),
            ("url = ws://x/\nuser = a\npassword = b\ntoken = c\n", "give one of them"),
            ("url = ws://x/\nheader = nothing\n", "header: is no header field; expected NAME: VALUE"),
            ("url = ws://x/\nheader = Host: x\n", "Host is set by the websocket itself"),
            ("url = ws://x/\ntoken = a\nheader = Authorization: b\n", "is set by user or token"),
            ("url = ws://x/\nsubprotocol = a b\n", "is no name of a subprotocol"),
            ("url = ws://x/\nproxy_user = a\nproxy_password = b\n", "proxy_user: needs a proxy"),
            ("url = ws://x/\nreconnect_min = 5s\nreconnect_max = 1s\n", "is above reconnect_max"),
            ("url = ws://x/\nidle_timeout = 5s\n", "ping_interval: is not below idle_timeout")):
        conf = world.conf("[input.ws]\nplugin = cof-ws\n" + text, filters=["ws"])
        done = world.run("check", "-c", conf)
        equal(done.returncode, 1, "exit status for %r" % text)
        check(want in done.stderr + done.stdout, "%r: want %r in %s%s"
              % (text, want, done.stdout, done.stderr))
        check("pw" not in done.stderr + done.stdout, "a password is told")


if __name__ == "__main__":
    main()
