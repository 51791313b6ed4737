#!/bin/sh
# Bad files: each seed cut at every byte, with every bit flipped, with hostile sizes in every place,
# and damaged at random N times (1000). Prints how many of each format were tried, and how many of
# those were found good (a flipped bit of a pixel is a good file); a crash, a hang (an input of more
# than 10 s of the processor) or a leak (memory held afterwards) ends it.
# Usage: files.sh BUILD [N [TARGET...]]
set -eu
build="$1"
times="${2:-1000}"
here="$(dirname "$0")"
shift
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- config safetensors model checkpoint buffer npy idx cifar svhn png packed
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
all=0
printf '%-12s %9s %9s %9s %9s %9s %9s\n' format cut flipped sized random all good
for name; do
  if ! "$build/tests/fuzz/fuzz_$name" --every --damage "$times" "$here/seeds/$name" >"$log" 2>&1; then
    echo "$name: FAILED"
    tail -n 20 "$log"
    failed=$((failed + 1))
    continue
  fi
  awk -v name="$name" '/tried/ { tried[$1] = $2; if ($1 != "seeds") { all += $2; good += $4 } }
    END { printf "%-12s %9d %9d %9d %9d %9d %9d\n", name, tried["cut"], tried["flipped"],
      tried["sized"], tried["damaged"], all, good }' "$log"
  all=$((all + $(awk '/tried/ && $1 != "seeds" { n += $2 } END { print n }' "$log")))
done
echo "$all files tried: $failed formats with a crash, a hang or a leak"
[ "$failed" -eq 0 ]
