"""ResNet-18, -34 and -50 (He, Zhang, Ren, Sun, CVPR 2016, table 1): a tap per residual block.

Strides are those of the paper, with the stride of a bottleneck on its 3x3 convolution, as most
libraries have it: the stem halves frequency and time twice, and the second, third and fourth stage
halve them once more each.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiotl.models.layered import Layered

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""Residual blocks of each of the four stages, by depth."""


class Convolution(nn.Conv2d):
    """A convolution without bias, ``size // 2`` zeros on each side.

    With fewer positions in a batch than maps it trains as one matrix product, which takes a CPU
    half the time in bfloat16, and on AVX2; in float32 on AVX-512 it takes longer.
    """

    channels_first = False  # of the weights, and so of `x`: see `training.lay_out`

    def __init__(self, inputs: int, outputs: int, size: int, stride: int):
        super().__init__(inputs, outputs, size, stride, size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_first and not x.is_contiguous():
            return super().forward(x.contiguous()).contiguous(memory_format=torch.channels_last)
        stride, size = self.stride[0], self.kernel_size[0]
        high, wide = (-(-length // stride) for length in x.shape[2:])
        by_map = x.device.type == "cpu" and not self.weight.is_contiguous()  # channels last
        faster = (torch.is_autocast_enabled("cpu")
                  or torch.backends.cpu.get_cpu_capability() != "AVX512")
        if not (self.training and by_map and faster) or len(x) * high * wide >= self.out_channels:
            return super().forward(x)
        x = functional.pad(x.permute(0, 2, 3, 1), (0, 0, *4 * (size // 2,)))
        seen = torch.cat([x[:, i:i + stride * high:stride, j:j + stride * wide:stride]
                          for i in range(size) for j in range(size)], -1)
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        return functional.linear(seen, weight).permute(0, 3, 1, 2)


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Convolution and batch norm."""
    return nn.Sequential(Convolution(inputs, outputs, size, stride), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """``relu(body(x) + shortcut(x))``: two 3x3 convolutions, or a bottleneck of 1x1, 3x3 and 1x1.

    Args:
        inputs: maps that come in.
        width: maps inside; they are the maps that go out, or a quarter of them in a bottleneck.
        stride: of the first 3x3 convolution; if the shape changes, the shortcut is a strided 1x1.
    """

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool):
        super().__init__()
        self.outputs = 4 * width if bottleneck else width
        relu = nn.ReLU(inplace=True)
        if bottleneck:
            parts = [convolution(inputs, width, 1), relu, convolution(width, width, 3, stride),
                     relu, convolution(width, self.outputs, 1)]
        else:
            parts = [convolution(inputs, width, 3, stride), relu, convolution(width, width, 3)]
        self.body = nn.Sequential(*parts)
        same = stride == 1 and inputs == self.outputs
        self.shortcut = nn.Identity() if same else convolution(inputs, self.outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(self.body(x) + self.shortcut(x))


class ResNet(Layered):
    """A residual network with a tap after the stem and after each residual block.

    Args:
        n_classes: outputs of the head: classes (softmax) or tags (sigmoid).
        depth: 18, 34 or 50.
    """

    def __init__(self, n_classes: int, depth: int = 18, in_channels: int = 1):
        super().__init__()
        self.settings = {"n_classes": n_classes, "depth": depth, "in_channels": in_channels}
        self.stem = nn.Sequential(*convolution(in_channels, 64, 7, 2), nn.ReLU(inplace=True),
                                  nn.MaxPool2d(3, 2, 1))
        self.blocks, maps = nn.ModuleList(), 64
        for stage, count in enumerate(BLOCKS[depth]):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                self.blocks.append(Residual(maps, 64 * 2**stage, stride, depth == 50))
                maps = self.blocks[-1].outputs
        self.head = nn.Linear(maps, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def layers(self) -> dict[str, nn.Module]:
        blocks = {f"block{i + 1}": block for i, block in enumerate(self.blocks)}
        return {"stem": self.stem} | blocks
