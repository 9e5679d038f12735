#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""SIGHUP: new values where they are good, the old ones where they are not."""
import json
import re
import signal

from cofdtest import SAMPLE, case, check, equal, main, until

NAME = "/query/www.framtro.nu"


def origin(server):
    return json.loads(server.get(NAME).text)["origin"]


def reload(server, pattern):
    """SIGHUP, and wait for the line that tells of its end."""
    after = len(server.log())
    server.send(signal.SIGHUP)
    server.wait_log(pattern, after=after)


def serve(world, rest, **more):
    conf = world.conf(input="path = " + SAMPLE, rest=rest, **more)
    server = world.serve(conf)
    server.wait_stored(16)
    return server


@case("a reloadable option takes its new value")
def valid(world):
    server = serve(world, "origin = one")
    equal(origin(server), "one", "before")
    world.conf(input="path = " + SAMPLE, rest="origin = two\nip_query = pivot")
    server.send(signal.SIGHUP)
    until(lambda: origin(server) == "two", "the new origin")
    check(server.running, "it runs")
    equal(len(server.get("/query/2a02:250:0:8::53").records), 16, "records")


@case("settings of the host and of a chain that need a restart are named")
def host_needs_restart(world):
    server = serve(world, "origin = one", host="stop_timeout = 20s", chain="window_time = 1s")
    world.conf(input="path = " + SAMPLE, rest="origin = one", host="stop_timeout = 10s",
               chain="window_time = 2s")
    reload(server, r"reloaded ")
    log = "\n".join(server.log())
    check(re.search(r"cofd: stop_timeout .*restart", log), "stop_timeout")
    check(re.search(r"chain\.main: window_time .*restart", log), "window_time")
    check(not re.search(r"(queue_batches|state_dir|route) changed", log), "no other")


@case("a file with a mistake keeps the old values, and says why")
def invalid(world):
    server = serve(world, "origin = one")
    world.conf(input="path = " + SAMPLE, rest="origin = two\nip_query = pviot")
    reload(server, r"pviot.*pivot|ip_query.*pivot")
    equal(origin(server), "one", "after a wrong value")
    world.write("cofd.conf", "[cofd\n")
    reload(server, r"cofd\.conf:1")
    equal(origin(server), "one", "after a broken file")
    world.conf(input="path = " + SAMPLE, rest="origin = three")
    server.send(signal.SIGHUP)
    until(lambda: origin(server) == "three", "the origin of the mended file")


@case("an option that needs a restart is named, and the rest takes effect")
def needs_restart(world):
    server = serve(world, "origin = one\nmax_connections = 100")
    world.conf(input="path = " + SAMPLE, rest="origin = two\nmax_connections = 200")
    reload(server, r"max_connections.*restart|restart.*max_connections")
    until(lambda: origin(server) == "two", "the new origin")


@case("a filter reads its file again")
def filter_file(world):
    rules = world.write("junk", "alpha.example\n")
    feed = world.write("feed", "")

    def see(name, time):
        with open(feed, "a", encoding="ascii") as out:
            for rrname in (name, "marker%d.test" % time):
                out.write('{"rrname": "%s", "rrtype": "A", "rdata": "192.0.2.1", '
                          '"time_first": %d, "time_last": %d}\n' % (rrname, time, time))
        until(lambda: server.get("/query/marker%d.test" % time).body, "the marker")

    conf = world.conf("[filter.junk]\nplugin = exclude\nfile = %s\n" % rules,
                      filters=["junk"], input="path = %s\nfollow = yes" % feed,
                      chain="window_time = 20ms")
    server = world.serve(conf)
    see("alpha.example", 1)
    see("beta.example", 2)
    equal(server.get("/query/alpha.example").body, b"", "alpha is excluded")
    check(server.get("/query/beta.example").body, "beta is not")
    world.write("junk", "beta.example\n")
    reload(server, r"filter\.junk.*reload|reload")
    see("alpha.example", 3)
    see("beta.example", 4)
    check(server.get("/query/alpha.example").body, "alpha is not excluded any more")
    equal(server.get("/query/beta.example").records[0]["time_last"], 2, "beta was seen last at 2")


@case("many reloads in a row, while it is asked, lose nothing")
def many(world):
    server = serve(world, "origin = zero")
    for number in range(20):
        world.conf(input="path = " + SAMPLE, rest="origin = o%d" % number)
        server.send(signal.SIGHUP)
        equal(len(server.get("/query/2a02:250:0:8::53").records), 16, "records")
    until(lambda: origin(server) == "o19", "the last origin")
    check(not [line for line in server.log() if re.search(r" error ", line)], "no error in the log")


if __name__ == "__main__":
    main()
