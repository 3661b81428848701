"""Fitted on clean clips, tested on the same clips in other conditions: what a shift takes away."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import nn

from audiotl import AudiotlError, cache, stats
from audiotl.features import Features
from audiotl.probes import Blocks, Probe, standardise
from audiotl.probes.subset_search import Splits, search


def under(clean: Blocks, conditions: Mapping[str, Blocks], y: np.ndarray, splits: Splits,
          groups: np.ndarray, probe: Probe, **keys) -> dict[str, stats.Scored]:
    """Scores of the held-out clips in each condition, and ``"clean"``, all blocks side by side.

    The cell is chosen on inner folds of clean clips, and columns are scaled by the clean training
    clips: nothing about a condition is known before the test.

    Args:
        conditions: the same blocks of the same clips, by condition.

    Raises:
        AudiotlError: a condition's blocks do not match the clean ones.
    """
    shapes = {name: block.shape for name, block in clean.items()}
    for condition, blocks in conditions.items():
        if {name: block.shape for name, block in blocks.items()} != shapes:
            raise AudiotlError(f"The blocks under {condition} differ in shape from the clean ones; "
                               "look for clips that were skipped.")
    everything, conditions = tuple(clean), {"clean": clean, **conditions}
    found = search(clean, y, splits, groups, probe, subsets=[everything], progress=False)
    correct = {condition: np.zeros(len(y)) for condition in conditions}
    for k, (train, held) in enumerate(splits):
        tests = {name: np.concatenate([blocks[name][held] for blocks in conditions.values()])
                 for name in everything}
        sides = standardise({name: block[train] for name, block in clean.items()}, tests)
        predicted = probe.fold(sides[0], y[train], sides[1], [everything])[0]
        predicted = predicted[found.inner[k].argmax()]
        for condition, part in zip(conditions, np.split(predicted, len(conditions)), strict=True):
            correct[condition][held] = part == y[held]
    return {name: stats.Scored.of(values, found.fold, groups, condition=name, **keys)
            for name, values in correct.items()}


def table(found: Mapping[str, stats.Scored], chance: float) -> pd.DataFrame:
    """`stats.score_table` of the conditions, and ``kept, kept_low, kept_high``.

    That is the share of the clean score's margin over chance. Unlike a loss it does not flatter
    what had little to lose. Bootstrap over groups, the same draws on both sides.
    """
    def margin(one: stats.Scored) -> np.ndarray:
        return stats.bootstrap_draws(one.values.mean((0, 1)), one.groups) - chance

    clean, rows = found["clean"], []
    for one in found.values():
        low, high = np.percentile(margin(one) / margin(clean), [2.5, 97.5])
        kept = (one.mean - chance) / (clean.mean - chance)
        rows.append({"kept": kept, "kept_low": low, "kept_high": high})
    return stats.score_table(found.values()).join(pd.DataFrame(rows))


def with_levels(sound: Features, name: str, level: np.ndarray) -> Features:
    """The same clips with other spectrograms, ``(n, bands, frames)`` in decibels from -80 to 0.

    Args:
        name: of what was done; together with the sound's key it stands for the content.
    """
    level = np.clip(level, -80, 0).astype(np.float16)
    return dataclasses.replace(sound, spectrograms=level, key=cache.key_of(sound.key, name))


def adapted(model: nn.Module, sound: Features, seed: int = 0) -> nn.Module:
    """A copy of a network of spectrograms with batch-norm statistics of this sound, no labels used.

    Li et al., "Revisiting batch normalization for practical domain adaptation" (2016).
    """
    model = copy.deepcopy(model)
    for norm in [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]:
        norm.reset_running_stats()
        norm.momentum = None
    rows = np.random.default_rng(seed).permutation(len(sound.corpus))[:256]
    model.train()
    with torch.no_grad():
        for chunk in np.array_split(rows, 8):
            level = sound.spectrograms[np.sort(chunk)].astype(np.float32)
            model(torch.from_numpy(level)[:, None])
    return model.eval()
