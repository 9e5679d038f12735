#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The conformance kit finds nothing wrong with the plugins of cofd and with the template. What it
finds in faulty plugins is shown by test-faulty.py."""
import concurrent.futures
import json
import os
import re
import shlex
import sys

import dnstapwire
from cofdtest import COFD, HERE, SAMPLE, case, check, equal, main
from redisproc import Kvrocks, Redis, need_kvrocks
from sdkbuild import BUILD, compile_plugin, kit, must, new_plugin
from wsserver import WsServer


def plugin_file(kind, name):
    return os.path.join(BUILD, "plugins", kind, name, ".libs", name + ".so")


def show(text):
    print("".join("# kit: %s\n" % line for line in text.splitlines()), end="", flush=True)


def passes(plugin, *arguments, skips=()):
    """The kit finds nothing wrong, and leaves out only the cases whose titles have these words."""
    status, text = kit(plugin, *arguments)
    show(text)
    equal(status, 0, "status of the kit")
    check(not re.search(r"^not ok", text, re.M), "the kit found something")
    plan = re.search(r"^1\.\.(\d+)$", text, re.M)
    equal(len(re.findall(r"^ok \d+ - ", text, re.M)), int(plan.group(1)), "cases that passed")
    for skipped in re.findall(r"^ok \d+ - (.*) # SKIP", text, re.M):
        check(any(word in skipped for word in skips), "the kit left out: " + skipped)
    return text


# What a plugin without such a callback leaves out; and memory, which ThreadSanitizer hides.
USUAL = ("reload()", "check()", "leaves no memory")


def together(*jobs):
    """Run functions side by side, as they wait most of the time; the first failure is raised."""
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        for job in [pool.submit(job) for job in jobs]:
            job.result()


def push_command(port):
    """A shell command that puts 300 records into the queue named as the instance's directory."""
    record = json.dumps({"rrname": "NAME", "rrtype": "A", "rdata": "192.0.2.1", "time_first": 1,
                         "time_last": 2, "count": 1})
    script = "for i=1,300 do redis.call('LPUSH', KEYS[1], (string.gsub('%s', 'NAME', " \
             "'n'..i..'.example'))) end" % record
    return "redis-cli -p %d -n 2 EVAL \"%s\" 1 \"$COFD_TEST_DIR\"" % (
        port, script.replace('"', '\\"'))


@case("the kit passes the inputs cof-file and d4")
def inputs(world):
    queue = Redis(world, "queue")
    together(
        lambda: passes(plugin_file("input", "cof-file"), "--records", "16", "--load", SAMPLE, "--",
                       "path=" + SAMPLE, skips=USUAL),
        lambda: passes(plugin_file("input", "d4"), "--records", "300", "--feed",
                       push_command(queue.port), "--", "server=127.0.0.1:%d" % queue.port,
                       "queue=@dir@", skips=USUAL))


SENSOR_LINES = {
    "passivedns-log":
        "1657878141.1||192.0.2.9||192.0.2.53||IN||www.example.com.||A||192.0.2.1||3600||2\n"
        "1657878142.1||192.0.2.9||192.0.2.53||IN||www.example.org.||A||192.0.2.2||3600||1\n",
    "suricata-eve": "".join(json.dumps({
        "timestamp": "2022-07-15T09:42:21.000000+0000", "event_type": "dns", "dns": {
            "version": 2, "type": "answer", "rrname": name, "rrtype": "A", "rcode": "NOERROR",
            "answers": [{"rrname": name, "rrtype": "A", "ttl": 300, "rdata": "192.0.2.1"}]}}) + "\n"
        for name in ("www.example.com", "www.example.org")),
    "zeek-dns":
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n"
        "#fields\tts\tquery\tqtype_name\tanswers\tTTLs\n"
        "#types\ttime\tstring\tstring\tvector[string]\tvector[interval]\n"
        "1657878141.0\twww.example.com\tA\t192.0.2.1\t300.0\n"
        "1657878142.0\twww.example.org\tA\t192.0.2.2\t300.0\n"}


def read_lines(world, name):
    path = world.write(name + ".txt", SENSOR_LINES[name])
    passes(plugin_file("input", name), "--records", "2", "--load", path, "--", "path=" + path,
           skips=USUAL)


@case("the kit passes the inputs passivedns-log, suricata-eve and zeek-dns")
def sensor_inputs(world):
    together(*[lambda name=name: read_lines(world, name) for name in SENSOR_LINES])


TAPPED = 200
TAP_FEED = """import sys, time
sys.path.insert(0, %r)
import dnstapwire
for _ in range(600):
    try:
        sender = dnstapwire.Sender(("127.0.0.1", int(sys.argv[1])), 600)
        break
    except OSError:
        time.sleep(0.05)
else:
    sys.exit("nobody listens")
try:
    sender.open()
    with open(sys.argv[2], "rb") as payloads:
        sender.send(payloads.read())
    sender.finish()
except (OSError, EOFError, AssertionError):
    pass  # the instance was stopped meanwhile
"""


def tapped():
    """Payloads of a record each."""
    for i in range(TAPPED):
        owner = "n%d.example" % i
        answer = dnstapwire.rr(owner, 1, dnstapwire.address("192.0.2.1"))
        yield dnstapwire.payload(dnstapwire.message(owner, answer=[answer]), zone="example")


@case("the kit passes the input dnstap, with a file and with a peer over TCP")
def taps(world):
    path, frames, feed = (world.path(name) for name in ("tap.fstrm", "frames", "feed.py"))
    with open(path, "wb") as out:
        out.write(dnstapwire.stream(tapped()))
    with open(frames, "wb") as out:
        out.write(b"".join(dnstapwire.frame(p) for p in tapped()))
    world.write("feed.py", TAP_FEED % HERE)
    command = "exec %s \"$COFD_TEST_PORT\" %s" % (shlex.join([sys.executable, feed]),
                                                 shlex.quote(frames))
    together(
        lambda: passes(plugin_file("input", "dnstap"), "--records", str(TAPPED), "--load", path,
                       "--", "path=" + path, skips=USUAL),
        lambda: passes(plugin_file("input", "dnstap"), "--records", str(TAPPED), "--feed", command,
                       "--only", "input:", "--", "listen=127.0.0.1:@port@",
                       skips=USUAL + ("load()",)))


STREAMED = 300


def stream_records(peer):
    """To each client the same records, as many messages; then nothing more."""
    peer.accept()
    for i in range(STREAMED):
        peer.say(json.dumps({"rrname": "n%d.example" % i, "rrtype": "A", "rdata": "192.0.2.1",
                             "time_first": 1, "time_last": 2, "count": 1}))
    while peer.socket.recv(4096):
        pass


@case("the kit passes the input cof-ws with and without a server, the outputs cof-ws and cof-file")
def streams(world):
    server = WsServer(world, stream_records)
    together(
        lambda: passes(plugin_file("input", "cof-ws"), "--records", str(STREAMED), "--",
                       "url=" + server.url, skips=USUAL),
        lambda: passes(plugin_file("input", "cof-ws"), "--only", "life", "--",
                       "url=ws://127.0.0.1:@port@/", skips=USUAL + ("input:",)),
        lambda: passes(plugin_file("output", "cof-ws"), "--", "listen=127.0.0.1:@port@",
                       skips=USUAL),
        lambda: passes(plugin_file("output", "cof-file"), "--", "path=@dir@/out", skips=USUAL))


@case("the kit passes the filters exclude and rrtype, and the output rest")
def filters(_world):
    ask = "while :; do curl -s -o /dev/null http://127.0.0.1:$COFD_TEST_PORT/query/a.com " \
          "http://127.0.0.1:$COFD_TEST_PORT/info; done"
    together(
        lambda: passes(plugin_file("filter", "exclude"), "--", "suffix=a.com, net", skips=USUAL),
        lambda: passes(plugin_file("filter", "rrtype"), "--", "accept=A, AAAA, TYPE65280",
                       skips=USUAL),
        lambda: passes(plugin_file("output", "rest"), "--feed", ask, "--",
                       "listen=127.0.0.1:@port@", skips=USUAL))


@case("the kit passes the storages rocksdb, redis and kvrocks")
def storages(world):
    redis = "127.0.0.1:%d" % Redis(world, "redis", "--databases", "128").port
    layout_d4 = Redis(world, "d4", "--databases", "128").port
    together(
        lambda: passes(plugin_file("storage", "rocksdb"), "--", "path=@dir@/db", skips=USUAL),
        lambda: passes(plugin_file("storage", "rocksdb"), "--only", "storage:", "--",
                       "path=@dir@/db", "forward_index=yes", "sensors=yes", skips=USUAL),
        lambda: passes(plugin_file("storage", "redis"), "--", "server=" + redis, "database=@n@",
                       "layout=compact", skips=USUAL),
        lambda: passes(plugin_file("storage", "redis"), "--known-types", "--only", "storage:",
                       "--", "server=127.0.0.1:%d" % layout_d4, "database=@n@", "layout=d4",
                       skips=USUAL),
        lambda: like_kvrocks(Redis(world, "kvrocks"), "auto"))


def like_kvrocks(server, layout, *options):
    passes(plugin_file("storage", "kvrocks"), "--prepare", "redis-cli -p %d FLUSHALL" % server.port,
           *options, "--", "server=127.0.0.1:%d" % server.port, "layout=" + layout, skips=USUAL)


@case("the kit passes the storage kvrocks with a real Kvrocks, in both layouts")
def kvrocks(world):
    need_kvrocks()
    together(lambda: like_kvrocks(Kvrocks(world, "compact"), "compact"),
             lambda: like_kvrocks(Kvrocks(world, "d4"), "d4", "--known-types", "--only", "storage:"))


def try_template(world, kind):
    directory = new_plugin(world, "my-" + kind, kind)
    plugin = compile_plugin(os.path.join(directory, "my-%s.c" % kind),
                            os.path.join(directory, "my-%s.so" % kind), "-Werror",
                            "-Wconversion", "-Wshadow")
    text = must("sh", os.path.join(directory, "test.sh"), plugin, env={"COFD": COFD})
    show(text)
    check(not re.search(r"^not ok", text, re.M), "the kit found something")


@case("the kit passes the template of each kind")
def templates(world):
    together(*[lambda kind=kind: try_template(world, kind)
               for kind in ("input", "filter", "storage", "output")])


@case("wrong use of cofd plugin is told")
def usage(world):
    for arguments, status, words in (
            ((), 2, "expected new or test"), (("test",), 2, "FILE.so"),
            (("test", "x.so", "--records", "many"), 2, "expected a number"),
            (("test", "x.so", "--", "path"), 2, "expected KEY=VALUE"),
            (("new", "x"), 2, "--kind"), (("new", "X", "--kind", "input"), 1, "no name"),
            (("new", "x", "--kind", "input", "--directory", world.directory), 1, "not there yet")):
        done = world.run("plugin", *arguments)
        equal(done.returncode, status, "status of cofd plugin %s" % " ".join(arguments))
        check(words in done.stderr, "%s is not in: %s" % (words, done.stderr))
    done = world.run("plugin", "test", world.path("none.so"))
    equal(done.returncode, 1, "status of a file that is not there")
    check("not ok 1 - loads" in done.stdout, done.stdout)


main()
