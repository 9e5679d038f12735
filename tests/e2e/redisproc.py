# SPDX-License-Identifier: AGPL-3.0-or-later
"""redis-servers for the end-to-end tests: started on free ports, killed, started again, asked."""
import os
import shutil
import signal
import socket
import subprocess
import threading

import lexproxy
from cofdtest import DEADLINE, Skip, check, die_with_parent, until


def need_redis():
    """Leave the case as skipped where there is no redis-server."""
    if shutil.which("redis-server") is None:
        raise Skip("redis-server is not installed")


def need_kvrocks():
    """Leave the case as skipped where there is no kvrocks."""
    if shutil.which("kvrocks") is None:
        raise Skip("kvrocks is not on PATH")


def free_port(spare=0):
    """A free port, and with `spare` one for which the port so far above is free as well."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = one.getsockname()[1]
            if port + spare > 65535:
                continue
            try:
                if spare:
                    socket.create_server(("127.0.0.1", port + spare)).close()
                return port
            except OSError:
                continue


def hold_port(world, port=0):
    """Hold a port, or any, for a server of the case: nobody is given it by chance, be it before that
    server starts or while it is down. It must set SO_REUSEADDR, as servers do. Returns the port."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    world.cleanups.append(held.close)
    held.bind(("127.0.0.1", port))
    return held.getsockname()[1]


class RedisError(Exception):
    """An error that the server answered with."""


class Client:
    """A connection that speaks RESP2. Answers are bytes, int, None, lists of these."""

    def __init__(self, port, database=0, password=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.stream = self.socket.makefile("rb")
        if password is not None:
            self.do("AUTH", password)
        if database:
            self.do("SELECT", database)

    def close(self):
        self.stream.close()
        self.socket.close()

    @staticmethod
    def encode(command):
        parts = [b"*%d\r\n" % len(command)]
        for word in command:
            word = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogateescape")
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        return b"".join(parts)

    def read(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RedisError(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        return None if rest == b"-1" else [self.read() for _ in range(int(rest))]

    def do(self, *command):
        answer, = self.many([command])
        return answer

    def many(self, commands, at_once=1000, errors=False):
        """The answers to many commands, sent in pipelines."""
        answers = []
        for start in range(0, len(commands), at_once):
            part = commands[start:start + at_once]
            self.socket.sendall(b"".join(map(self.encode, part)))
            answers += [self.read() for _ in part]
        for answer in answers:
            if isinstance(answer, RedisError) and not errors:
                raise answer
        return answers

    def keys(self):
        """All keys of the database."""
        found, cursor = set(), b"0"
        while True:
            cursor, page = self.do("SCAN", cursor, "COUNT", 1000)
            found.update(page)
            if cursor == b"0":
                return found


class Redis:
    """A redis-server of a test case; what it holds survives kill() and start()."""

    def __init__(self, world, name, *options, cluster=False):
        self.need()
        self.directory = world.path(name)
        self.options, self.cluster, self.password = list(options), cluster, None
        os.makedirs(self.directory)
        self.logfile = os.path.join(self.directory, "log")
        self.port = self.process = None
        for _ in range(5):
            self.port = self.choose_port(world)
            if self.start(must=False):
                break
        check(self.process is not None, self.command()[0] + " does not start")
        world.cleanups.append(self.kill)

    need = staticmethod(need_redis)

    def choose_port(self, world):
        return free_port(10000) if self.cluster else hold_port(world)

    def command(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir",
                   self.directory, "--logfile", self.logfile, "--save", "", "--appendonly", "yes",
                   "--appendfsync", "no", "--no-appendfsync-on-rewrite", "yes",
                   "--protected-mode", "no", "--daemonize", "no"]
        if self.cluster:
            command += ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]
        return command + self.options

    def start(self, must=True):
        command = self.command()
        with open(self.logfile, "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       preexec_fn=die_with_parent)
        self.process = process
        up = until(lambda: self.answers() or process.poll() is not None, command[0])
        if process.poll() is not None or not up:
            self.process = None
            check(not must, "%s ended at once; its log: %s" % (command[0], self.tail()))
            return False
        return True

    @property
    def front(self):
        """The port at which cofd is to find it."""
        return self.port

    @property
    def running(self):
        return self.process is not None

    def tail(self):
        with open(self.logfile, encoding="utf-8", errors="replace") as lines:
            return lines.read()[-1500:]

    def answers(self):
        try:
            client = Client(self.port)
            answer = client.many([("PING",)], errors=True)[0]
            client.close()
            return answer == b"PONG" or "NOAUTH" in str(answer)
        except OSError:
            return False

    def client(self, database=0):
        return Client(self.port, database, self.password)

    def do(self, *command, database=0):
        client = self.client(database)
        try:
            return client.do(*command)
        finally:
            client.close()

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(DEADLINE)
        self.process = None


class OrderedRedis(Redis):
    """A redis-server that answers HRANGEBYLEX at `front`, in the place of a Kvrocks."""

    def __init__(self, world, name):
        super().__init__(world, name)
        self.listener = lexproxy.listen()
        world.cleanups.append(lambda: lexproxy.end(self.listener))
        threading.Thread(target=lexproxy.serve, args=(self.listener, self.port), daemon=True).start()

    @property
    def front(self):
        return self.listener.getsockname()[1]


def ordered_server(world, name):
    """A Kvrocks; where there is none, a Redis that has what the layout compact needs of one."""
    return (Kvrocks if shutil.which("kvrocks") else OrderedRedis)(world, name)


class Kvrocks(Redis):
    """A Kvrocks of a test case; options are lines of its configuration."""

    need = staticmethod(need_kvrocks)

    def choose_port(self, world):
        return free_port(10000 if self.cluster else 0)

    def command(self):
        lines = ["bind 127.0.0.1", "port %d" % self.port, "dir " + self.directory, "log-dir stdout",
                 "daemonize no", "workers 2", "cluster-enabled " + ("yes" if self.cluster else "no"),
                 *self.options]
        path = os.path.join(self.directory, "kvrocks.conf")
        with open(path, "w", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")
        return ["kvrocks", "-c", path]
