#!/bin/sh
# The tests under the thread sanitizer, in a build folder of their own. tsan.sh [SUITE...]
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build-tsan}
[ "$(grep -c '^[a-z]' tests/tsan.supp || true)" -le 10 ] || { echo "more than ten suppressions"; exit 1; }
[ -f "$build/build.ninja" ] ||
  meson setup "$build" -Db_sanitize=thread -Db_lundef=false -Dexamples=false -Dbench=false
ninja -C "$build"
suites=""
for suite in "${@:-host}"; do suites="$suites --suite $suite"; done
# shellcheck disable=SC2086
meson test -C "$build" --no-rebuild --setup tsan --no-suite forks --print-errorlogs $suites
