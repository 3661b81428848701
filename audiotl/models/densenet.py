"""DenseNet-121 (Huang, Liu, van der Maaten, Weinberger, CVPR 2017, table 1), with twelve taps."""

import torch
from torch import Tensor, nn

from audiotl import AudiotlError
from audiotl.models.layered import Layered
from audiotl.models.pooling import pool

GROWTH = 32
PARTS = ((6,), (6, 6), (12, 12), (8, 8))
"""Layers of each part of the four dense blocks; each part is a tap."""
SMALLEST = 29  # bands and frames below which nothing is left to pool between the blocks


class DenseLayer(nn.Module):
    """[batch norm, ReLU, 1x1 convolution to 128 maps, batch norm, ReLU, 3x3] to 32 new maps."""

    def __init__(self, inputs: int):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * GROWTH, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * GROWTH)
        self.conv2 = nn.Conv2d(4 * GROWTH, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(torch.relu_(self.norm1(x)))
        return self.conv2(torch.relu_(self.norm2(x)))


class DensePart(nn.ModuleList):
    """Layers in a row, each of which reads all maps before it; gives the old maps and the new."""

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = torch.cat([x, layer(x)], 1)
        return x


class DenseNet121(Layered):
    """Dense blocks of 6, 12, 24 and 16 layers; transitions between halve maps, frequency and time.

    Twelve taps, so that all 4,095 subsets can be searched: the ``stem``, the three transitions, the
    dense blocks in one part (the first) or two halves, and ``final``, the 1,024 maps that the head
    reads. The tap of a part is of the maps that its own layers **add**: all maps so far would
    contain those of earlier taps, and a search would compare layers with their own copies.

    Args:
        n_classes: outputs of the head: classes (softmax) or tags (sigmoid).
        in_channels: of an input of at least 29 bands and frames.
    """

    def __init__(self, n_classes: int, in_channels: int = 1):
        super().__init__()
        self.settings = {"n_classes": n_classes, "in_channels": in_channels}
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False),
                                  nn.BatchNorm2d(64), nn.ReLU(inplace=True),
                                  nn.MaxPool2d(3, 2, 1))
        self.body, maps = nn.ModuleDict(), 64
        for number, parts in enumerate(PARTS, 1):
            for half, layers in zip("ab" if len(parts) > 1 else ("",), parts, strict=True):
                self.body[f"dense{number}{half}"] = DensePart(
                    DenseLayer(maps + GROWTH * i) for i in range(layers))
                maps += GROWTH * layers
            if number < len(PARTS):
                self.body[f"transition{number}"] = nn.Sequential(
                    nn.BatchNorm2d(maps), nn.ReLU(inplace=True),
                    nn.Conv2d(maps, maps // 2, 1, bias=False), nn.AvgPool2d(2))
                maps //= 2
        self.final = nn.Sequential(nn.BatchNorm2d(maps), nn.ReLU(inplace=True))
        self.head = nn.Linear(maps, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def layers(self) -> dict[str, nn.Module]:
        return {"stem": self.stem, **self.body, "final": self.final}

    def start(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) < SMALLEST:
            raise AudiotlError(f"DenseNet-121 needs spectrograms of at least {SMALLEST} bands and "
                               f"frames, not {x.shape[-2]} x {x.shape[-1]}; take longer clips or a "
                               "smaller hop.")
        return super().start(x)

    def taps(self, x: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        """The maps of each tap, 64 to 1,024, first layer first; see `pool`."""
        x, out = self.start(x), {}
        for name, layer in self.layers.items():
            before = x.shape[1]
            x = layer(x)
            out[name] = pool(x[:, before:] if isinstance(layer, DensePart) else x, pooling)
        return out
