#!/bin/sh
# Installs the Debian packages that building and plotting need, and only when one is
# missing; with --tests or --ci those of the tests and of the CI run too, with --slow those
# of the slow tests that need torch or a browser. As root, or
# through sudo.
set -eu

packages="gcc g++ libc6-dev meson ninja-build cmake pkg-config libdnnl-dev libpng-dev zlib1g-dev
  libcairo2-dev check libsubunit-dev"
case "${1:-}" in
--tests) packages="$packages locales python3 python3-numpy luajit clang abigail-tools" ;;
--ci) packages="$packages git locales python3 python3-numpy luajit clang abigail-tools clang-format libmatio-dev" ;;
--slow) packages="$packages locales python3 python3-torch python3-numpy chromium" ;;
esac

missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
  as_root=""
elif command -v sudo >/dev/null; then
  as_root="sudo"
else
  echo "missing packages:$missing; install them, or run this as root" >&2
  exit 1
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q >&2
# shellcheck disable=SC2086
$as_root apt-get install -y -q --no-install-recommends $missing >&2
