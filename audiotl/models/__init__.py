"""Networks with named taps: ``model.taps(x)`` gives ``{tap: (batch, d)}`` in one forward pass.

Every network of this package also has `settings` (what it was built with), `tap_names` and `stages`
(its parts from input to output, the linear head last).
"""

import functools
from collections.abc import Sequence

from audiotl import check_known
from audiotl.models.convnet5 import ConvNet5
from audiotl.models.densenet import DenseNet121
from audiotl.models.multiscale import Multiscale
from audiotl.models.resnet import ResNet
from audiotl.models.taps import HiddenStates, tap_table, taps_of

__all__ = ["ConvNet5", "DenseNet121", "HiddenStates", "Multiscale", "NETWORKS", "ResNet", "build",
           "tap_table", "taps_of"]

NETWORKS = {
    "convnet5": ConvNet5,
    "resnet18": functools.partial(ResNet, depth=18),
    "resnet34": functools.partial(ResNet, depth=34),
    "resnet50": functools.partial(ResNet, depth=50),
    "densenet121": DenseNet121,
}
"""What makes a network of each name; all hear spectrograms in decibels and take `in_channels`."""


def build(network: str, n_classes: int, multiscale: Sequence[int] = (), **settings):
    """A network by name with random weights.

    Args:
        multiscale: dilations of an input layer in front of it (see `Multiscale`); none by default.
        **settings: of the network.
    """
    check_known("network", network, NETWORKS)
    if multiscale:
        inner = NETWORKS[network](n_classes, **settings | {"in_channels": len(multiscale)})
        return Multiscale(inner, tuple(multiscale))
    return NETWORKS[network](n_classes, **settings)
