#!/bin/sh
# Builds libjem and runs its tests on other releases of Debian, in a root of their own made
# by debootstrap: oneDNN 3.x from the same source. As root. The roots are kept and used
# again. distros.sh ROOTS [RELEASE...]   (default: trixie; sid too with: trixie sid)
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0"; exit 2; }
mkdir -p "$1"
roots=$(cd "$1" && pwd)
shift
mirror=${MIRROR:-http://deb.debian.org/debian}

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
    { [ -d /build ] || meson setup /build -Dwerror=true; } && ninja -C /build &&
    meson test -C /build --no-rebuild --print-errorlogs' || status=1
  in_root sh -c 'cd /src && /build/bench/jem_bench --help >/dev/null 2>&1; /build/examples/score \
    examples/models/glyphs.safetensors && dpkg-query -W "libdnnl*" gcc clang'
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
