# SPDX-License-Identifier: AGPL-3.0-or-later
"""Records for tests, the same ones each time, and what a store of them must answer."""
import gzip
import json
import random

START = 1657800000
TYPES = ["A"] * 10 + ["AAAA"] * 4 + ["CNAME"] * 3 + ["NS", "MX", "TXT", "PTR", "SRV"]


def tuple_at(number):
    """One of the unique (rrname, rrtype, rdata); the same number gives the same one."""
    rng = random.Random(number * 7919)
    rrtype = rng.choice(TYPES)
    base = "d%d.%s" % (number // 3, rng.choice(["example", "test", "xn--p1ai", "co.uk"]))
    if rrtype == "A":
        return "www." + base, rrtype, "10.%d.%d.%d" % (rng.randrange(2), rng.randrange(9), rng.randrange(256))
    if rrtype == "AAAA":
        return "www." + base, rrtype, "2001:db8:%x::%x" % (rng.randrange(1, 9), rng.randrange(1, 400))
    if rrtype == "CNAME":
        return "cdn." + base, rrtype, "edge%d.example.net" % rng.randrange(300)
    if rrtype == "NS":
        return base, rrtype, "ns%d.example.org" % rng.randrange(1, 5)
    if rrtype == "MX":
        return base, rrtype, "%d mx%d.example.org" % (rng.choice((5, 10)), rng.randrange(1, 20))
    if rrtype == "TXT":
        return base, rrtype, '"v=spf1 ip4:192.0.2.%d -all"' % rng.randrange(256)
    if rrtype == "PTR":
        return "%d.2.0.192.in-addr.arpa" % rng.randrange(256), rrtype, base
    return "_sip._tcp." + base, rrtype, "10 60 5060 sip%d.example.org" % rng.randrange(8)


def bailiwick(rrname, number):
    """A zone that the name lies in, or itself, or the root; most records have none."""
    labels = rrname.split(".")
    return {0: rrname, 3: ".".join(labels[1:]), 6: labels[-1], 9: "."}.get(number % 20)


def observations(records, unique=None, seed=1):
    """So many COF objects over `unique` tuples (half as many, where not said)."""
    unique = unique or max(1, records // 2)
    rng = random.Random(seed)
    for n in range(records):
        number = n if n < unique else int(unique * rng.random() ** 3)
        rrname, rrtype, rdata = tuple_at(seed * 1000003 + number)
        first = START + rng.randrange(100000)
        one = {"rrname": rrname, "rrtype": rrtype, "rdata": rdata, "time_first": first,
               "time_last": first + rng.randrange(1000), "count": rng.randrange(1, 4),
               "sensor_id": "s%d" % (n % 3)}
        if bailiwick(rrname, n):
            one["bailiwick"] = bailiwick(rrname, n)
        yield one


def write(path, records, unique=None, seed=1):
    """Write them as NDJSON; returns the objects."""
    made = list(observations(records, unique, seed))
    with open(path, "w", encoding="ascii") as out:
        for one in made:
            out.write(json.dumps(one) + "\n")
    return made


def read(path):
    """The COF objects of a file, gzipped or not."""
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def model(records, total=False):
    """(rrname, rrtype, rdata) -> [time_first, time_last, count], as a store must have them."""
    store = {}
    for one in records:
        key = (one["rrname"].lower(), one["rrtype"], one["rdata"])
        first, last, count = one["time_first"], one["time_last"], one.get("count", 1)
        have = store.get(key)
        if have is None:
            store[key] = [first, last, count]
        else:
            have[0] = min(have[0], first)
            have[1] = max(have[1], last)
            have[2] = max(have[2], count) if total else have[2] + count
    return store


def zones(records):
    """(rrname, rrtype, rdata) -> its bailiwicks as bits: bit n for the last n labels."""
    store = {}
    for one in records:
        bits = one.get("cofd_zones", 0)
        if "bailiwick" in one:
            bits |= 1 << (one["bailiwick"].count(".") + 1 if one["bailiwick"] != "." else 0)
        key = (one["rrname"].lower(), one["rrtype"], one["rdata"])
        if bits:
            store[key] = store.get(key, 0) | bits
    return store


def by_name(store):
    """rrname -> its part of the model."""
    names = {}
    for key, value in store.items():
        names.setdefault(key[0], {})[key] = value
    return names


def target(rrtype, rdata):
    """The name or address that a reverse look-up goes by."""
    return rdata if rrtype == "TXT" else rdata.split(" ")[-1]
