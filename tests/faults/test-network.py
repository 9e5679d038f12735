#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What befalls connections: cut at every octet of their beginning, idle by the thousand, half-open, slow,
and noise where TLS is expected."""
import errno
import json
import os
import socket
import ssl
import struct
import threading

import tcpproxy
from faults import LONG, D4Feed, Plant, RedisStore, Rocks, descriptors, dice, resident, rounds
import dnstapwire as wire
from cofdtest import DEADLINE, SAMPLE, Skip, case, check, equal, main, until
from restclient import NAME, make_certificate
from tcpproxy import Proxy
from wsclient import WebSocket
from wsserver import WsServer, frame

TCP_REPAIR = 19
HOWS = ("leave", "end", "reset")


def dial(address):
    if isinstance(address, str):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(DEADLINE)
        one.connect(address)
        return one
    return socket.create_connection(address, DEADLINE)


def say_part(address, part, how):
    """Send a part of something, then leave, reset, or end the sending side; the last gives the
    connection, which until_closed() is for."""
    one = dial(address)
    try:
        one.sendall(part)
        if how == "end":
            one.shutdown(socket.SHUT_WR)
            return one
        if how == "reset":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError as error:
        if not isinstance(error, ConnectionError) and error.errno != errno.ENOTCONN:
            raise
        # It hung up already, which is as good.
    one.close()
    return None


def until_closed(connections):
    """Read each to its end."""
    for one in filter(None, connections):
        try:
            while one.recv(65536):
                pass
        except ConnectionError:
            pass
        one.close()


def offsets(size, step):
    """Every octet with --long, and each so many else, from a random one on."""
    return range(1, size + 1) if LONG else range(dice("offset").randrange(1, step + 1), size + 1, step)


def settled(server, before):
    until(lambda: descriptors(server.process.pid) <= before, "the connections to be gone")


def warm(server):
    """How many descriptors are open once questions were asked, with some to spare."""
    for _ in range(4):
        server.get(NAME)
    return descriptors(server.process.pid) + 4


@case("an HTTP request cut at each octet: nothing stays, and others are served")
def http_cut(world):
    server = world.serve(world.conf(input="path = " + SAMPLE, rest="request_timeout = 20s"))
    until(lambda: server.get(NAME).body, "the samples")
    before = warm(server)
    text = b"GET %s?a=b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nX-Long: %s\r\n\r\n" % (
        NAME.encode(), b"y" * 40)
    until_closed([say_part(server.urls[0], text[:at], how)
                  for at in range(1, len(text) + 1) for how in HOWS])
    settled(server, before)
    equal(len(server.get(NAME).records), 1, "records afterwards")
    equal(server.get("/healthz").status, 200, "health")


def live_output(world, more=""):
    """A cofd that serves the samples by websocket; returns it and the port."""
    conf = world.conf("[output.live]\nplugin = cof-ws\nlisten = 127.0.0.1:0\n" + more,
                      input="path = %s\nfollow = yes" % world.write("in.ndjson", ""))
    with open(conf, encoding="utf-8") as file:
        text = file.read()
    server = world.serve(world.write("cofd.conf", text.replace("-> db -> api", "-> db -> api, live")),
                         outputs=2)
    found = server.wait_log(r"listening on wss?://(\S+?):(\d+)/")
    server.urls = [url for url in server.urls if url[1] != int(found.group(2))]
    return server, (found.group(1), int(found.group(2)))


def feed_one(world, name):
    with open(world.path("in.ndjson"), "a", encoding="ascii") as out:
        out.write(json.dumps({"rrname": name, "rrtype": "A", "rdata": "192.0.2.1", "time_first": 1,
                              "time_last": 2, "count": 1}) + "\n")


def subscribers(server):
    return server.metric("live", "subscribers") or 0


@case("an upgrade to a websocket, and a frame after it, cut at each octet: nothing stays")
def upgrade_cut(world):
    server, address = live_output(world)
    before = warm(server)
    text = b"GET /?rrtype=A HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" \
        b"\x8a\x85\x01\x02\x03\x04hello"
    until_closed([say_part(address, text[:at], how)
                  for at in range(1, len(text) + 1) for how in HOWS])
    settled(server, before)
    with WebSocket(*address, timeout=DEADLINE) as one:
        # It may be a subscriber only after its upgrade is answered.
        until(lambda: subscribers(server) == 1, "the subscriber")
        feed_one(world, "after.example")
        equal(one.receive()["rrname"], "after.example", "the record that comes")
    until(lambda: subscribers(server) == 0, "the subscriber to be gone")


@case("a feed by websocket that is cut at each octet of its answer: connected anew, all taken")
def feed_cut(world):
    record = json.dumps({"rrname": "cut.example", "rrtype": "A", "rdata": "192.0.2.1",
                         "time_first": 1, "time_last": 2, "count": 1})
    cut = list(offsets(129 + len(frame(record)) - 1, 9))

    def handler(peer):
        number = peer.number - 1
        real, sent = peer.socket, []
        peer.socket = type("Kept", (), {"sendall": lambda self, data: sent.append(data)})()
        peer.accept().say(record)
        peer.socket = real
        whole = b"".join(sent)
        if number < len(cut):
            peer.send(whole[:cut[number]])
            peer.close()
        else:
            peer.send(whole)
            while peer.socket.recv(4096):
                pass

    ws = WsServer(world, handler)
    server = world.serve(world.conf(
        "[input.ws]\nplugin = cof-ws\nurl = %s\nreconnect_min = 10ms\nreconnect_max = 20ms\n"
        "batch_time = 20ms" % ws.url, filters=["ws"]))
    server.wait_stored(1)
    have = server.get("/query/cut.example").records
    equal([r["count"] for r in have], [1], "counts: once, as each other message was cut")
    check(ws.connections > len(cut), "connections: %d" % ws.connections)
    server.stop()
    equal(ws.wrong, [], "faults found by the websocket server")


@case("a handshake of Frame Streams, and frames, cut at each octet: whole frames are taken, once")
def frames_cut(world):
    path = world.path("tap.sock")
    conf = world.conf("[input.tap]\nplugin = dnstap\nsocket = %s\nlisten = 127.0.0.1:0\n"
                      "max_connections = 16" % path, filters=["tap"])
    server = world.serve(conf)
    tcp = ("127.0.0.1", int(server.wait_log(r"taking dnstap on tcp \S+ port (\d+)").group(1)))
    before = warm(server)
    frames = [wire.frame(wire.payload(wire.message(
        owner, answer=[wire.rr(owner, 1, wire.address("192.0.2.1"))]), zone="example"))
              for owner in ("one.example", "two.example")]
    start = wire.control(wire.READY, wire.CONTENT) + wire.control(wire.START, wire.CONTENT)
    text = start + b"".join(frames) + wire.control(wire.STOP)
    counts = [0, 0]
    for number, at in enumerate(offsets(len(text), 5)):
        until_closed([say_part((path, tcp)[number % 2], text[:at], "end")])
        counts[0] += at >= len(start) + len(frames[0])
        counts[1] += at >= len(start) + len(frames[0]) + len(frames[1])
    settled(server, before)
    server.wait_stored(sum(counts))
    have = {r["rrname"]: r["count"] for r in server.get("/query/192.0.2.1").records}
    equal(have, {"one.example": counts[0], "two.example": counts[1]}, "counts of whole frames")


@case("answers of Redis cut at each octet, from the login on: connected anew, nothing is missing")
def answers_cut(world):
    store = RedisStore(world, "compact", "database = 1\npassword = secret",
                       server=("--requirepass", "secret"))
    store.redis.password = "secret"
    proxy = Proxy(world, store.port)
    store.port = proxy.port
    plant = Plant(world, D4Feed(world), store)
    server = plant.serve()
    plant.feed.push(100)
    plant.drain(server)
    for at in offsets(120, 12):
        proxy.fault = tcpproxy.cut_at(at, up=False)
        cuts = proxy.cuts
        proxy.drop_all()
        plant.feed.push(20)
        until(lambda c=cuts: proxy.cuts > c, "a cut")
        proxy.fault = None
        plant.drain(server)
    plant.finish(server, exact=False)


@case("a start while answers of Redis are cut at each octet: it waits, and serves when that is over")
def start_cut(world):
    store = RedisStore(world, "compact", "database = 1\ncommand_timeout = 5m")
    proxy = Proxy(world, store.port)
    store.port = proxy.port
    plant = Plant(world, D4Feed(world), store)
    for at in offsets(40, 10):
        proxy.fault = tcpproxy.cut_at(at, up=False)
        cuts = proxy.cuts
        server = plant.start()
        until(lambda s=server, c=cuts: proxy.cuts > c or not s.running, "a cut")
        proxy.fault = None
        server.ready()
        plant.feed.push(20)
        plant.drain(server)
        server.stop()
    plant.compare(exact=True)


@case("%d idle connections: ingest goes on, others are served, and nothing of them stays"
      % rounds(300, 10000))
def idle(world):
    count = rounds(300, 10000)
    plant = Plant(world, D4Feed(world), Rocks(world), rest="max_connections = 12000\n"
                  "idle_timeout = 1h\nrequest_timeout = 1h")
    server = plant.serve(under=("prlimit", "--nofile=%d" % min(20000, count + 1000)))
    plant.feed.push(500)
    plant.drain(server)
    before, memory = warm(server), resident(server.process.pid)
    crowd = []
    for number in range(count):
        crowd.append(dial(server.urls[0]))
        if number % 3 == 0:
            crowd[-1].sendall(b"GET / HT")
    until(lambda: descriptors(server.process.pid) >= before + count - 10, "all to be connected")
    plant.feed.push(1000)
    plant.drain(server)
    equal(server.get("/query/www.d1.example").status, 200, "status meanwhile")
    print("# %d connections take %d KiB" % (count, (resident(server.process.pid) - memory) >> 10))
    for one in crowd:
        one.close()
    settled(server, before)
    equal(plant.finish(server, exact=True), 0, "counts above the true ones")


def vanish(one):
    """Close a socket of which the other side hears nothing, as when a machine loses its power."""
    try:
        one.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError as error:
        one.close()
        raise Skip("only root may let a connection vanish: %s" % error) from None
    one.close()


@case("half-open connections of clients that lost their power: closed after their time")
def half_open(world):
    # Longer than this script may stand still, which is not to be taken for such a client.
    server, address = live_output(world, "ping_interval = 1s\nidle_timeout = 15s")
    conf = world.conf(name="rest.conf", input=None, rest="idle_timeout = 15s\nrequest_timeout = 15s")
    with open(conf, encoding="utf-8") as file:
        text = file.read().replace(world.path("db"), world.path("db2"))
    rest = world.serve(world.write("rest.conf", text))
    before = warm(server), warm(rest)
    for number in range(5):
        one = dial(rest.urls[0])
        one.sendall(b"GET /query/a HTTP/1.1\r\nHost: x\r\n" + b"\r\n" * (number % 2))
        if number % 2:
            check(one.recv(12) == b"HTTP/1.1 200", "an answer")
        vanish(one)
        live = WebSocket(*address, timeout=DEADLINE)
        live.file.close()
        vanish(live.socket)
    settled(server, before[0])
    settled(rest, before[1])
    until(lambda: subscribers(server) == 0, "the subscribers to be gone")


@case("noise and cut handshakes where TLS is expected: closed, and others are served")
def tls_noise(world):
    certificate, key = make_certificate(world, "one")
    server, address = live_output(world, "certificate = %s\nkey = %s" % (certificate, key))
    rng = dice("tls")
    before = warm(server)
    hello = ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    one = context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    try:
        one.do_handshake()
    except ssl.SSLWantReadError:
        pass
    text = hello.read()
    for at in offsets(len(text), 40):
        say_part(address, text[:at], rng.choice(("leave", "reset")))
        at = rng.randrange(len(text))
        noise = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 60)))
        say_part(address, text[:at] + noise + text[at:], rng.choice(("leave", "reset")))
        say_part(address, noise, rng.choice(("leave", "reset")))
    settled(server, before)
    with WebSocket(*address, timeout=DEADLINE, tls=context) as live:
        until(lambda: subscribers(server) == 1, "the subscriber")
        feed_one(world, "after.example")
        equal(live.receive()["rrname"], "after.example", "the record that comes")


@case("a Redis that answers TLS with noise, then well: waited for, and the log says why")
def redis_noise(world):
    store = RedisStore(world, "compact", "command_timeout = 5m")
    certificate, key = make_certificate(world, "redis")
    plain = store.port
    answers = {"noise": True}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    world.cleanups.append(listener.close)

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=carry, args=(client,), daemon=True).start()

    def carry(client):
        try:
            if answers["noise"]:
                client.sendall(os.urandom(200))
                client.close()
                return
            inner = context.wrap_socket(client, server_side=True)
            server = socket.create_connection(("127.0.0.1", plain))
            threading.Thread(target=pump, args=(server, inner), daemon=True).start()
            pump(inner, server)
        except OSError:
            client.close()

    def pump(source, sink):
        try:
            for data in iter(lambda: source.recv(65536), b""):
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            one.close()

    threading.Thread(target=serve, daemon=True).start()
    store.port = listener.getsockname()[1]
    store.options += "\ntls = yes\nca_file = " + certificate
    plant = Plant(world, D4Feed(world), store)
    server = plant.start()
    server.wait_log("TLS: ")
    answers["noise"] = False
    server.ready()
    plant.feed.push(500)
    plant.drain(server)
    server.stop()
    store.port, store.options = plain, ""
    plain_plant = Plant(world, plant.feed, store)
    equal(plain_plant.compare(exact=True), 0, "counts above the true ones")


@case("a peer that sends one octet at a time, while others are quick: all is taken")
def slow_writer(world):
    path = world.path("tap.sock")
    conf = world.conf("[input.tap]\nplugin = dnstap\nsocket = " + path, filters=["tap"])
    server = world.serve(conf)
    server.wait_log("taking dnstap on")
    slow = wire.Sender(path, DEADLINE).open()
    text = wire.frame(wire.payload(wire.message("slow.example", answer=[
        wire.rr("slow.example", 1, wire.address("192.0.2.1"))]), zone="example"))
    quick = wire.frame(wire.payload(wire.message("quick.example", answer=[
        wire.rr("quick.example", 1, wire.address("192.0.2.2"))]), zone="example"))
    for number in range(len(text)):
        slow.send(text[number:number + 1])
        if number % 20 == 0:
            other = wire.Sender(path, DEADLINE).open()
            other.send(quick)
            other.finish()
            other.close()
    server.wait_stored(1 + len(range(0, len(text), 20)))
    slow.finish()
    slow.close()


if __name__ == "__main__":
    main()
