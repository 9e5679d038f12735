#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Real input, where it lies beside this tree (or in $COFD_SHARED): the root zone, and a million
generated records of real names when COFD_TEST_MILLION is set. Answers are compared with a plain
reading of the same file."""
import ipaddress
import json
import os
import subprocess
import sys

import generate
from cofdtest import TOP, Skip, case, check, equal, main

SHARED = os.environ.get("COFD_SHARED") or os.path.join(os.path.dirname(TOP), "shared")


def shared(*parts):
    path = os.path.join(SHARED, *parts)
    if not os.path.exists(path):
        raise Skip("%s is not here" % os.path.join(*parts))
    return path


def as_key(one):
    """rrname, type and rdata where the file's spelling is canonical already: not for DS and such."""
    return one["rrname"], one["rrtype"], one["rdata"]


def root_records(source):
    """The file's records; its NSEC rdata alone ends the next name in a dot, which cofd leaves out."""
    for one in generate.read(source):
        if one["rrtype"] == "NSEC" and not one["rdata"].startswith(". "):
            one["rdata"] = one["rdata"].replace(". ", " ", 1)
        yield one


@case("the root zone: com, a.gtld-servers.net and 192.5.6.30 are what the file says")
def root_zone(world):
    source = shared("data", "root-zone.ndjson.gz")
    made = list(root_records(source))
    conf = world.conf()
    said = world.done("import", "-c", conf, source).stdout
    check("%d records" % len(made) in said and "0 rejected" in said, said)
    store = generate.model(made)
    server = world.serve(conf)
    equal(server.info()["stats"], len(made), "observations")
    want = {key: value for key, value in store.items() if key[0] == "com"}
    check(len(want) > 10, "the file knows com")
    have = server.get("/query/com").model()
    equal({(k[0], k[1], k[2].upper()): v for k, v in have.items()},
          {(k[0], k[1], k[2].upper()): v for k, v in want.items()}, "com")
    want = {key: value for key, value in store.items() if key[0] == "a.gtld-servers.net"}
    check(want, "the file knows a.gtld-servers.net")
    equal(server.get("/query/a.gtld-servers.net").model(), want, "a.gtld-servers.net")
    want = {key: value for key, value in store.items() if key[2] == "192.5.6.30"}
    check(want, "the file knows 192.5.6.30")
    equal(server.get("/query/192.5.6.30").model(), want, "192.5.6.30")
    tlds = {one["rrname"] for one in made if one["rdata"] == "a.gtld-servers.net"}
    have = {one["rrname"] for one in server.get("/fquery/a.gtld-servers.net").records}
    equal(have, tlds, "what a.gtld-servers.net serves")


@case("the root zone: every name and every address")
def root_zone_all(world):
    source = shared("data", "root-zone.ndjson.gz")
    store = generate.model(root_records(source))
    conf = world.conf()
    world.done("import", "-c", conf, source)
    server = world.serve(conf)
    connection = server.connect()

    def ask(query):
        connection.request("GET", "/query/" + query)
        return [json.loads(one) for one in connection.getresponse().read().splitlines()]

    for name, want in generate.by_name(store).items():
        # Case and white space of hexadecimal and base64 fields have a form of their own.
        equal(sorted((r["rrtype"], "".join(r["rdata"].lower().split()), r["count"]) for r in ask(name)),
              sorted((k[1], "".join(k[2].lower().split()), v[2]) for k, v in want.items()), name)
    addresses = {}
    for key in store:
        if key[1] in ("A", "AAAA"):
            addresses.setdefault(key[2], []).append(key)
    for address, want in addresses.items():
        equal(sorted(as_key(one) for one in ask(address)), sorted(want), address)


def shortest(records):
    """The records with IPv6 addresses as RFC 5952 has them, which the generator does not heed."""
    for one in records:
        if one["rrtype"] == "AAAA":
            one["rdata"] = str(ipaddress.IPv6Address(one["rdata"]))
        yield one


@case("a million records: count, first and last of each tuple")
def million(world):
    if not os.environ.get("COFD_TEST_MILLION"):
        raise Skip("takes minutes; ./dev accept runs it")
    source = world.path("million.ndjson")
    with open(source, "wb") as out:
        subprocess.run([sys.executable, shared("bench", "gencof"), "--records", "1000000"],
                       stdout=out, check=True)
    conf = world.conf()
    said = world.done("import", "-c", conf, source).stdout
    print("# " + said.strip().splitlines()[-1])
    check("1000000 records" in said and "0 rejected" in said, said)
    store = generate.model(shortest(generate.read(source)))
    server = world.serve(conf)
    connection = server.connect()
    asked = 0
    for name, want in generate.by_name(store).items():
        connection.request("GET", "/query/" + name)
        have = {}
        for line in connection.getresponse().read().splitlines():
            one = json.loads(line)
            have[as_key(one)] = [one["time_first"], one["time_last"], one["count"]]
        equal(have, want, name)
        asked += len(want)
    equal(asked, len(store), "tuples")
    print("# %d tuples of %d names are equal" % (asked, len(generate.by_name(store))))


if __name__ == "__main__":
    main()
