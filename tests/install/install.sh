#!/bin/sh
# libjem installed into a prefix and used from there: pkg-config, shared and static,
# C and C++; then as a subproject. install.sh BUILD SOURCE MODEL
set -eu
build=$1
source=$2
model=$3
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"

DESTDIR="$here/root" meson install -C "$build" --no-rebuild >log 2>&1 || { cat log; exit 1; }
pc=$(find root -name jem.pc)
prefix="$here/root$(sed -n 's/^prefix=//p' "$pc")"
PKG_CONFIG_PATH=$(dirname "$here/$pc")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH LD_LIBRARY_PATH
config="pkg-config --define-variable=prefix=$prefix"
strict="-Wall -Wextra -pedantic -Werror"
cp "$source/examples/score.c" app.c
cat >app.cpp <<'CODE'
#include <cstdio>
#include <jem.h>
int main()
{
    jem_context *context = nullptr;
    if (jem_context_create(&context, nullptr) != JEM_OK) return 1;
    jem_context_destroy(context);
    std::printf("%s\n", jem_version());
}
CODE
# shellcheck disable=SC2046,SC2086
{
  cc -std=c11 $strict app.c -o shared $($config --cflags --libs jem) -lm
  cc -std=c11 $strict app.c -o static $($config --cflags jem) "$LD_LIBRARY_PATH/libjem.a" \
    $(pkg-config --static --libs-only-l jem | sed 's/-ljem//') -lm
  c++ -std=c++17 $strict app.cpp -o plus $($config --cflags --libs jem)
}
./shared "$model" >one
./static "$model" >two
cmp one two
grep -q 'class' one
./plus | grep -q '^[0-9]*\.[0-9]*\.[0-9]*$'
readelf -d shared | grep -q 'libjem\.so\.[0-9]'
"$prefix/bin/jem" --version | grep -q '^jem ' || [ ! -e "$prefix/bin/jem" ]

mkdir -p host/subprojects
ln -s "$source" host/subprojects/libjem
cp app.c host/
cat >host/meson.build <<'CODE'
project('host', 'c', default_options: ['c_std=gnu11'])
jem = subproject('libjem', default_options: ['examples=false', 'tests=false', 'bench=false'])
executable('app', 'app.c', dependencies: [dependency('jem'), meson.get_compiler('c').find_library('m')])
CODE
meson setup host/build host >log 2>&1 || { cat log; exit 1; }
ninja -C host/build >log 2>&1 || { cat log; exit 1; }
host/build/app "$model" >three
cmp one three
echo "installed, linked shared and static, from C and C++, and as a subproject"
