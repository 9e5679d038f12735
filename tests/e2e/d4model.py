# SPDX-License-Identifier: AGPL-3.0-or-later
"""What analyzer-d4-passivedns does with its queue and its database, written anew from a description
of its behaviour; and what a store of passivedns lines has to hold. Nothing here asks cofd."""
import json
import random

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28,
         "SRV": 33, "RRSIG": 46, "HTTPS": 65, "SPF": 99}
NAMES = {number: name for name, number in TYPES.items()}
SERVED = [1, 2, 5, 15, 16, 28, 33, 46]
ERRORS = {"NXDOMAIN", "SERVFAIL", "REFUSED"}
START = 1657800000


# --- lines ---------------------------------------------------------------------------------------

def tuple_at(number):
    """One of the unique (name, type, rdata) that sensors see; rdata of each type differ."""
    rng = random.Random(number * 6151)
    kind = rng.choice(["A"] * 9 + ["AAAA"] * 4 + ["CNAME"] * 3 + ["NS", "MX", "TXT", "PTR", "SRV"])
    base = "d%d.%s" % (number // 3, rng.choice(["example", "test", "xn--p1ai", "co.uk"]))
    if kind == "A":
        return "www." + base, kind, "10.%d.%d.%d" % (rng.randrange(3), rng.randrange(9), rng.randrange(256))
    if kind == "AAAA":
        return "www." + base, kind, "2001:db8:%x::%x" % (rng.randrange(1, 9), rng.randrange(1, 400))
    if kind == "TXT":
        return base, kind, '"v=spf1 ip4:192.0.2.%d -all"' % rng.randrange(256)
    if kind == "PTR":
        return "%d.%d.0.192.in-addr.arpa" % (number % 256, number // 256), kind, "host." + base
    target = {"CNAME": "edge%d.example.net", "NS": "ns%d.example.org", "MX": "mx%d.example.org",
              "SRV": "sip%d.example.org"}[kind] % rng.randrange(300)
    owner = {"CNAME": "cdn.", "SRV": "_sip._tcp."}.get(kind, "") + base
    return owner, kind, target


def dress(rng, text, kind=None):
    """As on the wire: any case, and a dot at the end of names."""
    if kind in ("A", "AAAA"):
        return text
    if rng.random() < 0.3:
        text = "".join(rng.choice((c.lower(), c.upper())) for c in text)
    return text if kind == "TXT" else text + "."


def line(rng, number):
    """One line that a sensor logs."""
    name, kind, rdata = tuple_at(number)
    when = START + rng.randrange(1000000)
    return "%d.%06d||10.1.1.%d||8.8.8.8||IN||%s||%s||%s||%d||%d" % (
        when, rng.randrange(1000000), rng.randrange(256), dress(rng, name), kind,
        dress(rng, rdata, kind), rng.choice((30, 60, 300, 3600, 86400)), rng.randrange(1, 5))


ODD = ["1657800001.5||c||s||IN||nope%d.example.||A||NXDOMAIN||0||1",  # an error, not a record
       "1657800001.5||c||s||CH||version%d.bind.||TXT||\"x\"||0||1",  # another class
       "1657800002.000001||c||s||IN||split%d.example.||TXT||\"a || b\"||60||2",
       "1657800003||c||s||IN||old%d.example.||A||192.0.2.9",  # sensors of old
       "1657800004.1||c||s||IN||null%d.example.||MX||.||60||1",
       "1657800005.1||c||s||IN||svc%d.example.||HTTPS||1 . alpn=h2||60||1",
       "garbage %d", "1657800006.1||c||s||IN||short%d.example.", "x||c||s||IN||n%d.example.||A||192.0.2.1||1||1"]


def lines(count, seed=1, odd=True):
    """So many lines, half of which repeat a tuple, some of them odd."""
    rng = random.Random(seed)
    for number in range(count):
        if odd and number % 97 == 5:
            yield ODD[number // 97 % len(ODD)] % number
        else:
            unique = count // 2
            yield line(rng, number if number < unique else int(unique * rng.random() ** 2))


def parse(text, fold_texts=True):
    """(name, type, rdata, time, ttl, count) of a line that is a record, or None. The other program
    keeps texts in lower case; so does cofd in its layout, and not in others."""
    part = text.strip().split("||")
    if len(part) < 7:
        return None
    if len(part) > 9:
        part = part[:6] + ["||".join(part[6:-2])] + part[-2:]
    time = part[0].split(".")[0]
    if not time.isdigit() or part[3] != "IN" or part[6] in ERRORS:
        return None
    name, rdata = (value.lower().rstrip(".") for value in (part[4], part[6]))
    rdata = part[6] if part[5] == "TXT" and not fold_texts else rdata
    ttl = int(part[7]) if len(part) > 7 else None
    count = int(part[8]) if len(part) > 8 else 1
    return name, part[5], rdata or ".", int(time), ttl, count


class Model:
    """What a store of lines holds: (name, type, rdata) -> [first, last, count], and statistics."""

    def __init__(self, texts, sensor_counts, fold_texts=True):
        self.store, self.processed = {}, 0
        self.ttls, self.types = {}, {}
        for text in texts:
            record = parse(text, fold_texts)
            if record is not None:
                self.add(record, record[5] if sensor_counts else 1)

    def add(self, record, count):
        name, kind, rdata, time, ttl, _ = record
        have = self.store.setdefault((name, kind, rdata), [time, time, 0])
        have[:] = [min(have[0], time), max(have[1], time), have[2] + count]
        self.processed += 1
        self.types[kind] = self.types.get(kind, 0) + 1
        if ttl is not None:
            self.ttls[ttl] = self.ttls.get(ttl, 0) + 1

    def names(self):
        found = {}
        for key, value in self.store.items():
            found.setdefault(key[0], {})[key] = value
        return found

    def keys(self):
        """Keys of the records, with what they have to hold."""
        want = {}
        for (name, kind, rdata), (first, last, count) in self.store.items():
            number, value = TYPES[kind], stored(kind, rdata)
            want.setdefault("r:%s:%d" % (name, number), set()).add(value)
            want.setdefault("v:%s:%d" % (value, number), set()).add(name)
            if kind == "HTTPS":  # by its target, the root, too; the other program has no such type
                want.setdefault("v::%d" % number, set()).add(name)
            triple = "%s:%s:%d" % (name, value, number)
            want["s:" + triple], want["l:" + triple] = str(first), str(last)
            want["o:" + triple] = str(count)
        return want


def stored(kind, rdata):
    """rdata as the database has it."""
    return "" if rdata == "." else rdata.replace('"', "", 1) if kind == "TXT" else rdata


# --- the database ----------------------------------------------------------------------------------

def dump(client):
    """The whole database as text: strings, sets, and hashes and sorted sets as dict."""
    keys = sorted(client.keys())
    read = {b"string": "GET %s", b"set": "SMEMBERS %s", b"hash": "HGETALL %s",
            b"zset": "ZRANGE %s 0 -1 WITHSCORES", b"list": "LRANGE %s 0 -1"}
    kinds = client.many([("TYPE", key) for key in keys])
    answers = client.many([[key if w == "%s" else w for w in read[kind].split()]
                           for key, kind in zip(keys, kinds)])
    found = {}
    for key, kind, answer in zip(keys, kinds, answers):
        if kind == b"string":
            value = answer.decode()
        else:
            value = [word.decode() for word in answer]
            value = set(value) if kind == b"set" else value
            value = dict(zip(value[::2], value[1::2])) if kind in (b"hash", b"zset") else value
        found[key.decode()] = value
    return found


class Reader:
    """The answers of the other program's server, from one dump of the database."""

    def __init__(self, database):
        self.database = database

    def time(self, letter, name, rdata):
        for number in SERVED:
            value = self.database.get("%s:%s:%s:%d" % (letter, name.lower(), rdata.lower(), number))
            if value is not None:
                return int(value)
        return None

    def record(self, name):
        """What it knows of one name, each record once."""
        found = set()
        for number in SERVED:
            members = self.database.get("r:%s:%d" % (name, number), ())
            if len(members) >= 200:
                continue
            for rdata in members:
                rdata = rdata.strip()
                first = self.time("s", name, rdata)
                if first is None:
                    break
                found.add(json.dumps({
                    "time_first": first, "time_last": self.time("l", name, rdata),
                    "count": self.time("o", name, rdata), "rrtype": NAMES[number], "rrname": name,
                    "rdata": rdata, "origin": "origin not configured"}))
        return found

    def pivot(self, rdata):
        """What it knows of all names that have an rdata."""
        found = set()
        for number in SERVED:
            for name in self.database.get("v:%s:%d" % (rdata.lower(), number), ()):
                found |= self.record(name.strip())
        return found

    def information(self):
        sensors = sorted(((float(score), name) for name, score in
                          self.database.get("stats:sensors", {}).items()), reverse=True)
        return {"version": "git", "software": "analyzer-d4-passivedns",
                "stats": int(self.database["stats:processed"]),
                "sensors": [{"sensor_id": name, "count": int(score)} for score, name in sensors]}


def reader_form(text):
    """A line of cofd's answer as the other server writes it, or None for a type it does not serve."""
    one = json.loads(text)
    if TYPES[one["rrtype"]] not in SERVED:
        return None
    one["rdata"] = stored(one["rrtype"], one["rdata"])
    return json.dumps(one)


class Ingester:
    """The other program's writer: one entry after the other, one command after the other."""

    def __init__(self, queue, store, key, excludes=()):
        self.queue, self.store, self.key, self.excludes = queue, store, key, excludes

    def step(self):
        """Take one entry; returns whether there was one."""
        entry = self.queue.do("RPOP", self.key)
        if entry is None:
            return False
        self.take(entry.decode().strip())
        return True

    def take(self, text):
        part = text.split("||")
        time, name, rdata = part[0].split(".")[0], part[4].lower().strip("."), part[6].lower().strip(".")
        number = TYPES[part[5]]
        if not name or any(word in name for word in self.excludes):
            return
        rdata = rdata.replace('"', "", 1) if number == 16 else rdata
        triple = "%s:%s:%d" % (name, rdata, number)
        do = self.store.do
        do("SADD", "r:%s:%d" % (name, number), rdata)
        do("SADD", "v:%s:%d" % (rdata, number), name)
        if not do("EXISTS", "s:" + triple):
            do("SET", "s:" + triple, time)
        last = do("GET", "l:" + triple)
        if last is None or int(last) < int(time):
            do("SET", "l:" + triple, time)
        do("INCRBY", "o:" + triple, 1)
        do("HINCRBY", "dist:ttl", part[7], 1)
        do("HINCRBY", "dist:class", part[3], 1)
        do("HINCRBY", "dist:type", number, 1)
        do("INCRBY", "stats:processed", 1)
