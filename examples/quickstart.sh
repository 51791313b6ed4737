#!/bin/sh
# From nothing to a trained joint energy model: installs what is missing, builds,
# trains on the built-in digits, measures, draws. Arguments go to meson setup.
# Re-runnable; a run that was interrupted goes on.
set -eu
cd "$(dirname "$0")/.."
build="${BUILD:-build}"
run="${RUN:-runs/glyphs}"

sh examples/install-deps.sh
# Without the tests, which need more packages; tests/run.sh turns them on in the same folder.
[ -f "$build/build.ninja" ] || meson setup "$build" -Dtests=false -Dbench=false "$@"
ninja -C "$build"
jem="$build/examples/cli/jem"

if [ -f "$run/summary.json" ]; then
  echo "$run holds a finished run: measuring it again (remove the folder to train anew)"
elif [ -f "$run/checkpoint.safetensors" ]; then
  "$jem" train --data glyphs --ood letters --output "$run" --resume
else
  "$jem" train --preset glyphs --data glyphs --ood letters --output "$run"
fi

model="$run/model.safetensors"
echo
# number NAME: the first number of that name in JSON.
number() { grep -o "\"$1\": *[-0-9.e+]*" | head -1 | sed 's/.*: *//'; }
calibration=$("$jem" eval calibration --model "$model" --data glyphs --json)
echo "2000 test digits: accuracy $(echo "$calibration" | number accuracy), ECE $(echo "$calibration" | number ece)"
for ood in letters interpolations uniform; do
  for score in log_px mass; do
    printf 'AUROC of %s, digits against %s: ' "$score" "$ood"
    "$jem" eval ood --model "$model" --data glyphs --ood "$ood" --score "$score" --json | number auroc
  done
done
calibrated=$("$jem" calibrate --model "$model" --data glyphs:seed=1 --limit 2000 --json)
echo "Calibrated on 2000 other digits: temperature $(echo "$calibrated" | number temperature), ECE $(echo "$calibrated" |
  number ece_calibrated) in place of $(echo "$calibrated" | number ece); accepts 95 % of them"
echo
echo "Pictures in $run:"
echo "  samples.png      chains from uniform noise, a class a row"
echo "  scores.png       log p(x) of digits, letters, interpolations, noise"
echo "  reliability.png  confidence against accuracy"
echo "  curves.png       the training"
