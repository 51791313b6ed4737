#!/bin/sh
# jem.h stands alone in every C and C++ dialect, without a warning. headers.sh SOURCE
set -eu
source=$1
shift
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
echo '#include <jem.h>
int main(void) { return (int)sizeof(jem_trainer_callbacks) == 0; }' >"$here/all.c"
cp "$here/all.c" "$here/all.cpp"
for header in "$source"/include/jem/*.h; do
  echo "#include <jem/$(basename "$header")>" >"$here/one.c"
  echo 'typedef int not_empty;' >>"$here/one.c"
  cc -std=c99 -pedantic -Wall -Wextra -Werror -I"$source/include" -fsyntax-only "$here/one.c"
done
for dialect in c99 c11 c17; do
  cc -std=$dialect -pedantic -Wall -Wextra -Werror -I"$source/include" -fsyntax-only "$here/all.c"
done
for dialect in c++11 c++14 c++17 c++20; do
  c++ -std=$dialect -pedantic -Wall -Wextra -Werror -I"$source/include" -fsyntax-only "$here/all.cpp"
done
echo "jem.h: C99 to C17, C++11 to C++20"
