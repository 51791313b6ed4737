#!/bin/sh
# As distributions build it: shared only, static only, without examples, tests and benchmarks;
# each configures, builds, installs and serves a program. kinds.sh SOURCE MODEL
set -eu
source=$1
model=$2
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

for kind in shared static; do
  {
    meson setup "$here/$kind" "$source" -Ddefault_library=$kind -Dtests=false -Dbench=false -Dexamples=false
    DESTDIR="$here/root-$kind" meson install -C "$here/$kind"
  } >"$here/log" 2>&1 || { cat "$here/log"; exit 1; }
  pc=$(find "$here/root-$kind" -name jem.pc)
  folder=$(dirname "$(dirname "$pc")")
  # shellcheck disable=SC2046
  PKG_CONFIG_PATH=$(dirname "$pc") cc -std=c11 -Wall -Wextra -Werror "$source/examples/score.c" -o "$here/app" \
    -I"$source/include" -L"$folder" $(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --static --libs-only-l jem) -lm
  LD_LIBRARY_PATH=$folder "$here/app" "$model"
  find "$here/root-$kind" -name 'libjem*' | sed 's|.*/||' | sort | tr '\n' ' '
  echo "($kind)"
done
[ -z "$(find "$here/root-shared" -name '*.a')$(find "$here/root-static" -name '*.so*')" ]
