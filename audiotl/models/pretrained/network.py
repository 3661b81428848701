"""What published networks share: raw sound in, taps and tags out, weights from HDF5."""

from __future__ import annotations

import abc
import re
from pathlib import Path

import h5py
import torch
from torch import Tensor, nn

from audiotl import AudiotlError

KERAS_EPSILON = 1e-3
"""Keras adds this to the variance in batch normalisation; PyTorch's own default is 1e-5."""


class PublishedNetwork(nn.Module, abc.ABC):
    """A trained network as its authors published it, front end included.

    A subclass computes taps and tags in one `forward` pass. `taps` and `tag` check the waveform and
    keep no gradients.

    Shape:
        waveform ``(batch, samples)`` at `sample_rate`, full scale 1.
    """

    sample_rate: int
    tags: tuple[str, ...]
    tap_names: tuple[str, ...]

    @abc.abstractmethod
    def forward(self, waveform: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Taps ``{name: (batch, d)}`` and tag probabilities ``(batch, n_tags)``."""

    @torch.no_grad()
    def taps(self, waveform: Tensor) -> dict[str, Tensor]:
        """Every tap of every clip, ``{name: (batch, d)}``, first layer first."""
        return self(checked(waveform))[0]

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


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights of a Keras HDF5 file by ``layer/weight``, e.g. ``"conv2d_1/kernel"``.

    Keras nests a layer in itself and numbers TensorFlow's variables (``conv2d/conv2d/kernel_1:0``);
    both are dropped from the names. The optimiser's state is left out.

    Raises:
        OSError: not an HDF5 file, or a damaged one.
    """
    weights = {}

    def keep(name: str, item) -> None:
        if not isinstance(item, h5py.Dataset) or not item.shape or "optimizer_weights" in name:
            return
        if "/" in name:
            layer, weight = name.split("/")[-2:]
            weight = re.sub(r"(_[0-9]+)?:0$", "", weight)
            weights[f"{layer}/{weight}"] = torch.from_numpy(item[()]).float()

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return weights


def keras_norm(weights: dict[str, Tensor], layer: str) -> dict[str, Tensor]:
    """A Keras batch normalisation layer under PyTorch's names."""
    return {"weight": weights[f"{layer}/gamma"], "bias": weights[f"{layer}/beta"],
            "running_mean": weights[f"{layer}/moving_mean"],
            "running_var": weights[f"{layer}/moving_variance"],
            "num_batches_tracked": torch.tensor(0)}


def keras_dense(weights: dict[str, Tensor], layer: str) -> dict[str, Tensor]:
    """A Keras dense layer under PyTorch's names."""
    return {"weight": weights[f"{layer}/kernel"].T, "bias": weights[f"{layer}/bias"]}
