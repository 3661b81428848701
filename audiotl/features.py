"""A corpus through the front ends: one decode a clip gives spectrogram and MFCC statistics, kept.

Clips that cannot be decoded are skipped and listed; a second call reads the cache and no audio.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from audiotl import AudiotlError, audio, cache, parallel
from audiotl.datasets.corpus import Corpus
from audiotl.datasets.own_sounds import blocks_of
from audiotl.degrade import Degradation
from audiotl.frontend import LIBROSA, LogSpectrogram, MFCCStatistics, Settings

VERSION = 1  # raised whenever the same settings would give other features
Heard = tuple[list[int], list[np.ndarray], list[tuple[int, str]]]
"""Rows, an array a front end, and ``(row, cause)`` of clips that could not be used."""


@dataclasses.dataclass(frozen=True)
class Features:
    """What the front ends made of a corpus.

    Args:
        corpus: the clips that could be used.
        spectrograms: float16 decibels from -80 to 0, ``(n, bands, frames)``, a memory map.
        mfcc: MFCC statistics, ``(n, 120)`` float32.
        skipped: ``(path, cause)`` of every clip that could not be used.
        key: content key: files, settings and code version.
        degradation: what was done to every clip before, if anything.
        settings: of the spectrograms.
        blocks: embeddings that the corpus came with, in place of spectrograms and MFCC.
    """

    corpus: Corpus
    spectrograms: np.ndarray
    mfcc: np.ndarray
    skipped: list[tuple[str, str]]
    key: str
    degradation: Degradation | None = None
    settings: Settings = Settings()  # noqa: RUF009 (frozen)
    blocks: dict[str, np.ndarray] | None = None

    @property
    def mfcc_block(self) -> dict[str, np.ndarray]:
        """``{"mfcc": (n, 120)}``; nothing where the corpus has no sound."""
        return {} if self.blocks else {"mfcc": self.mfcc}

    def baselines(self, *, progress: bool = True) -> dict[str, np.ndarray]:
        """Statistics without a network, ``{name: (n, d)}`` float32, each at its own width.

        ``mfcc`` as it is here; ``mfcc40``, the same with 40 coefficients (240 columns), which takes
        a second decode on the first call; ``logmel``, mean and standard deviation over time of each
        band of the spectrograms.
        """
        if self.blocks:
            return {}
        content = _cepstra(self.settings), 40, *_content(self.corpus, self.degradation)
        folder = _mfcc(*content, corpus=self.corpus, progress=progress)
        levels = (level.astype(np.float32) for level in self.spectrograms)
        logmel = np.stack([np.r_[level.mean(-1), level.std(-1)] for level in levels])
        return {"mfcc": self.mfcc, "mfcc40": np.load(folder / "mfcc.npy"), "logmel": logmel}


def features(corpus: Corpus, settings: Settings = Settings(), *, workers: int = 0,  # noqa: B008
             batch: int = 16, progress: bool = True,
             degradation: Degradation | None = None) -> Features:
    """Spectrograms and MFCC statistics of every clip, from the cache where they are there; of a
    corpus of embeddings its blocks.

    Each clip is decoded once, fitted to the corpus's duration by repeating (Choi et al. 2017,
    section 3), and written straight to disk: memory does not grow with the number of clips. A
    degradation comes between decoding and fitting.

    Args:
        workers: threads, each with clips of its own; 0 is one a core.
        batch: clips that a thread takes at a time.

    Raises:
        AudiotlError: not one clip could be decoded.
    """
    if corpus.blocks_file:
        rows = corpus.clips["row"].to_numpy()
        blocks = {name: np.asarray(block[rows], np.float32)
                  for name, block in blocks_of(corpus.blocks_file).items()}
        return Features(corpus, np.zeros((len(rows), 0, 0), np.float16), np.zeros((len(rows), 0)),
                        [], cache.key_of([*map(cache.array_key, blocks.values())]), blocks=blocks)
    content = settings, *_content(corpus, degradation)
    folder = _extract(*content, corpus=corpus, workers=workers, batch=batch, progress=progress)
    record = json.loads((folder / "record.json").read_text())
    kept = np.array(record["kept"], dtype=int)
    skipped = [(corpus.clips["path"].iloc[row], cause) for row, cause in record["skipped"]]
    if len(kept) == 0:
        raise AudiotlError(f"Not one of the {len(corpus)} clips of {corpus.name} could be decoded, "
                           f"the first because: {skipped[0][1]}")
    used = dataclasses.replace(corpus.subset(kept), listed=corpus.listed)
    spectrograms = np.load(folder / "spectrograms.npy", mmap_mode="r")[:len(kept)]
    return Features(used, spectrograms, np.load(folder / "mfcc.npy"), skipped,
                    _extract.key(*content), degradation, settings)


def _content(corpus: Corpus, *degradation: Degradation) -> tuple:
    # What is heard of a corpus: the sound of its clips and nothing of their labels.
    return corpus.duration, cache.fingerprint(corpus.clips["path"]), *filter(None, degradation)


@cache.step("features", VERSION)
def _extract(folder: Path, settings: Settings, duration: float, sound: str,
             degradation: Degradation | None = None, *, corpus: Corpus, **how) -> None:
    fronts = LogSpectrogram(settings), MFCCStatistics(_cepstra(settings))
    frames = 1 + round(duration * settings.sample_rate) // settings.hop
    shape = len(corpus), settings.n_bands, frames
    mfcc, kept, skipped = [np.zeros((0, 120), np.float32)], [], []
    # Written as a plain file: on a full disk a memory map would end the process without a word.
    with open(folder / "spectrograms.npy", "wb") as file:
        head = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        size = file.tell() + 2 * math.prod(shape)
        for rows, made, bad in _heard(corpus, fronts, degradation, **how):
            if rows:
                file.write(made[0])
                mfcc.append(made[1])
            kept += rows
            skipped += bad
        file.truncate(size)  # the rows of skipped clips come last and are empty
    np.save(folder / "mfcc.npy", np.concatenate(mfcc))
    (folder / "record.json").write_text(json.dumps({"kept": kept, "skipped": skipped}))


@cache.step("mfcc", VERSION)
def _mfcc(folder: Path, settings: Settings, n_mfcc: int, duration: float, sound: str,
          degradation: Degradation | None = None, *, corpus: Corpus, **how) -> None:
    mfcc = []
    for _, made, bad in _heard(corpus, (MFCCStatistics(settings, n_mfcc),), degradation, **how):
        if bad:
            raise AudiotlError(bad[0][1])
        mfcc += made
    np.save(folder / "mfcc.npy", np.concatenate(mfcc))


def _cepstra(settings: Settings) -> Settings:
    return dataclasses.replace(LIBROSA, sample_rate=settings.sample_rate)


def _heard(corpus: Corpus, fronts: Sequence[nn.Module], degradation: Degradation | None, *,
           progress: bool, workers: int = 0, batch: int = 16) -> Iterator[Heard]:
    # A thread takes its clips all the way, so that they stay near its core and none waits.
    chunks = (range(i, min(i + batch, len(corpus))) for i in range(0, len(corpus), batch))
    shared = corpus.clips["path"].tolist(), corpus.duration, degradation, fronts
    threads = workers or os.cpu_count() or 1
    name = f"{corpus.name}, {degradation.name}" if degradation else corpus.name
    with tqdm(total=len(corpus), desc=f"features of {name}", unit="clip", disable=not progress,
              mininterval=1) as bar:
        for part in parallel.run(_few, chunks, shared, threads=threads):
            yield part
            bar.update(len(part[0]) + len(part[2]))


def _few(chunk: range, paths: list[str], duration: float, degradation: Degradation | None,
         fronts: Sequence[nn.Module]) -> Heard:
    waves, bad = {}, []
    for row in chunk:
        try:
            waves[row] = waveform(paths[row], fronts[0].settings.sample_rate, duration, degradation)
        except audio.AudioError as error:
            bad.append((row, str(error)))
    if not waves:
        return [], [], bad
    with torch.inference_mode():
        x = torch.from_numpy(np.stack(list(waves.values())))
        made = [front(x) for front in fronts]
        # Of spectrograms, which have a channel, half the precision is kept.
        made = [y[:, 0].half().contiguous() if y.ndim == 4 else y for y in made]
        return list(waves), [y.numpy() for y in made], bad


def waveform(path: str, sample_rate: int, duration: float,
             degradation: Degradation | None = None) -> np.ndarray:
    """A clip of exactly `duration` seconds, ``(samples,)``, degraded if that is asked for."""
    wave = audio.load(path, sample_rate, duration)
    if degradation:
        wave = degradation(wave, sample_rate)
    return audio.fit(wave, round(duration * sample_rate))
