"""How what a layer gives becomes one vector a clip."""

import torch
from torch import Tensor

from audiotl import check_known

POOLINGS = ("mean", "mean+std")


def pool(x: Tensor, pooling: str = "mean") -> Tensor:
    """One vector a clip.

    Args:
        x: maps ``(batch, d, frequency, time)``, series ``(batch, d, time)``, or vectors
            ``(batch, d)``, which stay as they are.
        pooling: ``"mean"`` over all axes after the second; ``"mean+std"``: mean over frequency,
            then mean and standard deviation over time.

    Shape:
        ``(batch, d)``; maps and series with ``"mean+std"``: ``(batch, 2 * d)``, the means first.
    """
    check_known("pooling", pooling, POOLINGS)
    if x.ndim == 2:
        return x
    if pooling == "mean":
        return x.mean(tuple(range(2, x.ndim)))
    series = over_frequency(x.flatten(2, -2)) if x.ndim > 3 else x
    mean = series.mean(-1)
    return torch.cat([mean, (series - mean[..., None]).square().mean(-1).sqrt()], 1)


def over_frequency(maps: Tensor) -> Tensor:
    """Mean over frequency, ``(batch, d, frequency, time)`` to ``(batch, d, time)``, in float32."""
    # Where channels lie last in memory, writing them last takes a tenth of the time.
    if maps.stride(1) != 1:
        return maps.mean(2, dtype=torch.float32)
    return maps.movedim(1, -1).mean(1, dtype=torch.float32).movedim(-1, 1)
