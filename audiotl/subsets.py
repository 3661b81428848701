"""Every subset of the blocks (layers, MFCC), scored by a probe; `searched` is what comes out.

Fits for the nested protocol are shared: the fit on folds "all but i and j" serves outer fold i with inner fold j
and the other way round. Ridge goes through `lattice`, any other probe fits subset by subset.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from audiotl import AudiotlError, cache, engine, lattice
from audiotl.datasets.corpus import check_split
from audiotl.probes import Blocks, Probe, Ridge, Subset, reduce, standardise
from audiotl.searched import Search, all_subsets, count, label

__all__ = ["Search", "all_subsets", "estimate", "label", "search"]

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
        check_split(groups, train, test, where=f"fold {k}")
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
    a, b = np.ones((rows, width)), np.ones((width, lattice.CHUNK))
    out = np.empty((rows, lattice.CHUNK))
    np.dot(a, b, out)
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        np.dot(a, b, out)
        done += 1
    return 2 * a.size * lattice.CHUNK * done / (time.perf_counter() - started)


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
    made = engine.run(_fit, [job for job in jobs if job not in kept], shared, threads=threads)
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
