#!/usr/bin/env python3
"""How near the class Gaussians that a model carries are to those of the data.

usage: starts.py --data SOURCE [--jem build/examples/cli/jem] [--ranks 0,8,16,32,64,128]

For each rank: MB of the tensors in the model file, and the error of the covariance matrices
relative to their own Frobenius norm, mean over the classes: mean |F F' + D - C| / |C|. The same
for a bank of 100 images a class and for 512 of them, which chains may mix instead.
SOURCE as `jem train` takes it (idx:DIR, cifar:DIR, ...). Needs NumPy, and memory for two
covariance matrices of a class.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy

arg = argparse.ArgumentParser(usage=__doc__)
arg.add_argument("--data", required=True)
arg.add_argument("--jem", default="build/examples/cli/jem")
arg.add_argument("--ranks", default="0,8,16,32,64,128")
a = arg.parse_args()
TYPES = {"F32": numpy.float32, "BF16": numpy.uint16, "U8": numpy.uint8, "I32": numpy.int32,
         "U32": numpy.uint32}


def tensors(path):
    """Those of a safetensors file by name."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    read = {}
    for name, t in header.items():
        first, end = t["data_offsets"]
        values = numpy.frombuffer(data[start + first:start + end], TYPES[t["dtype"]])
        if t["dtype"] == "BF16":
            values = (values.astype(numpy.uint32) << 16).view(numpy.float32)
        read[name] = values.reshape(t["shape"])
    return read


def jem(*command):
    return subprocess.run([a.jem, *command], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def covariance(x):
    x = x - x.mean(0)
    return x.T @ x / len(x)


def error(got, want):
    return numpy.linalg.norm(got - want) / numpy.linalg.norm(want)


def mixed(x, n):
    """What chains that mix n of the images have."""
    return covariance(x[numpy.random.default_rng(0).choice(len(x), n, replace=False)])


with tempfile.TemporaryDirectory() as folder:
    # Any network will do: the Gaussians do not look at it.
    jem("train", "--data", a.data, "--output", f"{folder}/run", "--iterations", "1",
        "--dataset.limit=200", "--model.depth=10", "--trainer.px=0", "--sample-every", "0")
    jem("pack", "--data", a.data, "--output", f"{folder}/data.jem")
    data = tensors(f"{folder}/data.jem")
    carried, explained = {}, {}
    for rank in a.ranks.split(","):
        path = f"{folder}/{rank}.safetensors"
        explained[rank] = json.loads(jem("starts", "--model", f"{folder}/run/model.safetensors",
                                         "--data", a.data, "--rank", rank, "--output", path))
        carried[rank] = tensors(path)
    y = data["labels"]
    errors = {}
    for c in range(y.max() + 1):
        x = data["images"][y == c].reshape(numpy.count_nonzero(y == c), -1)
        x = x.astype(numpy.float32) / numpy.float32(127.5) - 1
        want = covariance(x)
        for rank, t in carried.items():
            got = numpy.diag(t["starts.rest"][c].ravel().astype(numpy.float32) ** 2)
            if int(rank):
                f = t["starts.factor"][c].reshape(int(rank), -1)
                got += f.T @ f
            errors.setdefault(f"rank {rank}", []).append(error(got, want))
        for n in 100, 512:
            errors.setdefault(f"{n} images", []).append(error(mixed(x, n), want))

for name, of in errors.items():
    line = {"kept": name, "error": round(sum(of) / len(of), 4)}
    if name.startswith("rank"):
        told = explained[name.split()[1]]
        line |= {"MB": round(told["bytes"] / 1e6, 2),
                 "explained_variance": round(told["explained_variance"], 3)}
    print(json.dumps(line))
