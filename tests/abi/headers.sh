#!/bin/sh
# jem.h stands alone in every C and C++ dialect, without a warning, under gcc and clang.
# headers.sh SOURCE
set -eu
source=$1
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cat >"$here/all.c" <<'CODE'
#include <jem.h>
int main(void) { return (int)sizeof(jem_trainer_callbacks) == 0; }
CODE
cp "$here/all.c" "$here/all.cpp"
check() {
  "$@" -pedantic -Wall -Wextra -Werror -Wundef -I"$source/include" -fsyntax-only
}
both="cc clang"
command -v clang++ >/dev/null || { echo "no clang"; exit 1; }
for header in "$source"/include/jem/*.h; do
  name=$(basename "$header")
  printf '#include <jem/%s>\n#include <jem/%s>\ntypedef int not_empty;\n' "$name" "$name" >"$here/one.c"
  for compiler in $both; do check "$compiler" -std=c99 "$here/one.c"; done
done
for compiler in $both; do
  for dialect in c99 c11 c17; do check "$compiler" -std=$dialect "$here/all.c"; done
done
for compiler in c++ clang++; do
  for dialect in c++11 c++14 c++17 c++20; do check "$compiler" -std=$dialect "$here/all.cpp"; done
done
# The check must see a warning.
echo 'struct empty {};' >>"$here/all.c"
if check cc -std=c99 "$here/all.c" 2>/dev/null; then
  echo "headers.sh does not see a warning"
  exit 1
fi
echo "jem.h: C99 to C17, C++11 to C++20, gcc and clang"
