"""Networks with named taps: ``model.taps(x)`` gives ``{tap: (batch, d)}`` in one forward pass."""

from __future__ import annotations

from audiotl import AudiotlError
from audiotl.models.convnet5 import ConvNet5

__all__ = ["ConvNet5", "build"]

NETWORKS = {"convnet5": ConvNet5}


def build(network: str, n_classes: int, **settings):
    """A network by name with random weights.

    Raises:
        AudiotlError: unknown name.
    """
    if network not in NETWORKS:
        raise AudiotlError(f"There is no network {network!r}; choose among {', '.join(NETWORKS)}.")
    return NETWORKS[network](n_classes, **settings)
