"""Every subset of the blocks (layers, MFCC), scored by a probe under the paper's protocol and a nested one.

The paper's protocol (Choi et al. 2017) picks the probe's settings, and then the best subset, on the folds that
it reports. The nested protocol picks both on the other folds only. Fits for the nested protocol are shared: the
network of folds "all but i and j" serves outer fold i with inner fold j and the other way round.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from audiotl import AudiotlError, cache, stats
from audiotl.datasets.corpus import check_split
from audiotl.probes import Blocks, Probe, Subset, standardise

VERSION = 1
MOST_BLOCKS = 12


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
        outer: ``(n_subsets, n_cells, n)`` bool, each clip predicted by the fit without its fold.
        inner: ``(n_folds, n_subsets, n_cells)``: accuracy over the other folds when fold i is the outer one;
            None if the search was not nested.
        groups: group of each clip, for intervals.
        probe: its name.
    """

    names: tuple[str, ...]
    subsets: list[Subset]
    cells: list[dict]
    fold: np.ndarray
    outer: np.ndarray
    inner: np.ndarray | None
    groups: np.ndarray
    probe: str

    def labels(self) -> list[str]:
        """The subsets as digits (see `label`)."""
        return [label(subset, self.names) for subset in self.subsets]

    def paper(self) -> np.ndarray:
        """Per subset the clips right at the best cell on the reporting folds, ``(n_subsets, n)`` bool."""
        best = self.outer.mean(2).argmax(1)
        return self.outer[np.arange(len(self.subsets)), best]

    def nested(self) -> np.ndarray:
        """Per subset the clips right when each fold's cell is chosen on the other folds, ``(n_subsets, n)`` bool."""
        return self._choose([[s] for s in range(len(self.subsets))])

    def nested_best(self, among: Sequence[int] | None = None) -> tuple[np.ndarray, list[Subset]]:
        """Clips right when each fold's subset *and* cell are chosen on the other folds; and those choices.

        Args:
            among: positions of the subsets to choose from; None is all of them.
        """
        among = list(range(len(self.subsets))) if among is None else list(among)
        inner = self._inner()[:, among]
        picks = [among[int(np.unravel_index(table.argmax(), table.shape)[0])] for table in inner]
        return self._choose([among])[0], [self.subsets[pick] for pick in picks]

    def _inner(self) -> np.ndarray:
        if self.inner is None:
            raise AudiotlError("This search was not nested; run it with nested=True.")
        return self.inner

    def _choose(self, pools: list[list[int]]) -> np.ndarray:
        inner, out = self._inner(), np.zeros((len(pools), len(self.fold)), bool)
        for p, pool in enumerate(pools):
            for i, table in enumerate(inner[:, pool]):
                s, c = np.unravel_index(table.argmax(), table.shape)
                here = self.fold == i
                out[p, here] = self.outer[pool[s], c, here]
        return out

    def table(self, n: int = 2000, seed: int = 0) -> pd.DataFrame:
        """Scores with intervals: ``subset, size, probe, protocol, score, ci_low, ci_high``."""
        parts = []
        for protocol in ("paper",) if self.inner is None else ("paper", "nested"):
            rows = stats.bootstrap_rows(getattr(self, protocol)(), self.groups, n, seed)
            parts.append(pd.DataFrame({"subset": self.labels(), "size": [len(s) for s in self.subsets],
                                       "probe": self.probe, "protocol": protocol, "score": rows[:, 0],
                                       "ci_low": rows[:, 1], "ci_high": rows[:, 2]}))
        return pd.concat(parts, ignore_index=True)


def search(blocks: Blocks, y: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]], groups: np.ndarray,
           probe: Probe, *, subsets: Sequence[Subset] | None = None, scale: bool = True, nested: bool = True,
           progress: bool = True, title: str = "subsets", threads: int = 0) -> Search:
    """Score every subset of the blocks over the folds, from the cache where the same was searched before.

    Args:
        blocks: ``{name: (n, d)}``.
        y: class of each clip, ``(n,)`` int.
        splits: (train, test) rows of each fold; the test rows cover every clip once.
        groups: group of each clip; a split with a group on both sides is refused.
        subsets: which subsets; None is all of them.
        scale: standardise columns on the training clips of each fit (the published scores used raw features).
        nested: also fit the inner folds.
        threads: fits at a time; 0 is one a core.

    Raises:
        LeakError: a split has a group on both sides.
        AudiotlError: too many blocks to search them all, or tags instead of classes.
    """
    names = tuple(blocks)
    if subsets is None and len(names) > MOST_BLOCKS:
        raise AudiotlError(f"{len(names)} blocks have {2 ** len(names) - 1:,} subsets; name the ones to score, or "
                           f"search at most {MOST_BLOCKS} blocks.")
    if y.ndim != 1:
        raise AudiotlError("The subset search needs one class a clip, and this corpus has tags; choose another target.")
    subsets = all_subsets(names) if subsets is None else list(subsets)
    for k, (train, test) in enumerate(splits):
        check_split(groups, train, test, where=f"fold {k}")
    key = cache.key_of("search", VERSION, {n: cache.array_key(b) for n, b in blocks.items()}, cache.array_key(y),
                       [cache.array_key(part) for split in splits for part in split], probe.name, probe.cells,
                       subsets, scale, nested)
    fold = np.full(len(y), -1)
    for k, (_, test) in enumerate(splits):
        fold[test] = k
    if (fold < 0).any():
        raise AudiotlError(f"{(fold < 0).sum()} clips are in no test fold; the folds must cover every clip once.")
    folder = cache.find("searches", key)
    if folder is None:
        threads = threads or os.cpu_count() or 1
        outer, inner = _run(blocks, y, splits, fold, probe, subsets, scale, nested, progress, title, key, threads)
        with cache.making("searches", key) as temporary:
            np.savez_compressed(temporary / "search.npz", outer=np.packbits(outer, axis=2),
                                **({} if inner is None else {"inner": inner}))
        for done in (cache.cache_root() / "fits").glob(f"{key}-*"):
            cache.drop(done)
        folder = cache.find("searches", key)
    with np.load(folder / "search.npz", allow_pickle=False) as saved:
        outer = np.unpackbits(saved["outer"], axis=2, count=len(y)).astype(bool)
        inner = saved["inner"] if "inner" in saved.files else None
    return Search(names, subsets, probe.cells, fold, outer, inner, np.asarray(groups), probe.name)


def _run(blocks, y, splits, fold, probe, subsets, scale, nested, progress, title, key, threads):
    k_folds = len(splits)
    outer = np.zeros((len(subsets), len(probe.cells), len(y)), bool)
    jobs: list[tuple[int, ...]] = [(k,) for k in range(k_folds)]
    if nested:
        jobs += list(itertools.combinations(range(k_folds), 2))
        right = np.zeros((k_folds, k_folds, len(subsets), len(probe.cells)))

    def fit(left_out: tuple[int, ...]) -> np.ndarray:
        train = functools.reduce(np.intersect1d, [splits[k][0] for k in left_out])
        test = np.concatenate([splits[k][1] for k in left_out])
        return _kept(f"{key}-{'-'.join(map(str, left_out))}",
                     lambda: _fold(blocks, y, train, test, probe, subsets, scale), len(test))

    bar = tqdm(total=len(jobs), desc=f"{title} ({probe.name})", unit="fit", disable=not progress, mininterval=1)
    # One fit a thread and one thread a fit: the small matrices of a fit are not worth dividing.
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        try:
            for left_out, correct in zip(jobs, pool.map(fit, jobs), strict=True):
                bar.update()
                if len(left_out) == 1:
                    outer[:, :, splits[left_out[0]][1]] = correct
                else:
                    i, j = left_out
                    cut = len(splits[i][1])
                    right[j, i], right[i, j] = correct[:, :, :cut].sum(2), correct[:, :, cut:].sum(2)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    bar.close()
    if not nested:
        return outer, None
    sizes = np.bincount(fold, minlength=k_folds)
    # right[i, j]: clips of fold j got right when folds i and j were both left out.
    return outer, right.sum(1) / (sizes.sum() - sizes)[:, None, None]


def _fold(blocks, y, train, test, probe, subsets, scale) -> np.ndarray:
    left, right = {n: b[train] for n, b in blocks.items()}, {n: b[test] for n, b in blocks.items()}
    if scale:
        left, right = standardise(left, right)
    return probe.fold(left, y[train], right, subsets) == y[test]


def _kept(key: str, make: Callable[[], np.ndarray], n_test: int) -> np.ndarray:
    # One entry a fit, so that a search which was cut off goes on where it stopped.
    folder = cache.find("fits", key)
    if folder is None:
        correct = make()
        with cache.making("fits", key) as temporary:
            np.savez_compressed(temporary / "fit.npz", correct=np.packbits(correct, axis=2))
        return correct
    with np.load(folder / "fit.npz", allow_pickle=False) as saved:
        return np.unpackbits(saved["correct"], axis=2, count=n_test).astype(bool)
