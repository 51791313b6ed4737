#!/usr/bin/env python3
"""A checkpoint that torch wrote, read without torch: test_import.py JEM CONVERTER FOLDER

Its logits are torch's; damaged checkpoints give one line and no file.
"""
import importlib.util
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

jem, converter, folder = map(os.path.abspath, sys.argv[1:4])
golden = os.path.join(folder, "golden.pt")
os.chdir(tempfile.mkdtemp())


def floats(path):
    data = open(path, "rb").read()
    head = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack("<%df" % ((len(data) - head) // 4), data[head:])


def convert(*arguments):
    return subprocess.run([sys.executable, converter, *arguments], capture_output=True, text=True)


done = convert(golden, "m.safetensors", "--buffer", "b.npy", "--class-names", "a,b,c")
assert done.returncode == 0 and "WRN-10-1, norm batch, 3 classes, 1x12x14" in done.stdout, done
assert "torch" not in subprocess.run([sys.executable, "-X", "importtime", converter, "--help"], capture_output=True,
                                     text=True).stderr.replace("from_torch", ""), "the converter imports torch"
subprocess.run([jem, "score", "--model", "m.safetensors", "--input", "b.npy", "--logits", "l.npy"], check=True)
want = [v for row in json.load(open(os.path.join(folder, "golden.json")))["logits"] for v in row]
got = floats("l.npy")
assert len(got) == 15 and max(abs(a - b) for a, b in zip(got, want)) < 1e-4 * max(map(abs, want)), (got, want)
facts = json.loads(subprocess.run([jem, "info", "m.safetensors", "--json"], capture_output=True, text=True).stdout)
assert facts["classes"] == ["a", "b", "c"] and (facts["height"], facts["width"]) == (12, 14), facts
for arguments, word in (([golden, "n.safetensors", "--norm", "act"], "norm batch"),
                        ([golden, "n.safetensors", "--class-names", "a,b"], "2 names for 3 classes"),
                        ([golden, "none/n.safetensors"], "none/n.safetensors"), (["none.pt", "n.safetensors"], "none.pt")):
    done = convert(*arguments)
    assert done.returncode == 1 and word in done.stderr and len(done.stderr.splitlines()) == 1, done

# Damage anywhere: in the pickle, in the zip's directory, in the data.
spec = importlib.util.spec_from_file_location("from_torch", converter)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
data, refused = open(golden, "rb").read(), 0
draw = random.Random(5)
pickle_at = data.index(b"data.pkl")
sys.stdout, sys.stderr = open(os.devnull, "w"), open(os.devnull, "w")
for i in range(150):
    bad = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(bad)) if i % 3 == 0 else pickle_at + draw.randrange(8000) if i % 3 == 1 else -1 - draw.randrange(9000)
        bad[at] = draw.randrange(256)
    open("bad.pt", "wb").write(bad[:draw.randrange(len(bad))] if i % 10 == 9 else bad)
    sys.argv = [converter, "bad.pt", "bad.safetensors"]
    code = module.main()
    assert code in (0, 1) and os.path.exists("bad.safetensors") == (code == 0)
    refused += code
    if code == 0:
        os.remove("bad.safetensors")
sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
assert refused > 75, refused
print("all good: %d of 150 damaged checkpoints refused" % refused)
