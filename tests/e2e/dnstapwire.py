# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the dnstap tests send: DNS messages, dnstap payloads, Frame Streams. Written down octet by
octet, with nothing in common with what reads them."""
import socket
import struct

CONTENT = b"protobuf:dnstap.Dnstap"
ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5
AUTH, RESOLVER, CLIENT, FORWARDER = 2, 4, 6, 8
TIME = 1700000000

# --- DNS ---------------------------------------------------------------------------------------


def name(text):
    """Wire form of a name of plain labels; its case is kept."""
    labels = [label.encode("latin-1") for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def rr(owner, rrtype, rdata, rrclass=1, ttl=300, length=None):
    """A record; an owner in octets is taken as it is, `length` overrides RDLENGTH."""
    owner = owner if isinstance(owner, bytes) else name(owner)
    return owner + struct.pack(">HHIH", rrtype, rrclass, ttl,
                               len(rdata) if length is None else length) + rdata


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def message(qname, qtype=1, answer=(), authority=(), additional=(), flags=0x8400, counts=None,
            question=True):
    """A DNS message; `counts` overrides those of the header."""
    sections = [list(answer), list(authority), list(additional)]
    counts = counts or [1 if question else 0] + [len(s) for s in sections]
    asked = (qname if isinstance(qname, bytes) else name(qname)) + struct.pack(">HH", qtype, 1)
    return struct.pack(">HH4H", 0x1234, flags, *counts) + (asked if question else b"") + \
        b"".join(b"".join(s) for s in sections)

# --- dnstap ------------------------------------------------------------------------------------


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def octets(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def fixed(field, value):
    return varint(field << 3 | 5) + struct.pack("<I", value)


def payload(dns, kind=RESOLVER, zone=None, time=TIME, identity=b"ns1", query_time=None,
            client="198.51.100.77", server="203.0.113.88", extra=b""):
    """A dnstap payload with all that resolvers put into one. None leaves a field out."""
    m = number(1, kind) + number(2, 1) + number(3, 1)
    m += octets(4, address(client)) + octets(5, address(server)) + number(6, 51234) + number(7, 53)
    if query_time is not None:
        m += number(8, query_time) + fixed(9, 5)
    m += octets(10, message("asked.example", flags=0x0100))
    if zone is not None:
        m += octets(11, zone if isinstance(zone, bytes) else name(zone))
    if time is not None:
        m += number(12, time) + fixed(13, 123456789)
    if dns is not None:
        m += octets(14, dns)
    whole = b"" if identity is None else octets(1, identity)
    return whole + octets(2, b"a resolver 1.0") + octets(14, m + extra) + number(15, 1)

# --- Frame Streams -----------------------------------------------------------------------------


def frame(data):
    return struct.pack(">I", len(data)) + data


def control(kind, *contents):
    body = struct.pack(">I", kind) + b"".join(
        struct.pack(">II", 1, len(c)) + c for c in contents)
    return struct.pack(">II", 0, len(body)) + body


def stream(payloads, stop=True, content=CONTENT):
    """What a file holds."""
    return control(START, content) + b"".join(frame(p) for p in payloads) + \
        (control(STOP) if stop else b"")


class Sender:
    """A peer of the input, on a Unix socket (a path) or TCP (host, port)."""

    def __init__(self, where, deadline):
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(deadline)
        self.socket.connect(where)

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError("the peer closed after %r" % data)
            data += more
        return data

    def control(self):
        """Kind and content types of the control frame that comes."""
        zero, size = struct.unpack(">II", self.receive(8))
        assert zero == 0 and 4 <= size <= 512, (zero, size)
        body = self.receive(size)
        kind, at, contents = struct.unpack(">I", body[:4])[0], 4, []
        while at < size:
            field, length = struct.unpack(">II", body[at:at + 8])
            assert field == 1, body
            contents.append(body[at + 8:at + 8 + length])
            at += 8 + length
        return kind, contents

    def open(self):
        """The handshake."""
        self.send(control(READY, CONTENT))
        answer = self.control()
        assert answer == (ACCEPT, [CONTENT]), answer
        self.send(control(START, CONTENT))
        return self

    def finish(self):
        self.send(control(STOP))
        answer = self.control()
        assert answer == (FINISH, []), answer
        assert self.closed()

    def closed(self):
        """Wait until the other side closes; whether it sent nothing before."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()
