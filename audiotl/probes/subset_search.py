"""Every subset of the blocks (layers, MFCC), scored by a probe; `Search` is what comes out.

The way of a score: `search` names the fits that are needed, `fit_without` makes one of them (split,
scale, probe), `Search.nested_bits` picks each fold's cell by the other folds, and `Search.scored`
gives the scores of the clips to `audiotl.stats`.

Fits of the nested protocol are shared: the fit without folds i and j serves outer fold i with inner
fold j and the other way round.
"""

import contextlib
import dataclasses
import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from audiotl import AudiotlError, cache, parallel, stats
from audiotl.datasets.corpus import Split, check_split
from audiotl.probes import Blocks, Probe, Subset, reduce, rows_of, standardise, targets

VERSION = 1
MOST_BYTES = 2**30  # what the results of a search of all subsets may take up in memory
Splits = Sequence[Split]  # one a fold


def search(blocks: Blocks, y: np.ndarray, splits: Splits, groups: np.ndarray, probe: Probe, *,
           subsets: Sequence[Subset] | None = None, scale: bool = True, width: int | None = None,
           nested: bool = True, progress: bool = True, title: str = "subsets",
           threads: int = 0) -> "Search":
    """Score every subset of the blocks over the folds, or take it from the cache.

    Args:
        blocks: ``{name: (n, d)}``.
        y: class ``(n,)`` int, tags ``(n, k)`` of 0 and 1, or number ``(n,)`` float of each clip.
        splits: (train, test) rows of each fold; the test rows cover every clip once.
        subsets: which subsets; None is all of them.
        scale: standardise columns (the published scores used raw features).
        width: principal components that wider blocks are brought to; None leaves them.
        nested: also fit the inner folds.
        threads: fits at a time; 0 is one a core.

    Raises:
        LeakError: a split has a group on both sides.
        AudiotlError: too many blocks to search them all, targets that the probe does not read, or
            numbers that do not differ.
    """
    kind = targets.kind(y)
    if kind not in probe.reads:
        raise AudiotlError(f"The probe {probe.name} reads {' or '.join(probe.reads)}, and these "
                           f"clips have {kind}; choose ridge.")
    if kind == "numbers" and not y.var() > 0:
        raise AudiotlError("The numbers to be predicted are all the same, or not all are numbers; "
                           "choose another label.")
    fold = np.full(len(y), -1)
    for k, (train, test) in enumerate(splits):
        check_split(groups, train, test, f"fold {k}", y)
        fold[test] = k
    if (fold < 0).any():
        raise AudiotlError(f"{(fold < 0).sum()} clips are in no test fold; the folds must cover "
                           "every clip once.")
    n_subsets = 2 ** len(blocks) - 1 if subsets is None else len(subsets)
    of_a_clip = 1 / 8 if kind == "classes" else 4
    held = n_subsets * len(probe.cells) * (of_a_clip * len(y) + 16 * len(splits))
    if subsets is None and (len(blocks) > probe.most_blocks or held > MOST_BYTES):
        raise AudiotlError(
            f"{len(blocks)} blocks have {n_subsets:,} subsets and {held / 1e6:,.0f} MB of results; "
            f"{probe.name} takes {probe.most_blocks} blocks and {MOST_BYTES / 1e6:,.0f} MB: drop "
            "blocks, or search the subsets that shapley.sample names.")
    subsets = all_subsets(tuple(blocks)) if subsets is None else list(subsets)
    problem = (blocks, y, splits, probe, subsets, scale, width)
    key = cache.key_of(
        "search", VERSION, {name: cache.array_key(block) for name, block in blocks.items()},
        cache.array_key(y), [cache.array_key(rows) for sides in splits for rows in sides],
        probe.name, probe.cells, subsets, scale, nested, *([] if width is None else [width]))
    make = functools.partial(_make, key, problem, fold, nested, progress, title, threads)
    folder = cache.entry("searches", key, make)
    for done in (cache.cache_root() / "fits").glob(f"{key}-*"):
        cache.drop(done)
    with np.load(folder / "search.npz", allow_pickle=False) as saved:
        return Search(tuple(blocks), subsets, probe.cells, fold, saved["outer"],
                      saved["inner"] if nested else None, np.asarray(groups), probe.name)


def _make(key, problem, fold, nested, progress, title, threads, folder: Path) -> None:
    """Make every fit, and save the scores of all clips and each outer fold's inner scores."""
    _, _, splits, probe, subsets, _, _ = problem
    n, shape = len(fold), (len(subsets), len(probe.cells))
    jobs = list(itertools.combinations(range(len(splits)), 1))
    jobs += itertools.combinations(range(len(splits)), 2) if nested else []
    outer, inner = [], np.zeros((len(splits), *shape))
    fits = _fits(jobs, key, problem, threads)
    for job in tqdm(jobs, f"{title} ({probe.name})", disable=not progress, mininterval=1):
        scores = next(fits)
        if len(job) == 1:
            outer.append(scores)
        else:
            inner[job[1]] += scores[0]
            inner[job[0]] += scores[1]
    packed = outer[0].dtype == np.uint8
    bits = np.empty((*shape, -(-n // 8) if packed else n), outer[0].dtype)
    for c in range(shape[1]):  # one cell after the other: unpacked, a clip takes a byte
        clips = np.zeros((shape[0], n), bits.dtype)
        for part, (_, test) in zip(outer, splits, strict=True):
            clips[:, test] = unpacked(part[:, c], len(test))
        bits[:, c] = np.packbits(clips, axis=1) if packed else clips
    inner /= (n - np.bincount(fold))[:, None, None]
    np.savez_compressed(folder / "search.npz", outer=bits, **({"inner": inner} if nested else {}))


def _fits(jobs: list, key: str, problem: tuple, threads: int) -> Iterator[np.ndarray]:
    """The fit of each job; each is kept, so that a search which was cut off goes on from there."""
    names, kept = {job: f"{key}-{'-'.join(map(str, job))}" for job in jobs}, {}
    for job in jobs:
        # Another process that ended the same search may drop its fits meanwhile.
        if folder := cache.find("fits", names[job]):
            with contextlib.suppress(FileNotFoundError):
                kept[job] = np.load(folder / "fit.npy", allow_pickle=False)
    missing = [job for job in jobs if job not in kept]
    made = parallel.run(fit_without, missing, problem, threads=threads or os.cpu_count() or 1)
    for job in jobs:
        if job not in kept:
            kept[job] = next(made)
            with cache.making("fits", names[job]) as folder:
                np.save(folder / "fit.npy", kept[job])
        yield kept.pop(job)


def fit_without(left_out: tuple[int, ...], blocks: Blocks, y: np.ndarray, splits: Splits,
                probe: Probe, subsets: Sequence[Subset], scale: bool,
                width: int | None) -> np.ndarray:
    """Fit on the clips that train all folds in `left_out`, and test on the clips of these folds.

    Returns:
        For one fold the scores of its clips, as of `Probe.correct`, but of numbers 1 less the
        squared error over the variance of all clips, so that their mean is R2; for two the sums
        over the clips of each, ``(2, n_subsets, n_cells)``.
    """
    train = functools.reduce(np.intersect1d, [splits[k][0] for k in left_out])
    test = np.concatenate([splits[k][1] for k in left_out])
    sides = rows_of(blocks, train, test)
    if scale:
        sides = standardise(*sides)
    if width is not None:
        sides = reduce(*sides, width)
    scores = probe.correct(sides[0], y[train], sides[1], y[test], subsets)
    if targets.kind(y) == "numbers":
        scores = (1 + scores / y.var()).astype(np.float32)
    if len(left_out) == 1:
        return scores
    of_first = np.arange(len(test)) < len(splits[left_out[0]][1])
    return np.stack([count(_only(scores, of_fold)) for of_fold in (of_first, ~of_first)])


def all_subsets(names: Sequence[str]) -> list[Subset]:
    """The 2^n - 1 subsets, small ones first.

    >>> all_subsets(["a", "b"])
    [('a',), ('b',), ('a', 'b')]
    """
    return [s for size in range(1, len(names) + 1) for s in itertools.combinations(names, size)]


def label(subset: Subset, names: Sequence[str]) -> str:
    """A subset as digits from 0, as in the 2017 paper; blocks that are no layers by name.

    >>> label(("layer1", "layer3", "mfcc"), ["layer1", "layer2", "layer3", "mfcc"])
    '02+mfcc'
    """
    digits = "".join(str(names.index(name)) for name in subset if name.startswith("layer"))
    others = [name for name in subset if not name.startswith("layer")]
    return "+".join([digits, *others] if digits else others)


def count(bits: np.ndarray) -> np.ndarray:
    """Sum of the scores of clips along the last axis, those of classes packed.

    >>> count(np.packbits([[1, 0, 1], [0, 0, 1]], axis=1)).tolist()
    [2, 1]
    """
    if bits.dtype == np.uint8:
        return np.bitwise_count(bits).sum(-1, dtype=np.int64)
    return bits.sum(-1, dtype=np.float64)


def unpacked(bits: np.ndarray, n: int) -> np.ndarray:
    """The scores of `n` clips along the last axis: packed ones as bool, others as they are."""
    return np.unpackbits(bits, axis=-1, count=n).astype(bool) if bits.dtype == np.uint8 else bits


def _only(bits: np.ndarray, clips: np.ndarray) -> np.ndarray:
    return bits & np.packbits(clips) if bits.dtype == np.uint8 else bits * clips


@dataclasses.dataclass(frozen=True)
class Search:
    """What each subset and each cell of the probe's grid scores on each clip.

    Args:
        names: the blocks in order.
        cells: the probe's grid.
        fold: test fold of each clip, ``(n,)``.
        bits: each clip predicted by the fit without its fold: right or not, ``(n_subsets, n_cells,
            ceil(n / 8))`` uint8, packed by ``numpy.packbits``; of tags and numbers a float32 a
            clip, see `fit_without`.
        inner: ``(n_folds, n_subsets, n_cells)``: score over the other folds when fold i is the
            outer one; None if the search was not nested.
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

    def unpack(self, bits: np.ndarray) -> np.ndarray:
        """Packed bits to one bool a clip, along the last axis; see `unpacked`."""
        return unpacked(bits, len(self.fold))

    def labels(self) -> list[str]:
        """The subsets as digits (see `label`)."""
        return [label(subset, self.names) for subset in self.subsets]

    def position(self, subset: Sequence[str]) -> int:
        """Where a subset stands in `subsets`, its blocks named in any order."""
        ordered = tuple(name for name in self.names if name in subset)
        if ordered not in self.subsets or len(ordered) != len(set(subset)):
            raise AudiotlError(f"The subset {'+'.join(subset) or '(none)'} was not scored; choose "
                               f"among {', '.join(self.names)}.")
        return self.subsets.index(ordered)

    @functools.cached_property
    def paper_bits(self) -> np.ndarray:
        """Scores at each subset's best cell on the reporting folds, packed."""
        return self.bits[np.arange(len(self.subsets)), count(self.bits).argmax(1)]

    @functools.cached_property
    def nested_bits(self) -> np.ndarray:
        """Scores when each fold's cell is chosen on the other folds, packed."""
        return sum(_only(self.bits[np.arange(len(self.subsets)), table.argmax(1)], self.fold == i)
                   for i, table in enumerate(self._tables))

    @property
    def _tables(self) -> np.ndarray:
        if self.inner is None:
            raise AudiotlError("This search was not nested; run it with nested=True.")
        return self.inner

    def packed(self, protocol: str) -> np.ndarray:
        """Scores under ``"nested"`` or ``"paper"``, packed as in `bits`."""
        return self.nested_bits if protocol == "nested" else self.paper_bits

    def correct(self, protocol: str = "nested") -> np.ndarray:
        """What each clip scores under ``"nested"`` or ``"paper"``, ``(n_subsets, n)``."""
        return self.unpack(self.packed(protocol))

    def scores(self, protocol: str = "nested") -> np.ndarray:
        """Mean over clips of each subset under ``"nested"`` or ``"paper"``, ``(n_subsets,)``."""
        return count(self.packed(protocol)) / len(self.fold)

    def scored(self, subset: Sequence[str], protocol: str = "nested", **keys) -> stats.Scored:
        """What each clip scored with one subset under ``"nested"`` or ``"paper"``."""
        place = self.position(subset)
        keys |= {"subset": label(self.subsets[place], self.names), "probe": self.probe}
        right = self.unpack(self.packed(protocol)[place])
        return stats.Scored.of(right, self.fold, self.groups, **keys, protocol=protocol)

    def scored_best(self, among: Sequence[int] | None = None, **keys) -> stats.Scored:
        """What each clip scored with the subset that was best on the other folds."""
        keys |= {"subset": "best", "probe": self.probe, "protocol": "nested"}
        return stats.Scored.of(self.nested_best(among)[0], self.fold, self.groups, **keys)

    def nested_best(self, among: Sequence[int] | None = None) -> tuple[np.ndarray, list[Subset]]:
        """Scores when each fold's subset *and* cell are chosen on the others; those subsets.

        With `among`, positions in `subsets`, the choice is among these.
        """
        among = np.arange(len(self.subsets)) if among is None else np.asarray(among)
        return self._picked([among[table[among].max(1).argmax()] for table in self._tables])

    def smallest(self, whole: Subset, margin: float = 0.01) -> tuple[np.ndarray, list[Subset]]:
        """Scores when each fold takes the smallest subset of `whole` that is within `margin` of it
        on the others, at its best cell there; those subsets."""
        among = [i for i, subset in enumerate(self.subsets) if set(subset) <= set(whole)]
        all_of_it, picks = self.position(whole), []
        for score in self._tables.max(2):
            enough = [s for s in among if score[s] >= score[all_of_it] - margin]
            picks.append(min(enough, key=lambda s: (len(self.subsets[s]), -score[s])))  # noqa: B023
        return self._picked(picks)

    def _picked(self, picks: Sequence[int]) -> tuple[np.ndarray, list[Subset]]:
        # Scores with a subset for each fold, at its best cell on the others; those subsets.
        parts = [_only(self.bits[pick, table[pick].argmax()], self.fold == i)
                 for i, (pick, table) in enumerate(zip(picks, self.inner, strict=True))]
        return self.unpack(sum(parts)), [self.subsets[pick] for pick in picks]

    def table(self) -> pd.DataFrame:
        """Scores with intervals: ``subset, size, probe, protocol, score, ci_low, ci_high``."""
        parts = []
        for protocol in ("paper",) if self.inner is None else ("paper", "nested"):
            bits = self.packed(protocol)
            rows = np.concatenate([
                stats.bootstrap_rows(self.unpack(bits[start:start + 1024]), self.groups)
                for start in range(0, len(bits), 1024)])
            parts.append(pd.DataFrame({
                "subset": self.labels(), "size": [len(subset) for subset in self.subsets],
                "probe": self.probe, "protocol": protocol, "score": rows[:, 0],
                "ci_low": rows[:, 1], "ci_high": rows[:, 2]}))
        return pd.concat(parts, ignore_index=True)
