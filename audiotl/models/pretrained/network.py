"""What published networks share: raw sound in, taps and tags out."""

import abc
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from audiotl import AudiotlError
from audiotl.models.pooling import over_frequency, pool
from audiotl.models.pretrained.readers import read_keras


class PublishedNetwork(nn.Module, abc.ABC):
    """A trained network as its authors published it, front end included.

    A subclass computes taps and tags in one `forward` pass. `taps` and `tag` check the waveform and
    keep no gradients.

    Attributes:
        sample_rate: in Hz.
        tags: what the outputs stand for; empty for a network without such outputs.
        tap_names: first layer first.
        seconds: length of the network's input; the least it can hear, if `longer` is ``"whole"``.
        shorter: what happens to a clip below that, ``"repeated"`` or ``"padded"`` with zeros.
        alone: whether its file is all it needs.
        longer: what happens to one above, ``"cut"``, heard in ``"patches"`` of that length whose
            values are pooled together, or heard ``"whole"``.

    Shape:
        waveform ``(batch, samples)`` at `sample_rate`, full scale 1.
    """

    sample_rate: int
    tags: tuple[str, ...] = ()
    tap_names: tuple[str, ...]
    seconds: float
    shorter: str
    longer: str
    alone = True
    reader = staticmethod(read_keras)

    @classmethod
    def read(cls, path: Path, tags: tuple[str, ...]) -> "PublishedNetwork":
        """From the published file; `reader` gets the weights out of it."""
        return cls(cls.reader(path), tags)

    @abc.abstractmethod
    def forward(self, waveform: Tensor, pooling: str = "mean") -> tuple[dict[str, Tensor], Tensor]:
        """Taps ``{name: (batch, d)}`` and tag probabilities ``(batch, n_tags)``."""

    @torch.no_grad()
    def taps(self, waveform: Tensor, pooling: str = "mean") -> dict[str, Tensor]:
        """Every tap of every clip, ``{name: (batch, d)}``, first layer first; see `pool`."""
        return self(checked(waveform), pooling)[0]

    @torch.no_grad()
    def tag(self, waveform: Tensor) -> Tensor:
        """Probability of each of `tags`, ``(batch, n_tags)``."""
        return self(checked(waveform))[1]


def checked(waveform: Tensor) -> Tensor:
    """The waveform if it is a batch of finite samples.

    Raises:
        AudiotlError: another shape, no samples, or samples that are not numbers.
    """
    if waveform.ndim != 2 or 0 in waveform.shape:
        raise AudiotlError("A waveform must have the shape (batch, samples), not "
                           f"{tuple(waveform.shape)}; put clips into rows, one clip as "
                           "waveform[None].")
    if not torch.isfinite(waveform).all():
        raise AudiotlError("The waveform holds samples that are not numbers (NaN or infinite); "
                           "leave that clip out.")
    return waveform.float()


def repeat_to(waveform: Tensor, samples: int) -> Tensor:
    """Each clip repeated, then cut, to exactly `samples`; ``(batch, n)`` to ``(batch, samples)``.

    >>> repeat_to(torch.tensor([[1., 2., 3.]]), 5).tolist()
    [[1.0, 2.0, 3.0, 1.0, 2.0]]
    """
    return waveform.repeat(1, -(-samples // waveform.shape[1]))[:, :samples]


def pad_to(waveform: Tensor, samples: int) -> Tensor:
    """Zeros after each clip that has fewer than `samples`.

    >>> pad_to(torch.ones(1, 2), 3).tolist(), pad_to(torch.ones(1, 2), 1).tolist()
    ([[1.0, 1.0, 0.0]], [[1.0, 1.0]])
    """
    return nn.functional.pad(waveform, (0, max(0, samples - waveform.shape[1])))


def band_power(waveform: Tensor, bank: Tensor, window: Tensor, hop: int, ends: str = "reflect",
               center: bool = True) -> Tensor:
    """Power of an STFT in the bands of `bank`, ``(bins, bands)``: ``(batch, bands, frames)``."""
    spectrum = torch.stft(waveform, 2 * (len(bank) - 1), hop, len(window), window, center=center,
                          pad_mode=ends, return_complex=True)
    return bank.T @ (spectrum.real.square() + spectrum.imag.square())


def in_parts(run: Callable, waveform: Tensor, few: int) -> tuple[dict[str, Tensor], Tensor]:
    """Taps and tags of `few` clips at a time, so that memory does not grow with the batch.

    Args:
        run: ``(n, samples)`` to taps ``{name: (n, d)}`` and tag probabilities ``(n, n_tags)``.
    """
    parts = [run(part) for part in waveform.split(few)]
    return ({name: torch.cat([taps[name] for taps, _ in parts]) for name in parts[0][0]},
            torch.cat([tags for _, tags in parts]))


def patches_of(spectrogram: Tensor, size: int, hop: int, spare: int = 0) -> Tensor:
    """The fewest evenly placed patches that cover a clip and lie at most `hop` apart.

    Args:
        spectrogram: ``(clips, bands, frames)`` of `size` frames or more.
        spare: frames that may stay unheard, or may be added to the steps in all, to save a patch.

    Shape:
        ``(clips, patches, bands, size)``.

    >>> [patches_of(torch.zeros(1, 64, n), 96, 48, 4).shape[1] for n in (96, 99, 146, 498)]
    [1, 1, 2, 10]
    """
    room = spectrogram.shape[2] - size
    starts = torch.linspace(0, room, 1 + max(0, -(-(room - spare) // hop))).round().long()
    return torch.stack([spectrogram[:, :, start:start + size] for start in starts.tolist()], 1)


def over_patches(run: Callable, patches: Tensor, few: int,
                 pooling: str) -> tuple[dict[str, Tensor], Tensor]:
    """Taps and tags of clips that a network hears patch by patch.

    Args:
        run: ``(n, bands, size)`` to maps or series ``{name: (n, d, ..., time)}`` or vectors
            ``{name: (n, d)}``, and tag probabilities ``(n, n_tags)``.
        patches: see `patches_of`.
        few: patches worked on at a time, so that memory does not grow with the batch.

    Returns:
        Taps pooled over the times of all patches of a clip (a vector is one time), mean tags.
    """
    clips, count = patches.shape[:2]
    parts = [_without_frequency(*run(part)) for part in patches.flatten(0, 1).split(few)]

    def of_clips(values: list[Tensor]) -> Tensor:
        return torch.cat(values).unflatten(0, (clips, count))

    taps = {name: of_clips([part[name] for part, _ in parts]) for name in parts[0][0]}
    taps = {name: pool(x.transpose(1, 2).flatten(2), pooling) for name, x in taps.items()}
    return taps, of_clips([tags for _, tags in parts]).mean(1)


def _without_frequency(taps: dict[str, Tensor], tags: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    shapes = {2: lambda x: x[:, :, None], 3: lambda x: x, 4: over_frequency}
    return {name: shapes[x.ndim](x) for name, x in taps.items()}, tags
