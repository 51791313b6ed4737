#!/bin/sh
# Measuring and deciding as a user does it: test_evaluation.sh PATH/TO/jem MODEL
jem=$1
shipped=$2
. "$(dirname "$0")/common.sh"

# number NAME: the first number of that name in the JSON printed last
number()
{
    grep -o "\"$1\": *[-0-9.e+]*" out | head -1 | sed 's/.*: *//'
}

# holds EXPRESSION: of awk
holds()
{
    LC_ALL=C awk "BEGIN { exit !($1) }" || bad "$1 does not hold: $2"
}

set -- --model "$shipped" --data glyphs --limit 20

# ---- scores ----
for score in log_px max_softmax max_logit neg_entropy mass refine_log_px refine_distance \
    refine_mass; do
    steps=
    case $score in refine_*) steps=--sampler.steps=2 ;; esac
    works '"auroc": [01]' "$jem" eval ood "$@" --ood uniform --score $score --json $steps
    grep -q "\"score\": \"$score\"" out || bad "score $score: $(cat out)"
done
works '"auroc"' "$jem" eval ood "$@" --ood letters:limit=20 --score refine_log_px --as-trained \
    --sampler.steps=3 --json
cp out trained
works '"auroc"' "$jem" eval ood "$@" --ood letters:limit=20 --score refine_log_px --sampler.steps=3 \
    --json
cmp -s out trained && bad "--as-trained changes nothing"
# Names are read before anything is scored.
for names in refine mass,foo ,mass ''; do
    fails 2 'score: got .*refine_distance.* or all' "$jem" eval ood "$@" --ood nowhere --score "$names"
done
for void in --sampler.steps=3 --as-trained; do
    for what in ood roc histograms; do
        fails 2 'has no effect with the score mass,log_px: refine_log_px' "$jem" eval $what "$@" --ood uniform \
            --score mass,log_px $void
    done
    fails 2 'has no effect with the score log_px' "$jem" calibrate "$@" $void --output v.safetensors
done
for key in temperature threshold images; do
    fails 2 "decides calibration.$key itself" "$jem" calibrate "$@" --calibration.$key=3 --output v.safetensors
done
[ -e v.safetensors ] && bad "calibrated with a void setting"
for key in mode restart start start_rank buffer; do
    fails 2 "decides sampler.$key itself, or does without" "$jem" eval refine "$@" --sampler.$key=1
done
fails 2 'noise_after_clamp has no effect with sampler.clamp=0' "$jem" eval refine "$@" --sampler.noise_after_clamp=1

# ---- calibrate, and decide ----
works '"temperature": 0\.' "$jem" calibrate --model "$shipped" --data glyphs:seed=3,limit=200 --split test \
    --accept 0.9 --output m.safetensors
holds "$(number nll_calibrated) < $(number nll)" 'a temperature that helps'
works 'calibration.accept=0.9' "$jem" info m.safetensors
works '' "$jem" sample --model m.safetensors --count 3 --steps 0 --output noise.npy
works '"accepted": false' "$jem" score --model m.safetensors --input noise.npy --json
works '"log_px"' "$jem" score --model "$shipped" --input noise.npy --json
works '"images": 60' "$jem" calibrate --model m.safetensors --data glyphs:seed=2,limit=60 \
    --score refine_distance --sampler.steps=2 --json
works 'sampler.steps=2' "$jem" info m.safetensors
fails 2 "calibration.score.*got 'best'" "$jem" calibrate --model m.safetensors --data glyphs --score best
fails 2 'data is missing' "$jem" calibrate --model m.safetensors
fails 1 'no/where' "$jem" calibrate --model m.safetensors --data idx:no/where
fails 1 'none/m.safetensors' "$jem" calibrate --model m.safetensors --data glyphs:limit=60 \
    --output none/m.safetensors
works 'Usage: jem calibrate' "$jem" help calibrate

# ---- the other measures ----
for name in accuracy calibration temperature ood roc histograms attack distance refine frechet \
    inception; do
    works "Usage: jem eval $name" "$jem" eval $name --help
    grep -q "^  $name " help.txt 2>/dev/null || "$jem" eval --help >help.txt
    grep -q "^  $name " help.txt || bad "eval --help without $name"
done
fails 2 'did you mean attack' "$jem" eval atack "$@"
fails 2 'first argument' "$jem" eval --model "$shipped"
works '"temperature": 0\.' "$jem" eval temperature --model "$shipped" --data glyphs:seed=3,limit=200 \
    --picture t.pdf --json
fails 1 'classified rightly' "$jem" eval temperature "$@"
works '"points": \[\[0, 0\]' "$jem" eval roc "$@" --ood letters:limit=20 --score log_px,mass \
    --picture roc.png --json
grep -q '\[1, 1\]\]' out || bad "the curve does not end at (1,1): $(tail -c 100 out)"
[ "$(grep -o '"score"' out | wc -l)" = 2 ] || bad "not two curves"
fails 2 'at most 4' "$jem" eval roc "$@" --ood uniform --score \
    log_px,mass,max_logit,max_softmax,neg_entropy --picture roc.png
works '"ood_counts": \[' "$jem" eval histograms "$@" --ood uniform --bins 7 --picture h.svg
counts=$(grep in_counts out | tr -dc '0-9 ' | tr -s ' ' '\n' | grep -c .)
[ "$counts" = 7 ] || bad "not 7 bins: $(cat out)"

works '"eps": 0, "accuracy": 1' "$jem" eval attack "$@" --limit 8 --eps 0,64/255,1 --steps 5 \
    --picture a.png --output a.npy
grep -q '"eps": 0.25098' out || bad "no fraction: $(cat out)"
holds "$(grep '"eps": 1' out | sed 's/.*accuracy": \([0-9.]*\).*/\1/') < 0.5" "an attack that works"
head -c 80 a.npy | grep -aq '(8, 1, 28, 28)' || bad "shape of attacked images"
works '"refined": true' "$jem" eval attack "$@" --limit 2 --eps 0.1 --norm l2 --refined --copies 2 --copy-noise 0.1 \
    --sampler.steps=1 --steps 2 --json
for void in --copies=2 --refine.noise=0.1 --sampler.steps=3 --as-trained; do
    for what in attack distance; do
        fails 2 'has no effect with attack.refined=0' "$jem" eval $what "$@" --limit 2 --eps 0.1 $void
    done
done
fails 2 'decides attack.bisections itself' "$jem" eval attack "$@" --eps 0.1 --attack.bisections=3
# One run without random starts, whatever the restarts: the picture says so, too.
for runs in 1 3; do
    works '"restarts": 1,' "$jem" eval attack "$@" --limit 2 --eps 0.1 --steps 1 --attack.random_start=0 \
        --restarts $runs --picture runs$runs.svg --json
done
same runs1.svg runs3.svg
works '"median": [0-9]' "$jem" eval distance "$@" --limit 8 --eps 1.5 --steps 6 --bisections 3 \
    --picture d.png --output d.png
works '"accuracy_refined": [01]' "$jem" eval refine "$@" --as-trained --steps 2 --copies 2 \
    --copy-noise 0.1 --picture r.png
grep -q '"sampler.steps": 2' out || bad "--steps does not go over --as-trained"
for eps in '' 0.1, -1 nan 1/0 0.1x; do
    fails 2 "eps: got" "$jem" eval attack "$@" "--eps=$eps"
done
fails 2 'up to 32 numbers' "$jem" eval attack "$@" --eps "$(seq -s, 33)"
fails 2 'picture: got .*q.jpg' "$jem" eval attack "$@" --eps 0.1 --picture q.jpg
fails 2 'bins: got 0' "$jem" eval histograms "$@" --ood uniform --bins 0
fails 2 'ends in .npy or .png' "$jem" eval attack "$@" --eps 0.1 --output a.gif
fails 2 'eps is missing' "$jem" eval distance "$@"
fails 2 "got 'l1'" "$jem" eval attack "$@" --eps 0.1 --norm l1

works '"frechet": 0$' "$jem" eval frechet "$@" --samples glyphs
works '' "$jem" sample --model "$shipped" --count 12 --steps 1 --output x.npy
works '"features": 64' "$jem" eval frechet "$@" --samples x.npy
holds "$(number frechet) > 0.1" "noise is far from digits"
works '"inception": [1-9]' "$jem" eval inception --model "$shipped" --samples x.npy --parts 3
works '"parts": 10' "$jem" eval inception --model "$shipped" --samples glyphs:limit=40
holds "$(number inception) > 2" "digits are of many classes"
fails 2 'one of --samples and --features' "$jem" eval frechet "$@"
fails 2 'one of --data and --reference' "$jem" eval frechet --model "$shipped" --samples x.npy
fails 2 'model is missing' "$jem" eval frechet --data glyphs --samples x.npy
fails 1 'expected float32 \[n,d\]' "$jem" eval frechet --features x.npy --reference x.npy
no_model='has no effect with --'
fails 2 "model $no_model" "$jem" eval frechet --model "$shipped" --features x.npy --reference x.npy
fails 2 "dataset.limit $no_model" "$jem" eval frechet --features x.npy --reference x.npy --limit 3
fails 2 "model.precision $no_model" "$jem" eval inception --probabilities x.npy --precision f32
fails 2 'dataset.limit has no effect without a SOURCE' "$jem" eval inception --model "$shipped" --samples x.npy --limit 3
fails 1 '13 parts' "$jem" eval inception --model "$shipped" --samples x.npy --parts 13
for file in t.pdf roc.png h.svg a.png d.png r.png; do
    [ -s $file ] || bad "no $file"
done

# ---- settings that a command does not read ----
fails 2 'reads no sampler.steps' "$jem" eval accuracy "$@" --sampler.steps=3
works '"accuracy"' "$jem" eval accuracy "$@" --model.precision=f32
fails 2 "unknown key 'modl.precision'" "$jem" eval accuracy "$@" --modl.precision=f32

# ---- what training held out ----
"$jem" train --data glyphs:size=12,limit=60 --iterations 30 --set sampler.steps=1 loader.batch=16 \
    sampler.clamp=1 trainer.px=0 optimizer.rate=5e-3 trainer.validation=20 trainer.validate_every=30 trainer.seed=5 loader.seed=0 --output run >out 2>err || bad "train: $(cat err)"
works '"images": 20' "$jem" calibrate --model run/model.safetensors --data glyphs:size=12,limit=60 \
    --held-out
# The same images: with no temperature fitted yet, the likelihood that training measured.
tail -n 1 run/metrics.jsonl | python3 -c 'import json, sys; print(json.load(sys.stdin)["valid_nll"])' >want
holds "($(number nll) - $(cat want)) ^ 2 < 1e-10" "validation measured $(cat want)"
works '"images": 60' "$jem" calibrate --model run/model.safetensors --data glyphs:size=12,limit=60
grep -q 'held-out takes the 20' err || bad "no word on training images: $(cat err)"
fails 1 'held out 20 of 60 images, but glyphs:size=12,limit=45 has 45' "$jem" calibrate \
    --model run/model.safetensors --data glyphs:size=12,limit=45 --held-out
fails 1 'trained with trainer.validation=N' "$jem" calibrate --model m.safetensors --data glyphs:limit=60 \
    --held-out
fails 2 'got the split test, expected train' "$jem" calibrate --model run/model.safetensors \
    --data glyphs:size=12,limit=60 --held-out --split test
fails 2 'got the split test, expected train' "$jem" calibrate --model run/model.safetensors \
    --data glyphs:size=12,split=test,limit=60 --held-out
works '"images": 60' "$jem" calibrate --model run/model.safetensors --data glyphs:size=12,limit=60,split=test
grep -q 'as many images' err && bad "test images are taken for those of training: $(cat err)"

# A run without validation held none out, and says so.
"$jem" train --data glyphs:size=12,limit=60 --iterations 30 --set sampler.steps=1 loader.batch=16 \
    trainer.px=0 optimizer.rate=5e-3 --output all >out 2>err || bad "train: $(cat err)"
works '^  held_out *0 of 60 images, seed 0' "$jem" info all/model.safetensors
works '"images": 60' "$jem" calibrate --model all/model.safetensors --data glyphs:size=12,limit=60
grep -q '^warning: .*as many images as all/model.safetensors was trained on.*--split test' err ||
    bad "no word on training images: $(cat err)"
fails 1 'trained with trainer.validation=N' "$jem" calibrate --model all/model.safetensors \
    --data glyphs:size=12,limit=60 --held-out

end
