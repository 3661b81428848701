"""The five-layer ConvNet of Choi et al. 2017 (section 2.1), for spectrograms of any length."""

import torch
from torch import Tensor, nn

from audiotl.models.layered import Layered
from audiotl.models.pooling import pool

PAPER_POOLS = ((2, 4), (3, 4), (2, 5), (2, 4), (4, 4))
"""Pools (frequency, time) of the paper, which bring its 96 x 1360 input down to 1 x 1."""


class ConvNet5(Layered):
    """Five blocks of [convolution 3x3, batch norm, max pool, ELU], then a mean and a linear head.

    The paper pools after the ELU. A maximum and an increasing function commute, so the values are
    the same, and the ELU sees a quarter of the points. Where the paper's last pool leaves a single
    position, a mean over what is left stands in, so that clips of any length fit.

    Args:
        n_classes: outputs of the head: classes (softmax) or tags (sigmoid).
        width: maps a block (32 in the paper).
        pools: (frequency, time) of each block's pool; of 64 bands 2 x 2 leaves 2.

    >>> sum(p.numel() for p in ConvNet5(50, pools=PAPER_POOLS).parameters())
    39122
    """

    def __init__(self, n_classes: int, width: int = 32, pools=5 * ((2, 2),), in_channels: int = 1,
                 dropout: float = 0.0):
        super().__init__()
        self.settings = {"n_classes": n_classes, "width": width,
                         "pools": [list(pool) for pool in pools],
                         "in_channels": in_channels, "dropout": dropout}
        channels = [in_channels] + [width] * 5
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels[i], channels[i + 1], 3, padding=1, bias=False),
                          nn.BatchNorm2d(channels[i + 1]), nn.MaxPool2d(tuple(pool)),
                          nn.ELU())
            for i, pool in enumerate(pools))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, n_classes)

    @property
    def layers(self) -> dict[str, nn.Module]:
        return {f"layer{i + 1}": block for i, block in enumerate(self.blocks)}

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.last(x)))

    def taps(self, x: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        """After each pool, first layer first: five blocks of ``(batch, width)``; see `pool`."""
        if self.training or torch.is_grad_enabled():
            return super().taps(x, pooling)
        x, out = self.start(x), {}
        for name, block in self.layers.items():
            x = _folded(block, x)
            out[name] = pool(x, pooling)
        return out


def _folded(block: nn.Sequential, x: Tensor) -> Tensor:
    # Once trained, a batch norm is a factor and an addend of every map; in the kernels they cost no
    # pass of their own.
    conv, norm, pool, elu = block
    factor = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight = conv.weight * factor[:, None, None, None]
    bias = norm.bias - norm.running_mean * factor
    return elu(pool(nn.functional.conv2d(x, weight, bias, padding=1)))
