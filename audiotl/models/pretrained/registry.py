"""Published networks by name: where their weights lie, and the tags they give a clip."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from audiotl import AudiotlError
from audiotl.datasets import data_root, download
from audiotl.models.pretrained.choi2017 import KerasTwoRelease, OriginalRelease
from audiotl.models.pretrained.musicnn import Musicnn
from audiotl.models.pretrained.network import PublishedNetwork, read_weights

NETWORKS = {
    "choi2017": ("choi2017/weights_transfer/weights_layer4_theano.hdf5", OriginalRelease),
    "choi2017-keras2": ("choi2017/keras2_model/model_best.hdf5", KerasTwoRelease),
    "musicnn-mtt": ("musicnn/MTT_musicnn.h5", lambda weights: Musicnn(weights, "MTT")),
    "musicnn-msd": ("musicnn/MSD_musicnn.h5", lambda weights: Musicnn(weights, "MSD")),
}
"""Weights file under the data root, and what makes a network of it."""


def available(name: str, root: str | Path | None = None) -> bool:
    """Whether the weights of a published network are at hand."""
    where = data_root(root)
    return where is not None and (where / NETWORKS[name][0]).is_file()


def load(name: str, root: str | Path | None = None) -> PublishedNetwork:
    """A published network with its weights, in evaluation mode.

    Args:
        name: one of `NETWORKS`.
        root: folder that holds ``choi2017`` and ``musicnn`` (``AUDIOTL_DATA`` if not given).

    Raises:
        AudiotlError: unknown name, weights that are missing, or a file that does not hold them.
    """
    if name not in NETWORKS:
        raise AudiotlError(f"There is no published network {name!r}; choose among "
                           f"{', '.join(NETWORKS)}.")
    relative, make = NETWORKS[name]
    folder, _, inside = relative.partition("/")
    if not available(name, root):
        raise AudiotlError(f"The network {name} needs its published weights {relative}, which are "
                           f"not there; put the folder {folder} under the data root, and give that "
                           "or set AUDIOTL_DATA.")
    path = data_root(root) / relative
    try:
        network = make(read_weights(path))
    except (OSError, LookupError, RuntimeError, TypeError, ValueError) as error:
        cause = f"no layer {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise AudiotlError(f"{path} does not hold the weights of {name} "
                           f"({cause[:160].rstrip('.')}); copy the file anew.") from None
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise AudiotlError(f"{path} holds weights that are not numbers; copy the file anew.")
    digest = download.pinned(folder).get(inside) if folder in download.SETS else None
    if digest and download.sha256(path) != digest:
        raise AudiotlError(f"{path} is not the file that was published (its SHA-256 is another); "
                           "copy the file anew.")
    return network.eval().requires_grad_(False)


def top_tags(network: PublishedNetwork, waveform: Tensor, k: int = 5) -> list[tuple[str, float]]:
    """The `k` likeliest tags of one clip, likeliest first.

    Args:
        network: see `load`. The ``choi2017`` network needs a whole batch to normalise by: use its
            `tag` there.
        waveform: one clip at the network's sample rate, ``(samples,)`` or ``(1, samples)``.
    """
    probability = network.tag(waveform.reshape(1, -1))[0]
    best = probability.topk(min(k, len(network.tags)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [(network.tags[i], p) for i, p in pairs]
