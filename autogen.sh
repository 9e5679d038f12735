#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Make ./configure from a fresh clone.
set -e
cd "$(dirname "$0")"
mkdir -p build-aux
exec autoreconf --install --force
