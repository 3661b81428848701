"""Why one source serves better than another: spectra it spans, layers it shares, clips and classes it had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from audiotl import similarity, stats, study, transfer
from audiotl.embedding import embed
from audiotl.features import Features
from audiotl.study_sources import ALL, MATCHED, SourceNetwork

PROFILES = 1500
"""Frames that stand for a corpus where spectra are compared."""


def spectra(plan: study.Plan, aims: dict[str, Features]) -> tuple[dict, pd.DataFrame]:
    """Spectral profiles of sources and targets, and how much of each target's every source spans.

    Returns:
        ``{("source" | "target", name): (profiles, group of each)}`` and a table ``source, target, coverage, ci_low,
        ci_high`` with intervals over groups of the target (see `similarity.covered`).
    """
    made = {}
    for role in plan.sources:
        sound = study.source_features(plan, role)
        rows, _ = study.source_split(plan, sound.corpus)
        level, row = similarity.profiles(sound.spectrograms, rows, PROFILES, plan.seed)
        made["source", role] = level, sound.corpus.groups[row]
    for target, aim in aims.items():
        level, row = similarity.profiles(aim.spectrograms, np.arange(len(aim.corpus)), PROFILES, plan.seed)
        made["target", target] = level, aim.corpus.groups[row]
    out = []
    for role, target in study.pairs(plan):
        if role in plan.sources:
            inside = similarity.covered(made["target", target][0], *made["source", role])
            share, low, high = stats.bootstrap_mean(inside, made["target", target][1])
            out.append({"source": role, "target": target, "coverage": share, "ci_low": low, "ci_high": high})
    return made, pd.DataFrame(out)


def layers_on_common_clips(plan: study.Plan, nets: Sequence[SourceNetwork], aims: dict[str, Features],
                           most: int = 300) -> tuple[dict, np.ndarray]:
    """Taps of several networks on clips that no source was taught, and the corpus of each clip, for CKA.

    Clips come from the targets that are no source's own corpus, or from all where there is none, up to `most` of each.
    """
    heard: set[str] = set()
    for role in plan.sources:
        corpus = study.source_features(plan, role).corpus
        heard |= set(corpus.clips["path"].iloc[study.source_split(plan, corpus)[0]])
    pairs = set(study.pairs(plan))
    common = [name for name in aims if all((role, name) in pairs for role in plan.sources)] or list(aims)
    rows = {}
    for name in common:
        unheard = np.flatnonzero(~aims[name].corpus.clips["path"].isin(heard))
        rows[name] = np.sort(np.random.default_rng(plan.seed).permutation(unheard)[:most])
    layers = {}
    for net in nets:
        taps = [embed(net.model, aims[name]) for name in common]
        layers[net.source, net.seed] = {
            tap: np.concatenate([found[tap][rows[name]] for found, name in zip(taps, common, strict=True)])
            for tap in taps[0]}
    return layers, np.concatenate([np.full(len(rows[name]), name) for name in common])


def guessed(scores: pd.DataFrame, spans: pd.DataFrame) -> pd.DataFrame:
    """One row a source, draw and target, means over seeds, with what might have told its score beforehand.

    Guesses are LogME, the H-score, the source's coverage of the target and the number of its clips. A matched draw
    that is all of its source counts once.
    """
    mean = scores[scores["mode"] == transfer.PROBE].groupby(["network", "source", "draw", "target"], sort=False)
    mean = mean[["score", "source_clips", "logme", "h_score"]].mean().reset_index()
    mean = mean.merge(spans[["source", "target", "coverage"]], how="left", on=["source", "target"])
    whole = mean[mean["draw"] == ALL].set_index(["network", "source", "target"])["source_clips"]
    same = [row.draw == MATCHED and whole.get((row.network, row.source, row.target)) == row.source_clips
            for row in mean.itertuples()]
    return mean[~np.array(same, bool)].reset_index(drop=True)


def kinships(table: pd.DataFrame) -> pd.DataFrame:
    """CKA by how two networks are related: ``layer, kind, cka, low, high, pairs``, mean, smallest and largest.

    Kinds are same source and another seed, two sources, a source and random weights, and two random networks.
    """
    def kind(row) -> str:
        if row["source"] == row["other"]:
            return "random, other seed" if row["source"] == study.RANDOM else "same source, other seed"
        return "source and random" if study.RANDOM in (row["source"], row["other"]) else "two sources"

    grouped = table.assign(kind=table.apply(kind, axis=1)).groupby(["layer", "kind"], sort=False)["cka"]
    return grouped.agg(cka="mean", low="min", high="max", pairs="size").reset_index()


def say_agreement(table: pd.DataFrame, names: dict[str, str]) -> str:
    """A line a guess: mean tau over targets, its interval, and how many points each target had."""
    lines = []
    for row in table[table["target"] == "mean"].itertuples():
        points = table[(table["guess"] == row.guess) & (table["target"] != "mean")]["points"]
        clear = "ranks sources better than chance" if row.ci_low > 0 else (
            "ranks them the wrong way round" if row.ci_high < 0 else "we cannot tell whether it ranks them at all")
        if row.points < 4:
            clear = "too few targets to tell"
        lines.append(f"- {names[row.guess]}: mean tau {row.tau:+.2f} [{row.ci_low:+.2f}, {row.ci_high:+.2f}] over "
                     f"{row.points} targets of {points.min()} to {points.max()} sources: {clear}.")
    return "\n".join(lines)
