"""What every network of spectrograms does first: decibels from -80 to 0 become about unit range."""

from __future__ import annotations

from torch import Tensor


def scale_decibel(x: Tensor) -> Tensor:
    """Decibels from -80 to 0 to -2 to 2."""
    return (x + 40) / 20


def unscale_decibel(x: Tensor) -> Tensor:
    """The way back, for a layer that stands in front of a network.

    >>> import torch
    >>> unscale_decibel(scale_decibel(torch.tensor([-80.0, -7.0])))
    tensor([-80.,  -7.])
    """
    return 20 * x - 40
