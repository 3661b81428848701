"""A corpus through the front ends: one decode a clip gives spectrogram and MFCC statistics, kept on disk.

Clips that cannot be decoded are skipped, counted and listed; a second call reads the cache and no audio.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from audiotl import AudiotlError, audio, cache, engine
from audiotl.datasets.corpus import Corpus
from audiotl.degrade import Degradation
from audiotl.frontend import LogSpectrogram, MFCCStatistics, Settings

VERSION = 1
"""Raised whenever the same settings would give other features."""

PART = 512
"""Clips that a worker of a cluster takes at a time."""

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


def features(corpus: Corpus, settings: Settings = Settings(), *, workers: int = 2, batch: int = 64,  # noqa: B008
             progress: bool = True, degradation: Degradation | None = None) -> Features:
    """Spectrograms and MFCC statistics of every clip, from the cache where they are there.

    Each clip is decoded once, fitted to the corpus's duration by repeating (Choi et al. 2017, section 3), and
    written straight to disk: memory does not grow with the number of clips. A degradation, if one is given, comes
    between decoding and fitting.

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


def _parts(corpus: Corpus, *how) -> Iterator[Computed]:
    if not engine.remote():
        return _computed(corpus, *how)
    parts = [range(i, min(i + PART, len(corpus))) for i in range(0, len(corpus), PART)]
    return itertools.chain.from_iterable(engine.run(_part, parts, (corpus, *how)))


def _part(part: range, corpus: Corpus, *how) -> list[Computed]:
    return [([part[row] for row in rows], *made, [(part[row], cause) for row, cause in bad])
            for rows, *made, bad in _computed(corpus.subset(part), *how)]


def _computed(corpus: Corpus, settings: Settings, workers: int, batch: int,
              degradation: Degradation | None) -> Iterator[Computed]:
    spectrogram, statistics = LogSpectrogram(settings), MFCCStatistics(_mfcc_settings(settings))
    samples = round(corpus.duration * settings.sample_rate)
    for rows, waveforms, bad in decoded(corpus, settings.sample_rate, samples, workers, batch, degradation):
        made = np.zeros(0, np.float16), np.zeros((0, 120), np.float32)
        if rows:
            with torch.inference_mode():
                x = torch.from_numpy(np.stack(waveforms))
                made = spectrogram(x)[:, 0].half().contiguous().numpy(), statistics(x).numpy()
        yield rows, *made, bad


def _mfcc_settings(settings: Settings) -> Settings:
    return Settings(sample_rate=settings.sample_rate, n_fft=2048, hop=512, n_bands=128)


def decoded(corpus: Corpus, sample_rate: int, samples: int, workers: int, batch: int,
            degradation: Degradation | None = None) -> Iterator[tuple[list[int], list[np.ndarray],
                                                                      list[tuple[int, str]]]]:
    """The corpus batch by batch: rows, their waveforms ``(samples,)``, and ``(row, cause)`` of what is unreadable.

    Clips are degraded, where that is asked for, and fitted to length by repeating. Decoding runs one batch ahead of
    whoever reads, in `workers` threads.
    """
    # soundfile and soxr release the interpreter lock.
    def one(path: str):
        try:
            wave = audio.load(path, sample_rate, corpus.duration)
            return audio.fit(degradation(wave, sample_rate) if degradation else wave, samples)
        except audio.AudioError as error:
            return str(error)

    paths = corpus.clips["path"].tolist()
    chunks = [range(start, min(start + batch, len(paths))) for start in range(0, len(paths), batch)]
    with ThreadPoolExecutor(workers) as pool:
        ahead = [pool.submit(one, paths[row]) for row in chunks[0]] if chunks else []
        for i, chunk in enumerate(chunks):
            ready = ahead
            ahead = [pool.submit(one, paths[row]) for row in chunks[i + 1]] if i + 1 < len(chunks) else []
            done = [(row, job.result()) for row, job in zip(chunk, ready, strict=True)]
            good = [(row, value) for row, value in done if not isinstance(value, str)]
            yield ([row for row, _ in good], [value for _, value in good],
                   [(row, value) for row, value in done if isinstance(value, str)])
