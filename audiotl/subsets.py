"""Every subset of the blocks (layers, MFCC), scored by a probe under the paper's protocol and a nested one.

The paper's protocol (Choi et al. 2017) picks the probe's settings, and then the best subset, on the folds that
it reports. The nested protocol picks both on the other folds only. Fits for the nested protocol are shared: the
network of folds "all but i and j" serves outer fold i with inner fold j and the other way round.

Results are kept as bits, one for each subset, cell and clip, and are unpacked a part at a time.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from audiotl import AudiotlError, cache, lattice, stats
from audiotl.datasets.corpus import check_split
from audiotl.probes import Blocks, Probe, Ridge, Subset, reduce, standardise

VERSION = 1
MOST_BLOCKS = 12
"""Up to here a whole search starts without being weighed first."""

PATIENCE = 3600.0
"""Seconds that a search of all subsets may be expected to take."""

MOST_BYTES = 2**30
"""What the results of a search may take up in memory."""

WALK_EFFICIENCY = 0.5
"""Part of the plain matrix-product speed that the ridge search keeps up (measured 0.4 to 0.7)."""


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
        best = _count(self.bits).argmax(1)
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
        return _count(self.nested_bits if protocol == "nested" else self.paper_bits) / len(self.fold)

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
    folder = cache.find("searches", key)
    if folder is None:
        bits, inner = _run(blocks, y, splits, fold, probe, subsets, scale, width, nested, progress, title, key, threads)
        with cache.making("searches", key) as temporary:
            np.savez_compressed(temporary / "search.npz", outer=bits, **({} if inner is None else {"inner": inner}))
        for done in (cache.cache_root() / "fits").glob(f"{key}-*"):
            cache.drop(done)
        folder = cache.find("searches", key)
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
        work = n_cells * lattice.operations(n_subsets, n * (folds if nested else 1), fits, np.mean(widths),
                                            len(np.unique(y)))
        return work / (WALK_EFFICIENCY * lattice.speed() * threads), held
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


def _run(blocks, y, splits, fold, probe, subsets, scale, width, nested, progress, title, key, threads):
    k_folds = len(splits)
    jobs: list[tuple[int, ...]] = [(k,) for k in range(k_folds)]
    right = np.zeros((k_folds, k_folds, len(subsets), len(probe.cells)) if nested else 0)
    if nested:
        jobs += list(itertools.combinations(range(k_folds), 2))

    def fit(left_out: tuple[int, ...]) -> np.ndarray:
        train = functools.reduce(np.intersect1d, [splits[k][0] for k in left_out])
        test = np.concatenate([splits[k][1] for k in left_out])

        def make() -> np.ndarray:
            bits = _fold(blocks, y, train, test, probe, subsets, scale, width)
            if len(left_out) == 1:
                return bits
            first = _count(bits & np.packbits(np.arange(len(test)) < len(splits[left_out[0]][1])))
            return np.stack([first, _count(bits) - first])

        return _kept(f"{key}-{'-'.join(map(str, left_out))}{'-counts' if len(left_out) > 1 else ''}", make)

    bar = tqdm(total=len(jobs), desc=f"{title} ({probe.name})", unit="fit", disable=not progress, mininterval=1)
    parts = []
    # One fit a thread and one thread a fit: the small matrices of a fit are not worth dividing.
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        try:
            for left_out, found in zip(jobs, pool.map(fit, jobs), strict=True):
                bar.update()
                if len(left_out) == 1:
                    parts.append(found)
                else:
                    i, j = left_out
                    right[j, i], right[i, j] = found
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    bar.close()
    bits = _joined(parts, [test for _, test in splits], len(y))
    if not nested:
        return bits, None
    sizes = np.bincount(fold, minlength=k_folds)
    # right[i, j]: clips of fold j got right when folds i and j were both left out.
    return bits, right.sum(1) / (sizes.sum() - sizes)[:, None, None]


def _fold(blocks, y, train, test, probe, subsets, scale, width) -> np.ndarray:
    left, right = {n: b[train] for n, b in blocks.items()}, {n: b[test] for n, b in blocks.items()}
    if scale:
        left, right = standardise(left, right)
    if width is not None:
        left, right = reduce(left, right, width)
    if isinstance(probe, Ridge):
        return probe.right(left, y[train], right, y[test], subsets)
    return np.packbits(probe.fold(left, y[train], right, subsets) == y[test], axis=2)


def _count(bits: np.ndarray) -> np.ndarray:
    return np.bitwise_count(bits).sum(-1, dtype=np.int64)


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


def _kept(key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    # One entry a fit, so that a search which was cut off goes on where it stopped.
    folder = cache.find("fits", key)
    if folder is None:
        found = make()
        with cache.making("fits", key) as temporary:
            np.savez_compressed(temporary / "fit.npz", correct=found)
        return found
    with np.load(folder / "fit.npz", allow_pickle=False) as saved:
        return saved["correct"]
