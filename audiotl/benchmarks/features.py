"""Front ends and embedding against the obvious loop, and against decoding alone."""

import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import librosa
import numpy as np
import torch

from audiotl import audio, datasets, parallel
from audiotl.benchmarks import fresh_cache, median_seconds, row, timed, using
from audiotl.datasets.corpus import Corpus
from audiotl.embedding import embed
from audiotl.features import Features, features
from audiotl.frontend import LogSpectrogram, MFCCStatistics, Settings
from audiotl.models import ConvNet5, pretrained


def bench_mfcc_statistics() -> Iterator[dict]:
    """MFCC statistics of a batch against a loop over librosa, at one thread and at two.

    3,000 clips of 4 s, 200 of noise over and over; both sides start from samples in memory.
    """
    waves = np.random.default_rng(0).standard_normal((200, 64_000)).astype(np.float32)
    front = MFCCStatistics()

    @torch.inference_mode()
    def batch(rows: np.ndarray) -> np.ndarray:
        return front(torch.from_numpy(waves[rows])).numpy()

    def ours(rows: np.ndarray, threads: int) -> np.ndarray:
        return np.concatenate(list(parallel.in_threads(
            batch, np.array_split(rows, -(-len(rows) // 64)), (), threads)))

    def theirs(rows: np.ndarray) -> np.ndarray:
        out = []
        for i in rows:
            series = [librosa.feature.mfcc(y=waves[i], sr=16_000, n_mfcc=20)]
            series += [np.diff(series[0]), np.diff(series[0], 2)]
            out.append(np.concatenate([s.mean(1) for s in series] + [s.std(1) for s in series]))
        return np.array(out)

    every = np.arange(3000) % len(waves)
    theirs(every[:2])  # librosa compiles on its first call
    for threads in (1, 2):
        with using(threads):
            worst = float(np.abs(ours(every[:200], threads) - theirs(every[:200])).max())
            (mine,) = median_seconds(lambda: ours(every, threads))  # noqa: B023
            loop, _ = timed(lambda: theirs(every))
        yield row("MFCC statistics of 3,000 clips of 4 s", mine, "librosa.feature.mfcc in a loop",
                  loop, threads, f"largest difference {worst:.1e}")


def bench_embedding(clips: int = 500) -> list[dict]:
    """All taps of real clips, end to end, against the obvious script and against decoding alone."""
    root = datasets.data_root()
    if root is None:
        print("    no recordings (AUDIOTL_DATA): left out")
        return []
    corpus = datasets.load("esc50", root).subset(np.arange(clips))
    paths, model, threads = corpus.clips["path"], ConvNet5(10).eval(), min(2, os.cpu_count() or 1)

    def ours() -> np.ndarray:
        with fresh_cache():
            sound = features(corpus, workers=threads, progress=False)
            taps = embed(model, sound, workers=threads, progress=False)
            return np.concatenate(list(taps.values()), 1)

    def theirs() -> np.ndarray:
        with torch.inference_mode():
            return np.array([_by_librosa(path, model, corpus) for path in paths])

    def decoding() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda path: audio.load(path, 16_000, corpus.duration), paths))

    with using(threads):
        LogSpectrogram()(torch.zeros(1, 16_000))
        a = ours()
        script, b = timed(theirs)
        mine, floor = median_seconds(ours, decoding, runs=7)
    likeness = min(np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(a.shape[1])
                   if b[:, k].std() > 1e-4)
    name = f"all taps of {clips} ESC-50 clips, from files"
    return [row(name, mine, "one clip, one tap at a time with librosa", script, threads,
                f"smallest correlation of a column {likeness:.5f}"),
            row(name, mine, "decoding alone (the floor)", floor, threads,
                "not the same work: 1.0 would be the floor")]


def bench_embedding_at_scale(clips: int = 2000, few: int = 500) -> list[dict]:
    """All taps of YAMNet for real clips of 5 s against the obvious loop; growth of memory."""
    root = datasets.data_root()
    if root is None or not pretrained.available("yamnet", root):
        print("    no recordings or no YAMNet (AUDIOTL_DATA): left out")
        return []
    model = pretrained.load("yamnet", root)
    corpus = datasets.load("esc50", root).subset(np.arange(clips))

    def ours(sound: Features, half: bool = False) -> tuple[np.ndarray, float, float]:
        with fresh_cache():
            seconds, taps = timed(lambda: embed(model, sound, pooling="mean+std", progress=False,
                                                half=half))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return np.concatenate(list(taps.values()), 1), seconds, peak

    def theirs(path: str) -> np.ndarray:
        wave, _ = librosa.load(path, sr=model.sample_rate)
        wave = audio.fit(wave, round(corpus.duration * model.sample_rate))
        taps = model.taps(torch.from_numpy(wave)[None], pooling="mean+std")
        return np.concatenate([value[0].numpy() for value in taps.values()])

    part, sound = (features(corpus.subset(np.arange(n)), progress=False) for n in (few, clips))
    *_, before = ours(part)
    mine, seconds, after = ours(sound)
    halves, fewer_seconds, _ = ours(sound, half=True)
    theirs(corpus.clips["path"].iloc[0])  # what is set up once
    slow, script = timed(lambda: np.array([theirs(path) for path in corpus.clips["path"]]))
    blocks = 2 * mine.nbytes * (clips - few) / clips / 2**20
    off = np.linalg.norm(halves - script) / np.linalg.norm(script)
    name = f"all 14 taps of YAMNet of {clips:,} clips of 5 s, from files"
    against = "librosa.load, one clip at a time", slow, torch.get_num_threads()
    return [row(name, seconds, *against,
                f"largest difference {np.abs(mine - script).max():.1e}; peak memory "
                f"{after - before - blocks:+.0f} MB from {few} clips on, blocks left out"),
            row(f"{name}, half precision", fewer_seconds, *against,
                f"differs by {100 * off:.2f} % of the norm; bfloat16 where the processor has it")]


def _by_librosa(path: str, model: ConvNet5, corpus: Corpus) -> np.ndarray:
    s = Settings()
    wave, _ = librosa.load(path, sr=s.sample_rate, duration=corpus.duration)
    wave = audio.fit(wave, round(corpus.duration * s.sample_rate))
    mel = librosa.feature.melspectrogram(y=wave, sr=s.sample_rate, n_fft=s.n_fft, hop_length=s.hop,
                                         n_mels=s.n_bands)
    level = librosa.power_to_db(mel, ref=np.max).astype(np.float32)
    taps = model.taps(torch.from_numpy(level)[None, None])
    return np.concatenate([taps[name][0].numpy() for name in model.tap_names])
