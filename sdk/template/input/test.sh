#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs cofd's conformance tests over the plugin FILE.so, with what it needs to work.
here=$(dirname "$0")
exec "${COFD:-cofd}" plugin test "$1" --records 5 -- path="$here/sample.txt"
