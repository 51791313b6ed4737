#!/bin/sh
# One page of a run, one of evaluations: test_report.sh JEM MODEL
jem=$1
model=$2
. "$(dirname "$0")/common.sh"
mkdir pictures
export TMPDIR="$here/pictures"

# whole FILE: tags that open also close, and nothing is loaded from elsewhere
whole()
{
    python3 - "$1" <<'END' || bad "$1 is not a whole page"
import html.parser, sys
class Reader(html.parser.HTMLParser):
    void, open, loads, pictures = {'meta', 'img'}, [], [], 0
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag not in self.void: self.open.append(tag)
        if tag == 'img':
            assert a['alt'] and a['src'].startswith('data:image/'), a
            Reader.pictures += 1
        assert tag not in ('script', 'link', 'iframe'), tag
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
text = open(sys.argv[1], encoding='utf-8').read()
reader = Reader()
reader.feed(text)
assert not reader.open, reader.open
assert 'http' not in text.split('<body>')[1] and 'url(' not in text
print(reader.pictures)
END
}

# ---- a run ----
"$jem" train --data glyphs:size=12,limit=60 --sampler.steps=2 --set loader.batch=8 sampler.buffer=20 \
    --iterations 6 --log-every 1 --sample-every 2 --ood letters:limit=20 --output run >out 2>err ||
    bad "train: $(cat err)"
grep -q 'report.html' out || bad "train does not name the report"
[ -s run/strip.png ] && [ -s run/roc.png ] || bad "no strip or ROC of a run"
pictures=$(whole run/report.html)
[ "$pictures" = 9 ] || bad "run/report.html has $pictures pictures"
for word in 'Expected calibration error' 'AUROC' 'sampler.steps' 'No roll-back' '1x12x12' 'Known images accepted' \
    'step 6<' 'class="cards"'; do
    grep -qe "$word" run/report.html || bad "run/report.html lacks '$word'"
done
printf '{"event": "rollback", "step": 4, "rollbacks": 1, "from": 6, "reason": "gap <big> & \\"bad\\""}\n' \
    >>run/metrics.jsonl
works 'run/report.html' "$jem" report run
grep -q 'gap &lt;big&gt; &amp; &quot;bad&quot;' run/report.html || bad "the reason of a roll-back is not told"
cp run/report.html first.html
works 'second.html' "$jem" report run/ --output second.html
same first.html second.html
works '' "$jem" report run --title 'A <b> & c' --output third.html
grep -q '<title>A &lt;b&gt; &amp; c</title>' third.html || bad "the title is not escaped"

cp -r run whole_run

# ---- captions: what a picture says of itself; classes that are not shown ----
grep -q '<figcaption>100 chains of 20 steps (size 1, noise 0.01) from uniform noise; none left out<' run/report.html ||
    bad "samples.png: $(grep -o '<figcaption>[^<]*' run/report.html)"
grep -q '<figcaption>The first chains of samples.png' run/report.html || bad "strip.png has no caption of its own"
cp -r run selected
works '' "$jem" sample --model run/model.safetensors --count 5 --best 2 --steps 1 --output selected/samples.png
works '' "$jem" report selected
grep -q '<figcaption>Selected: the 2 of largest log p(x) of 5 chains' selected/report.html ||
    bad "a selection is not told: $(grep -o '<figcaption>[^<]*' selected/report.html)"
python3 - <<'END'
import os, struct, zlib
def chunk(kind, data, size=None, sum=None):
    return struct.pack('>I', len(data) if size is None else size) + kind + data + \
        struct.pack('>I', zlib.crc32(kind + data) if sum is None else sum)
head, end = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', bytes(13)), chunk(b'IEND', b'')
word = b'Description\0'
told = {'latin': chunk(b'tEXt', word + b'caf\xe9 <b>\x1b[31m'),
        'other': chunk(b'tEXt', b'Comment\0no') + chunk(b'IDAT', bytes(70000)) +
                 chunk(b'iTXt', word + b'\0\0en\0Bild\0caf\xc3\xa9 <b>\xff[31m')}
silent = {'none': b'', 'cut': chunk(b'iTXt', word + b'\0\0\0\0text')[:-9], 'short': chunk(b'iTXt', word + b'\0'),
          'unended': chunk(b'iTXt', word + b'\0\0enBildtext'), 'empty': chunk(b'tEXt', word),
          'word': chunk(b'tEXt', word[:-1]), 'packed': chunk(b'iTXt', word + b'\1\0\0\0' + zlib.compress(b'text')),
          'sum': chunk(b'tEXt', word + b'text', sum=1), 'huge': chunk(b'tEXt', word + b'text', size=0xffffffff),
          'large': chunk(b'IDAT', b'', size=0x7fffffff), 'long': chunk(b'tEXt', word + b'a' * 70000),
          'many': chunk(b'tEXt', b'') * 200000 + chunk(b'tEXt', word + b'text')}
for name, data in {**told, **silent}.items():
    os.makedirs('captions/' + name)
    open('captions/' + name + '/samples.png', 'wb').write(head + data + end)
os.mkdir('captions/no')
open('captions/no/samples.png', 'wb').write(b'x')
END
for folder in captions/*; do
    works '' timeout 60 "$jem" report $folder
    whole $folder/report.html >/dev/null
    case $folder in
        */latin | */other) caption='café &lt;b&gt;.\[31m<' ;;
        *) caption='Samples. The file does not say' ;;
    esac
    grep -q "<figcaption>$caption" $folder/report.html || bad "$folder: $(grep -o '<figcaption>[^<]*' $folder/report.html)"
done
"$jem" train --data letters:size=12,limit=400 --sampler.steps=1 --set loader.batch=8 sampler.buffer=54 \
    sampler.conditional=1 --iterations 1 --output letters >out 2>err || bad "letters: $(cat err)"
grep -aq 'class-conditional chains .*; classes 0 to 9 of 27; of these none left out' letters/samples.png ||
    bad "samples.png claims all classes: $(grep -a Description letters/samples.png)"
grep -aq 'first chain of each class of samples.png.*; classes 0 to 9 of 27' letters/strip.png ||
    bad "strip.png claims all classes"

# ---- evaluations ----
mkdir evaluations
small=glyphs:limit=40
"$jem" eval calibration --model "$model" --data $small >evaluations/calibration.json
"$jem" eval ood --model "$model" --data $small --ood uniform >evaluations/ood.json
cat >evaluations/roc.json <<'END'
[{"data": "a\u00e9\ud83d\ude00", "ood": "b", "score": "mass", "auroc": 0.8, "points": [[0, 0], [0.2, 0.7], [1, 1]]}]
END
cat >evaluations/histograms.json <<'END'
{"data": "a", "ood": "b", "score": "mass", "low": -1, "high": 1, "in_counts": [0, 1, 5], "ood_counts": [3, 1, 0]}
END
cat >evaluations/attack.json <<'END'
{"norm": "linf", "robust": [{"eps": 0, "accuracy": 0.9}, {"eps": 0.1, "accuracy": 0.5}], "none": null, "yes": true}
END
printf '{"cut": [1, 2' >evaluations/cut.json
works 'evaluations/report.html' "$jem" report evaluations
pictures=$(whole evaluations/report.html)
[ "$pictures" = 4 ] || bad "evaluations/report.html has $pictures pictures"
grep -q 'This file is not JSON' evaluations/report.html || bad "a file that is cut is not told"
grep -q 'aé😀' evaluations/report.html || bad "escapes are not read"

# Whatever stands in a file, the page is whole.
python3 - <<'END'
import random
draw, text = random.Random(3), open('evaluations/attack.json').read() + open('evaluations/calibration.json').read()
import os
os.mkdir('odd')
cases = ['', '{}', '[]', '[[[]]]', '[' * 100 + ']' * 100, '{"bins": [1, {}], "points": [[], 3, ["a"]], "robust": [{}]}',
         '{"in_counts": [], "ood_counts": []}', '{"low": 1, "high": 0, "in_counts": [1], "ood_counts": [2]}', '"text"', '1e999',
         '{"low": 1, "high": 1.0000000000000002, "in_counts": [1, 2], "ood_counts": [1, 2]}', '{"bins": [{"images": -1}]}', '{"points": [[0, 0]]}', '{"a": "\\ud800"}', '{"a": "\\u00"}', '{"a": "\\', '\x00',
         '{"robust": [{"eps": null, "accuracy": null}, {"eps": 1, "accuracy": 1}]}', '{"</td><script>": "</td><script>"}']
for i in range(20):
    bad = list(text)
    for _ in range(3): bad[draw.randrange(len(bad))] = draw.choice('{}[]",:0a\\')
    cases.append(''.join(bad))
for i, case in enumerate(cases): open('odd/%02d.json' % i, 'w').write(case)
END
mkfifo odd/pipe.json odd/pipe.png
works 'odd/report.html' timeout 60 "$jem" report odd
whole odd/report.html >/dev/null

# ---- curves by themselves ----
for kind in png pdf svg; do works "curves.$kind" "$jem" report run --curves curves.$kind; done
[ "$(head -c 4 curves.pdf)" = %PDF ] && grep -q '<svg' curves.svg || bad "curves: $(head -c 20 curves.pdf)"
fails 2 'ends in .png, .pdf or .svg' "$jem" report run --curves curves.gif

# Not of a log without steps, nor is an old picture taken for theirs.
mkdir silent
: >silent/metrics.jsonl
printf old >silent/c.png
fails 1 'curves: silent/metrics.jsonl holds no steps' "$jem" report silent --curves silent/c.png
rm run/metrics.jsonl
works '' "$jem" train --data glyphs:size=12,limit=60 --iterations 6 --resume --output run
grep -q curves.png out && bad "curves that were not drawn are named"

# ---- roll-backs without end: counted, the first ones shown ----
python3 - <<'END'
open('silent/metrics.jsonl', 'w').writelines('{"event": "rollback", "step": %d, "reason": "gap"}\n' % i for i in range(300))
END
works '' "$jem" report silent
grep -q 'noise seed: 300<' silent/report.html && grep -q 'The first 200 of them' silent/report.html ||
    bad "roll-backs: $(grep -A 1 Roll-backs silent/report.html)"
[ "$(grep -c '>rollback<' silent/report.html)" = 200 ] || bad "not 200 roll-backs shown"

# ---- small arrays without end, keys without end ----
python3 - "$jem" <<'END' || bad "small arrays"
import os, resource, subprocess, sys
os.mkdir('many')
open('many/a.json', 'w').write('[' + ','.join(['[0]'] * (1 << 18)) + ']')
subprocess.run([sys.argv[1], 'report', 'many'], check=True, stdout=subprocess.DEVNULL)
mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
asan = b'__asan_init' in open(sys.argv[1], 'rb').read()
assert asan or mib < 120, '%d MiB for a file of 1 MiB' % mib
os.mkdir('keys')
open('keys/a.json', 'w').write('{"a": {"row": {' + ','.join('"%d": 1' % i for i in range(100000)) + '}}}')
END
works '' timeout 20 "$jem" report keys
grep -q 'The first 100 of 100000 columns' keys/report.html || bad "columns that are left out are not told"

# ---- links give way when the new file is whole; names beside it are left alone ----
printf old >elsewhere.html
ln -sf ../elsewhere.html evaluations/report.html
(trap '' XFSZ; ulimit -f 8; exec "$jem" report evaluations >out 2>err) && bad "a limit on file sizes is not met"
[ -L evaluations/report.html ] || bad "the link went although the report failed"
taken="report.html.tmp report.html~ o.png.tmp o.png~ c.svg.tmp"
for name in $taken; do printf mine >evaluations/$name; done
works '' "$jem" report evaluations
[ -f evaluations/report.html ] && [ ! -L evaluations/report.html ] || bad "the link stays"
[ "$(cat elsewhere.html)" = old ] || bad "the link was followed"
works '' "$jem" sample --model run/model.safetensors --count 2 --steps 1 --output evaluations/o.png
works '' "$jem" report whole_run --curves evaluations/c.svg
for name in $taken; do
    [ "$(cat evaluations/$name)" = mine ] || bad "$name was taken for a temporary file"
    rm -f evaluations/$name
done

# ---- what cannot be reported ----
mkdir empty
fails 1 'empty: holds nothing to report' "$jem" report empty
fails 1 'none: cannot open' "$jem" report none
fails 2 'DIR is missing' "$jem" report
fails 1 'none/r.html: cannot open' "$jem" report run --output none/r.html
printf 'x' >odd/model.safetensors
works '' "$jem" report odd
grep -q 'class="alarm">odd/model.safetensors' odd/report.html || bad "a model that cannot be read is not told"
mkfifo page
cat page >read &
timeout 60 "$jem" report evaluations --output page >out 2>err || bad "a report to a pipe: $(cat err)"
wait
[ -p page ] && grep -q '</html>' read || bad "a pipe was replaced"
ls pictures | grep . && bad "pictures of a report stay behind"
find . -name '*.tmp' | grep . && bad "temporary files stay"
end
