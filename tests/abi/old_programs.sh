#!/bin/sh
# A program compiled with the declarations of each earlier release of this ABI runs on the
# library of today, to the same output as one compiled with the headers of today.
# old_programs.sh LIBRARY SOURCE
set -eu
library=$1
source=$(cd "$2" && pwd)
folder=$(cd "$(dirname "$library")" && pwd)
model=$source/examples/models/glyphs.safetensors
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

run() { # DECLARATIONS OUTPUT
  cc -std=gnu11 -Wall -Wextra -Werror -I"$source/include" -DDECLARATIONS="$1" "$source/tests/abi/old/program.c" \
    -o "$here/program" "$library" -lm
  LD_LIBRARY_PATH=$folder "$here/program" "$model" "$here/state" >"$2" || { cat "$2"; exit 1; }
}

run '<jem.h>' "$here/today"
grep -q 'blocks 0' "$here/today" || { cat "$here/today"; exit 1; }
for old in "$source"/tests/abi/old/*.h; do
  run "\"$old\"" "$here/then"
  diff "$here/then" "$here/today" || { echo "a program of $(basename "$old" .h) does something else"; exit 1; }
  echo "a program of $(basename "$old" .h) runs"
done

# The comparison must see a table that has grown in the middle.
sed 's/^    void \*user;$/    int64_t new_field;\n    void *user;/' "$source/tests/abi/old/0.1.0.h" >"$here/grown.h"
cmp -s "$here/grown.h" "$source/tests/abi/old/0.1.0.h" && { echo "cannot read the declarations"; exit 1; }
if (run "\"$here/grown.h\"" "$here/then") >/dev/null 2>&1 && cmp -s "$here/then" "$here/today"; then
  echo "a change of a table is not seen"
  exit 1
fi
