#!/bin/sh
# jem pack, and sources that are files of any size: test_pack.sh PATH/TO/jem MODEL
jem=$1
model=$2
. "$(dirname "$0")/common.sh"

works '300 images 1x28x28, 10 classes' "$jem" pack --data glyphs --limit 300 --output digits.jem
works '"ece"' "$jem" eval calibration --model "$model" --data glyphs:split=train,limit=300
# The same numbers; only the name of the data differs.
sed 's/"glyphs:[^"]*"/DATA/' out >a.same
works '"ece"' "$jem" eval calibration --model "$model" --data packed:digits.jem
sed 's/"packed:[^"]*"/DATA/' out >b.same
same a.same b.same

# A folder for each class, of samples; the model takes one channel of 28x28.
mkdir -p zoo/train/ant zoo/train/bee zoo/test/bee
for i in 1 2 3 4 5 6; do
    class=ant
    [ $i -gt 3 ] && class=bee
    works '' "$jem" sample --model "$model" --count 1 --steps 1 --seed $i \
        --output zoo/train/$class/$i.png
done
cp zoo/train/bee/[45].png zoo/test/bee
works '6 images 1x28x28, 2 classes' "$jem" pack --data png:zoo --resize 28 --output zoo.jem
works '2 images 1x28x28, 2 classes' "$jem" pack --data png:zoo --split test --resize 28 --output zoo-test.jem
grep -q '"class_names":"ant[^"]*bee' zoo-test.jem || bad "the test images have not the classes of zoo/train"
works '2 images 3x28x28' "$jem" pack --data png:zoo/test --resize 28 --dataset.channels=3 \
    --output colour.jem
mkdir zoo/test/cat
fails 1 'zoo/test/cat: is no class: no folder of that name in zoo/train' "$jem" pack --data png:zoo \
    --split test --output x.jem
rmdir zoo/test/cat

# Honest reports: a source without a test split needs --test.
fails 1 'packed:zoo.jem has no test images of its own' "$jem" train --data packed:zoo.jem \
    --output run
fails 1 'png:zoo/train has no test images' "$jem" train --data png:zoo/train --output run
works '' "$jem" train --data packed:zoo.jem --test packed:zoo-test.jem --output run --iterations 1 \
    --loader.batch=2 --sampler.steps=1 --sampler.buffer=4
grep -q '"class_names"' run/model.safetensors || bad "the model has no class names"
works 'ant' "$jem" info run/model.safetensors

# Labels count from the classes' order: names tell when that is another one.
works '"images": 2' "$jem" eval accuracy --model run/model.safetensors --data packed:zoo-test.jem
mkdir -p other new && cp -r zoo/train/bee other/bee && cp -r zoo/train/ant new/asp
for source in other new; do works '' "$jem" pack --data png:$source --resize 28 --output $source.jem; done
for what in accuracy calibration refine 'attack --eps 0.1'; do
    fails 1 "packed:other.jem: class 0 is 'bee', the model's is 'ant'" "$jem" eval $what \
        --model run/model.safetensors --data packed:other.jem
done
fails 1 "class 0 is 'bee', the model's is 'ant'" "$jem" calibrate --model run/model.safetensors --data packed:other.jem
fails 1 'digits.jem has 10 classes, the model 2' "$jem" eval accuracy --model run/model.safetensors \
    --data packed:digits.jem
works '"auroc"' "$jem" eval ood --model run/model.safetensors --data packed:other.jem --ood packed:digits.jem
# A user may have named the model's classes anew.
works '"accuracy"' "$jem" eval accuracy --model run/model.safetensors --data packed:new.jem
grep -q "^warning: packed:new.jem: class 0 is 'asp', the model's is 'ant'" err || bad "no warning: $(cat err)"
# The test images' classes are compared before a run, not after it.
fails 1 "packed:other.jem: class 0 is 'bee', that of the training data 'ant'" "$jem" train --data packed:zoo.jem \
    --test packed:other.jem --output early
fails 1 'packed:digits.jem are of 10 classes, the training data of 2' "$jem" train --data packed:zoo.jem \
    --test packed:digits.jem --output early
[ -e early/metrics.jsonl ] && bad "trained although the test images are of other classes"

fails 1 'zoo-test.jem: not a safetensors file' sh -c "head -c 100 zoo.jem >zoo-test.jem
    '$jem' eval calibration --model run/model.safetensors --data packed:zoo-test.jem"
fails 2 'dataset.resize scales the images of png:DIR; glyphs has its own size' "$jem" pack --data glyphs \
    --limit 3 --resize 14 --output x.jem
fails 1 'cannot open' "$jem" pack --data png:nowhere --output x.jem
fails 1 'cannot create' "$jem" pack --data glyphs --limit 3 --output nowhere/x.jem
fails 2 'output is missing' "$jem" pack --data glyphs
works 'packed:FILE' "$jem" pack --help
end
