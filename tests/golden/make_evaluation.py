#!/usr/bin/env python3
"""Writes tests/golden/evaluation.safetensors: what docs/evaluation.md's numbers must be.

usage: make_evaluation.py [OUT]

An independent implementation in PyTorch and numpy, in double precision (run with /usr/bin/python3 and Debian's
python3-torch, as make_golden.py). Network and images are those of none_silu_1x13x9.safetensors beside it.
Fixed seeds: the same file every time.

Names in the file:
  score.*                of x, one number an image; refine_*: a chain of 4 steps, step size 5, gradient clamp .02, box, no noise
  attack.y               labels: the network's own answer for x
  attack.{linf,l2}       x after projected gradient descent on the cross-entropy, 6 steps, no random start; an image that is
                         misclassified stops. metadata: eps.*, step.*
  curve.logits, curve.y  200 x 7; curve.{accuracy,nll,brier,ece,temperature,nll_scaled}
  frechet.a, .b          features [n,d]; .few: fewer images than features (singular); frechet.{ab,few}: distances
  inception.p            probabilities [n,k]; inception.{one,splits}: mean and deviation, in 1 and in 4 parts
"""
import json
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

from make_golden import Net, write_tensors

CHAIN = dict(steps=4, size=5.0, clamp=0.02, box=True)
ATTACKS = {"linf": (0.03, 0.01), "l2": (0.2, 0.06)}


def read(path):
    """read_tensors, and bfloat16 as float32."""
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header, data = json.loads(f.read(size)), f.read()
    kinds = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "U8": np.uint8, "BF16": np.uint16}
    tensors = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        a = np.frombuffer(data[slice(*t["data_offsets"])], kinds[t["dtype"]]).reshape(t["shape"])
        tensors[name] = (a.astype(np.uint32) << 16).view(np.float32) if t["dtype"] == "BF16" else a.copy()
    return tensors, header["__metadata__"]


def scores(net, x):
    f = net.logits(x).detach()
    p = f.softmax(1)
    mass = lambda v: -net.energy_grad(v).flatten(1).norm(dim=1)
    moved = net.chain(x, **CHAIN)
    return {"log_px": f.logsumexp(1), "max_softmax": p.max(1)[0], "max_logit": f.max(1)[0],
            "neg_entropy": (p * p.log()).sum(1), "mass": mass(x),
            "refine_log_px": f.logsumexp(1) - net.logits(moved).detach().logsumexp(1),
            "refine_distance": -(moved - x).flatten(1).norm(dim=1), "refine_mass": mass(x) - mass(moved)}


def attack(net, x0, y, norm, eps, size, steps=6):
    x = x0.clone()
    for _ in range(steps):
        x.requires_grad_()
        f = net.logits(x)
        g = torch.autograd.grad(F.cross_entropy(f, y, reduction="sum"), x)[0]
        x = x.detach()
        if norm == "linf":
            new = x + size * g.sign()
            new = torch.min(torch.max(new, x0 - eps), x0 + eps)
        else:
            new = x + size * g / g.flatten(1).norm(dim=1)[:, None, None, None]
            by = new - x0
            length = by.flatten(1).norm(dim=1)[:, None, None, None]
            new = torch.where(length > eps, x0 + by * eps / length, new)
        right = (f.argmax(1) == y)[:, None, None, None]
        x = torch.where(right, new.clamp(-1, 1), x)
    return x


def curve_numbers(f, y):
    n, k = f.shape
    f = f.astype(np.float64)

    def log_p(t):
        z = f / t
        z = z - z.max(1, keepdims=True)
        return z - np.log(np.exp(z).sum(1, keepdims=True))

    nll = lambda t: -log_p(t)[np.arange(n), y].mean()
    p = np.exp(log_p(1))
    top, right = p.max(1), p.argmax(1) == y
    ece = 0
    for b in range(20):
        inside = (top > b / 20) & (top <= (b + 1) / 20)
        if inside.any():
            ece += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    low, high = np.log(1e-3), np.log(1e3)  # golden section: NLL has one valley in log T
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(200):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if nll(np.exp(a)) < nll(np.exp(b)):
            high = b
        else:
            low = a
    t = np.exp((low + high) / 2)
    return {"accuracy": right.mean(), "nll": nll(1), "brier": ((p - np.eye(k)[y]) ** 2).sum(1).mean(), "ece": ece,
            "temperature": t, "nll_scaled": nll(t)}


def frechet(a, b):
    """Heusel et al. 2017, equation 6, by the eigenvalues of the product of the covariances."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(s @ t).astype(complex)).real.sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * root


def inception(p, parts):
    out = []
    for q in np.array_split(p.astype(np.float64), parts):
        out.append(np.exp((q * (np.log(q) - np.log(q.mean(0)))).sum(1).mean()))
    return [np.mean(out), np.std(out)]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "evaluation.safetensors")
    t, meta = read(os.path.join(here, "none_silu_1x13x9.safetensors"))
    state = {k[6:]: torch.tensor(v).double() for k, v in t.items() if k.startswith("model.")}
    net = Net(state, int(meta["depth"]), meta["norm"], meta["activation"])
    x = torch.tensor(t["x"].astype(np.float64) / 128 - 1)
    y = net.logits(x).argmax(1)

    def everything(v):
        values = {"score." + k: s for k, s in scores(net, v).items()}
        values.update({"attack." + k: attack(net, v, y, k, *a) for k, a in ATTACKS.items()})
        return values

    exact = everything(x)
    noise = torch.Generator().manual_seed(1)
    for _ in range(8):  # a case that rounding decides is none: another seed
        moved = everything(x + 5e-7 * (2 * torch.rand(x.shape, generator=noise, dtype=x.dtype) - 1))
        for k in exact:
            assert (moved[k] - exact[k]).abs().max() <= 2e-5 * max(1, exact[k].abs().max()), k
    for k, (eps, _) in ATTACKS.items():
        held = net.logits(exact["attack." + k]).argmax(1) == y
        assert held.any() and not held.all(), (k, held)  # some images hold, some do not
        print(k, "robust", held.tolist())

    rng = np.random.RandomState(5)
    tensors = {k: v.detach().numpy().astype(np.float32) for k, v in exact.items()}
    tensors["attack.y"] = y.numpy()
    f = rng.normal(0, 3, (200, 7)).astype(np.float32)
    labels = np.where(rng.uniform(size=200) < 0.6, f.argmax(1), rng.randint(0, 7, 200))
    tensors.update({"curve.logits": f, "curve.y": labels})
    tensors.update({"curve." + k: np.array([v]) for k, v in curve_numbers(f, labels).items()})
    mix = rng.normal(0, 1, (6, 6))
    a = (rng.normal(0, 1, (50, 6)) @ mix + 0.3).astype(np.float32)
    b = (rng.normal(0, 1, (40, 6)) @ (mix + 0.4 * rng.normal(0, 1, (6, 6)))).astype(np.float32)
    tensors.update({"frechet.a": a, "frechet.b": b, "frechet.few": b[:4], "frechet.ab": np.array([frechet(a, b)]),
                    "frechet.few_distance": np.array([frechet(a, b[:4])])})
    p = rng.dirichlet([0.3] * 5, 43).astype(np.float32) + np.float32(1e-6)
    p = (p / p.sum(1, keepdims=True)).astype(np.float32)
    tensors.update({"inception.p": p, "inception.one": np.array(inception(p, 1)), "inception.splits": np.array(inception(p, 4))})
    meta = {f"{n}.{k}": str(v) for k, a in ATTACKS.items() for n, v in zip(("eps", "step"), a)}
    write_tensors(out, tensors, meta)
    print(out, os.path.getsize(out), "bytes")


if __name__ == "__main__":
    main()
