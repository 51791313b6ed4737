#!/bin/sh
# Programs built with an older revision's headers and library run on the new library and
# give the same answers. old_binary.sh NEW_LIBRARY REVISION (a git revision of ABI 1 or
# later, the last release by default). Builds that revision, which takes minutes.
set -eu
library=$(cd "$(dirname "$1")" && pwd)
source=$(cd "$(dirname "$0")/../.." && pwd)
revision=${2:-$(git -C "$source" describe --tags --abbrev=0 --match 'v*')}
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

git -C "$source" archive --prefix=old/ "$revision" | tar -x -C "$here"
meson setup "$here/build" "$here/old" -Dtests=false -Dbench=false -Dcli=disabled \
  -Ddefault_library=shared >"$here/log" 2>&1 || { cat "$here/log"; exit 1; }
ninja -C "$here/build" >"$here/log" 2>&1 || { cat "$here/log"; exit 1; }
run() {
  LD_LIBRARY_PATH=$1 "$here/build/examples/score" "$here/old/examples/models/glyphs.safetensors"
  LD_LIBRARY_PATH=$1 "$here/build/examples/train_loop" 3
}
# Their own run path would win over LD_LIBRARY_PATH.
for program in score train_loop; do
  readelf -d "$here/build/examples/$program" | grep -q RPATH && { echo "$program has an RPATH"; exit 1; }
done
run "$here/build/lib" >"$here/with_old"
run "$library" >"$here/with_new"
diff "$here/with_old" "$here/with_new"
echo "programs of $revision run on the new library"
