"""A corpus through the front ends: one decode a clip gives spectrogram and MFCC statistics, kept.

Clips that cannot be decoded are skipped and listed; a second call reads the cache and no audio.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from audiotl import AudiotlError, audio, cache, parallel
from audiotl.datasets.corpus import Corpus
from audiotl.degrade import Degradation
from audiotl.frontend import LIBROSA, LogSpectrogram, MFCCStatistics, Settings

VERSION = 1
"""Raised whenever the same settings would give other features."""

Bad = list[tuple[int, str]]
"""``(row, cause)`` of clips that could not be used."""

Decoded = tuple[list[int], list[np.ndarray], Bad]
"""Rows, and their waveforms ``(samples,)``."""

Computed = tuple[list[int], list[np.ndarray], Bad]
"""Rows, and an array a front end; no arrays where no clip could be used."""


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
    """

    corpus: Corpus
    spectrograms: np.ndarray
    mfcc: np.ndarray
    skipped: list[tuple[str, str]]
    key: str
    degradation: Degradation | None = None
    settings: Settings = Settings()  # noqa: RUF009 (frozen)

    def baselines(self, *, workers: int = 0, progress: bool = True) -> dict[str, np.ndarray]:
        """Statistics without a network, ``{name: (n, d)}`` float32, each at its own width.

        ``mfcc`` as it is here; ``mfcc40``, the same with 40 coefficients (240 columns), which takes
        a second decode on the first call; ``logmel``, mean and standard deviation over time of each
        band of the spectrograms.

        Raises:
            AudiotlError: a clip that could be decoded for the features no longer can.
        """
        content = _at(self.settings), 40, *_content(self.corpus, self.degradation)
        folder = _mfcc(*content, corpus=self.corpus, workers=workers, progress=progress)
        return {"mfcc": self.mfcc, "mfcc40": np.load(folder / "mfcc.npy"), "logmel": self.logmel()}

    def logmel(self, batch: int = 256) -> np.ndarray:
        """Mean and standard deviation over time of each band, ``(n, 2 * bands)`` float32."""
        out = []
        for start in range(0, len(self.corpus), batch):
            level = self.spectrograms[start:start + batch].astype(np.float32)
            out.append(np.concatenate([level.mean(-1), level.std(-1)], 1))
        return np.concatenate(out)


def features(corpus: Corpus, settings: Settings = Settings(), *, workers: int = 0,  # noqa: B008
             batch: int = 16, progress: bool = True,
             degradation: Degradation | None = None) -> Features:
    """Spectrograms and MFCC statistics of every clip, from the cache where they are there.

    Each clip is decoded once, fitted to the corpus's duration by repeating (Choi et al. 2017,
    section 3), and written straight to disk: memory does not grow with the number of clips. A
    degradation comes between decoding and fitting.

    Args:
        workers: threads, each with clips of its own; 0 is one a core.
        batch: clips that a thread takes at a time.

    Raises:
        AudiotlError: not one clip could be decoded.
    """
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


def _content(corpus: Corpus, degradation: Degradation | None) -> tuple:
    # What is heard of a corpus: the sound of its clips and nothing of their labels.
    sound = corpus.duration, cache.fingerprint(corpus.clips["path"])
    return sound if degradation is None else (*sound, degradation)


@cache.step("features", VERSION)
def _extract(folder: Path, settings: Settings, duration: float, sound: str,
             degradation: Degradation | None = None, *, corpus: Corpus, **how) -> None:
    fronts = LogSpectrogram(settings), MFCCStatistics(_at(settings))
    shape = len(corpus), settings.n_bands, settings.frames(round(duration * settings.sample_rate))
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
        refuse(bad, "these statistics")
        mfcc += made
    np.save(folder / "mfcc.npy", np.concatenate(mfcc))


def _at(settings: Settings) -> Settings:
    return dataclasses.replace(LIBROSA, sample_rate=settings.sample_rate)


def _heard(corpus: Corpus, fronts: Sequence[nn.Module], degradation: Degradation | None, *,
           workers: int, batch: int = 16, progress: bool) -> Iterator[Computed]:
    # A thread takes its clips all the way, so that they stay near its core and none waits.
    threads = workers or os.cpu_count() or 1
    how = _how(corpus, fronts[0].settings.sample_rate, degradation)
    shared = corpus.clips["path"].tolist(), how, fronts
    name = f"{corpus.name}, {degradation.name}" if degradation else corpus.name
    with tqdm(total=len(corpus), desc=f"features of {name}", unit="clip", disable=not progress,
              mininterval=1) as bar:
        for part in parallel.run(_few, _chunks(len(corpus), batch), shared, threads=threads):
            yield part
            bar.update(len(part[0]) + len(part[2]))


def _few(chunk: range, paths: list[str], how: tuple, fronts: Sequence[nn.Module]) -> Computed:
    rows, waveforms, bad = _sorted((row, _clip(paths[row], *how)) for row in chunk)
    if not rows:
        return rows, [], bad
    with torch.inference_mode():
        x = torch.from_numpy(np.stack(waveforms))
        made = [front(x) for front in fronts]
        # Of spectrograms, which have a channel, half the precision is kept.
        made = [y[:, 0].half().contiguous() if y.ndim == 4 else y for y in made]
        return rows, [y.numpy() for y in made], bad


def decoded(corpus: Corpus, sample_rate: int, workers: int, batch: int,
            degradation: Degradation | None = None) -> Iterator[Decoded]:
    """The corpus batch by batch, one batch ahead of whoever reads.

    Clips are degraded, where that is asked for, and fitted to the corpus's duration by repeating.

    Args:
        sample_rate: in Hz.
        workers: threads, 0 is one a core.
    """
    paths = corpus.clips["path"].tolist()
    how = _how(corpus, sample_rate, degradation)
    # soundfile and soxr release the interpreter lock.
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        ahead = []
        for chunk in [*_chunks(len(corpus), batch), range(0)]:
            ready = ahead
            ahead = [(row, pool.submit(_clip, paths[row], *how)) for row in chunk]
            if ready:
                yield _sorted((row, job.result()) for row, job in ready)


def refuse(bad: Bad, user: str) -> None:
    """AudiotlError if a clip of the features can no longer be decoded for `user`."""
    if bad:
        raise AudiotlError(f"The features hold a clip that cannot be decoded for {user}: "
                           f"{bad[0][1]}")


def _chunks(n: int, batch: int) -> list[range]:
    return [range(start, min(start + batch, n)) for start in range(0, n, batch)]


def _how(corpus: Corpus, sample_rate: int, degradation: Degradation | None) -> tuple:
    return sample_rate, corpus.duration, round(corpus.duration * sample_rate), degradation


def _clip(path: str, sample_rate: int, duration: float, samples: int,
          degradation: Degradation | None) -> np.ndarray | str:
    # A waveform, or why there is none.
    try:
        wave = audio.load(path, sample_rate, duration)
        return audio.fit(degradation(wave, sample_rate) if degradation else wave, samples)
    except audio.AudioError as error:
        return str(error)


def _sorted(done: Iterable[tuple[int, np.ndarray | str]]) -> Decoded:
    done = list(done)
    good = [(row, wave) for row, wave in done if not isinstance(wave, str)]
    bad = [(row, cause) for row, cause in done if isinstance(cause, str)]
    return [row for row, _ in good], [wave for _, wave in good], bad
