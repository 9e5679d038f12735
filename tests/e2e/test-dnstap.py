#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The dnstap input: peers on sockets, files, what is taken of responses and what is not; and a real
resolver that asks a real authoritative server, all on loopback."""
import json
import os
import random
import socket
import stat
import struct
import subprocess
import time

import dnstapwire as wire
from cofdtest import (DEADLINE, SANITIZED, TOP, Skip, case, check, die_with_parent, equal, main,
                      until)
from dnstapwire import (CLIENT, CONTENT, READY, START, STOP, Sender, address,
                        control, frame, message, name, payload, rr, stream)

FLOOD = 3000 if SANITIZED else 20000
A, NS, CNAME, SOA, MX, TXT, AAAA, SRV, DNAME, OPT, HTTPS = 1, 2, 5, 6, 15, 16, 28, 33, 39, 41, 65


class Tap:
    """A server with an input of name `tap`, and what the tests ask of it."""

    def __init__(self, world, options="", **more):
        self.world = world
        self.path = world.path("dnstap.sock")
        text = "[input.tap]\nplugin = dnstap\n" + (options or "socket = " + self.path)
        self.conf = world.conf(text, filters=["tap"], **more)
        self.server = world.serve(self.conf)

    def restart(self):
        self.server.stop()
        self.server = self.world.serve(self.conf)

    def connect(self):
        """A peer past its handshake, on the Unix socket."""
        return self.sender().open()

    def sender(self, where=None):
        until(lambda: where or os.path.exists(self.path), "the socket")
        self.server.wait_log("taking dnstap on")
        return Sender(where or self.path, DEADLINE)

    def counters(self):
        def read():
            for one in self.server.info()["plugins"]:
                if (one["kind"], one["instance"]) == ("input", "tap"):
                    have = dict(one["counters"], **one["gauges"])
                    return have if "payloads" in have else None
            return None
        return until(read, "the input's counters")

    def wait(self, counter, value):
        until(lambda: self.counters()[counter] >= value, "%s to be %d" % (counter, value))

    def answers(self, query):
        """(rrname, rrtype, rdata) of an answer, sorted."""
        records = self.server.get("/query/" + query).records
        return sorted((r["rrname"], str(r["rrtype"]), r["rdata"]) for r in records)

    def bailiwicks(self, path):
        """(type, bailiwick) of a look-up by DNSDB's API."""
        answer = self.server.get("/dnsdb/v2/lookup/rrset/name/" + path)
        objects = [json.loads(line).get("obj") for line in answer.text.splitlines()]
        return sorted((o["rrtype"], o.get("bailiwick")) for o in objects if o)

    def feed(self, *payloads):
        """Send payloads in one connection, and wait until what they hold is stored."""
        before, had = self.counters(), self.server.info()["stats"]
        sender = self.connect()
        sender.send(b"".join(frame(p) for p in payloads))
        sender.finish()
        sender.close()
        self.wait("payloads", before["payloads"] + len(payloads))
        records = self.counters()["records"] - before["records"]
        self.server.wait_stored(had + records)
        return records


def simple(owner, text="192.0.2.1", **more):
    return payload(message(owner, answer=[rr(owner, A, address(text))]), zone="example", **more)


# --- connections ---------------------------------------------------------------------------------


@case("handshake, payloads and end over a Unix socket; time, sensor and count are stored")
def unix_socket(world):
    tap = Tap(world)
    sender = tap.connect()
    sender.send(frame(simple("Www.EXAMPLE", time=1700000001)))
    sender.send(frame(simple("www.example", time=1700000005)))
    sender.finish()
    tap.server.wait_stored(2)
    one = tap.server.get("/query/www.example").records
    equal(len(one), 1, "records")
    equal([one[0][k] for k in ("rrname", "rrtype", "rdata", "time_first", "time_last", "count")],
          ["www.example", "A", "192.0.2.1", 1700000001, 1700000005, 2], "record")
    equal([one["sensor_id"] for one in tap.server.info()["sensors"]], ["ns1"], "sensors")
    until(lambda: tap.counters()["connections"] == 0, "no connections")
    tap.server.stop()
    check(not os.path.exists(tap.path), "the socket was left behind")


@case("TCP; frames arrive octet by octet, and many at once")
def tcp(world):
    tap = Tap(world, "listen = 127.0.0.1:0")
    port = int(tap.server.wait_log(r"taking dnstap on tcp 127\.0\.0\.1 port (\d+)").group(1))
    sender = tap.sender(("127.0.0.1", port))
    sender.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in control(READY, b"other:type", CONTENT):
        sender.send(bytes([octet]))
    equal(sender.control(), (wire.ACCEPT, [CONTENT]), "answer")
    sent = control(START, CONTENT) + frame(simple("a.example"))
    for octet in sent:
        sender.send(bytes([octet]))
    sender.send(b"".join(frame(simple("b%d.example" % i)) for i in range(500)) + control(STOP))
    equal(sender.control(), (wire.FINISH, []), "answer")
    tap.server.wait_stored(501)
    equal(len(tap.answers("192.0.2.1")), 501, "names")


@case("a peer without content types, one that speaks one way only, one with unknown control frames")
def other_peers(world):
    tap = Tap(world)
    sender = tap.sender()
    sender.send(control(READY))
    equal(sender.control(), (wire.ACCEPT, []), "answer")
    sender.send(control(START) + control(77) + frame(simple("a.example")) + control(STOP))
    equal(sender.control(), (wire.FINISH, []), "answer")
    one_way = tap.sender()
    one_way.send(stream([simple("b.example")]))
    check(one_way.closed(), "something came on a one-way stream")
    no_stop = tap.connect()
    no_stop.send(frame(simple("c.example")))
    no_stop.close()
    tap.server.wait_stored(3)
    equal([n for n, _, _ in tap.answers("192.0.2.1")], ["a.example", "b.example", "c.example"],
          "names")
    equal(tap.counters()["broken"], 0, "broken connections")


@case("peers that break the protocol are hung up on, and say why; the others go on")
def broken_peers(world):
    tap = Tap(world, "socket = %s\nmax_frame = 8K" % world.path("dnstap.sock"))
    good = tap.connect()
    opening = control(READY, CONTENT) + control(START, CONTENT)
    bad = [control(READY, b"protobuf:other"), control(START, b"protobuf:other"),
           frame(simple("x.example")), control(STOP), b"GET / HTTP/1.1\r\n\r\n" * 40,
           control(READY, CONTENT) * 2, control(wire.ACCEPT, CONTENT), control(wire.FINISH),
           struct.pack(">III", 0, 513, START), struct.pack(">II", 0, 0),
           struct.pack(">IIII", 0, 8, START, 1), struct.pack(">IIIII", 0, 12, START, 1, 400),
           control(READY, b"x" * 300), control(99),
           opening + struct.pack(">I", 8193), opening + b"\xff" * 64,
           opening + control(START, CONTENT), opening + control(READY, CONTENT),
           opening + struct.pack(">II", 0, 3) + b"abc"]
    for number, octets in enumerate(bad, 1):
        sender = tap.sender()
        try:
            sender.send(octets)
            while sender.socket.recv(1000):
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass
        sender.close()
        tap.wait("broken", number)
    cut = tap.connect()
    cut.send(frame(simple("x.example"))[:-3])
    cut.close()
    tap.server.wait_log("gone within a frame")
    good.send(frame(simple("good.example")))
    good.finish()
    tap.server.wait_stored(1)
    equal(tap.answers("192.0.2.1"), [("good.example", "A", "192.0.2.1")], "answer")
    tap.wait("broken", len(bad) + 1)
    equal(tap.counters()["broken"], len(bad) + 1, "broken connections")
    until(lambda: tap.counters()["connections"] == 0, "no connections")


@case("no more connections than allowed; the next one waits; who does not begin is hung up on")
def bounded(world):
    tap = Tap(world, "socket = %s\nmax_connections = 2\nhandshake_timeout = 12s"
              % world.path("dnstap.sock"))
    first, second = tap.connect(), tap.connect()
    tap.server.wait_log("2 connections, as many as max_connections allows")
    third = tap.sender()
    third.send(control(READY, CONTENT))
    third.socket.settimeout(0.3)
    try:
        raise AssertionError("the third was answered: %r" % (third.control(),))
    except socket.timeout:
        pass
    third.socket.settimeout(DEADLINE)
    first.send(frame(simple("a.example")))
    first.finish()
    equal(third.control(), (wire.ACCEPT, [CONTENT]), "answer to the third")
    check(third.closed(), "something came instead of the end")  # it never sends START
    tap.server.wait_log("no handshake within handshake_timeout")
    second.send(frame(simple("b.example")))
    second.finish()
    tap.server.wait_stored(2)


@case("a peer that comes back is served again, many times over")
def reconnects(world):
    tap = Tap(world)
    for turn in range(30):
        sender = tap.connect()
        sender.send(frame(simple("n%d.example" % turn)))
        if turn % 3 == 0:
            sender.finish()
        sender.close()
    tap.server.wait_stored(30)
    tap.restart()
    tap.feed(simple("after.example"))
    equal(len(tap.answers("192.0.2.1")), 31, "names")


@case("the socket has the permissions of the configuration; a left over one is replaced, others not")
def socket_file(world):
    path = world.path("dnstap.sock")
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind(path)
    stale.close()
    tap = Tap(world, "socket = %s\nsocket_mode = 0622" % path)
    tap.server.wait_log("nobody serves it; taking its place")
    tap.server.wait_log("taking dnstap on")
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o622, "mode of the socket")
    tap.feed(simple("a.example"))
    tap.server.kill()
    check(os.path.exists(path), "killed, it cannot have removed its socket")
    tap.server = world.serve(tap.conf)
    tap.feed(simple("b.example"))
    second = world.run("run", "-c", world.write("second.conf", (
        "[input.tap]\nplugin = dnstap\nsocket = %s\n[storage.db]\nplugin = rocksdb\npath = %s\n"
        "[chain.c]\nroute = tap -> db\n") % (path, world.path("other-db"))))
    check(second.returncode != 0, "a second server took the socket")
    check("another process serves it" in second.stderr, second.stderr)
    tap.feed(simple("c.example"))
    tap.server.stop()
    world.write("dnstap.sock", "a file")
    second = world.run("run", "-c", tap.conf)
    check(second.returncode != 0, "a file was taken for a socket")
    check("something else than a socket has that name" in second.stderr, second.stderr)
    equal(open(path, encoding="ascii").read(), "a file", "the file")


@case("a full chain stops reading, so that the peer waits; nothing is lost")
def back_pressure(world):
    tap = Tap(world, "socket = %s\nbatch_records = 100" % world.path("dnstap.sock"))
    sender = tap.connect()
    sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    data = b"".join(frame(simple("n%d.example" % i)) for i in range(FLOOD))
    tap.server.process.send_signal(19)  # SIGSTOP: the kernel's buffers are all the room there is
    sender.socket.setblocking(False)
    sent = 0
    while sent < len(data):
        try:
            sent += sender.socket.send(data[sent:sent + 65536])
        except BlockingIOError:
            break
    check(sent < len(data), "the kernel took it all; the flood is too small")
    tap.server.process.send_signal(18)
    sender.socket.setblocking(True)
    sender.socket.settimeout(DEADLINE)
    sender.send(data[sent:])
    sender.finish()
    tap.server.wait_stored(FLOOD)
    equal(tap.server.info()["stats"], FLOOD, "observations")


@case("stops at once with peers connected and sending")
def stop_in_traffic(world):
    tap = Tap(world)
    idle, busy = tap.connect(), tap.connect()
    busy.send(b"".join(frame(simple("n%d.example" % i)) for i in range(200)))
    tap.server.stop()
    check(idle.closed(), "the idle peer was sent something")


# --- payloads --------------------------------------------------------------------------------------


@case("payloads that are none, or lack what they need, are rejected one by one")
def bad_payloads(world):
    tap = Tap(world, "socket = %s\nsensor_id = unnamed" % world.path("dnstap.sock"))
    dns = message("a.example", answer=[rr("a.example", A, address("192.0.2.1"))])
    bad = [b"\xff\xff\xff", b"\x08", os.urandom(3000), payload(None, zone="example"),
           payload(dns, time=None), payload(dns, time=253402300800), payload(dns, time=2 ** 64 - 1),
           payload(dns, zone=b"\x05ab"), payload(dns, zone=b"\x01a\xc0\x00"),
           payload(dns, zone=name("example") + b"x"),
           payload(dns, identity=b"\xff\xfe"), payload(dns, identity=b"i" * 256),
           payload(dns, identity=b"a\nb"), payload(b"", zone="example"),
           payload(dns[:11], zone="example"), wire.number(1, 4) * 2000]
    fine = [payload(dns, zone="example", time=None, query_time=1600000000),
            payload(dns, zone="example", identity=None), payload(dns, zone="example", identity=b""),
            payload(dns, zone="example", extra=wire.octets(99, b"x" * 1000))]
    stored = tap.feed(*bad, *fine)
    equal(stored, len(fine), "stored")
    counters = tap.counters()
    unwanted = counters["unwanted"]  # random octets may be a payload of nothing
    equal(counters["rejected"] + unwanted, len(bad), "rejected")
    check(unwanted <= 1, "unwanted: %d" % unwanted)
    one = tap.server.get("/query/a.example").records[0]
    equal((one["time_first"], one["count"]), (1600000000, len(fine)), "record")
    sensors = {s["sensor_id"]: s["count"] for s in tap.server.info()["sensors"]}
    equal(sensors, {"ns1": 2, "unnamed": 2}, "sensors")


@case("only the kinds of messages and the sections that are asked for are taken")
def kinds_and_sections(world):
    def one(kind, zone="example"):
        owner = "k%d.example" % kind
        return payload(message(owner, answer=[rr(owner, A, address("192.0.2.1"))],
                               authority=[rr("example", NS, name("ns.example"))],
                               additional=[rr("ns.example", A, address("192.0.2.53"))]),
                       kind=kind, zone=zone)
    everything = [one(kind) for kind in range(0, 16)] + [wire.number(15, 1), wire.number(15, 2)]
    tap = Tap(world)
    tap.feed(*everything)
    equal([n for n, _, _ in tap.answers("192.0.2.1")], ["k4.example", "k8.example"], "by default")
    equal(tap.counters()["unwanted"], 16, "unwanted")
    tap.server.stop()
    tap = Tap(world, "socket = %s\nmessages = client, auth\nsections = authority"
              % world.path("dnstap.sock"), storage="")
    equal(tap.feed(*everything), 2, "of two kinds, one section each")
    equal(tap.counters()["other_section"], 4, "other sections")
    tap.server.stop()
    bad = world.run("check", "-c", world.write("bad.conf", (
        "[input.tap]\nplugin = dnstap\nmessages = client, clients\nsections = answers\n"
        "follow = yes\nsocket_mode = 0888\nsocket_group = x\n"
        "[storage.db]\nplugin = rocksdb\npath = %s\n[chain.c]\nroute = tap -> db\n")
        % world.path("other-db")))
    check(bad.returncode != 0, "a bad configuration passed")
    for text in ("at least one of socket, listen and path", '"clients" is none of auth, resolver',
                 '"answers" is none of answer, authority, additional', "octal",
                 "of use with path only", "of use with socket only"):
        check(text in bad.stdout + bad.stderr, "no word of %r in %s" % (text, bad.stderr))


@case("client addresses are neither stored nor logged")
def privacy(world):
    tap = Tap(world, "socket = %s\nmessages = client, resolver" % world.path("dnstap.sock"),
              host="log_level = debug")
    secret = ("198.51.100.77", "203.0.113.88", "2001:db8:5ec:e7::1")
    bad = message("a.example", answer=[rr("a.example", A, b"abc")])
    subnet = struct.pack(">HHHBB", 8, 7, 1, 24, 0) + address("198.51.100.0")[:3]
    tap.feed(payload(message("a.example", answer=[rr("a.example", A, address("192.0.2.1"))],
                             additional=[rr("", OPT, subnet, rrclass=1232)]), kind=CLIENT),
             payload(message("b.example", answer=[rr("b.example", A, address("192.0.2.1"))]),
                     kind=CLIENT, client=secret[2]),
             payload(bad, kind=CLIENT), payload(bad[:-2], kind=CLIENT), payload(None, kind=CLIENT),
             payload(message("asked.example", flags=0x0100), kind=CLIENT), b"\x72\xff" * 9)
    equal(len(tap.answers("192.0.2.1")), 2, "names")
    tap.server.stop()
    log = "\n".join(tap.server.log())
    check("rejected" in log or "malformed" in log or "rdata of A" in log, "nothing was logged")
    for text in secret + ("198.51.100",):
        check(text not in log, "%s is in the log" % text)
    needles = [address(s) for s in secret] + [s.encode() for s in secret] + [b"198.51.100"]
    for directory, _, files in os.walk(world.directory):
        for one in files:
            with open(os.path.join(directory, one), "rb") as stored:
                octets = stored.read()
            for needle in needles:
                check(needle not in octets, "%r is in %s" % (needle, one))


# --- DNS messages ----------------------------------------------------------------------------------


@case("with a query zone, what is not below it is left out, in every section")
def bailiwick(world):
    tap = Tap(world)
    dns = message("www.example", answer=[rr("www.example", CNAME, name("other.test")),
                                         rr("other.test", A, address("192.0.2.66")),
                                         rr("notexample", A, address("192.0.2.66"))],
                  authority=[rr("EXAMPLE", NS, name("ns.other.test")),
                             rr("", NS, name("evil.test")), rr("test", NS, name("evil.test"))],
                  additional=[rr("ns.example", A, address("192.0.2.53")),
                              rr("ns.other.test", A, address("192.0.2.66"))])
    equal(tap.feed(payload(dns, zone="Example")), 3, "stored")
    equal(tap.counters()["out_of_bailiwick"], 5, "out of bailiwick")
    equal(tap.answers("192.0.2.66"), [], "what the zone may not say")
    equal(tap.answers("example"), [("example", "NS", "ns.other.test")], "zone")
    equal(tap.answers("www.example"), [("www.example", "CNAME", "other.test")], "alias")
    equal(tap.bailiwicks("www.example"), [("CNAME", "example.")], "the zone is kept")
    equal(tap.bailiwicks("www.example/ANY/example"), [("CNAME", "example.")], "and found")
    equal(tap.bailiwicks("www.example/ANY/."), [], "not in the root's")
    equal(tap.feed(payload(dns, zone="")), 8, "the root may say all")
    equal(tap.bailiwicks("www.example/ANY/."), [("CNAME", ".")], "the root")
    equal(tap.bailiwicks("www.example"), [("CNAME", "example.")], "the deepest of both")
    simpler = message("b.test", answer=[rr("b.test", A, address("192.0.2.3"))])
    equal(tap.feed(payload(simpler)), 1, "without a zone")
    equal(tap.bailiwicks("b.test"), [("A", None)], "none is known")


@case("without a query zone, only what the question leads to within the answer is taken")
def no_zone(world):
    tap = Tap(world, "socket = %s\nmessages = client, resolver" % world.path("dnstap.sock"))
    dns = message("a.example", answer=[
        rr("c.test", A, address("192.0.2.2")),  # in no order
        rr("b.example", CNAME, name("c.test")),
        rr("A.example", CNAME, name("B.example")),
        rr("evil.test", A, address("192.0.2.66")),
        rr("evil.test", CNAME, name("a.example"))],
        authority=[rr("example", NS, name("ns.example"))],
        additional=[rr("a.example", A, address("192.0.2.66"))])
    equal(tap.feed(payload(dns, kind=CLIENT)), 3, "stored")
    equal(tap.answers("192.0.2.2"), [("c.test", "A", "192.0.2.2")], "end of the chain")
    equal(tap.answers("192.0.2.66"), [], "not asked for")
    alias = message("x.old.example", answer=[
        rr("old.example", DNAME, name("new.example")),
        rr("x.old.example", CNAME, name("x.new.example")),
        rr("x.new.example", A, address("192.0.2.3")),
        rr("other.old.example", A, address("192.0.2.66"))])
    equal(tap.feed(payload(alias)), 3, "by DNAME")
    loop = message("l0.example", answer=[rr("l%d.example" % (i % 20), CNAME,
                                            name("l%d.example" % ((i + 1) % 20)))
                                         for i in range(40)])
    stored = tap.feed(payload(loop))
    check(2 <= stored <= 40, "a loop of names gave %d records" % stored)


@case("codes, flags, classes and types that are no facts are left out and counted")
def not_taken(world):
    tap = Tap(world)
    record = rr("a.example", A, address("192.0.2.1"))
    soa = rr("example", SOA, name("ns.example") + name("Host.Example") + struct.pack(
        ">5I", 1, 2, 3, 4, 5))
    feed = [payload(message("a.example", answer=[record], flags=0x8400 | code), zone="example")
            for code in (1, 2, 4, 5, 9)]                                        # 5 errors
    feed += [payload(message("gone.example", authority=[soa], flags=0x8403), zone="example"),
             payload(message("a.example", answer=[record], flags=0x0400), zone="example"),
             payload(message("a.example", answer=[record], flags=0xa400), zone="example"),
             payload(message("a.example", answer=[
                 rr("a.example", A, address("192.0.2.1"), rrclass=3), rr("a.example", 250, b"x"),
                 rr("a.example", 255, b""), rr("a.example", 0, b"")],
                             additional=[rr("", OPT, b"", rrclass=4096, ttl=0x8000)]),
                     zone="example")]
    equal(tap.feed(*feed), 1, "stored")
    equal(tap.answers("example"), [("example", "SOA", "ns.example host.example 1 2 3 4 5")], "SOA")
    counters = tap.counters()
    equal([counters[k] for k in ("dns_errors", "unwanted", "other_class", "meta", "rejected")],
          [5, 1, 1, 4, 1], "counters")


@case("every type is stored in its canonical text; compressed names are whole")
def types(world):
    pointer = b"\xc0\x0c"  # to the question
    base = struct.pack(">HHH", 1, 2, 3)
    rdatas = [
        (A, address("192.0.2.1"), "A", "192.0.2.1"),
        (AAAA, address("2001:db8::1"), "AAAA", "2001:db8::1"),
        (NS, b"\x02nS" + pointer, "NS", "ns.t.example"),
        (MX, b"\x00\x0a" + pointer, "MX", "10 t.example"),
        (TXT, b"\x03a\"b\x00\x02\xff ", "TXT", '"a\\"b" "" "\\255 "'),
        (SRV, base + pointer, "SRV", "1 2 3 t.example"),
        (SOA, pointer + b"\x01H" + pointer + struct.pack(">5I", 1, 2, 3, 4, 2 ** 32 - 1), "SOA",
         "t.example h.t.example 1 2 3 4 4294967295"),
        (HTTPS, b"\x00\x01\x00" + b"\x00\x01\x00\x03\x02h2" + b"\x00\x04\x00\x04" +
         address("192.0.2.1") + b"\x00\x06\x00\x10" + address("2001:db8::1"), "HTTPS",
         "1 . alpn=h2 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1"),
        (64, b"\x00\x00" + name("svc.test"), "SVCB", "0 svc.test"),
        (43, b"\x12\x34\x0d\x02\xab\xcd", "DS", "4660 13 2 ABCD"),
        (48, b"\x01\x01\x03\x0d\x01\x02\x03", "DNSKEY", "257 3 13 AQID"),
        (46, struct.pack(">HBBIIIH", 1, 13, 2, 300, 1700000000, 1690000000, 7) +
         name("example") + b"\x01", "RRSIG",
         "A 13 2 300 20231114221320 20230722042640 7 example AQ=="),
        (47, name("z.example") + b"\x00\x06\x40\x00\x00\x00\x00\x03", "NSEC",
         "z.example A RRSIG NSEC"),
        (50, b"\x01\x00\x00\x00\x00\x02\x01\x02\x00\x01\x40", "NSEC3", "1 0 0 - 0410 A"),
        (35, b"\x00\x01\x00\x02\x01u\x03E2U\x01!" + b"\x00", "NAPTR", '1 2 "u" "E2U" "!" .'),
        (257, b"\x00\x05issuele.org", "CAA", '0 issue "le.org"'),
        (52, b"\x03\x01\x01\xaa", "TLSA", "3 1 1 AA"),
        (44, b"\x04\x02\x0a", "SSHFP", "4 2 0A"),
        (13, b"\x01a\x01b", "HINFO", '"a" "b"'),
        (99, b"\x06v=spf1", "SPF", '"v=spf1"'),
        (65280, b"\x01\xff", "65280", "\\# 2 01FF"),
    ]
    tap = Tap(world)
    equal(tap.feed(payload(message("t.example", answer=[
        rr(pointer, number, rdata) for number, rdata, _, _ in rdatas]), zone="example")),
        len(rdatas), "stored")
    have = {(t, d) for _, t, d in tap.answers("t.example")}
    equal(have ^ {(t, d) for _, _, t, d in rdatas}, set(), "difference")


@case("malformed messages are rejected as a whole, bad rdata by itself; cut ones give what is whole")
def malformed(world):
    good = rr("a.example", A, address("192.0.2.1"))
    header = 12
    bad = {
        "owner that points to itself": message("a.example", answer=[
            good, rr(struct.pack(">H", 0xc000 | header + 15 + len(good)), A, b"\1\2\3\4")]),
        "question that points to itself": message(b"\xc0\x0c", answer=[good]),
        "question beyond": message("a.example", question=False, counts=[1, 0, 0, 0]),
        "a record less than said": message("a.example", answer=[good], counts=[1, 2, 0, 0]),
        "65535 records said": message("a.example", answer=[good], counts=[1, 65535, 65535, 65535]),
        "rdata beyond the end": message("a.example", answer=[
            good, rr("a.example", A, b"\1\2\3", length=40)]),
        "label of 64": message("a.example", answer=[good, b"\x40" + rr("a" * 63, A, b"\1\2\3\4")]),
        "cut in a fixed part": message("a.example", answer=[good, good])[:-7],
    }
    tap = Tap(world)
    equal(tap.feed(*[payload(m, zone="example") for m in bad.values()]), 0, "stored")
    equal(tap.counters()["rejected"], len(bad), "rejected")
    one_bad = message("a.example", answer=[rr("a.example", A, b"\1\2\3"), good,
                                           rr("a.example", MX, b"\0\1\xc0"),
                                           rr("a.example", NS, b"\xc0\xff")])
    equal(tap.feed(payload(one_bad, zone="example")), 1, "of one good and three bad")
    equal(tap.counters()["rejected"], len(bad) + 3, "rejected")
    cut = message("a.example", answer=[good] * 3, flags=0x8600)[:-5]
    equal(tap.feed(payload(cut, zone="example")), 2, "of a cut message")
    big = message("a.example", answer=[rr("a.example", TXT, bytes([255]) + b"x" * 255)
                                       for _ in range(220)])
    check(len(big) > 60000, "not big")
    equal(tap.feed(payload(big, zone="example"), payload(good[:0] + message(
        "a.example", answer=[good]) + b"more behind its end", zone="example")), 221, "of big ones")


@case("mangled messages and payloads do no harm")
def mangled(world):
    seed = int(os.environ.get("COFD_TEST_SEED", "1"))
    dice = random.Random(seed)
    tap = Tap(world)
    dns = message("a.example", answer=[rr(b"\xc0\x0c", A, address("192.0.2.1")),
                                       rr(b"\xc0\x0c", SOA, b"\xc0\x0c\xc0\x0c" + bytes(20)),
                                       rr(b"\xc0\x0c", TXT, b"\x03abc")])
    sent = []
    for _ in range(2000):
        octets = bytearray(dns if dice.random() < 0.7 else payload(dns, zone="example"))
        whole = len(octets) == len(dns)
        for _ in range(dice.randint(1, 6)):
            octets[dice.randrange(len(octets))] = dice.choice((0, 0xff, 0xc0, dice.randrange(256)))
        sent.append(payload(bytes(octets), zone="example") if whole else bytes(octets))
    tap.feed(*sent)
    tap.feed(simple("fine.example", text="192.0.2.99"))
    equal(tap.answers("192.0.2.99"), [("fine.example", "A", "192.0.2.99")], "answer (seed %d)" % seed)


# --- files -----------------------------------------------------------------------------------------


@case("files are read once, whole, over restarts; what is wrong with one is said")
def files(world):
    owners = ["f%d.example" % i for i in range(300)]
    world.write("in/a.fstrm", stream([simple(n) for n in owners[:100]]))
    world.write("in/b.fstrm", stream([simple(n) for n in owners[100:200]], stop=False) +
                frame(simple("cut.example"))[:-9])
    world.write("in/c.fstrm", stream([simple(owners[200])]) + stream([simple(owners[201])]) + control(
        55) + frame(b"x" * 9000) + frame(simple(owners[202])))
    world.write("in/d.txt", "no frame stream at all, but rather long " * 5)
    world.write("in/e.fstrm", stream([simple("x.example")], content=b"protobuf:other"))
    world.write("in/f.fstrm", b"")
    tap = Tap(world, "path = %s, %s\nmax_frame = 8K" % (world.path("in"), world.path("nothing")))
    tap.server.wait_stored(203)
    tap.server.wait_log("b.fstrm: ends within a frame")
    tap.server.wait_log("c.fstrm: at octet .*: a frame of 9000 octets, more than max_frame")
    tap.server.wait_log("d.txt: at octet 0: begins with no frame of this protocol")
    tap.server.wait_log("e.fstrm: at octet 0: begins with other content than protobuf:dnstap")
    tap.server.wait_log("nothing: no file of that name")
    tap.wait("errors", 2)  # counted after it is logged
    equal(tap.counters()["errors"], 2, "files with errors")
    equal(len(tap.answers("192.0.2.1")), 203, "names")
    tap.restart()
    tap.wait("errors", 2)
    equal(tap.server.info()["stats"], 203, "after a restart")
    tap.server.stop()
    world.write("in/g.fstrm", stream([simple("new.example")]))
    tap.server = world.serve(tap.conf)
    tap.server.wait_stored(204)
    equal(tap.server.info()["stats"], 204, "observations")


@case("followed files: what is appended, what appears, what is written anew")
def follow(world):
    path = world.write("spool/a.fstrm", stream([simple("a.example")], stop=False))
    tap = Tap(world, "path = %s/*.fstrm\nfollow = yes\npoll_interval = 50ms" % world.path("spool"))
    tap.server.wait_stored(1)
    late = frame(simple("late.example"))
    with open(path, "ab", buffering=0) as out:
        out.write(late[:50])
        tap.server.wait_stored(1)
        world.write("spool/b.fstrm", stream([simple("b.example")]))
        tap.server.wait_stored(2)
        out.write(late[50:])
    tap.server.wait_stored(3)
    world.write("spool/a.fstrm", stream([simple("anew.example", identity=b"other")]))
    tap.server.wait_stored(4)
    with open(world.path("spool/b.fstrm"), "wb") as out:
        out.write(stream([simple("c.example", identity=b"c")]))
    tap.server.wait_stored(5)
    equal([n for n, _, _ in tap.answers("192.0.2.1")],
          ["a.example", "anew.example", "b.example", "c.example", "late.example"], "names")
    tap.restart()
    world.write("spool/z.fstrm", stream([simple("z.example")]))
    tap.server.wait_stored(6)
    equal(tap.server.info()["stats"], 6, "observations")


@case("killed while it reads a file, it loses nothing")
def killed(world):
    count = FLOOD
    world.write("big.fstrm", stream(simple("n%d.example" % i) for i in range(count)))
    tap = Tap(world, "path = %s\nbatch_records = 50" % world.path("big.fstrm"))
    tap.server.wait_stored(1)
    tap.server.kill()
    tap.server = world.serve(tap.conf)
    stored = tap.server.info()["stats"]

    until(lambda: len(tap.answers("192.0.2.1")) >= count,
          "all %d names; %d observations were there after the kill" % (count, stored))


@case("cofd import loads files, and says how it went")
def imports(world):
    good = world.write("good.fstrm", stream(simple("n%d.example" % i) for i in range(500)))
    bad = world.write("bad.fstrm", b"nothing of the kind, and long enough to tell")
    conf = world.conf("[input.tap]\nplugin = dnstap\nsocket = %s\nmessages = resolver\n"
                      % world.path("never.sock"), filters=["tap"])
    done = world.done("import", "-c", conf, good)
    check("loaded 500 records" in done.stdout and "500 stored" in done.stdout, done.stdout)
    check(not os.path.exists(world.path("never.sock")), "import opened the socket")
    failed = world.run("import", "-c", conf, bad)
    check(failed.returncode != 0, "a bad file passed")
    server = world.serve(conf)
    equal(len(server.get("/query/192.0.2.1").records), 500, "names")


# --- a real resolver -------------------------------------------------------------------------------


def program(which):
    """Where a server is: unpacked by ./dev, or installed where AppArmor lets it read our files."""
    places = [os.environ.get("COFD_TEST_PROGRAMS", ""), TOP + "/build/programs/usr/sbin"]
    if not os.path.exists("/etc/apparmor.d/usr.sbin." + which):
        places += ["/usr/sbin", "/usr/local/sbin"]
    for directory in filter(None, places):
        path = os.path.join(directory, which)
        if os.access(path, os.X_OK):
            return path
    raise Skip("no %s here: `./dev deps` fetches it, without installing it" % which)


def free_port():
    """A port that is free for UDP and TCP on loopback."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp_socket, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp_socket:
            tcp_socket.bind(("127.0.0.1", 0))
            port = tcp_socket.getsockname()[1]
            try:
                udp_socket.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def ask(port, qname, qtype=A):
    """One question over UDP; the answer, or None."""
    question = message(qname, qtype, flags=0x0100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2)
        asking.sendto(question, ("127.0.0.1", port))
        try:
            return asking.recv(65535)
        except (socket.timeout, ConnectionRefusedError):
            return None


def answered(port, qname, qtype=A):
    """Whether it answers with NOERROR or NXDOMAIN."""
    answer = ask(port, qname, qtype)
    return answer is not None and answer[3] & 15 in (0, 3)


def daemon(world, *arguments):
    with open(world.path(os.path.basename(arguments[0]) + ".log"), "wb") as log:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   preexec_fn=die_with_parent)

    def end():
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    world.cleanups.append(end)
    return process


ZONE = """$ORIGIN zone.test.
$TTL 300
@ SOA ns host.zone.test. 7 3600 600 86400 300
@ NS ns
@ MX 10 Mail
ns A 127.0.0.1
www A 192.0.2.10
www AAAA 2001:db8::10
www HTTPS 1 . alpn="h2,h3" ipv4hint=192.0.2.10
alias CNAME www
mail A 192.0.2.25
@ TXT "v=spf1 -all" "second; string"
@ CAA 0 issue "ca.test"
_sip._tcp SRV 1 2 5060 mail
old DNAME new
x.new A 192.0.2.77
"""

NSD = """server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{dir}"
  database: ""
  pidfile: "{dir}/nsd.pid"
  xfrdfile: "{dir}/xfrd.state"
  zonelistfile: "{dir}/zone.list"
  xfrdir: "{dir}"
  logfile: "{dir}/nsd.out"
  server-count: 1
  do-ip6: no
remote-control:
  control-enable: no
{tap}
zone:
  name: zone.test
  zonefile: zone.test.zone
"""

UNBOUND = """server:
  interface: 127.0.0.1
  port: {port}
  do-ip6: no
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: "{dir}/unbound.pid"
  logfile: "{dir}/unbound.out"
  use-syslog: no
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  local-zone: "test." nodefault
  qname-minimisation: no
  identity: "resolver-1"
  hide-identity: no
remote-control:
  control-enable: no
stub-zone:
  name: zone.test
  stub-addr: 127.0.0.1@{authority}
dnstap:
  dnstap-enable: yes
  {tap}
  dnstap-send-identity: yes
  dnstap-identity: resolver-1
  dnstap-log-resolver-response-messages: yes
  dnstap-log-client-response-messages: yes
  dnstap-log-client-query-messages: yes
"""


def start_daemon(world, which, template, qname, **values):
    """Start it on a port of its own, on another one where somebody took that meanwhile."""
    directory = world.path(which)
    for _ in range(5):
        port = free_port()
        conf = world.write("%s/%s.conf" % (which, which),
                           template.format(port=port, dir=directory, **values))
        process = daemon(world, program(which), "-d", "-c", conf)
        until(lambda p=process, n=port: p.poll() is not None or ask(n, qname),
              "%s to answer" % which)
        if process.poll() is None:
            return port
    log = world.path(which + ".log")
    raise AssertionError("%s does not start: %s" % (which, open(log, encoding="utf-8").read()))


def start_nsd(world, tap=""):
    world.write("nsd/zone.test.zone", ZONE)
    return start_daemon(world, "nsd", NSD, "www.zone.test", tap=tap)


def start_unbound(world, authority, tap):
    return start_daemon(world, "unbound", UNBOUND, "x.invalid", authority=authority, tap=tap)


def resolve(world, resolver):
    questions = [("www.zone.test", A), ("WWW.zone.test", AAAA), ("www.zone.test", HTTPS),
                 ("alias.zone.test", A), ("zone.test", MX), ("zone.test", TXT), ("zone.test", 257),
                 ("_sip._tcp.zone.test", SRV), ("x.old.zone.test", A), ("gone.zone.test", A)]
    for qname, qtype in questions:
        until(lambda q=qname, t=qtype: answered(resolver, q, t), "an answer about " + qname)


EXPECTED = {
    ("www.zone.test", "A", "192.0.2.10"), ("www.zone.test", "AAAA", "2001:db8::10"),
    ("www.zone.test", "HTTPS", "1 . alpn=h2,h3 ipv4hint=192.0.2.10"),
    ("alias.zone.test", "CNAME", "www.zone.test"), ("zone.test", "MX", "10 mail.zone.test"),
    ("zone.test", "TXT", '"v=spf1 -all" "second; string"'),
    ("zone.test", "CAA", '0 issue "ca.test"'),
    ("_sip._tcp.zone.test", "SRV", "1 2 5060 mail.zone.test"),
    ("old.zone.test", "DNAME", "new.zone.test"),
    ("x.old.zone.test", "CNAME", "x.new.zone.test"), ("x.new.zone.test", "A", "192.0.2.77"),
    ("mail.zone.test", "A", "192.0.2.25"), ("ns.zone.test", "A", "127.0.0.1"),
    ("zone.test", "NS", "ns.zone.test"),
    ("zone.test", "SOA", "ns.zone.test host.zone.test 7 3600 600 86400 300")}


def look_up(tap, expected):
    found = set()
    for owner in sorted({e[0] for e in expected}):
        found |= set(tap.answers(owner))
    return found


@case("unbound asks nsd, and what it learns is found over REST")
def real_resolver(world):
    program("unbound")
    authority = start_nsd(world)
    tap = Tap(world)
    tap.server.wait_log("taking dnstap on")
    resolver = start_unbound(world, authority, "dnstap-socket-path: \"%s\"" % tap.path)
    tap.server.wait_log("payloads begin")
    began = int(time.time()) - 2
    resolve(world, resolver)
    until(lambda: EXPECTED <= look_up(tap, EXPECTED), "all of the zone that was asked for")
    equal(look_up(tap, EXPECTED) - EXPECTED, set(), "what nobody said")
    check(tap.answers("192.0.2.10") == [("www.zone.test", "A", "192.0.2.10")], "reverse")
    one = tap.server.get("/query/x.new.zone.test").records[0]
    check(began <= one["time_first"] <= time.time() + 2, "time %r" % one)
    equal([s["sensor_id"] for s in tap.server.info()["sensors"]], ["resolver-1"], "sensor")
    counters = tap.counters()
    equal((counters["rejected"], counters["broken"]), (0, 0), "rejected, broken")
    check(counters["unwanted"] > 0, "answers to clients were taken")
    tap.restart()  # the resolver comes back by itself
    tap.server.wait_log("payloads begin")
    before = tap.server.info()["stats"]
    until(lambda: answered(resolver, "new%d.zone.test" % time.monotonic_ns()) and
          tap.server.info()["stats"] > before, "something from the resolver after a restart")


@case("unbound over TCP one way, answers to clients; nsd's own answers over the Unix socket")
def real_others(world):
    program("unbound")
    options = "socket = %s\nlisten = 127.0.0.1:0\nmessages = client, auth\n" \
        "socket_mode = 0666" % world.path("dnstap.sock")
    tap = Tap(world, options)
    port = int(tap.server.wait_log(r"taking dnstap on tcp 127\.0\.0\.1 port (\d+)").group(1))
    authority = start_nsd(world, "dnstap:\n  dnstap-enable: yes\n  dnstap-socket-path: \"%s\"\n"
                          "  dnstap-send-identity: yes\n  dnstap-identity: nsd-1\n"
                          "  dnstap-log-auth-response-messages: yes" % tap.path)
    resolver = start_unbound(world, authority, "dnstap-ip: 127.0.0.1@%d\n  dnstap-tls: no\n"
                             "  dnstap-bidirectional: no" % port)
    tap.server.wait_log("payloads begin", 2)
    resolve(world, resolver)
    expected = {e for e in EXPECTED if e[1] not in ("SOA", "NS") and
                e[0] not in ("mail.zone.test", "ns.zone.test")}
    until(lambda: expected <= look_up(tap, expected), "all that was asked for")
    until(lambda: {s["sensor_id"] for s in tap.server.info()["sensors"]} == {
        "resolver-1", "nsd-1"}, "both sensors")
    equal(tap.counters()["rejected"], 0, "rejected")


if __name__ == "__main__":
    main()
