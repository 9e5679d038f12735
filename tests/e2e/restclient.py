# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the tests of the REST output's operation share: entries of users, certificates, clients."""
import base64
import crypt
import hashlib
import http.client
import os
import ssl
import subprocess
import time
import warnings

from cofdtest import DEADLINE, Answer, Skip, equal

warnings.simplefilter("ignore", DeprecationWarning)
NAME = "/query/www.framtro.nu"


def key_entry(name, secret, *attributes):
    """A line of the users' file for an API key, made as the manual says."""
    salt = hashlib.sha256(name.encode()).hexdigest()[:32]
    digest = hashlib.sha256((salt + secret).encode()).hexdigest()
    return " ".join((name, "sha256:%s:%s" % (salt, digest)) + attributes) + "\n"


def password_entry(name, password, *attributes):
    """A line for a user with a password; few rounds, as the tests are not about waiting."""
    return " ".join((name, crypt.crypt(password, "$6$rounds=1000$abcdefgh")) + attributes) + "\n"


def write_secret(world, name, text, mode=0o600):
    path = world.write(name, text)
    os.chmod(path, mode)
    return path


def within_a_day(seconds=30):
    """Return where so much of the day (UTC) is left: quotas begin anew at its end."""
    left = 86400 - time.time() % 86400
    if left < seconds:
        time.sleep(left + 1)


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(
        ("%s:%s" % (name, password)).encode()).decode()}


def run_openssl(*arguments):
    try:
        return subprocess.run(["openssl", *arguments], check=True, capture_output=True,
                              timeout=DEADLINE, stdin=subprocess.DEVNULL).stdout
    except FileNotFoundError:
        raise Skip("openssl is not installed") from None


def make_certificate(world, name, days=30):
    """A self-signed certificate for 127.0.0.1; returns the paths of it and of its key."""
    certificate, key = world.path(name + ".crt"), world.path(name + ".key")
    run_openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-keyout", key, "-out", certificate, "-days", str(days), "-subj",
                "/CN=" + name, "-addext", "subjectAltName=IP:127.0.0.1")
    os.chmod(key, 0o600)
    return certificate, key


def connect_tls(server, trusted, **options):
    """A connection by HTTPS to a server, whose certificate must be the trusted one."""
    context = ssl.create_default_context(cafile=trusted)
    for name, value in options.items():
        setattr(context, name, value)
    host, port = server.urls[0]
    return http.client.HTTPSConnection(host, port, timeout=DEADLINE, context=context)


def ask(connection, path, method="GET", headers=None):
    """One request on a connection that stays open."""
    connection.request(method, path, headers=headers or {})
    return Answer(connection.getresponse())


def status(server, path, headers=None, want=200, method="GET"):
    """Ask, and compare the status."""
    answer = server.get(path, headers=headers, method=method)
    equal(answer.status, want, "status of %s with %s, which said %r" % (path, headers, answer.text))
    return answer
