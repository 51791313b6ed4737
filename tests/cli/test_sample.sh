#!/bin/sh
# Where chains of 'jem sample' begin and what is shown of them: test_sample.sh JEM MODEL
jem=$1
model=$2
. "$(dirname "$0")/common.sh"

quick="--as-trained --steps 2"

# ---- class Gaussians, from the data and from the model ----
fails 1 'carries no class Gaussians' "$jem" sample --model "$model" $quick --start-from gaussian --output a.npy
works '"rank": 4' "$jem" starts --model "$model" --data glyphs:limit=300 --rank 4 --output s.safetensors
grep -q '"explained_variance": 0\.' out || bad "starts: no share of variance: $(cat out)"
works '"rank": 0' "$jem" starts --model s.safetensors --remove --output r.safetensors
cmp -s r.safetensors s.safetensors && bad "starts --remove left them"
fails 2 'one of --data and --remove' "$jem" starts --model s.safetensors
for void in sampler.start_rank=3 dataset.limit=9 sampler.seed=2; do
    fails 2 "${void%=*} has no effect with --remove" "$jem" starts --model s.safetensors --remove --$void
done
fails 2 'starts reads no sampler.steps' "$jem" starts --model s.safetensors --data glyphs --sampler.steps=3
fails 1 'none/s' "$jem" starts --model "$model" --data glyphs:limit=300 --output none/s.safetensors
fails 1 'class . has no images' "$jem" starts --model "$model" --data glyphs:limit=5 --output t.safetensors
[ -e t.safetensors ] && bad "a model after a failure"
works 'class Gaussians of the model' "$jem" sample --model s.safetensors $quick --count 12 \
    --start-from gaussian --output a.npy --threads 1
works '' "$jem" sample --model s.safetensors $quick --count 12 --sampler.start=gaussian \
    --output b.npy --threads 2
same a.npy b.npy
works 'class Gaussians of glyphs' "$jem" sample --model s.safetensors $quick --count 12 \
    --data glyphs:limit=300 --output c.npy
cmp -s a.npy c.npy && bad "--data is not used"
works 'uniform noise' "$jem" sample --model s.safetensors $quick --count 12 --output u.npy
cmp -s a.npy u.npy && bad "gaussian starts are uniform"

# Training with such starts leaves them in the model, and --as-trained uses them.
"$jem" train --data glyphs:size=12,limit=60 --sampler.steps=1 --set loader.batch=8 sampler.buffer=20 \
    sampler.start=gaussian sampler.start_rank=3 --iterations 1 --output near >out 2>err || bad "train: $(cat err)"
works 'class Gaussians of the model' "$jem" sample --model near/model.safetensors --as-trained --count 4 --output n.npy
works 'rank 3' "$jem" info near/model.safetensors
works '"starts_rank": 3' "$jem" info near/model.safetensors --json
grep -aq 'from class Gaussians' near/samples.png || bad "samples.png does not tell where its chains start"

# ---- buffers ----
"$jem" train --data glyphs:size=12,limit=60 --sampler.steps=1 --set loader.batch=8 sampler.buffer=40 \
    sampler.conditional=1 --iterations 4 --log-every 1 --output run >out 2>err || bad "train: $(cat err)"
tiny=run/model.safetensors
works 'random slots of the replay buffer in run/checkpoint.safetensors (.* of 40 used)' \
    "$jem" sample --model $tiny --buffer run/checkpoint.safetensors --count 8 --steps 0 --output b.npy
works '' "$jem" sample --model $tiny --buffer b.npy --count 8 --steps 0 --seed 3 --output p.npy
cmp -s b.npy p.npy && bad "slots are not chosen at random"
[ "$(wc -c <b.npy)" = "$(wc -c <p.npy)" ] || bad "sizes differ"
fails 1 'no more used slots' "$jem" sample --model $tiny --buffer run/checkpoint.safetensors \
    --per-class 5 --steps 0 --output q.npy
works "" "$jem" sample --model $tiny --buffer b.npy --steps 0 --output w.npy
cmp -s b.npy w.npy || bad "a whole buffer is not what it shows"
fails 1 '9 chains are asked for, but .* no more used slots' "$jem" sample --model $tiny --buffer b.npy --count 9 --steps 0 --output q.npy
fails 1 'replay buffer\|format is' "$jem" sample --model $tiny --buffer $tiny --count 2 --steps 0 --output q.npy
# An array in blocks by class: 8 images of ten classes are no such array, 20 are.
fails 1 '8 images, expected a multiple of 10' "$jem" sample --model $tiny --buffer b.npy \
    --buffer-by-class --count 2 --steps 0 --output q.npy
works '' "$jem" sample --model $tiny --count 20 --steps 0 --output blocks.npy
works '20, in blocks by class' "$jem" sample --model $tiny --buffer blocks.npy --buffer-by-class \
    --per-class 2 --steps 0 --output c.npy
python3 -c '
import struct
def images(path):
    b = open(path, "rb").read()
    start = 10 + struct.unpack("<H", b[8:10])[0]
    return [b[i:i + 576] for i in range(start, len(b), 576)]
blocks, got = images("blocks.npy"), images("c.npy")
for y in range(10):
    assert sorted(got[2 * y:2 * y + 2]) == sorted(blocks[2 * y:2 * y + 2]), y
' || bad 'a class got images of another block'
fails 2 'is for --buffer X.npy' "$jem" sample --model $tiny --buffer run/checkpoint.safetensors \
    --buffer-by-class --output q.npy
fails 2 'exclude each other' "$jem" sample --model $tiny --buffer b.npy --start b.npy --output q.npy
fails 2 'excludes' "$jem" sample --model $tiny --data glyphs --start b.npy --output q.npy
fails 2 'excludes --start-from uniform' "$jem" sample --model $tiny --data glyphs --start-from uniform --output q.npy
for option in count per-class best strip-chains; do
    fails 2 "$option: got '0', expected 1 or more" "$jem" sample --model $tiny --$option 0 --strip s.png --output q.npy
done
[ -e q.npy ] && bad "q.npy after a failure"

# ---- selection is asked for, and said ----
works '^64 chains of 2 steps (size 5, noise 0.005) from uniform noise' "$jem" sample --model "$model" \
    $quick --output all.png
grep -aq '64 chains of 2 steps' all.png || bad "all.png does not tell how it was made"
grep -aq 'Selected' all.png && bad "all.png claims a selection"
works '^Selected: the 3 of largest log p(x) of 20 chains' "$jem" sample --model "$model" $quick \
    --count 20 --best 3 --output best.png
grep -aq 'iTXtDescription.*Selected: the 3 of largest' best.png || bad "best.png does not tell of the selection"
python3 - best.png all.png <<'END' || bad "a PNG is damaged"
import struct, sys, zlib
for name in sys.argv[1:]:
    data, at, kinds = open(name, 'rb').read(), 8, []
    while at < len(data):
        size, kind = struct.unpack('>I4s', data[at:at + 8])
        assert zlib.crc32(data[at + 4:at + 8 + size]) == struct.unpack('>I', data[at + 8 + size:at + 12 + size])[0]
        kinds.append(kind)
        at += 12 + size
    assert kinds[:2] == [b'IHDR', b'iTXt'] and kinds[-1] == b'IEND', kinds
END
works '"selection": "none"' "$jem" sample --model "$model" $quick --count 20 --output whole.npy --json
works '"selection": "largest log p(x)"' "$jem" sample --model "$model" $quick --count 20 --best 5 \
    --output five.npy --json
grep -q '"chains": 20, "steps": 2, "kept": 5' out || bad "json: $(cat out)"
python3 - "$jem" "$model" <<'END' || bad "--best does not keep the best"
import json, struct, subprocess, sys
def images(name):
    data = open(name, 'rb').read()
    head = 10 + struct.unpack('<H', data[8:10])[0]
    n = int(data[:head].split(b"'shape': (")[1].split(b',')[0])
    size = (len(data) - head) // n
    return [data[head + i * size:head + (i + 1) * size] for i in range(n)]
def scores(name):
    out = subprocess.run([sys.argv[1], 'score', '--model', sys.argv[2], '--input', name, '--json'],
                         capture_output=True, text=True).stdout
    found = json.loads(out)
    found = found if isinstance(found, list) else found.get('images', found.get('scores'))
    return [one['log_px'] for one in found]
whole, five, rated = images('whole.npy'), images('five.npy'), scores('whole.npy')
order = sorted(range(20), key=lambda i: -rated[i])[:5]
assert [whole[i] for i in order] == five, order
END
works 'of each class of 30 class-conditional chains' "$jem" sample --model "$model" $quick --per-class 3 \
    --best 2 --output classes.svg
grep -q '<!-- Selected: the 2 of largest log p(x) of each class' classes.svg || bad "classes.svg does not say"
fails 2 'at most the 3 chains of each class' "$jem" sample --model "$model" $quick --per-class 3 --best 4 --output e.png
fails 2 'at most the 64 chains' "$jem" sample --model "$model" $quick --best 65 --output e.png

# ---- strips do not change the chains ----
for suffix in png pdf svg; do
    works "strip.$suffix" "$jem" sample --model "$model" --as-trained --steps 9 --per-class 1 \
        --strip strip.$suffix --output with.npy
    [ -s strip.$suffix ] || bad "no strip.$suffix"
done
works '' "$jem" sample --model "$model" --as-trained --steps 9 --per-class 1 --output without.npy
same with.npy without.npy
works '' "$jem" sample --model "$model" --as-trained --steps 0 --count 2 --strip still.png --output still.npy
fails 2 'strip-chains says' "$jem" sample --model "$model" --strip-chains 3 --output e.png
fails 2 'captions is for pictures' "$jem" sample --model "$model" --captions --output e.npy
for key in sampler.buffer sampler.conditional; do
    fails 2 "decides $key itself" "$jem" sample --model "$model" --$key=1 --output e.png
done
works 'mode start' "$jem" sample --help
for key in sampler.restart sampler.start_rank; do
    fails 2 "decides $key itself, or does without" "$jem" sample --model "$model" --$key=1 --output e.png
done
# void COMPLAINT OPTION...
void()
{
    word=$1
    shift
    fails 2 "$word" "$jem" sample --model "$model" --steps 0 --count 2 --output e.png "$@"
}
void 'dataset.limit has no effect without --data' --dataset.limit=9
void 'sampler.start_images has no effect without --data' --sampler.start_images=9
void 'dataset.resize scales the images of png:DIR; glyphs:limit=40 has' --data glyphs:limit=40 --dataset.resize=28
void 'noise_after_clamp has no effect with sampler.clamp=0' --noise-after-clamp
void 'sampler.start has no effect beside --start' --start-from uniform --sampler.start=gaussian
void 'sampler.start has no effect beside --start' --buffer x.npy --sampler.start=gaussian
void 'strip-chains: got 13, expected at most 12' --strip s.png --strip-chains 13
works '' "$jem" sample --model "$model" --as-trained --steps 0 --count 2 --noise-after-clamp \
    --start-from uniform --sampler.start=uniform --output f.png
# A picture that cannot be is told before chains that would take hours.
fails 1 'too.png: 8000 images make a picture of .* pixels, expected at most 32767' "$jem" sample --model "$model" \
    --steps 1 --per-class 800 --captions --output too.png
fails 1 'too.png: 120000 images make a picture of .* pixels, expected at most .* 1000000' "$jem" sample --model "$model" \
    --steps 1 --per-class 12000 --output too.png
fails 2 'strip.*expected a name' "$jem" sample --model "$model" --strip s.gif --output e.png
[ -e e.png ] && bad "e.png after a failure"
ls | grep -q 'tmp\|~' && bad "a temporary file stays: $(ls)"
end
