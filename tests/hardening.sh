#!/bin/sh
# A library or a program is built as docs/security.md says. Usage: hardening.sh FILE
set -eu
lib="$1"
failed=0
has() {
  if printf '%s\n' "$2" | grep -q "$3"; then echo "$1: yes"; else
    echo "FAIL: $1: no"
    failed=1
  fi
}
lacks() {
  if printf '%s\n' "$2" | grep -q "$3"; then
    echo "FAIL: $1"
    failed=1
  else echo "no $1: yes"; fi
}
dynamic=$(readelf -d "$lib")
segments=$(readelf -lW "$lib")
symbols=$(readelf --dyn-syms -W "$lib")
has 'relocations read-only after start (RELRO)' "$segments" GNU_RELRO
has 'all of them at start (BIND_NOW)' "$dynamic" 'BIND_NOW\|Flags:.*NOW'
has 'stack protector' "$symbols" __stack_chk_fail
has 'fortified calls of libc' "$symbols" '__[a-z]*printf_chk\|__mem[a-z]*_chk'
lacks 'executable stack' "$(printf '%s\n' "$segments" | grep GNU_STACK)" 'RWE'
lacks 'writable code' "$(printf '%s\n' "$segments" | grep LOAD)" 'RWE'
lacks 'relocations in code (TEXTREL)' "$dynamic" TEXTREL
exit $failed
