#!/bin/sh
# Programs built with an older revision's headers and library run on the new library and
# give the same answers. old_binary.sh NEW_LIBRARY [REVISION] (by default the first that has
# this ABI). Builds that revision, which takes minutes. Without a history: skipped (77).
set -eu
library=$(cd "$(dirname "$1")" && pwd)
source=$(cd "$(dirname "$0")/../.." && pwd)
abi=$(sed -n "s/^abi_version = '\(.*\)'/\1/p" "$source/meson.build")
revision=${2:-$(git -C "$source" log --reverse --format=%H -S"abi_version = '$abi'" -- meson.build 2>/dev/null | head -1)}
[ -n "$revision" ] || { echo "SKIP: no history with a revision of ABI $abi"; exit 77; }
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

git -C "$source" archive --prefix=old/ "$revision" | tar -x -C "$here"
meson setup "$here/build" "$here/old" -Dtests=false -Dbench=false -Dcli=disabled \
  -Ddefault_library=both >"$here/log" 2>&1 || { cat "$here/log"; exit 1; }
ninja -C "$here/build" >"$here/log" 2>&1 || { cat "$here/log"; exit 1; }
# A run path of their own would win over LD_LIBRARY_PATH.
for program in score train_loop finetune networks; do
  readelf -d "$here/build/examples/$program" | grep -q RPATH && { echo "$program has an RPATH"; exit 1; }
done
model=$here/old/examples/models/glyphs.safetensors
run() {
  LD_LIBRARY_PATH=$1 "$here/build/examples/score" "$model"
  LD_LIBRARY_PATH=$1 "$here/build/examples/train_loop" 3
  LD_LIBRARY_PATH=$1 "$here/build/examples/finetune" "$model" 3
  LD_LIBRARY_PATH=$1 "$here/build/examples/networks" 3
}
run "$here/build/lib" >"$here/with_old"
run "$library" >"$here/with_new"
diff "$here/with_old" "$here/with_new"
echo "programs of $revision run on the new library"
