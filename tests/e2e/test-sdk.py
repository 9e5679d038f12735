#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a stranger has who writes a plugin: an installed cofd, and nothing of its source. Everything
is installed below a directory of the test; plugins are made, built, checked, installed and run
there, in each of the two ways to build, and so is every code sample of the guide."""
import os
import re
import shutil
import tempfile

import cofdtest
from cofdtest import SANITIZED, TOP, Skip, case, check, equal, main
from sdkbuild import BUILD, CC, must, run



class Installed:
    """cofd as `make install` leaves it, below a directory."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="cofd-sdk-")
        self.fill()
        pc, = [os.path.join(d, "cofd-sdk.pc") for d, _, files in os.walk(self.directory)
               if "cofd-sdk.pc" in files]
        self.pc_directory = os.path.dirname(pc)
        with open(pc, encoding="utf-8") as lines:
            self.prefix = self.directory + re.search("^prefix=(.*)$", lines.read(), re.M).group(1)
        self.pkg_config = "pkg-config --define-variable=prefix=" + self.prefix

    def fill(self):
        """Libtool links plugins anew to install them, and meanwhile they are not where other tests
        load them from: so `make check` does it before any test runs, and here it is copied."""
        ready = os.environ.get("COFD_INSTALLED")
        if ready:
            shutil.copytree(ready, self.directory, symlinks=True, dirs_exist_ok=True)
            return
        clean = {k: "" for k in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
        must("make", "-C", BUILD, "install", "DESTDIR=" + self.directory, "V=0", env=clean)

    def env(self, **more):
        share = os.path.join(self.prefix, "share")
        path = os.path.join(self.prefix, "sbin") + ":" + os.environ["PATH"]
        clean = {k: "" for k in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
        return dict(clean, PATH=path, PKG_CONFIG=self.pkg_config, ACLOCAL_PATH=share + "/aclocal",
                    PKG_CONFIG_PATH=self.pc_directory, LD_LIBRARY_PATH=self.variable("libdir"),
                    COFD_SDK_DIR=share + "/cofd/sdk", COFD_PLUGIN_PATH=self.variable("plugindir"),
                    COFD="cofd", CC=" ".join(CC), **more)

    def variable(self, name):
        return must(*self.pkg_config.split(), "--variable=" + name, "cofd-sdk",
                    env={"PKG_CONFIG_PATH": self.pc_directory}).strip()

    def __del__(self):
        shutil.rmtree(self.directory, ignore_errors=True)


_installed = []


def installed():
    if not _installed:
        _installed.append(Installed())
    return _installed[0]


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skip(program + " is not installed")


def make_simple(sdk, directory, *targets):
    """The five lines of make."""
    return must("make", "-f", "Makefile.simple", "PC=%s cofd-sdk" % sdk.pkg_config, *targets,
                cwd=directory, env=sdk.env())


def is_good_tap(text):
    check(re.search(r"^1\.\.\d+$", text, re.M), "no TAP in: " + text[-3000:])
    check(not re.search(r"^not ok", text, re.M), "the kit found something: " + text[-3000:])


@case("the SDK is installed, and nothing of the host with it")
def files(_world):
    need("pkg-config")
    sdk = installed()
    headers = sorted(os.listdir(os.path.join(sdk.prefix, "include")))
    equal(headers, ["cofd"], "what lies in the include directory")
    want = sorted(os.listdir(os.path.join(TOP, "sdk/include/cofd")))
    equal(sorted(os.listdir(os.path.join(sdk.prefix, "include/cofd"))), want, "headers")
    with open(os.path.join(TOP, "sdk/include/cofd/plugin.h"), encoding="utf-8") as lines:
        text = lines.read()
    for number in ("MAJOR", "MINOR"):
        equal(sdk.variable("abi_" + number.lower()),
              re.search(r"COF_ABI_%s (\d+)u" % number, text).group(1), number)
    check(os.path.isdir(os.path.join(sdk.variable("plugindir"), "input")), "plugin directory")
    flags = must(*sdk.pkg_config.split(), "--cflags", "--libs", "cofd-sdk",
                 env={"PKG_CONFIG_PATH": sdk.pc_directory}).split()
    check("-lcofd" in flags, "flags: %s" % flags)
    for name in ("fakehost.c", "fakehost.h", "README.md", "template/input/plugin.c"):
        check(os.path.isfile(os.path.join(sdk.variable("sdkdir"), name)), "no " + name)


@case("each header compiles by itself, as C11 and as C++")
def headers(world):
    sdk = installed()
    include = "-I" + os.path.join(sdk.prefix, "include")
    for name in sorted(os.listdir(os.path.join(sdk.prefix, "include/cofd"))):
        source = world.write("x.c", "#include <cofd/%s>\n" % name)
        must(*CC, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", include,
             "-fsyntax-only", source)
        if shutil.which("g++") is not None:
            must("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", include, "-fsyntax-only", "-x",
                 "c++", source)


@case("a new input: made, built by autotools beside its source, checked, installed, run, asked")
def autotools(world):
    need("autoreconf", "pkg-config")
    sdk = installed()
    source, build = world.path("my-feed"), world.path("build")
    must("cofd", "plugin", "new", "my-feed", "--kind", "input", "--directory", source,
         env=sdk.env())
    os.makedirs(build)
    code, said = run("autoreconf", "-fi", cwd=source, env=dict(sdk.env(), ACLOCAL_PATH=""))
    if code != 0:  # cofd is not installed where aclocal looks
        check("set ACLOCAL_PATH" in said, said)
    said = must("autoreconf", "-fi", cwd=source, env=sdk.env())
    check("error:" not in said, said)
    must(source + "/configure", "CFLAGS=-O2 -g -Werror", cwd=build, env=sdk.env())
    must("make", cwd=build, env=sdk.env())
    is_good_tap(must("make", "check", cwd=build, env=sdk.env()))
    must("make", "install", cwd=build, env=sdk.env())
    check("reads lines of a file" in must("cofd", "plugins", "input/my-feed", env=sdk.env()),
          "cofd plugins does not know it")
    serve_new_plugin(world, sdk, source)


def serve_new_plugin(world, sdk, source):
    """Run the configuration that the template came with, but for port and directories."""
    with open(source + "/my-feed.conf", encoding="utf-8") as lines:
        text = lines.read()
    with open(source + "/sample.txt", encoding="utf-8") as lines:
        path = world.write("bad.txt", "1657878140\n1 a.example\n2 a.example A\n3 a.example A \n"
                           "\n-1 a.example A 192.0.2.1\n" + lines.read())
    text = text.replace("127.0.0.1:8400", "127.0.0.1:0").replace("= sample.txt", "= " + path)
    text = text.replace("= data", "= " + world.path("data"))
    cofdtest.COFD = os.path.join(sdk.prefix, "sbin/cofd")  # of the cases before, the build tree's
    os.environ["LD_LIBRARY_PATH"] = sdk.variable("libdir")
    server = world.serve(world.write("my-feed.conf", text), "-p", sdk.variable("plugindir"))
    server.wait_stored(5)
    answer = server.get("/query/www.example.com")
    equal(answer.status, 200, "status")
    check("2001:db8::1" in answer.text and "192.0.2.1" in answer.text, answer.text)
    for line in range(1, 6):
        server.wait_log(r"line %d: expected SECONDS RRNAME RRTYPE RDATA" % line)
    server.wait_log(r"line 6: expected seconds since 1970")
    server.stop()


@case("a new plugin of each kind: built by five lines of make, checked and installed")
def makefile(world):
    need("make", "pkg-config")
    sdk = installed()
    for kind in ("input", "filter", "storage", "output"):
        directory = world.path("a-" + kind)
        must("cofd", "plugin", "new", "a-" + kind, "--kind", kind, "--directory", directory,
             env=sdk.env())
        with open(directory + "/Makefile.simple", encoding="utf-8") as lines:
            equal(len(lines.readlines()), 5, "lines of Makefile.simple")
        make_simple(sdk, directory)
        if not SANITIZED:  # test-conformance.py has them there
            is_good_tap(make_simple(sdk, directory, "check"))
        make_simple(sdk, directory, "install")
        must("cofd", "plugins", "%s/a-%s" % (kind, kind), env=sdk.env())


# --- the guide ----------------------------------------------------------------------------------

def blocks(path):
    """Language, label and text of each block of code."""
    with open(path, encoding="utf-8") as lines:
        text = lines.read()
    found = re.findall(r"^```(\w+)[ ]?(\S*)\n(.*?)^```$", text, re.M | re.S)
    equal(len(found) * 2, len(re.findall("^```", text, re.M)), "every block names its language")
    return found


@case("every code sample of the guide compiles and runs")
def guide(world):
    need("make", "pkg-config", "curl")
    if SANITIZED:
        raise Skip("the samples link programs, which lack the sanitizer that the library needs")
    sdk = installed()
    # Within the blocks pkg-config is found by that name.
    world.write("bin/pkg-config", "#!/bin/sh\nexec %s --define-variable=prefix=%s \"$@\"\n"
                % (shutil.which("pkg-config"), sdk.prefix))
    os.chmod(world.path("bin/pkg-config"), 0o755)
    env = sdk.env()
    env["PATH"] = world.path("bin") + ":" + env["PATH"]
    ran, script = 0, ["set -eux", "PS4='+ '"]
    for language, label, text in blocks(os.path.join(TOP, "sdk/README.md")):
        check(language in ("c", "sh", "ini"), "a block of unknown kind: " + language)
        if language == "sh":
            script.append(text)
            ran += 1
        elif language != "sh":
            check(label, "a block of %s without a file name" % language)
            script.append("cat >%s <<'END OF SAMPLE'\n%sEND OF SAMPLE\n" % (label, text))
            ran += 1
    os.makedirs(world.path("guide"))
    output = must("sh", world.write("guide.sh", "\n".join(script)), cwd=world.path("guide"), env=env)
    print("# %d samples of the guide" % ran)
    check(ran >= 8, "samples are missing")
    check(not re.search(r"^not ok", output, re.M), "the kit found something: " + output[-3000:])


@case("cofd-plugin(3) names every header, and its sample is that of the guide")
def manual(_world):
    with open(os.path.join(TOP, "sdk/cofd-plugin.3"), encoding="utf-8") as lines:
        page = lines.read()
    equal(sorted(set(re.findall(r"^\.It In cofd/(\S+)$", page, re.M))),
          sorted(os.listdir(os.path.join(TOP, "sdk/include/cofd"))), "headers")
    sample = re.search(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", page[page.index(".Sh EXAMPLES"):],
                       re.M | re.S).group(1).replace("\\e", "\\").replace("\\&", "")
    first = next(text for language, _, text in blocks(os.path.join(TOP, "sdk/README.md"))
                 if language == "c")
    equal(sample, first, "the sample")


try:
    main()
finally:
    _installed.clear()
