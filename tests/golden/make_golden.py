#!/usr/bin/env python3
"""Writes the golden files of tests/golden: what the network and the objective of docs/architecture.md must compute.

usage: make_golden.py [--reference DIR] [OUT]

An independent implementation in PyTorch (Debian's python3-torch), in double precision, rounded to float32 in the end;
run with /usr/bin/python3. With --reference it first checks
itself against the values of the original code found there. Fixed seeds, one thread: the same files every time.

Names in a file:
  model.*                weights under the original state_dict names, exactly representable in the type they have
  x, y                   images and labels; images are bytes v that stand for v/128 - 1
  eval.*                 logits, features, energies E(x) and E(x,y), their gradients by x; with metadata energy=head E(x) is
                         the energy head's, here and below
  x0, eval.sgld5         (SiLU only: a chain through kinks depends on the order of sums) start; after 5 noise-free steps x <- x - dE/dx; _xy: of E(x,y)
  eval.sgld5_clamped     5 steps of size 2, each gradient element clamped to +-.01, x to [-1,1]
  train.logits           in training mode: batch statistics, act norm's first batch; train.energy_grad: the gradient of sum E(x) through them
  loop.i.{xp,xl,yl,xi}   batches of a 3-step JEM loop; {sgd,adam}.losses, sgd.grad0.*, {sgd,adam}.after.*;
                         SGD: rate 1e-3, momentum .9, weight decay 5e-3; Adam: rate 1e-4
Tensors of more than 128 elements under grad0 and after are samples: value i is element i * 7919 mod size.
"""
import json
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
SAMPLE, STRIDE = 128, 7919


# ---- safetensors: length, JSON header, data ----

def read_tensors(path):
    kinds = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I64": np.int64, "U8": np.uint8, "BF16": np.uint16}
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    tensors = {}
    for name, t in header.items():
        if name != "__metadata__":
            first, last = t["data_offsets"]
            a = np.frombuffer(data[first:last], kinds[t["dtype"]]).reshape(t["shape"]).copy()
            tensors[name] = (a.astype(np.uint32) << 16).view(np.float32) if t["dtype"] == "BF16" else a
    return tensors, header.get("__metadata__", {})


class Bfloat16(np.ndarray):
    """Bits of bfloat16 numbers."""


def write_tensors(path, tensors, metadata):
    kinds = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8"}
    header, data = {"__metadata__": metadata}, b""
    for name, a in sorted(tensors.items()):
        kind = "BF16" if isinstance(a, Bfloat16) else kinds[a.dtype.name]
        raw = np.ascontiguousarray(a).tobytes()
        header[name] = {"dtype": kind, "shape": list(a.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


# ---- the network ----

class Net:
    """A Wide-ResNet over a dictionary of tensors (state); norm none, batch, instance, layer or act."""

    def __init__(self, state, depth, norm, activation, momentum=0.9, head=False):
        self.state, self.blocks, self.norm, self.head = state, (depth - 4) // 6, norm, head
        self.momentum = momentum
        self.act = {"silu": F.silu, "relu": F.relu}.get(activation, lambda v: F.leaky_relu(v, 0.2))

    def conv(self, v, name, stride=1):
        w = self.state[name + ".weight"]
        return F.conv2d(v, w, self.state[name + ".bias"], stride, w.shape[2] // 2)

    def norm_act(self, v, name, training):
        s = self.state
        if self.norm == "batch":
            v = F.batch_norm(v, s[name + ".running_mean"], s[name + ".running_var"], s[name + ".weight"],
                             s[name + ".bias"], training, self.momentum, 1e-5)
        elif self.norm == "instance":
            v = F.instance_norm(v, None, None, s[name + ".weight"], s[name + ".bias"], True, 0, 1e-5)
        elif self.norm == "layer":
            v = F.group_norm(v, 1, s[name + ".weight"], s[name + ".bias"], 1e-5)
        elif self.norm == "act":
            if training and s[name + ".initialized"] == 0:
                self.initialise(name, v.detach())
            v = s[name + ".scale"] * (v + s[name + ".loc"])
        return self.act(v)

    def initialise(self, name, v):
        """Act norm: the first training batch has mean 0 and deviation 1 in each channel."""
        flat = v.transpose(0, 1).flatten(1)
        self.state[name + ".loc"].data.copy_(-flat.mean(1).reshape(1, -1, 1, 1))
        self.state[name + ".scale"].data.copy_(1 / (flat.std(1) + 1e-6).reshape(1, -1, 1, 1))
        self.state[name + ".initialized"].fill_(1)

    def block(self, v, name, stride, training):
        r = self.conv(self.norm_act(v, name + ".bn1", training), name + ".conv1")
        r = self.conv(self.norm_act(r, name + ".bn2", training), name + ".conv2", stride)
        return r + (self.conv(v, name + ".shortcut.0", stride) if name + ".shortcut.0.weight" in self.state else v)

    def features(self, x, training=False):
        v = self.conv(x, "f.conv1")
        for stage in (1, 2, 3):
            for i in range(self.blocks):
                v = self.block(v, f"f.layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1, training)
        return self.norm_act(v, "f.bn1", training).mean((2, 3))

    def logits(self, x, training=False):
        return F.linear(self.features(x, training), self.state["class_output.weight"], self.state["class_output.bias"])

    def energy(self, x, y=None, training=False):
        if self.head and y is None:
            return -F.linear(self.features(x, training), self.state["energy_output.weight"], self.state["energy_output.bias"])[:, 0]
        f = self.logits(x, training)
        return -f.logsumexp(1) if y is None else -f.gather(1, y[:, None])[:, 0]

    def energy_grad(self, x, y=None, training=False):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(self.energy(x, y, training).sum(), x)[0]

    def chain(self, x, steps, y=None, size=1.0, clamp=None, box=False):
        for _ in range(steps):
            g = self.energy_grad(x, y)
            x = x - size * (g if clamp is None else g.clamp(-clamp, clamp))
            x = x.clamp(-1, 1) if box else x
        return x.detach()

    def trainable(self):
        unused = ("f.linear",) if self.head else ("f.linear", "energy_output")
        return [k for k in self.state
                if not k.startswith(unused) and not k.rpartition(".")[2].startswith(("running", "num", "initialized"))]


def initial_state(rng, depth, widen, classes, channels, norm):
    """Uniform weights, wide enough that energies differ; norms away from the identity."""
    state = {}

    def layer(name, shape, gain=2.4):
        bound = gain / np.sqrt(np.prod(shape[1:]))
        state[name + ".weight"] = rng.uniform(-bound, bound, shape)
        state[name + ".bias"] = rng.uniform(-bound, bound, shape[0])

    def batch_norm(name, c):
        if norm in ("batch", "instance", "layer"):
            state[name + ".weight"], state[name + ".bias"] = rng.uniform(0.5, 1.5, c), rng.uniform(-0.3, 0.3, c)
        if norm == "act":
            state[name + ".loc"], state[name + ".scale"] = np.zeros((1, c, 1, 1)), np.ones((1, c, 1, 1))
            state[name + ".initialized"] = np.zeros(())
        if norm == "batch":
            state[name + ".running_mean"], state[name + ".running_var"] = np.zeros(c), np.ones(c)

    layer("f.conv1", (16, channels, 3, 3))
    c = 16
    for stage in (1, 2, 3):
        out = 8 * widen << stage
        for i in range((depth - 4) // 6):
            name = f"f.layer{stage}.{i}"
            batch_norm(name + ".bn1", c)
            layer(name + ".conv1", (out, c, 3, 3))
            batch_norm(name + ".bn2", out)
            layer(name + ".conv2", (out, out, 3, 3))
            if c != out or (stage > 1 and i == 0):
                layer(name + ".shortcut.0", (out, c, 1, 1))
            c = out
    batch_norm("f.bn1", c)
    layer("f.linear", (10, c))
    layer("energy_output", (1, c))
    layer("class_output", (classes, c), 6)
    return state


# ---- what a file holds ----

def evaluate(net, x, y, x0=None):
    out = {"features": net.features(x), "logits": net.logits(x), "energy": net.energy(x), "energy_xy": net.energy(x, y),
           "energy_grad": net.energy_grad(x), "energy_xy_grad": net.energy_grad(x, y)}
    if x0 is not None:
        out.update({"sgld5": net.chain(x0, 5), "sgld5_xy": net.chain(x0, 5, y),
                    "sgld5_clamped": net.chain(x0, 5, size=2.0, clamp=0.01, box=True)})
    return {"eval." + k: v.detach() for k, v in out.items()}


def copy_of(net, dtype=torch.float64):
    copy = Net({k: v.detach().clone().to(dtype) if v.is_floating_point() else v for k, v in net.state.items()}, 10, net.norm, "")
    copy.blocks, copy.act, copy.momentum, copy.head = net.blocks, net.act, net.momentum, net.head
    return copy


def jem_loop(net, batches, name, decay):
    """Three steps on a copy of the net; the chain in evaluation mode, the passes in the order xp, xq, xl.

    The head's bias goes out of E(data) - E(samples). Under batch and instance norm a convolution's bias has the gradient 0. What is computed is rounding, which Adam would make a step
    of, so it is dropped before the update."""
    net = copy_of(net, next(iter(net.state.values())).dtype)
    for k in net.trainable():
        net.state[k].requires_grad_()
    params = [net.state[k] for k in net.trainable()]
    opt = torch.optim.SGD(params, 1e-3, 0.9, weight_decay=decay) if name == "sgd" else torch.optim.Adam(params, 1e-4)
    losses, out = [], {}
    for i, (xp, xl, yl, xi) in enumerate(batches):
        xq = net.chain(xi, 3)
        px = net.energy(xp, training=True).mean() - net.energy(xq, training=True).mean()
        pyx = F.cross_entropy(net.logits(xl, True), yl)
        opt.zero_grad()
        (px + pyx).backward()
        losses.append([px.item(), pyx.item()])
        if i == 0:
            out.update({f"{name}.grad0.{k}": net.state[k].grad.clone() for k in net.trainable()})
        for k in net.trainable():
            if net.norm in ("batch", "instance") and is_idle_bias(k) or k == "energy_output.bias":
                net.state[k].grad.zero_()
        opt.step()
    out[name + ".losses"] = torch.tensor(losses)
    out.update({f"{name}.after.{k}": v.detach() for k, v in net.state.items()})
    return out


def is_idle_bias(name):
    """The bias of a convolution: a batch or instance norm follows somewhere and takes it out again."""
    return name.endswith(".bias") and ("conv" in name or "shortcut" in name)


def sampled(a):
    flat = a.reshape(-1)
    return flat[np.arange(SAMPLE) * STRIDE % flat.size] if flat.size > SAMPLE else a


def distance(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return np.abs(got - want).max() / max(np.abs(want).max(), 1e-30)


# ---- files ----

def check_reference(path):
    t, meta = read_tensors(path)
    state = {k[6:]: torch.tensor(v) for k, v in t.items() if k.startswith("model.")}
    net = copy_of(Net(state, int(meta["depth"]), meta["norm"], "leaky_relu"))
    batch_norm = net.norm == "batch"
    image = lambda k: torch.tensor(t[k]).double() if t[k].dtype == np.float32 else torch.tensor(t[k])
    x, y, x0 = image("x"), image("y"), image("x0")
    worst = {k: distance(v, t[k]) for k, v in evaluate(net, x, y, x0).items() if k in t}
    worst["eval.energy_head"] = distance(Net(net.state, int(meta["depth"]), net.norm, "", head=True).energy(x).detach(), t["eval.energy_head"])
    worst["train.logits"] = distance(copy_of(net).logits(x, True), t["train.logits"])
    batches = [[image(f"loop.{i}.{k}") for k in ("xp", "xl", "yl", "xi")] for i in range(3)]
    for name in ("sgd", "adam"):
        out = jem_loop(net, batches, name, 5e-4)
        worst[name + ".losses"] = distance(out[name + ".losses"], t[name + ".losses"])
        for k, v in out.items():
            kind, stem = k.split(".", 2)[1:] if k.count(".") > 1 else ("", "")
            if kind == "grad0":
                limit = 1e-4 * np.abs(t[k]).max() + 1e-6
                worst[name + ".grad0"] = max(worst.get(name + ".grad0", 0), np.abs(v.numpy() - t[k]).max() / limit * 1e-4)
            if kind != "after" or "num_batches" in k:
                continue
            before = t["model." + stem].astype(np.float64)
            change, difference = t[k] - before, v.numpy() - t[k]
            if not change.any():
                assert not difference.any(), k
            elif batch_norm and name == "adam":  # there the dropped rounding shows: through biases, in means, in chains
                if not is_idle_bias(k) and "running_mean" not in k:
                    share = np.sqrt((difference ** 2).mean() / (change ** 2).mean())
                    worst["adam.rms"] = max(worst.get("adam.rms", 0), share)
            else:  # up to what three float32 weights are rounded by
                excess = np.maximum(np.abs(difference) - 1.5 * np.spacing(np.abs(t[k])), 0)
                worst[name + ".change"] = max(worst.get(name + ".change", 0), excess.max() / np.abs(change).max())
    print(os.path.basename(path), {k: float(f"{v:.1e}") for k, v in worst.items()})
    limits = {"adam.rms": 3e-2, "adam.change": 1e-2, "sgd.change": 2e-3}
    assert all(v < limits.get(k, 1e-4) for k, v in worst.items())


def check_float32(exact, rough, before):
    """The case must be one that float32 can compute on any instruction set: no kink or tiny gradient decides it.
    (Else: another seed.)"""
    for k, want in exact.items():
        stem = k.split(".", 2)[2] if ".after." in k else None
        base = before[stem].numpy() if stem else 0
        want, got = want.numpy() - base, rough[k].numpy().astype(np.float64) - base
        limit = 5e-3 if k.startswith("adam.after") else 1e-3 if stem else 5e-5
        slack = 1.5 * np.spacing(np.abs(rough[k].numpy()).astype(np.float32)) if stem else 5e-7 if "grad0" in k else 0
        excess = np.maximum(np.abs(got - want) - slack, 0).max()
        assert excess <= limit * np.abs(want).max(), (k, excess / np.abs(want).max())


def shifted(batches, noise):
    """Images moved by less than float32 rounds in a network."""
    move = lambda v: v + 5e-7 * (2 * torch.rand(v.shape, generator=noise, dtype=v.dtype) - 1)
    return [[move(v) if v.is_floating_point() else v for v in batch] for batch in batches]


def make(path, seed, depth, norm, activation, classes, shape, n, kind, loop=True, head=False):
    rng = np.random.RandomState(seed)
    bytes_of = lambda: rng.randint(0, 256, (n,) + shape).astype(np.uint8)
    images = lambda v: torch.tensor(v.astype(np.float64) / 128 - 1)
    state = {k: torch.tensor(v) for k, v in initial_state(rng, depth, 1, classes, shape[0], norm).items()}
    net = Net(state, depth, norm, activation, head=head)
    for _ in range(2 if norm == "batch" else 0):
        with torch.no_grad():
            net.logits(images(bytes_of()), True)
    half = torch.float16 if kind == "F16" else torch.bfloat16
    statistic = lambda k: "running" in k or "initialized" in k
    for k in state:
        state[k] = state[k].to(torch.float32 if statistic(k) else half).double()

    raw = {"x": bytes_of(), "y": rng.randint(0, classes, n), "x0": bytes_of()}
    x, y, x0 = images(raw["x"]), torch.tensor(raw["y"]), images(raw["x0"])
    if activation != "silu":
        del raw["x0"]
        x0 = None
    exact = evaluate(net, x, y, x0)
    large = exact["eval.energy_grad"].abs() > 0.01
    assert large.any() and not large.all() and (x0 is None or (exact["eval.sgld5_clamped"].abs() == 1).any())
    exact["train.logits"] = copy_of(net).logits(x, True).detach()
    if norm != "none":
        exact["train.energy_grad"] = copy_of(net).energy_grad(x, training=True)
    if loop:
        for i in range(3):
            for k in ("xp", "xl", "xi"):
                raw[f"loop.{i}.{k}"] = bytes_of()
            raw[f"loop.{i}.yl"] = rng.randint(0, classes, n)
    batches = [[images(raw[f"loop.{i}.{k}"]) if k != "yl" else torch.tensor(raw[f"loop.{i}.yl"])
                for k in ("xp", "xl", "yl", "xi")] for i in range(3 if loop else 0)]

    def everything(net, evaluated, batches):
        out = evaluate(net, *evaluated)
        for name in ("sgd", "adam") if loop else ():
            out.update(jem_loop(net, batches, name, 5e-3))
        return out

    evaluated = [x, y] + ([] if x0 is None else [x0])
    exact.update(everything(net, evaluated, batches))
    to_float = lambda group: [v.float() if v.is_floating_point() else v for v in group]
    rough = [everything(copy_of(net, torch.float32), to_float(evaluated), [to_float(g) for g in batches])]
    noise = torch.Generator().manual_seed(1)
    rough += [everything(net, shifted([evaluated], noise)[0], shifted(batches, noise)) for _ in range(6)]
    for r in rough:
        check_float32({k: v for k, v in exact.items() if k in r}, r, state)

    tensors = dict(raw)
    for k, v in state.items():
        v = v.numpy()
        if "initialized" in k:
            tensors["model." + k] = v.astype(np.uint8)
        elif statistic(k):
            tensors["model." + k] = v.astype(np.float32)
        elif kind == "F16":
            tensors["model." + k] = v.astype(np.float16)
        else:
            tensors["model." + k] = (v.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(Bfloat16)
    for k, v in exact.items():
        if not k.startswith("adam.grad0"):
            v = v.numpy().astype(np.float32)
            tensors[k] = sampled(v) if "grad0" in k or "after" in k else v
    meta = dict(format="jem", architecture="wide_resnet", depth=depth, widen_factor=1, classes=classes, channels=shape[0],
                height=shape[1], width=shape[2], norm=norm, activation=activation, **({"energy": "head"} if head else {}))
    write_tensors(path, tensors, {k: str(v) for k, v in meta.items()})
    print(path, os.path.getsize(path), "bytes; spread of E", float(f"{np.ptp(exact['eval.energy'].numpy()):.2g}"),
          "" if x0 is None else f"moved {(exact['eval.sgld5'] - x0).flatten(1).norm(dim=1).mean():.2g}")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    args = sys.argv[1:]
    reference = ""
    if args[:1] == ["--reference"]:
        reference, args = args[1], args[2:]
    out = args[0] if args else here
    for norm in ("none", "batch"):
        path = os.path.join(reference, f"wrn10x1_{norm}.safetensors")
        if os.path.exists(path):
            check_reference(path)
        else:
            print("SKIP: no", path)
    make(os.path.join(out, "none_leaky_3x16x12.safetensors"), 3, 10, "none", "leaky_relu", 7, (3, 16, 12), 2, "F16")
    make(os.path.join(out, "batch_leaky_1x12x14.safetensors"), 1, 10, "batch", "leaky_relu", 10, (1, 12, 14), 3, "F16")
    make(os.path.join(out, "none_silu_1x13x9.safetensors"), 1, 10, "none", "silu", 3, (1, 13, 9), 5, "BF16")
    make(os.path.join(out, "batch_silu_5x9x10_depth16.safetensors"), 1, 16, "batch", "silu", 4, (5, 9, 10), 2, "F16", False)
    make(os.path.join(out, "instance_relu_3x11x10.safetensors"), 7, 10, "instance", "relu", 5, (3, 11, 10), 2, "F16")
    make(os.path.join(out, "layer_silu_2x8x13.safetensors"), 1, 10, "layer", "silu", 6, (2, 8, 13), 3, "BF16")
    make(os.path.join(out, "act_leaky_1x10x9.safetensors"), 1, 10, "act", "leaky_relu", 4, (1, 10, 9), 3, "F16")
    make(os.path.join(out, "none_silu_head_2x10x8.safetensors"), 1, 10, "none", "silu", 5, (2, 10, 8), 3, "BF16", head=True)


if __name__ == "__main__":
    main()
