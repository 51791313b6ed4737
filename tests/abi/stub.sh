#!/bin/sh
# The ABI that the headers describe, as abidw sees it: every declared function, defined
# empty and compiled with debug information. test_symbols holds the library to the same
# functions, and the compiler its definitions to the headers, so that the full library
# need not be built for it. stub.sh SOURCE OUTPUT.abi
set -eu
source=$1
output=$2
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

cat >"$here/write.py" <<'CODE'
import sys
sys.path.insert(0, sys.argv[1] + "/examples/ffi")
import headers
print("#include <jem.h>")
for f in headers.read(sys.argv[1] + "/include").functions:
    arguments = ", ".join(f"{p.type} {p.name}" for p in f.parameters) or "void"
    print(f"{f.result} {f.name}({arguments}) {{ {'' if f.result == 'void' else 'return 0;'} }}")
CODE
python3 "$here/write.py" "$source" >"$here/stub.c"
cc -std=c11 -g -O0 -shared -fPIC -I"$source/include" -o "$here/libjem.so" "$here/stub.c"
abidw --no-corpus-path --no-comp-dir-path --no-show-locs --short-locs "$here/libjem.so" |
  sed "s|$here|.|g" >"$output"
