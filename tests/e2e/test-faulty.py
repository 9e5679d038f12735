#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The conformance kit finds the fault of each of the deliberately faulty plugins in tests/faulty,
which are the template of a kind with one fault put in."""
import concurrent.futures
import glob
import os
import re

from cofdtest import SANITIZED, TOP, case, check, equal, main
from sdkbuild import SDK, compile_plugin, kit

FAULTS = sorted(glob.glob(os.path.join(TOP, "tests/faulty/*.fault")))
HANG = "60" if SANITIZED else "30"  # for those that are to run into it
WORKERS = 8  # they wait most of the time


class Fault:
    """A faulty plugin: the template of a kind with some of its text replaced."""

    def __init__(self, path):
        self.name = os.path.basename(path)[:-len(".fault")]
        with open(path, encoding="utf-8") as lines:
            text = lines.read()
        self.what = re.search(r"^# (?!SPDX)(.*)$", text, re.M).group(1)
        self.template, self.only, self.expect = (
            re.search("^%s: (.*)$" % key, text, re.M).group(1)
            for key in ("template", "only", "expect"))
        self.edits = re.findall(r"^<<<<\n(.*?)\n====\n(.*?)\n?>>>>$", text, re.M | re.S)

    def source(self):
        with open(os.path.join(SDK, "template", self.template, "plugin.c"),
                  encoding="utf-8") as lines:
            text = lines.read()
        for old, new in self.edits:
            equal(text.count(old), 1, "%s: places that have: %s" % (self.name, old))
            text = text.replace(old, new)
        return text.replace("@name@", "faulty")

    def options(self, directory):
        sample = os.path.join(SDK, "template/input/sample.txt")
        return {"input": ["--records", "5", "--", "path=" + sample],
                "filter": ["--", "under=a.com, net"],
                "storage": ["--", "path=@dir@/records"],
                "output": ["--", "path=" + directory + "/count", "interval=20ms"]}[self.template]

    def run(self, directory):
        os.makedirs(directory)
        source = os.path.join(directory, "faulty.c")
        with open(source, "w", encoding="utf-8") as out:
            out.write(self.source())
        plugin = compile_plugin(source, os.path.join(directory, "faulty.so"), "-w",
                                "-Wl,-z,lazy")
        timeout = ["--timeout", HANG] if "did not come back" in self.expect else []
        return kit(plugin, *timeout, "--only", self.only, *self.options(directory))


def is_caught(world, fault):
    """What was wrong with how the kit dealt with a fault; None: it was caught."""
    status, text = fault.run(world.path("fault-" + fault.name))
    if status == 1 and re.search(fault.expect, text, re.M):
        return None
    return "%s (%s): status %d, expected 1 and %s\n%s" % (fault.name, fault.what, status,
                                                        fault.expect, text)


def catches(world, faults):
    check(faults, "there are no faults")
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        wrong = [w for w in pool.map(lambda f: is_caught(world, f), faults) if w is not None]
    print("# %d faulty plugins, %d caught" % (len(faults), len(faults) - len(wrong)), flush=True)
    check(not wrong, "\n".join(wrong))


def faults_of(kind):
    faults = [Fault(path) for path in FAULTS]
    # Without an allocator of its own ThreadSanitizer's build does not see leaks of memory.
    hidden = {"leak-memory"} if "thread" in os.environ.get("COFD_SANITIZE", "") else set()
    return [f for f in faults if f.template == kind and f.name not in hidden]


@case("the kit catches every faulty input")
def faulty_inputs(world):
    catches(world, faults_of("input"))


@case("the kit catches every faulty filter and output")
def faulty_filters(world):
    catches(world, faults_of("filter") + faults_of("output"))


@case("the kit catches every faulty storage")
def faulty_storages(world):
    catches(world, faults_of("storage"))


main()
