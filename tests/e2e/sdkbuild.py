# SPDX-License-Identifier: AGPL-3.0-or-later
"""Makes plugins out of the template, and builds them against the SDK of this build tree."""
import os
import shlex
import subprocess

from cofdtest import COFD, TOP, check, die_with_parent

BUILD = os.environ.get("COFD_BUILD") or os.path.dirname(os.path.dirname(COFD))
CC = shlex.split(os.environ.get("COFD_CC") or "cc")
SDK = os.path.join(TOP, "sdk")
SANITIZERS = os.environ.get("COFD_SANITIZE", "")
SANITIZE = ["-fsanitize=" + SANITIZERS, "-fno-omit-frame-pointer"] \
    if SANITIZERS not in ("", "no") else []
FLAGS = ["-std=gnu11", "-g", "-O1", "-fPIC", "-Wall", "-Wextra"] + SANITIZE


def run(*command, cwd=None, env=None, timeout=600):
    """Run a program to its end; returns its status and what it wrote."""
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=timeout,
                          env=dict(os.environ, **(env or {})), preexec_fn=die_with_parent)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def must(*command, **options):
    """As run(); the status must be 0. Returns what it wrote."""
    status, text = run(*command, **options)
    check(status == 0, "%s: status %d: %s" % (" ".join(command), status, text[-4000:]))
    return text


def new_plugin(world, name, kind, directory=None):
    """The directory of a new plugin."""
    directory = directory or world.path(name)
    must(COFD, "plugin", "new", name, "--kind", kind, "--directory", directory,
         env={"COFD_SDK_DIR": SDK})
    return directory


def compile_plugin(source, target, *flags):
    """One C file against the SDK's headers and library, and nothing else."""
    library = os.path.join(BUILD, "sdk", ".libs")
    must(*CC, *FLAGS, "-I" + os.path.join(SDK, "include"), *flags, "-shared", "-o", target, source,
         "-L" + library, "-lcofd", "-lpthread")
    return target


def kit(plugin, *arguments, env=None):
    """Run the conformance tests over a plugin; returns status and TAP."""
    return run(COFD, "plugin", "test", plugin, *arguments, env=env)
