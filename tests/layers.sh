#!/bin/sh
# Holds the #include lines to the table of rooms in docs/architecture.md: a room may
# include itself and the rooms it stands on. Usage: layers.sh [SOURCE]
set -eu
source="${1:-$(dirname "$0")/..}"

# room: the rooms it may include, all of them.
table() {
  cat <<'TABLE'
base:
tensor: base
format: base tensor
dnn: base tensor
energy: base tensor
data: base tensor format
model: base tensor format dnn energy
sample: base tensor format dnn energy data model
train: base tensor format dnn energy data model sample
eval: base tensor format dnn energy data model sample
TABLE
}

# includes FILE... : "FILE HEADER" lines.
includes() {
  grep -H -o '^ *# *include *["<][^">]*' "$@" 2>/dev/null | sed 's/: *# *include *["<]/ /' || true
}

check() {
  root="$1"
  broken=0
  say() {
    echo "$1 includes $2: $3"
    broken=1
  }

  for folder in "$root"/lib/*/; do
    room=$(basename "$folder")
    allowed=$(table | sed -n "s/^$room://p")
    if ! table | grep -q "^$room:"; then
      echo "lib/$room is not in the table of tests/layers.sh"
      broken=1
      continue
    fi
    while read -r file header; do
      [ -n "$file" ] || continue
      case "$header" in
      jem.h) say "$file" "$header" "the library includes single headers of jem/" ;;
      jem/*) ;;
      *dnnl*) [ "$room" = dnn ] || say "$file" "$header" "only lib/dnn sees oneDNN" ;;
      png.h) [ "$room" = format ] || say "$file" "$header" "only lib/format sees libpng" ;;
      */*)
        other="${header%%/*}"
        [ -d "$root/lib/$other" ] || continue # a system header such as sys/stat.h
        case " $room$allowed " in *" $other "*) ;; *) say "$file" "$header" "lib/$room stands below or beside lib/$other" ;; esac
        ;;
      esac
    done <<LIST
$(includes "$folder"*.c "$folder"*.h)
LIST
  done

  while read -r file header; do
    [ -n "$file" ] || continue
    case "$header" in
    jem.h | jem/* | stddef.h | stdint.h | stdio.h) ;;
    *) say "$file" "$header" "public headers need C's standard ones only" ;;
    esac
  done <<LIST
$(includes "$root"/include/jem.h "$root"/include/jem/*.h)
LIST

  while read -r file header; do
    [ -n "$file" ] || continue
    case "$header" in
    jem.h | cli.h | cairo.h | sys/*) ;;
    */*) say "$file" "$header" "examples use jem.h, as any program would" ;;
    esac
  done <<LIST
$(includes "$root"/examples/*.c "$root"/examples/cli/*.c "$root"/examples/cli/*.h)
LIST
  return "$broken"
}

# The check must see a violation of each kind.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
violate() {
  rm -rf "$copy/t"
  mkdir "$copy/t"
  cp -r "$source/lib" "$source/include" "$source/examples" "$copy/t"
  echo "#include $2" >>"$copy/t/$1"
  if check "$copy/t" >"$copy/said" || ! grep -q "$1 includes" "$copy/said"; then
    echo "layers.sh does not see #include $2 in $1"
    exit 1
  fi
}
violate lib/base/file.c '"model/model.h"'
violate lib/energy/loss.c '"model/model.h"'
violate lib/model/pass.c '<oneapi/dnnl/dnnl.h>'
violate lib/data/loader.c '<png.h>'
violate lib/sample/buffer.c '"train/trainer.h"'
violate lib/train/step.c '<jem.h>'
violate include/jem/model.h '<math.h>'
violate examples/score.c '"base/status.h"'

check "$source" && echo "layers: every #include keeps to its room"
