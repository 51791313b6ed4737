#!/bin/sh
# Sanitizers and static analysis, each over the whole library, and but for TSan and valgrind over the
# command where it is built. Prints one line a tool, and at the end the number of suppressions, which
# may be ten.
# Usage: analyze.sh [asan] [tsan] [valgrind] [tidy] [gcc]     (none: all five)
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- asan tsan valgrind tidy gcc
base="${BUILD:-build}"
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

# build FOLDER OPTION...
build() {
  folder="$1"
  shift
  if [ -f "$folder/build.ninja" ]; then
    meson configure "$folder" "$@" >/dev/null
  else
    meson setup "$folder" "$@" >/dev/null
  fi
  ninja -C "$folder" >/dev/null
}

# tests FOLDER SETUP SUITE... : how many tests failed; "none" if none ran
tests() {
  folder="$1"
  setup="$2"
  shift 2
  for suite; do set -- "$@" --suite "$suite" && shift; done
  meson test -C "$folder" --no-rebuild --setup "$setup" -t 100 "$@" >"$log" 2>&1 || true
  awk '/^(Ok|Fail|Timeout): / { found = 1; if ($1 != "Ok:") n += $2 }
    END { print found ? n + 0 : "none" }' "$log"
}

asan() {
  build "$base-asan" -Db_sanitize=address,undefined -Db_lundef=false -Dexamples=true -Dbench=false
  tell 'ASan and UBSan, all tests' "$(tests "$base-asan" quick)"
}

tsan() {
  build "$base-tsan" -Db_sanitize=thread -Db_lundef=false -Dexamples=false -Dbench=false
  tell 'TSan, all tests that start threads' "$(tests "$base-tsan" tsan)"
}

# valgrind knows no AVX-512: the setup limits kernels to SSE4.1. `examples` are scoring with the model that
# is shipped and a short training, by the installed interface alone.
valgrind() {
  build "$base"
  suites="base tensor format dnn energy data model sample train eval host fuzz examples"
  # shellcheck disable=SC2086
  tell "valgrind, ${VALGRIND_SUITES:-$suites}" "$(tests "$base" valgrind ${VALGRIND_SUITES:-$suites})"
}

sources() {
  git ls-files 'lib/*.c'
  ! pkg-config --exists cairo || git ls-files 'examples/cli/*.c'
}

# One file at a time: after the first, clang-tidy 14 takes every va_list for one not begun.
# clang-tidy ends with 1 when it finds something, which is counted, and otherwise when it fails,
# which is a finding as well.
tidy() {
  build "$base"
  sources | xargs -P "$(nproc)" -n 1 sh -c 'clang-tidy -p "$0" --quiet "$@" || [ $? -eq 1 ] ||
    echo "error: clang-tidy failed on $*"' "$base" >"$log" 2>/dev/null
  tell 'clang-tidy, lib/ and examples/cli/' "$(grep -c 'error:\|warning:' "$log" || true)"
}

gcc_analyzer() {
  build "$base"
  flags="-std=gnu11 -O2 -Iinclude -Ilib -I$base/lib -D__clang_analyzer__ -fanalyzer -c -o /dev/null $(pkg-config --cflags libpng zlib)"
  ! pkg-config --exists cairo || flags="$flags -Iexamples/cli $(pkg-config --cflags cairo)"
  # shellcheck disable=SC2086
  for file in $(sources); do
    case "$file" in # kernels have their table's name from the build
    lib/tensor/flat.c) own="-DJEM__TABLE=jem__kernels_plain" ;;
    lib/tensor/activations.c) own="-DJEM__TABLE=jem__activations_plain_f32" ;;
    lib/tensor/winograd.c) own="-DJEM__TABLE=jem__winograd_plain -Wno-psabi" ;;
    *) own="" ;;
    esac
    gcc $flags $own "$file" 2>&1 || echo "$file: warning: not compiled -Wanalyzer"
  done >"$log"
  tell 'gcc -fanalyzer, lib/ and examples/cli/' "$(grep -c 'warning:.*-Wanalyzer' "$log" || true)"
}

# What tools are told not to say: NOLINT comments, lines of the sanitizers' files, checks of clang-tidy.
suppressions() {
  git grep -h NOLINT -- 'lib/*.[ch]' 'include/*.h' 'examples/cli/*.[ch]' || true
  grep -h '^[a-z]*:' tests/lsan.supp tests/tsan.supp || true
  grep -h '^  -[a-z].*-[a-z]\|AllowedIdentifiers' .clang-tidy || true
}

for tool; do
  case "$tool" in
  asan | tsan | valgrind | tidy) "$tool" ;;
  gcc) gcc_analyzer ;;
  *)
    echo "unknown: $tool" >&2
    exit 2
    ;;
  esac
done
count=$(suppressions | wc -l)
echo "$count suppressions, of 10"
[ "$count" -le 10 ] || failed=1
exit "$failed"
