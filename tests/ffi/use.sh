#!/bin/sh
# A program in another language does what it should, to the same numbers as in C++.
# use.sh COMMAND...
set -eu
said=$(mktemp)
trap 'rm -f "$said"' EXIT
"$@" >"$said" 2>&1 || { cat "$said"; exit 1; }
cat "$said"
for line in 'accuracy 1.00' 'energy of digits -0.12' '^samples' 'step 0: loss 0.0171' \
  'step 1: loss 0.0238' 'trainer: stopped after step 2' \
  'JEM_ERROR_ARGUMENT: jem_model_logits: image 0 got values .*255, expected about -1..1'; do
  grep -q "$line" "$said" || { echo "missing: $line"; exit 1; }
done
