#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What befalls Redis, and the way to it, while cofd writes."""
import threading
from http.client import HTTPException

import tcpproxy
from faults import LONG, D4Feed, Plant, RedisStore, dice, pause, resumed, rounds, same, stopped
from cofdtest import DEADLINE, case, check, equal, main, until
from d4model import Model
from redisproc import RedisError, hold_port
from tcpproxy import Proxy

LAYOUTS = ("compact", "d4")
TIMES = "command_timeout = 1s\nconnect_timeout = 5s"
# Where counts are exact: what is written again after a timeout may be counted twice.
PATIENT = "command_timeout = 5m"


def plant_of(world, layout, options=TIMES, **more):
    return Plant(world, D4Feed(world), RedisStore(world, layout, options, **more))


def each(title, only=None):
    """A case for each layout, or for one of them in a short round."""
    def register(function):
        for layout in [only] if only and not LONG else LAYOUTS:
            case("%s (%s)" % (title, layout))(lambda world, name=layout: function(world, name))
        return function
    return register


def hold(plant, fault, mend, says):
    """What arrives during a fault stays where it is, and is stored when the fault is over. Returns by
    how much counts are above the true ones."""
    server = plant.serve()
    plant.feed.push(700)
    plant.drain(server)
    mark = len(server.log())
    fault()
    plant.feed.push(1500)
    server.wait_log(says, after=mark)
    check(plant.feed.left() > 0, "lines stay where they are")
    mend()
    plant.drain(server)
    server.wait_log("takes writes again", after=mark)
    said = ["begin" if "does not take writes" in text else "end" for text in server.log()[mark:]
            if "does not take writes" in text or "takes writes again" in text]
    # A crowded machine may be a fault of its own, which is told of in the same way.
    equal(said, ["begin", "end"] * (len(said) // 2), "lines of the log that tell of the fault")
    server.stop()
    return plant.compare(exact=False)


@each("killed again and again while cofd writes: nothing is missing")
def killed(world, layout):
    rng = dice("killed " + layout)
    plant = plant_of(world, layout, server=("--appendfsync", "always"))
    server = plant.serve()
    for _ in range(rounds(3, 50)):
        plant.feed.push(1000)
        pause(rng, 0.1)
        plant.storage.redis.kill()
        pause(rng, 0.1)
        plant.storage.redis.start()
    plant.finish(server, exact=False)


@each("started again with nothing in it: what comes after that is stored whole, and nothing else is told")
def emptied(world, layout):
    plant = plant_of(world, layout, PATIENT)
    server = plant.serve()
    plant.feed.push(2000)
    plant.drain(server)
    # Questions, so that whatever is remembered about the database is.
    for number in range(50):
        equal(server.get("/query/www.d%d.example" % number).status, 200, "status")
    plant.storage.redis.do("FLUSHALL")
    plant.storage.redis.kill()
    plant.storage.redis.start()
    before = len(plant.feed.made)
    plant.feed.push(2000)
    plant.drain(server)
    want = Model(plant.feed.made[before:], True, layout == "d4").store
    # By name from the running server, which may remember the database of before.
    for key in sorted(want)[::7]:
        have = server.get("/query/" + key[0]).model()
        equal(have.get(key), want[key], "record %r" % (key,))
    server.stop()
    same(plant.stored(), want, exact=False)


@each("paused by CLIENT PAUSE, longer than cofd waits for an answer", only="d4")
def client_pause(world, layout):
    plant = plant_of(world, layout)

    def fault():
        plant.storage.redis.do("CLIENT", "PAUSE", 600000, "WRITE")

    hold(plant, fault, lambda: plant.storage.redis.do("CLIENT", "UNPAUSE"), "no answer within")


@each("standing still (SIGSTOP), longer than cofd waits for an answer", only="compact")
def standing(world, layout):
    plant = plant_of(world, layout)
    hold(plant, lambda: stopped(plant.storage.redis.process),
         lambda: resumed(plant.storage.redis.process), "no answer within|cannot connect")


@each("standing still for moments: exact counts", only="d4")
def stutter(world, layout):
    rng = dice("stutter " + layout)
    plant = plant_of(world, layout, PATIENT)
    server = plant.serve()
    for _ in range(rounds(4, 60)):
        plant.feed.push(700)
        pause(rng, 0.03)
        stopped(plant.storage.redis.process)
        pause(rng, 0.2)
        resumed(plant.storage.redis.process)
    equal(plant.finish(server, exact=True), 0, "counts above the true ones")


@each("become a replica, which takes no writes: exact counts", only="compact")
def replica(world, layout):
    plant = plant_of(world, layout, PATIENT)
    redis = plant.storage.redis
    equal(hold(plant, lambda: redis.do("REPLICAOF", "127.0.0.1", hold_port(world)),
               lambda: redis.do("REPLICAOF", "NO", "ONE"), "READONLY"), 0, "counts above")


@each("maxmemory reached: exact counts", only="compact")
def out_of_memory(world, layout):
    plant = plant_of(world, layout, PATIENT, server=("--maxmemory-policy", "noeviction"))
    redis = plant.storage.redis
    equal(hold(plant, lambda: redis.do("CONFIG", "SET", "maxmemory", "1"),
               lambda: redis.do("CONFIG", "SET", "maxmemory", "0"), "OOM"), 0, "counts above")


@each("busy with a script: exact counts", only="compact")
def busy(world, layout):
    plant = plant_of(world, layout, PATIENT, server=("--lua-time-limit", "50"))
    redis, done = plant.storage.redis, []

    def script():
        try:
            redis.do("EVAL", "while true do end", "0")
        except RedisError as error:
            done.append(str(error))

    thread = threading.Thread(target=script, daemon=True)

    def fault():
        thread.start()
        client = redis.client()
        until(lambda: str(client.many([("PING",)], errors=True)[0]).startswith("BUSY"), "BUSY")
        client.close()

    equal(hold(plant, fault, lambda: redis.do("SCRIPT", "KILL"), "BUSY"), 0, "counts above")
    thread.join(DEADLINE)


@each("connections cut after some octets, by FIN and RST, over and over: nothing is missing")
def cut(world, layout):
    rng = dice("cut " + layout)
    store = RedisStore(world, layout, TIMES)
    proxy = Proxy(world, store.port, seed=rng.random())
    store.port = proxy.port
    plant = Plant(world, D4Feed(world), store)
    server = plant.serve()
    proxy.fault = tcpproxy.cuts(150000)
    for _ in range(rounds(4, 100)):
        proxy.drop_all()
        plant.feed.push(1000)
        plant.drain(server)
    check(proxy.cuts >= 2, "connections were cut: %d" % proxy.cuts)
    proxy.fault = None
    higher = plant.finish(server, exact=False)
    print("# %d connections, %d cut; counts are %d above the true ones"
          % (proxy.count, proxy.cuts, higher))


@case("the connection to the queue cut after some octets, over and over: nothing is missing")
def cut_queue(world):
    rng = dice("cut queue")
    feed = D4Feed(world)
    proxy = Proxy(world, feed.port, seed=rng.random())
    feed.port = proxy.port
    plant = Plant(world, feed, RedisStore(world))
    server = plant.serve()
    proxy.fault = tcpproxy.cuts(60000)
    for _ in range(rounds(2, 50)):
        feed.push(1000)
        plant.drain(server)
    check(proxy.cuts >= 2, "connections were cut: %d" % proxy.cuts)
    plant.finish(server, exact=False)


@each("octets come in crumbs, with pauses: exact counts", only="compact")
def slow(world, layout):
    store = RedisStore(world, layout, PATIENT)
    proxy = Proxy(world, store.port, tcpproxy.crumbs)
    store.port = proxy.port
    plant = Plant(world, D4Feed(world), store)
    server = plant.serve()
    plant.feed.push(rounds(300, 20000))
    equal(plant.finish(server, exact=True), 0, "counts above the true ones")


def alive(plant, server):
    """The server, or another one where it ended with an error that says why."""
    if server.running:
        return server
    equal(server.wait(), 1, "exit status")
    said = [text for text in server.log() if " error " in text]
    check(said, "a reason in the log")
    print("# ended: " + said[0][25:])
    return plant.serve()


@each("answers with octets lost, repeated and changed: it goes on, or ends and says why", only="d4")
def damaged(world, layout):
    rng = dice("damaged " + layout)
    store = RedisStore(world, layout, TIMES)
    proxy = Proxy(world, store.port, seed=rng.random())
    store.port = proxy.port
    plant = Plant(world, D4Feed(world), store)
    server = plant.serve()
    for number in range(rounds(4, 60)):
        proxy.fault = tcpproxy.damage(0.3, up=False)
        plant.feed.push(500)
        pause(rng, 0.5)
        proxy.fault = None
        server = alive(plant, server)
        try:
            status = server.get("/query/www.d%d.example" % number).status
            check(status in (200, 500, 503), "status %d" % status)
        except (OSError, HTTPException):
            until(lambda: not server.running, "an end where there is no answer")
        until(lambda: not server.running or plant.feed.left() == 0, "the lines to be stored, or an end")
    server = alive(plant, server)
    plant.drain(server)
    server.stop()
    missing = set(plant.model()) - set(plant.stored())
    print("# %d of %d records are missing" % (len(missing), len(plant.model())))


@each("answers that are none, for a moment: connected anew, nothing is missing, and it runs on", only="compact")
def nonsense(world, layout):
    store = RedisStore(world, layout, TIMES)
    proxy = Proxy(world, store.port)
    store.port = proxy.port
    plant = Plant(world, D4Feed(world), store)
    server = plant.serve()
    for text in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$99999999999999999999\r\n", b"\0" * 100,
                 b"*-7\r\n"):
        plant.feed.push(500)
        plant.drain(server)
        mark = len(server.log())
        proxy.fault = lambda flow, data, text=text: data if flow.up else text + data
        plant.feed.push(500)
        server.wait_log("does not speak RESP", after=mark)
        proxy.fault = None
        plant.drain(server)
    plant.finish(server, exact=False)


if __name__ == "__main__":
    main()
