#!/bin/sh
# What a training run leaves beside its model, and what it can begin with: test_training.sh PATH/TO/jem
jem=$1
. "$(dirname "$0")/common.sh"

data=glyphs:size=12,limit=120
tiny="--set loader.batch=8 sampler.buffer=20 sampler.steps=2 sampler.clamp=1 optimizer.rate=1e-3"
all="trainer.ema=0.9 trainer.validation=40 trainer.validate_every=2 trainer.labels_per_class=3
    trainer.pxy=0.3 optimizer.sam_rho=0.05 trainer.schedule=step"

# ---- averages and the best model, broken and unbroken ----
works 'model_ema.safetensors on 120 test images' "$jem" train --data $data $tiny $all --log-every 1 \
    --iterations 6 --output whole
for file in model.safetensors model_ema.safetensors best.safetensors; do
    works 'parameters' "$jem" info whole/$file
done
cmp -s whole/model.safetensors whole/model_ema.safetensors && bad "the average is the model"
grep -q '"model": "model_ema.safetensors"' whole/summary.json || bad "summary.json: which model?"
grep -q '"best_in_validation"' whole/summary.json || bad "summary.json: no validation"
grep -q '"step": 6,.*"valid_step": 6,.*"best_nll": [0-9]' whole/metrics.jsonl ||
    bad "metrics.jsonl: $(tail -1 whole/metrics.jsonl)"
works 'model_ema' "$jem" train --data $data $tiny $all --iterations 3 --output parts
works 'model_ema' "$jem" train --data $data --iterations 6 --output parts --resume --threads 1
for file in model.safetensors model_ema.safetensors best.safetensors; do
    same whole/$file parts/$file
done

# ---- beginning with a model; a plain run leaves neither of the two ----
works 'model.safetensors on' "$jem" train --data $data $tiny --init whole/best.safetensors --iterations 2 \
    --set optimizer.head_only=1 --output tuned
[ -e tuned/model_ema.safetensors ] && bad "an average without trainer.ema"
[ -e tuned/best.safetensors ] && bad "a best model without trainer.validation"
works 'accuracy' "$jem" train --data letters:size=12,limit=120 $tiny --init whole/best.safetensors \
    --iterations 1 --output letters
grep -q 'class_output.weight: not in the model to begin with' err || bad "letters: $(cat err)"
fails 2 'decides dataset.split itself' "$jem" train --data $data $tiny --dataset.split=test --output other
fails 2 'decides model.classes itself' "$jem" train --data $data $tiny --set model.classes=3 --output other
fails 2 'checkpoint-seconds: got -5' "$jem" train --data $data $tiny --checkpoint-seconds -5 --output other
fails 1 'none.safetensors' "$jem" train --data $data $tiny --init none.safetensors --output other
fails 1 'is of class' "$jem" train --data glyphs:size=12,limit=5 $tiny --output other2
fails 1 'trainer.labels_per_class.*images' "$jem" train --data $data $tiny \
    --set trainer.labels_per_class=1000 --output other3
fails 1 'fewer than the 120' "$jem" train --data $data $tiny --set trainer.validation=120 --output other4

# ---- the report's sets: told before training, each once ----
fails 1 'lettres' "$jem" train --data $data $tiny --iterations 1 --ood lettres --output sets
[ -e sets/metrics.jsonl ] && bad "trained although --ood is wrong"
works 'AUROC' "$jem" train --data $data $tiny --iterations 1 --ood interpolations --output sets --overwrite
[ "$(grep -c '"interpolations"' sets/summary.json)" = 2 ] || bad "summary.json: $(cat sets/summary.json)"
fails 2 'excludes --preset' "$jem" train --data $data --resume --preset mnist --output sets
works 'bins' "$jem" help eval calibration

end
