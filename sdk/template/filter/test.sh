#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs cofd's conformance tests over the plugin FILE.so, with what it needs to work.
exec "${COFD:-cofd}" plugin test "$1" -- under="a.com, net"
