#!/bin/sh
# libjem against PyTorch, in turn on the same machine: one JSON line per measurement
# with the median and quartiles of the ratio PyTorch time / libjem time over pairs.
#
#   sh bench/compare.sh [--force] [--pairs N] [--networks "10-1 16-2 16-4 28-10"]
#                       [--precisions "f32 bf16"] [--threads "1 2"]
#                       [--only forward,sgld_step,jem_step] [--convolution exact|fast|direct]
#                       [--norm none|batch] [--sample-mode eval|train] [--batch N] [--repeat N]
#
# BENCH: jem_bench [build/bench/jem_bench]; PEER: the peer [bench/peer_torch.py], which takes the same
# flags and prints the same lines; PYTHON: an interpreter with torch. Where both of the
# peer's layouts are worth a try, LAYOUTS lists them and the faster one of a pair counts.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bench="${BENCH:-$here/../build/bench/jem_bench}"
peer="${PEER:-$here/peer_torch.py}"
python="${PYTHON:-/usr/bin/python3}"
layouts="${LAYOUTS:-channels_last contiguous}"
force=0 pairs=7 networks="10-1 16-2 16-4 28-10" precisions="f32 bf16" threads="1 2"
only="forward,sgld_step,jem_step" convolution=exact
norm=none mode=eval batch_given="" repeat_given=""

while [ $# -gt 0 ]; do
  case "$1" in
  --force) force=1 && shift && continue ;;
  --pairs) pairs="$2" ;;
  --networks) networks="$2" ;;
  --precisions) precisions="$2" ;;
  --threads) threads="$2" ;;
  --only) only="$2" ;;
  --convolution) convolution="$2" ;;
  --norm) norm="$2" ;;
  --sample-mode) mode="$2" ;;
  --batch) batch_given="$2" ;;
  --repeat) repeat_given="$2" ;;
  *)
    echo "compare.sh: unknown option $1 (its head lists them)" >&2
    exit 2
    ;;
  esac
  [ $# -ge 2 ] || { echo "compare.sh: $1: a value is missing" >&2 && exit 2; }
  shift 2
done
[ -x "$bench" ] || { echo "compare.sh: no $bench; build it, or set BENCH" >&2 && exit 1; }
[ -f "$peer" ] || { echo "compare.sh: no $peer; set PEER" >&2 && exit 1; }
"$python" -c 'import torch' 2>/dev/null || {
  echo "compare.sh: $python has no torch; set PYTHON" >&2
  exit 1
}

# Another process on a core makes a ratio meaningless.
busy=$(cut -d' ' -f1 /proc/loadavg)
if [ "$force" = 0 ] && [ "$(echo "$busy" | awk '{print ($1 > 0.5)}')" = 1 ]; then
  echo "compare.sh: the machine is busy (load $busy); --force measures all the same" >&2
  exit 1
fi

# field NAME: that number of a JSON line.
field() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p"; }

# quartiles: lower quartile, median, upper quartile of the numbers on stdin.
quartiles() {
  sort -n | awk '{v[NR] = $1} function at(q,  x, i) {x = 1 + (NR - 1) * q; i = int(x)
    return i >= NR ? v[NR] : v[i] + (x - i) * (v[i + 1] - v[i])}
    END {printf "%.3f %.3f %.3f", at(.25), at(.5), at(.75)}'
}

# fastest FLAGS...: the line of the peer's best layout.
fastest() {
  for layout in $layouts; do
    line=$("$python" "$peer" --layout "$layout" "$@")
    echo "$(echo "$line" | field ms) $line"
  done | sort -n | head -1 | cut -d' ' -f2-
}

ratios=$(mktemp)
trap 'rm -f "$ratios"' EXIT
for network in $networks; do
  for precision in $precisions; do
    for t in $threads; do
      # What is timed is right: its error against the plain path.
      "$bench" --depth "${network%-*}" --width "${network#*-}" --norm "$norm" --sample-mode "$mode" \
        --precision "$precision" --threads "$t" --convolution "$convolution" --only check
      for what in $(echo "$only" | tr , ' '); do
        batch=64 repeat=5
        [ "$network" = 28-10 ] && batch=16 repeat=1
        batch="${batch_given:-$batch}" repeat="${repeat_given:-$repeat}"
        flags="--depth ${network%-*} --width ${network#*-} --batch $batch --norm $norm --sample-mode $mode --precision $precision --threads $t --repeat $repeat --only $what"
        : >"$ratios"
        own="" other="" mine="" theirs=""
        i=0
        while [ $i -lt "$pairs" ]; do
          # shellcheck disable=SC2086
          own=$("$bench" $flags --convolution "$convolution")
          case "$own" in
          *"\"precision\": \"$precision\""*) ;;
          *) echo "compare.sh: libjem has no $precision on this CPU: left out" >&2 && continue 3 ;;
          esac
          # shellcheck disable=SC2086
          other=$(fastest $flags)
          mine=$(echo "$own" | field ms) theirs=$(echo "$other" | field ms)
          [ -n "$mine" ] && [ -n "$theirs" ] || { echo "compare.sh: a side gave no time" >&2 && exit 1; }
          echo "$theirs $mine" | awk '{print $1 / $2}' >>"$ratios"
          i=$((i + 1))
        done
        # shellcheck disable=SC2046
        set -- $(quartiles <"$ratios")
        echo "{\"what\": \"$what\", \"network\": \"$network\", \"precision\": \"$precision\", \"convolution\": \"$convolution\", \"norm\": \"$norm\", \"sample_mode\": \"$mode\", \"threads\": $t, \"batch\": $batch, \"pairs\": $pairs, \"ratio\": $2, \"lower\": $1, \"upper\": $3, \"last_ms\": $mine, \"last_peer_ms\": $theirs, \"rss_mib\": $(echo "$own" | field rss_mib), \"peer_rss_mib\": $(echo "$other" | field rss_mib)}"
      done
    done
  done
done
