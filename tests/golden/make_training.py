#!/usr/bin/env python3
"""Writes tests/golden/training_*.safetensors: steps of SAM, Nesterov's momentum, p(x,y), averaged weights, cosine rates.

usage: make_training.py [OUT]

Beside make_golden.py, whose network and weights (the model.* of the file named in the metadata, entry base) it uses;
optimizers, averages and schedules are PyTorch's own. Double precision, rounded to float32 in the end.

Names in a file:
  loop.i.{xp,xl,yl,xi}    batches of three steps: for p(x), labelled with labels, starts of chains; bytes v: v/128 - 1
  RULE.losses             per step: of p(x), of p(x,y), of p(y|x); before the step, at its weights
  RULE.up.*               the weights of the second gradient of step 0 (SAM)
  RULE.after.*            parameters and running statistics after three steps
  average.after.*         the average of the models after steps 1, 2, 3 of rule nesterov, decay .7, weights corrected
  cosine.rates            rates of 20 steps: 4 of warm-up to 1, then a cosine to .1
Tensors of more than 128 elements are samples: value i is element i * 7919 mod size.
"""
import math
import os
import sys
import warnings

import numpy as np
import torch
import torch.nn.functional as F

from make_golden import Net, check_float32, copy_of, read_tensors, sampled, shifted, write_tensors

STEPS, CHAIN, DECAY = 3, 3, 0.7
SGD = lambda p, **more: torch.optim.SGD(p, 1e-2, 0.9, weight_decay=5e-3, **more)
RULES = {
    "sam": dict(make=SGD, rho=0.5, adaptive=False, px=1, pxy=0, pyx=1),
    "asam": dict(make=SGD, rho=2, adaptive=True, px=1, pxy=0, pyx=1),
    "sam_adam": dict(make=lambda p: torch.optim.Adam(p, 1e-3, eps=1e-3), rho=0.5, adaptive=False, px=1, pxy=0, pyx=1),
    "nesterov": dict(make=lambda p: SGD(p, nesterov=True), rho=0, px=1, pxy=0, pyx=1),
    "joint": dict(make=SGD, rho=0, px=0.5, pxy=0.7, pyx=1),
}


class Weights(torch.nn.Module):
    """A net's tensors, for AveragedModel."""

    def __init__(self, net):
        super().__init__()
        trainable = net.trainable()
        for k, v in net.state.items():
            name = k.replace(".", "/")
            if k in trainable:
                self.register_parameter(name, torch.nn.Parameter(v.detach().clone()))
            else:
                self.register_buffer(name, v.detach().clone())


def objective(net, rule, batch, xq, xj):
    """The loss, its forward passes in the order x_p, x_q, x_j, labelled; and its three parts."""
    xp, xl, yl, _ = batch
    px = pxy = torch.zeros(())
    if rule["px"]:
        px = net.energy(xp, training=True).mean() - net.energy(xq, training=True).mean()
    sampled_energy = net.energy(xj, yl, True).mean() if rule["pxy"] else 0
    f = net.logits(xl, True)
    if rule["pxy"]:
        pxy = -f.gather(1, yl[:, None]).mean() - sampled_energy
    pyx = F.cross_entropy(f, yl)
    return rule["px"] * px + rule["pxy"] * pxy + rule["pyx"] * pyx, [px.item(), pxy.item(), pyx.item()]


def ascend(params, rule):
    """Foret et al. 2020; adaptive: Kwon et al. 2021."""
    with torch.no_grad():
        scaled = [p.abs() * p.grad if rule["adaptive"] else p.grad for p in params]
        norm = torch.stack([s.norm() for s in scaled]).norm()
        for p in params:
            p.add_((p ** 2 if rule["adaptive"] else 1) * p.grad * (rule["rho"] / (norm + 1e-12)))


def run(net, name, batches):
    rule = RULES[name]
    net = copy_of(net, next(iter(net.state.values())).dtype)
    names = net.trainable()
    params = [net.state[k].requires_grad_() for k in names]
    opt = rule["make"](params)
    losses, out, average = [], {}, None
    for i, batch in enumerate(batches):
        xi, yl = batch[3], batch[2]
        xq, xj = net.chain(xi, CHAIN), net.chain(xi, CHAIN, yl)

        def gradients():
            opt.zero_grad()
            loss, parts = objective(net, rule, batch, xq, xj)
            loss.backward()
            return parts

        losses.append(gradients())
        if rule["rho"]:
            kept, momentum = [p.detach().clone() for p in params], net.momentum
            ascend(params, rule)
            if i == 0:
                out.update({f"{name}.up.{k}": net.state[k].detach().clone() for k in names})
            net.momentum = 0  # running statistics stay
            gradients()
            net.momentum = momentum
            with torch.no_grad():
                for p, k in zip(params, kept):
                    p.copy_(k)
        opt.step()
        if average is None:
            rule_of = lambda a, p, n: a + (p - a) * (1 - DECAY) / (1 - DECAY ** (n + 1))
            average = torch.optim.swa_utils.AveragedModel(Weights(net), avg_fn=rule_of, use_buffers=True)
        average.update_parameters(Weights(net))
    out[name + ".losses"] = torch.tensor(losses)
    used = lambda k: not k.startswith(("f.linear", "energy_output"))
    out.update({f"{name}.after.{k}": v.detach() for k, v in net.state.items() if used(k)})
    if name == "nesterov":
        means = {k[len("module."):].replace("/", "."): v for k, v in average.state_dict().items() if "module." in k}
        out.update({f"average.after.{k}": v for k, v in means.items() if used(k)})
    return out


def cosine_rates():
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    rise = torch.optim.lr_scheduler.LambdaLR(opt, lambda i: (i + 1) / 4)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 16, 0.1)
    both = torch.optim.lr_scheduler.SequentialLR(opt, [rise, fall], [4])
    rates = []
    for _ in range(20):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        both.step()
    return torch.tensor(rates, dtype=torch.float64)


def make(path, base, seed, n, rules):
    here = os.path.dirname(os.path.abspath(__file__))
    tensors, meta = read_tensors(os.path.join(here, base + ".safetensors"))
    widened = lambda v: torch.tensor(v.astype(np.float64))
    state = {k[len("model."):]: widened(v) for k, v in tensors.items() if k.startswith("model.")}
    net = copy_of(Net(state, int(meta["depth"]), meta["norm"], meta["activation"]))
    rng = np.random.RandomState(seed)
    shape = tuple(int(meta[k]) for k in ("channels", "height", "width"))
    raw = {}
    for i in range(STEPS):
        for k in ("xp", "xl", "xi"):
            raw[f"loop.{i}.{k}"] = rng.randint(0, 256, (n,) + shape).astype(np.uint8)
        raw[f"loop.{i}.yl"] = rng.randint(0, int(meta["classes"]), n)
    image = lambda v: torch.tensor(v.astype(np.float64) / 128 - 1) if v.dtype == np.uint8 else torch.tensor(v)
    batches = [[image(raw[f"loop.{i}.{k}"]) for k in ("xp", "xl", "yl", "xi")] for i in range(STEPS)]

    def everything(net, batches):
        out = {}
        for name in rules:
            out.update(run(net, name, batches))
        return out

    exact = everything(net, batches)
    noise = torch.Generator().manual_seed(1)
    to_float = lambda group: [v.float() if v.is_floating_point() else v for v in group]
    rough = [everything(copy_of(net, torch.float32), [to_float(b) for b in batches])]
    rough += [everything(net, shifted(batches, noise)) for _ in range(4)]
    for r in rough:
        check_float32(exact, r, state)
    out = dict(raw)
    for k, v in exact.items():
        out[k] = sampled(v.numpy().astype(np.float32))
    if "nesterov" in rules:
        out["cosine.rates"] = cosine_rates().numpy().astype(np.float32)
    write_tensors(path, out, {"base": base})
    print(path, os.path.getsize(path), "bytes")
    for name in rules:
        print(" ", name, exact[name + ".losses"].numpy().round(4).tolist())


def main():
    warnings.simplefilter("ignore")  # SequentialLR's own
    assert math.isclose(cosine_rates()[3].item(), 1) and math.isclose(cosine_rates()[4].item(), 1)
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    make(os.path.join(out, "training_batch.safetensors"), "batch_silu_5x9x10_depth16", 5, 3,
         ["sam", "asam", "nesterov", "joint"])
    make(os.path.join(out, "training_none.safetensors"), "none_silu_1x13x9", 6, 4, ["sam_adam", "joint"])


if __name__ == "__main__":
    main()
