#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# The commands of cofd(8) that need no engine, on real plugins. Prints TAP.
set -u

cofd=$PWD/core/cofd
objects=$PWD/core/tests/.libs
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
trap 'exit 99' HUP INT TERM

count=0
# check DESCRIPTION STATUS: compare what the last run left with $dir/out.want and $dir/err.want.
check()
{
  count=$((count + 1))
  if [ "$status" -eq "$2" ] && cmp -s "$dir/out" "$dir/out.want" &&
    cmp -s "$dir/err" "$dir/err.want"; then
    echo "ok $count - $1"
  else
    echo "not ok $count - $1"
    echo "# exit status $status, expected $2"
    diff -u "$dir/out.want" "$dir/out" | sed 's/^/# /'
    diff -u "$dir/err.want" "$dir/err" | sed 's/^/# /'
  fi
  : >"$dir/out.want"
  : >"$dir/err.want"
}
run()
{
  (cd "$dir" && "$cofd" "$@" >out 2>err)
  status=$?
}
has()
{
  count=$((count + 1))
  if grep -q -e "$2" "$dir/out"; then
    echo "ok $count - $1"
  else
    echo "not ok $count - $1"
    sed 's/^/# /' "$dir/out" "$dir/err"
  fi
}

unset COFD_PLUGIN_PATH
mkdir -p "$dir/p/input" "$dir/p/storage" "$dir/p/output" "$dir/q/storage"
ln -s "$objects/feed.so" "$dir/p/input/feed.so"
ln -s "$objects/plain.so" "$dir/p/storage/plain.so"
ln -s "$objects/api.so" "$dir/p/output/api.so"
ln -s "$objects/plain.so" "$dir/q/storage/plain.so"
ln -s "$objects/bad_magic.so" "$dir/q/storage/bad-magic.so"
: >"$dir/out.want"
: >"$dir/err.want"
cat >"$dir/good.conf" <<'EOF'
[cofd]
plugin_path = p
[input.in]
plugin = feed
path = x
[storage.db]
plugin = plain
path = x
[chain.main]
route = in -> db
EOF
sed 's/^path/pth/; s/in -> db/in -> dbb/' "$dir/good.conf" >"$dir/bad.conf"

run check -c good.conf
echo 'good.conf: ok (2 instances, 1 chain)' >"$dir/out.want"
check 'check: a good file' 0

run check -c bad.conf
cat >"$dir/err.want" <<'EOF'
bad.conf:3: error: [input.in] has no 'path', which is required; expected a file name
bad.conf:5: error: unknown option 'pth'; did you mean 'path'?
bad.conf:6: error: [storage.db] has no 'path', which is required; expected a file name
bad.conf:8: error: unknown option 'pth'; did you mean 'path'?
bad.conf:10: error: route: no instance 'dbb'; did you mean 'db'?
EOF
check 'check: every mistake at once' 1

(cat "$dir/good.conf"; printf '[output.api]\nplugin = api\npath = x\n') >"$dir/warn.conf"
run check -c warn.conf
echo 'warn.conf: ok (3 instances, 1 chain)' >"$dir/out.want"
echo 'warn.conf:11: warning: [output.api] is in no route, so it does nothing; name it in one' \
  >"$dir/err.want"
check 'check: a warning does not fail it' 0

run check -c nothing.conf
echo 'nothing.conf: error: cannot be opened: No such file or directory' >"$dir/err.want"
check 'check: no file' 1

run check -c good.conf -p q
cat >"$dir/err.want" <<'EOF'
good.conf:4: error: plugin = feed: no input plugin 'feed' in q; 'cofd plugins' lists what is installed
EOF
check 'check: -p comes before plugin_path' 1

run plugins -p p:q
cat >"$dir/out.want" <<'EOF'
KIND     NAME       VERSION  SUMMARY       PATH
input    feed       1.2.3    Does nothing  p/input/feed.so
storage  bad-magic  -        (not usable)  q/storage/bad-magic.so
         q/storage/bad-magic.so: its magic number is 0x00001234, expected 0x634f4644; begin the descriptor with COF_PLUGIN_HEADER
storage  plain      1.2.3    Does nothing  p/storage/plain.so
storage  plain      -        (not usable)  q/storage/plain.so
         shadowed by p/storage/plain.so
output   api        1.2.3    Does nothing  p/output/api.so
EOF
check 'plugins: the list' 0

run plugins -p nowhere:
echo 'KIND     NAME  VERSION  SUMMARY  PATH' >"$dir/out.want"
echo 'cofd: no plugins in nowhere:' >"$dir/err.want"
check 'plugins: none' 0

run plugins -p p plain
has 'plugins NAME: title' '^storage/plain 1.2.3: Does nothing$'
has 'plugins NAME: capabilities' '^Capabilities: rrname$'
has 'plugins NAME: path' '^Path: p/storage/plain.so$'
has 'plugins NAME: option' '^  number = NUMBER$'
has 'plugins NAME: bounds, unit and default' '^      A number, 1 to 16 (things); default: 4$'
has 'plugins NAME: required' '^      A file name; required$'
has 'plugins NAME: choices' '^      One of red, green, blue; default: green$'
has 'plugins NAME: reloadable' '^      A text; default: hello; taken anew on SIGHUP$'
count=$((count + 1))
if awk 'length > 80 { exit 1 }' "$dir/out"; then
  echo "ok $count - plugins NAME: 80 columns"
else
  echo "not ok $count - plugins NAME: 80 columns"
fi

mkdir -p "$dir/r/storage" "$dir/r/input"
ln -s "$objects/plain.so" "$dir/r/storage/plain.so"
ln -s "$objects/feed.so" "$dir/r/input/feed.so"
ln -s "$objects/no_symbol.so" "$dir/r/input/plain.so"
run plugins -p r storage/plain
count=$((count + 1))
[ "$status" -eq 0 ] && echo "ok $count - plugins KIND/NAME" || echo "not ok $count - plugins KIND/NAME"
run plugins -p r plain
has 'plugins NAME: the good one of two' '^storage/plain 1.2.3'
count=$((count + 1))
if [ "$status" -eq 1 ] && grep -q 'r/input/plain.so: exports no symbol' "$dir/err"; then
  echo "ok $count - plugins NAME: the broken one of two"
else
  echo "not ok $count - plugins NAME: the broken one of two"
fi

run plugins -p p plian
echo "cofd: no plugin 'plian'; did you mean 'plain'?" >"$dir/err.want"
check 'plugins NAME: not there' 1
run plugins -p p inputs/feed
echo "cofd: 'inputs/feed': expected NAME or KIND/NAME, with input, filter, storage or output as KIND" \
  >"$dir/err.want"
check 'plugins KIND/NAME: no such kind' 1

run plugins -c good.conf feed
has 'plugins: plugin_path of the file' '^input/feed'
COFD_PLUGIN_PATH=p
export COFD_PLUGIN_PATH
run plugins feed
has 'plugins: COFD_PLUGIN_PATH' '^Path: p/input/feed.so'
unset COFD_PLUGIN_PATH

run chek
echo "cofd: unknown command 'chek'; did you mean 'check'?" >"$dir/err.want"
check 'an unknown command' 2
run good.conf
echo "cofd: unknown command 'good.conf'; 'cofd --help' lists them" >"$dir/err.want"
check 'a file in place of a command' 2
run check -c good.conf more
cat >"$dir/err.want" <<'EOF'
cofd: unexpected argument 'more'
Usage: cofd check [-c FILE] [-p DIR[:DIR...]]
EOF
check 'an argument too many' 2
run check --chain x
cat >"$dir/err.want" <<'EOF'
cofd: this command takes no option '--chain'
Usage: cofd check [-c FILE] [-p DIR[:DIR...]]
EOF
check 'an option of another command' 2
run import -c good.conf
cat >"$dir/err.want" <<'EOF'
cofd: an argument is missing after 'import'
Usage: cofd import [-c FILE] [-p DIR[:DIR...]] [--chain NAME] [-o KEY=VALUE]... PATH...
EOF
check 'an argument too few' 2
run import -c good.conf --output x y
cat >"$dir/err.want" <<'EOF'
cofd: this command takes no option '--output'
Usage: cofd import [-c FILE] [-p DIR[:DIR...]] [--chain NAME] [-o KEY=VALUE]... PATH...
EOF
check 'a long option of another command with the same letter' 2
(cat "$dir/good.conf"; printf '[storage.more]\nplugin = plain\npath = y\n') >"$dir/two.conf"
run migrate -c two.conf --from db --to more
cat >"$dir/err.want" <<'EOF'
cofd migrate: storage.db (plugin plain) does not offer listing of all records, which this needs
EOF
check 'migrate: a capability is missing' 1
run export -c good.conf --under example.com
cat >"$dir/err.want" <<'EOF'
cofd export: storage.db (plugin plain) does not offer look-up of all below a domain, which this needs
EOF
check 'export: a capability is missing' 1
run check -z
count=$((count + 1))
if [ "$status" -eq 2 ] && grep -q '^Usage: cofd check' "$dir/err"; then
  echo "ok $count - an unknown option"
else
  echo "not ok $count - an unknown option"
fi

run --help
has 'help names every command' '^  cofd import '
for command in run check plugins import migrate export version; do
  run "$command" --help
  has "help of $command" "^Usage: cofd .*$command"
done
run version
has 'version' '^plugin ABI [0-9]*\.[0-9]*$'
run --version
has '--version' '^cofd [0-9]'

echo "1..$count"
