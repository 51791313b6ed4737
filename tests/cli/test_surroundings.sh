#!/bin/sh
# Runs whose surroundings change: folders that vanish, other processes, signals, limits, links;
# and things in place of files. Argument: the jem command.
jem=$1
. "$(dirname "$0")/common.sh"
run="train --data glyphs:size=12 --dataset.limit=60 --loader.batch=8 --sampler.buffer=40
    --sampler.steps=2 --log-every 1 --sample-every 0 --threads 1"
long="$run --iterations 5000 --checkpoint-steps 5"

# started FOLDER: until the run in FOLDER has saved
started()
{
    i=0
    while [ ! -f "$1/checkpoint.safetensors.1" ] && [ $i -lt 400 ]; do
        sleep 0.05
        i=$((i + 1))
    done
}
# replace FOLDER: by `other`, while the run sleeps, lest it makes the folder anew between the two steps
replace()
{
    kill -STOP $pid
    mv "$1" "$1.old" && mv other "$1"
    kill -CONT $pid
}
# stopped PID WORD: the run saved itself and told how to go on
stopped()
{
    wait "$1"
    code=$?
    [ $code = 130 ] || bad "$2: exit code $code: $(cat err)"
    grep -q 'stopped at step [0-9]* of [0-9]* and saved' err || bad "$2: $(cat err)"
}

# ---- the folder is removed, and comes back; another process may not take it ----
env --default-signal=HUP "$jem" $long --output first/run >first.out 2>first.err &
pid=$!
started first/run
fails 1 'another process is training in first/run' "$jem" $run --resume --output first/run
fails 1 'another process is training in first/run' "$jem" $run --overwrite --output first/run
"$jem" $long --output gone/run >out 2>err &
second=$!
started gone/run
while ! rm -rf gone 2>/dev/null; do :; done
started gone/run
kill -TERM $second
stopped $second 'a removed folder'
grep -q '^warning: gone/run was removed: made anew' err || bad "no warning: $(cat err)"
step=$(sed -n 's/.*stopped at step \([0-9]*\) .*/\1/p' err)
works '' "$jem" $run --resume --iterations $((step + 2)) --output gone/run
"$jem" $run --iterations $((step + 2)) --output whole >out 2>err || bad "whole: $(cat err)"
same whole/model.safetensors gone/run/model.safetensors

# ---- a terminal that closes: SIGHUP, twice; nohup's runs do not mind ----
kill -HUP $pid
kill -HUP $pid 2>/dev/null
wait $pid
[ $? = 130 ] || bad "SIGHUP gave $?"
works '^input' "$jem" info first/run/model.safetensors
(trap '' HUP INT; exec "$jem" $long --output nohup >out 2>err) &
pid=$!
started nohup
kill -HUP $pid
kill -INT $pid
sleep 0.3
kill -TERM $pid || bad "nohup: SIGHUP or an ignored SIGINT ended it"
stopped $pid nohup

# ---- the second signal ends it at once, whichever it is; one during the last save is heard ----
env --default-signal=INT "$jem" $long --output twice >out 2>err &
pid=$!
started twice
kill -STOP $pid
kill -INT $pid
kill -TERM $pid
kill -CONT $pid
wait $pid
code=$?
[ $code = 143 ] || bad "SIGINT, then SIGTERM gave $code: $(cat err)"
python3 - "$jem" $run --iterations 3 --output last <<'END' || bad "a signal during the last save"
import subprocess, sys
with open('err', 'w') as err:
    p = subprocess.Popen(sys.argv[1:], stderr=err, stdout=err)
    while p.poll() is None:
        try:
            if '"step": 3,' in open('last/metrics.jsonl').read(): break
        except OSError: pass
    p.terminate()
    assert p.wait() in (130, -15), p.returncode # the latter: it came during the report
END

# ---- another run has the folder's name: nothing is written into it, this run is kept ----
"$jem" $long --output two >out 2>err &
pid=$!
started two
mkdir other && printf other >other/checkpoint.safetensors
replace two
wait $pid
code=$?
[ $code = 1 ] || bad "another folder gave $code: $(cat err)"
[ "$(ls two)" = checkpoint.safetensors ] && [ "$(cat two/checkpoint.safetensors)" = other ] ||
    bad "another run's folder was written to: $(ls two)"
grep -q "^jem: --output: two is by now another folder, .*--resume --output two.$pid\$" err ||
    bad "another folder: $(cat err)"
step=$(tail -n 1 two.old/metrics.jsonl | sed 's/.*"step": \([0-9]*\),.*/\1/')
works '' "$jem" $run --resume --iterations $((step + 1)) --output two.$pid
# An empty one is taken.
"$jem" $long --output empty/ >out 2>err &
pid=$!
started empty
mkdir other
replace empty
started empty
fails 1 'another process is training in empty' "$jem" $run --resume --output empty
kill -TERM $pid
wait $pid
[ $? = 130 ] || bad "an empty folder in place of the run's"

# ---- nobody reads what it prints: it trains to its end, and says so by its exit code ----
("$jem" $run --iterations 40 --output pipe 2>&1; echo $? >code) | true
[ "$(cat code)" = 1 ] || bad "a closed pipe gave $(cat code)"
tail -n 1 pipe/metrics.jsonl | grep -q '"step": 40,' || bad "a closed pipe ended a run"
[ -s pipe/model.safetensors ] && [ -s pipe/summary.json ] || bad "a closed pipe: $(ls pipe)"

# ---- streams that are closed: what is printed goes into no file ----
"$jem" $run --iterations 3 --output closed <&- >&- 2>&-
[ -s closed/model.safetensors ] || bad "closed streams: $(ls closed)"
[ "$(grep -cv '^{"step": [123], .*}$' closed/metrics.jsonl)" = 0 ] || bad "closed streams: $(cat closed/metrics.jsonl)"

# ---- a pipe in place of a log is not waited for; a line that no run writes ends it ----
mkdir pipes
mkfifo pipes/metrics.jsonl
fails 1 'pipes/metrics.jsonl: there is no such file' timeout 20 "$jem" report pipes --curves pipes.png
cp -r closed longline
truncate -s 200M longline/metrics.jsonl
(ulimit -v 200000; works '' "$jem" report longline --curves longline.png)

# ---- what a terminal obeys, in a name ----
"$jem" info "$(printf 'a\302\233b\033')" 2>err
grep -q '^jem: a  b : ' err || bad "a name with control characters: $(cat -v err)"

# ---- a limit on file sizes: the save fails, as on a full disk ----
(ulimit -f 2000; exec "$jem" $run --iterations 6 --output limit >out 2>err)
[ $? = 1 ] || bad "a limit on file sizes: $(cat err)"
grep -q 'jem: .*cannot write: File too large' err || bad "a limit on file sizes: $(cat err)"
ls limit | grep -q 'tmp' && bad "a limit on file sizes left $(ls limit)"

# ---- a picture that cannot be written is no reason to end ----
mkdir -p picture/samples-000002.png
works '' "$jem" $run --iterations 4 --sample-every 2 --output picture
[ -s picture/samples-000004.png ] || bad "no picture after one that failed"

# ---- links: the new file takes the link's place, what it led to stays ----
mkdir link
written="model.safetensors summary.json metrics.jsonl report.html curves.png reliability.png scores.png roc.png
    samples.png strip.png samples-000002.png"
for file in $written; do
    printf old >target-$file
    ln -s ../target-$file link/$file
done
ln -s nowhere link/checkpoint.safetensors
works '' "$jem" $run --iterations 2 --overwrite --sample-every 2 --output link
for file in $written; do [ "$(cat target-$file)" = old ] || bad "the link $file was followed"; done
for file in $written; do [ -f link/$file ] && [ ! -L link/$file ] || bad "the link $file stays"; done
[ ! -e link/nowhere ] || bad "a dangling link was followed"
ls link | grep 'tmp\|~' && bad "temporary files stay"
# A log that was moved elsewhere: its lines go on in a file of the run.
mv link/metrics.jsonl log && ln -s ../log link/metrics.jsonl
mkfifo drain
for file in report.html summary.json; do ln -sf ../drain link/$file; done
works '' timeout 60 "$jem" $run --iterations 4 --resume --output link
[ ! -L link/metrics.jsonl ] && [ "$(wc -l <link/metrics.jsonl) $(wc -l <log)" = '4 2' ] ||
    bad "a log behind a link: $(wc -l <link/metrics.jsonl) lines, $(wc -l <log) in the old one"
[ -f link/report.html ] && [ -f link/summary.json ] || bad "a link to a pipe stays"

# ---- things in place of files ----
mkfifo fifo
mkdir folder
truncate -s 1T large
cp whole/model.safetensors hole && truncate -s 20G hole
for thing in fifo folder large hole /dev/zero /dev/full /proc/self/mem nothing; do
    fails 1 "$thing" timeout 20 "$jem" info $thing
    case $thing in hole | /dev/full | /proc* | nothing) continue ;; esac
    mkdir -p idx cifar svhn png/a packed
    rm -f idx/* cifar/* svhn/* png/a/*
    printf '\0\0\10\1\0\0\0\0' >idx/t10k-labels-idx1-ubyte
    for file in idx/t10k-images-idx3-ubyte cifar/test_batch.bin svhn/test_32x32.mat png/a/0.png; do
        case $thing in /*) ln -s $thing $file ;; *) ln -s "$here/$thing" $file ;; esac
    done
    for data in idx:idx cifar:cifar svhn:svhn png:png packed:$thing; do
        fails 1 "${data#*:}" timeout 20 "$jem" eval accuracy --model whole/model.safetensors \
            --data $data --split test
    done
done

# ---- names and texts that a terminal or a reader of JSON should not get as they are ----
odd=$(printf 'a\377')
mkdir "$odd"
"$jem" sample --model whole/model.safetensors --count 2 --sampler.steps=1 --output "$odd/x.npy" --json >out 2>err ||
    bad "a name that is no UTF-8: $(cat err)"
python3 -c 'import json; assert json.load(open("out", encoding="utf-8"))' || bad "no JSON: $(cat out)"
python3 - <<'END'
import struct
data = open('whole/model.safetensors', 'rb').read()
n, = struct.unpack('<Q', data[:8])
header = data[8:8 + n].replace(b'"checksum"', b'"Checksum"').replace(b'"__metadata__":{', b'"__metadata__":{"note":"\\u001b[31mred",')
header += b' ' * (-len(header) % 8)
open('escape.safetensors', 'wb').write(struct.pack('<Q', len(header)) + header + data[8 + n:])
END
works 'red' "$jem" info escape.safetensors
grep -q "$(printf '\033')" out && bad "an escape of a model file reaches the terminal"

end
