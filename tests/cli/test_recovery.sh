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
: >killed/curves.png.4199999.0.tmp # of no process: there is none of that number
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
# What cannot be read may be good: no older one takes its place.
rm oldest/checkpoint.safetensors && mkdir oldest/checkpoint.safetensors
fails 1 'checkpoint.safetensors: is not a regular file' "$jem" $run --iterations 14 --resume --output oldest
rm -f gone
mkdir gone && printf 'x' >gone/checkpoint.safetensors
fails 1 'gone/checkpoint.safetensors: not a safetensors' "$jem" $run --iterations 12 --resume --output gone

# ---- a smaller --keep; what the run before left ----
mkdir fewer
for age in '' .1 .2 .3 .4; do cp whole/checkpoint.safetensors fewer/checkpoint.safetensors$age; done
works '' "$jem" $run --resume --keep 3 --output fewer
[ "$(cd fewer && echo checkpoint*)" = 'checkpoint.safetensors checkpoint.safetensors.1 checkpoint.safetensors.2' ] ||
    bad "--keep 3: $(ls fewer)"
cp -r fewer anew
left="samples-000500.png samples-1000000.png best.safetensors model_ema.safetensors"
mine="samples-mine.png samples-000500.png.txt eval.json"
for file in $left $mine; do printf old >anew/$file; done
cp whole/metrics.jsonl anew
# Nothing goes before the new run is saved.
rm anew/checkpoint.safetensors && mkdir anew/checkpoint.safetensors
fails 1 'checkpoint.safetensors: cannot replace' "$jem" $run --iterations 1 --overwrite --output anew
for file in $left $mine; do [ "$(cat anew/$file)" = old ] || bad "$file is lost before the new run is saved"; done
same whole/metrics.jsonl anew/metrics.jsonl
rmdir anew/checkpoint.safetensors
works '' "$jem" $run --iterations 1 --overwrite --sample-every 1 --output anew
[ "$(cd anew && echo checkpoint*)" = 'checkpoint.safetensors checkpoint.safetensors.1' ] ||
    bad "--overwrite leaves $(ls anew)"
cmp -s whole/checkpoint.safetensors anew/checkpoint.safetensors.1 && bad "--overwrite leaves an old checkpoint"
for file in $mine; do [ "$(cat anew/$file)" = old ] || bad "--overwrite took $file"; done
for file in $left; do [ ! -e anew/$file ] || bad "--overwrite leaves $file"; done
[ -s anew/samples-000001.png ] || bad "no picture of the new run"
works '' "$jem" $run --iterations 1 --overwrite --trainer.ema=0.9 --output anew
works 'parameters' "$jem" info anew/model_ema.safetensors

# ---- a small checkpoint whose settings ask for much ----
cat >hostile.py <<'END'
import json, struct, sys, zlib
data = {'format': 'jem-checkpoint', 'format_version': '1', 'settings': sys.argv[1], 'data': '60 images, 8 classes'}
data['checksum'] = '%016x' % sum(zlib.crc32(v.encode(), zlib.crc32(k.encode())) for k, v in data.items())
header = json.dumps({'__metadata__': data}).encode()
header += b' ' * (-len(header) % 8)
open('gone/checkpoint.safetensors', 'wb').write(struct.pack('<Q', len(header)) + header)
END
resume="train --data glyphs:size=12 --dataset.limit=60 --resume --output gone"
python3 hostile.py 'model.depth=1000 model.widen_factor=16 trainer.px=0'
fails 1 'gone/checkpoint.safetensors: has [0-9]* bytes, but .* more weights' "$jem" $resume
python3 hostile.py sampler.buffer=100000000
fails 1 'gone/checkpoint.safetensors: has [0-9]* bytes, expected more for sampler.buffer' "$jem" $resume

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
# A log that is removed: what comes first after it stands in the new one.
# The warm-up leaves time to remove it.
"$jem" $run --iterations 70 --retries 9 --optimizer.name=sgd --optimizer.rate=20 --trainer.warmup=400 --log-every 1000 \
    --trainer.snapshot_every=5 --trainer.response_rate=0.02 --output unlogged >out 2>err &
pid=$!
while [ ! -e unlogged/metrics.jsonl ] && kill -0 $pid 2>/dev/null; do :; done
rm unlogged/metrics.jsonl
wait $pid || bad "unlogged: $(cat err)"
grep -q '"event": "rollback"' unlogged/metrics.jsonl || bad "a roll-back is lost with the log before it"
cp wild/model.safetensors first.safetensors
lines=$(wc -l <wild/metrics.jsonl)
works '' "$jem" $run --resume --output wild
same wild/model.safetensors first.safetensors
[ "$(wc -l <wild/metrics.jsonl)" = "$lines" ] || bad "resuming a finished run changed its metrics"

end
