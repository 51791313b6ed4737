#!/bin/sh
# The page of a run in a real browser (Debian's chromium): browser.sh JEM MODEL
# Every picture must decode, nothing may be asked of the network, and the page must be drawn.
jem=$1
model=$2
. "$(dirname "$0")/common.sh"
command -v chromium >/dev/null || { echo "SKIP: no chromium"; exit 77; }

"$jem" train --data glyphs:size=12,limit=60 --sampler.steps=2 --set loader.batch=8 sampler.buffer=20 \
    --iterations 6 --log-every 1 --sample-every 2 --ood letters:limit=20 --output run >out 2>err ||
    bad "train: $(cat err)"
"$jem" eval calibration --model "$model" --data glyphs:limit=40 >run/calibration.json
works '' "$jem" report run
# The copy only adds a script that says what the browser made of the page.
sed 's|</body>|<script>addEventListener("load",()=>{const p=[...document.images];document.title="seen "+p.filter(i=>i.complete\&\&i.naturalWidth>50).length+" of "+p.length+", "+performance.getEntriesByType("resource").filter(e=>!e.name.startsWith("data:")).length+" loads, wide "+(document.documentElement.scrollWidth>innerWidth)})</script></body>|' \
    run/report.html >seen.html
browse()
{
    timeout 90 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$here/profile" "$@" 2>/dev/null
}
for width in 1100 420; do
    browse --virtual-time-budget=5000 --window-size=$width,2000 --dump-dom "file://$here/seen.html" >dom
    title=$(sed -n 's|.*<title>\(.*\)</title>.*|\1|p' dom)
    [ "$title" = "seen 10 of 10, 0 loads, wide false" ] || bad "at $width pixels: '$title'"
done
browse --window-size=1100,3000 --screenshot="$here/page.png" "file://$here/run/report.html"
python3 - page.png <<'END' || bad "the page is blank"
import struct, sys, zlib
data, at, packed = open(sys.argv[1], 'rb').read(), 8, b''
while at < len(data):
    size, kind = struct.unpack('>I4s', data[at:at + 8])
    if kind == b'IHDR': width, height, depth, colour = struct.unpack('>IIBB', data[at + 8:at + 18])
    if kind == b'IDAT': packed += data[at + 8:at + 8 + size]
    at += 12 + size
rows = zlib.decompress(packed)
assert (width, height) == (1100, 3000) and len(set(rows[::97])) > 50, (width, height, len(set(rows[::97])))
END
end
