#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Write passive DNS observations for measuring: NDJSON on standard output, the same each time.

usage: gencof.py [RECORDS [UNIQUE]]

Half of the records are first sights of a tuple (or UNIQUE of them), the others repeat earlier ones,
few tuples often and most seldom. Names, types and addresses are made up in the proportions of a
resolver's feed.
"""
import functools
import random
import sys

START = 1657800000
WORDS = ("alder beech birch cedar ebony elm fir hazel holly larch linden maple oak olive pear pine "
         "plum rowan spruce teak walnut willow yew zelkova").split()
ZONES = ["com"] * 10 + ["net", "org", "de", "se", "co.uk", "io", "fr", "nl", "xn--p1ai"]
HOSTS = ["", "www.", "mail.", "api.", "img.", "cdn%d.", "ns%d.", "h%d.edge.", "app.", "m."]
# type and its share in percent
MIX = [("A", 52), ("AAAA", 20), ("CNAME", 11), ("NS", 5), ("MX", 3), ("TXT", 3), ("PTR", 3),
       ("SOA", 2), ("SRV", 1)]
TYPES = [name for name, share in MIX for _ in range(share)]


def domain(rng):
    """A registered name: one of about 200,000, the first ones far more often."""
    number = int(200000 * rng.random() ** 3)
    return "%s-%s%d.%s" % (WORDS[number % 24], WORDS[number // 24 % 24], number // 576,
                           ZONES[number % len(ZONES)])


def address4(rng):
    """Hosting is crowded: most names share few addresses."""
    number = rng.randrange(1 << 16) if rng.random() < 0.7 else rng.randrange(1 << 26)
    return "%d.%d.%d.%d" % (20 + number % 150, number >> 18 & 255, number >> 10 & 255, number >> 2 & 255)


def rdata_of(rrtype, own, rng):
    if rrtype == "A":
        return address4(rng)
    if rrtype == "AAAA":
        return "2001:db8:%x:%x::%x" % (rng.randrange(1, 256), rng.randrange(1, 64), rng.randrange(1, 4096))
    if rrtype == "CNAME":
        return "edge%d.%s" % (rng.randrange(4096), domain(rng))
    if rrtype == "NS":
        return "ns%d.%s" % (rng.randrange(1, 5), domain(rng))
    if rrtype == "MX":
        return "%d mx%d.%s" % (rng.choice((5, 10, 20)), rng.randrange(1, 4), domain(rng))
    if rrtype == "TXT":
        return '\\"v=spf1 ip4:%s/24 include:_spf.%s ~all\\"' % (address4(rng), domain(rng))
    if rrtype == "PTR":
        return own
    if rrtype == "SOA":
        return "ns1.%s hostmaster.%s %d 7200 3600 1209600 3600" % (own, own, rng.randrange(1 << 31))
    return "10 60 5060 sip%d.%s" % (rng.randrange(8), own)


def tuple_at(number):
    """rrname, rrtype, rdata of one of the unique tuples."""
    rng = random.Random(number)
    rrtype, own = TYPES[rng.randrange(len(TYPES))], domain(rng)
    if rrtype in ("A", "AAAA", "CNAME"):
        host = HOSTS[rng.randrange(len(HOSTS))]
        own = (host % rng.randrange(5000) if "%" in host else host) + own
    name = own
    if rrtype == "PTR":
        name = ".".join(address4(rng).split(".")[::-1]) + ".in-addr.arpa"
    elif rrtype == "SRV":
        name = "_sip._tcp." + own
    return name, rrtype, rdata_of(rrtype, own, rng)


def main():
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
    unique = int(sys.argv[2]) if len(sys.argv) > 2 else max(1, records // 2)
    rng = random.Random(1)
    lookup = functools.lru_cache(1 << 17)(tuple_at)
    lines = []
    for n in range(records):
        fresh = n * unique // records
        # Spread over the stream: a first sight, or something seen before.
        number = fresh if (n + 1) * unique // records > fresh else int(fresh ** rng.random())
        name, rrtype, rdata = lookup(number)
        when = START + n // 50
        lines.append('{"rrname": "%s", "rrtype": "%s", "rdata": "%s", "time_first": %d, '
                     '"time_last": %d, "count": 1, "sensor_id": "s%d"}\n'
                     % (name, rrtype, rdata, when, when, n % 5))
        if len(lines) == 20000:
            sys.stdout.write("".join(lines))
            lines.clear()
    sys.stdout.write("".join(lines))


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit(1)
