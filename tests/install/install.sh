#!/bin/sh
# libjem installed into a prefix and used from there: pkg-config and CMake, shared and
# static, C and C++; then as a meson subproject. install.sh BUILD SOURCE MODEL
set -eu
build=$1
source=$2
model=$3
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"

quietly() {
  "$@" >"$here/log" 2>&1 || { cat "$here/log"; exit 1; }
}

DESTDIR="$here/root" quietly meson install -C "$build" --no-rebuild
pc=$(find root -name jem.pc)
prefix="$here/root$(sed -n 's/^prefix=//p' "$pc")"
PKG_CONFIG_PATH=$(dirname "$here/$pc")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH LD_LIBRARY_PATH
config="pkg-config --define-variable=prefix=$prefix"
strict="-Wall -Wextra -pedantic -Werror"
cp "$source/examples/score.c" app.c
cp "$source/examples/ffi/use_jem.cpp" app.cpp

echo "pkg-config"
# shellcheck disable=SC2046,SC2086
{
  alone="$LD_LIBRARY_PATH/libjem.a $(pkg-config --static --libs-only-l jem | sed 's/-ljem//') -lm"
  cc -std=c11 $strict app.c -o shared $($config --cflags --libs jem) -lm
  cc -std=c11 $strict app.c -o static $($config --cflags jem) $alone
  c++ -std=c++17 $strict app.cpp -o shared_plus $($config --cflags --libs jem)
  c++ -std=c++17 $strict app.cpp -o static_plus $($config --cflags jem) $alone
}
./shared "$model" >one
./static "$model" >two
cmp one two
grep -q 'class' one
./shared_plus "$model" >plus
./static_plus "$model" | cmp - plus
grep -q 'trainer: stopped after step 2' plus
readelf -d shared | grep -q 'libjem\.so\.[0-9]'
readelf -d static | grep 'libjem' && exit 1
"$prefix/bin/jem" --version | grep -q '^jem ' || [ ! -e "$prefix/bin/jem" ]

echo "CMake"
mkdir cmake
cat >cmake/CMakeLists.txt <<'CODE'
cmake_minimum_required(VERSION 3.13)
project(host C CXX)
find_package(jem 0.1 REQUIRED)
set(CMAKE_CXX_STANDARD 17)
add_compile_options(-Wall -Wextra -Werror)
add_executable(shared ../app.c)
target_link_libraries(shared jem::jem m)
add_executable(static ../app.c)
target_link_libraries(static jem::static m)
add_executable(plus ../app.cpp)
target_link_libraries(plus jem::jem)
CODE
quietly cmake -G Ninja -S cmake -B cmake/build "-DCMAKE_PREFIX_PATH=$prefix;$LD_LIBRARY_PATH/cmake"
quietly cmake --build cmake/build
for program in shared static; do cmake/build/$program "$model" | cmp - one; done
cmake/build/plus "$model" | cmp - plus
sed -i 's/find_package(jem 0.1/find_package(jem 99/' cmake/CMakeLists.txt
if cmake -G Ninja -S cmake -B cmake/newer "-DCMAKE_PREFIX_PATH=$prefix;$LD_LIBRARY_PATH/cmake" >log 2>&1; then
  echo "find_package(jem 99) is content with this release"
  exit 1
fi

echo "meson subproject"
mkdir -p host/subprojects
ln -s "$source" host/subprojects/libjem
cp app.c host/
cat >host/meson.build <<'CODE'
project('host', 'c', default_options: ['c_std=gnu11'])
jem = subproject('libjem', default_options: ['examples=false', 'tests=false', 'bench=false'])
executable('app', 'app.c', dependencies: [dependency('jem'), meson.get_compiler('c').find_library('m')])
CODE
quietly meson setup host/build host
quietly ninja -C host/build
host/build/app "$model" | cmp - one
echo "installed; shared and static, C and C++, by pkg-config, CMake and as a subproject"
