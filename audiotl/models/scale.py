"""What every network of spectrograms does first."""

from __future__ import annotations

from torch import Tensor


def scale_decibel(x: Tensor) -> Tensor:
    """Decibels from -80 to 0 to about unit range."""
    return (x + 40) / 20
