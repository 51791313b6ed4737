#!/bin/sh
# Writes what the ABI tests compare with, from the headers as they are: the list of
# functions (symbols.txt) and the types (baseline.abi, by abidw). docs/abi.md says when.
set -eu
cd "$(dirname "$0")"
sh stub.sh ../.. baseline.abi
sed -n "s/.*<elf-symbol name='\(jem_[a-z0-9_]*\)'.*/\1/p" baseline.abi | sort -u >symbols.txt
echo "$(wc -l <symbols.txt) functions in symbols.txt and baseline.abi"
