#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""HTTPS: served to the clients there are, with a certificate that changes while they are connected.
"""
import http.client
import os
import signal
import ssl
import subprocess

from cofdtest import DEADLINE, SAMPLE, Skip, case, check, equal, main, until
from restclient import NAME, ask, connect_tls, make_certificate, run_openssl


def tls_conf(world, certificate, key, more=""):
    return world.conf(input="path = " + SAMPLE, rest="tls_certificate = %s\ntls_key = %s\n%s"
                      % (certificate, key, more))


def serve(world, certificate, key, more=""):
    server = world.serve(tls_conf(world, certificate, key, more))
    connection = connect_tls(server, certificate)
    until(lambda: ask(connection, NAME).body, "the samples")
    return server, connection


def presented(server):
    """The certificate that a new client is shown."""
    host, port = server.urls[0]
    return ssl.get_server_certificate((host, port), timeout=DEADLINE)


def text_of(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def reload(server, pattern):
    after = len(server.log())
    server.send(signal.SIGHUP)
    return server.wait_log(pattern, after=after)


@case("answers come by TLS, to Python and to curl, and the log says https")
def served(world):
    certificate, key = make_certificate(world, "one")
    server, connection = serve(world, certificate, key)
    equal(len(ask(connection, NAME).records), 1, "records")
    check(any("listening on https://127.0.0.1:" in line for line in server.log()), "the log")
    check(connection.sock.version() in ("TLSv1.2", "TLSv1.3"), "version of TLS")
    host, port = server.urls[0]
    try:
        done = subprocess.run(["curl", "-sS", "-i", "--cacert", certificate, "https://%s:%d%s"
                               % (host, port, NAME)], capture_output=True, timeout=DEADLINE,
                              check=False)
    except FileNotFoundError:
        raise Skip("curl is not installed") from None
    equal(done.returncode, 0, "curl: %s" % done.stderr)
    check(b" 200 " in done.stdout.splitlines()[0], "status")
    check(b'"rrname": "www.framtro.nu"' in done.stdout, "record")


@case("whoever speaks plain HTTP, or an old version, is turned away, and the rest go on")
def turned_away(world):
    certificate, key = make_certificate(world, "one")
    server, connection = serve(world, certificate, key)
    host, port = server.urls[0]
    for _ in range(20):
        plain = http.client.HTTPConnection(host, port, timeout=DEADLINE)
        try:
            plain.request("GET", NAME)
            check(plain.getresponse().status >= 400, "an answer without TLS")
        except (http.client.HTTPException, ConnectionError):
            pass
        plain.close()
    context = ssl.create_default_context(cafile=certificate)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    old = http.client.HTTPSConnection(host, port, timeout=DEADLINE, context=context)
    try:
        old.request("GET", NAME)
        raise AssertionError("TLS 1.1 was taken")
    except (ssl.SSLError, ConnectionError):
        pass
    equal(ask(connection, NAME).status, 200, "status on the first connection")


@case("a new certificate after SIGHUP, while a connection is open and stays")
def changed(world):
    certificate, key = make_certificate(world, "one")
    server, connection = serve(world, certificate, key)
    equal(presented(server), text_of(certificate), "certificate before")
    socket = connection.sock
    second, second_key = make_certificate(world, "two")
    os.replace(second_key, key)
    os.replace(second, certificate)
    equal(ask(connection, NAME).status, 200, "status before the reload")
    reload(server, r"reloaded ")
    equal(presented(server), text_of(certificate), "certificate after")
    for _ in range(3):
        equal(ask(connection, NAME).status, 200, "status on the old connection")
    check(connection.sock is socket, "it is the same connection")
    fresh = connect_tls(server, certificate)
    equal(ask(fresh, NAME).status, 200, "status on a new connection")


@case("a long answer goes on over a change of certificates")
def streamed(world):
    certificate, key = make_certificate(world, "one")
    feed = world.write("feed", "".join(
        '{"rrname": "many.example", "rrtype": "A", "rdata": "10.%d.%d.%d", "time_first": 1, '
        '"time_last": 2}\n' % (n >> 16, n >> 8 & 255, n & 255) for n in range(20000)))
    conf = world.conf(input="path = " + feed, rest="tls_certificate = %s\ntls_key = %s"
                      % (certificate, key))
    server = world.serve(conf)
    connection = connect_tls(server, certificate)
    until(lambda: len(ask(connection, "/query/many.example").lines) == 20000, "the records")
    connection.request("GET", "/query/many.example")
    response = connection.getresponse()
    first = response.read(1000)
    reload(server, r"reloaded ")
    rest = response.read()
    equal((first + rest).count(b"\n"), 20000, "lines")


@case("a pair that does not fit, or cannot be read, leaves the old one in force")
def kept(world):
    certificate, key = make_certificate(world, "one")
    server, connection = serve(world, certificate, key)
    before = text_of(certificate)
    good_key = text_of(key)
    other_key = text_of(make_certificate(world, "two")[1])
    world.write("one.key", other_key)
    os.chmod(key, 0o600)
    reload(server, r"one\.key: not the key of the certificate in .*one\.crt")
    equal(presented(server), before, "certificate after a wrong key")
    world.write("one.key", good_key)
    os.chmod(key, 0o644)
    reload(server, r"one\.key: its mode is 0644; expected")
    os.chmod(key, 0o600)
    world.write("one.crt", "nothing\n")
    reload(server, r"one\.crt: ")
    equal(presented(server), before, "certificate after a broken one")
    equal(ask(connection, NAME).status, 200, "status")
    world.conf(input="path = " + SAMPLE)
    reload(server, r"HTTP and HTTPS change places only by a restart")
    equal(ask(connection, NAME).status, 200, "status")


@case("cofd check names files that are missing, unsafe or no pair")
def checked(world):
    certificate, key = make_certificate(world, "one")
    _, other = make_certificate(world, "two")
    rsa = world.path("encrypted.key")
    run_openssl("genrsa", "-aes128", "-passout", "pass:secret", "-out", rsa, "2048")
    os.chmod(rsa, 0o600)
    world.done("check", "-c", tls_conf(world, certificate, key))
    os.chmod(other, 0o604)
    for cert, secret, more, want in (
            (certificate, world.path("none.key"), "", "none.key: No such file or directory"),
            (world.path("none.crt"), key, "", "none.crt: No such file or directory"),
            (certificate, other, "", "two.key: its mode is 0604; expected"),
            (certificate, rsa, "", "encrypted.key: "),
            (certificate, world.directory, "", "not a regular file"),
            (key, key, "", "one.key: "),
            (certificate, key, "tls_priorities = NORMAL:+NONSENSE", "priority string of GnuTLS")):
        conf = tls_conf(world, cert, secret, more)
        done = world.run("check", "-c", conf)
        equal(done.returncode, 1, "status with %s, %s, %s" % (cert, secret, more))
        check(want in done.stderr, "%r in %r" % (want, done.stderr))
        check("cofd.conf:" in done.stderr, "the line of the option")
    conf = world.conf(rest="tls_certificate = " + certificate)
    done = world.run("check", "-c", conf)
    check("without tls_key" in done.stderr, done.stderr)


if __name__ == "__main__":
    main()
