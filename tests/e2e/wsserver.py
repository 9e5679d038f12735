# SPDX-License-Identifier: AGPL-3.0-or-later
"""A websocket server for the end-to-end tests, in plain sockets: what it sends, and how its octets
are cut up, is up to the test. Also a proxy that knows CONNECT, and certificates."""
import base64
import hashlib
import os
import random
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading

from cofdtest import DEADLINE, Skip, check

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload, opcode=TEXT, final=True):
    """One frame as a server sends it."""
    payload = payload.encode("utf-8") if isinstance(payload, str) else payload
    size = len(payload)
    first = bytes([(0x80 if final else 0) | opcode])
    if size < 126:
        return first + bytes([size]) + payload
    if size < 65536:
        return first + b"\x7e" + struct.pack("!H", size) + payload
    return first + b"\x7f" + struct.pack("!Q", size) + payload


def fragments(payload, *sizes):
    """A message in frames of these sizes, and one of the rest."""
    payload = payload.encode("utf-8") if isinstance(payload, str) else payload
    parts, at = [], 0
    for size in sizes:
        parts.append(payload[at:at + size])
        at += size
    parts.append(payload[at:])
    return [frame(part, TEXT if number == 0 else 0, number == len(parts) - 1)
            for number, part in enumerate(parts)]


def calm_port():
    """A free port that no outgoing connection gets by chance, its own client's least of all: one
    that tries a port on which nobody listens ends up connected to itself some day."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as ranges:
        low = int(ranges.read().split()[0])
    for _ in range(1000):
        port = random.randrange(min(10000, low - 1), low)
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return port
        except OSError:
            continue
    raise Skip("no free port below %d" % low)


class Request:
    """The request that opened a connection."""

    def __init__(self, text):
        lines = text.split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip().lower(), []).append(value.strip())

    def header(self, name):
        values = self.headers.get(name.lower(), [])
        check(len(values) <= 1, "%s stands %d times in the request" % (name, len(values)))
        return values[0] if values else None


def read_request(connection):
    """The request, octet by octet, so that nothing behind it is taken."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        more = connection.recv(1)
        if not more:
            raise ConnectionError("the client left within its request")
        text += more
    return Request(text[:-4].decode("latin-1"))


class Peer:
    """One client that is connected."""

    def __init__(self, connection, number=1):
        self.socket, self.number = connection, number
        self.request = read_request(connection)
        self.frames = []

    def accept(self, *headers):
        """Answer the handshake."""
        key = self.request.header("sec-websocket-key") or ""
        sha = hashlib.sha1((key + MAGIC).encode()).digest()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Accept: " + base64.b64encode(sha).decode(), *headers]
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        return self

    def refuse(self, status, *headers):
        lines = ["HTTP/1.1 " + status, "Content-Length: 0", "Connection: close", *headers]
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        self.close()

    def send(self, *octets):
        for some in octets:
            self.socket.sendall(some)

    def say(self, *messages):
        """Each text a message of one frame."""
        self.socket.sendall(b"".join(map(frame, messages)))

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the client left")
            data += more
        return data

    def read(self):
        """The next frame of the client: opcode and payload."""
        head = self.exactly(2)
        check(head[0] & 0x80, "a client's control frame is final")
        check(head[1] & 0x80, "a client masks its frames")
        size = head[1] & 0x7f
        check(size < 126, "a client of this test sends control frames only")
        mask = self.exactly(4)
        payload = bytes(c ^ mask[i % 4] for i, c in enumerate(self.exactly(size)))
        return head[0] & 0x0f, payload

    def close(self):
        """End the TCP connection, without a word."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def reset(self):
        """End the TCP connection by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class WsServer:
    """Calls handler(peer) in a thread for each client; what it raises is kept in `wrong`.

    A handler may run before the constructor has returned: it tells connections apart by peer.number."""

    def __init__(self, world, handler, tls=None, port=0, host="127.0.0.1"):
        self.handler, self.tls, self.host = handler, tls, host
        self.peers, self.wrong, self.connections = [], [], 0
        self.stopping = False
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family, backlog=64)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        world.cleanups.append(self.stop)

    @property
    def url(self):
        host = "[%s]" % self.host if ":" in self.host else self.host
        return "%s://%s:%d/" % ("wss" if self.tls else "ws", host, self.port)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(DEADLINE)
            threading.Thread(target=self._serve, args=(connection, self.connections),
                             daemon=True).start()

    def _serve(self, connection, number):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            peer = Peer(connection, number)
            self.peers.append(peer)
            self.handler(peer)
        except (OSError, ssl.SSLError):
            connection.close()
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append("%s: %s" % (type(error).__name__, error))
            connection.close()

    def stop(self):
        """Listen no more, and cut all connections."""
        if self.stopping:
            return
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(DEADLINE)
        for peer in self.peers:
            peer.close()


class Proxy:
    """An HTTP proxy that knows CONNECT and nothing else."""

    def __init__(self, world, login=None):
        self.login, self.targets, self.logins = login, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        world.cleanups.append(self.listener.close)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client):
        try:
            request = read_request(client)
            check(request.method == "CONNECT", "a request for CONNECT")
            login = request.header("proxy-authorization")
            self.logins.append(login)
            if self.login and (login or "").split(" ")[-1] != base64.b64encode(
                    self.login.encode()).decode():
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                client.close()
                return
            host, _, port = request.target.rpartition(":")
            self.targets.append(request.target)
            server = socket.create_connection((host.strip("[]"), int(port)))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()
            self._carry(server, client)
        except OSError:
            client.close()

    @staticmethod
    def _carry(source, sink):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Certificates:
    """An authority, and certificates by it; all keys without a password."""

    def __init__(self, world):
        if shutil.which("openssl") is None:
            raise Skip("openssl is not installed")
        self.world = world
        self.ca = world.path("ca.pem")
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                  "-nodes", "-days", "2", "-subj", "/CN=authority of the tests",
                  "-keyout", world.path("ca.key"), "-out", self.ca)

    @staticmethod
    def _run(*arguments):
        done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)
        check(done.returncode == 0, "openssl %s: %s" % (" ".join(arguments), done.stderr))

    def server(self, name, *alternatives):
        """A server's side of TLS, its certificate for these (`DNS:host`, `IP:address`)."""
        path = self.world.path
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                  "-subj", "/CN=" + name, "-keyout", path(name + ".key"), "-out", path(name + ".csr"))
        self.world.write(name + ".ext", "subjectAltName = %s\n" % ",".join(alternatives))
        self._run("x509", "-req", "-in", path(name + ".csr"), "-CA", self.ca, "-CAkey",
                  path("ca.key"), "-set_serial", str(1 + int.from_bytes(os.urandom(4), "big")),
                  "-days", "2", "-extfile", path(name + ".ext"), "-out", path(name + ".pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path(name + ".pem"), path(name + ".key"))
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context


def replay(port, first, last, hang):
    """What runs as a process of its own, to be killed: sends the messages from `first` on to one
    client, and writes the number of each one that is complete. Before message `hang` it stops, with
    half of it sent."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        print("ready", flush=True)
        connection, _ = listener.accept()
    peer = Peer(connection).accept()
    number = first
    while number < last:
        if number == hang:
            whole = frame(numbered(number))
            peer.send(whole[:len(whole) // 2])
            print("hangs", flush=True)
            break
        end = min(number + 16, last, hang if hang > number else last)
        peer.say(*map(numbered, range(number, end)))
        number = end
        print(number, flush=True)
    peer.socket.recv(1)


def numbered(number):
    """The message of a number, each with a name of its own."""
    return ('{"rrname":"n%d.example","rrtype":"A","rdata":"192.0.2.1","time_first":1657800000,'
            '"time_last":1657800001,"count":1,"sensor_id":"s0"}' % number)


if __name__ == "__main__":
    replay(*map(int, sys.argv[1:]))
