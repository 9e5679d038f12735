# SPDX-License-Identifier: AGPL-3.0-or-later
"""A TCP proxy that does to a connection what networks do, and what they should not do: it cuts,
delays, breaks up, loses and repeats."""
import random
import socket
import struct
import threading
import time


class Cut(Exception):
    """Raised by a fault: the connection ends here. `reset`: by RST instead of FIN; `data` goes first."""

    def __init__(self, data=b"", reset=False):
        super().__init__("cut")
        self.data, self.reset = data, reset


class Flow:
    """One direction of one connection, as a fault sees it."""

    def __init__(self, up, number, rng):
        self.up, self.number, self.rng = up, number, rng  # up: towards the server
        self.passed = 0                                   # octets that came before
        self.memory = {}                                  # for the fault


class Proxy:
    """Listens at `port` for connections to another port. `fault(flow, data)` gives what is passed on;
    it may be changed at any time, None passes all."""

    def __init__(self, world, target, fault=None, seed=1):
        self.target, self.fault, self.seed = target, fault, seed
        self.server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.server.getsockname()[1]
        self.lock, self.open, self.count = threading.Lock(), set(), 0
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()
        world.cleanups.append(self.close)

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            self._connect(client)

    def _connect(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        with self.lock:
            self.count += 1
            number = self.count
            self.open |= {client, server}
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink, up in ((client, server, True), (server, client, False)):
            flow = Flow(up, number, random.Random("%s %d %d" % (self.seed, number, up)))
            threading.Thread(target=self._pass, args=(flow, source, sink), daemon=True).start()

    def _pass(self, flow, source, sink):
        reset = False
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                fault = self.fault
                for piece in [data] if fault is None else as_list(fault(flow, data)):
                    sink.sendall(piece)
                flow.passed += len(data)
        except Cut as cut:
            reset = cut.reset
            with self.lock:
                self.cuts += 1
            try:
                sink.sendall(cut.data)
            except OSError:
                pass
        except OSError:
            pass
        self._end(source, sink, reset)

    def _end(self, source, sink, reset):
        for one in (source, sink):
            try:
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            with self.lock:
                known = one in self.open
                self.open.discard(one)
            if known:
                one.close()

    def drop_all(self):
        """Cut whatever is connected."""
        with self.lock:
            some = list(self.open)
        for one in some:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        # A shutdown wakes the thread in accept(), which a close alone does not.
        try:
            self.server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.server.close()
        self.drop_all()


def as_list(data):
    return [data] if isinstance(data, bytes) else data


# --- faults ------------------------------------------------------------------------------------------

def cuts(most, reset=None):
    """Each connection ends after up to so many octets of one direction, in the middle of whatever
    goes on, by FIN or RST."""
    def fault(flow, data):
        if not flow.memory:
            flow.memory = {"end": flow.rng.randrange(1, most),
                           "reset": flow.rng.random() < 0.5 if reset is None else reset}
        left = flow.memory["end"] - flow.passed
        if len(data) >= left:
            raise Cut(data[:left], flow.memory["reset"])
        return data
    return fault


def cut_at(octets, up):
    """Each connection ends after exactly so many octets of a direction."""
    def fault(flow, data):
        if flow.up == up and flow.passed + len(data) >= octets:
            raise Cut(data[:octets - flow.passed])
        return data
    return fault


def crumbs(flow, data):
    """Pieces of some octets, with a pause now and then."""
    at = 0
    while at < len(data):
        size = flow.rng.choice((1, 2, 3, 7, 100, 1000))
        yield data[at:at + size]
        at += size
        if flow.rng.random() < 0.01:
            time.sleep(0.002)


def damage(share, up=None):
    """Now and then octets are lost, come twice, or are others."""
    def fault(flow, data):
        if (up is not None and flow.up != up) or flow.rng.random() > share:
            return data
        at = flow.rng.randrange(len(data))
        size = flow.rng.randrange(1, 20)
        kind = flow.rng.randrange(3)
        if kind == 0:
            return data[:at] + data[at + size:]
        if kind == 1:
            return data[:at + size] + data[at:]
        return data[:at] + bytes(flow.rng.randrange(256) for _ in data[at:at + size]) + data[at + size:]
    return fault
