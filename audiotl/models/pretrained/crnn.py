"""CRNN of Dinkel et al., "Voice activity detection in the wild" (TASLP 2021, arXiv 2105.04065).

Five students of one architecture tell speech from all else, each having heard other recordings; the
teacher that labelled them names the 527 classes of AudioSet.
"""

import torch
from torch import Tensor, nn

from audiotl.frontend import Settings, filterbank
from audiotl.models.pooling import pool
from audiotl.models.pretrained.network import PublishedNetwork, band_power, pad_to
from audiotl.models.pretrained.readers import part_of, read_torch

HOP, WINDOW = 441, 882
LEAST = 3 * HOP
"""Samples of the four frames that leave one after the pools."""
PARTS = (0, 2, 3, 5, 6)
"""Where the authors' list of layers has its convolutions; the others are pools."""


class CRNN(PublishedNetwork):
    """Five blocks of [batch norm, convolution 3x3, leaky ReLU], a BiGRU: 679,012 weights.

    Input: natural logarithm of 64 Slaney mel bands, 20 ms apart, ends reflected as by librosa 0.7.
    Taps: after each convolution block, and the two directions of the GRU side by side. The tags are
    the authors' "linear softmax" over the frames. The order of the teacher's 527 classes was not
    published beside it, so it has no tags.
    """

    sample_rate = 22_050
    tap_names = (*(f"layer{i}" for i in range(1, 6)), "gru")
    seconds, shorter, longer = LEAST / 22_050, "padded", "whole"
    reader = staticmethod(read_torch)

    def __init__(self, weights: dict[str, Tensor], tags: tuple[str, ...]):
        super().__init__()
        self.tags = tags
        bank = filterbank(Settings(sample_rate=22_050, n_fft=2048, n_bands=64))
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        widths = (1, 32, 128, 128, 128, 128)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(widths[i]),
                          nn.Conv2d(widths[i], widths[i + 1], 3, padding=1, bias=False),
                          nn.LeakyReLU(0.1)) for i in range(5))
        # Shape here is (frequency, time); the authors have time first.
        self.pools = nn.ModuleList((nn.LPPool2d(4, (4, 2)), nn.Identity(), nn.LPPool2d(4, (4, 2)),
                                    nn.Identity(), nn.LPPool2d(4, (4, 1))))
        self.gru = nn.GRU(128, 128, bidirectional=True, batch_first=True)
        self.head = nn.Linear(256, len(weights["outputlayer.bias"]))
        for block, part in zip(self.blocks, PARTS, strict=True):
            block[0].load_state_dict(part_of(weights, f"features.{part}.block.0"))
            kernel = weights[f"features.{part}.block.1.weight"]
            block[1].load_state_dict({"weight": kernel.transpose(2, 3)})
        self.gru.load_state_dict(part_of(weights, "gru"))
        self.head.load_state_dict(part_of(weights, "outputlayer"))

    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        power = band_power(pad_to(waveform, LEAST), self.bank, self.window, HOP)
        x = torch.log(power + torch.finfo(torch.float64).eps)[:, None]
        frames, out = x.shape[-1], {}
        for name, block, narrow in zip(self.tap_names, self.blocks, self.pools, strict=False):
            x = block(x)
            out[name] = pool(x, pooling)
            x = narrow(x)
        series, _ = self.gru(x.flatten(1, 2).transpose(1, 2))
        out["gru"] = pool(series.transpose(1, 2), pooling)
        chance = torch.sigmoid(self.head(series)).clamp(1e-7, 1).transpose(1, 2)
        chance = nn.functional.interpolate(chance, frames, mode="linear", align_corners=False)
        return out, chance.square().sum(2) / chance.sum(2)
