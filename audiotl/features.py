"""A corpus through the front ends: one decode a clip gives spectrogram and MFCC statistics, kept on disk.

Clips that cannot be decoded are skipped, counted and listed; a second call reads the cache and no audio.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from audiotl import AudiotlError, audio, cache, parallel
from audiotl.datasets.corpus import Corpus
from audiotl.degrade import Degradation
from audiotl.frontend import LogSpectrogram, MFCCStatistics, Settings

VERSION = 1
"""Raised whenever the same settings would give other features."""

PART = 512
"""Clips that a worker of a cluster takes at a time."""

Decoded = tuple[list[int], list[np.ndarray], list[tuple[int, str]]]
"""Rows, their waveforms ``(samples,)``, and ``(row, cause)`` of what is unreadable."""

Computed = tuple[list[int], np.ndarray, np.ndarray, list[tuple[int, str]]]
"""Rows, their spectrograms and MFCC statistics, and ``(row, cause)`` of clips that could not be used."""


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
    """

    corpus: Corpus
    spectrograms: np.ndarray
    mfcc: np.ndarray
    skipped: list[tuple[str, str]]
    key: str
    degradation: Degradation | None = None


def features(corpus: Corpus, settings: Settings = Settings(), *, workers: int = 0, batch: int = 16,  # noqa: B008
             progress: bool = True, degradation: Degradation | None = None) -> Features:
    """Spectrograms and MFCC statistics of every clip, from the cache where they are there.

    Each clip is decoded once, fitted to the corpus's duration by repeating (Choi et al. 2017, section 3), and
    written straight to disk: memory does not grow with the number of clips. A degradation, if one is given, comes
    between decoding and fitting.

    Args:
        workers: threads, each with clips of its own; 0 is one a core.
        batch: clips that a thread takes at a time.

    Raises:
        AudiotlError: not one clip could be decoded.
    """
    key = cache.key_of("features", VERSION, dataclasses.asdict(settings), corpus.duration,
                       cache.fingerprint(corpus.clips["path"]),
                       *([dataclasses.asdict(degradation)] if degradation else []))
    folder = cache.entry("features", key, lambda made: _extract(corpus, settings, made, workers, batch, progress,
                                                                  degradation))
    record = json.loads((folder / "record.json").read_text())
    kept = np.array(record["kept"], dtype=int)
    skipped = [(corpus.clips["path"].iloc[row], cause) for row, cause in record["skipped"]]
    if len(kept) == 0:
        raise AudiotlError(f"Not one of the {len(corpus)} clips of {corpus.name} could be decoded, the first "
                           f"because: {skipped[0][1]}")
    used = dataclasses.replace(corpus.subset(kept), listed=corpus.listed)
    return Features(used, np.load(folder / "spectrograms.npy", mmap_mode="r")[:len(kept)],
                    np.load(folder / "mfcc.npy"), skipped, key, degradation)


def _extract(corpus: Corpus, settings: Settings, folder: Path, workers: int, batch: int, progress: bool,
             degradation: Degradation | None) -> None:
    shape = (len(corpus), settings.n_bands, settings.frames(round(corpus.duration * settings.sample_rate)))
    mfcc, kept, skipped = [], [], []
    name = f"{corpus.name}, {degradation.name}" if degradation else corpus.name
    bar = tqdm(total=len(corpus), desc=f"features of {name}", unit="clip", disable=not progress, mininterval=1)
    # Written as a plain file: on a full disk a memory map would end the process without a word.
    with open(folder / "spectrograms.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
        size = file.tell() + 2 * math.prod(shape)
        for rows, spectrograms, statistics, bad in _parts(corpus, settings, workers, batch, degradation):
            file.write(spectrograms)
            mfcc.append(statistics)
            kept += rows
            skipped += bad
            bar.update(len(rows) + len(bad))
        file.truncate(size)  # the rows of skipped clips come last and are empty
    bar.close()
    np.save(folder / "mfcc.npy", np.concatenate([np.zeros((0, 120), np.float32), *mfcc]))
    (folder / "record.json").write_text(json.dumps({"kept": kept, "skipped": skipped}))


def _parts(corpus: Corpus, settings: Settings, workers: int, *how) -> Iterator[Computed]:
    if not parallel.remote():
        return _computed(corpus, settings, workers, *how)
    parts = [range(i, min(i + PART, len(corpus))) for i in range(0, len(corpus), PART)]
    return itertools.chain.from_iterable(parallel.run(_part, parts, (corpus, settings, *how)))


def _part(part: range, corpus: Corpus, settings: Settings, *how) -> list[Computed]:
    return [([part[row] for row in rows], *made, [(part[row], cause) for row, cause in bad])
            for rows, *made, bad in _computed(corpus.subset(part), settings, 1, *how)]


def _computed(corpus: Corpus, settings: Settings, workers: int, batch: int,
              degradation: Degradation | None) -> Iterator[Computed]:
    # A thread takes its clips all the way, so that they stay near its core and no thread waits for another.
    fronts = LogSpectrogram(settings), MFCCStatistics(_mfcc_settings(settings))
    samples = round(corpus.duration * settings.sample_rate)
    shared = (corpus.clips["path"].tolist(), (settings.sample_rate, corpus.duration, samples, degradation), fronts)
    return parallel.in_threads(_few, _chunks(len(corpus), batch), shared, workers or os.cpu_count() or 1)


def _few(chunk: range, paths: list[str], how: tuple, fronts: tuple[LogSpectrogram, MFCCStatistics]) -> Computed:
    rows, waveforms, bad = _sorted((row, _clip(paths[row], *how)) for row in chunk)
    if not rows:
        return [], np.zeros(0, np.float16), np.zeros((0, 120), np.float32), bad
    with torch.inference_mode():
        x = torch.from_numpy(np.stack(waveforms))
        spectrograms, mfcc = (front(x) for front in fronts)
        return rows, spectrograms[:, 0].half().contiguous().numpy(), mfcc.numpy(), bad


def _mfcc_settings(settings: Settings) -> Settings:
    return Settings(sample_rate=settings.sample_rate, n_fft=2048, hop=512, n_bands=128)


def decoded(corpus: Corpus, sample_rate: int, samples: int, workers: int, batch: int,
            degradation: Degradation | None = None) -> Iterator[Decoded]:
    """The corpus batch by batch, decoded one batch ahead of whoever reads, in `workers` threads (0: one a core).

    Clips are degraded, where that is asked for, and fitted to `samples` by repeating.
    """
    paths, chunks = corpus.clips["path"].tolist(), _chunks(len(corpus), batch)
    # soundfile and soxr release the interpreter lock.
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        def start(chunk: range) -> list[tuple[int, Future]]:
            return [(row, pool.submit(_clip, paths[row], sample_rate, corpus.duration, samples, degradation))
                    for row in chunk]

        ahead = start(chunks[0]) if chunks else []
        for chunk in [*chunks[1:], range(0)]:
            ready, ahead = ahead, start(chunk)
            yield _sorted((row, job.result()) for row, job in ready)


def _chunks(n: int, batch: int) -> list[range]:
    return [range(start, min(start + batch, n)) for start in range(0, n, batch)]


def _clip(path: str, sample_rate: int, duration: float, samples: int, degradation: Degradation | None):
    # A waveform, or why there is none.
    try:
        wave = audio.load(path, sample_rate, duration)
        return audio.fit(degradation(wave, sample_rate) if degradation else wave, samples)
    except audio.AudioError as error:
        return str(error)


def _sorted(done: Iterable[tuple[int, np.ndarray | str]]) -> Decoded:
    rows, waveforms, bad = [], [], []
    for row, value in done:
        if isinstance(value, str):
            bad.append((row, value))
        else:
            rows.append(row)
            waveforms.append(value)
    return rows, waveforms, bad
