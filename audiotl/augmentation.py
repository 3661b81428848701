"""Random changes to the spectrograms of a training batch; each is off at 0."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def augment(x: Tensor, targets: Tensor, rng: np.random.Generator, tilt: float = 0.0, mask: float = 0.0,
            mixup: float = 0.0) -> tuple[Tensor, Tensor]:
    """Tilt, mask and mix a batch of decibel spectrograms.

    Args:
        tilt: largest slope in dB at the edges of the band axis: a random straight line over the mel bands, as
            another microphone or room would add.
        mask: largest fraction of bands, and of frames, in whose place each clip gets its mean (Park et al. 2019).
        mixup: parameter of the Beta distribution by which pairs of clips and their targets are blended
            (Zhang et al. 2018).

    Shape:
        `x` ``(batch, 1, bands, frames)``, `targets` ``(batch, n_classes)`` float; the same out.
    """
    batch, _, bands, frames = x.shape
    if tilt:
        slope = rng.uniform(-tilt, tilt, (batch, 1, 1, 1)) * np.linspace(-1, 1, bands)[:, None]
        x = x + torch.from_numpy(slope.astype(np.float32))
        x = (x - x.amax((1, 2, 3), keepdim=True)).clamp(min=-80)
    if mask:
        mean = x.mean((1, 2, 3), keepdim=True)
        for axis, length in ((2, bands), (3, frames)):
            width = rng.integers(0, max(1, round(mask * length)) + 1, batch)
            start = rng.integers(0, length - width + 1)
            place = np.arange(length)[None]
            hidden = torch.from_numpy((place >= start[:, None]) & (place < (start + width)[:, None]))
            x = torch.where(hidden[:, None, :, None] if axis == 2 else hidden[:, None, None, :], mean, x)
    if mixup:
        share = rng.beta(mixup, mixup, batch).astype(np.float32)
        share, other = torch.from_numpy(np.maximum(share, 1 - share)), torch.from_numpy(rng.permutation(batch))
        x = share[:, None, None, None] * x + (1 - share)[:, None, None, None] * x[other]
        targets = share[:, None] * targets + (1 - share)[:, None] * targets[other]
    return x, targets
