"""Trained clean, tested degraded: what noise, gain, a telephone and speed do to MFCC, network and both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from audiotl import AudiotlError, stats
from audiotl.ablation import BOTH, MFCC, NETWORK
from audiotl.datasets.corpus import Corpus
from audiotl.probes import Blocks, Probe, Subset, standardise
from audiotl.probes.subset_search import search

CLEAN = "clean"


@dataclasses.dataclass(frozen=True)
class Tested:
    """Which clips were right under every degradation, for one source on one target.

    Args:
        source, target: names.
        right: ``{degradation: {"mfcc" | "network" | "both": (n,) bool}}``, ``"clean"`` first.
        groups: group of each clip.
    """

    source: str
    target: str
    right: dict[str, dict[str, np.ndarray]]
    groups: np.ndarray


def run(source: str, target: str, clean: Blocks, degraded: Mapping[str, Blocks], corpus: Corpus, probe: Probe,
         seed: int = 0) -> Tested:
    """Fit on the clean training clips of each fold, predict the held-out clips clean and degraded.

    The probe's cell is chosen on inner folds of clean clips, and columns are scaled by the clean training clips:
    nothing about a degradation is known before the test.

    Args:
        clean: the network's taps and ``"mfcc"``, each ``(n, d)``.
        degraded: the same blocks of the same clips, by degradation.

    Raises:
        AudiotlError: a degraded block does not match its clean one.
    """
    for name, blocks in degraded.items():
        if {key: block.shape for key, block in blocks.items()} != {key: b.shape for key, b in clean.items()}:
            raise AudiotlError(f"The blocks of {target} under {name} differ in shape from the clean ones; a clip may "
                               "have been skipped, so check the lists of skipped clips.")
    network = tuple(name for name in clean if name != MFCC)
    sets: dict[str, Subset] = {MFCC: (MFCC,), NETWORK: network, BOTH: tuple(clean)}
    y, splits = corpus.targets(), corpus.splits(seed=seed)
    chosen = search(clean, y, splits, corpus.groups, probe, subsets=list(sets.values()),
                    title=f"{source} -> {target}, clean").inner.argmax(2)
    every = {CLEAN: clean, **degraded}
    right = {name: {key: np.zeros(len(y), bool) for key in sets} for name in every}
    for k, (train, held) in enumerate(splits):
        # One fit, all conditions: their test clips lie one after the other.
        tests = {key: np.concatenate([blocks[key][held] for blocks in every.values()]) for key in clean}
        left, away = standardise({key: block[train] for key, block in clean.items()}, tests)
        found = probe.fold(left, y[train], away, list(sets.values()))
        for s, key in enumerate(sets):
            per_condition = found[s, chosen[k, s]].reshape(len(every), len(held))
            for name, predicted in zip(every, per_condition, strict=True):
                right[name][key][held] = predicted == y[held]
    return Tested(source, target, right, corpus.groups)


def table(tested: list[Tested]) -> pd.DataFrame:
    """``source, target, blocks, degradation, score, ci_low, ci_high, loss, loss_low, loss_high``.

    The loss is the clean score minus the degraded one, on the same clips.
    """
    rows = []
    for one in tested:
        for name, by_block in one.right.items():
            for blocks, right in by_block.items():
                score, low, high = stats.bootstrap_mean(right, one.groups)
                loss = stats.paired_bootstrap(one.right[CLEAN][blocks], right, one.groups)
                rows.append({"source": one.source, "target": one.target, "blocks": blocks, "degradation": name,
                             "score": score, "ci_low": low, "ci_high": high,
                             **dict(zip(("loss", "loss_low", "loss_high"), loss, strict=True))})
    return pd.DataFrame(rows)


def paired(tested: list[Tested]) -> pd.DataFrame:
    """Who loses more, and who is ahead: MFCC and both against the network, under each degradation.

    Returns:
        ``source, target, degradation, comparison, what, difference, ci_low, ci_high``: with what = ``"score"`` the
        difference of degraded scores, with ``"loss"`` that of the losses from clean (positive: the network loses
        less).
    """
    rows = []
    for one in tested:
        for name, by_block in one.right.items():
            for blocks in (MFCC, BOTH):
                ahead = by_block[blocks].astype(float) - by_block[NETWORK]
                before = one.right[CLEAN][blocks].astype(float) - one.right[CLEAN][NETWORK]
                for what, gap in (("score", ahead), ("loss", before - ahead)):
                    if name == CLEAN and what == "loss":
                        continue
                    difference, low, high = stats.bootstrap_mean(gap, one.groups)
                    rows.append({"source": one.source, "target": one.target, "degradation": name,
                                 "comparison": f"{blocks} - {NETWORK}", "what": what, "difference": difference,
                                 "ci_low": low, "ci_high": high})
    return pd.DataFrame(rows)
