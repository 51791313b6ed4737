#!/bin/sh
# Measuring and deciding as a user does it: test_eval.sh PATH/TO/jem MODEL
jem=$1
shipped=$2
here=$(mktemp -d "${TMPDIR:-/tmp}/jem-eval-XXXXXX") || exit 1
trap 'rm -rf "$here"' EXIT
case $jem in /*) ;; *) jem=$PWD/$jem ;; esac
cd "$here" || exit 1
failed=0

bad()
{
    echo "FAIL: $*"
    failed=1
}

# works WORD COMMAND...: exit 0, and WORD in what it prints
works()
{
    word=$1
    shift
    "$@" >out 2>err || bad "$* gave $?: $(cat err)"
    [ -z "$word" ] || grep -qe "$word" out || bad "$*: no '$word' in: $(head -c 300 out)"
}

# fails CODE WORD COMMAND...: that exit code, and one line "jem: ...WORD..."
fails()
{
    code=$1
    word=$2
    shift 2
    "$@" >out 2>err
    got=$?
    [ $got = "$code" ] || bad "$* gave $got, expected $code: $(cat err)"
    grep '^jem: ' err | grep -qe "$word" || bad "$*: no '$word' in: $(cat err)"
    [ "$(grep -c '^jem: ' err)" = 1 ] || bad "$*: more than one line: $(cat err)"
}

# number NAME: the first number of that name in the JSON printed last
number()
{
    grep -o "\"$1\": *[-0-9.e+]*" out | head -1 | sed 's/.*: *//'
}

# holds EXPRESSION: of awk
holds()
{
    awk "BEGIN { exit !($1) }" || bad "$1 does not hold: $2"
}

set -- --model "$shipped" --data glyphs:limit=30

# ---- scores ----
for score in log_px max_softmax max_logit neg_entropy mass refine_log_px refine_distance \
    refine_mass; do
    works '"auroc": [01]' "$jem" eval ood "$@" --ood uniform --score $score --json --sampler.steps=2
    grep -q "\"score\": \"$score\"" out || bad "score $score: $(cat out)"
done
works '"auroc"' "$jem" eval ood "$@" --ood letters:limit=20 --score refine_log_px --as-trained \
    --sampler.steps=3 --json
cp out trained
works '"auroc"' "$jem" eval ood "$@" --ood letters:limit=20 --score refine_log_px --sampler.steps=3 \
    --json
cmp -s out trained && bad "--as-trained changes nothing"
fails 1 'refine_distance' "$jem" eval ood "$@" --ood uniform --score refine

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

[ $failed = 0 ] && echo "all good"
exit $failed
