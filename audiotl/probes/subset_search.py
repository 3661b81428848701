"""Every subset of the blocks (layers, MFCC), scored by a probe; `Search` is what comes out.

Fits for the nested protocol are shared: the fit on folds "all but i and j" serves outer fold i with inner fold j
and the other way round. Ridge goes through `lattice`, any other probe fits subset by subset.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from audiotl import AudiotlError, cache, parallel, stats
from audiotl.datasets.corpus import check_split
from audiotl.probes import Blocks, Probe, Ridge, Subset, reduce, ridge_subsets, standardise

VERSION = 1
MOST_BLOCKS = 12
"""Up to here a whole search starts without being weighed first."""

PATIENCE = 3600.0
"""Seconds that a search of all subsets may be expected to take."""

MOST_BYTES = 2**30
"""What the results of a search may take up in memory."""

WALK_EFFICIENCY = 0.5
"""Part of the plain matrix-product speed that the ridge search keeps up (measured 0.4 to 0.7)."""


def search(blocks: Blocks, y: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]], groups: np.ndarray,
           probe: Probe, *, subsets: Sequence[Subset] | None = None, scale: bool = True, width: int | None = None,
           nested: bool = True, patience: float = PATIENCE, progress: bool = True, title: str = "subsets",
           threads: int = 0) -> Search:
    """Score every subset of the blocks over the folds, from the cache where the same was searched before.

    Args:
        blocks: ``{name: (n, d)}``.
        y: class of each clip, ``(n,)`` int.
        splits: (train, test) rows of each fold; the test rows cover every clip once.
        groups: group of each clip; a split with a group on both sides is refused.
        subsets: which subsets; None is all of them.
        scale: standardise columns on the training clips of each fit (the published scores used raw features).
        width: bring wider blocks down to so many principal components of the training clips of each fit; None
            leaves them as wide as they are.
        nested: also fit the inner folds.
        patience: seconds that more than `MOST_BLOCKS` blocks may be expected to take.
        threads: fits at a time; 0 is one a core.

    Raises:
        LeakError: a split has a group on both sides.
        AudiotlError: too many blocks to search them all, or tags instead of classes.
    """
    names, threads = tuple(blocks), threads or os.cpu_count() or 1
    if y.ndim != 1:
        raise AudiotlError("The subset search needs one class a clip, and this corpus has tags; choose another target.")
    for k, (train, test) in enumerate(splits):
        check_split(groups, train, test, f"fold {k}", y)
    if subsets is None and len(names) > MOST_BLOCKS:
        _weigh(blocks, y, splits, probe, scale, width, nested, patience, threads)
    subsets = all_subsets(names) if subsets is None else list(subsets)
    key = cache.key_of("search", VERSION, {n: cache.array_key(b) for n, b in blocks.items()}, cache.array_key(y),
                       [cache.array_key(part) for split in splits for part in split], probe.name, probe.cells,
                       subsets, scale, nested, *([] if width is None else [width]))
    fold = np.full(len(y), -1)
    for k, (_, test) in enumerate(splits):
        fold[test] = k
    if (fold < 0).any():
        raise AudiotlError(f"{(fold < 0).sum()} clips are in no test fold; the folds must cover every clip once.")

    def make(folder: Path) -> None:
        bits, inner = _run(blocks, y, splits, fold, probe, subsets, scale, width, nested, progress, title, key, threads)
        np.savez_compressed(folder / "search.npz", outer=bits, **({} if inner is None else {"inner": inner}))

    folder = cache.entry("searches", key, make)
    for done in (cache.cache_root() / "fits").glob(f"{key}-*"):
        cache.drop(done)
    with np.load(folder / "search.npz", allow_pickle=False) as saved:
        bits, inner = saved["outer"], saved["inner"] if "inner" in saved.files else None
    return Search(names, subsets, probe.cells, fold, bits, inner, np.asarray(groups), probe.name)


def estimate(blocks: Blocks, y: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]], probe: Probe, *,
             scale: bool = True, width: int | None = None, nested: bool = True,
             threads: int = 1) -> tuple[float, float]:
    """Seconds and bytes that a search of all subsets should take on this machine as it is now.

    Ridge is reckoned from its operations and a product timed for some milliseconds; any other probe from one fit
    of all blocks together, which takes as long as that fit.
    """
    n_subsets, n_cells, n, folds = 2 ** len(blocks) - 1, len(probe.cells), len(y), len(splits)
    fits = folds + (folds * (folds - 1) // 2 if nested else 0)
    held = n_subsets * (n_cells * (n / 8 + (16 * folds if nested else 0)) + 150)
    if isinstance(probe, Ridge):
        widths = [min(block.shape[1], width or block.shape[1]) for block in blocks.values()]
        work = n_cells * _operations(n_subsets, n * (folds if nested else 1), fits, np.mean(widths),
                                    len(np.unique(y)))
        return work / (WALK_EFFICIENCY * _speed() * threads), held
    started = time.perf_counter()
    _fold(blocks, y, *splits[0], probe, [tuple(blocks)], scale, width)
    return (time.perf_counter() - started) * n_subsets * fits / threads, held


def _weigh(blocks, y, splits, probe, scale, width, nested, patience, threads) -> None:
    seconds, held = estimate(blocks, y, splits, probe, scale=scale, width=width, nested=nested, threads=threads)
    if seconds > patience or held > MOST_BYTES:
        raise AudiotlError(
            f"{len(blocks)} blocks have {2 ** len(blocks) - 1:,} subsets, which would take about {seconds:,.0f} s and "
            f"{held / 1e6:,.0f} MB with {probe.name} (allowed are {patience:,.0f} s and {MOST_BYTES / 1e6:,.0f} MB); "
            "drop blocks, raise patience, or estimate Shapley values from a sample: search the subsets that "
            "shapley.sample names, and give their scores to shapley.sampled.")


def _operations(n_subsets: int, n_test: int, fits: int, width: float, k: int) -> float:
    # Of ridge a penalty, by the counts in the head of `lattice`: test clips of all fits, mean columns of a block.
    return n_subsets * (2 * n_test * width * (width + k) + fits * (10 * width**3 + 4 * width**2 * k))


def _speed(width: int = 32, rows: int = 80, seconds: float = 0.02) -> float:
    # Operations a second of this machine in products of the size that `lattice` makes, one thread.
    a, b = np.ones((rows, width)), np.ones((width, ridge_subsets.CHUNK))
    out = np.empty((rows, ridge_subsets.CHUNK))
    np.dot(a, b, out)
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        np.dot(a, b, out)
        done += 1
    return 2 * a.size * ridge_subsets.CHUNK * done / (time.perf_counter() - started)


def _run(blocks, y, splits, fold, probe, subsets, scale, width, nested, progress, title, key, threads):
    k_folds = len(splits)
    jobs: list[tuple[int, ...]] = [(k,) for k in range(k_folds)]
    right = np.zeros((k_folds, k_folds, len(subsets), len(probe.cells)) if nested else 0)
    if nested:
        jobs += list(itertools.combinations(range(k_folds), 2))

    # One cache entry a fit, so that a search which was cut off goes on where it stopped.
    names = {job: f"{key}-{'-'.join(map(str, job))}{'-counts' if len(job) > 1 else ''}" for job in jobs}
    kept = {job: folder for job in jobs if (folder := cache.find("fits", names[job]))}
    shared = (blocks, y, splits, probe, subsets, scale, width)
    made = parallel.run(_fit, [job for job in jobs if job not in kept], shared, threads=threads)
    parts = []
    for job in tqdm(jobs, f"{title} ({probe.name})", unit="fit", disable=not progress, mininterval=1):
        if job in kept:
            found = _read(kept[job])
            found = _fit(job, *shared) if found is None else found
        else:
            found = next(made)
            with cache.making("fits", names[job]) as folder:
                np.savez_compressed(folder / "fit.npz", correct=found)
        if len(job) == 1:
            parts.append(found)
        else:
            i, j = job
            right[j, i], right[i, j] = found
    bits = _joined(parts, [test for _, test in splits], len(y))
    if not nested:
        return bits, None
    sizes = np.bincount(fold, minlength=k_folds)
    # right[i, j]: clips of fold j got right when folds i and j were both left out.
    return bits, right.sum(1) / (sizes.sum() - sizes)[:, None, None]


def _fit(left_out: tuple[int, ...], blocks, y, splits, probe, subsets, scale, width) -> np.ndarray:
    # Fits on the clips that train all folds left out: for one fold the bits of its clips, for two how many of each.
    train = functools.reduce(np.intersect1d, [splits[k][0] for k in left_out])
    test = np.concatenate([splits[k][1] for k in left_out])
    bits = _fold(blocks, y, train, test, probe, subsets, scale, width)
    if len(left_out) == 1:
        return bits
    first = count(bits & np.packbits(np.arange(len(test)) < len(splits[left_out[0]][1])))
    return np.stack([first, count(bits) - first])


def _fold(blocks, y, train, test, probe, subsets, scale, width) -> np.ndarray:
    left, right = {n: b[train] for n, b in blocks.items()}, {n: b[test] for n, b in blocks.items()}
    if scale:
        left, right = standardise(left, right)
    if width is not None:
        left, right = reduce(left, right, width)
    if isinstance(probe, Ridge):
        return probe.right(left, y[train], right, y[test], subsets)
    return np.packbits(probe.fold(left, y[train], right, subsets) == y[test], axis=2)


def _joined(parts: list[np.ndarray], rows: list[np.ndarray], n: int) -> np.ndarray:
    # Each fold's bits to their clips, some 100 MB at a time.
    subsets, cells, _ = parts[0].shape
    out, step = np.empty((subsets, cells, -(-n // 8)), np.uint8), max(1, 10**8 // (cells * n))
    for start in range(0, subsets, step):
        here = slice(start, min(start + step, subsets))
        whole = np.zeros((here.stop - start, cells, n), np.uint8)
        for part, test in zip(parts, rows, strict=True):
            whole[:, :, test] = np.unpackbits(part[here], axis=2, count=len(test))
        out[here] = np.packbits(whole, axis=2)
    return out


def _read(folder: Path) -> np.ndarray | None:
    # None: another process has ended the same search meanwhile, and dropped its fits.
    try:
        with np.load(folder / "fit.npz", allow_pickle=False) as saved:
            return saved["correct"]
    except FileNotFoundError:
        return None


def all_subsets(names: Sequence[str]) -> list[Subset]:
    """The 2^n - 1 subsets, small ones first.

    >>> all_subsets(["a", "b"])
    [('a',), ('b',), ('a', 'b')]
    """
    return [s for size in range(1, len(names) + 1) for s in itertools.combinations(names, size)]


def label(subset: Subset, names: Sequence[str]) -> str:
    """A subset as digits, as in the paper: ``("layer1", "layer3")`` is ``"02"``; other blocks by name."""
    layers = "".join(str(list(names).index(name)) for name in subset if name.startswith("layer"))
    return "+".join([part for part in (layers, *(name for name in subset if not name.startswith("layer"))) if part])


@dataclasses.dataclass(frozen=True)
class Search:
    """Which clips each subset and each cell of the probe's grid got right.

    Args:
        names: the blocks in order.
        subsets: the subsets scored.
        cells: the probe's grid.
        fold: test fold of each clip, ``(n,)``.
        bits: ``(n_subsets, n_cells, ceil(n / 8))`` uint8, packed by ``numpy.packbits``: each clip predicted by the
            fit without its fold.
        inner: ``(n_folds, n_subsets, n_cells)``: accuracy over the other folds when fold i is the outer one;
            None if the search was not nested.
        groups: group of each clip, for intervals.
        probe: its name.
    """

    names: tuple[str, ...]
    subsets: list[Subset]
    cells: list[dict]
    fold: np.ndarray
    bits: np.ndarray
    inner: np.ndarray | None
    groups: np.ndarray
    probe: str

    @property
    def outer(self) -> np.ndarray:
        """All of `bits` as ``(n_subsets, n_cells, n)`` bool, for small searches."""
        return self.unpack(self.bits)

    def unpack(self, bits: np.ndarray) -> np.ndarray:
        """Packed bits to one bool a clip, along the last axis."""
        return np.unpackbits(bits, axis=-1, count=len(self.fold)).astype(bool)

    def labels(self) -> list[str]:
        """The subsets as digits (see `label`)."""
        return [label(subset, self.names) for subset in self.subsets]

    def position(self, subset: Sequence[str]) -> int:
        """Where a subset stands in `subsets`, its blocks named in any order.

        Raises:
            AudiotlError: it was not scored.
        """
        ordered = tuple(name for name in self.names if name in subset)
        if ordered not in self._positions or len(ordered) != len(set(subset)):
            raise AudiotlError(f"The subset {'+'.join(subset) or '(none)'} was not scored; choose among "
                               f"{', '.join(self.names)}.")
        return self._positions[ordered]

    @functools.cached_property
    def _positions(self) -> dict[Subset, int]:
        return {subset: i for i, subset in enumerate(self.subsets)}

    @functools.cached_property
    def paper_bits(self) -> np.ndarray:
        """`paper`, packed."""
        best = count(self.bits).argmax(1)
        return self.bits[np.arange(len(self.subsets)), best]

    @functools.cached_property
    def nested_bits(self) -> np.ndarray:
        """`nested`, packed."""
        out = np.zeros((len(self.subsets), self.bits.shape[2]), np.uint8)
        for i, table in enumerate(self._inner()):
            out |= self.bits[np.arange(len(out)), table.argmax(1)] & np.packbits(self.fold == i)
        return out

    def paper(self) -> np.ndarray:
        """Per subset the clips right at the best cell on the reporting folds, ``(n_subsets, n)`` bool."""
        return self.unpack(self.paper_bits)

    def nested(self) -> np.ndarray:
        """Per subset the clips right when each fold's cell is chosen on the other folds, ``(n_subsets, n)`` bool."""
        return self.unpack(self.nested_bits)

    def scores(self, protocol: str = "nested") -> np.ndarray:
        """Accuracy of each subset under ``"nested"`` or ``"paper"``, ``(n_subsets,)``."""
        return count(self.nested_bits if protocol == "nested" else self.paper_bits) / len(self.fold)

    def scored(self, subset: Sequence[str], protocol: str = "nested", **keys) -> stats.Scored:
        """What each clip scored with one subset, its blocks named in any order.

        Args:
            protocol: ``"nested"`` or ``"paper"``.
            **keys: of the result, beside ``subset``, ``probe`` and ``protocol``.
        """
        place = self.position(subset)
        bits = (self.nested_bits if protocol == "nested" else self.paper_bits)[place]
        named = {"subset": label(self.subsets[place], self.names), "probe": self.probe, "protocol": protocol}
        return stats.Scored.of(self.unpack(bits), self.fold, self.groups, **keys, **named)

    def scored_best(self, among: Sequence[int] | None = None, **keys) -> stats.Scored:
        """What each clip scored with the subset that was best on the other folds (see `nested_best`)."""
        named = {"subset": "best", "probe": self.probe, "protocol": "nested"}
        return stats.Scored.of(self.nested_best(among)[0], self.fold, self.groups, **keys, **named)

    def nested_best(self, among: Sequence[int] | None = None) -> tuple[np.ndarray, list[Subset]]:
        """Clips right when each fold's subset *and* cell are chosen on the other folds; and those choices.

        Args:
            among: positions of the subsets to choose from; None is all of them.
        """
        among = np.arange(len(self.subsets)) if among is None else np.asarray(among)
        out, picks = np.zeros(self.bits.shape[2], np.uint8), []
        for i, table in enumerate(self._inner()):
            s, c = np.unravel_index(table[among].argmax(), (len(among), len(self.cells)))
            out |= self.bits[among[s], c] & np.packbits(self.fold == i)
            picks.append(self.subsets[among[s]])
        return self.unpack(out), picks

    def _inner(self) -> np.ndarray:
        if self.inner is None:
            raise AudiotlError("This search was not nested; run it with nested=True.")
        return self.inner

    def table(self, n: int = 2000, seed: int = 0) -> pd.DataFrame:
        """Scores with intervals: ``subset, size, probe, protocol, score, ci_low, ci_high``."""
        parts = []
        for protocol in ("paper",) if self.inner is None else ("paper", "nested"):
            bits = getattr(self, f"{protocol}_bits")
            rows = np.concatenate([stats.bootstrap_rows(self.unpack(bits[i:i + 1024]), self.groups, n, seed)
                                   for i in range(0, len(bits), 1024)])
            parts.append(pd.DataFrame({"subset": self.labels(), "size": [len(s) for s in self.subsets],
                                       "probe": self.probe, "protocol": protocol, "score": rows[:, 0],
                                       "ci_low": rows[:, 1], "ci_high": rows[:, 2]}))
        return pd.concat(parts, ignore_index=True)


def count(bits: np.ndarray) -> np.ndarray:
    """Bits that are set along the last axis of packed ones.

    >>> count(np.packbits([[1, 0, 1], [0, 0, 1]], axis=1)).tolist()
    [2, 1]
    """
    return np.bitwise_count(bits).sum(-1, dtype=np.int64)
