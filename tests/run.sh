#!/bin/sh
# Installs what is missing, builds, runs the default tests. Arguments go to meson
# setup. The last line counts the tests.
set -eu
cd "$(dirname "$0")/.."
build="${BUILD:-build}"

sh examples/install-deps.sh --tests
if [ -f "$build/build.ninja" ]; then
  meson configure "$build" -Dtests=true -Dbench=true # the quickstart builds without
else
  meson setup "$build" "$@"
fi
ninja -C "$build"
status=0
meson test -C "$build" --no-rebuild --print-errorlogs || status=$?

# A test that finds no real data passes and prints a line "SKIP: no PATH".
count() { grep -c "$1" "$build/meson-logs/testlog.json" || true; }
passed=$(count '"result": "OK"')
skipped=$(grep -o 'SKIP: no ' "$build/meson-logs/testlog.json" | wc -l)
failed=$(grep -cE '"result": "(FAIL|TIMEOUT|ERROR|INTERRUPT|UNEXPECTEDPASS)"' \
  "$build/meson-logs/testlog.json" || true)
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
