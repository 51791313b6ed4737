#!/bin/sh
# The types and signatures of the headers against the stored ones, by abidiff. From ABI 1 on a
# change that is not an addition fails; before, it is told. diff.sh SOURCE ABI
set -eu
source=$(cd "$1" && pwd)
abi=$2
cd "$source/tests/abi"
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

# New functions break nothing; whatever else changed needs a person's judgement.
compare() {
  rc=0
  abidiff --no-corpus-path --no-added-syms "$1" "$2" >"$here/said" 2>&1 || rc=$?
  if grep -q 'incompatible format version' "$here/said"; then
    cat "$here/said"
    echo "SKIP: this abigail does not compare with the one that wrote $1; Debian 12's does"
    exit 77
  fi
  [ "$rc" -ge 4 ] || [ "$rc" -eq 0 ] || { cat "$here/said"; exit 1; }
  return "$rc"
}

# The check must see each kind of break, and let an addition pass.
sh stub.sh "$source" "$here/now.abi"
changed() {
  rm -rf "$here/t"
  mkdir -p "$here/t/examples"
  cp -r "$source/include" "$here/t"
  cp -r "$source/examples/ffi" "$here/t/examples"
  sed -i "$2" "$here/t/include/jem/$1"
  if cmp -s "$source/include/jem/$1" "$here/t/include/jem/$1"; then
    echo "diff.sh: nothing in $1 matches $2"
    exit 1
  fi
  sh stub.sh "$here/t" "$here/then.abi"
}
breaks() {
  changed "$1" "$2"
  if compare "$here/now.abi" "$here/then.abi"; then
    echo "diff.sh does not see a break: $2"
    exit 1
  fi
}
breaks context.h '/^JEM_API jem_status jem_context_threads/d'
breaks context.h 's/jem_context_threads(const jem_context \*context, int64_t/jem_context_threads(const jem_context *context, int32_t/'
breaks context.h 's/^\(JEM_API jem_status jem_context_threads(\)const jem_context \*context, \(.*\));/\1\2, const jem_context *context);/'
breaks status.h 's/^JEM_API int32_t jem_abi_version/JEM_API int64_t jem_abi_version/'
breaks context.h 's/^    int64_t level; .*/    int64_t level, other;/'
changed context.h 's/^JEM_API jem_status jem_context_threads/JEM_API jem_status jem_context_more(void);\n&/'
compare "$here/now.abi" "$here/then.abi" || { echo "diff.sh takes a new function for a break"; exit 1; }

if compare baseline.abi "$here/now.abi"; then
  echo "compatible with baseline.abi"
elif [ "$abi" -eq 0 ]; then
  cat "$here/said"
  echo "differs from baseline.abi, as it may before ABI 1"
else
  cat "$here/said"
  echo "a program built with the old headers may break: docs/abi.md"
  exit 1
fi
