#!/bin/sh
# Fetches koffi into a folder of its own, then runs. node.sh USE NODE PROGRAM ARGUMENTS...
set -eu
use=$1
shift
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
(cd "$here" && npm install --no-audit --no-fund koffi@3 >log 2>&1) || { cat "$here/log"; exit 1; }
NODE_PATH="$here/node_modules" "$use" "$@"
