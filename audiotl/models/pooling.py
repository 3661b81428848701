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

    >>> pool(torch.zeros(2, 8, 4, 50)).shape, pool(torch.zeros(2, 8, 4, 50), "mean+std").shape
    (torch.Size([2, 8]), torch.Size([2, 16]))
    """
    check_known("pooling", pooling, POOLINGS)
    if x.ndim == 2:
        return x
    if pooling == "mean":
        return x.mean(tuple(range(2, x.ndim)))
    series = x.flatten(2, -2).mean(2) if x.ndim > 3 else x
    return torch.cat([series.mean(-1), series.std(-1, correction=0)], 1)
