#!/bin/sh
# Builds libjem and runs its tests on other releases of Debian, in a root of their own made
# by debootstrap: oneDNN 3.x from the same source, and the benchmark's check and figures.
# As root. The roots are kept and used again. CC=clang in the environment: by clang.
# distros.sh ROOTS [RELEASE...]   (default: trixie; sid too with: trixie sid)
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 1 ] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
mkdir -p "$1"
roots=$(cd "$1" && pwd)
shift
mirror=${MIRROR:-http://deb.debian.org/debian}
compiler=${CC:-gcc}
build=/build-$compiler

in_root() {
  chroot "$roots/$release" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"
}

make_root() {
  if [ ! -e "$roots/$release/made" ]; then
    debootstrap --variant=minbase "$release" "$roots/$release" "$mirror"
    touch "$roots/$release/made"
  fi
  cp /etc/resolv.conf "$roots/$release/etc/resolv.conf"
}

run_tests() {
  rm -rf "$roots/$release/src"
  mkdir -p "$roots/$release/src" "$roots/$release/proc" "$roots/$release/dev"
  (cd "$source" && git archive HEAD) | tar -x -C "$roots/$release/src"
  mount -t proc proc "$roots/$release/proc"
  trap 'umount "$roots/$release/proc"' EXIT
  in_root sh -c 'cd /src && sh examples/install-deps.sh --tests &&
    { [ -d "$1" ] || CC=$2 meson setup "$1" -Dwerror=true; } && ninja -C "$1" &&
    meson test -C "$1" --no-rebuild --print-errorlogs --timeout-multiplier 10 &&
    "$1"/bench/jem_bench --depth 10 --width 1 --repeat 3 --only check,forward,sgld_step &&
    "$1"/bench/jem_bench --repeat 3 --only conv_only,sgld_step &&
    "$1"/examples/score examples/models/glyphs.safetensors && dpkg-query -W "libdnnl*" "$2"' \
    - "$build" "$compiler" || status=1
  umount "$roots/$release/proc"
  trap - EXIT
}

status=0
for release in "${@:-trixie}"; do
  echo "== $release"
  make_root
  run_tests
done
exit "$status"
