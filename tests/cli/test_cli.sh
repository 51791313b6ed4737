#!/bin/sh
# The jem command as a user runs it: test_cli.sh PATH/TO/jem
jem=$1
page=$(cd "$(dirname "$0")/../../examples/cli" && pwd)/jem.1
. "$(dirname "$0")/common.sh"

# ---- help ----
works '^jem [0-9]' "$jem" --version
works 'Usage: jem COMMAND' "$jem" help
works 'sampler.steps' "$jem" help settings
works 'optimizer.rate' "$jem" help settings optimizer
for command in train eval score sample starts report info; do
    works "Usage: jem $command" "$jem" $command --help
    works "Usage: jem $command" "$jem" help $command
done
fails 2 "did you mean 'sample'" "$jem" smaple
fails 2 'did you mean --steps' "$jem" sample --stpes 3
fails 2 '--model is missing' "$jem" score --input x.npy
fails 2 'needs a value' "$jem" score --input
fails 2 "nearest is 'sampler.steps'" "$jem" train --data glyphs --output none --set sampler.step=3
fails 2 'sampler.noise.*expected 0' "$jem" train --data glyphs --output none --sampler.noise=-1
fails 2 'expected key=value' "$jem" train --data glyphs --output none --set sampler.noise
rm -rf none

# ---- numbers that examples/quickstart.sh tells ----
eval "$(grep '^number()' "$(dirname "$page")/../quickstart.sh")"
[ "$(echo '{"ece": 9.5e-05, "nll": -1}' | number ece)" = 9.5e-05 ] || bad "quickstart.sh: a number without its exponent"

# ---- the man page has every option, in the command's section or among those of several ----
# described COMMAND SECTION
described()
{
    sed -n "/^\\.SS $2\$/,/^\\.S[SH] /p; /^\\.SS Options of several/,/^\\.S[SH] /p" "$page" |
        sed 's/\\-/-/g' | grep -oe '--[a-z][a-z-]*' >there
    "$jem" $1 --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p' >options
    [ -s options ] || bad "no options of jem $1"
    grep -vxFf there options >lacking && bad "man page: jem $1 without" $(cat lacking)
}
for command in train calibrate score sample starts report pack info; do
    described $command "jem $command"
done
for measure in $("$jem" eval --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    described "eval $measure" 'jem eval'
done

# ---- training: broken and unbroken runs give the same model ----
data=glyphs:size=12,limit=60
tiny="--sampler.steps=2 --set loader.batch=8 sampler.buffer=20 optimizer.rate=1e-3 --log-every 1"
works 'summary.json' "$jem" train --data $data $tiny --iterations 6 --ood letters:limit=40 \
    --sample-every 5 --output whole
for file in curves.png reliability.png scores.png samples.png samples-000005.png summary.json \
    checkpoint.safetensors model.safetensors; do
    [ -s whole/$file ] || bad "no whole/$file"
done
[ "$(grep -c . whole/metrics.jsonl)" = 6 ] || bad "whole/metrics.jsonl: $(grep -c . whole/metrics.jsonl) lines"
grep -q '"auroc": [01]' whole/summary.json || bad "no AUROC in summary.json"
grep -q '[0-9],[0-9]' whole/summary.json && bad "a comma in a number of summary.json"

works 'accuracy' "$jem" train --data $data $tiny --iterations 3 --ood letters:limit=40 --output parts
fails 1 'holds a run' "$jem" train --data $data $tiny --output parts
printf '{"step": 4, "loss": 1}\n{"step": 5, "lo' >>parts/metrics.jsonl
works 'accuracy' "$jem" train --data $data --log-every 1 --iterations 6 --ood letters:limit=40 \
    --output parts --resume --threads 1
same whole/model.safetensors parts/model.safetensors
same whole/summary.json parts/summary.json
steps=$(sed 's/.*"step": \([0-9]*\).*/\1/' parts/metrics.jsonl | tr '\n' ' ')
[ "$steps" = "1 2 3 4 5 6 " ] || bad "steps in parts/metrics.jsonl: $steps"

# ---- Ctrl-C ----
for signal in INT TERM; do
    # A shell has SIGINT ignored in what it runs in its background.
    env --default-signal=INT "$jem" train --data $data $tiny --iterations 1000000 --output stopped --overwrite 2>err >out &
    process=$!
    tries=0
    while ! [ -s stopped/metrics.jsonl ] && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -$signal $process
    wait $process
    code=$?
    [ $code = 130 ] || bad "SIG$signal gave $code: $(cat err)"
    grep -q -- '--output stopped --resume' err || bad "SIG$signal: does not say how to resume"
    last=$(tail -1 stopped/metrics.jsonl | sed 's/.*"step": \([0-9]*\).*/\1/')
    works 'accuracy' "$jem" train --data $data --log-every 1 --iterations $((last + 1)) \
        --output stopped --resume
    [ "$(sed 's/.*"step": \([0-9]*\).*/\1/' stopped/metrics.jsonl | sort | uniq -d | wc -l)" = 0 ] ||
        bad "a step twice after SIG$signal"
    mv stopped/metrics.jsonl stopped/metrics-$signal.jsonl
done

# ---- a run that diverges keeps the step before ----
fails 1 'is kept in away/checkpoint' "$jem" train --data $data $tiny --iterations 50 \
    --trainer.gap_limit=1e-7 --output away
[ -s away/checkpoint.safetensors ] || bad "no away/checkpoint.safetensors"
works '^input' "$jem" info away/model.safetensors

# ---- info ----
model=whole/model.safetensors
works '^input *1x12x12' "$jem" info $model
works '^classes *10:' "$jem" info $model
works 'training.*sampler.steps=2' "$jem" info $model
works '"height": 12' "$jem" info $model --json
fails 1 'none.safetensors' "$jem" info none.safetensors
fails 1 'test.png\|not a safetensors' "$jem" info whole/curves.png
fails 2 'MODEL is missing' "$jem" info

# ---- sample ----
works '' "$jem" sample --model $model --count 3 --steps 0 --step-size 1 --noise 0 --seed 5 --output x.npy
works '' "$jem" sample --model $model --start x.npy --steps 4 --step-size 1 --noise 0.01 --clamp \
    --gradient-clamp 1 --noise-after-clamp --seed 2 --threads 2 --output a.npy
works '' "$jem" sample --model $model --start x.npy --sampler.steps=4 --set sampler.step_size=1 \
    sampler.noise=0.01 --clamp --gradient-clamp 1 --noise-after-clamp --seed 2 --threads 1 \
    --output b.npy
same a.npy b.npy
labels y.npy 1 4 7
works '' "$jem" sample --model $model --start x.npy --labels y.npy --steps 4 --step-size 1 \
    --noise 0.01 --output c.npy
cmp -s a.npy c.npy && bad "labels and clamps change nothing"
works '' "$jem" sample --model $model --start-from uniform --count 5 --steps 1 --output grid.png
head -c 4 grid.png | grep -q PNG || bad "grid.png is no PNG"
works '' "$jem" sample --model $model --per-class 2 --as-trained --steps 1 --output classes.png
fails 2 'excludes' "$jem" sample --model $model --per-class 2 --count 3 --steps 1 --output classes.png
fails 2 'ends in .npy, .png' "$jem" sample --model $model --steps 1 --output grid.gif
fails 2 'expected uniform or gaussian' "$jem" sample --model $model --start-from data --steps 1 --output g.png
fails 1 'expected int64 or int32 \[3\]' "$jem" sample --model $model --start x.npy --labels x.npy \
    --steps 1 --output d.npy
fails 2 '3 images' "$jem" sample --model $model --start x.npy --count 4 --steps 1 --output d.npy
[ -e d.npy ] && bad "d.npy after a failure"

# ---- score ----
works '"log_px": -*[0-9]*\.[0-9]' "$jem" score --model $model --input x.npy
[ "$(grep -c '"probability": 0\.' out)" = 3 ] || bad "score: not three images"
works '"label": 7' "$jem" score --model $model --input x.npy --labels y.npy --json
[ "$(grep -c . out)" = 1 ] || bad "score --json: more than one line"
works '' "$jem" score --model $model --input x.npy --logits l.npy --energy e.npy --gradient g.npy
works '' "$jem" score --model $model --input x.npy --labels y.npy --energy ey.npy --gradient gy.npy
head -c 80 l.npy | grep -aq '(3, 10)' || bad "shape of logits"
head -c 80 e.npy | grep -aq '(3,)' || bad "shape of energies"
head -c 80 g.npy | grep -aq '(3, 1, 12, 12)' || bad "shape of gradients"
cmp -s e.npy ey.npy && bad "E(x) and E(x,y) are the same"
cmp -s g.npy gy.npy && bad "their gradients are the same"
works '"log_px"' "$jem" score --model $model --input x.npy --precision bf16
fails 2 "got 'half', expected f32|bf16|auto" "$jem" score --model $model --input x.npy --precision half
fails 1 'y.npy: is int64 \[3\], expected float32 \[n,1,12,12\]' "$jem" score --model $model --input y.npy
fails 1 'x.npy: is float32' "$jem" score --model $model --input x.npy --labels x.npy
labels high.npy 1 2 12
fails 1 'label 2 is 12, expected 0..9' "$jem" score --model $model --input x.npy --labels high.npy
fails 2 'labels has no effect on --logits' "$jem" score --model $model --input x.npy --labels y.npy --logits v.npy
fails 2 'json has no effect with --logits' "$jem" score --model $model --input x.npy --energy v.npy --json
[ -e v.npy ] && bad "v.npy after a failure"
fails 1 'no.npy' "$jem" score --model $model --input no.npy
fails 1 'none/e.npy' "$jem" score --model $model --input x.npy --energy none/e.npy

# ---- eval ----
works '"accuracy": [01]' "$jem" eval accuracy --model $model --data $data
works '"ece": 0\.' "$jem" eval calibration --model $model --data $data --picture r.png
[ "$(grep -c '"low"' out)" = 20 ] || bad "not 20 bins"
for other in letters:limit=20 noise:limit=20 uniform constant interpolations; do
    works '"auroc": [01]' "$jem" eval ood --model $model --data $data --ood $other --score mass --json
done
works '"score": "log_px"' "$jem" eval ood --model $model --data $data --ood uniform --picture h.png
[ -s r.png ] && [ -s h.png ] || bad "no pictures of eval"
fails 2 "score: got 'best', expected log_px" "$jem" eval ood --model $model --data $data --ood uniform --score best
fails 2 'ood is missing' "$jem" eval ood --model $model --data $data
fails 2 'did you mean accuracy' "$jem" eval acuracy --model $model --data $data
fails 1 'no/where' "$jem" eval accuracy --model $model --data idx:no/where

# ---- folders and disks that refuse ----
fails 1 'x.npy' "$jem" train --data $data $tiny --iterations 1 --output x.npy/run
fails 1 'x.npy' "$jem" train --data $data $tiny --iterations 1 --output x.npy
fails 1 'there is no' "$jem" train --data $data --output nowhere --resume
[ -e nowhere ] && bad "--resume made a folder"
if [ "$(id -u)" != 0 ]; then
    mkdir locked && chmod 555 locked
    fails 1 'locked' "$jem" train --data $data $tiny --iterations 1 --output locked
fi
if [ -c /dev/full ]; then
    "$jem" info $model >/dev/full 2>err && bad "a full disk was not noticed"
    grep -q '^jem: cannot write' err || bad "a full disk: $(cat err)"
fi
# A log that may not grow: lines of no step, which stay, up to the limit on the size of files.
cp -r whole full
yes '{}' | head -c 3145728 >>full/metrics.jsonl
size=$(($(wc -c <full/metrics.jsonl) / 3072 * 3072))
head -c $size full/metrics.jsonl >log && mv log full/metrics.jsonl
(
    trap '' XFSZ
    ulimit -f $((size / 512))
    fails 1 'full/metrics.jsonl: cannot write: 2 lines are lost' "$jem" train --data $data --resume \
        --log-every 1 --iterations 8 --output full
    exit $failed
) || failed=1
# A file that may not grow stands for a full disk: the old model stays.
cp -r whole short
(
    trap '' XFSZ
    ulimit -f 8
    "$jem" train --data $data --resume --iterations 8 --output short >out 2>err
    [ $? = 1 ]
) || bad "no room for the model, but no failure"
grep -q '^jem: short/model.safetensors' err || bad "no room: $(cat err)"
same whole/model.safetensors short/model.safetensors
ls short | grep -q tmp && bad "a temporary file stays"

end
