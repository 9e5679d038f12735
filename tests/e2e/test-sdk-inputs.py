#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Inputs are built against the installed SDK and nothing else, and load."""
import glob
import os
import shlex
import subprocess

from cofdtest import DEADLINE, SANITIZED, TOP, Skip, case, check, equal, main

BUILD = os.path.dirname(os.path.dirname(os.environ.get("COFD", "")))
# What each needs besides the SDK, as pkg-config knows it.
INPUTS = {"cof-file": (), "passivedns-log": (), "suricata-eve": (), "zeek-dns": (),
          "dnstap": ("libfstrm", "libprotobuf-c")}
SHOWN = {"dnstap": "max_frame"}  # an option of it; of the others max_line


def call(*command, **options):
    """Run a command; it must end well. Returns what it writes."""
    done = subprocess.run(command, capture_output=True, check=False, timeout=DEADLINE, **options)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    equal(done.returncode, 0, "status of %s, which wrote %s" % (" ".join(command), text))
    return done.stdout.decode("utf-8").strip()


def install(world):
    """Put what a plugin needs below a fresh prefix; returns the flags that pkg-config gives."""
    root = world.path("root")
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    call("make", "-C", BUILD, "-s", "DESTDIR=" + root, "install-cofdincludeHEADERS",
         "install-libLTLIBRARIES", "install-pkgconfigDATA", env=clean)
    found = glob.glob(root + "/**/cofd-sdk.pc", recursive=True)
    equal(len(found), 1, "number of cofd-sdk.pc")
    flags = call("pkg-config", "--define-prefix", "--cflags", "--libs", "cofd-sdk",
                 env=dict(clean, PKG_CONFIG_PATH=os.path.dirname(found[0])))
    return shlex.split(flags)


def generate(world, where):
    """Let protoc-c write what a plugin's messages need; returns arguments for the compiler."""
    protos = sorted(glob.glob(where + "/*.proto"))
    if not protos:
        return []
    out = world.path("generated", os.path.basename(where))
    os.makedirs(out)
    call("protoc-c", "--proto_path=" + where, "--c_out=" + out, *protos)
    return ["-I" + out, *sorted(glob.glob(out + "/*.c"))]


@case("built by pkg-config's flags alone, with every symbol resolved")
def built(world):
    if SANITIZED:
        raise Skip("a plugin without the sanitizer in it cannot be linked to this library")
    flags = install(world)
    for flag in flags:
        check(not flag.startswith("-I") or flag.startswith("-I" + world.path("root")),
              "%s leads out of what is installed" % flag)
    folder = world.path("plugins", "input")
    os.makedirs(folder)
    for name, needs in INPUTS.items():
        where = os.path.join(TOP, "plugins/input", name)
        sources = [s for s in sorted(glob.glob(where + "/*.c"))
                   if not os.path.basename(s).startswith("test-")]
        check(sources, "no source in " + where)
        more = generate(world, where)
        more += shlex.split(call("pkg-config", "--cflags", "--libs", *needs)) if needs else []
        call(*shlex.split(os.environ.get("CC", "cc")), "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wall",
             "-Werror", "-o", os.path.join(folder, name + ".so"), *sources, *more, *flags,
             "-lpthread", "-Wl,-z,defs", "-Wl,-z,now")
        shown = world.done("plugins", name, env={"COFD_PLUGIN_PATH": world.path("plugins")})
        check(SHOWN.get(name, "max_line") in shown.stdout, "options of %s: %s" % (name, shown.stdout))


if __name__ == "__main__":
    main()
