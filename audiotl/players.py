"""MFCC as one more player beside the layers: what it is worth in company, and whom it needs or repeats."""

from __future__ import annotations

import numpy as np
import pandas as pd

from audiotl import shapley
from audiotl.ablation import MFCC, kind_of
from audiotl.features import Features
from audiotl.probes import Blocks, Probe
from audiotl.probes.subset_search import Search, search

VALUE, INTERACTION, LAYERS = "value", "interaction", "layers"


def find(source: str, target: str, network: Blocks, aim: Features, probe: Probe, seed: int = 0) -> Search:
    """All subsets of the layers and MFCC (63 for five layers), nested, from the cache or searched now."""
    corpus = aim.corpus
    return search({**network, MFCC: aim.mfcc}, corpus.targets(), corpus.splits(seed=seed), corpus.groups, probe,
                  title=f"{source} and MFCC -> {target}")


def guesses(y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Clips right when every fold guesses the most frequent class of the others: the score of no player, ``(n,)``."""
    out = np.zeros(len(y), bool)
    for k in np.unique(fold):
        out[fold == k] = y[fold == k] == np.bincount(y[fold != k]).argmax()
    return out


def attribute(source: str, target: str, found: Search, y: np.ndarray) -> pd.DataFrame:
    """Exact Shapley value of MFCC and of every layer, and their pairwise interactions, with intervals.

    Scores are nested: the probe's cell is chosen for each subset on the other folds. The value of a player is what
    it adds to a coalition, averaged over all orders of arrival; the interaction of two is what they add together
    beyond what each adds alone: above zero they complete each other, below zero they say the same. Good players
    tend to come out below zero, because accuracy has a ceiling, so the layers' own interactions stand beside.

    Args:
        found: see `find`.
        y: class of each clip.

    Returns:
        ``source, target, kind_of_task, kind, player, value, ci_low, ci_high``: kind is ``"value"`` (of the player),
        ``"interaction"`` (of MFCC with the player) or ``"layers"`` (of two layers, both named).
    """
    names = found.names
    values, pairs = shapley.attribute(np.packbits(found.nested(), axis=1), shapley.masks(found.subsets, names),
                                      guesses(y, found.fold), found.groups, names)
    # MFCC is the last player, hence the second of its pairs.
    with_mfcc = pairs["second"] == MFCC
    single = values.rename(columns={"layer": "player"}).assign(kind=VALUE)
    joint = pairs.assign(player=pairs["first"].where(with_mfcc, pairs["first"] + " " + pairs["second"]),
                         kind=np.where(with_mfcc, INTERACTION, LAYERS)).rename(columns={"index": "value"})
    out = pd.concat([single, joint], ignore_index=True).assign(source=source, target=target,
                                                               kind_of_task=kind_of(target))
    return out[["source", "target", "kind_of_task", "kind", "player", "value", "ci_low", "ci_high"]]


def sides(table: pd.DataFrame) -> pd.DataFrame:
    """Per source and target MFCC's value beside its mean interaction with the layers, to set one against the other.

    Returns:
        ``kind_of_task, source, target, mfcc_value, ci_low, ci_high, interaction, layers, complements, repeats``: mean
        index of MFCC with a layer, mean index of two layers, and how many layers MFCC completes or repeats with an
        interval that leaves zero out.
    """
    rows = []
    for (source, target, kind), part in table.groupby(["source", "target", "kind_of_task"], sort=False):
        mfcc = part[(part["kind"] == VALUE) & (part["player"] == MFCC)].iloc[0]
        joint = part[part["kind"] == INTERACTION]
        rows.append({"kind_of_task": kind, "source": source, "target": target, "mfcc_value": mfcc["value"],
                     "ci_low": mfcc["ci_low"], "ci_high": mfcc["ci_high"], "interaction": joint["value"].mean(),
                     "layers": part[part["kind"] == LAYERS]["value"].mean(),
                     "complements": int((joint["ci_low"] > 0).sum()), "repeats": int((joint["ci_high"] < 0).sum())})
    return pd.DataFrame(rows)
