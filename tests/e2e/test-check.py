#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""`cofd check`, `cofd plugins`, `cofd version`, and the command line."""
import os
import re
import shutil

from cofdtest import TOP, case, check, equal, main

GOOD = """[cofd]
log_level = info

[input.in]
plugin = cof-file
path = /tmp/x

[filter.junk]
plugin = exclude
suffix = asn.cymru.com, spamhaus.org

[storage.db]
plugin = rocksdb
path = /tmp/db

[output.api]
plugin = rest
listen = 127.0.0.1:8400

[chain.main]
route = in -> junk -> db -> api
"""

# What is changed in the good file; the line of the mistake; words of the message.
WRONG = [
    ("an unknown key: the nearest", ("listen = ", "lisetn = "), 18, ("lisetn", "listen")),
    ("an unknown section", ("[filter.junk]", "[fliter.junk]"), 8, ("fliter", "filter")),
    ("a section without a name", ("[filter.junk]", "[filter]"), 8, ("filter",)),
    ("an unknown plugin: the nearest", ("plugin = rocksdb", "plugin = rocksbd"), 13,
     ("rocksbd", "rocksdb")),
    ("a plugin of another kind", ("plugin = rocksdb", "plugin = rest"), 13, ("rest", "storage")),
    ("no plugin", ("plugin = rocksdb\n", ""), 12, ("plugin",)),
    ("a required option left out", ("plugin = rocksdb\npath = /tmp/db", "plugin = rocksdb"), 12,
     ("path",)),
    ("a value that is none of the choices", ("log_level = info", "log_level = loud"), 2,
     ("loud", "debug")),
    ("an address without a port", ("127.0.0.1:8400", "127.0.0.1"), 18, ("127.0.0.1", "port")),
    ("a port out of range", ("127.0.0.1:8400", "127.0.0.1:84000"), 18, ("84000",)),
    ("a name in the route that no section declares", ("in -> junk", "in -> jnuk"), 21,
     ("jnuk", "junk")),
    ("a route in the wrong order", ("in -> junk -> db", "in -> db -> junk"), 21, ("junk",)),
    ("a route without a storage", ("-> db ->", "->"), 21, ("storage",)),
    ("no route", ("route = in -> junk -> db -> api\n", ""), 20, ("route",)),
    ("an empty step in the route", ("in -> junk", "in -> -> junk"), 21, ("->",)),
    ("a line that is neither key nor section", ("log_level = info", "log_level info"), 2, ()),
    ("a section twice", ("[output.api]\n", "[storage.db]\n"), 16, ("storage.db",)),
    ("a key twice", ("log_level = info\n", "log_level = info\nlog_level = info\n"), 3,
     ("log_level",)),
    ("a type that expires twice",
     ("plugin = rocksdb\npath = /tmp/db", "plugin = redis\nexpire = TXT:5, txt:6"), 14, ("txt:6", "twice")),
    ("a bad duration", ("route = in", "window_time = soon\nroute = in"), 21, ("window_time", "soon")),
    ("a number out of bounds", ("route = in", "window_records = -1\nroute = in"), 21,
     ("window_records", "-1")),
]


def run_check(world, text):
    path = world.write("cofd.conf", text)
    done = world.run("check", "-c", path)
    return done, path, done.stdout + done.stderr


def wrong_case(title, change, line, words):
    @case("check finds " + title)
    def one(world):
        check(change[0] in GOOD, "the change applies")
        done, path, said = run_check(world, GOOD.replace(change[0], change[1], 1))
        equal(done.returncode, 1, "exit status; it said " + said)
        at = [text for text in said.splitlines() if text.startswith("%s:%d: " % (path, line))]
        check(at, "a message for line %d: %s" % (line, said))
        check(any(all(word in text for word in words) for text in at),
              "the words %r: %s" % (words, at))


for entry in WRONG:
    wrong_case(*entry)


@case("check takes a good file, and says so with status 0")
def good(world):
    done, _, said = run_check(world, GOOD)
    equal(done.returncode, 0, "exit status; it said " + said)


@case("check finds every mistake in one pass, in the order of the lines")
def all_at_once(world):
    text = GOOD
    for old, new in (("log_level = info", "log_level = loud"), ("suffix = ", "sufix = "),
                     ("plugin = rest", "plugin = rset"), ("route = in", "route = nin")):
        text = text.replace(old, new)
    done, path, said = run_check(world, text)
    equal(done.returncode, 1, "exit status")
    lines = [int(n) for n in re.findall(re.escape(path) + r":(\d+): error", said)]
    check({2, 10, 17, 21} <= set(lines), "lines %r: %s" % (lines, said))
    equal(lines, sorted(lines), "order")


@case("a mistake in a section hides none that its plugin, or its chain, sees across options")
def none_hidden(world):
    text = GOOD
    for old, new in (
            ("suffix = ", "sufix = x\nnetwork = 192.0.2.0/33\nsuffix = "),
            ("plugin = rocksdb", "plugin = rocksdb\ncache_size = 1\nexpire = NOPE:3"),
            ("plugin = rest", "plugin = rest\nip_query = both\ntls_certificate = /nonexistent"),
            ("route = in", "window_time = soon\nretry_min = 2s\nretry_max = 1s\nroute = in")):
        check(old in text, "the change applies")
        text = text.replace(old, new)
    done, path, said = run_check(world, text)
    equal(done.returncode, 1, "exit status")
    lines = {int(n) for n in re.findall(re.escape(path) + r":(\d+): error", said)}
    equal(lines, {10, 11, 16, 17, 22, 23, 27, 28}, "lines; it said " + said)


@case("what a plugin misses is not reported where it may be what is misspelled")
def none_invented(world):
    for old, new in (("suffix = ", "sufix = "), ("path = /tmp/x", "paht = /tmp/x")):
        done, _, said = run_check(world, GOOD.replace(old, new))
        equal(done.returncode, 1, "exit status")
        equal(said.count("error:"), 1, "mistakes; it said " + said)


@case("check reads the files that a filter's options name")
def rules_file(world):
    path = world.write("rules", "example.net\n*.example.org\n")
    text = GOOD.replace("suffix = ", "file = %s\nsuffix = " % path)
    done, conf, said = run_check(world, text)
    equal(done.returncode, 1, "exit status")
    check("%s:10: error: file: %s:2: " % (conf, path) in said, said)
    os.remove(path)
    done, conf, said = run_check(world, text)
    check("%s:10: error: file: %s: No such file" % (conf, path) in said, said)


@case("a file that cannot be read is an error that names it")
def no_file(world):
    for command in ("check", "run"):
        done = world.run(command, "-c", world.path("nope.conf"))
        equal(done.returncode, 1, "exit status of " + command)
        check(world.path("nope.conf") in done.stderr, done.stderr)


@case("run refuses what check refuses, with the same words")
def run_refuses(world):
    path = world.write("cofd.conf", GOOD.replace("listen", "lisetn"))
    done = world.run("run", "-c", path)
    equal(done.returncode, 1, "exit status")
    check("%s:18" % path in done.stderr and "listen" in done.stderr, done.stderr)


@case("the sample configurations are good")
def sample(world):
    for name in ("cofd.conf", "d4-redis.conf", "d4-kvrocks.conf"):
        with open(os.path.join(TOP, "etc", name), encoding="utf-8") as lines:
            text = lines.read()
        done, _, said = run_check(world, text)
        equal(done.returncode, 0, "exit status for %s; it said %s" % (name, said))
        check("warning" not in said, name + ": " + said)


@case("plugins lists each with kind, version, summary and path")
def plugins(world):
    said = world.done("plugins").stdout
    for kind, name in (("input", "cof-file"), ("filter", "rrtype"), ("filter", "exclude"),
                       ("storage", "rocksdb"), ("output", "rest")):
        found = [text for text in said.splitlines() if re.search(r"\b%s\b.*\b%s\b" % (kind, name), text)]
        check(found, "%s %s: %s" % (kind, name, said))
        check(re.search(r"\d+\.\d+", found[0]), "a version: " + found[0])
    check("/rocksdb" in said, "a path: " + said)


@case("plugins NAME prints its options with defaults and help")
def plugin_options(world):
    said = world.done("plugins", "cof-file").stdout
    for word in ("path", "follow", "counts", "add", "total"):
        check(word in said, word + ": " + said)
    said = world.done("plugins", "rest").stdout
    for word in ("listen", "127.0.0.1:8400", "ip_query", "exact", "pivot", "origin"):
        check(word in said, word + ": " + said)
    done = world.run("plugins", "rocksbd")
    equal(done.returncode, 1, "exit status")
    check("rocksdb" in done.stderr, "the nearest: " + done.stderr)


@case("a broken plugin is listed with its reason, and the others still are")
def broken_plugin(world):
    shutil.copytree(os.environ["COFD_PLUGIN_PATH"], world.path("plugins"), symlinks=True,
                    ignore=lambda d, names: [n for n in names if n.endswith((".o", ".lo", ".log"))])
    world.write("plugins/storage/broken.so", "this is no shared object")
    done = world.run("plugins", env={"COFD_PLUGIN_PATH": world.path("plugins")})
    said = done.stdout + done.stderr
    check(re.search(r"broken.*(invalid ELF header|file too short|cannot)", said, re.S), said)
    check("rest" in said, said)


@case("version prints one line with the number")
def version(world):
    said = world.done("version").stdout
    check(re.match(r"cofd \d+\.\d+\.\d+", said), said)


@case("an unknown command or option is status 2 with a word on what would be right")
def usage(world):
    for arguments in (("chekc",), ("check", "--nope"), ("check", "-c")):
        done = world.run(*arguments)
        equal(done.returncode, 2, "exit status of " + " ".join(arguments))
        check(re.search(r"usage|help|did you mean|expected", done.stderr, re.I), done.stderr)


if __name__ == "__main__":
    main()
