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
# A run is validated at its last step, too: it ends where the longer one is validated anyway.
works 'model_ema' "$jem" train --data $data $tiny $all --iterations 4 --output parts
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

# ---- settings that another one makes void; a preset's own may be ----
# no_effect SETTING OPTION...: refused, with those options that make it void
no_effect()
{
    with=$1
    setting=$2
    shift 2
    fails 2 "^jem: ${setting%%=*} has no effect with $with\$" "$jem" train --data $data --iterations 1 \
        --output other5 --$setting "$@"
}
for setting in model.depth=16 model.widen_factor=2 model.norm=batch model.activation=silu model.dropout=0.1; do
    no_effect model.architecture=network $setting --preset mnist
done
no_effect model.architecture=wide_resnet model.network=x --preset glyphs
for setting in optimizer.momentum=0.5 optimizer.nesterov=1; do no_effect optimizer.name=adam $setting; done
for setting in optimizer.beta1=0 optimizer.beta2=0.9 optimizer.epsilon=1e-7; do
    no_effect optimizer.name=sgd $setting --preset jempp
done
no_effect optimizer.sam_rho=0 optimizer.sam_adaptive=1
for setting in trainer.decay_at=3 trainer.decay=0.5; do
    no_effect trainer.schedule=cosine $setting --preset glyphs --trainer.schedule=cosine
done
no_effect trainer.schedule=step trainer.rate_end=0.1
for setting in trainer.snapshot_every=5 trainer.response_rate=1 trainer.response_penalty=0 \
    trainer.response_steps=2; do
    no_effect trainer.retries=0 $setting --retries 0
done
for setting in sampler.start_images=9 sampler.start_rank=2; do no_effect sampler.start=uniform $setting; done
for setting in sampler.buffer=9 sampler.restart=0.1 sampler.start_rank=2 trainer.energy_penalty=0.1 \
    trainer.gap_limit=5; do
    no_effect 'trainer.px=0 and trainer.pxy=0' $setting --preset mnist --trainer.px=0
done
for setting in trainer.px_batch=9 trainer.px_augment=1; do
    no_effect trainer.px=0 $setting --preset mnist --trainer.px=0 --trainer.pxy=1
done
for setting in trainer.validate_every=5 trainer.best=nll; do no_effect trainer.validation=0 $setting; done
no_effect 'trainer.guard_energy=0 and .* and trainer.guard_distance=0' trainer.guard_patience=2
no_effect trainer.decay_at= trainer.decay=0.5
no_effect sampler.clamp=0 sampler.noise_after_clamp=1
for settings in '' '--preset mnist' '--model.norm=layer'; do
    fails 2 'norm_momentum has no effect without batch norm' "$jem" train --data $data --iterations 1 \
        --output other5 $settings --model.norm_momentum=0.5
done
[ -e other5/metrics.jsonl ] && bad "trained although a setting is void"
fails 2 'trainer.rate_end has no effect with trainer.schedule=step$' "$jem" train --data $data --iterations 9 \
    --output tuned --resume --trainer.rate_end=0.1
# A classifier: chains are none in training, and the 0 that says so may be given.
works 'accuracy' "$jem" train --data $data --preset jem --output plain --sampler.steps=2 --set loader.batch=8 \
    trainer.energy_penalty=0 trainer.retries=0 trainer.px_batch=0 model.architecture=network \
    'model.network=convolution 0 a 4 3 2 1; norm 1 b batch; silu 2; linear 3 c 8' model.norm_momentum=0.5 \
    trainer.decay_at="$(seq -s , 400)" trainer.warmup=0 trainer.px=0 --iterations 1
works 'training.*trainer.decay_at=1,2,.*,399,400$' "$jem" info plain/model.safetensors # whole

# ---- without chains there is no buffer to show ----
works 'accuracy' "$jem" train --data $data --loader.batch=8 --sampler.steps=2 --trainer.px=0 --sample-every 1 \
    --iterations 2 --output chainless
grep -q 'no picture' err && bad "a picture was tried: $(cat err)"
ls chainless | grep -q samples- && bad "a picture of a buffer that nothing fills"

# ---- the report's sets: told before training, each once ----
fails 1 'lettres' "$jem" train --data $data $tiny --iterations 1 --ood lettres --output sets
[ -e sets/metrics.jsonl ] && bad "trained although --ood is wrong"
fails 1 'are of 27 classes, the training data of 10' "$jem" train --data $data $tiny --iterations 1 \
    --test letters:size=12,limit=40 --output sets --overwrite
fails 1 'holds one test image, expected two or more' "$jem" train --data $data $tiny --iterations 1 \
    --test glyphs:size=12,limit=1 --output sets --overwrite
[ -e sets/metrics.jsonl ] && bad "trained although --test is wrong"
works 'AUROC' "$jem" train --data $data $tiny --iterations 1 --ood interpolations --output sets --overwrite
[ "$(grep -c '"interpolations"' sets/summary.json)" = 2 ] || bad "summary.json: $(cat sets/summary.json)"
works 'between checkpoints, whatever they cost' "$jem" train --help
fails 2 'excludes --preset' "$jem" train --data $data --resume --preset mnist --output sets
works 'bins' "$jem" help eval calibration

end
