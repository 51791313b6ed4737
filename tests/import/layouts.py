"""Networks under the original names of JEM, JEM++ and SADA-JEM, for checkpoints to import. Needs torch."""
import torch
from torch import nn


class ActNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.loc = nn.Parameter(torch.randn(1, channels, 1, 1) * 0.1)
        self.scale = nn.Parameter(1 + torch.randn(1, channels, 1, 1) * 0.1)
        self.register_buffer("initialized", torch.tensor(1, dtype=torch.uint8))

    def forward(self, x):
        return self.scale * (x + self.loc)


def norm_of(norm, channels):
    layer = {"none": nn.Identity, "act": lambda: ActNorm(channels),
             "batch": lambda: nn.BatchNorm2d(channels, momentum=0.9),
             "instance": lambda: nn.InstanceNorm2d(channels, affine=True),
             "layer": lambda: nn.GroupNorm(1, channels)}[norm]()
    for name, values in layer.state_dict().items():  # what training would have left there
        if values.is_floating_point() and norm != "act":
            values.copy_(torch.rand_like(values) + 0.5 if "var" in name or "weight" in name else torch.randn_like(values) * 0.2)
    return layer


class Block(nn.Module):
    def __init__(self, inside, outside, stride, norm):
        super().__init__()
        self.bn1, self.conv1 = norm_of(norm, inside), nn.Conv2d(inside, outside, 3, padding=1)
        self.bn2, self.conv2 = norm_of(norm, outside), nn.Conv2d(outside, outside, 3, stride, padding=1)
        self.shortcut = nn.Sequential()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride))

    def forward(self, x):
        act = nn.functional.leaky_relu
        out = self.conv2(act(self.bn2(self.conv1(act(self.bn1(x), 0.2))), 0.2))
        return out + self.shortcut(x)


class WideResNet(nn.Module):
    """kind: "jem" has an unused linear layer, "jempp" names its layers twice."""

    def __init__(self, depth, widen, channels, norm, kind, classes):
        super().__init__()
        sizes, blocks = [16, 16 * widen, 32 * widen, 64 * widen], (depth - 4) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1)
        if kind == "jempp":
            self.layer_one = self.conv1
        for i in range(3):
            layers = [Block(sizes[i], sizes[i + 1], 1 if i == 0 else 2, norm)]
            layers += [Block(sizes[i + 1], sizes[i + 1], 1, norm) for _ in range(blocks - 1)]
            setattr(self, "layer%d" % (i + 1), nn.Sequential(*layers))
        self.bn1 = norm_of(norm, sizes[3])
        if kind == "jempp":
            self.other_layers = nn.ModuleList([self.layer1, self.layer2, self.layer3, self.bn1])
        if kind == "jem":
            self.linear = nn.Linear(sizes[3], classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return nn.functional.leaky_relu(self.bn1(x), 0.2).mean((2, 3))


class CCF(nn.Module):
    def __init__(self, kind="jem", depth=10, widen=1, channels=3, norm="none", classes=10):
        super().__init__()
        self.f = WideResNet(depth, widen, channels, norm, kind, classes)
        self.energy_output = nn.Linear(64 * widen, 1)
        self.class_output = nn.Linear(64 * widen, classes)

    def forward(self, x):
        return self.class_output(self.f(x))
