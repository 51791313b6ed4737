#!/usr/bin/env python3
"""The three upstream layouts, saved by torch, converted, scored: test_layouts.py JEM CONVERTER

Logits, energies and the replay buffer must be torch's. Needs torch and numpy; run with /usr/bin/python3.
"""
import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import torch
from layouts import CCF

jem, converter = map(os.path.abspath, sys.argv[1:3])
torch.set_num_threads(1)


def run(*command, code=0):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, "%s gave %d: %s" % (" ".join(command), done.returncode, done.stderr)
    return done.stdout + done.stderr


def check(name, kind, checkpoint_of, legacy=False, options=(), **shape):
    torch.manual_seed(7)
    model = CCF(kind, **shape).eval()
    channels = shape.get("channels", 3)
    buffer = torch.empty(20, channels, 32, 32).uniform_(-1, 1)
    torch.save(checkpoint_of(model, buffer), name + ".pt", _use_new_zipfile_serialization=not legacy)
    run(sys.executable, converter, name + ".pt", name + ".safetensors", "--buffer", name + ".npy", *options)
    assert np.array_equal(np.load(name + ".npy"), buffer.numpy()), name
    run(jem, "score", "--model", name + ".safetensors", "--input", name + ".npy", "--logits", "l.npy", "--energy", "e.npy")
    with torch.no_grad():
        logits = model(buffer)
        energy = -model.energy_output(model.f(buffer)).squeeze(1) if "head" in options else -logits.logsumexp(1)
    for got, want in ((np.load("l.npy"), logits), (np.load("e.npy"), energy)):
        error = np.abs(got - want.numpy()).max() / want.abs().max().item()
        assert error < 1e-4, "%s: off by %g" % (name, error)
    print("%-22s logits within 1e-4 of torch's" % name)


def plain(model, buffer):
    return {"model_state_dict": model.state_dict(), "replay_buffer": buffer}


def wrapped(model, buffer):
    return {"model_state_dict": torch.nn.DataParallel(model).state_dict(), "replay_buffer": buffer}


def more(model, buffer):
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    return {"epoch": 3, "best": np.float64(0.9), "optimizer_state_dict": optimizer.state_dict(),
            "args": argparse.Namespace(depth=10), "model_state_dict": model.state_dict(), "replay_buffer": buffer}


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


os.chdir(tempfile.mkdtemp())
check("jem", "jem", plain)
check("jem-legacy", "jem", plain, legacy=True, depth=16)
check("jem-head", "jem", plain, options=("--energy", "head"))
check("jem-act", "jem", plain, norm="act", channels=1)
check("jem-instance", "jem", plain, norm="instance", options=("--norm", "instance"))
check("jem-layer", "jem", plain, legacy=True, norm="layer", options=("--norm", "layer"))
check("jempp", "jempp", plain, norm="batch", classes=7)
check("jempp-legacy", "jempp", plain, legacy=True, norm="batch", depth=16)
check("jempp-parallel", "jempp", wrapped, norm="batch", widen=2)
check("sadajem", "sadajem", plain, norm="batch", options=("--class-names", ",".join("abcdefghij")))
check("sadajem-parallel", "sadajem", wrapped, norm="batch", classes=100)
check("more-entries", "sadajem", more, norm="batch")

# Tensors that are no plain run of memory, and a bare state_dict in half precision.
model = CCF("sadajem", norm="batch").eval().to(memory_format=torch.channels_last)
torch.save(model.state_dict(), "strided.pt")
run(sys.executable, converter, "strided.pt", "strided.safetensors")
x = torch.empty(3, 3, 32, 32).uniform_(-1, 1)
np.save("x.npy", x.numpy())
run(jem, "score", "--model", "strided.safetensors", "--input", "x.npy", "--logits", "l.npy")
with torch.no_grad():
    assert np.abs(np.load("l.npy") - model(x).numpy()).max() < 1e-5
torch.save({k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}, "half.pt")
run(sys.executable, converter, "half.pt", "half.safetensors")
run(jem, "score", "--model", "half.safetensors", "--input", "x.npy", "--logits", "h.npy")
assert 0 < np.abs(np.load("l.npy") - np.load("h.npy")).max() < 0.02

# Nothing in a checkpoint is executed; what cannot be read is told in one line.
state = model.state_dict()
for i, (value, word) in enumerate([({"model_state_dict": state, "more": Evil()}, None), (Evil(), "expected a dictionary"),
                                   ({"model_state_dict": Evil()}, "no dictionary"), (model, "expected a dictionary"),
                                   ({"epoch": 1}, "no tensors"), ({"model_state_dict": None, "replay_buffer": x}, "f.layer1"),
                                   ({k: v for k, v in state.items() if "class_output" not in k}, "class_output"),
                                   (dict(state, **{"f.layer4.0.conv1.weight": x}), "fourth stage")]):
    torch.save(value, "bad.pt", _use_new_zipfile_serialization=i % 2 == 0)
    said = run(sys.executable, converter, "bad.pt", "bad.safetensors", code=0 if word is None else 1)
    assert word is None or word in said and len(said.splitlines()) == 1, said
    assert not os.path.exists("executed"), "code of a checkpoint was executed"
    assert word is None or not os.path.exists("bad.safetensors")
    if word is None:
        os.remove("bad.safetensors")
torch.save(dict(state, **{"f.conv1.bias": torch.zeros(1).expand(16)}), "bad.pt")
assert "repeats its storage" in run(sys.executable, converter, "bad.pt", "bad.safetensors", code=1)
with zipfile.ZipFile("jem.pt") as old, zipfile.ZipFile("packed.pt", "w", zipfile.ZIP_DEFLATED) as new:
    for name in old.namelist():
        new.writestr(name, old.read(name))
assert "is compressed" in run(sys.executable, converter, "packed.pt", "bad.safetensors", code=1)
torch.save(CCF(norm="layer").state_dict(), "layer.pt")
assert "--norm" in run(sys.executable, converter, "layer.pt", "bad.safetensors", code=1)
with open("evil.pkl", "wb") as file:
    pickle.dump(Evil(), file)
run(sys.executable, converter, "evil.pkl", "bad.safetensors", code=1)
assert not os.path.exists("executed")
for source in ("jem.pt", "jem-legacy.pt"):
    data = open(source, "rb").read()
    for size in (0, 3, 100, len(data) // 3, len(data) - 1000):
        open("cut.pt", "wb").write(data[:size])
        said = run(sys.executable, converter, "cut.pt", "bad.safetensors", code=1)
        assert len(said.splitlines()) == 1 and "Traceback" not in said, said
assert not os.path.exists("bad.safetensors")
print("all good")
