"""Corpus + front end + network -> one block of features per tap, all taps in one forward pass, kept on disk."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from audiotl import cache
from audiotl.features import Features

VERSION = 1


def embed(model: nn.Module, features: Features, *, batch: int = 64, progress: bool = True) -> dict[str, np.ndarray]:
    """Every tap of `model` for every clip.

    Args:
        model: a network with ``taps(x) -> {name: (batch, d)}``; it is put into evaluation mode.
        features: spectrograms of the corpus.

    Returns:
        ``{tap: (n_clips, d)}`` float32, in the order of the taps. A second call reads the cache.
    """
    key = cache.key_of("embedding", VERSION, features.key, weights_key(model))
    folder = cache.find("embeddings", key)
    if folder is None:
        with cache.making("embeddings", key) as temporary:
            np.savez(temporary / "taps.npz", **_forward(model, features, batch, progress))
        folder = cache.find("embeddings", key)
    with np.load(folder / "taps.npz", allow_pickle=False) as taps:
        return {name: taps[name] for name in taps.files}


def _forward(model: nn.Module, features: Features, batch: int, progress: bool) -> dict[str, np.ndarray]:
    model = model.eval().to(memory_format=torch.channels_last)
    n, out = len(features.corpus), {}
    with torch.inference_mode():
        for start in tqdm(range(0, n, batch), desc=f"embedding {features.corpus.name}", unit="batch",
                          disable=not progress, mininterval=1):
            x = torch.from_numpy(features.spectrograms[start:start + batch].astype(np.float32))[:, None]
            for name, value in model.taps(x.contiguous(memory_format=torch.channels_last)).items():
                if name not in out:
                    out[name] = np.empty((n, value.shape[1]), np.float32)
                out[name][start:start + len(x)] = value.numpy()
    return out


def weights_key(model: nn.Module) -> str:
    """A digest of the network's class, settings and weights: equal networks give equal keys."""
    digest = hashlib.sha256(repr((type(model).__name__, getattr(model, "settings", ""))).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]
