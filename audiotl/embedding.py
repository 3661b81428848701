"""Corpus + network -> one block of features per tap, all taps in one forward pass, kept on disk.

A network of spectrograms reads those of the front end; a network with a `sample_rate` (a published
one, or ``taps_of`` a module that hears raw sound) gets the clips decoded at its own rate. Clips go
by in batches, so that beside the blocks memory does not grow with their number.
"""

import inspect
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from audiotl import AudiotlError, cache, models, parallel
from audiotl.datasets.corpus import Corpus
from audiotl.features import Features, waveform
from audiotl.features import features as extract
from audiotl.models import pretrained
from audiotl.models.pretrained.network import PublishedNetwork
from audiotl.models.taps import Tapped, weights_key
from audiotl.training import has_bfloat16, lay_out

VERSION = 1
FEW = 4
"""Spectrograms that go through a network at a time: its first maps of a clip of 5 s fill 2.5 MB."""


def embed(model: nn.Module, features: Features, *, pooling: str = "mean", batch: int = 0,
          workers: int = 0, progress: bool = True, device: str = "cpu",
          half: bool = False) -> dict[str, np.ndarray]:
    """Every tap of `model` for every clip.

    Args:
        model: a network with ``taps(x) -> {name: (batch, d)}``; it is put into evaluation mode.
            With a `sample_rate` in Hz it hears waveforms ``(batch, samples)``, fitted to the
            corpus's duration by repeating, else spectrograms ``(batch, 1, bands, frames)`` in dB.
            Not asked where the corpus came with its blocks.
        features: of the corpus; the clips that could not be decoded are left out of it already.
        pooling: ``"mean"`` over frequency and time, or ``"mean+std"``: mean over frequency, then
            mean and standard deviation over time, ``2 d`` columns (`audiotl.models.pooling`).
        batch: clips a pass; 0 is 32 spectrograms or 16 waveforms (wav2vec 2.0: 0.1 GB for 4 s).
        workers: threads, 0 is one a core: each takes a batch through a network of spectrograms or
            a published one; other networks of raw sound have them for decoding alone.
        device: where a network of spectrograms is taken through them; ``"cuda"`` or ``"mps"``.
        half: multiply in bfloat16 where the device does so natively: up to twice as fast, and
            taps of YAMNet differ by some 0.6 % of their norm.

    Returns:
        ``{tap: (n_clips, d)}`` float32, in the order of the taps; rows are those of
        ``features.corpus``. A second call reads the cache.

    Raises:
        AudiotlError: a clip that no longer can be decoded, a network that pools its taps itself,
            or one whose taps are not numbers.
    """
    if features.blocks:
        return dict(features.blocks)
    rate = getattr(model, "sample_rate", None)
    batch = batch or (32 if rate is None else 16)
    half = half and has_bfloat16(device if rate is None else "cpu")
    how = {"pooling": pooling} if pooling != "mean" else {}
    if how and "pooling" not in inspect.signature(model.taps).parameters:
        raise AudiotlError(f"{type(model).__name__} pools its taps itself, so it does not take "
                           f"pooling={pooling!r}; use 'mean'.")
    if rate is None:
        name = "embedding"
        content = [features.key, weights_key(model)] + [device] * (device != "cpu")
        lay_out(model)
    else:
        name = "embedding of waveforms"
        # A published network may depend on its batch, so the size of the batch counts.
        sound = cache.fingerprint(features.corpus.clips["path"]), features.corpus.duration
        content = [*sound, rate, batch, weights_key(model)]
        content += [features.degradation] if features.degradation else []
    content += ["bfloat16"] * half
    step = cache.step(name, VERSION, home="embeddings")(_embed)
    folder = step(*content, *how.values(), model=model.eval(), features=features, batch=batch,
                  workers=workers, progress=progress, how=how, device=device, half=half)
    with np.load(folder / "taps.npz", allow_pickle=False) as taps:
        return {name: taps[name] for name in taps.files}


def embed_files(files: Sequence[str | Path], network: str, seconds: float, *,
                pooling: str = "mean", weights: str | Path | None = None,
                root: str | Path | None = None) -> dict[str, np.ndarray]:
    """Every tap of a network for sound files, e.g. those that a saved probe is to label.

    Args:
        files: of sound; the same network, length and pooling give the columns of the probe.
        network: ``"mfcc"``, one of `models.NETWORKS`, or of `pretrained.NETWORKS`.
        seconds: length to which each file is fitted.
        weights: of a network of `models.NETWORKS`, as safetensors.
        root: folder that holds the weights of published networks (``AUDIOTL_DATA`` if not given).

    Returns:
        ``{tap: (files, d)}``.

    Raises:
        AudiotlError: a file that cannot be decoded, or weights that are not those of the network.
    """
    clips = pd.DataFrame({"path": map(str, files), "label": "", "fold": -1, "group": ""})
    sound = extract(Corpus("files", clips, (), seconds), progress=False)
    if sound.skipped:
        raise AudiotlError(sound.skipped[0][1])
    if network == "mfcc":
        return sound.mfcc_block
    model = (with_weights(network, weights) if network in models.NETWORKS
             else pretrained.load(network, root))
    return embed(model, sound, pooling=pooling, progress=False)


def with_weights(network: str, file: str | Path) -> nn.Module:
    """A network of `models.NETWORKS` with the weights of a safetensors file.

    Raises:
        AudiotlError: the file cannot be read, or holds another network's weights.
    """
    try:
        state = load_file(file)
        model = models.build(network, len(state["head.bias"]))
        model.load_state_dict(state)
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        cause = " ".join(str(error).split())[:160].rstrip(".")
        raise AudiotlError(f"{file} does not hold the weights of a {network} ({cause}); save them "
                           "anew.") from None
    return model.eval().requires_grad_(False)


def _embed(folder: Path, *_, model: nn.Module, features: Features, batch: int, workers: int,
           progress: bool, how: dict[str, str], device: str, half: bool) -> None:
    few, threads = batch, workers or os.cpu_count() or 1
    if (rate := getattr(model, "sample_rate", None)) is None:
        batches = _spectrograms(features, batch)
        few = FEW if device == "cpu" else batch
        # Hooks, which `taps_of` sets for each pass, are the module's and not the thread's.
        alone = isinstance(model, Tapped) or device != "cpu"
    else:
        batches, device = _waveforms(features, rate, batch, threads), "cpu"
        # A module of the user's may keep something of its pass, or fill the memory.
        alone = not isinstance(model, PublishedNetwork)
    shared = model.to(device), how, few, device, half
    n, start, out = len(features.corpus), 0, {}
    bar = tqdm(batches, total=-(-n // batch), desc=f"embedding {features.corpus.name}",
               unit="batch", disable=not progress, mininterval=1)
    for taps in parallel.run(_taps, bar, shared, threads=0 if alone else threads):
        for name, value in taps.items():
            if not np.isfinite(value).all():
                raise AudiotlError(f"The tap {name!r} of {type(model).__name__} gives values "
                                   "that are not numbers (NaN or infinite); check its weights.")
            if name not in out:
                out[name] = np.empty((n, value.shape[1]), np.float32)
            out[name][start:start + len(value)] = value
        start += len(value)
    np.savez(folder / "taps.npz", **out)
    model.to("cpu")


def _taps(x: Tensor, model: nn.Module, how: dict[str, str], few: int, device: str,
          half: bool) -> dict[str, np.ndarray]:
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=half):
        parts = [model.taps(part.to(device), **how) for part in x.split(few)]
        return {name: torch.cat([part[name] for part in parts]).float().cpu().numpy()
                for name in parts[0]}


def _spectrograms(features: Features, batch: int) -> Iterator[Tensor]:
    for start in range(0, len(features.corpus), batch):
        level = features.spectrograms[start:start + batch].astype(np.float32)
        yield torch.from_numpy(level)[:, None].contiguous(memory_format=torch.channels_last)


def _waveforms(features: Features, rate: int, batch: int, workers: int) -> Iterator[Tensor]:
    paths = features.corpus.clips["path"].tolist()
    how = rate, features.corpus.duration, features.degradation
    # One batch ahead of the network: soundfile and soxr release the interpreter lock.
    with ThreadPoolExecutor(workers) as pool:
        ahead = []
        for start in range(0, len(paths) + batch, batch):
            ready = ahead
            ahead = [pool.submit(waveform, path, *how) for path in paths[start:start + batch]]
            if ready:
                yield torch.from_numpy(np.stack([job.result() for job in ready]))
