#!/bin/sh
# Sanitizers and static analysis, each over the whole library. Prints one line a tool; the
# suppressions are NOLINT comments in lib/ and tests/lsan.supp, counted at the end.
# Usage: analyze.sh [asan] [valgrind] [tidy] [gcc]     (none: all four)
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- asan valgrind tidy gcc
export MESON_TESTTHREADS="${MESON_TESTTHREADS:-1}"
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# tell NAME FINDINGS
tell() {
  echo "$1: $2 findings"
  [ "$2" -eq 0 ] || {
    tail -n 60 "$log"
    failed=1
  }
}

# tests BUILD SETUP SUITE... : how many tests failed
tests() {
  build="$1"
  setup="$2"
  shift 2
  for suite; do set -- "$@" --suite "$suite" && shift; done
  meson test -C "$build" --no-rebuild --setup "$setup" -t 10 "$@" >"$log" 2>&1 || true
  sed -n 's/^\(Fail\|Timeout\): *\([0-9]*\).*/\2/p' "$log" | awk '{ n += $1 } END { print n + 0 }'
}

asan() {
  build="${BUILD:-build}-asan"
  [ -f "$build/build.ninja" ] || meson setup "$build" -Db_sanitize=address,undefined \
    -Db_lundef=false -Dexamples=false -Dbench=false >/dev/null
  ninja -C "$build" >/dev/null
  tell 'ASan and UBSan, all tests' "$(tests "$build" quick)"
}

# valgrind knows no AVX-512: the setup limits oneDNN to AVX2.
valgrind() {
  build="${BUILD:-build}"
  [ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null
  ninja -C "$build" >/dev/null
  tell 'valgrind, base, format, data, fuzz' "$(tests "$build" valgrind base format data fuzz)"
}

tidy() {
  build="${BUILD:-build}"
  [ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null
  # These are compiled with macros of their own, once for each instruction set.
  git ls-files 'lib/*.c' | grep -v 'lib/tensor/\(flat\|activations\|winograd\)\.c' |
    xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet >"$log" 2>/dev/null || true
  tell 'clang-tidy, lib/' "$(grep -c 'error:\|warning:' "$log" || true)"
}

gcc_analyzer() {
  flags="-std=gnu11 -O2 -Iinclude -Ilib -fanalyzer -c -o /dev/null"
  for file in $(git ls-files 'lib/*.c' | grep -v 'lib/tensor/\(flat\|activations\|winograd\)\.c'); do
    # shellcheck disable=SC2086
    gcc $flags $(pkg-config --cflags libpng zlib) "$file" 2>&1 || true
  done >"$log"
  tell 'gcc -fanalyzer, lib/' "$(grep -c 'warning:.*-Wanalyzer' "$log" || true)"
}

for tool; do
  case "$tool" in
  asan) asan ;;
  valgrind) valgrind ;;
  tidy) tidy ;;
  gcc) gcc_analyzer ;;
  *)
    echo "unknown: $tool" >&2
    exit 2
    ;;
  esac
done
echo "$(($(git grep -c NOLINT -- 'lib/*.c' 'lib/*.h' | awk -F: '{ n += $2 } END { print n + 0 }') + \
  $(grep -c '^leak:' tests/lsan.supp))) suppressions, of 10"
exit "$failed"
