#!/bin/sh
# Builds the fuzz targets with clang, ASan and UBSan, and runs each for a time; prints executions,
# coverage (edges reached of the whole library)
# and findings. Inputs that reach new code are kept in BUILD/corpus, findings in BUILD/findings.
# Runs add up: BUILD/totals has the executions and seconds of each target over all runs in BUILD.
# Usage: run.sh [SECONDS [TARGET...]]      BUILD=build-fuzz TIMEOUT=10 (seconds for an input)
set -eu
cd "$(dirname "$0")/../.."
seconds="${1:-900}"
[ $# -eq 0 ] || shift
build="${BUILD:-build-fuzz}"
limit="${TIMEOUT:-10}"
[ -f "$build/build.ninja" ] || CC=clang meson setup "$build" -Dfuzz=true \
  -Db_sanitize=address,undefined -Db_lundef=false -Dexamples=false -Dbench=false >/dev/null
ninja -C "$build" fuzzers >/dev/null
[ $# -gt 0 ] || set -- $(ls tests/fuzz/seeds)

# Leaks of what stays reachable to the end are none; a run-away allocation is a finding.
export ASAN_OPTIONS="allocator_may_return_null=0:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
total=0
found=0
# Seconds that the processor has spent on this script's children. (A pipe would begin a new count.)
spent() {
  times >"$build/times.$$"
  sed -n '2s/[ms]/ /gp' "$build/times.$$" | awk '{printf "%d\n", 60 * $1 + $2 + 60 * $3 + $4}'
}
printf '%-12s %12s %8s %8s %14s %9s\n' target executions seconds cpu edges findings
for name; do
  corpus="$build/corpus/$name"
  findings="$build/findings/$name"
  mkdir -p "$corpus" "$findings"
  log="$build/$name.log"
  spent >"$build/before.$$"
  "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout="$limit" -report_slow_units="$limit" \
    -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=65536 -print_final_stats=1 -artifact_prefix="$findings/" \
    "$corpus" "tests/fuzz/seeds/$name" >"$log" 2>&1 || true
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
  edges=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | tr -dc 0-9)
  all=$(sed -n 's/.*(\([0-9]*\) inline 8-bit counters).*/\1/p' "$log" | head -n 1)
  took=$(sed -n 's/^Done .* runs in \([0-9]*\) second.*/\1/p' "$log")
  spent >"$build/after.$$"
  cpu=$(($(cat "$build/after.$$") - $(cat "$build/before.$$")))
  bad=$(find "$findings" -type f ! -name "slow-unit-*" | wc -l)
  echo "$name ${runs:-0} $cpu" >>"$build/totals"
  printf '%-12s %12s %8s %8s %14s %9s\n' "$name" "${runs:-0}" "${took:--}" \
    "$cpu" "${edges:-0}/${all:-0}" "$bad"
  total=$((total + ${runs:-0}))
  found=$((found + bad))
done
echo "$total executions, $found findings; over all runs in $build:"
awk '{ runs[$1] += $2; cpu[$1] += $3 }
  END { for (name in runs) printf "%-12s %12d executions, %d s of the processor\n", name, runs[name],
    cpu[name] }' "$build/totals" | sort
[ "$found" -eq 0 ]
