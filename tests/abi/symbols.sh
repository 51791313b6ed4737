#!/bin/sh
# What the library's files say about it: libjem.so exports what the headers declare, no
# more and no less, and what symbols.txt lists; its own objects neither print nor end the
# process, catch no signal, and run nothing when they are loaded.
# symbols.sh LIBRARY ARCHIVE SOURCE ABI
set -eu
library=$1
archive=$2
source=$3
abi=$4
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

nm -D --defined-only "$library" | sed -n 's/.* T \([a-z0-9_]*\).*/\1/p' | sort >"$here/exported"
# Declarations span lines; the preprocessor's are not declarations.
cat "$source"/include/jem/*.h | grep -v '^#' | tr '\n' ' ' |
  grep -o 'JEM_API [^;(]*(' | sed 's/(.*//; s/.*[ *]//' | sort -u >"$here/declared"
[ "$(wc -l <"$here/declared")" -gt 60 ] || { echo "cannot read the headers"; exit 1; }
diff "$here/declared" "$here/exported" || { echo "declared (<) and exported (>) differ"; exit 1; }
nm -D --defined-only "$library" | grep -v ' [TA] ' && { echo "exports data"; exit 1; }
if readelf -V "$library" | grep -o 'JEM_[0-9]*' | grep -v "^JEM_$abi\$"; then
  echo "symbols of another version than JEM_$abi"
  exit 1
fi
readelf -d "$library" | grep -q "SONAME.*libjem\.so\.$abi\]" || { echo "the soname is not $abi"; exit 1; }

# A function that was listed may not go; from ABI 1 on a new one must be listed, too.
sort "$source/tests/abi/symbols.txt" >"$here/listed"
comm -23 "$here/listed" "$here/exported" | sed 's/^/gone: /' >"$here/gone"
comm -13 "$here/listed" "$here/exported" | sed 's/^/not listed: /' >"$here/new"
cat "$here/gone" "$here/new"
if [ -s "$here/gone" ] || { [ "$abi" -gt 0 ] && [ -s "$here/new" ]; }; then
  echo "symbols.txt differs: if that is meant, sh tests/abi/update.sh"
  exit 1
fi

# Of the objects themselves, so that another library's calls do not count.
nm --undefined-only "$archive" 2>/dev/null | sed -n 's/.* U //p' | sed 's/@.*//' | sort -u >"$here/calls"
for name in abort exit _exit quick_exit printf vprintf puts fprintf vfprintf putchar fputs perror \
  __assert_fail __printf_chk __fprintf_chk __vfprintf_chk stdout stderr signal sigaction bsd_signal \
  setlocale sched_setaffinity pthread_setaffinity_np fesetround fesetenv feenableexcept \
  omp_set_dynamic omp_set_nested setenv putenv srand rand system popen; do
  if grep -qx "$name" "$here/calls"; then
    echo "libjem calls $name"
    exit 1
  fi
done
if objdump -h "$archive" | grep -E '\.(init_array|fini_array|ctors|dtors|preinit_array)'; then
  echo "libjem has constructors"
  exit 1
fi
grep -qx malloc "$here/calls" && { echo "libjem calls malloc outside lib/base/memory.c"; exit 1; }
grep -qx posix_memalign "$here/calls" || { echo "cannot read the archive"; exit 1; }
echo "$(wc -l <"$here/exported") functions exported, all declared"
