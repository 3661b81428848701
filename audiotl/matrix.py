"""Which source serves which target: every source network on every target, what it gains over random weights, and back.

A cell is one network on one target. The mode ``probe`` reads its frozen taps with a ridge probe over all folds; the
trained modes of `transfer` are scored on the target's last fold alone, and cost a training each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from audiotl import stats, study, transfer, transferability
from audiotl.embedding import embed
from audiotl.features import Features
from audiotl.layerwise import WIDTH
from audiotl.probes import reduce, standardise
from audiotl.probes.subset_search import search
from audiotl.study_sources import ALL, MATCHED, SourceNetwork

EVERYTHING = "all"
"""Name of the row for all taps side by side."""

DOMAINS = {"environment": "environment", "esc50": "environment", "esc10": "environment", "urbansound8k": "environment",
           "speech": "speech", "speech_commands": "speech", "speech_commands_10": "speech", "fsdd": "speech",
           "music_family": "music", "gtzan": "music", "philharmonia": "music"}
"""What kind of sound a target is; one's own corpora are of none."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One network on one target.

    Args:
        net: the source network.
        target: name of the corpus.
        mode: see `transfer.MODES`.
        right: which clips were named rightly, ``(n,)`` bool.
        groups: group of each of them.
        layers: of the mode ``probe``: clips right from each tap alone, ``{tap: (n,)}``.
        guesses: LogME and H-score of all taps together, of the mode ``probe``.
    """

    net: SourceNetwork
    target: str
    mode: str
    right: np.ndarray
    groups: np.ndarray
    layers: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    guesses: dict[str, float] = dataclasses.field(default_factory=dict)


def probed(net: SourceNetwork, target: str, aim: Features, seed: int = 0, progress: bool = True) -> Cell:
    """The frozen taps of a network side by side, each brought down to 32 components, under a nested ridge probe.

    Raises:
        LeakError: the network was taught a recording of the target.
    """
    corpus = aim.corpus
    if net.corpus is not None:
        transfer.check_source(net.corpus, corpus, np.arange(len(corpus)))
    blocks, y = embed(net.model, aim, progress=progress), corpus.targets()
    wanted = [*((name,) for name in blocks), tuple(blocks)]
    found = search(blocks, y, corpus.splits(seed=seed), corpus.groups, study.probe("ridge"), subsets=wanted,
                   width=WIDTH, progress=progress, title=f"{net.source} ({net.draw}) -> {target}").nested()
    scaled, _ = standardise(*reduce(*standardise(blocks, blocks), WIDTH))
    x = np.concatenate(list(scaled.values()), 1)
    return Cell(net, target, transfer.PROBE, found[-1], corpus.groups, dict(zip(blocks, found[:-1], strict=True)),
                {"logme": transferability.logme(x, y), "h_score": transferability.h_score(x, y)})


def trained(net: SourceNetwork, target: str, aim: Features, mode: str, plan: study.Plan, steps: int,
            progress: bool = True) -> Cell:
    """A network taught the target in a trained mode of `transfer`, tested on the target's last fold."""
    corpus = aim.corpus
    split = corpus.splits(seed=plan.seed)[-1]
    recipe = dataclasses.replace(plan.recipe if net.network == "convnet5" else plan.deep, seed=net.seed)
    made = transfer.transfer(mode, aim, split, recipe, steps, net.network, net, progress=progress)
    return Cell(net, target, mode, made.values[0, 0] > 0, corpus.groups[split[1]])


def matrix(plan: study.Plan, nets: Iterable[SourceNetwork], aims: dict[str, Features],
           modes: Sequence[str] = (transfer.PROBE,), steps: int = 0, progress: bool = True) -> list[Cell]:
    """Every network on every target but its own corpus, in every mode.

    The mode ``scratch`` knows no source: it is filled in once a seed, in the row of random weights. A published network
    has the mode ``probe`` alone.

    Args:
        steps: optimiser steps of the trained modes.
    """
    pairs, cells = study.pairs(plan), []
    for net in nets:
        published = net.source not in (*plan.sources, study.RANDOM)
        for target, aim in aims.items():
            if not published and (net.source, target) not in pairs:
                continue
            for mode in modes:
                if mode == transfer.PROBE:
                    cells.append(probed(net, target, aim, plan.seed, progress))
                elif not published and (mode == transfer.SCRATCH) == (net.source == study.RANDOM):
                    cells.append(trained(net, target, aim, mode, plan, steps, progress))
    return cells


def table(cells: Sequence[Cell]) -> pd.DataFrame:
    """A row a cell: ``source, source_clips, target, network, mode, seed, score`` and what belongs to them."""
    rows = []
    for cell in cells:
        net, (score, low, high) = cell.net, stats.bootstrap_mean(cell.right, cell.groups)
        rows.append({"source": net.source, "source_clips": net.clips, "target": cell.target, "network": net.network,
                     "mode": cell.mode, "seed": net.seed, "score": score, "ci_low": low, "ci_high": high,
                     "draw": net.draw, "source_classes": net.classes, "source_steps": net.steps,
                     "source_score": net.own, "tested_clips": len(cell.right)} | cell.guesses)
    return pd.DataFrame(rows)


def layer_table(cells: Sequence[Cell]) -> pd.DataFrame:
    """Score of each tap alone and of ``"all"``, means over seeds.

    Returns:
        ``source, draw, target, network, layer, score, ci_low, ci_high``, of the mode ``probe``.
    """
    rows = []
    for (source, draw, target, network, mode), same in _together(cells):
        if mode != transfer.PROBE:
            continue
        for layer, right in [*((name, [cell.layers[name] for cell in same]) for name in same[0].layers),
                             (EVERYTHING, [cell.right for cell in same])]:
            mean, low, high = stats.bootstrap_mean(np.mean(right, 0), same[0].groups)
            rows.append({"source": source, "draw": draw, "target": target, "network": network, "layer": layer,
                         "score": mean, "ci_low": low, "ci_high": high})
    return pd.DataFrame(rows)


def gains(cells: Sequence[Cell]) -> pd.DataFrame:
    """What each source gains over random weights on the same clips, means over seeds.

    Intervals (95 %) are over groups of clips, given these networks; ``seed_low`` and ``seed_high`` are the smallest and
    largest gain of a single seed. ``errors_removed`` is the gain as a share of the random network's errors, which lets
    easy and hard targets be compared. Trained modes are set against ``scratch``.

    Returns:
        ``network, mode, draw, source, target, score, random, difference, ci_low, ci_high, seeds, seed_low, seed_high,
        errors_removed``.
    """
    together, rows = dict(_together(cells)), []
    for (source, draw, target, network, mode), same in together.items():
        base = together.get((study.RANDOM, ALL, target, network, mode if mode == transfer.PROBE else transfer.SCRATCH))
        if source == study.RANDOM or base is None:
            continue
        against = {cell.net.seed: cell.right for cell in base}
        one, other = np.mean([cell.right for cell in same], 0), np.mean([cell.right for cell in base], 0)
        mean, low, high = stats.paired_bootstrap(one, other, same[0].groups)
        each = [cell.right.mean() - against[cell.net.seed].mean() for cell in same if cell.net.seed in against]
        rows.append({"network": network, "mode": mode, "draw": draw, "source": source, "target": target,
                     "score": one.mean(), "random": other.mean(), "difference": mean, "ci_low": low, "ci_high": high,
                     "seeds": len(same), "seed_low": min(each), "seed_high": max(each),
                     "errors_removed": mean / max(1 - other.mean(), 1e-9)})
    return pd.DataFrame(rows)


def asymmetry(cells: Sequence[Cell], one: str = "environment", other: str = "speech") -> pd.DataFrame:
    """Does `one` help `other` more than `other` helps `one`? Gains over random both ways, and their difference.

    A direction is the mean over the targets of that kind of sound. Targets are drawn apart, each by its own groups.

    Returns:
        ``network, mode, draw, what, targets, seeds, gain, ci_low, ci_high, seed_low, seed_high, errors_removed,
        errors_low, errors_high``, three rows a network, mode and draw: both directions, and the one minus the other;
        none where the targets are of neither kind.
    """
    together, rows = dict(_together(cells)), []
    for network, mode, draw in dict.fromkeys((k[3], k[4], k[1]) for k in together if k[0] in (one, other)):
        sides = []
        for source, kind in ((one, other), (other, one)):
            found = []
            for k, target in enumerate(dict.fromkeys(cell.target for cell in cells)):
                mine = together.get((source, draw, target, network, mode))
                base = together.get((study.RANDOM, ALL, target, network,
                                     mode if mode == transfer.PROBE else transfer.SCRATCH))
                if DOMAINS.get(target) == kind and mine and base:
                    found.append(_gain(target, mine, base, k))
            if found:
                points, errors, seeds = (np.mean([f[i] for f in found], 0) for i in range(3))
                sides.append((f"{source} → {kind}", " ".join(f[3] for f in found), points, errors, seeds))
        if len(sides) == 2:
            a, b = sides
            sides.append((f"{a[0]} minus {b[0]}", f"{a[1]} minus {b[1]}", *(a[i] - b[i] for i in (2, 3, 4))))
        for what, targets, points, errors, seeds in sides:
            rows.append({"network": network, "mode": mode, "draw": draw, "what": what, "targets": targets,
                         "seeds": len(seeds), "gain": points[0], **_interval(points, "ci"), "seed_low": seeds.min(),
                         "seed_high": seeds.max(), "errors_removed": errors[0], **_interval(errors, "errors")})
    return pd.DataFrame(rows, columns=["network", "mode", "draw", "what", "targets", "seeds", "gain", "ci_low",
                                       "ci_high", "seed_low", "seed_high", "errors_removed", "errors_low",
                                       "errors_high"])


def _gain(target, mine, base, seed):
    # The mean first, then the draws, in points and as a share of random's errors; and the gain of each seed.
    one, other = np.mean([cell.right for cell in mine], 0), np.mean([cell.right for cell in base], 0)
    a, b = (np.r_[side.mean(), stats.bootstrap_draws(side, mine[0].groups, seed=seed)] for side in (one, other))
    against = {cell.net.seed: cell.right.mean() for cell in base}
    seeds = np.array([cell.right.mean() - against[cell.net.seed] for cell in mine if cell.net.seed in against])
    return a - b, (a - b) / np.maximum(1 - b, 1e-9), seeds, target


def _interval(draws: np.ndarray, name: str) -> dict[str, float]:
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    return {f"{name}_low": low, f"{name}_high": high}


def _together(cells: Sequence[Cell]) -> list[tuple[tuple, list[Cell]]]:
    out: dict[tuple, list[Cell]] = {}
    for cell in cells:
        out.setdefault((cell.net.source, cell.net.draw, cell.target, cell.net.network, cell.mode), []).append(cell)
    return list(out.items())


def changes(cells: Sequence[Cell], first: str, last: str) -> pd.DataFrame:
    """What the draw `last` gains over the draw `first` on the same clips, means over seeds; columns as of `gains`."""
    together, rows = dict(_together(cells)), []
    for (source, draw, target, network, mode), one in together.items():
        other = together.get((source, last, target, network, mode))
        if draw != first or not other:
            continue
        after, before = (np.mean([cell.right for cell in side], 0) for side in (other, one))
        mean, low, high = stats.paired_bootstrap(after, before, one[0].groups)
        each = [b.right.mean() - a.right.mean() for a, b in zip(one, other, strict=True)]
        rows.append({"first": first, "last": last, "source": source, "target": target, "network": network,
                     "difference": mean, "ci_low": low, "ci_high": high, "seeds": len(each), "seed_low": min(each),
                     "seed_high": max(each)})
    return pd.DataFrame(rows)


def verdict(row) -> str:
    """``"helps"``, ``"hurts"`` or ``"cannot tell"``: an interval clear of zero, and every seed on the same side.

    >>> import types
    >>> verdict(types.SimpleNamespace(ci_low=0.01, ci_high=0.05, seed_low=-0.01, seed_high=0.06))
    'cannot tell'
    """
    if row.ci_low > 0 and row.seed_low > 0:
        return "helps"
    return "hurts" if row.ci_high < 0 and row.seed_high < 0 else "cannot tell"


def say_asymmetry(rows: pd.DataFrame) -> str:
    """One sentence on both directions and on their difference: three rows of `asymmetry`."""
    said = []
    for row in rows.itertuples():
        gain, call = f"{100 * row.gain:+.1f} points [{100 * row.ci_low:+.1f}, {100 * row.ci_high:+.1f}]", verdict(row)
        if " minus " not in row.what:
            said.append(f"{row.what} {gain} over random weights: {'we cannot tell' if call == 'cannot tell' else call}")
            continue
        first, second = row.what.split(" minus ")
        call = {"helps": f"{first} gains more",
                "hurts": f"{second} gains more"}.get(call, "we cannot tell which gains more")
        clear = "" if row.errors_low > 0 or row.errors_high < 0 else ", undecided"
        said.append(f"difference {gain}: {call} (as a share of random's errors {100 * row.errors_removed:+.0f} % "
                    f"[{100 * row.errors_low:+.0f}, {100 * row.errors_high:+.0f}]{clear})")
    return "; ".join(said) + "."


def finding(turns: pd.DataFrame, won: pd.DataFrame) -> str:
    """The chapter's answer, for the first network and equally many clips; without `asymmetry` the count of pairs."""
    probe = won[(won["mode"] == transfer.PROBE) & (won["network"] == won["network"].iloc[0]) & (won["draw"] == MATCHED)]
    rows = turns[(turns["mode"] == transfer.PROBE) & (turns["network"] == won["network"].iloc[0])
                 & (turns["draw"] == MATCHED)]
    calls = [verdict(row) for row in probe.itertuples()]
    both = "" if rows.empty else f"{say_asymmetry(rows)} Over all pairs of source and target, "
    return (f"With equally many source clips and steps, {both}pretraining helps the frozen probe in "
            f"{calls.count('helps')} of {len(calls)}{' pairs' if rows.empty else ''}, hurts in {calls.count('hurts')}, "
            f"and in {calls.count('cannot tell')} we cannot tell.")
