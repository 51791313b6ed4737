#!/usr/bin/env python3
"""The work of jem_bench in PyTorch: the other side of bench/compare.sh.

usage: peer_torch.py [--depth 16] [--width 2] [--batch 64] [--norm none|batch] [--precision f32|bf16]
                     [--layout channels_last|contiguous] [--sample-mode eval|train] [--steps 20]
                     [--repeat 5] [--threads 2] [--only forward,sgld_step,jem_step]

The network is JEM's Wide-ResNet on 3x32x32 images with ten classes; what each part does and how
gflops counts stand in bench/jem_bench.c. bf16 is autocast. Prints a JSON line a part.
"""
import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional

CLASSES, SIDE, SLOPE, SGLD_STEPS = 10, 32, 0.2, 5


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    numbers = {"depth": 16, "width": 2, "batch": 64, "steps": 20, "repeat": 5, "threads": 2}
    texts = {"norm": "none", "precision": "f32", "layout": "channels_last", "sample-mode": "eval",
             "only": "forward,sgld_step,jem_step"}
    for name, value in {**numbers, **texts}.items():
        parser.add_argument("--" + name, type=type(value), default=value)
    return parser.parse_args()


class Residual(nn.Module):
    """norm, LeakyReLU, 3x3, norm, LeakyReLU, 3x3 with the stride; a bare 1x1 where shapes change."""

    def __init__(self, channels, outputs, stride, norm):
        super().__init__()
        self.before = norm(channels)
        self.first = nn.Conv2d(channels, outputs, 3, padding=1)
        self.between = norm(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1)
        same = stride == 1 and channels == outputs
        self.around = nn.Identity() if same else nn.Conv2d(channels, outputs, 1, stride=stride)

    def forward(self, x):
        y = self.first(functional.leaky_relu(self.before(x), SLOPE))
        y = self.second(functional.leaky_relu(self.between(y), SLOPE))
        return y + self.around(x)


def network(depth, width, norm):
    layers, channels = [nn.Conv2d(3, 16, 3, padding=1)], 16
    for stage in range(3):
        outputs = 16 * width << stage
        for block in range((depth - 4) // 6):
            layers.append(Residual(channels, outputs, 2 if stage and not block else 1, norm))
            channels = outputs
    layers += [norm(channels), nn.LeakyReLU(SLOPE), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
               nn.Linear(channels, CLASSES)]
    return nn.Sequential(*layers)


def multiply_adds(net):
    """Of one image: convolutions and linear layers, by their outputs."""
    total = [0]

    def add(module, _, output):
        pixels = output[0, 0].numel() if output.dim() == 4 else 1
        total[0] += pixels * module.weight.numel()

    hooks = [m.register_forward_hook(add) for m in net.modules()
             if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        net(torch.zeros(1, 3, SIDE, SIDE))
    for hook in hooks:
        hook.remove()
    return total[0]


class Work:
    def __init__(self, options):
        torch.set_num_threads(options.threads)
        torch.manual_seed(0)
        self.options = options
        self.format = (torch.channels_last if options.layout == "channels_last"
                       else torch.contiguous_format)
        norm = nn.BatchNorm2d if options.norm == "batch" else lambda channels: nn.Identity()
        self.net = network(options.depth, options.width, norm)
        self.multiply_adds = multiply_adds(self.net)
        self.net = self.net.to(memory_format=self.format)
        self.adam = torch.optim.Adam(self.net.parameters(), 1e-4)
        self.x = [self.images() for _ in range(3)]
        self.y = torch.randint(CLASSES, (options.batch,))

    def images(self):
        x = 2 * torch.rand(self.options.batch, 3, SIDE, SIDE) - 1
        return x.contiguous(memory_format=self.format)

    def log_px(self, x):
        return self.logits(x).logsumexp(1)

    def logits(self, x):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.precision == "bf16"):
            return self.net(x).float()

    def chains(self, steps):
        self.net.train(self.options.sample_mode == "train")
        x = self.x[0].clone()
        for _ in range(steps):
            x.requires_grad_()
            slope, = torch.autograd.grad(self.log_px(x).sum(), x)
            x = x.detach() + slope + 0.01 * torch.randn_like(x)
        self.net.train()
        return x

    def forward(self):
        self.net.eval()
        with torch.no_grad():
            self.log_px(self.x[0])

    def sgld_step(self):
        self.chains(SGLD_STEPS)

    def jem_step(self):
        samples = self.chains(self.options.steps)
        loss = self.log_px(samples).mean() - self.log_px(self.x[1]).mean()
        loss = loss + functional.cross_entropy(self.logits(self.x[2]), self.y)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()


def main():
    options = parse()
    work = Work(options)
    # Repetitions in a call, and passes of the network in each.
    parts = {"forward": (1, 1), "sgld_step": (SGLD_STEPS, 2), "jem_step": (1, 2 * options.steps + 9)}
    for name in options.only.split(","):
        per, passes = parts[name]
        run, taken = getattr(work, name), []
        run()
        for _ in range(options.repeat):
            begin = time.perf_counter()
            run()
            taken.append((time.perf_counter() - begin) / per)
        median = statistics.median(taken)
        flops = 2 * work.multiply_adds * options.batch * passes
        print(json.dumps({"what": name, "ms": round(1e3 * median, 3), "ms_min": round(1e3 * min(taken), 3),
                          "gflops": round(flops / median / 1e9),
                          "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
                          "torch": torch.__version__, **vars(options)}), flush=True)


if __name__ == "__main__":
    main()
