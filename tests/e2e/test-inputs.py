#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The logs of three sensors as inputs: followed over rotation and kill -9, standard input, sockets."""
import glob
import gzip
import json
import os
import random
import socket
import stat
import subprocess
import time

from cofdtest import DEADLINE, SANITIZED, case, check, equal, main, until

ROUNDS = 3 if SANITIZED else 5
CHUNK = int(os.environ.get("COFD_TEST_LINES", "300"))
CLIENT = "10.11.12.13"


class Passivedns:
    """Lines of the passivedns sensor."""
    plugin = "passivedns-log"
    header = ""

    @staticmethod
    def line(name, address):
        return "1500000000.123456||%s||10.0.0.53||IN||%s.||A||%s||60||1\n" % (CLIENT, name, address)


class Eve:
    """Suricata's EVE, the three versions in turn."""
    plugin = "suricata-eve"
    header = '{"timestamp":"2017-07-14T02:40:00.1+0000","event_type":"stats","stats":{}}\n'

    @staticmethod
    def line(name, address):
        answer = {"rrname": name, "rrtype": "A", "ttl": 60, "rdata": address}
        version = 1 + len(name) % 3
        dns = [dict(answer, type="answer"),
               {"version": 2, "type": "answer", "rrname": name, "grouped": {"A": [address]}},
               {"version": 3, "type": "response", "queries": [{"rrname": name, "rrtype": "A"}],
                "answers": [answer]}][version - 1]
        return json.dumps({"timestamp": "2017-07-14T02:40:00.123456+0000", "event_type": "dns",
                           "src_ip": CLIENT, "dns": dns}, separators=(",", ":")) + "\n"


class Zeek:
    """Zeek's dns.log in TSV; every file begins with a header."""
    plugin = "zeek-dns"
    header = ("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
              "#path\tdns\n#open\t2017-07-14-02-40-00\n"
              "#fields\tts\tuid\tid.orig_h\tid.resp_p\tquery\tqclass\tqtype_name\tanswers\tTTLs\n"
              "#types\ttime\tstring\taddr\tport\tstring\tcount\tstring\tvector[string]\t"
              "vector[interval]\n")

    @staticmethod
    def line(name, address):
        return "1500000000.123456\tCx\t%s\t53\t%s\t1\tA\t%s\t60.000000\n" % (CLIENT, name, address)


SENSORS = (Passivedns, Eve, Zeek)


def chunk(sensor, number, count=CHUNK):
    """Lines of one round, all with one address; the last names in them show that all is read."""
    return [sensor.line("n%d-%d.example" % (number, i), "192.0.2.%d" % number)
            for i in range(count)]


def append(path, lines):
    with open(path, "a", encoding="ascii") as out:
        out.write("".join(lines))


def names(server, number):
    return sorted(r["rrname"] for r in
                  server.get("/query/192.0.2.%d" % number, headers={"Limit": "0"}).records)


def expected(number, count=CHUNK):
    return sorted("n%d-%d.example" % (number, i) for i in range(count))


def counter(server, name):
    for one in server.info()["plugins"]:
        if (one["kind"], one["instance"]) == ("input", "in"):
            return dict(one["counters"], **one["gauges"])[name]
    raise AssertionError("no counter %s" % name)


def no_clients(server):
    """Nobody who asked may be seen in the log or in what is stored."""
    check(not any(CLIENT in line for line in server.log()), "a client's address is in the log")
    equal(server.get("/query/" + CLIENT).body, b"", "records with a client's address")


def followed(world, sensor):
    """Lines are appended, the log is rotated, and cofd is killed, again and again."""
    path = world.write("log/sensor.log", sensor.header)
    conf = world.conf(plugin=sensor.plugin, input="path = %s*\nrotate_wait = 100ms" % path,
                      chain="window_records = 100\nwindow_time = 20ms\nqueue_batches = 2")
    rng = random.Random(7)
    for number in range(ROUNDS):
        server = world.serve(conf)
        lines = chunk(sensor, number)
        half = rng.randrange(len(lines))
        append(path, lines[:half])
        os.rename(path, "%s.%d" % (path, number))
        # The sensor goes on with the old file for a moment, and a line is not written at once.
        cut = len(lines[half]) // 2
        append("%s.%d" % (path, number), [lines[half][:cut]])
        append(path, [sensor.header] + lines[half + 1:])
        append("%s.%d" % (path, number), [lines[half][cut:]])
        # Any moment is as good: the pause only spreads the kills over the work.
        time.sleep(rng.random() * 0.1)
        server.kill()
    server = world.serve(conf)
    for number in range(ROUNDS):
        until(lambda n=number: len(names(server, n)) == CHUNK, "round %d" % number)
        equal(names(server, number), expected(number), "names of round %d" % number)
    equal(counter(server, "rejected"), 0, "rejected")
    no_clients(server)
    # What was read to its end is not read again, and what comes then is.
    world.wait_read(*glob.glob(path + "*"))
    before = server.info()["stats"]
    server.stop()
    server = world.serve(conf)
    append(path, [sensor.line("last.example", "198.51.100.1")])
    until(lambda: server.get("/query/last.example").body, "the last line")
    equal(server.info()["stats"], before + 1, "observations")
    check(os.path.exists(world.path("state", "in.positions")), "positions are remembered")


def from_stdin(world, sensor):
    """Standard input, plain, with a bad line and an unfinished one."""
    conf = world.conf(plugin=sensor.plugin, input="path = -")
    server = world.serve(conf, stdin=subprocess.PIPE)
    text = sensor.header + "".join(chunk(sensor, 1)) + "||%s|| rubbish\n" % CLIENT
    text += "".join(chunk(sensor, 2)) + sensor.line("cut.example", "198.51.100.1")[:-6]
    server.process.stdin.write(text.encode("ascii"))
    server.process.stdin.close()
    until(lambda: counter(server, "rejected") == 2, "two lines to be rejected")
    until(lambda: len(names(server, 1)) + len(names(server, 2)) == 2 * CHUNK, "all lines")
    equal(names(server, 2), expected(2), "names")
    # Counted once the chain has them, and so perhaps after they are stored.
    until(lambda: counter(server, "records") == 2 * CHUNK, "all records to be counted")
    server.wait_log(r"-:\d+: ")
    no_clients(server)


def imported(world, sensor):
    """`cofd import` of a compressed log, through the chain's input."""
    conf = world.conf(plugin=sensor.plugin, input="path = nonsuch")
    text = sensor.header + "".join(chunk(sensor, 1))
    path = world.write("old.log.gz", gzip.compress(text.encode("ascii")))
    world.done("import", "-c", conf, path)
    server = world.serve(conf)
    equal(names(server, 1), expected(1), "names")


for one in SENSORS:
    case("%s: followed over rotations, killed %d times" % (one.plugin, ROUNDS))(
        lambda world, sensor=one: followed(world, sensor))
    case("%s: standard input" % one.plugin)(lambda world, sensor=one: from_stdin(world, sensor))
    case("%s: import of a compressed log" % one.plugin)(
        lambda world, sensor=one: imported(world, sensor))


@case("zeek-dns: JSON lines, and a log in which the columns change")
def zeek_forms(world):
    path = world.write("dns.log", Zeek.header + Zeek.line("a.example", "192.0.2.1") +
                       "#close\t2017-07-14-03-40-00\n#separator \\x09\n"
                       "#fields\tanswers\tqtype_name\tquery\tts\n"
                       "192.0.2.1\tA\tb.example\t1500000001.5\n"
                       '{"ts":1500000002.5,"query":"c.example","qtype_name":"A",'
                       '"answers":["d.example","192.0.2.1"],"TTLs":[1.0,2.0]}\n')
    server = world.serve(world.conf(plugin="zeek-dns", input="path = " + path))
    server.wait_stored(4)
    equal(sorted(r["rrname"] for r in server.get("/query/192.0.2.1").records),
          ["a.example", "b.example", "d.example"], "names")
    equal(server.get("/query/c.example").records[0]["rdata"], "d.example", "the alias")


@case("passivedns-log: columns, delimiter and JSON")
def passivedns_forms(world):
    path = world.write("x.log", "1500000000\ta.example.\tA\t192.0.2.1\t7\n"
                       '{"timestamp_s":1500000000,"timestamp_ms":5,"client":"%s","class":"IN",'
                       '"query":"b.example.","type":"A","answer":"192.0.2.1","ttl":1,"count":3}\n'
                       % CLIENT)
    server = world.serve(world.conf(plugin="passivedns-log",
                                    input="path = %s\nfields = SQTAn\ndelimiter = \\t" % path))
    server.wait_stored(2)
    equal(sorted((r["rrname"], r["count"]) for r in server.get("/query/192.0.2.1").records),
          [("a.example", 7), ("b.example", 3)], "records")
    no_clients(server)
    server.stop()
    path = world.write("y.log", "1500000000;c.example.;A;192.0.2.2\n")
    conf = "path = %s\nfields = SQTA\ndelimiter" % path
    done = world.run("check", "-c", world.conf(plugin="passivedns-log", input=conf + " = ;"))
    check("delimiter: has to be 1 to 16 octets" in done.stderr, done.stderr)
    server = world.serve(world.conf(plugin="passivedns-log", input=conf + "=;"))
    until(lambda: "c.example" in server.get("/query/192.0.2.2").text, "the line with semicolons")


# --- sockets ---------------------------------------------------------------------------------------

def unix(path, kind=socket.SOCK_STREAM):
    one = socket.socket(socket.AF_UNIX, kind)
    one.settimeout(DEADLINE)
    one.connect(path)
    return one


def send(one, lines):
    one.sendall("".join(lines).encode("ascii"))


@case("suricata-eve: a Unix socket, over a kill -9 and a socket file that is removed")
def eve_socket(world):
    path = world.path("eve.sock")
    conf = world.conf(plugin="suricata-eve", input="socket = %s\nsocket_mode = 0620" % path)
    server = world.serve(conf)
    server.wait_log("taking lines on unix ")
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o620, "permissions")
    peers = [unix(path) for _ in range(3)]
    lines = chunk(Eve, 1)
    for number, peer in enumerate(peers):
        send(peer, lines[number::3])
    until(lambda: len(names(server, 1)) == CHUNK, "all lines")
    equal(counter(server, "peers"), 3, "connections")
    # Lines in pieces, from two at once.
    a, b = Eve.line("a.example", "192.0.2.9"), Eve.line("b.example", "192.0.2.9")
    send(peers[0], [a[:20]])
    send(peers[1], [b[:30]])
    send(peers[0], [a[20:]])
    send(peers[1], [b[30:]])
    until(lambda: names(server, 9) == ["a.example", "b.example"], "lines in pieces")
    for peer in peers:
        peer.close()
    until(lambda: counter(server, "peers") == 0, "connections to end")
    # The file of the socket stays behind, and is replaced.
    server.kill()
    check(os.path.exists(path), "the socket's file outlives a kill")
    server = world.serve(conf)
    server.wait_log("taking lines on unix ")
    with unix(path) as peer:
        send(peer, chunk(Eve, 2))
    until(lambda: len(names(server, 2)) == CHUNK, "all lines after the kill")
    # Somebody cleans up too well.
    os.unlink(path)
    server.wait_log("the socket was removed; making it again")
    server.wait_log("taking lines on unix ", 2)
    with unix(path) as peer:
        send(peer, chunk(Eve, 3))
    until(lambda: len(names(server, 3)) == CHUNK, "all lines after that")
    # Another one may not take it away.
    second = world.conf(plugin="suricata-eve", input="socket = " + path, name="second.conf")
    with open(second, encoding="utf-8") as text:
        other = text.read().replace(world.path("db"), world.path("db2"))
    world.write("second.conf", other)
    failed = world.run("run", "-c", second)
    check(failed.returncode != 0, "a second cofd on the same socket starts")
    check("another process listens on it" in failed.stderr, failed.stderr)
    with unix(path) as peer:
        send(peer, [Eve.line("c.example", "192.0.2.10")])
    until(lambda: names(server, 10) == ["c.example"], "the first to go on")
    server.stop()
    check(not os.path.exists(path), "the socket's file is left behind")


@case("suricata-eve: datagrams")
def eve_datagrams(world):
    path = world.path("eve.sock")
    conf = world.conf(plugin="suricata-eve", input="socket = %s\nsocket_type = dgram" % path)
    server = world.serve(conf)
    server.wait_log("taking lines on unix ")
    with unix(path, socket.SOCK_DGRAM) as peer:
        for number, line in enumerate(chunk(Eve, 1)):
            peer.send(line.rstrip("\n" if number % 2 else "").encode("ascii"))
        peer.send(b"")
        peer.send("".join(chunk(Eve, 2, 3)).encode("ascii"))
    until(lambda: len(names(server, 1)) == CHUNK, "all datagrams")
    until(lambda: names(server, 2) == expected(2, 3), "three lines in a datagram")
    equal(counter(server, "rejected"), 0, "rejected")


@case("a path that is no socket is left alone")
def no_socket(world):
    path = world.write("eve.sock", "precious")
    failed = world.run("run", "-c", world.conf(plugin="suricata-eve", input="socket = " + path))
    check(failed.returncode != 0, "it starts")
    check("is there already, and is no socket" in failed.stderr, failed.stderr)
    with open(path, encoding="ascii") as text:
        equal(text.read(), "precious", "content")


@case("passivedns-log: TCP, bounded in connections, and broken lines")
def passivedns_tcp(world):
    conf = world.conf(plugin="passivedns-log",
                      input="listen = 127.0.0.1:0\nmax_peers = 2\nmax_line = 2K\n"
                            "socket = %s\npeer_timeout = 0" % world.path("p.sock"))
    server = world.serve(conf)
    port = int(server.wait_log(r"taking lines on tcp 127\.0\.0\.1:(\d+)").group(1))

    def connect():
        return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)

    with connect() as first, unix(world.path("p.sock")) as second:
        send(first, chunk(Passivedns, 1))
        send(second, chunk(Passivedns, 2))
        until(lambda: len(names(server, 1)) + len(names(server, 2)) == 2 * CHUNK, "all lines")
        with connect() as third:
            equal(third.recv(10), b"", "what one connection too many gets")
        until(lambda: counter(server, "peers_refused") == 1, "a connection to be refused")
        server.wait_log("refused, as max_peers")
        # A line without end is passed over, and the next one taken.
        send(first, ["x" * 70000, "\n", Passivedns.line("after.example", "192.0.2.9")])
        until(lambda: names(server, 9) == ["after.example"], "the line behind the long one")
        equal(counter(server, "rejected"), 1, "rejected")
        # One that breaks off within a line: what it sent may be the beginning of another name.
        send(second, [Passivedns.line("cut.example", "192.0.2.8")[:-3]])
        second.close()
        until(lambda: counter(server, "rejected") == 2, "a line that was cut off to be rejected")
    until(lambda: counter(server, "peers") == 0, "connections to end")
    with connect() as again:
        send(again, [Passivedns.line("again.example", "192.0.2.7")])
        until(lambda: names(server, 7) == ["again.example"], "a new connection")
    no_clients(server)


@case("passivedns-log: a connection that is silent for peer_timeout is ended")
def passivedns_silence(world):
    server = world.serve(world.conf(plugin="passivedns-log",
                                    input="listen = 127.0.0.1:0\npeer_timeout = 1s"))
    port = int(server.wait_log(r"taking lines on tcp 127\.0\.0\.1:(\d+)").group(1))

    def silence():
        """One line, and then nothing; false where this script was silent before the line already."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as peer:
                send(peer, [Passivedns.line("before.example", "192.0.2.9")])
                equal(peer.recv(10), b"", "what a silent connection gets")
        except ConnectionError:
            pass
        return names(server, 9) == ["before.example"]
    until(silence, "the line before a silence that ends the connection")
    until(lambda: counter(server, "peers") == 0, "the connection to end")


@case("back-pressure: a peer that sends faster than the storage takes is held, and nothing is lost")
def held(world):
    lines = 4000 if SANITIZED else 20000
    conf = world.conf(plugin="passivedns-log", input="listen = 127.0.0.1:0\nbatch_records = 10",
                      chain="window_records = 50\nqueue_batches = 1\nwindow_time = 20ms")
    server = world.serve(conf)
    port = int(server.wait_log(r"taking lines on tcp 127\.0\.0\.1:(\d+)").group(1))
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as peer:
        for start in range(0, lines, 500):
            send(peer, [Passivedns.line("h%d.example" % i, "192.0.2.1")
                        for i in range(start, start + 500)])
    server.wait_stored(lines)
    until(lambda: counter(server, "lines") == lines, "all lines to be counted")
    equal(counter(server, "rejected"), 0, "rejected")
    equal(len(names(server, 1)), lines, "names")


if __name__ == "__main__":
    main()
