#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Makes a redis-server answer Kvrocks' HRANGEBYLEX, for tests where there is no Kvrocks: a proxy that
puts a script in the place of this command and passes all else on.

    lexproxy.py PORT    proxy for 127.0.0.1:PORT; its own port is the line it prints"""
import socket
import sys
import threading

# A sorted set beside the hash holds its fields in their order. It is made anew when the server counts
# changes other than by these scripts since it was made, or is another run.
SCRIPT = rb"""
local k, mark, own = KEYS[1], KEYS[1] .. ':index-of', tonumber(redis.call('GET', 'index:own') or 0)
local run = redis.call('INFO', 'server'):match('run_id:(%w+)')
local function changes()
  return tonumber(redis.call('INFO', 'persistence'):match('rdb_changes_since_last_save:(%d+)'))
end
local before = changes()
local state = run .. string.format('%d', before - own)
if redis.call('GET', mark) ~= state then
  local fields, part = redis.call('HKEYS', k), {}
  redis.call('DEL', k .. ':index')
  for i, field in ipairs(fields) do
    part[#part + 1] = '0'
    part[#part + 1] = field
    if #part == 4000 or i == #fields then
      redis.call('ZADD', k .. ':index', unpack(part))
      part = {}
    end
  end
  redis.call('SET', mark, state)
  redis.call('SET', 'index:own', string.format('%d', own + changes() - before + 1))
end
local fields = redis.call('ZRANGEBYLEX', k .. ':index', ARGV[1], ARGV[2], 'LIMIT', ARGV[3], ARGV[4])
local values = #fields > 0 and redis.call('HMGET', k, unpack(fields)) or {}
local answer = {}
for i, field in ipairs(fields) do
  answer[2 * i - 1] = field
  answer[2 * i] = values[i]
end
return answer
"""


def encode(words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in words)


def command(stream):
    """The next command, as it came and as words; None at the end."""
    line = stream.readline()
    if not line.startswith(b"*"):
        return None
    raw, words = [line], []
    for _ in range(int(line[1:])):
        line = stream.readline()
        word = stream.read(int(line[1:]) + 2)
        raw += [line, word]
        words.append(word[:-2])
    return b"".join(raw), words


def instead(words):
    """HRANGEBYLEX key min max LIMIT offset count, as a call of the script."""
    _, key, low, high, limit, offset, count = words
    assert limit == b"LIMIT"
    return encode([b"EVAL", SCRIPT, b"1", key, low, high, offset, count])


def send_up(client, server):
    stream = client.makefile("rb", 1 << 16)
    try:
        while (one := command(stream)) is not None:
            raw, words = one
            server.sendall(instead(words) if words[0].upper() == b"HRANGEBYLEX" else raw)
    except (OSError, ValueError):
        pass
    end(client, server)


def send_down(client, server):
    try:
        while data := server.recv(1 << 16):
            client.sendall(data)
    except OSError:
        pass
    end(client, server)


def end(*sockets):
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(listener, target):
    """Take connections until the listener is shut down."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            server = socket.create_connection(("127.0.0.1", target))
        except OSError:
            client.close()
            continue
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for way in (send_up, send_down):
            threading.Thread(target=way, args=(client, server), daemon=True).start()


def listen():
    return socket.create_server(("127.0.0.1", 0), backlog=128)


if __name__ == "__main__":
    LISTENER = listen()
    print(LISTENER.getsockname()[1], flush=True)
    serve(LISTENER, int(sys.argv[1]))
