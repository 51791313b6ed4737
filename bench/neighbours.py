#!/usr/bin/env python3
"""Samples beside where their chains began and the training images nearest to them.

usage: neighbours.py --model M.safetensors --mnist DIR --output O.png
                     [--jem build/examples/cli/jem] [--seed N] [--steps 300]

Two chains of each class. Columns: start, sample, and the three training images of least
Euclidean distance. Prints, over all chains, the mean distance of a sample to its nearest
training image beside that of a test image to its nearest: copies would be far below it.
Needs NumPy and Pillow.
"""
import argparse
import gzip
import pathlib
import subprocess
import tempfile

import numpy
from PIL import Image

arg = argparse.ArgumentParser(usage=__doc__)
arg.add_argument("--model", required=True)
arg.add_argument("--mnist", required=True)
arg.add_argument("--output", required=True)
arg.add_argument("--jem", default="build/examples/cli/jem")
arg.add_argument("--seed", default="0")
arg.add_argument("--steps", default="300")
a = arg.parse_args()
EACH, NEAREST, SIDE, GAP = 2, 3, 28, 2


def images(name):
    for path in pathlib.Path(a.mnist).glob(name + "*"):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return numpy.frombuffer(data, numpy.uint8, offset=16).reshape(-1, SIDE * SIDE) / 127.5 - 1
    raise SystemExit(f"neighbours.py: no {name} in {a.mnist}")


def chains(steps, folder):
    path = f"{folder}/{steps}.npy"
    subprocess.run([a.jem, "sample", "--model", a.model, "--per-class", str(EACH), "--as-trained",
                    "--start-from", "uniform", "--seed", a.seed, "--steps", steps,
                    "--output", path], check=True, stdout=subprocess.DEVNULL)
    return numpy.load(path).reshape(-1, SIDE * SIDE)


def nearest(x, train, count):
    """Indices and distances [len(x), count]."""
    squares = (x ** 2).sum(1)[:, None] + (train ** 2).sum(1) - 2 * x @ train.T
    order = numpy.argsort(squares, 1)[:, :count]
    return order, numpy.sqrt(numpy.maximum(numpy.take_along_axis(squares, order, 1), 0))


with tempfile.TemporaryDirectory() as folder:
    start, sample = chains("0", folder), chains(a.steps, folder)
train, test = images("train-images"), images("t10k-images")[:200]
order, distance = nearest(sample, train, NEAREST)
print(f"distance to the nearest training image: samples {distance[:, 0].mean():.2f} (least "
      f"{distance[:, 0].min():.2f}), test images {nearest(test, train, 1)[1].mean():.2f}")

rows = [numpy.stack([start[i], sample[i], *train[order[i]]]) for i in range(len(sample))]
half = len(rows) // 2  # two blocks side by side
cell = SIDE + GAP
sheet = numpy.full((half * cell, 2 * (2 + NEAREST) * cell + 4 * GAP), 128, numpy.uint8)
for i, row in enumerate(rows):
    left = (2 + NEAREST) * cell * (i // half) + 4 * GAP * (i // half)
    for j, image in enumerate(row):
        y, x = i % half * cell, left + j * cell
        pixels = numpy.clip((image + 1) * 127.5, 0, 255).astype(numpy.uint8)
        sheet[y:y + SIDE, x:x + SIDE] = pixels.reshape(SIDE, SIDE)
Image.fromarray(sheet).resize((2 * sheet.shape[1], 2 * sheet.shape[0]), Image.NEAREST).save(a.output)
