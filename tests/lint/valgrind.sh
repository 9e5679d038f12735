#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# Run tests of a build directory under valgrind: valgrind.sh BUILD [TEST...], by their paths from the
# top, as in core/tests/test-conf or tests/e2e/test-sample.py; without names all unit tests and two
# end to end. A leak at the end, or a use of what was never written, fails a test. All output is kept
# in BUILD/valgrind.d.
set -euo pipefail
build=$(cd "$1" && pwd -P)
shift
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
out=$build/valgrind.d
call="valgrind --quiet --vgdb=no --error-exitcode=97 --leak-check=full
  --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect --num-callers=25
  --fair-sched=yes --suppressions=$top/tests/lint/valgrind.supp"
rm -rf "$out" && mkdir -p "$out"

# What the end to end tests start in place of cofd.
printf '#!/bin/sh\nexec %s --mode=execute %s --log-file=%s/cofd-%%p.log %s "$@"\n' "$build/libtool" \
  "$(echo $call)" "$out" "$build/core/cofd" >"$out/cofd"
chmod +x "$out/cofd"

# All modules that the unit tests load are made with them.
make -C "$build" --no-print-directory -s -j"$(nproc)" unit-tests

run() {
  case $1 in
    *.py) COFD=$out/cofd COFD_PLUGIN_PATH=$build/plugins COFD_BUILD=$build COFD_VALGRIND=1 \
      COFD_TEST_DEADLINE=600 python3 "$top/$1" ;;
    *) (cd "$build" && srcdir=$top CMOCKA_MESSAGE_OUTPUT=TAP "$top/tests/run-unit" \
      ./libtool --mode=execute $call "$1") ;;
  esac
}

# The logs of cofd that tell of a fault. Each has a stack, and so has the death of a process; what
# valgrind does not know, such as a newer command of fcntl, is told without one.
faults_of_cofd() {
  find "$out" -name 'cofd-*.log' -exec grep -lE '^==[0-9]+== +at 0x' {} +
}

[ $# -gt 0 ] || set -- $(make -C "$build" --no-print-directory -s print-unit-tests | tail -n 1) \
  tests/e2e/test-sample.py tests/e2e/test-reload.py
bad=0
for test; do
  log=$out/${test//\//+}.log
  if run "$test" >"$log" 2>&1; then word=ok; else word=FAILED bad=$((bad + 1)); fi
  printf '%-6s %s\n' "$word" "$test"
  if [ "$word" = ok ]; then sed -n '/skipped$\|# SKIP ./s/^/       /p' "$log"; else tail -n 60 "$log"; fi
done
# What cofd itself left behind; its tests look at the exit status as well.
for log in $(faults_of_cofd); do
  bad=$((bad + 1))
  printf 'FAILED %s\n' "$log"
  tail -n 60 "$log"
done
[ "$bad" = 0 ]
