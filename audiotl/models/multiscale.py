"""A multiscale input layer (McMahan and Rao, AAAI 2018) in front of any network of spectrograms.

The paper puts one layer of dilated convolutions with four growing dilation factors in front of its
networks, and stacks their equally large outputs as channels. Kernel size and maps a dilation are
not public; 3x3 and one map are our choice.
"""

import torch
from torch import Tensor, nn

from audiotl.models.layered import scale_decibel


class Multiscale(nn.Module):
    """3x3 convolutions of growing dilation side by side, one map each, read as channels.

    Args:
        inner: the network, with an input channel for each dilation.
        dilations: of the convolutions; zeros at the edges keep frequency and time as they are.

    The taps keep their names: plain and multiscale networks are compared tap by tap.

    Shape:
        ``(batch, 1, bands, frames)`` in decibels from -80 to 0, to the network's logits.
    """

    def __init__(self, inner: nn.Module, dilations: tuple[int, ...] = (1, 2, 3, 4)):
        super().__init__()
        self.settings = inner.settings | {"in_channels": 1, "multiscale": list(dilations)}
        self.scales = nn.ModuleList(
            nn.Conv2d(1, 1, 3, padding=d, dilation=d, bias=False) for d in dilations)
        self.inner = inner
        self.tap_names = inner.tap_names

    def front(self, x: Tensor) -> Tensor:
        """The stacked channels ``(batch, len(dilations), bands, frames)``, in decibels again."""
        x = scale_decibel(x)
        return 20 * torch.cat([scale(x) for scale in self.scales], 1) - 40

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.front(x))

    @property
    def stages(self) -> tuple[nn.Module, ...]:
        return self.scales, *self.inner.stages

    def taps(self, x: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        return self.inner.taps(self.front(x), pooling)
