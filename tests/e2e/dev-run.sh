#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# `./dev run` from another directory, twice: the samples are served, and not counted twice.
# usage: COFD_RUN_DIR=DIR dev-run.sh PATH-OF-DEV
set -euo pipefail
dev=$1
out=$(mktemp)
pid=
stop() {
  [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null || true
  rm -f "$out"
}
trap stop EXIT

# ask PATH: the answer, once the server is up and has stored all sixteen records.
ask() {
  local url tries
  for tries in $(seq 600); do
    kill -0 "$pid" 2>/dev/null || { cat "$out"; echo "dev run ended early"; return 1; }
    url=$(sed -n 's|.*curl \(http://127.0.0.1:[0-9]*\)/info.*|\1|p' "$out")
    if [ -n "$url" ] && curl -sf "$url/info" | grep -q '"stats": 16,'; then
      curl -sf "$url$1"
      return
    fi
    sleep 0.5
  done
  cat "$out"
  echo "dev run (try $tries) did not serve the sixteen records"
  return 1
}

for round in 1 2; do
  : >"$out"  # at once, so that nothing of the round before is read
  (cd / && exec "$dev" --no-install run) >"$out" 2>&1 &
  pid=$!
  answer=$(ask /query/www.framtro.nu)
  want='{"time_first": 1657879064, "time_last": 1657879064, "count": 1, "rrtype": "AAAA", "rrname": "www.framtro.nu", "rdata": "2a02:250:0:8::53", "origin": "origin not configured"}'
  [ "$answer" = "$want" ] || { printf 'round %s: have %s\nwant %s\n' "$round" "$answer" "$want"; exit 1; }
  [ "$(ask /query/2a02:250:0:8::53 | wc -l)" = 16 ] || { echo "round $round: not sixteen"; exit 1; }
  kill -TERM "$pid"
  wait "$pid" || { cat "$out"; echo "dev run ended with status $?"; exit 1; }
  pid=
done
