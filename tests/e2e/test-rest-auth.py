#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Users and API keys: how they are shown, what they may, how much, and what a stranger learns."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

from cofdtest import SAMPLE, Skip, case, check, equal, main, until
from restclient import (NAME, ask, basic, key_entry, password_entry, status, within_a_day,
                        write_secret)

USERS = (key_entry("alice", "s3cret-of-alice") + "# a comment\n\n" +
         key_entry("stat", "s3cret-of-stat", "scopes=stats") +
         password_entry("bob", "pass:word", "scopes=query,stats") +
         key_entry("root", "s3cret-of-root", "scopes=admin"))
ALICE = {"X-API-Key": "alice.s3cret-of-alice"}
ROOT = {"X-API-Key": "root.s3cret-of-root"}


def serve(world, users=USERS, more="", feed=SAMPLE):
    path = write_secret(world, "users", users)
    conf = world.conf(input="path = " + feed, rest="users = %s\n%s" % (path, more))
    server = world.serve(conf)
    until(lambda: server.get("/readyz").status == 200, "it is ready")
    return server


def reload(server, pattern=r"reloaded "):
    after = len(server.log())
    server.send(signal.SIGHUP)
    server.wait_log(pattern, after=after)


@case("a key as X-API-Key, Bearer, bare token and by Basic; a password by Basic")
def ways(world):
    server = serve(world)
    until(lambda: server.get(NAME, headers=ALICE).body, "the samples")
    secret = "alice.s3cret-of-alice"
    for headers in (ALICE, {"x-api-key": secret}, {"Authorization": "Bearer " + secret},
                    {"Authorization": "bearer  " + secret}, {"Authorization": secret},
                    basic("alice", "s3cret-of-alice"), basic("bob", "pass:word"),
                    basic("bob", "pass:word")):
        equal(len(status(server, NAME, headers).records), 1, "records with %s" % headers)


@case("who has no credentials, or wrong ones, learns nothing, whichever part is wrong")
def strangers(world):
    server = serve(world, more="auth_failures = 0")
    answers = set()
    for headers in ({"X-API-Key": "alice.wrong"}, {"X-API-Key": "nobody.wrong"},
                    {"X-API-Key": "alice"}, {"X-API-Key": ""}, {"X-API-Key": "." * 5000},
                    {"X-API-Key": "bob.pass:word"}, {"Authorization": "Bearer alice.s3cret"},
                    {"Authorization": "Basic !!!"}, {"Authorization": "Basic"},
                    {"Authorization": "Digest username=alice"}, basic("alice", "wrong"),
                    basic("bob", "wrong"), basic("nobody", "wrong"), basic("bob", ""),
                    basic("alice", "s3cret-of-alice2"), basic("b" * 300, "c" * 700)):
        for path in (NAME, "/query/none.example", "/info", "/metrics", "/nowhere"):
            answer = status(server, path, headers, 401)
            fixed = {k: v for k, v in answer.headers.items() if k != "date"}
            answers.add((answer.text, tuple(sorted(fixed.items()))))
    equal(len(answers), 1, "different answers: %s" % answers)
    connection = server.connect()
    connection.request("GET", NAME)
    ways_in = connection.getresponse().headers.get_all("WWW-Authenticate")
    equal([way.split()[0] for way in ways_in], ["Basic", "Bearer"], "how to ask for it")
    # Dates from the clients of DNSDB: 403 and a line of text.
    answer = status(server, "/dnsdb/v2/lookup/rrset/name/a.example", {"X-API-Key": "k"}, 403)
    equal(answer.text, "Error: Provided API key is not valid.\n", "text")


def cpu_clock(pid):
    """The clock of the processor time of a process, as clock_getcpuclockid(3) tells it."""
    return ~pid << 3 | 2


@case("an unknown name by Basic takes as much work as a wrong password")
def timing(world):
    hard = subprocess.run(["openssl", "passwd", "-6", "secret"], capture_output=True, check=True,
                          text=True).stdout.strip()
    server = serve(world, "bob %s\n" % hard + key_entry("alice", "s"), "auth_failures = 0")

    def spent(headers):
        clock = cpu_clock(server.process.pid)
        begin = time.clock_gettime(clock)
        for _ in range(7):
            status(server, NAME, headers, 401)
        return time.clock_gettime(clock) - begin
    known = min(spent(basic("bob", "wrong")) for _ in range(3))  # a start takes some as well
    for name in ("nobody", "alice"):
        check(spent(basic(name, "wrong")) > known / 4, "%s is refused with less work than bob" % name)


@case("scopes: query, stats, admin, and none of them for the rest")
def scopes(world):
    server = serve(world)
    stat = {"X-API-Key": "stat.s3cret-of-stat"}
    for headers, want in ((ALICE, (200, 403, 403)), (stat, (403, 200, 403)),
                          (basic("bob", "pass:word"), (200, 200, 403)), (ROOT, (200, 200, 200)),
                          ({}, (401, 401, 401))):
        have = tuple(server.get(p, headers=headers).status for p in (NAME, "/info", "/metrics"))
        equal(have, want, "statuses with %s" % headers)
    for path in ("/healthz", "/readyz"):
        for headers in ({}, ALICE, {"X-API-Key": "alice.wrong"}):
            status(server, path, headers)


@case("anonymous access by option, with scopes and limits of its own")
def anonymous(world):
    server = serve(world, more="anonymous = query\nanonymous_quota = 3")
    within_a_day()
    have = tuple(server.get(p).status for p in (NAME, "/info", "/metrics"))
    equal(have, (200, 401, 401), "statuses")
    status(server, NAME, {"X-API-Key": "alice.wrong"}, 401)
    equal([server.get(NAME).status for _ in range(4)], [200, 200, 429, 429], "until the quota")
    for _ in range(5):
        status(server, NAME, ALICE)


@case("without users: anonymous says what everybody may, and any key is taken")
def open_server(world):
    conf = world.conf(input="path = " + SAMPLE, rest="anonymous = query")
    server = world.serve(conf)
    have = tuple(server.get(p, headers={"X-API-Key": "any"}).status
                 for p in (NAME, "/info", "/metrics"))
    equal(have, (200, 403, 403), "statuses")


@case("a rate per key: 429 with Retry-After, after which it goes on; others notice nothing")
def rate(world):
    server = serve(world, key_entry("fast", "one", "rate=3/2s") + key_entry("other", "two"))
    fast = {"X-API-Key": "fast.one"}
    connection = server.connect()
    begin = time.monotonic()
    answers = [ask(connection, NAME, headers=fast) for _ in range(10)]
    refused = [a for a in answers if a.status == 429]
    spent = time.monotonic() - begin
    passed = len(answers) - len(refused)
    check(3 <= passed <= 3 + spent / (2 / 3) + 1, "%d passed in %.1f s" % (passed, spent))
    if spent < 0.5:
        equal([a.status for a in answers[:4]], [200, 200, 200, 429], "statuses")
        equal(answers[0].headers["x-ratelimit-limit"], "3", "X-RateLimit-Limit")
        equal([int(a.headers["x-ratelimit-remaining"]) for a in answers[:4]], [2, 1, 0, 0], "left")
    for answer in refused:
        check(1 <= int(answer.headers["retry-after"]) <= 2, "Retry-After")
    equal(status(server, NAME, {"X-API-Key": "other.two"}).headers.get("x-ratelimit-limit"), None,
          "header of a key without limits")
    if refused:
        time.sleep(int(refused[0].headers["retry-after"]))
    equal(ask(connection, NAME, headers=fast).status, 200, "status after Retry-After")


@case("a daily quota per key, which a reload neither resets nor mixes up")
def quota(world):
    users = key_entry("few", "one", "quota=3") + key_entry("many", "two", "quota=1000")
    server = serve(world, users)
    few, many = {"X-API-Key": "few.one"}, {"X-API-Key": "many.two"}
    within_a_day()
    for left in (2, 1):
        answer = status(server, NAME, few)
        equal((answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]),
              ("3", str(left)), "headers")
        reset = int(answer.headers["x-ratelimit-reset"]) - time.time()
        check(-60 < reset <= 86400 + 60, "the quota begins anew in %d s" % reset)
    equal(int(answer.headers["x-ratelimit-reset"]) % 86400, 0, "a whole day")
    write_secret(world, "users", key_entry("new", "three") + users)
    reload(server)
    status(server, NAME, {"X-API-Key": "new.three"})
    status(server, NAME, few)
    answer = status(server, NAME, few, 429)
    check(0 < int(answer.headers["retry-after"]) <= 86400, "Retry-After")
    status(server, "/healthz", few)
    equal(status(server, NAME, many).headers["x-ratelimit-remaining"], "999", "of the other key")
    answer = status(server, "/dnsdb/v2/lookup/rrset/name/a.example", few, 429)
    check(answer.text.startswith("Error: "), "text for clients of DNSDB: %r" % answer.text)


@case("each path of a question takes of the quota, however many slashes are in it")
def slashes(world):
    paths = ("/query/a.example", "//query//a.example", "/fquery/a.example", "/pdns/query/a.example",
             "/pdns//query/a.example", "//pdns///query//a.example",
             "/dnsdb/v2/lookup/rrset/name/a.example", "/dnsdb//v2/lookup/rrset/name/a.example",
             "//dnsdb///v2/summarize/rrset/name/a.example", "/api/v1/records?name=a.example")
    server = serve(world, key_entry("few", "one", "quota=%d" % len(paths)))
    few = {"X-API-Key": "few.one"}
    within_a_day()
    for number, path in enumerate(paths):
        equal(status(server, path, few).headers["x-ratelimit-remaining"],
              str(len(paths) - number - 1), path)
    for path in paths:
        status(server, path, few, 429)


@case("requests at once per key are bounded, and given back")
def concurrent(world):
    lines = "".join('{"rrname": "many.example", "rrtype": "TXT", "rdata": "%s%d", "time_first": 1, '
                    '"time_last": 2}\n' % ("x" * 1000, n) for n in range(8000))
    users = (key_entry("two", "s", "concurrent=2") +
             key_entry("root", "s3cret-of-root", "scopes=admin"))
    server = serve(world, users, "gzip = no\nquery_timeout = 4m", world.write("feed", lines))
    until(lambda: json.loads(server.get("/info", headers=ROOT).text)["stats"] == 8000, "the feed")
    key = {"X-API-Key": "two.s"}
    held = []
    for _ in range(2):
        connection = server.connect()
        # Little is taken off the server, so that the answer lasts.
        connection.sock = socket.socket()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sock.connect(server.urls[0])
        connection.request("GET", "/query/many.example", headers=key)
        held.append((connection, connection.getresponse()))
    dnsdb = "/dnsdb/v2/%s/rrset/name/example.com"
    for path in (NAME, "/pdns" + NAME, "/fquery/192.0.2.1", "/api/v1/records?name=example.com",
                 dnsdb % "lookup", dnsdb % "summarize"):
        answer = status(server, path, key, 503)
        check(int(answer.headers["retry-after"]) >= 1, "Retry-After of " + path)
        wanted = "Error: " if path.startswith("/dnsdb/") else '{"error": "'
        check(answer.text.startswith(wanted) and answer.text.endswith("\n"), answer.text)
    answer = server.get("/api/v1/bulk", "POST", dict(key, **{"Content-Type": "text/plain"}),
                        body="example.com")
    equal((answer.status, "retry-after" in answer.headers), (503, True), "a bulk look-up")
    held[0][0].close()
    held[0][1].close()
    until(lambda: server.get(NAME, headers=key).status == 200, "its place to be free")
    held[1][0].close()
    held[1][1].close()


@case("users come, change and go by SIGHUP; a file with a mistake changes nothing")
def reloaded(world):
    server = serve(world)
    status(server, NAME, ALICE)
    write_secret(world, "users", key_entry("carol", "new"))
    reload(server)
    status(server, NAME, ALICE, 401)
    status(server, NAME, {"X-API-Key": "carol.new"})
    write_secret(world, "users", USERS + "dave nonsense\n")
    reload(server, r"users:7: the hash of 'dave'")
    status(server, NAME, {"X-API-Key": "carol.new"})
    write_secret(world, "users", key_entry("alice", "other"))
    reload(server)
    status(server, NAME, ALICE, 401)
    status(server, NAME, {"X-API-Key": "alice.other"})


@case("a reload while many ask never refuses one of them")
def busy_reload(world):
    server = serve(world)
    wrong, stop = [], threading.Event()

    def client():
        connection = server.connect()
        while not stop.is_set():
            answer = ask(connection, NAME, headers=ALICE)
            if answer.status != 200:
                wrong.append(answer.status)
    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(10):
        write_secret(world, "users", USERS + key_entry("n%d" % number, "s"))
        reload(server)
    stop.set()
    for thread in threads:
        thread.join()
    equal(wrong, [], "refusals")


@case("guessing from one address is stopped, whatever is guessed, and the rest is not")
def guessing(world):
    server = serve(world, more="auth_failures = 5\ntrusted_proxies = 127.0.0.1")
    guesser = {"X-Forwarded-For": "192.0.2.66"}
    have = [server.get(NAME, headers=dict(guesser, **{"X-API-Key": "alice.%d" % n})).status
            for n in range(30)]
    check(have[:5] == [401] * 5 and have.count(429) >= 20, "statuses %s" % have)

    def stopped():
        """The right key behind a guess, which takes what a minute may have given back."""
        server.get(NAME, headers=dict(guesser, **{"X-API-Key": "alice.again"}))
        answer = server.get(NAME, headers=dict(guesser, **ALICE))
        return answer.status == 429 and answer
    answer = until(stopped, "the guesser to be refused, right or wrong")
    check(int(answer.headers["retry-after"]) >= 1, "Retry-After")
    status(server, NAME, dict(ALICE, **{"X-Forwarded-For": "192.0.2.67"}))


@case("an entry ends with the day named")
def expires(world):
    server = serve(world, key_entry("old", "s", "expires=2001-02-03") +
                   key_entry("new", "s", "expires=2999-12-31"))
    answer = status(server, NAME, {"X-API-Key": "old.s"}, 401)
    check("expired" in answer.text, answer.text)
    status(server, NAME, {"X-API-Key": "old.wrong"}, 401)
    status(server, NAME, {"X-API-Key": "new.s"})


@case("the recipes of the manual make entries that work")
def recipes(world):
    key = """secret=$(openssl rand -hex 24); salt=$(openssl rand -hex 16)
        digest=$(printf %s "$salt$secret" | openssl dgst -sha256 -r | cut -d' ' -f1)
        printf 'fred sha256:%s:%s scopes=query\\n' "$salt" "$digest" >>"$1"; echo "fred.$secret" """
    path = write_secret(world, "users", "")
    try:
        made = subprocess.run(["sh", "-ec", key, "sh", path], capture_output=True, check=True,
                              text=True).stdout.strip()
        hashed = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input="open sesame\n",
                                capture_output=True, check=True, text=True).stdout.strip()
    except FileNotFoundError:
        raise Skip("openssl is not installed") from None
    with open(path, "a", encoding="ascii") as out:
        out.write("gina %s rate=600/10m quota=5000\n" % hashed)
    with open(path, encoding="ascii") as file:
        server = serve(world, file.read())
    status(server, NAME, {"X-API-Key": made})
    status(server, NAME, basic("gina", "open sesame"))
    status(server, NAME, basic("gina", "open sesam"), 401)


@case("cofd check finds what is wrong with the file, by file and line")
def checked(world):
    good = key_entry("alice", "s")
    cases = [("x\n", "users:1: 'x' has no hash"), ("a b\n", "users:1: the hash of 'a'"),
             ("a sha256:short:00\n", "users:1: the hash of 'a' is broken"),
             (good + "a.b $6$x$y\n", "users:2: 'a.b' is no name"),
             (good + good, "'alice' stands twice"),
             ("# c\n" + good.strip() + " scopes=query,all\n", "users:2: 'all' is no scope"),
             (good.strip() + " rate=5\n", "users:1: '5' is no rate"),
             (good.strip() + " rate=0/s\n", "users:1: '0/s' is no rate"),
             (good.strip() + " quota=x\n", "users:1: quota=x"),
             (good.strip() + " expires=soon\n", "users:1: expires=soon"),
             (good.strip() + " colour=red\n", "users:1: 'colour=red'"),
             (good.strip() + " scopes=query" * 100 + "\n", "users:1: line of more than 1024"),
             ("a $1$legacy\n", "users:1: the hash of 'a'")]
    for text, want in cases:
        path = write_secret(world, "users", text)
        done = world.run("check", "-c", world.conf(rest="users = " + path))
        equal(done.returncode, 1, "status for %r" % text)
        check(want in done.stderr, "%r in %r" % (want, done.stderr))
        check("s3cret" not in done.stderr, "no secret is shown")
    path = write_secret(world, "users", good)
    for mode, want in ((0o644, "0644"), (0o660, "0660"), (0o602, "0602")):
        os.chmod(path, mode)
        done = world.run("check", "-c", world.conf(rest="users = " + path))
        equal(done.returncode, 1, "status for mode %o" % mode)
        check("users: its mode is %s; expected" % want in done.stderr, done.stderr)
    os.chmod(path, 0o640)
    world.done("check", "-c", world.conf(rest="users = " + path))
    for rest, want in (("users = " + world.path("none"), "none: No such file"),
                       ("anonymous = query, all", "'all' is no scope"),
                       ("anonymous_rate = often", "'often' is no rate"),
                       ("allow = 10.0.0.0/33", "'10.0.0.0/33' is no network"),
                       ("deny = example.com", "'example.com' is no network"),
                       ("trusted_proxies = localhost", "'localhost' is no network"),
                       ("cors_origin = example.com", "'example.com' is no origin"),
                       ("answer_timeout = 1s", "less than query_timeout"),
                       ("users = %s\nanonymous_rate = 1/s" % path, "anonymous_rate: is of use with"),
                       ("users = %s\nanonymous_quota = 1" % path, "anonymous_quota: is of use with"),
                       ("proxy_header = forwarded", "is of use with trusted_proxies only"),
                       ("access_log_format = json", "is of use with access_log only"),
                       ("access_log_query = hidden", "is of use with access_log only"),
                       ("access_log = " + world.path("no/where"), "cannot be made in")):
        done = world.run("check", "-c", world.conf(rest=rest))
        equal(done.returncode, 1, "status with %s" % rest)
        check(want in done.stderr, "%r in %r" % (want, done.stderr))


if __name__ == "__main__":
    main()
