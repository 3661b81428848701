"""Corpus + network -> one block of features per tap, all taps in one forward pass, kept on disk.

A network of spectrograms reads those of the front end; a network with a `sample_rate` (a published one, or
``taps_of`` a module that hears raw sound) gets the clips decoded at its own rate. Clips go by in batches, so that
beside the blocks themselves memory does not grow with their number.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from audiotl import AudiotlError, cache, parallel
from audiotl.features import Features, decoded
from audiotl.models.taps import Tapped
from audiotl.models.weights import weights_key

VERSION = 1
FEW = 4
"""Spectrograms that go through a network at a time: its first maps of a clip of 5 s fill 2.5 MB."""


def embed(model: nn.Module, features: Features, *, batch: int = 0, workers: int = 0,
          progress: bool = True) -> dict[str, np.ndarray]:
    """Every tap of `model` for every clip.

    Args:
        model: a network with ``taps(x) -> {name: (batch, d)}``; it is put into evaluation mode. With a
            `sample_rate` in Hz it hears waveforms ``(batch, samples)``, fitted to the corpus's duration by
            repeating, else spectrograms ``(batch, 1, bands, frames)`` in decibels.
        features: of the corpus; the clips that could not be decoded are left out of it already.
        batch: clips a pass; 0 is 32 spectrograms or 16 waveforms (wav2vec 2.0 takes 0.1 GB a clip of 4 s).
        workers: threads, 0 is one a core: of a network of spectrograms each takes a batch through it; of raw sound
            they decode one batch ahead.

    Returns:
        ``{tap: (n_clips, d)}`` float32, in the order of the taps; rows are those of ``features.corpus``. A second
        call reads the cache.

    Raises:
        AudiotlError: a clip that could be decoded for the features no longer can.
    """
    rate, n = getattr(model, "sample_rate", None), len(features.corpus)
    batch = batch or (32 if rate is None else 16)
    if rate is None:
        key = cache.key_of("embedding", VERSION, features.key, weights_key(model))
        model.to(memory_format=torch.channels_last)
    else:
        corpus = features.corpus
        # A published network may depend on its batch, so the size of the batch counts.
        key = cache.key_of("embedding of waveforms", VERSION, cache.fingerprint(corpus.clips["path"]),
                           corpus.duration, rate, batch, weights_key(model),
                           *([dataclasses.asdict(features.degradation)] if features.degradation else []))

    def make(folder: Path) -> None:
        batches = _waveforms(features, rate, batch, workers) if rate else _spectrograms(features, batch)
        bar = tqdm(batches, total=-(-n // batch), desc=f"embedding {features.corpus.name}", unit="batch",
                   disable=not progress, mininterval=1)
        # Hooks, which `taps_of` sets for each pass, are the module's and not the thread's.
        alone = rate is not None or isinstance(model, Tapped)
        found = parallel.run(_taps, bar, (model.eval(), rate is None),
                           threads=0 if alone else workers or os.cpu_count() or 1)
        np.savez(folder / "taps.npz", **_joined(found, n))

    folder = cache.entry("embeddings", key, make)
    with np.load(folder / "taps.npz", allow_pickle=False) as taps:
        return {name: taps[name] for name in taps.files}


def _joined(found: Iterator[dict[str, np.ndarray]], n: int) -> dict[str, np.ndarray]:
    start, out = 0, {}
    for taps in found:
        for name, value in taps.items():
            if name not in out:
                out[name] = np.empty((n, value.shape[1]), np.float32)
            out[name][start:start + len(value)] = value
        start += len(value)
    return out


def _taps(x: Tensor, model: nn.Module, apart: bool) -> dict[str, np.ndarray]:
    # What a published network says of a clip may depend on its batch; elsewhere a few at a time stay in the cache.
    with torch.inference_mode():
        parts = [model.taps(part) for part in (x.split(FEW) if apart else [x])]
        return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}


def _spectrograms(features: Features, batch: int) -> Iterator[Tensor]:
    for start in range(0, len(features.corpus), batch):
        x = torch.from_numpy(features.spectrograms[start:start + batch].astype(np.float32))[:, None]
        yield x.contiguous(memory_format=torch.channels_last)


def _waveforms(features: Features, sample_rate: int, batch: int, workers: int) -> Iterator[Tensor]:
    corpus = features.corpus
    samples = round(corpus.duration * sample_rate)
    for _, waveforms, bad in decoded(corpus, sample_rate, samples, workers, batch, features.degradation):
        if bad:
            raise AudiotlError(f"The features hold a clip that cannot be decoded for this network: {bad[0][1]}")
        yield torch.from_numpy(np.stack(waveforms))
