#!/bin/sh
# libjem.so exports what the headers declare, no more and no less, and neither
# prints nor ends the process. symbols.sh LIBRARY SOURCE
set -eu
library=$1
source=$2
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

nm -D --defined-only "$library" | sed -n 's/.* T \([a-z0-9_]*\).*/\1/p' | sort >"$here/exported"
# Declarations span lines; the preprocessor's are not declarations.
cat "$source"/include/jem/*.h | grep -v '^#' | tr '\n' ' ' |
  grep -o 'JEM_API [^;(]*(' | sed 's/(.*//; s/.*[ *]//' | sort -u >"$here/declared"
[ "$(wc -l <"$here/declared")" -gt 60 ] || { echo "cannot read the headers"; exit 1; }
diff "$here/declared" "$here/exported" || { echo "declared (<) and exported (>) differ"; exit 1; }
nm -D --defined-only "$library" | grep -v ' [TA] ' && { echo "exports data"; exit 1; }

for name in abort exit _exit printf puts fprintf putchar perror __assert_fail __printf_chk \
  __fprintf_chk; do
  if nm -D --undefined-only "$library" | sed 's/.* //; s/@.*//' | grep -qx "$name"; then
    echo "libjem calls $name"
    exit 1
  fi
done
echo "$(wc -l <"$here/exported") functions exported, all declared"
