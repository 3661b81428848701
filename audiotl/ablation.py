"""Do MFCCs add to a network? MFCC alone, network alone, both, under three scalings, with nested selection.

*Raw* puts the blocks side by side as they come, as the 2017 study did. *Standardised* gives every column unit
variance on the training clips. *Weighted* then multiplies the MFCC block by one number, chosen with the probe's own
settings on inner folds, so that a probe which sees distances need not give both blocks the same say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from sklearn import linear_model

from audiotl import cache, replication, stats, study
from audiotl.datasets.choi2017 import LAYERS, Task
from audiotl.features import Features
from audiotl.probes import Blocks, Probe, Ridge, Sklearn, Subset, standardise
from audiotl.probes.subset_search import search
from audiotl.probes.svm import SVM, grid

VERSION = 1
MFCC, NETWORK, BOTH = "mfcc", "network", "both"
RAW, STANDARDISED, WEIGHTED = "raw", "standardised", "weighted"
PUBLISHED, LIVE, NONE = "published", "live", "none"
WEIGHTS = (0.1, 0.3, 1.0, 3.0, 10.0)

KINDS = {
    "events": ("esc50", "esc10", "urbansound8k", "environment", "urbansound"),
    "speech": ("speech_commands_10", "speech_commands", "fsdd", "speech"),
    "instruments": ("philharmonia", "music_family"),
    "genre and dance": ("gtzan", "gtzan_genre", "ballroom_extended"),
    "voice in music": ("jamendo_vd",),
    "speech or music": ("gtzan_speechmusic",),
    "emotion in music": ("emoMusic_a", "emoMusic_v"),
}
"""Kind of task of each target. Music is several kinds; emotion is scored by R²."""


def kind_of(target: str) -> str:
    """Kind of task, ``"other"`` for the user's own sounds and demonstrations.

    >>> kind_of("fsdd"), kind_of("folder")
    ('speech', 'other')
    """
    return next((kind for kind, targets in KINDS.items() if target in targets), "other")


class Weighted:
    """A probe that also chooses the weight of one block: its grid is the inner probe's, once for every weight.

    Args:
        probe: the probe inside.
        block: whose columns are multiplied, after whatever scaling went before.
    """

    def __init__(self, probe: Probe, block: str = MFCC, weights: Sequence[float] = WEIGHTS):
        self.name, self.probe, self.block, self.weights = probe.name, probe, block, weights
        self.cells = [{**cell, "weight": weight} for weight in weights for cell in probe.cells]

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks, subsets: Sequence[Subset]) -> np.ndarray:
        """Predictions ``(n_subsets, n_cells, n_test)``; see `audiotl.probes.Probe`."""
        return np.concatenate([self.probe.fold(train | {self.block: train[self.block] * weight}, y,
                                               test | {self.block: test[self.block] * weight}, subsets)
                               for weight in self.weights], axis=1)


def probe(name: str) -> Probe:
    """``ridge``, or an ``svm`` of four cells that reach from standardised columns to raw MFCCs: C of 8 and gamma of
    2^-5, 2^-9, 2^-13 and 1/d; other names as in `study.probe`."""
    if name == "svm":
        return SVM(grid(costs=(8.0,), gammas=(2.0**-5, 2.0**-9, 2.0**-13, "1/d"), linear=False))
    return study.probe(name)


@dataclasses.dataclass(frozen=True)
class Scored:
    """One row of the ablation with what every clip contributes to it.

    Args:
        features_from: ``"published"`` or ``"live"``.
        source: of the network; ``"none"`` for MFCC alone.
        target: corpus or published task.
        blocks: ``"mfcc"``, ``"network"`` or ``"both"``.
        scaling: ``"raw"``, ``"standardised"`` or ``"weighted"``.
        probe: its name.
        values: score of each tested clip, ``(n,)``; their mean is the row's score.
        fold, groups: test fold and group of each of them.
    """

    features_from: str
    source: str
    target: str
    blocks: str
    scaling: str
    probe: str
    values: np.ndarray
    fold: np.ndarray
    groups: np.ndarray


def live(source: str, target: str, network: Blocks, aim: Features, probes: Sequence[str],
         seed: int = 0) -> list[Scored]:
    """The rows of one source on one target, nested; with no network, those of MFCC alone.

    Args:
        network: taps of the source's network for the clips of `aim`; empty for MFCC alone.
        probes: names, see `probe`.
    """
    corpus, out = aim.corpus, []
    blocks = {**network, MFCC: aim.mfcc}
    sets: dict[str, Subset] = {NETWORK: tuple(network), BOTH: tuple(blocks)} if network else {MFCC: (MFCC,)}
    for name in probes:
        for scaling in (RAW, STANDARDISED, WEIGHTED) if network else (RAW, STANDARDISED):
            chosen = [BOTH] if scaling == WEIGHTED else list(sets)
            found = search(blocks, corpus.targets(), corpus.splits(seed=seed), corpus.groups,
                           Weighted(probe(name)) if scaling == WEIGHTED else probe(name),
                           subsets=[sets[one] for one in chosen], scale=scaling != RAW,
                           title=f"{source} -> {target}, {scaling}")
            out += [Scored(LIVE, source, target, one, scaling, name, right.astype(float), found.fold, found.groups)
                    for one, right in zip(chosen, found.nested(), strict=True)]
    return out


def published(task: Task) -> list[Scored]:
    """The rows of one task of the 2017 study with the ridge probe, nested on the study's own folds.

    A task without published MFCCs has only the rows of the network.
    """
    sets: dict[str, Subset] = {NETWORK: LAYERS}
    if MFCC in task.blocks:
        sets = {MFCC: (MFCC,), NETWORK: LAYERS, BOTH: (*LAYERS, MFCC)}
    ridge = Ridge()
    if task.regression:
        ridge = Sklearn("ridge", linear_model.Ridge(), [{"alpha": cell["lambda"]} for cell in ridge.cells])
    out = []
    for scaling in (RAW, STANDARDISED, WEIGHTED) if BOTH in sets else (RAW, STANDARDISED):
        chosen = [BOTH] if scaling == WEIGHTED else list(sets)
        found = nested(task, [sets[one] for one in chosen], Weighted(ridge) if scaling == WEIGHTED else ridge,
                       scale=scaling != RAW)
        out += [_of_task(task, one, scaling, "ridge", values) for one, values in zip(chosen, found, strict=True)]
    return out


def published_svm(task: Task, compute: bool = False) -> list[Scored]:
    """The same with the SVM grid of the 2017 study, for the rows that the replication chapter left in the cache.

    Args:
        compute: also compute the rows that are not there, which takes minutes to hours on real tasks.
    """
    out = []
    for blocks, feature in ((MFCC, "mfcc"), (NETWORK, "01234"), (BOTH, "mfcc+01234")):
        for scaling in (RAW, STANDARDISED):
            there = feature == "01234" or MFCC in task.blocks
            if there and (compute or replication.is_kept(task, feature, scaling != RAW)):
                values = replication.nested(task, feature, scaling != RAW).values[0, 0]
                out.append(_of_task(task, blocks, scaling, "svm, 32 cells", values))
    return out


def nested(task: Task, subsets: Sequence[Subset], probe: Probe, scale: bool) -> np.ndarray:
    """Clip scores ``(n_subsets, n_tested)`` when every fold chooses its cell on inner splits of its training clips.

    They come from the cache where the same was asked before.
    """
    rows = [cache.array_key(part) for fold in (task.splits, *task.inner) for split in fold for part in split]
    blocks = {name: cache.array_key(block) for name, block in task.blocks.items()}
    key = cache.key_of("ablation", VERSION, task.regression, blocks, cache.array_key(task.y), rows, subsets, probe.name,
                       probe.cells, scale)
    folder = cache.entry("ablation", key,
                         lambda made: np.save(made / "scores.npy", _nested(task, subsets, probe, scale)))
    return np.load(folder / "scores.npy")


def _nested(task: Task, subsets: Sequence[Subset], probe: Probe, scale: bool) -> np.ndarray:
    def scores(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        left, right = ({name: block[rows] for name, block in task.blocks.items()} for rows in (train, test))
        if scale:
            left, right = standardise(left, right)
        return replication.clip_scores(task, probe.fold(left, task.y[train], right, subsets), [(train, test)])

    parts = []
    for (train, test), inner in zip(task.splits, task.inner, strict=True):
        inside = np.concatenate([scores(fit, held) for fit, held in inner], axis=2).mean(2)
        parts.append(scores(train, test)[np.arange(len(subsets)), inside.argmax(1)])
    return np.concatenate(parts, axis=1)


def _of_task(task: Task, blocks: str, scaling: str, probe: str, values: np.ndarray) -> Scored:
    fold = np.repeat(np.arange(len(task.splits)), [len(test) for _, test in task.splits])
    return Scored(PUBLISHED, NONE if blocks == MFCC else "music tags", task.name, blocks, scaling, probe, values, fold,
                  task.groups[task.tested])


def table(rows: Iterable[Scored]) -> pd.DataFrame:
    """``features_from, source, target, blocks, scaling, probe, score, ci_low, ci_high``: accuracy or R²."""
    out = []
    for row in rows:
        score, low, high = stats.bootstrap_mean(row.values, row.groups)
        out.append({"features_from": row.features_from, "source": row.source, "target": row.target,
                    "blocks": row.blocks, "scaling": row.scaling, "probe": row.probe, "score": score, "ci_low": low,
                    "ci_high": high})
    return pd.DataFrame(out)


COMPARISONS = ((BOTH, NETWORK), (BOTH, MFCC), (NETWORK, MFCC))


def differences(rows: Sequence[Scored]) -> pd.DataFrame:
    """Paired differences on the same clips, for every source, target, scaling and probe.

    Returns:
        ``features_from, kind, source, target, comparison, scaling, probe, difference, ci_low, ci_high, p``; the
        p-value is of the corrected resampled t-test over folds (none where there is one fold). Where *weighted* has
        no row of its own (a block alone has no weight to choose), the standardised one is the other side.
    """
    known = {_key(row): row for row in rows}
    out = []
    for row in rows:
        for this, other in COMPARISONS:
            if row.blocks != this:
                continue
            against = known.get(_key(row, other)) or known.get(_key(row, other, STANDARDISED))
            if against is not None:
                out.append({"features_from": row.features_from, "kind": kind_of(row.target), "source": row.source,
                            "target": row.target, "comparison": f"{this} - {other}", "scaling": row.scaling,
                            "probe": row.probe, **_paired(row, row.values - against.values)})
    return pd.DataFrame(out)


def _key(row: Scored, blocks: str = "", scaling: str = "") -> tuple[str, ...]:
    blocks = blocks or row.blocks
    return (row.features_from, NONE if blocks == MFCC else row.source, row.target, blocks, scaling or row.scaling,
            row.probe)


def _paired(row: Scored, gap: np.ndarray) -> dict[str, float]:
    difference, low, high = stats.bootstrap_mean(gap, row.groups)
    sizes = np.bincount(row.fold)
    p = np.nan
    if len(sizes) > 1:
        by_fold = np.bincount(row.fold, gap) / sizes
        p = stats.corrected_t(by_fold, len(gap) - sizes.mean(), sizes.mean())
    return {"difference": difference, "ci_low": low, "ci_high": high, "p": p}


def by_kind(rows: Sequence[Scored], probe: str = "ridge", scaling: str = STANDARDISED,
            leave_out: Sequence[str] = (study.RANDOM,)) -> pd.DataFrame:
    """Both minus network for each kind of task: the mean over trained sources, then over targets.

    Returns:
        ``features_from, kind, targets, cases, gains, losses, difference, ci_low, ci_high``: cases are pairs of
        source and target, gains and losses those whose interval leaves zero out. The interval of the mean takes
        the targets, which share no clip, as independent.
    """
    chosen = [row for row in rows if row.probe == probe and row.source not in leave_out]
    known = {_key(row): row for row in chosen}
    gaps: dict[tuple[str, str], dict[str, list]] = {}
    for row in chosen:
        other = known.get(_key(row, NETWORK)) or known.get(_key(row, NETWORK, STANDARDISED))
        if row.blocks == BOTH and row.scaling == scaling and other is not None:
            per_target = gaps.setdefault((row.features_from, kind_of(row.target)), {})
            per_target.setdefault(row.target, []).append((row.values - other.values, row.groups))
    out = []
    for (origin, kind), targets in gaps.items():
        single = [stats.bootstrap_mean(*case) for cases in targets.values() for case in cases]
        means = np.array([stats.bootstrap_mean(np.mean([gap for gap, _ in cases], axis=0), cases[0][1])
                          for cases in targets.values()])
        half = np.sqrt(((means[:, 2] - means[:, 1]) ** 2).sum()) / 2 / len(means)
        mean = means[:, 0].mean()
        out.append({"features_from": origin, "kind": kind, "targets": len(means), "cases": len(single),
                    "gains": sum(low > 0 for _, low, _ in single), "losses": sum(high < 0 for *_, high in single),
                    "difference": mean, "ci_low": mean - half, "ci_high": mean + half})
    return pd.DataFrame(out)
