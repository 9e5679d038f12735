#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""A plugin that crashes is named, and the process ends by that signal; a plugin that keeps a thread
of cofd is named, by the log while it lasts and by the stop when it does not end."""
import os
import signal
import time

from cofdtest import DEADLINE, SANITIZED, case, check, equal, main
from sdkbuild import compile_plugin, new_plugin

CRASH = "*(volatile int *)(uintptr_t)(%s) = 1;"


def faulty(world, name, kind, *edits):
    """A plugin of the template with some text replaced, in a plugin directory of its own."""
    directory = new_plugin(world, name, kind)
    source = os.path.join(directory, name + ".c")
    with open(source, encoding="utf-8") as lines:
        text = lines.read()
    for old, new in edits:
        equal(text.count(old), 1, "places that have: " + old)
        text = text.replace(old, new)
    with open(source, "w", encoding="utf-8") as out:
        out.write("#include <stdint.h>\n#include <unistd.h>\n" + text)
    os.makedirs(world.path("plugins", kind), exist_ok=True)
    compile_plugin(source, world.path("plugins", kind, name + ".so"), "-w", "-fno-sanitize=all")
    return world.path("plugins") + ":" + os.environ["COFD_PLUGIN_PATH"]


def conf(world, sections, route, host=""):
    world.write("lines.txt", "1000 www.example.com A 192.0.2.1\n")
    return world.write("cofd.conf", "\n".join(
        ["[cofd]", host, sections.replace("@", world.directory), "[chain.main]", route,
         "window_time = 10ms"]) + "\n")


READER = "[input.feed]\nplugin = reader\npath = @/lines.txt\n"
STORE = "[storage.db]\nplugin = store\npath = @/records\n"
ROUTE = "route = feed -> db"


def end_of(server):
    """The status of a cofd that ends by itself, its log read to the end."""
    server.reader.join(DEADLINE)
    check(not server.reader.is_alive(), "cofd did not end in %d s" % DEADLINE)
    return server.process.wait()


def crashes(world, path, configuration, words):
    """cofd ends by SIGSEGV, having said whose fault it was."""
    server = world.start(configuration, "-p", path)
    status = end_of(server)
    found = [line for line in server.log() if line.startswith("cofd: crashed by ")]
    check(found, "no line of the crash in: " + "\n".join(server.log()))
    check(words in found[0], "%r has not: %s" % (found[0], words))
    if not SANITIZED:  # there the sanitizer has the last word
        equal(status, -signal.SIGSEGV, "status")
    server.lines[:] = [line for line in server.lines if line is None or "Sanitizer" not in line
                       and "runtime error" not in line]
    server.process.stderr.close()


def both(world, **edits):
    faulty(world, "reader", "input", *edits.get("reader", ()))
    return faulty(world, "store", "storage", *edits.get("store", ()))


@case("a crash in start() names the instance and its plugin")
def crash_start(world):
    path = both(world, reader=[("  in->started = true;\n",
                                "  in->started = true;\n  " + CRASH % "0" + "\n")])
    crashes(world, path, conf(world, READER + STORE, ROUTE),
            "SIGSEGV in input.feed (plugin reader), in its callback start()")


@case("a crash in a thread of a plugin names the instance")
def crash_thread(world):
    path = both(world, reader=[("  bool more = parts != NULL;\n",
                                "  bool more = parts != NULL;\n  " + CRASH % "0" + "\n")])
    crashes(world, path, conf(world, READER + STORE, ROUTE),
            "SIGSEGV in input.feed (plugin reader), in a thread of its own")


@case("a crash of a storage in a thread of the chain names it")
def crash_write(world):
    path = both(world, store=[("  cof_ticket_done(s->host, ticket, result);\n",
                               "  " + CRASH % "0" + "\n")])
    crashes(world, path, conf(world, READER + STORE, ROUTE),
            "SIGSEGV in storage.db (plugin store), in its callback write()")


@case("a stack that is used up in a thread of the chain names the plugin")
def crash_stack(world):
    recursion = "static int deep(volatile char *up)\n{\n  volatile char here[4096];\n" \
                "  here[0] = up[0];\n  return deep(here) + here[1];\n}\n\n"
    path = both(world, store=[
        ("static void write_batch(", recursion + "static void write_batch("),
        ("  cof_ticket_done(s->host, ticket, result);\n",
         "  char c = 1;\n  s->observations += (uint64_t)deep(&c);\n")])
    if not SANITIZED:  # their own stacks for signals are smaller
        crashes(world, path, conf(world, READER + STORE, ROUTE),
                "SIGSEGV in storage.db (plugin store), in its callback write()")


@case("a crash in check() names the section")
def crash_check(world):
    path = both(world, reader=[("  const struct conf *c = conf;\n",
                                "  const struct conf *c = conf;\n  " + CRASH % "0" + "\n")])
    crashes(world, path, conf(world, READER + STORE, ROUTE),
            "SIGSEGV in input.feed (plugin reader), in its callback check()")


@case("abort() in a plugin names it")
def abort(world):
    path = both(world, store=[("  cof_ticket_done(s->host, ticket, result);\n", "  abort();\n")])
    server = world.start(conf(world, READER + STORE, ROUTE), "-p", path)
    equal(end_of(server), -signal.SIGABRT, "status")
    server.process.stderr.close()
    check(any("SIGABRT in storage.db (plugin store), in its callback write()" in line
              for line in server.log()), "\n".join(server.log()))


GATE = '  for (struct timespec t = {0, 10000000}; access("@/gate", F_OK) != 0;)\n' \
       "    nanosleep(&t, NULL);\n"


def gate(world):
    """Text of a loop that lasts until the file `gate` is there."""
    return GATE.replace("@", world.directory)


def open_gate(world):
    world.write("gate", "")


@case("callbacks that take long are named while they last, and when they come back")
def slow(world):
    path = both(world, store=[("  cof_ticket_done(s->host, ticket, result);\n",
                               gate(world) + "  cof_ticket_done(s->host, ticket, result);\n"),
                              ("#include <unistd.h>\n", "#include <unistd.h>\n#include <time.h>\n")])
    server = world.start(conf(world, READER + STORE, ROUTE, "slow_callback = 200ms"), "-p", path)
    server.wait_log(r"warning cofd: storage\.db \(plugin store\) has been in its callback write\(\)")
    open_gate(world)
    server.wait_log(r"cofd: storage\.db \(plugin store\) came back from write\(\)")
    server.stop()


@case("a start() that does not return is named")
def slow_start(world):
    path = both(world, store=[("  char *line = malloc(LINE_MAX_OCTETS);\n",
                               gate(world) + "  char *line = malloc(LINE_MAX_OCTETS);\n"),
                              ("#include <unistd.h>\n", "#include <unistd.h>\n#include <time.h>\n")])
    server = world.start(conf(world, READER + STORE, ROUTE, "slow_callback = 200ms"), "-p", path)
    server.wait_log(r"storage\.db \(plugin store\) has been in its callback start\(\)")
    open_gate(world)
    server.wait_log(r"runs 2 plugin instances")
    server.stop()


@case("a write that is not concluded is named")
def never_done(world):
    path = both(world, store=[("  cof_ticket_done(s->host, ticket, result);\n",
                               "  (void)ticket;\n  (void)result;\n")])
    configuration = conf(world, READER + STORE, ROUTE, "slow_callback = 200ms\nstop_timeout = 1s")
    server = world.start(configuration, "-p", path)
    server.wait_log(r"storage\.db \(plugin store\) has been in its callback write\(\), its ticket "
                    "not concluded")
    begin = time.monotonic()
    server.send(signal.SIGTERM)
    said = server.wait_log(r"storage\.db does not finish a write|blocks past its deadline").group(0)
    # Where cofd stood still for so long that both times were over, either may come first.
    check("finish" in said or time.monotonic() - begin > 5, "said by the watchdog: " + said)
    equal(server.wait(), 1, "status")


@case("a stop() that does not return is named, and ends cofd")
def stuck_stop(world):
    path = both(world, reader=[("  in->started = false;\n", gate(world)),
                               ("#include <string.h>\n", "#include <string.h>\n#include <time.h>\n")])
    configuration = conf(world, READER + STORE, ROUTE, "slow_callback = 200ms\nstop_timeout = 5s")
    server = world.start(configuration, "-p", path)
    server.wait_log(r"runs 2 plugin instances")
    server.send(signal.SIGTERM)
    server.wait_log(r"input\.feed \(plugin reader\) has been in its callback stop\(\)")
    server.wait_log(r"input\.feed blocks past its deadline")
    equal(server.wait(), 1, "status")


main()
