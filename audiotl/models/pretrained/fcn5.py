"""FCN-5 (Choi et al. 2016) as Won et al. trained it on three corpora of music (arXiv 2006.00751).

One architecture, a large sister of ConvNet5; only the music it heard differs.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from audiotl.models.pooling import pool
from audiotl.models.pretrained.network import PublishedNetwork, band_power, in_parts, repeat_to
from audiotl.models.pretrained.readers import part_of, read_torch

WIDTHS = (1, 64, 128, 128, 128, 64)
POOLS = ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))
SAMPLES = 29 * 16_000
CHUNK = 1
"""Clips worked on at a time: the first maps of one fill 45 MB, more than a processor's cache."""


class FCN5(PublishedNetwork):
    """Five blocks of [convolution 3x3, batch norm, ReLU, max pool]: 447,732 weights.

    Input: 96 mel bands (STFT 512/256, power, ends reflected), ``10 log10`` of at least 1e-10, then
    a batch norm. Mel bank and window are the file's own. The taps are those after each pool. A ReLU
    may as well follow its pool, and a batch norm at rest is part of the convolution.
    """

    sample_rate = 16_000
    tap_names = tuple(f"layer{i}" for i in range(1, 6))
    seconds, shorter, longer = 29.0, "repeated", "cut"
    reader = staticmethod(read_torch)

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        self.tags = tags
        self.register_buffer("window", weights["spec.spectrogram.window"])
        self.register_buffer("bank", weights["spec.mel_scale.fb"])
        self.norm = nn.BatchNorm2d(1)
        self.blocks = nn.ModuleList(
            nn.Sequential(_convolution(weights, i), nn.MaxPool2d(POOLS[i]), nn.ReLU())
            for i in range(5))
        self.head = nn.Linear(WIDTHS[-1], len(weights["dense.bias"]))
        self.norm.load_state_dict(part_of(weights, "spec_bn"))
        self.head.load_state_dict(part_of(weights, "dense"))
        self.to(memory_format=torch.channels_last)

    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        return in_parts(lambda part: self._few(part, pooling), waveform, CHUNK)

    def _few(self, waveform: Tensor, pooling: str) -> tuple[dict[str, Tensor], Tensor]:
        power = band_power(repeat_to(waveform, SAMPLES), self.bank, self.window, 256)
        x = self.norm(10 * torch.log10(power.clamp(min=1e-10))[:, None])
        out = {}
        for name, block in zip(self.tap_names, self.blocks, strict=True):
            x = block(x)
            out[name] = pool(x, pooling)
        return out, torch.sigmoid(self.head(x.flatten(1)))


def _convolution(weights: dict[str, Tensor], i: int) -> nn.Conv2d:
    # Convolution and batch norm of a layer as one.
    convolution = nn.Conv2d(WIDTHS[i], WIDTHS[i + 1], 3, padding=1)
    norm = nn.BatchNorm2d(WIDTHS[i + 1])
    convolution.load_state_dict(part_of(weights, f"layer{i + 1}.conv"))
    norm.load_state_dict(part_of(weights, f"layer{i + 1}.bn"))
    return fuse_conv_bn_eval(convolution.eval(), norm.eval())
