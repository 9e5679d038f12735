#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The live output: what is stored comes to those who subscribe, by real sockets and a browser."""
import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading

import generate
import redisproc
from cofdtest import DEADLINE, SANITIZED, Skip, case, check, die_with_parent, equal, main, until
from wsclient import Closed, Refused, WebSocket

RECORDS = int(os.environ.get("COFD_TEST_LINES", "2000" if SANITIZED else "10000"))
TOKEN = "correct-horse-battery-staple"


def record(name, rrtype="A", rdata="192.0.2.1", first=10, last=20, count=1):
    return {"rrname": name, "rrtype": rrtype, "rdata": rdata, "time_first": first,
            "time_last": last, "count": count}


class Live:
    """A cofd with an input file that grows, a live output, and a REST output."""

    def __init__(self, world, live="", storage=None, host="", chain="window_time = 20ms"):
        self.world, self.source = world, world.write("in.ndjson", "")
        self.fed = self.opened = 0
        conf = world.write("cofd.conf", """[cofd]
state_dir = %s
%s
[input.in]
plugin = cof-file
path = %s
follow = yes
[storage.db]
%s
[output.api]
plugin = rest
listen = 127.0.0.1:0
[output.live]
plugin = cof-ws
listen = 127.0.0.1:0
%s
[chain.main]
route = in -> db -> api, live
%s
""" % (world.path("state"), host, self.source,
            storage or "plugin = rocksdb\npath = " + world.path("db"), live, chain))
        self.server = world.serve(conf, outputs=2)
        found = self.server.wait_log(r"listening on wss?://(\S+?):(\d+)/")
        self.host, self.port = found.group(1), int(found.group(2))

    def feed(self, records):
        """Put records into the input's file at once."""
        with open(self.source, "a", encoding="ascii") as out:
            out.write("".join(json.dumps(one) + "\n" for one in records))
        self.fed += len(records)

    def store(self, records):
        """Feed records and wait until they are stored, and outputs were told so."""
        self.feed(records)
        self.server.wait_stored(self.fed)
        self.world.wait_read(self.source)

    def open(self, path="/", headers=None, **options):
        """Subscribe. The answer to the upgrade is sent before the subscriber is one."""
        options.setdefault("timeout", DEADLINE)
        opened = WebSocket(self.host, self.port, path, headers, **options)
        self.opened += 1
        until(lambda: self.metric("subscriptions") >= self.opened, "the subscription to be made")
        return opened

    def refused(self, path="/", headers=None):
        """Status and text of a request that must be refused."""
        try:
            self.open(path, headers).close()
        except Refused as refused:
            return refused.status, refused.text
        raise AssertionError("%s was let in" % path)

    def metric(self, name):
        return self.server.metric("live", name)


def key(one):
    return (one["rrname"], one["rrtype"], one["rdata"])


def collect(socket_, store):
    """Receive until what came adds up to a model; returns the number of messages."""
    sums, messages = {}, 0
    while sums != store:
        one = socket_.receive()
        messages += 1
        have = sums.setdefault(key(one), [one["time_first"], one["time_last"], 0])
        have[0] = min(have[0], one["time_first"])
        have[1] = max(have[1], one["time_last"])
        have[2] += one["count"]
        check(have[2] <= store[key(one)][2], "%r came %d times" % (key(one), have[2]))
    return messages


@case("%d records: what comes adds up to the model, for two subscribers" % RECORDS)
def all_comes(world):
    live = Live(world)
    with live.open() as one, live.open("/?new=0") as two:
        until(lambda: live.metric("subscribers") == 2, "two subscribers")
        made = list(generate.observations(RECORDS))
        live.feed(made)
        store = generate.model(made)
        have = collect(one, store)
        equal(collect(two, store), have, "messages to the second")
        check(len(store) <= have < RECORDS, "%d messages for %d tuples" % (have, len(store)))
        # Counted once it is sent, and so perhaps after it came.
        until(lambda: live.metric("sent") >= 2 * have, "all to be counted")
        equal(live.metric("sent"), 2 * have, "messages sent")
    until(lambda: live.metric("subscribers") == 0, "both to be gone")


@case("a record in the feed has the fields of the format, and origin where it is configured")
def fields(world):
    live = Live(world, "origin = https://pdns.example/\n")
    with live.open() as one:
        live.feed([record("Host.Example", "AAAA", "2001:DB8::1", 10, 20, 7)])
        equal(one.receive(), {"time_first": 10, "time_last": 20, "count": 7, "rrtype": "AAAA",
                              "rrname": "host.example", "rdata": "2001:db8::1",
                              "origin": "https://pdns.example/"}, "message")


@case("rrtype and suffix narrow the feed; labels with dots in them are no subdomains")
def narrowed(world):
    live = Live(world)
    names = ["a.example.com", "example.com", "aexample.com", "b.example.net", "a\\.example.com"]
    made = [record(name, rrtype, rdata) for name in names
            for rrtype, rdata in (("A", "192.0.2.1"), ("AAAA", "2001:db8::1"), ("TXT", '"x"'))]
    wanted = {
        "/?rrtype=A,AAAA&suffix=example.com":
            {(n, t) for n in names[:2] for t in ("A", "AAAA")},
        "/?suffix=Example.COM.": {(n, t) for n in names[:2] for t in ("A", "AAAA", "TXT")},
        "/?suffix=example.net,com&rrtype=TYPE1": {(n, "A") for n in names},
        "/?rrtype=16": {(n, "TXT") for n in names},
        "/?suffix=%2e": {(n, t) for n in names for t in ("A", "AAAA", "TXT")},
    }
    sockets = {path: live.open(path) for path in wanted}
    live.feed(made)
    for path, want in wanted.items():
        have = {(one["rrname"], one["rrtype"]) for one in sockets[path].records(len(want))}
        equal(have, want, path)
    end = record("end.example.com")
    live.feed([end, record("end.example.com", "TXT", '"end"')])
    for path, one in sockets.items():
        equal(one.receive()["rrname"], "end.example.com", "nothing more came at " + path)
        one.close()


def only_new(world, storage):
    live = Live(world, storage=storage)
    live.store([record("known%d.example" % n) for n in range(50)])
    with live.open("/?new=1") as new, live.open() as every:
        until(lambda: live.metric("subscribers") == 2, "two subscribers")
        live.store([record("known%d.example" % n, last=30) for n in range(50)] +
                   [record("fresh%d.example" % n) for n in range(50)] +
                   [record("known1.example", "AAAA", "2001:db8::1")])
        names = {key(one) for one in new.records(51)}
        equal(names, {("fresh%d.example" % n, "A", "192.0.2.1") for n in range(50)} |
              {("known1.example", "AAAA", "2001:db8::1")}, "new tuples")
        live.store([record("fresh%d.example" % n) for n in range(50)])
        live.store([record("end.example")])
        equal(new.receive()["rrname"], "end.example", "nothing comes as new twice")
        equal(sum(one["count"] for one in every.records(152)[:152]), 152, "all counts")


@case("new=1: only what the storage did not hold: rocksdb")
def new_rocksdb(world):
    only_new(world, None)


@case("new=1: only what the storage did not hold: rocksdb, whole files ingested")
def new_rocksdb_bulk(world):
    only_new(world, "plugin = rocksdb\nbulk_records = 1\npath = " + world.path("db"))


@case("new=1: only what the storage did not hold: redis, layout d4")
def new_d4(world):
    redis = redisproc.Redis(world, "redis")
    only_new(world, "plugin = redis\nserver = 127.0.0.1:%d\nlayout = d4" % redis.port)


@case("new=1: only what the storage did not hold: redis, layout compact")
def new_compact(world):
    redis = redisproc.Redis(world, "redis")
    only_new(world, "plugin = redis\nserver = 127.0.0.1:%d\nlayout = compact" % redis.port)


@case("bad parameters get status 400 and a text that says what is wrong")
def bad_parameters(world):
    live = Live(world)
    for path, word in (("/?rrtype=NONSENSE", "rrtype"), ("/?rrtype=", "rrtype"),
                       ("/?rrtype=A&rrtype=NS", "twice"), ("/?suffix=a..b", "suffix"),
                       ("/?suffix=", "suffix"), ("/?new=yes", "1 or 0"), ("/?limit=5", "unknown"),
                       ("/?rrtype", "NAME=VALUE"), ("/?rrtype=" + "A," * 64 + "A", "64"),
                       ("/?suffix=" + ",".join("s%d.example" % n for n in range(17)), "16")):
        status, text = live.refused(path)
        equal(status, 400, "status of " + path)
        check(word in text, "%s: %r has no %r in it" % (path, text, word))
    status, text = live.refused("/feed")
    equal(status, 404, "status of another path")
    until(lambda: live.metric("refused") == 11, "11 to be counted as refused")
    with live.open() as one:
        live.feed([record("still.example")])
        equal(one.receive()["rrname"], "still.example", "it serves on")


@case("a subscriber that sends something is disconnected with 1008")
def talkative(world):
    live = Live(world)
    with live.open() as one:
        one.send(1, b"hello")
        _, closed = one.rest()
        equal(closed.status, 1008, "status")


@case("tokens: by header or parameter, read again on SIGHUP; without one, 401")
def tokens(world):
    path = world.write("tokens", "# for the tests\n%s\n" % TOKEN)
    live = Live(world, "tokens = %s\n" % path)
    for where, headers in (("/", {}), ("/?token=", {}), ("/?token=" + TOKEN[:-1], {}),
                           ("/?token=%s9" % TOKEN, {}), ("/?token=" + 300 * "x", {}),
                           ("/", {"Authorization": "Bearer wrong-token-of-some-length"}),
                           ("/", {"Authorization": "Basic " + TOKEN}),
                           ("/?token=" + TOKEN, {"Authorization": "Bearer nonsense-nonsense"})):
        equal(live.refused(where, headers)[0], 401, "status of %s %s" % (where, headers))
    live.open("/?token=" + TOKEN).close()
    live.open("/", {"Authorization": "Bearer " + TOKEN}).close()
    fresh = TOKEN[::-1]
    world.write("tokens", fresh + "\n")
    live.server.send(signal.SIGHUP)
    live.server.wait_log("reloaded")
    equal(live.refused("/?token=" + TOKEN)[0], 401, "the old token")
    live.open("/?token=" + fresh).close()
    world.write("tokens", "short\n")
    live.server.send(signal.SIGHUP)
    live.server.wait_log(r"tokens:1: is no token; expected 16 to 256")
    live.open("/?token=" + fresh).close()
    check(not any(TOKEN in line or fresh in line for line in live.server.log()), "no token is logged")


@case("pages of other sites may not subscribe unless they are allowed")
def origins(world):
    live = Live(world, "allow_origin = https://soc.example\n")
    own = "http://127.0.0.1:%d" % live.port
    for origin in (own, "https://soc.example", "https://SOC.example"):
        live.open("/", {"Origin": origin}).close()
    live.open("/").close()
    for origin in ("https://evil.example", "http://soc.example", "null", own + "0"):
        status, text = live.refused("/", {"Origin": origin})
        equal(status, 403, "status for " + origin)
        check("allow_origin" in text, "the text names the option")


@case("above the connection limit comes 503, until somebody leaves")
def limited(world):
    live = Live(world, "connections = 2\n")
    one, two = live.open(), live.open()
    status, text = live.refused()
    equal(status, 503, "status")
    check("2 subscribers" in text, "the text says how many")
    one.close()
    until(lambda: live.metric("subscribers") == 1, "one to be gone")
    three = live.open()
    live.feed([record("a.example")])
    for one in (two, three):
        equal(one.receive()["rrname"], "a.example", "record")
        one.close()


def certify(world, name, kind):
    """A certificate for localhost with a new key, of the kind ec or rsa; paths of both."""
    if shutil.which("openssl") is None:
        raise Skip("openssl is not installed")
    cert, secret = world.path(name + ".pem"), world.path(name + "-key.pem")
    key = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["rsa:2048"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", secret,
                    "-out", cert], check=True, capture_output=True, timeout=DEADLINE)
    return cert, secret


@case("TLS: wss works with the certificate, and plain text does not")
def tls(world):
    cert, secret = certify(world, "one", "ec")
    live = Live(world, "certificate = %s\nkey = %s\n" % (cert, secret))
    live.server.wait_log(r"listening on wss://")
    with live.open(tls=ssl.create_default_context(cafile=cert)) as one:
        made = [record("tls%d.example" % n) for n in range(500)]
        live.feed(made)
        equal(collect(one, generate.model(made)), 500, "messages")
        live.open("/", {"Origin": "https://127.0.0.1:%d" % live.port},
                  tls=ssl.create_default_context(cafile=cert)).close()
    try:
        live.open(tls=ssl.create_default_context()).close()
        raise AssertionError("an unknown certificate was taken")
    except ssl.SSLError:
        pass
    try:
        live.open(timeout=10).close()
        raise AssertionError("plain text was taken")
    except (Closed, OSError, ValueError, IndexError):
        pass


@case("TLS: a new certificate after SIGHUP; who is connected stays; a bad one changes nothing")
def renewed(world):
    pairs = [certify(world, name, kind) for name, kind in (("one", "ec"), ("two", "rsa"))]
    used = world.path("cert.pem"), world.path("key.pem")

    def install(cert, secret):
        for source, target in zip((cert, secret), used):
            shutil.copy(source, target)

    def trusted(cert):
        context = ssl.create_default_context(cafile=cert)
        context.check_hostname = False
        return context

    install(*pairs[0])
    live = Live(world, "certificate = %s\nkey = %s\n" % used)
    old = live.open(tls=trusted(pairs[0][0]))
    install(*pairs[1])
    live.server.send(signal.SIGHUP)
    live.server.wait_log("reloaded")
    fresh = live.open(tls=trusted(pairs[1][0]))
    try:
        live.open(tls=trusted(pairs[0][0]))
        raise AssertionError("the old certificate is still shown")
    except ssl.SSLError:
        pass
    live.feed([record("a.example")])
    for one in (old, fresh):
        equal(one.receive()["rrname"], "a.example", "record")
        one.close()
    install(pairs[0][0], pairs[1][1])
    live.server.send(signal.SIGHUP)
    live.server.wait_log(r"key: \S+key.pem cannot be used")
    live.open(tls=trusted(pairs[1][0])).close()


def slow_and_fast(world, overflow):
    """A subscriber that does not read, and one that does; returns both and the feed's sums."""
    live = Live(world, "overflow = %s\nqueue_messages = 1000\nqueue_bytes = 1M\n" % overflow,
                chain="window_time = 20ms\nwindow_records = 500")
    slow, fast = live.open(receive_buffer=4096), live.open()
    until(lambda: live.metric("subscribers") == 2, "two subscribers")
    return live, slow, fast


def feed_until(live, fast, done):
    """Feed until done(), while the fast one reads all. Returns the number of records."""
    fed = 0
    until_done = 0
    while until_done < 1:
        made = [record("n%d.%s.example" % (n, 10 * "long"), "TXT", '"%s"' % (200 * "x"))
                for n in range(fed, fed + 500)]
        live.feed(made)
        fed += 500
        for want, one in zip(made, sorted(fast.records(500),
                                          key=lambda r: int(r["rrname"].split(".")[0][1:]))):
            equal(one["rrname"], want["rrname"], "record of the fast one")
        until_done += done()
        check(fed < 1000000, "something to happen to the slow one")
    return fed


@case("overflow = disconnect: the slow one goes with 1013 and a reason, the fast one gets all")
def slow_disconnected(world):
    live, slow, fast = slow_and_fast(world, "disconnect")
    feed_until(live, fast, lambda: live.metric("disconnected") == 1)
    messages, closed = slow.rest()
    equal(closed.status, 1013, "status of the close")
    check("too slow" in closed.reason, "reason %r" % closed.reason)
    check(messages, "what was under way before came")
    equal([int(m["rrname"].split(".")[0][1:]) for m in messages][:1], [0], "from the first on")
    live.feed([record("after.example")])
    equal(fast.receive()["rrname"], "after.example", "the fast one goes on")
    equal(live.server.get("/query/after.example").status, 200, "stored")
    check(live.metric("dropped") > 0, "metric dropped")
    slow.close()
    fast.close()


@case("overflow = skip: the slow one is told how many it missed, and none is missing otherwise")
def slow_skips(world):
    live, slow, fast = slow_and_fast(world, "skip")
    fed = feed_until(live, fast, lambda: live.metric("skipped") > 0)
    live.feed([record("end.example")])
    equal(fast.receive()["rrname"], "end.example", "the fast one has all")
    got = skipped = told = 0
    while True:
        one = slow.receive()
        if "cofd_skipped" in one:
            skipped += one["cofd_skipped"]
            told += 1
            equal(one["msg"], "skipped %d records" % one["cofd_skipped"], "text")
        elif one["rrname"] == "end.example":
            break
        else:
            got += 1
    equal(got + skipped, fed, "what came and what was skipped")
    check(told >= 1 and got > 0, "it was told")
    equal(live.metric("skipped"), skipped, "metric")
    slow.close()
    fast.close()


@case("a subscriber that does not read does not keep the chain from storing")
def chain_goes_on(world):
    live = Live(world, "queue_bytes = 64K\nbacklog_bytes = 1M\n")
    idle = [live.open(receive_buffer=4096) for _ in range(3)]
    live.store(list(generate.observations(RECORDS)))
    equal(live.server.info()["stats"], RECORDS, "stored")
    for one in idle:
        one.close()


@case("pings keep an idle subscriber; one that does not answer is disconnected")
def pings(world):
    # The one that answers may stand still for a while, too.
    live = Live(world, "ping_interval = 1s\nidle_timeout = 15s\n")
    alive, dead = live.open(), live.open()
    reader = threading.Thread(target=lambda: alive.rest())
    reader.start()
    until(lambda: live.metric("subscribers") == 1, "the silent one to be disconnected")
    until(lambda: alive.pings >= 3, "pings")
    equal(live.metric("subscribers"), 1, "the one that answers is still there")
    live.server.stop()
    reader.join(DEADLINE)
    check(not reader.is_alive(), "the end was told")
    alive.close()
    dead.close()


@case("a stop sends what is stored, then closes with 1001")
def stopped(world):
    live = Live(world)
    with live.open() as one:
        until(lambda: live.metric("subscribers") == 1, "a subscriber")
        made = list(generate.observations(500))
        live.feed(made)
        live.server.wait_stored(500)
        live.server.stop()
        messages, closed = one.rest()
        equal(closed.status, 1001, "status of the close")
        equal(sum(m["count"] for m in messages), sum(m["count"] for m in made), "counts")


@case("plain HTTP: the page, 404, 405, and nothing by page = no")
def plain_http(world):
    live = Live(world)

    def ask(method, path, port=live.port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body
    answer, body = ask("GET", "/?rrtype=A")
    equal(answer.status, 200, "status")
    equal(answer.getheader("content-type"), "text/html; charset=utf-8", "type")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                           "../../plugins/output/cof-ws/page.html"), "rb") as page:
        equal(body, page.read(), "page")
    head, nothing = ask("HEAD", "/")
    equal((head.status, nothing), (200, b""), "HEAD")
    equal(ask("GET", "/x")[0].status, 404, "another path")
    equal(ask("POST", "/")[0].status, 405, "POST")


class Browser:
    """A headless Chromium with one page, asked over its debugging socket."""

    def __init__(self, world, url):
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        if chromium is None:
            raise Skip("chromium is not installed")
        profile = tempfile.mkdtemp(prefix="cofd-chromium-")
        world.cleanups.append(lambda: shutil.rmtree(profile, ignore_errors=True))
        self.process = subprocess.Popen(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0",
             "--window-size=1200,800", "--user-data-dir=" + profile, url],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        world.cleanups.insert(0, self.end)
        self.number = 0
        port = until(lambda: self._port(profile), "the browser's debugging port")
        target = until(lambda: self._target(port, url), "the page")
        self.socket = WebSocket("127.0.0.1", port, target[target.index("/devtools"):],
                                timeout=DEADLINE)

    def _port(self, profile):
        check(self.process.poll() is None, "the browser ended")
        try:
            with open(os.path.join(profile, "DevToolsActivePort"), encoding="ascii") as lines:
                return int(lines.readline())
        except (OSError, ValueError):
            return None

    @staticmethod
    def _target(port, url):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        connection.request("GET", "/json/list")
        pages = json.loads(connection.getresponse().read())
        connection.close()
        return next((page["webSocketDebuggerUrl"] for page in pages
                     if page["type"] == "page" and page["url"].startswith(url[:20])), None)

    def call(self, method, **parameters):
        """A method of the debugging protocol; returns its result."""
        self.number += 1
        self.socket.send(1, json.dumps({"id": self.number, "method": method,
                                        "params": parameters}).encode())
        while True:
            answer = self.socket.receive()
            if answer.get("id") == self.number:
                return answer["result"]

    def value(self, expression):
        """What an expression is in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        check("exceptionDetails" not in result, "%s: %r" % (expression, result))
        return result["result"].get("value")

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def column(page, kind):
    return page.value("[...document.querySelectorAll('td.%s')].map(td => td.textContent)" % kind)


@case("a browser opens the page, connects, and shows what arrives through its filter")
def browser(world):
    live = Live(world)
    page = Browser(world, "http://127.0.0.1:%d/?rrtype=A,AAAA&suffix=example.com" % live.port)
    until(lambda: live.metric("subscribers") == 1, "the page to subscribe")
    until(lambda: page.value("document.getElementById('state').textContent") == "live", "its state")
    live.feed([record("n%d.example.%s" % (n, end), rrtype, rdata) for n in range(20)
               for end in ("com", "net") for rrtype, rdata in
               (("A", "192.0.2.%d" % n), ("AAAA", "2001:db8::%x" % n), ("TXT", '"<b>%d</b>"' % n))])
    until(lambda: len(column(page, "name")) == 40, "40 rows")
    equal(set(column(page, "name")), {"n%d.example.com" % n for n in range(20)}, "names")
    equal(sorted(set(column(page, "type"))), ["A", "AAAA"], "types")
    until(lambda: page.value("document.getElementById('count').textContent") == "40", "count")
    world.wait_read(live.source)  # what the filter holds back may have been the last of it

    # Another filter, typed in: the page subscribes anew.
    page.value("""document.getElementById('rrtype').value = 'TXT';
                  document.getElementById('suffix').value = '';
                  document.getElementById('new').checked = true;
                  document.getElementById('rrtype').onchange()""")
    until(lambda: live.metric("subscriptions") == 2 and live.metric("subscribers") == 1, "it to")
    live.feed([record("n1.example.com", "TXT", '"<b>1</b>"'),
               record("fresh.example.org", "TXT", '"<img src=x onerror=alert(1)>"')])
    until(lambda: len(column(page, "name")) == 41, "one row more")
    equal(column(page, "name")[0], "fresh.example.org", "the newest on top")
    equal(column(page, "data")[0], '"<img src=x onerror=alert(1)>"', "data, as text")
    equal(page.value("document.images.length"), 0, "no data became markup")
    shot = os.environ.get("COFD_TEST_SCREENSHOT")
    if shot:
        with open(shot, "wb") as out:
            out.write(base64.b64decode(page.call("Page.captureScreenshot")["data"]))

    # A filter that is none, and a server that goes.
    page.value("document.getElementById('rrtype').value = 'NONSENSE';"
               "document.getElementById('rrtype').onchange()")
    until(lambda: page.value("document.getElementById('state').textContent") == "refused", "refusal")
    page.value("document.getElementById('rrtype').value = '';"
               "document.getElementById('form').onsubmit(new Event('submit'))")
    until(lambda: page.value("document.getElementById('state').textContent") == "live", "its return")
    live.server.stop()
    until(lambda: page.value("document.getElementById('state').textContent") in
          ("reconnecting", "connecting", "refused"), "the page to see the end")


@case("a wrong setting is an error that names it")
def settings(world):
    def problem(lines):
        conf = world.write("bad.conf", """[storage.db]
plugin = rocksdb
path = %s
[output.live]
plugin = cof-ws
%s
[chain.main]
route = db -> live
""" % (world.path("db"), lines))
        done = world.run("check", "-c", conf)
        check(done.returncode != 0, "%s passed the check" % lines)
        return done.stderr + done.stdout
    check("key is missing" in problem("certificate = x.pem"), "a key must be there")
    check("ping_interval" in problem("ping_interval = 60s\nidle_timeout = 30s"), "timeouts")
    check("scheme and host" in problem("allow_origin = soc.example"), "origin")
    check("skip" in problem("overflow = wait"), "choices")


@case("a port that is taken, and a certificate that is none, are errors that name them")
def cannot_start(world):
    taken = socket.create_server(("127.0.0.1", 0))
    for lines, word in (("listen = 127.0.0.1:%d" % taken.getsockname()[1],
                         r"cannot listen on 127.0.0.1 port \d+: Address already in use"),
                        ("listen = 127.0.0.1:0\ncertificate = %s\nkey = %s" % (2 * (__file__,)),
                         r"certificate: \S+ cannot be used: no start line"),
                        ("listen = 127.0.0.1:0\ntokens = /nonexistent",
                         r"tokens: /nonexistent: No such file")):
        conf = world.write("cofd.conf", """[storage.db]
plugin = rocksdb
path = %s
[output.live]
plugin = cof-ws
%s
[chain.main]
route = db -> live
""" % (world.path("db"), lines))
        server = world.start(conf)
        server.wait_log(word)
        check(server.wait() != 0, "it does not run")
    taken.close()


if __name__ == "__main__":
    main()
