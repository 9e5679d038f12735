# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small websocket client (RFC 6455) for the tests."""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    """The server did not agree to an upgrade."""

    def __init__(self, status, headers, text):
        super().__init__("%d: %s" % (status, text))
        self.status, self.headers, self.text = status, headers, text


class Closed(Exception):
    """The connection was closed, with a status and a reason if the server gave any."""

    def __init__(self, status, reason):
        super().__init__("%s %s" % (status, reason))
        self.status, self.reason = status, reason


class WebSocket:
    """A connection. Pings are answered from within receive()."""

    def __init__(self, host, port, path="/", headers=None, timeout=240, receive_buffer=None,
                 tls=None):
        self.pings = 0
        raw = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(timeout)
        raw.connect((host, port))
        try:
            self.socket = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
        except ssl.SSLError:
            raw.close()
            raise
        self.file = self.socket.makefile("rb")
        try:
            self._upgrade(host, port, path, headers or {})
        except BaseException:
            self.close()
            raise

    def _upgrade(self, host, port, path, headers):
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": "%s:%d" % (host, port), "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
        fields.update(headers)
        lines = ["GET %s HTTP/1.1" % path] + ["%s: %s" % field for field in fields.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        status = int(self._line().split()[1])
        got = {}
        for line in iter(self._line, ""):
            name, _, value = line.partition(":")
            got[name.strip().lower()] = value.strip()
        if status != 101:
            text = self.file.read(int(got.get("content-length", 0))).decode()
            raise Refused(status, got, text)
        want = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        if got.get("sec-websocket-accept") != want:
            raise AssertionError("wrong Sec-WebSocket-Accept %r" % got)

    def _line(self):
        line = self.file.readline()
        if not line:
            raise Closed(None, "during the upgrade")
        return line.decode("latin-1").rstrip("\r\n")

    def _exactly(self, size):
        data = self.file.read(size)
        if len(data) != size:
            raise Closed(None, "end of the connection")
        return data

    def _frame(self):
        try:
            first, second = self._exactly(2)
            size = second & 127
            if size == 126:
                size, = struct.unpack(">H", self._exactly(2))
            elif size == 127:
                size, = struct.unpack(">Q", self._exactly(8))
            return first, self._exactly(size)
        except ConnectionResetError:
            raise Closed(None, "reset") from None

    def send(self, opcode, data=b""):
        """Send one frame, masked as clients must."""
        mask = os.urandom(4)
        head = struct.pack(">BB", 0x80 | opcode, 0x80 | len(data)) if len(data) < 126 else \
            struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, len(data))
        body = bytes(c ^ mask[i % 4] for i, c in enumerate(data))
        self.socket.sendall(head + mask + body)

    def receive(self):
        """The next text message, parsed. Raises Closed."""
        while True:
            first, data = self._frame()
            if first == 0x81:
                return json.loads(data)
            if first == 0x89:
                self.pings += 1
                self.send(0xa, data)
            elif first == 0x88:
                status = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else None
                raise Closed(status, data[2:].decode())
            elif first != 0x8a:
                raise AssertionError("unexpected frame 0x%02x" % first)

    def records(self, count):
        """So many messages."""
        return [self.receive() for _ in range(count)]

    def rest(self):
        """All messages until the connection is closed; returns them and how it was closed."""
        messages = []
        try:
            while True:
                messages.append(self.receive())
        except Closed as closed:
            return messages, closed

    def close(self):
        if hasattr(self, "file"):
            self.file.close()
            self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
