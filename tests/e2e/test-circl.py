#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""CIRCL's conventions on /query: paging and filtering by headers, also while data is written.

The client here pages the way PyPDNS does: same path, same headers, same demands on the answer."""
import base64
import json
import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request

from cofdtest import DEADLINE, SANITIZED, Skip, case, check, equal, main, until
from redisproc import Redis
from restclient import key_entry, within_a_day, write_secret

PAGES = 8 if SANITIZED else 16
STORES = ("rocksdb", "redis compact", "redis d4")


class PDNSError(Exception):
    """Any status that has no exception of its own."""


class UnauthorizedError(PDNSError):
    pass


class ForbiddenError(PDNSError):
    pass


class RateLimitError(PDNSError):
    pass


class ServerError(PDNSError):
    pass


def error_of(status):
    known = {401: UnauthorizedError, 403: ForbiddenError, 429: RateLimitError}
    return known.get(status, ServerError if 500 <= status <= 599 else PDNSError)


class Client:
    """Asks as PyPDNS does."""

    def __init__(self, url, disable_active_query=False, authorization=None):
        self.url = url
        self.headers = {"User-Agent": "PyPDNS / 2.3"}
        if authorization:
            self.headers["Authorization"] = authorization
        if disable_active_query:
            self.headers["dribble-disable-active-query"] = "1"

    def ask(self, question, **headers):
        """Records, errors and cursor of one answer."""
        request = urllib.request.Request(self.url + "/" + question, headers=dict(
            self.headers, **{k.replace("_", "-"): str(v) for k, v in headers.items()}))
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                body = answer.read().decode("utf-8")
                cursor = answer.headers.get("x-dribble-cursor")
                errors = json.loads(answer.headers.get("x-dribble-errors", "{}"))
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8")
            check(text.endswith("\n") and text.splitlines()[0], "an error is a line of text")
            raise error_of(error.code)(text) from None
        check(cursor is None or 0 < int(cursor) < 2 ** 63, "a cursor of 63 bits")
        records = [json.loads(line) for line in body.split("\n") if line.strip()]
        for record in records:
            typed(record)
        return records, errors, int(cursor) if cursor is not None else None

    def rfc_query(self, question, filter_rrtype=None):
        headers = {"dribble_filter_rrtype": filter_rrtype} if filter_rrtype else {}
        return sorted(self.ask(question, **headers)[0], key=lambda r: r["time_last"], reverse=True)

    def iter_query(self, question, count=50, between=None, **headers):
        """Pages, each as a list; `between` is called after each."""
        cursor = 0
        while cursor is not None:
            if cursor > 0:
                headers["dribble_paginate_cursor"] = cursor
            records, _, cursor = self.ask(question, dribble_paginate_count=count, **headers)
            yield records
            if between:
                between()


def typed(record):
    """What PyPDNS demands of the fields."""
    check(isinstance(record["rrname"], str), "rrname")
    check(isinstance(record["rdata"], str), "rdata")
    check(isinstance(record["rrtype"], int) or record["rrtype"] == record["rrtype"].upper(),
          "rrtype")
    check(not str(record["rrtype"]).startswith("TYPE"), "a type without a mnemonic is a number")
    for field in ("time_first", "time_last", "count"):
        check(type(record[field]) is int, field)  # pylint: disable=unidiomatic-typecheck
    check(isinstance(record["origin"], str), "origin")


def line(rrname, rrtype, rdata, first=100, last=200, **more):
    return json.dumps(dict(rrname=rrname, rrtype=rrtype, rdata=rdata, time_first=first,
                           time_last=last, **more)) + "\n"


def numbered(name, count):
    return [line(name, "TXT", '"%04d"' % n) for n in range(count)]


class Store:
    """A server over some storage, with a followed file to write by."""

    def __init__(self, world, kind="rocksdb", lines=(), rest=""):
        self.path = world.write("in.ndjson", "".join(lines))
        self.written = len(lines)
        self.redis = None
        storage = "plugin = rocksdb\npath = " + world.path("db")
        if kind != "rocksdb":
            self.redis = Redis(world, "redis")
            storage = "plugin = redis\nserver = 127.0.0.1:%d\nlayout = %s\ncommand_timeout = 5m" % (
                self.redis.port, kind.split()[1])
        os.makedirs(world.path("state"), exist_ok=True)
        self.server = world.serve(world.write("cofd.conf", "\n".join((
            "[cofd]", "state_dir = " + world.path("state"), "[input.in]", "plugin = cof-file",
            "path = " + self.path, "follow = yes", "poll_interval = 10ms", "batch_time = 5ms",
            "[storage.db]", storage, "[output.api]", "plugin = rest", "listen = 127.0.0.1:0", rest,
            "[chain.main]", "route = in -> db -> api", "window_time = 10ms")) + "\n"))
        self.client = Client(self.url("/query"))
        self.stored()

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.server.urls[0][1], path)

    def stored(self):
        self.server.wait_stored(self.written)

    def write(self, lines):
        """Append lines, and wait until they are stored."""
        with open(self.path, "a", encoding="ascii") as out:
            out.write("".join(lines))
        self.written += len(lines)
        self.stored()


def key(record):
    return record["rrname"], record["rrtype"], record["rdata"]


def each_once(pages, before, what):
    """Every record that was there at the beginning comes exactly once, and none twice."""
    got = [key(record) for page in pages for record in page]
    equal(len(got), len(set(got)), what + ": records, each once")
    missing = set(before) - set(got)
    equal(missing, set(), what + ": records that were there and did not come")
    return got


# --- the vectors ------------------------------------------------------------------------------

@case("nothing found is 200 and nothing, also when paging")
def nothing(world):
    client = Store(world).client
    equal(client.ask("nope.example"), ([], {}, None), "nope.example")
    equal(list(client.iter_query("nope.example")), [[]], "pages")


@case("120 records page as 50, 50 and 20, and the last page has no cursor")
def pages_of_120(world):
    store = Store(world, lines=[line("n.example", "TXT", '"%03d"' % n, last=1000 + n)
                                for n in range(120)])
    equal([len(page) for page in store.client.iter_query("n.example")], [50, 50, 20], "pages")
    equal([len(page) for page in store.client.iter_query("n.example", count=60)], [60, 60],
          "pages that fit exactly")
    equal([len(page) for page in store.client.iter_query("n.example", count=120)], [120],
          "a page of all")
    whole = store.client.rfc_query("n.example")
    equal([r["time_last"] for r in whole], [1119 - n for n in range(120)], "rfc_query, sorted")
    alias = Client(store.url("/pdns/query"), disable_active_query=True)
    equal(list(alias.iter_query("n.example")), list(store.client.iter_query("n.example")),
          "pages of /pdns/query")
    for path in ("/query//n.example", "/pdns/query//n.example", "//pdns//query/n.example"):
        equal(len(store.server.get(path).records), 120, "records of " + path)


@case("any case and a trailing dot give the same octets")
def spelling(world):
    store = Store(world, lines=[line("example.com", "A", "192.0.2.1")])
    want = store.server.get("/query/example.com").body
    check(want, "an answer")
    for path in ("/query/EXAMPLE.com.", "/pdns/query/EXAMPLE.com."):
        equal(store.server.get(path).body, want, path)


@case("dribble-filter-rrtype keeps one type, in any spelling; an unknown one is an empty answer")
def types(world):
    store = Store(world, lines=[line("n.example", "A", "192.0.2.1"),
                                line("n.example", "AAAA", "2001:db8::1"),
                                line("n.example", "TYPE65280", "\\# 1 ff"),
                                line("m.example", "MX", "10 n.example"),
                                line("m.example", "A", "192.0.2.1")])
    ask = store.client.ask
    for word in ("aaaa", "AAAA", "28", "TYPE28"):
        equal([r["rrtype"] for r in ask("n.example", dribble_filter_rrtype=word)[0]], ["AAAA"],
              word)
    equal([r["rrtype"] for r in ask("n.example", dribble_filter_rrtype="65280")[0]], [65280],
          "a type without a name")
    records, errors, cursor = ask("n.example", dribble_filter_rrtype="NOPE")
    equal((records, list(errors), cursor), ([], ["rrtype"], None), "an unknown type")
    equal([key(r) for r in store.client.rfc_query("n.example", filter_rrtype="A")],
          [("n.example", "A", "192.0.2.1")], "rfc_query with a filter")
    pivot = Client(store.url("/fquery"))
    equal([key(r) for r in pivot.ask("192.0.2.1", dribble_filter_rrtype="MX")[0]],
          [("m.example", "MX", "10 n.example")], "a filter of a pivot")


@case("odd octets come as escapes, an error as one line")
def odd(world):
    store = Store(world, lines=[line("o.example", "TXT", '"a\\000b\\255"')])
    answer = store.server.get("/query/o.example")
    check(b"\\\\000" in answer.body and b"\\\\255" in answer.body, "escapes in %r" % answer.body)
    check(b"\\u0000" not in answer.body and answer.body.isascii(), "no raw octets")
    for path in ("/query/a..b", "/query/%zz", "/nope"):
        body = store.server.get(path).body
        check(body.endswith(b"\n") and body.count(b"\n") == 1 and len(body) > 10, "one line")


@case("the statuses are those that the client tells apart")
def statuses(world):
    store = Store(world, "redis d4", [line("n.example", "A", "192.0.2.1")])
    equal(len(store.client.ask("n.example")[0]), 1, "records")
    for question, headers in (("a..b", {}), ("n.example", {"dribble_paginate_count": 0}),
                              ("n.example", {"dribble_paginate_cursor": 5})):
        try:
            store.client.ask(question, **headers)
            check(False, "%s %s was answered" % (question, headers))
        except PDNSError as error:
            equal(type(error), PDNSError, "what a mistake is to the client")
    store.redis.kill()
    try:
        store.client.ask("n.example")
        check(False, "answered without a storage")
    except ServerError:
        pass
    store.redis.start()
    until(lambda: store.server.get("/query/n.example").status == 200, "the storage to be back")


def raised(client, question, **headers):
    """The class of the exception that a question ends in."""
    try:
        client.ask(question, **headers)
    except PDNSError as error:
        return type(error)
    return None


def guarded(world, *entries):
    """A store whose records are for those with a key alone."""
    users = write_secret(world, "users", "".join(entries))
    return Store(world, lines=numbered("n.example", 30),
                 rest="users = %s\nanonymous = stats\nauth_failures = 0" % users)


@case("wrong credentials, a lacking scope and a spent quota are 401, 403 and 429")
def credentials(world):
    store = guarded(world, key_entry("alice", "a"), key_entry("stat", "s", "scopes=stats"),
                    key_entry("poor", "p", "quota=2"))
    basic = "Basic " + base64.b64encode(b"alice:a").decode()
    for token in ("alice.a", "Bearer alice.a", basic):
        client = Client(store.url("/pdns/query"), authorization=token)
        equal([len(page) for page in client.iter_query("n.example", count=20)], [20, 10], token)
    for token, want in ((None, UnauthorizedError), ("alice.b", UnauthorizedError),
                        ("nobody.a", UnauthorizedError), ("stat.s", ForbiddenError)):
        equal(raised(Client(store.url("/query"), authorization=token), "n.example"), want, token)
    poor = Client(store.url("/query"), authorization="poor.p")
    within_a_day()
    equal([raised(poor, "n.example") for _ in range(3)], [None, None, RateLimitError], "a quota")


@case("a cursor is of the key that got it: to another one it does not exist")
def keys(world):
    store = guarded(world, key_entry("alice", "a"), key_entry("bob", "b"))
    alice, bob = (Client(store.url("/query"), authorization=token)
                  for token in ("alice.a", "bob.b"))
    _, _, cursor = alice.ask("n.example", dribble_paginate_count=10)
    texts = set()
    for number in (cursor, cursor ^ 1):
        answer = store.server.get("/query/n.example", headers={
            "Authorization": "bob.b", "dribble-paginate-count": "10",
            "dribble-paginate-cursor": str(number)})
        equal(answer.status, 400, "status")
        texts.add(answer.text)
    equal(len(texts), 1, "a cursor of another key looks like none: %s" % texts)
    equal(len(alice.ask("n.example", dribble_paginate_count=10,
                        dribble_paginate_cursor=cursor)[0]), 10, "the page of its owner")
    equal([len(page) for page in bob.iter_query("n.example", count=25)], [25, 5], "his own pages")


# --- headers ----------------------------------------------------------------------------------

@case("a wrong header is 400, which names it")
def wrong_headers(world):
    server = Store(world, lines=[line("n.example", "TXT", '"%d"' % n) for n in range(9)]).server
    wrong = [("dribble-paginate-count", value) for value in ("0", "-1", "x", "", "1.5", "+5", "1 ",
                                                             "9223372036854775808", "9" * 40)]
    wrong += [("dribble-paginate-cursor", value) for value in (
        "-1", "x", "1e3", "9223372036854775808", "0x10", "12345")]
    for name, value in wrong:
        if value == "1 ":
            continue  # the white space is not of the value
        answer = server.get("/query/n.example", headers={name: value})
        equal(answer.status, 400, "%s: %s" % (name, value))
        text = json.loads(answer.text)["error"]
        check("cursor" in text if "cursor" in name else name in text, text)
        check("expected" in text, "what was expected: " + text)
    equal(server.get("/query/n.example", headers={"dribble-paginate-count": "2",
                                                  "dribble-paginate-cursor": "0"}).status, 200,
          "0, the beginning")


@case("a page is at most 1000 records, whatever is asked")
def clamp(world):
    store = Store(world, lines=[line("n.example", "TXT", '"%04d"' % n) for n in range(1500)])
    equal([len(page) for page in store.client.iter_query("n.example", count=2 ** 62)],
          [1000, 500], "pages")
    equal(len(store.client.ask("n.example")[0]), 1500, "records without paging")


@case("a page of large records ends early, with a cursor")
def large(world):
    lines = [line("n.example", "TXT", " ".join('"%s%04d"' % ("x" * 240, n) for _ in range(100)))
             for n in range(200)]
    store = Store(world, lines=lines)
    sizes = [len(page) for page in store.client.iter_query("n.example", count=1000)]
    equal(sum(sizes), 200, "records")
    check(len(sizes) > 2 and max(sizes) < 150, "several pages: %r" % sizes)


@case("an answer that max_records cuts says so in x-dribble-errors")
def cut(world):
    store = Store(world, lines=[line("n.example", "TXT", '"%d"' % n) for n in range(9)],
                  rest="max_records = 5")
    records, errors, cursor = store.client.ask("n.example")
    equal((len(records), list(errors), cursor), (5, ["limit"], None), "unpaged")
    equal([len(p) for p in store.client.iter_query("n.example", count=5)], [5, 4], "paged")


# --- cursors ----------------------------------------------------------------------------------

@case("a cursor is good again and again, for its own question alone")
def again(world):
    store = Store(world, lines=numbered("n.example", 30) + numbered("m.example", 30))
    _, _, cursor = store.client.ask("n.example", dribble_paginate_count=10)
    first = store.client.ask("n.example", dribble_paginate_count=10,
                             dribble_paginate_cursor=cursor)[0]
    for _ in range(3):
        equal(store.client.ask("n.example", dribble_paginate_count=10,
                               dribble_paginate_cursor=cursor)[0], first, "the same page")
    equal(len(store.client.ask("n.example", dribble_paginate_count=20,
                               dribble_paginate_cursor=cursor)[0]), 20, "a page of another size")
    for path, headers in (("/query/m.example", {}), ("/fquery/n.example", {}),
                          ("/query/n.example", {"dribble-filter-rrtype": "TXT"})):
        answer = store.server.get(path, headers=dict(
            headers, **{"dribble-paginate-count": "10", "dribble-paginate-cursor": str(cursor)}))
        equal(answer.status, 400, path)
        check("another question" in answer.text, answer.text)


@case("a cursor ends when it is not used, and says so")
def expired(world):
    store = Store(world, lines=numbered("n.example", 30), rest="cursor_expire = 100ms")
    _, _, cursor = store.client.ask("n.example", dribble_paginate_count=10)

    def gone():
        import time  # pylint: disable=import-outside-toplevel
        time.sleep(0.15)
        return store.server.get("/query/n.example",
                                headers={"dribble-paginate-cursor": str(cursor)}).status == 400
    until(gone, "the cursor to end")
    answer = store.server.get("/query/n.example", headers={"dribble-paginate-cursor": str(cursor)})
    check("no longer kept" in answer.text and "from the beginning" in answer.text, answer.text)


@case("however many cursors there are, they take bounded memory, and the newest are good")
def bounded(world):
    store = Store(world, lines=numbered("n.example", 30), rest="cursor_memory = 64K")
    connection = store.server.connect()
    cursors = []
    for _ in range(300):
        connection.request("GET", "/query/n.example", headers={"dribble-paginate-count": "10"})
        answer = connection.getresponse()
        answer.read()
        cursors.append(answer.getheader("x-dribble-cursor"))
    equal(len(set(cursors)), 300, "different cursors")

    def status(cursor):
        return store.server.get("/query/n.example", headers={
            "dribble-paginate-count": "10", "dribble-paginate-cursor": cursor}).status
    equal(status(cursors[-1]), 200, "the newest cursor")
    equal(status(cursors[0]), 400, "the oldest cursor")
    equal([len(page) for page in store.client.iter_query("n.example", count=7)],
          [7, 7, 7, 7, 2], "paging is as before")


@case("several clients page at once, each through its own answer")
def together(world):
    count = 8
    store = Store(world, lines=[one for n in range(count)
                                for one in numbered("n%d.example" % n, 60)])
    wrong = []

    def page(number):
        name = "n%d.example" % number
        try:
            got = [key(r) for p in store.client.iter_query(name, count=7) for r in p]
            if got != [(name, "TXT", '"%04d"' % n) for n in range(60)]:
                wrong.append((name, got))
        except Exception as error:  # pylint: disable=broad-except
            wrong.append((name, repr(error)))

    threads = [threading.Thread(target=page, args=(n,)) for n in list(range(count)) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(wrong, [], "answers")


# --- while data is written --------------------------------------------------------------------

def questions():
    """Path, question, and the lines of its answer: forward, by rdata, and a pivot."""
    count = 10 * PAGES
    forward = [("many.example", "TXT", '"%05d"' % (10 * n)) for n in range(count)]
    reverse = [("r%05d.example" % (10 * n), "A", "198.51.100.7") for n in range(count)]
    return (("/query", "many.example", forward, lambda n: ("many.example", "TXT", '"%05d"' % n)),
            ("/query", "198.51.100.7", reverse,
             lambda n: ("r%05d.example" % n, "A", "198.51.100.7")),
            ("/fquery", "198.51.100.7", reverse,
             lambda n: ("r%05d.example" % n, "A", "198.51.100.7")))


def writing(world, kind):
    everything = questions()
    lines = [line(*one) for one in {one for q in everything for one in q[2]}]
    store = Store(world, kind, lines)
    for path, question, before, make in everything:
        client, step = Client(store.url(path)), [0]

        def write():
            # Before, between and after what was there, and what was there once more.
            step[0] += 1
            new = [make(10 * n + step[0] % 9 + 1) for n in range(0, len(before), 7)]
            store.write([line(*one) for one in new + before[::5]])

        pages = list(client.iter_query(question, count=17, between=write))
        check(step[0] >= len(before) // 17, "there was writing between the pages")
        each_once(pages, before, "%s %s/%s" % (kind, path, question))
        # And all that is there now.
        now = list(client.iter_query(question, count=33))
        whole = client.ask(question)[0]
        got = each_once(now, [key(r) for r in whole], "all pages afterwards")
        equal(len(got), len(whole), "as many as in one answer")


for _kind in STORES:
    case("%s: each record that was there comes exactly once while others are written" % _kind)(
        lambda world, kind=_kind: writing(world, kind))


@case("rocksdb: a writer that never rests takes and adds nothing")
def restless(world):
    before = [("r%05d.example" % (10 * n), "A", "198.51.100.7") for n in range(20 * PAGES)]
    store = Store(world, lines=[line(*one) for one in before])
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            with open(store.path, "a", encoding="ascii") as out:
                out.write("".join(line("r%05d.example" % ((n * 7919 + number) % 9999), "A",
                                       "198.51.100.7") for n in range(20)))
            stop.wait(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for path in ("/query", "/fquery"):
            pages = list(Client(store.url(path)).iter_query("198.51.100.7", count=13))
            each_once(pages, before, path)
    finally:
        stop.set()
        writer.join()


# --- a client that others wrote ---------------------------------------------------------------

@case("dnsdbq -u circl finds names and addresses at either path")
def dnsdbq(world):
    if not shutil.which("dnsdbq"):
        raise Skip("dnsdbq is not installed")
    store = Store(world, lines=[line("www.example.com", "A", "192.0.2.1", count=3),
                                line("www.example.com", "AAAA", "2001:db8::1"),
                                line("b.example", "A", "192.0.2.1")])
    for path in ("/query", "/pdns/query", "/query/"):
        conf = world.write("dnsdbq.conf", "CIRCL_SERVER=%s\nCIRCL_AUTH=a:b\n" % store.url(path))
        env = dict(os.environ, HOME=world.directory, DNSDBQ_CONFIG_FILE=conf)

        def run(*arguments):
            done = subprocess.run(["dnsdbq", "-u", "circl", "-j", *arguments], env=env, timeout=DEADLINE,
                                  capture_output=True, text=True, check=False)
            equal(done.returncode, 0, "status of dnsdbq %r, which wrote %s"
                  % (arguments, done.stderr))
            return sorted(key(json.loads(one)) for one in done.stdout.splitlines())
        equal(run("-r", "www.example.com"), [("www.example.com", "A", "192.0.2.1"),
                                             ("www.example.com", "AAAA", "2001:db8::1")], "-r")
        equal(run("-i", "192.0.2.1"), [("b.example", "A", "192.0.2.1"),
                                       ("www.example.com", "A", "192.0.2.1")], "-i")
        equal(run("-i", "2001:db8::1"), [("www.example.com", "AAAA", "2001:db8::1")], "-i of IPv6")
        equal(len(run("-r", "www.example.com", "-l", "1")), 1, "-l 1")


if __name__ == "__main__":
    main()
