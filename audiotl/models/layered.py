"""What the networks of spectrograms share: input scale, layers in a row, a tap after each."""

import abc

from torch import Tensor, nn

from audiotl.models.pooling import pool


def scale_decibel(x: Tensor) -> Tensor:
    """Decibels from -80 to 0 to -2 to 2."""
    return (x + 40) / 20


class Layered(nn.Module, abc.ABC):
    """Layers in a row, then the mean over frequency and time, then a linear `head`.

    Shape:
        ``(batch, in_channels, bands, frames)`` in dB, -80 to 0, to ``(batch, n_classes)`` logits.
    """

    @property
    @abc.abstractmethod
    def layers(self) -> dict[str, nn.Module]:
        """The layers by name, first to last."""

    @property
    def tap_names(self) -> tuple[str, ...]:
        """Names of the taps, one a layer."""
        return tuple(self.layers)

    @property
    def stages(self) -> tuple[nn.Module, ...]:
        """The parts from input to output, the head last."""
        return *self.layers.values(), self.head

    def start(self, x: Tensor) -> Tensor:
        """What the first layer reads."""
        return scale_decibel(x)

    def last(self, x: Tensor) -> Tensor:
        """What the head reads, ``(batch, maps)``."""
        x = self.start(x)
        for layer in self.layers.values():
            x = layer(x)
        return x.mean((-2, -1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(x))

    def taps(self, x: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        """After each layer, first to last; see `pool`."""
        x, out = self.start(x), {}
        for name, layer in self.layers.items():
            x = layer(x)
            out[name] = pool(x, pooling)
        return out
