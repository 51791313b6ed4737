#!/bin/sh
# Runs that are killed, whose files are damaged or cannot be written, that diverge.
# Arguments: the jem command; kills (5).
jem=$1
kills=${2:-5}
. "$(dirname "$0")/common.sh"
data=glyphs:size=12
run="train --data $data --dataset.limit=60 --loader.batch=8 --sampler.buffer=40 --sampler.steps=2
    --log-every 1 --sample-every 0 --threads 1"

# ---- SIGKILL at any moment ----
"$jem" $run --iterations 12 --output whole >out 2>err || bad "whole: $(cat err)"
n=0
resume=
seed=7
while [ $n -lt "$kills" ]; do
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    "$jem" $run --iterations 12 --checkpoint-steps 1 --output killed $resume >out 2>err &
    pid=$!
    sleep "0.$((seed / 65536 % 5))$((seed / 1000 % 10))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    code=$?
    [ $code = 137 ] || [ $code = 0 ] || bad "killed run gave $code: $(cat err)"
    resume=
    [ -e killed/checkpoint.safetensors ] && resume=--resume
    n=$((n + 1))
done
"$jem" $run --iterations 12 --output killed $resume >out 2>err || bad "after kills: $(cat err)"
same whole/model.safetensors killed/model.safetensors
sed 's/"images_per_second.*"loss"/"loss"/; s/"seconds_load.*"rollbacks"/"rollbacks"/' whole/metrics.jsonl >a
sed 's/"images_per_second.*"loss"/"loss"/; s/"seconds_load.*"rollbacks"/"rollbacks"/' killed/metrics.jsonl >b
[ "$(wc -l <a)" = 12 ] || bad "whole: $(wc -l <a) lines of metrics"
same a b
ls killed | grep -q tmp && bad "a temporary file stays: $(ls killed)"

# ---- a damaged checkpoint gives way to the one before ----
"$jem" $run --iterations 6 --checkpoint-steps 2 --keep 3 --output old >out 2>err || bad "old: $(cat err)"
cp -r old gap
[ -e old/checkpoint.safetensors.2 ] || bad "--keep 3 kept $(ls old)"
printf 'x' | dd of=old/checkpoint.safetensors bs=1 seek=30000 conv=notrunc 2>/dev/null
: >old/checkpoint.safetensors.1
"$jem" $run --iterations 12 --resume --output old >out 2>err || bad "damaged: $(cat err)"
grep -q '^warning: .*checkpoint.safetensors: checksum.*going on from .*safetensors.2' err ||
    bad "damaged: $(cat err)"
same whole/model.safetensors old/model.safetensors
# Over gaps, and with the oldest alone.
rm gap/checkpoint.safetensors.1
cp -r gap oldest && rm oldest/checkpoint.safetensors
printf 'x' | dd of=gap/checkpoint.safetensors bs=1 seek=30000 conv=notrunc 2>/dev/null
for folder in gap oldest; do
    fails 1 "$folder holds a run" "$jem" $run --iterations 12 --output $folder
    "$jem" $run --iterations 12 --resume --output $folder >out 2>err || bad "$folder: $(cat err)"
    grep -q '^warning: .*going on from .*safetensors.2' err || bad "$folder: $(cat err)"
    same whole/model.safetensors $folder/model.safetensors
done
rm -f gone
mkdir gone && printf 'x' >gone/checkpoint.safetensors
fails 1 'gone/checkpoint.safetensors: not a safetensors' "$jem" $run --iterations 12 --resume --output gone

# ---- checkpoints that cannot be written while training goes on ----
"$jem" $run --iterations 100000 --checkpoint-steps 1 --output full >out 2>err &
pid=$!
i=0
while ! grep -q 'is not saved' err && [ $i -lt 400 ]; do
    [ -f full/checkpoint.safetensors.1 ] && rm -f full/checkpoint.safetensors.1 &&
        mkdir full/checkpoint.safetensors.1 2>/dev/null
    sleep 0.05
    i=$((i + 1))
done
grep -q '^warning: step [0-9]* is not saved: .*checkpoint.safetensors.1.*training goes on' err ||
    bad "no warning: $(cat err)"
sleep 0.2
rmdir full/checkpoint.safetensors.1
kill -TERM $pid
wait $pid
[ $? = 130 ] || bad "SIGTERM after failed saves: $(cat err)"
works '^input' "$jem" info full/model.safetensors

# ---- a run that diverges goes back and finishes ----
"$jem" $run --iterations 30 --retries 5 --optimizer.name=sgd --optimizer.rate=2 \
    --trainer.snapshot_every=5 --trainer.response_rate=0.02 --output wild >out 2>err ||
    bad "wild: $(cat err)"
grep -q '^warning: step .*: back to step [0-9]*, roll-back 1 of 5' err || bad "wild: $(cat err)"
grep -q '"event": "rollback", "step": [0-9]*, "rollbacks": 1, "from": [0-9]*, "reason": "step' \
    wild/metrics.jsonl || bad "no event in $(cat wild/metrics.jsonl)"
tail -1 wild/metrics.jsonl | grep -q '"step": 30,.*"rollbacks": [1-5]' || bad "wild: did not finish"
grep -q '^[0-9]* checkpoints: [0-9.]* s of [0-9.]* s ([0-9.]* %)' err || bad "wild: no cost of checkpoints"
[ -s wild/curves.png ] || bad "wild: no curves"
cp wild/model.safetensors first.safetensors
lines=$(wc -l <wild/metrics.jsonl)
works '' "$jem" $run --resume --output wild
same wild/model.safetensors first.safetensors
[ "$(wc -l <wild/metrics.jsonl)" = "$lines" ] || bad "resuming a finished run changed its metrics"

end
