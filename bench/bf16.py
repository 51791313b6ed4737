#!/usr/bin/env python3
"""How far bf16 is from float32, in libjem and in PyTorch: same weights, same images.

usage: PYTHONPATH=BUILD/examples/ffi bf16.py LIBJEM.so [--depth 16] [--width 2] [--seed 0]
                                   [--model FILE.safetensors] [--data SPEC] [--images 64]

Weights are initial ones, or a model's: a Wide-ResNet of that depth and width without norms.
Images are uniform in [-1,1], or the first of a data set. Prints a
JSON line a side: errors of logits and dE/dx as a share of their norm, of energies as one of their
deviation from the mean, and the cosine of dE/dx. PyTorch's bf16 is autocast.
"""
import argparse
import ctypes
import json

import numpy as np
import torch

import jem_table as table
from peer_torch import network


class Libjem:
    def __init__(self, options):
        self.jem = table.declare(ctypes.CDLL(options.library))
        settings = self.config(f"model.depth={options.depth} model.widen_factor={options.width} "
                               f"model.seed={options.seed}")
        self.context = self.make("jem_context_create", settings)
        if options.model:
            self.model = self.make("jem_model_load", self.context, options.model.encode())
        else:
            self.model = self.make("jem_model_create", self.context, settings)
        self.settings = settings

    def check(self, status):
        if status < 0:
            text = ctypes.create_string_buffer(1024)
            self.jem.jem_last_error(text, len(text))
            raise SystemExit(text.value.decode())

    def make(self, name, *arguments):
        handle = ctypes.c_void_p()
        self.check(getattr(self.jem, name)(ctypes.byref(handle), *arguments))
        return handle

    def config(self, text):
        config = self.make("jem_config_create")
        self.check(self.jem.jem_config_parse(config, text.encode()))
        return config

    def parameter(self, name):
        at, n = self.jem.jem_model_parameter_find(self.model, name.encode()), ctypes.c_int64()
        self.check(at)
        self.check(self.jem.jem_model_parameter_info(self.model, at, None, None, None,
                                                     ctypes.byref(n), None))
        values = np.empty(n.value, np.float32)
        self.check(self.jem.jem_model_parameter_get(self.model, at, values.ctypes, values.size))
        return values

    def images(self, spec, n):
        data = self.make("jem_dataset_open", self.context, spec.encode(), self.settings)
        x, y = np.empty((n, 3, 32, 32), np.float32), np.empty(n, np.int32)
        self.check(self.jem.jem_dataset_read(data, 0, n, x.ctypes, x.size, y.ctypes))
        return x

    def answers(self, x, precision):
        runs = ctypes.c_char_p()
        self.check(self.jem.jem_model_set_precision(self.model, precision.encode()))
        self.check(self.jem.jem_model_precision(self.model, ctypes.byref(runs)))
        if runs.value.decode() != precision:
            raise SystemExit(f"bf16.py: this CPU has no {precision}")
        logits, energy = np.empty((len(x), 10), np.float32), np.empty(len(x), np.float32)
        slope = np.empty_like(x)
        self.check(self.jem.jem_model_logits(self.model, x.ctypes, len(x), logits.ctypes, logits.size))
        self.check(self.jem.jem_model_energy_gradient(self.model, x.ctypes, None, len(x),
                                                      energy.ctypes, slope.ctypes))
        return logits, energy, slope


def names(depth):
    """Of the convolutions and the last layer, in the order of peer_torch's network."""
    yield "f.conv1"
    for stage in (1, 2, 3):
        for block in range((depth - 4) // 6):
            for layer in ("conv1", "conv2", "shortcut.0"):
                yield f"f.layer{stage}.{block}.{layer}"
    yield "class_output"


class Torch:
    def __init__(self, depth, width, libjem):
        self.net = network(depth, width, lambda channels: torch.nn.Identity()).eval()
        layers = [m for m in self.net.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
        with torch.no_grad():
            known = [n for n in names(depth)
                     if "shortcut" not in n or libjem.jem.jem_model_parameter_find(
                         libjem.model, (n + ".weight").encode()) >= 0]
            assert len(known) == len(layers)
            for name, layer in zip(known, layers):
                for kind in ("weight", "bias"):
                    into = getattr(layer, kind)
                    into.copy_(torch.tensor(libjem.parameter(f"{name}.{kind}")).view(into.shape))

    def answers(self, x, precision):
        x = torch.tensor(x, requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = self.net(x).float()
        energy = -logits.logsumexp(1)
        slope, = torch.autograd.grad(energy.sum(), x)
        return [t.detach().numpy() for t in (logits, energy, slope)]


def error(got, want, about=0.0):
    return float(np.linalg.norm(got - want) / np.linalg.norm(want - about))


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("library")
    for name, value in {"depth": 16, "width": 2, "seed": 0, "images": 64, "model": "", "data": ""}.items():
        parser.add_argument("--" + name, type=type(value), default=value)
    return parser.parse_args()


def main():
    options = parse()
    libjem = Libjem(options)
    x = (libjem.images(options.data, options.images) if options.data else
         np.random.default_rng(1).uniform(-1, 1, (options.images, 3, 32, 32)).astype(np.float32))
    for name, side in ("libjem", libjem), ("torch", Torch(options.depth, options.width, libjem)):
        want, got = (side.answers(x, precision) for precision in ("f32", "bf16"))
        a, b = got[2].ravel().astype(float), want[2].ravel().astype(float)
        print(json.dumps({"side": name, "logits_error": round(error(got[0], want[0]), 5),
                          "energy_error": round(error(got[1], want[1], want[1].mean()), 5),
                          "gradient_error": round(error(a, b), 5),
                          "gradient_cosine": round(float(a @ b / np.sqrt((a @ a) * (b @ b))), 6),
                          **{k: v for k, v in vars(options).items() if k != "library"}}), flush=True)


if __name__ == "__main__":
    main()
