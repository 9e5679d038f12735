#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What cofd may do and what it tells: another user than root, secrets, a filter of system calls, the
unit for systemd."""
import glob
import grp
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess

from cofdtest import (COFD, DEADLINE, SAMPLE, TOP, Skip, case, check, die_with_parent, equal, main,
                      until)
from dnstapwire import Sender, address, frame, message, payload, rr
from redisproc import Redis, hold_port
from restclient import ask, connect_tls, make_certificate, write_secret
from wsclient import WebSocket

USER, GROUP = "daemon", "mail"
SECRET = "hunter2-swordfish"


# --- another user ----------------------------------------------------------------------------------


def need_root():
    """Leave the case as skipped where nobody can be made another user, or that one finds nothing."""
    if os.geteuid() != 0:
        raise Skip("only root becomes another user")
    for path in (COFD, os.environ.get("COFD_PLUGIN_PATH", TOP), SAMPLE):
        while path != "/":
            if not os.stat(path).st_mode & 0o001 and os.path.isdir(path):
                raise Skip("%s is closed to other users" % path)
            path = os.path.dirname(path)


def give(path, user=USER):
    """Make all below a directory a user's."""
    for directory, _, names in os.walk(path):
        for name in [""] + names:
            shutil.chown(os.path.join(directory, name), user, user)


def low_port():
    """A free port that only root binds."""
    for port in range(1023, 600, -1):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise Skip("no port below 1024 is free")


def threads(process):
    """The status of each thread, as a dictionary of its lines. A thread may end meanwhile."""
    found = []
    for path in glob.glob("/proc/%d/task/*/status" % process.pid):
        try:
            with open(path, encoding="ascii", errors="replace") as lines:
                text = lines.read().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append(dict(line.split(":\t", 1) for line in text if ":\t" in line))
    return found


def owned_conf(world, more="", **options):
    conf = world.conf(host="user = %s\n%s" % (USER, more), input="path = " + SAMPLE, **options)
    give(world.directory)
    return conf


@case("root is given up in all threads, after a low port is bound, and for good")
def gives_up_root(world):
    need_root()
    port = low_port()
    conf = owned_conf(world, "group = " + GROUP)
    with open(conf, encoding="utf-8") as lines:
        text = lines.read()
    world.write("cofd.conf", text.replace("127.0.0.1:0", "127.0.0.1:%d" % port))
    give(world.directory)
    os.setgroups([0, grp.getgrnam("adm").gr_gid])  # to be given up, too
    try:
        server = world.serve(conf)
    finally:
        os.setgroups([])
    server.wait_log("runs 3 plugin instances")
    server.wait_stored(16)
    uid, gid = pwd.getpwnam(USER).pw_uid, grp.getgrnam(GROUP).gr_gid
    have = threads(server.process)
    check(len(have) > 1, "threads")
    for one in have:
        equal(one["Uid"].split(), [str(uid)] * 4, "users of " + one["Name"])
        equal(one["Gid"].split(), [str(gid)] * 4, "groups of " + one["Name"])
        equal([int(one[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")], [0] * 4,
              "capabilities of " + one["Name"])
        equal(one["NoNewPrivs"], "1", "no_new_privs of " + one["Name"])
        check(set(map(int, one["Groups"].split())) <= {gid}, "groups are left: " + one["Groups"])
    for directory, _, names in os.walk(world.path("db")):
        for name in names:
            try:
                owner = os.stat(os.path.join(directory, name)).st_uid
            except FileNotFoundError:
                continue  # RocksDB removes what it needs no more
            equal(owner, uid, "owner of " + name)
    check(not any("runs as root" in line for line in server.log()), "a warning of root")
    after = len(server.log())
    server.send(signal.SIGHUP)
    server.wait_log("reloaded", after=after)
    equal(server.get("/query/www.framtro.nu").status, 200, "status after the reload")


@case("an import by root writes as the user that serves")
def imports_as_user(world):
    need_root()
    conf = owned_conf(world)
    world.done("import", "-c", conf, SAMPLE)
    owners = {os.stat(path).st_uid for path in glob.glob(world.path("db", "*"))}
    equal(owners, {pwd.getpwnam(USER).pw_uid}, "owners of the database")


@case("what belongs to another user is named, with its owner and mode")
def names_owners(world):
    need_root()
    conf = owned_conf(world)
    for name, pattern in (("state", r"state_dir \S+/state cannot be used: Permission denied; \S+ "
                                    r"belongs to root \(mode 0750\), and cofd runs as daemon"),
                          ("db", r"/db.*(Permission denied)")):
        os.makedirs(world.path(name), exist_ok=True)
        os.chmod(world.path(name), 0o750)
        shutil.chown(world.path(name), "root", "root")
        server = world.start(conf)
        server.wait_log(pattern)
        check(server.wait() != 0, "cofd runs without " + name)
        if name == "db":
            check(any("as daemon" in line for line in server.log()), "who asks is not said")
        give(world.directory)
    shutil.chown(conf, "root", "root")
    os.chmod(conf, 0o600)
    done = world.run("run", "-c", conf)
    check(done.returncode != 0 and "cofd.conf: error: cannot be opened: Permission denied; "
          in done.stderr and "cofd runs as daemon" in done.stderr, done.stderr)


@case("users and groups that are none are found by cofd check, with their lines")
def wrong_users(world):
    for lines, want in (
            (["user = nobody-here"], "cofd.conf:4: error: user: nobody-here: there is no such user"),
            (["user = root"], "cofd.conf:4: error: user: root is root; expected a user of its own"),
            (["group = mail"], "cofd.conf:4: error: group: needs a user"),
            (["user = daemon", "group = nobody-here"],
             "cofd.conf:5: error: group: nobody-here: there is no such group"),
            (["user = daemon", "group = root"],
             "cofd.conf:5: error: group: root is the group of root; expected another one")):
        conf = world.conf(host="# who\n" + "\n".join(lines), input="path = " + SAMPLE)
        done = world.run("check", "-c", conf)
        check(done.returncode == 1 and want in done.stderr, "%s: %s" % (lines, done.stderr))
        done = world.run("run", "-c", conf)
        check(done.returncode == 1 and want.split(": ", 2)[2] in done.stderr, done.stderr)


@case("who is not root becomes nobody else, and is told so; check tells of the file")
def not_root(world):
    need_root()
    conf = owned_conf(world)
    other = pwd.getpwnam("nobody")
    os.chmod(world.directory, 0o755)
    os.chmod(conf, 0o644)
    for command, status in (("run", 1), ("check", 0)):
        done = subprocess.run([COFD, command, "-c", conf], capture_output=True, check=False,
                              timeout=DEADLINE, user=other.pw_uid, group=other.pw_gid,
                              extra_groups=[])
        equal(done.returncode, status, "status of %s: %s" % (command, done.stderr))
        check(status == 0 or b"only root can change" in done.stderr, str(done.stderr))


# --- secrets ---------------------------------------------------------------------------------------


SECRETS = [("storage", "redis", "server = 127.0.0.1:1\n", "password"),
           ("storage", "redis", "server = 127.0.0.1:1\nmode = sentinel\nsentinels = 127.0.0.1:1\n"
                                "master = m\n", "sentinel_password"),
           ("storage", "kvrocks", "server = 127.0.0.1:1\n", "token"),
           ("input", "d4", "server = 127.0.0.1:1\nuuid = 6072e072-bfaa-4395-9bb1-cdb3b470d715\n",
            "password"),
           ("input", "cof-ws", "url = ws://127.0.0.1:1/\nuser = u\n", "password"),
           ("input", "cof-ws", "url = ws://127.0.0.1:1/\n", "token"),
           ("input", "cof-ws", "url = ws://127.0.0.1:1/\nproxy = http://127.0.0.1:1\n"
                               "proxy_user = u\n", "proxy_password")]


def secret_conf(world, which, value):
    kind, plugin, lines, option = which
    return world.conf("[%s.it]\nplugin = %s\n%s%s = %s\n" % (kind, plugin, lines, option, value),
                      input="path = " + SAMPLE)


def told(world, which, value, *wanted, mode=0o640, env=None):
    """What cofd check finds in a configuration with a secret has these texts, and no secret."""
    conf = secret_conf(world, which, value)
    os.chmod(conf, mode)
    done = world.run("check", "-c", conf, env=env)
    for text in wanted:
        check(text in done.stderr, "%s %s = %s: %r is not in %r"
              % (which[1], which[3], value, text, done.stderr))
    check(SECRET not in done.stderr + done.stdout, "the secret is told: " + done.stderr)
    return done.stderr


@case("every secret that others can read is refused, with its line and the mode expected")
def secrets_refused(world):
    path = write_secret(world, "secret", SECRET + "\nsecond line\n")
    for which in SECRETS:
        option = which[3]
        told(world, which, SECRET, ": error: %s: this file, whose mode is 0644" % option,
             "expected a mode such as 0640 or 0600 (chmod o=,g-w), or @FILE", mode=0o644)
        text = told(world, which, SECRET)
        check(" %s: " % option not in text, "kept from others, and still refused: " + text)
        os.chmod(path, 0o604)
        told(world, which, "@" + path, ": error: %s: %s: its mode is 0604" % (option, path),
             "such as 0640 or 0600")
        os.chmod(path, 0o600)
        text = told(world, which, "@" + path, mode=0o644)
        check(" %s: " % option not in text, "in a file of its own, and still refused: " + text)


@case("a file or credential without a secret is refused, and says what it lacks")
def secrets_missing(world):
    which = SECRETS[0]
    os.mkdir(world.path("credentials"), 0o700)
    env = {"CREDENTIALS_DIRECTORY": world.path("credentials")}
    for text, want in (("\n", "its first line is empty"), ("", "its first line is empty"),
                       ("a\tb\n", "control character"), ("a\0b\n", "NUL octet"),
                       (5000 * "x", "longer than 4096 octets")):
        write_secret(world, "secret", text)
        told(world, which, "@" + world.path("secret"), want)
        write_secret(world, "credentials/redis", text, 0o400)
        told(world, which, "@redis", "credentials/redis: ", want, env=env)
    told(world, which, "@" + world.path("none"), "none: No such file or directory")
    told(world, which, "@" + world.directory, "not a regular file")
    told(world, which, "@redis", "no $CREDENTIALS_DIRECTORY", "LoadCredential=",
         env={"CREDENTIALS_DIRECTORY": ""})
    told(world, which, "@", "no name after '@'", env=env)
    told(world, which, "@..", "no name after '@'", env=env)


@case("a secret in an option of the command line is refused before anything is done")
def secrets_in_arguments(world):
    conf = world.conf(input="path = " + SAMPLE)
    done = world.run("plugin", "test", os.path.join(
        os.environ.get("COFD_PLUGIN_PATH", ""), "storage", "redis", ".libs", "redis.so"), "--",
        "server=127.0.0.1:1", "password=" + SECRET)
    check("a command line is seen in the list of processes; expected @FILE" in
          done.stderr + done.stdout, "%s %s" % (done.stdout, done.stderr))
    check(SECRET not in done.stderr + done.stdout, "the secret is told")
    equal(world.run("check", "-c", conf).returncode, 0, "check of the rest")


@case("secrets open a database, and are in no list of processes, no log and no answer")
def secrets_used(world):
    redis = Redis(world, "store", "--requirepass", SECRET)
    redis.password = SECRET
    os.mkdir(world.path("credentials"), 0o700)
    write_secret(world, "credentials/redis", SECRET, 0o400)
    secret = write_secret(world, "secret", SECRET + "\r\n")
    os.environ["CREDENTIALS_DIRECTORY"] = world.path("credentials")
    try:
        for value in ("@" + secret, "@redis", SECRET):
            conf = world.write("cofd.conf", """[cofd]
log_level = debug
[input.in]
plugin = cof-file
path = %s
[storage.db]
plugin = redis
server = 127.0.0.1:%d
password = %s
[output.api]
plugin = rest
listen = 127.0.0.1:0
[chain.main]
route = in -> db -> api
window_time = 20ms
""" % (SAMPLE, redis.port, value))
            server = world.serve(conf)
            server.wait_stored(16)
            seen = [server.get(path).text for path in ("/info", "/metrics", "/", "/openapi.json")]
            with open("/proc/%d/cmdline" % server.process.pid, "rb") as file:
                seen.append(file.read().decode())
            seen.append(world.done("check", "-c", conf).stdout)
            seen.append(world.done("plugins", "redis").stdout)
            with open(conf, encoding="utf-8") as lines:
                text = lines.read()
            world.write("cofd.conf", text.replace("password = ", "password = x"))
            after = len(server.log())
            server.send(signal.SIGHUP)
            server.wait_log("reloaded|not reloaded", after=after)
            server.stop()
            seen += server.log()
            check(not any(SECRET in text for text in seen), "the secret is told")
            redis.do("FLUSHALL")
    finally:
        del os.environ["CREDENTIALS_DIRECTORY"]


@case("files of tokens, keys and header fields that others can read are refused")
def files_refused(world):
    certificate, key = make_certificate(world, "one")
    tokens = write_secret(world, "tokens", 20 * "t" + "\n", 0o644)
    os.chmod(key, 0o644)
    for lines, name in (("tokens = " + tokens, tokens),
                        ("certificate = %s\nkey = %s" % (certificate, key), key)):
        conf = world.write("cofd.conf", """[input.in]
plugin = cof-file
path = %s
[storage.db]
plugin = rocksdb
path = %s
[output.live]
plugin = cof-ws
listen = 127.0.0.1:0
%s
[chain.main]
route = in -> db -> live
""" % (SAMPLE, world.path("db"), lines))
        server = world.start(conf)
        server.wait_log("%s: its mode is 0644; expected one that keeps it from others, such as "
                        "0640 or 0600" % name)
        check(server.wait() != 0, "cofd serves with " + name)
    for option in ("token_file", "header_file"):
        conf = world.conf("[input.feed]\nplugin = cof-ws\nurl = ws://127.0.0.1:1/\n%s = %s\n"
                          % (option, tokens), filters=["feed"])
        server = world.start(conf)
        server.wait_log("cannot open %s: its mode is 0644; expected" % tokens)
        check(server.wait() != 0, "cofd runs with such a " + option)


# --- system calls ------------------------------------------------------------------------------------


def need_seccomp(world):
    """Leave the case as skipped where cofd was built without the filter."""
    done = world.run("check", "-c", world.conf(host="seccomp = yes", input="path = " + SAMPLE))
    if "built without libseccomp" in done.stderr:
        raise Skip("cofd was built without libseccomp")
    # What looks for leaks at the end of a process makes another one, and traces this one.
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"


CONFINED = """[cofd]
state_dir = %(state)s
seccomp = %(how)s
[input.files]
plugin = cof-file
path = %(source)s
follow = yes
[input.tap]
plugin = dnstap
socket = %(tap)s
[input.loop]
plugin = cof-ws
url = ws://localhost:%(live)d/
[storage.db]
plugin = rocksdb
path = %(db)s
[storage.red]
plugin = redis
server = 127.0.0.1:%(redis)d
[output.api]
plugin = rest
listen = 127.0.0.1:0
tls_certificate = %(certificate)s
tls_key = %(key)s
origin = %(origin)s
[output.live]
plugin = cof-ws
listen = 127.0.0.1:%(live)d
[output.archive]
plugin = cof-file
path = %(archive)s
[output.second]
plugin = rest
listen = 127.0.0.1:0
[chain.main]
route = files, tap -> db -> api, live, archive
window_time = 20ms
[chain.more]
route = loop -> red -> second
window_time = 20ms
"""


def observe(path, number):
    with open(path, "a", encoding="ascii") as out:
        out.write(json.dumps({"rrname": "n%d.example" % number, "rrtype": "A", "rdata": "192.0.2.1",
                              "time_first": 1, "time_last": 2, "count": 1}) + "\n")


@case("behind the filter, all kinds of plugins work, and take new settings, to the end")
def confined(world):
    need_seccomp(world)
    redis = Redis(world, "store")
    certificate, key = make_certificate(world, "one")
    os.makedirs(world.path("archive"))
    values = {"how": "kill", "state": world.path("state"), "source": world.write("in.ndjson", ""),
              "tap": world.path("tap.sock"), "live": hold_port(world), "db": world.path("db"),
              "redis": redis.port, "certificate": certificate, "key": key, "origin": "before",
              "archive": world.path("archive", "%Y-%m-%d.ndjson")}
    server = world.serve(world.write("cofd.conf", CONFINED % values), outputs=3)
    server.wait_log("runs 9 plugin instances")
    server.wait_log("taking dnstap on")
    for one in threads(server.process):
        equal(one["Seccomp"], "2", "seccomp of " + one["Name"])
    connection = connect_tls(server, certificate)
    until(lambda: "subscribed" in " ".join(server.log()) or "connected" in " ".join(server.log()),
          "the feed")
    listener = WebSocket("127.0.0.1", values["live"], timeout=DEADLINE)
    # The answer to an upgrade is sent before the subscriber is one.
    until(lambda: server.metric("live", "subscribers", output=1) == 2, "both to be subscribed")
    observe(values["source"], 1)
    sender = Sender(values["tap"], DEADLINE).open()
    sender.send(frame(payload(message("tap.example", answer=[rr("tap.example", 1,
                                                               address("192.0.2.7"))]),
                              zone="example")))
    sender.finish()
    sender.close()
    for number, name in enumerate(("n1.example", "tap.example")):
        until(lambda name=name: ask(connection, "/query/" + name).body, name)
        listener.receive()
    until(lambda: server.get("/query/n1.example", output=1).body, "what went round into Redis")
    make_certificate(world, "one")
    values["origin"] = "after"
    world.write("cofd.conf", CONFINED % values)
    after = len(server.log())
    server.send(signal.SIGHUP)
    server.wait_log("reloaded ", after=after)
    fresh = connect_tls(server, certificate)
    check(b'"origin": "after"' in ask(fresh, "/query/n1.example").body, "the new setting")
    observe(values["source"], 2)
    until(lambda: ask(fresh, "/query/n2.example").body, "a record after the reload")
    listener.close()
    server.stop()
    check(glob.glob(world.path("archive", "*")), "no archive")


# --- the unit for systemd ----------------------------------------------------------------------------


@case("systemd measures an exposure of 2.0 or less for the unit, and knows all of its options")
def unit(world):
    if shutil.which("systemd-analyze") is None:
        raise Skip("systemd-analyze is not installed")
    with open(os.path.join(TOP, "etc/cofd.service.in"), encoding="utf-8") as lines:
        text = lines.read().replace("@sbindir@", "/bin").replace("@confdir@", "/etc/cofd")
    path = world.write("cofd.service", text)
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20",
                           "--no-pager", path], capture_output=True, check=False, timeout=DEADLINE,
                          preexec_fn=die_with_parent)
    if b"unrecognized option" in done.stderr:
        raise Skip("this systemd-analyze does not measure files")
    equal(done.returncode, 0, "status; it says %s" % done.stdout.decode()[-300:])
    check(b"Unknown" not in done.stderr, done.stderr.decode())


main()
