"""What a folder of sounds holds before anything is learnt: levels, faults, copies, groups."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr
from scipy import fft, signal
from scipy.sparse import coo_array, csgraph

from audiotl import audio, cache, parallel
from audiotl.datasets.corpus import Corpus

RATE, FRAME, HOP, BITS = 5500, 2048, 64, 32
"""Of the fingerprint: frames of 0.37 s every 11.6 ms, 33 bands from 300 to 2000 Hz."""

SILENT, CLIPPED = -60.0, 1e-3
"""A clip is silent below this peak in dB of full scale, and clipped from this share of its samples
that stay at its peak for three or more."""

FEWEST_FRAMES, MOST_ERRORS, MOST_SHARING, LEAST_ALIKE = 32, 0.25, 30, 0.8
"""Frames two clips must share, share of bits in which near-duplicates differ at most, clips that
may have a word in common for it to be looked up, and the least that their waveforms correlate."""

COUNTER = re.compile(r"(.+?)(?:[-_. ]+[A-Za-z]|"
                     r"[-_. ]*(?:take|part|copy|clip|seg)?[-_. ]*\(?(?<!\d)\d{1,3}\)?)")
"""A name and the number or letter that counts takes at its end."""


def survey(corpus: Corpus) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """What each clip is, and its fingerprint; from the cache where it is there.

    Returns:
        A row a clip: ``seconds, hertz, peak, level`` (dB of full scale; level is the root
        mean square), ``silent``, ``clipped``, and ``fault``, why it cannot be decoded, else empty.
        The words of each clip as of `words`, none of a clip that cannot be decoded.
    """
    paths = corpus.clips["path"].tolist()
    folder = _survey(cache.fingerprint(paths), paths=paths)
    table = pd.read_json(folder / "clips.json", orient="split").assign(path=paths)
    with np.load(folder / "words.npz") as saved:
        return table, np.split(saved["words"], saved["ends"][:-1])


@cache.step("survey", version=2)
def _survey(folder: Path, _, *, paths: list[str]) -> None:
    found = [*parallel.run(_look, paths, (), threads=os.cpu_count() or 1)]
    rows = pd.DataFrame([row for row, _ in found])
    rows.to_json(folder / "clips.json", orient="split", index=False)
    ends = np.cumsum([len(part) for _, part in found])
    np.savez(folder / "words.npz", words=np.concatenate([part for _, part in found]), ends=ends)


def _look(path: str) -> tuple[dict, np.ndarray]:
    none = np.zeros((0, 2), np.uint32)
    blank = dict.fromkeys(("seconds", "peak", "level"), np.nan)
    blank |= {"hertz": 0, "silent": False, "clipped": False}
    try:
        about = soundfile.info(path)
        x = audio.load(path, about.samplerate)
        low = soxr.resample(x, about.samplerate, RATE)
    except (audio.AudioError, RuntimeError, TypeError, ValueError, OSError) as error:
        cause = str(error).rpartition("(")[2].partition(")")[0]
        return blank | {"fault": cause or type(error).__name__}, none
    size = np.abs(x)
    at_peak = size >= 0.999 * size.max()
    held = at_peak[:-2] & at_peak[1:-1] & at_peak[2:]
    peak, level = (20 * np.log10(max(value, 1e-10)) for value in (
        size.max(), np.sqrt(np.square(x, dtype=np.float64).mean())))
    row = {"seconds": len(x) / about.samplerate, "hertz": about.samplerate, "peak": peak,
           "level": level, "silent": bool(peak < SILENT), "fault": "",
           "clipped": bool(peak >= SILENT and held.mean() > CLIPPED)}
    return row, none if row["silent"] else words(low)


def words(samples: np.ndarray) -> np.ndarray:
    """The fingerprint of Haitsma and Kalker ("A highly robust audio fingerprinting system", ISMIR
    2002): a word of 32 bits a frame, the signs of how the differences between the energies of
    neighbouring bands change from frame to frame. Level and coding leave most of them as they are.

    Args:
        samples: ``(n,)`` at `RATE`; a clip shorter than a second gets a frame of silence around it.

    Returns:
        ``(frames, 2)`` uint32: the word, and whether the frame is loud enough to count.
    """
    samples = np.pad(samples, FRAME * (len(samples) < RATE))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    edges = np.geomspace(300, 2000, BITS + 2) * FRAME / RATE
    window = np.hanning(FRAME).astype(np.float32)
    power = np.concatenate([np.abs(fft.rfft(part * window)[:, :int(edges[-1]) + 1]) ** 2
                            for part in np.array_split(frames, 1 + len(frames) // 64)])
    energy = np.add.reduceat(power, edges.astype(int), axis=1)[:, :BITS + 1]
    bits = np.diff(np.diff(energy, axis=1), axis=0) > 0
    word = np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)
    loud = energy[1:].sum(1) > 1e-5 * energy.sum(1).max()
    return np.stack([word, loud], 1).astype(np.uint32)


def near_duplicates(fingerprints: Sequence[np.ndarray], paths: Sequence[str]) -> pd.DataFrame:
    """Pairs of clips that hold a stretch of the same recording, at any offset.

    As in the paper, two clips are compared where they have a word in common; words of many clips
    (hum, silence) are passed over. Takes of one word agree in many bits, so the waveforms decide.

    Args:
        fingerprints: `words` of each clip.
        paths: of the clips, which are decoded where fingerprints agree.

    Returns:
        ``first, second`` (positions), ``offset`` (seconds by which the second starts later within
        the recording), ``errors`` (share of differing bits), ``alike`` (see `likeness`).
    """
    rows = pd.concat([pd.DataFrame({"word": one[:, 0], "clip": clip, "frame": range(len(one))})[
        one[:, 1] > 0] for clip, one in enumerate(fingerprints)], ignore_index=True)
    rows = rows.drop_duplicates(["word", "clip"]).sort_values(["word", "clip"], kind="stable")
    sharing = rows.groupby("word")["clip"].transform("size")
    word, clip, frame = rows[(sharing > 1) & (sharing <= MOST_SHARING)].to_numpy().T
    found = []
    for step in range(1, MOST_SHARING):
        same = np.flatnonzero(word[:-step] == word[step:])
        found.append(np.stack([clip[same], clip[same + step], frame[same] - frame[same + step]]))
    places, votes = np.unique(np.concatenate(found, 1), axis=1, return_counts=True)
    best: dict[tuple[int, int], list] = {}
    for i in np.argsort(-votes, kind="stable"):
        first, second, offset = places[:, i].tolist()
        errors = best.setdefault((first, second), [])
        if len(errors) < 3:
            errors.append((_errors(fingerprints[first], fingerprints[second], offset), offset))
    pairs = [(*pair, min(errors)[1] * HOP / RATE, min(errors)[0])
             for pair, errors in best.items() if min(errors)[0] <= MOST_ERRORS]
    table = pd.DataFrame(sorted(pairs), columns=["first", "second", "offset", "errors"])
    alike = [likeness(paths[one], paths[other], at) for one, other, at, _ in sorted(pairs)]
    return table.assign(alike=alike).query("alike >= @LEAST_ALIKE", engine="python")


def likeness(first: str, second: str, offset: float) -> float:
    """Correlation of two waveforms, the second `offset` seconds later, give or take 50 ms."""
    one, other = (audio.load(path, 16_000) for path in (first, second))
    lags = signal.correlation_lags(len(one), len(other))
    fits = np.abs(signal.correlate(one, other)) * (np.abs(lags - 16_000 * offset) < 800)
    lag = lags[np.argmax(fits)]
    one, other = one[max(lag, 0):], other[max(-lag, 0):]
    length = min(len(one), len(other))
    return abs(np.corrcoef(one[:length], other[:length])[0, 1])


def _errors(one: np.ndarray, other: np.ndarray, offset: int) -> float:
    one, other = one[max(offset, 0):], other[max(-offset, 0):]
    length = min(len(one), len(other))
    both = (one[:length, 1] & other[:length, 1]) > 0
    if both.sum() < FEWEST_FRAMES:
        return 1.0
    differ = one[:length, 0][both] ^ other[:length, 0][both]
    return float(np.bitwise_count(differ).mean() / BITS)


def name_groups(corpus: Corpus) -> np.ndarray:
    """Groups that the files' names suggest, ``(n,)`` str: names that differ in a last counter.

    Counters are taken off the ends (``rex_bark_02`` and ``rex_bark_03`` become ``rex_bark``) as
    long as those of the usual class leave more than three names; else they tell clips apart.

    >>> COUNTER.fullmatch("1-100032-A")[1], COUNTER.fullmatch("rex (2)")[1]
    ('1-100032', 'rex')
    """
    names = corpus.clips["path"].map(lambda path: Path(path).stem)
    label = corpus.clips["label"].str.split(";").str[0]
    label = label if not corpus.numeric else label.mask(label != "", "")
    while True:
        found = names.map(lambda name: (COUNTER.fullmatch(name) or [name, name])[1])
        changed = found != names
        if not changed.any() or found[changed].groupby(label).nunique().median() <= 3:
            break
        names = found
    return names.to_numpy(str)


def joined(groups: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """Groups that hold together whatever one of several groupings does, ``(n,)`` str.

    Args:
        groups: a name a clip, ``(n,)``.
        others: further names ``(n,)``, or pairs of positions ``(m, 2)`` int.

    >>> joined(np.array(["a", "b", "c", "c"]), np.array([[0, 1]])).tolist()
    ['a', 'a', 'c', 'c']
    """
    n, links = len(groups), []
    for one in (groups, *others):
        if one.ndim == 1:
            _, first, member = np.unique(one, return_index=True, return_inverse=True)
            one = np.stack([np.arange(n), first[member]], 1)
        links.append(one.astype(int).reshape(-1, 2))
    first, second = np.concatenate(links).T
    graph = coo_array((np.ones(len(first)), (first, second)), (n, n))
    member = csgraph.connected_components(graph, directed=False)[1]
    _, start = np.unique(member, return_index=True)
    return np.asarray(groups, str)[start[member]]
