"""What transfer saves: gains, interaction and matching fraction of data-fraction curves, with intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from audiotl import stats
from audiotl.fraction_grid import MULTISCALE, PLAIN, Done
from audiotl.transfer import FINE_TUNED, HEAD, ONE_RATE, SCRATCH

TAIL = 2.5
FEWEST = 5
"""Test groups (speakers) below which an interval says nothing of other groups."""

Kind = tuple[str, str]
"""Input and mode."""

TUNED = {FINE_TUNED: "", ONE_RATE: " at one rate"}
"""The two ways to fine-tune, and how effects and comparisons name them."""

SCALES = "multiscale, from scratch"
EFFECTS: dict[str, dict[Kind, int]] = {SCALES: {(MULTISCALE, SCRATCH): 1, (PLAIN, SCRATCH): -1}} | {
    effect.format(how): signs for mode, how in TUNED.items() for effect, signs in {
        "transfer{}, plain input": {(PLAIN, mode): 1, (PLAIN, SCRATCH): -1},
        "transfer{}, multiscale input": {(MULTISCALE, mode): 1, (MULTISCALE, SCRATCH): -1},
        "multiscale, transferred{}": {(MULTISCALE, mode): 1, (PLAIN, mode): -1},
        "interaction{}": {(MULTISCALE, mode): 1, (MULTISCALE, SCRATCH): -1, (PLAIN, mode): -1, (PLAIN, SCRATCH): 1},
    }.items()} | {
    "one rate against a lower one early, plain input": {(PLAIN, ONE_RATE): 1, (PLAIN, FINE_TUNED): -1}}
"""Differences between corners of the 2 x 2 and between the two ways to fine-tune, as signs."""

MATCHES: dict[str, tuple[Kind, Kind]] = {
    comparison.format(how): kinds for mode, how in TUNED.items() for comparison, kinds in {
        "plain: transferred{} against from scratch": ((PLAIN, mode), (PLAIN, SCRATCH)),
        "multiscale: transferred{} against from scratch": ((MULTISCALE, mode), (MULTISCALE, SCRATCH)),
        "multiscale and transferred{} against plain from scratch": ((MULTISCALE, mode), (PLAIN, SCRATCH)),
    }.items()}
"""Which curve is to reach which curve's score on all clips; the last of each three is the paper's comparison."""

BELOW, NOT_REACHED = 0.0, np.inf
"""Matching fractions off the curve: the smallest fraction is enough already, or all clips are not."""


@dataclasses.dataclass(frozen=True)
class Curves:
    """Accuracy of one network on one target against the fraction of training clips.

    Args:
        target, network: names.
        fractions: that were asked for, rising, ``(F,)``.
        shares: of the training clips that they came to (whole speakers are drawn), a mean over seeds, ``(F,)``.
        seeds: over which the mean is taken.
        test_groups: different groups that were tested, of all seeds.
        scores: per input and mode ``(F,)``.
        draws: bootstrap draws of the same, ``(n, F)``; a draw is the same seeds and test groups for every curve.
    """

    target: str
    network: str
    fractions: tuple[float, ...]
    shares: tuple[float, ...]
    seeds: tuple[int, ...]
    test_groups: int
    scores: dict[Kind, np.ndarray]
    draws: dict[Kind, np.ndarray]


def table(done: Sequence[Done], source: str) -> pd.DataFrame:
    """One row a run: ``source, target, network, input, mode, fraction, seed, score``, then ``clips, test_clips,
    test_groups, steps, ci_low, ci_high, seconds``.

    Args:
        source: name of the source's corpus.
    """
    rows = []
    for one in done:
        score, low, high = stats.bootstrap_mean(one.right, one.groups)
        rows.append({"source": source, **dataclasses.asdict(one.cell), "score": score, "clips": one.clips,
                     "test_clips": len(one.right), "test_groups": len(np.unique(one.groups)), "steps": one.steps,
                     "ci_low": low, "ci_high": high, "seconds": round(one.seconds, 1)})
    order = ["source", "target", "network", "input", "mode", "fraction", "seed", "score"]
    frame = pd.DataFrame(rows, columns=None if rows else order)
    return frame[order + [name for name in frame if name not in order]]


def curves(done: Sequence[Done], n: int = 2000) -> list[Curves]:
    """A set of curves for each network and target; the mode ``head``, run at one fraction, makes none.

    Of an unfinished grid: the fractions that some seed has for every one of its inputs and modes, and the seeds that
    have as many as any.
    """
    out = []
    for target, network in dict.fromkeys((one.cell.target, one.cell.network) for one in done):
        found = {(one.cell.input, one.cell.mode, one.cell.fraction, one.cell.seed): one for one in done
                 if (one.cell.target, one.cell.network) == (target, network)}
        kinds = [kind for kind in dict.fromkeys(key[:2] for key in found) if kind[1] != HEAD]
        full = {seed: {f for f in {key[2] for key in found} if all((*kind, f, seed) in found for kind in kinds)}
                for seed in dict.fromkeys(key[3] for key in found)}
        most = max(full.values(), key=len)
        if not most:
            continue
        fractions, seeds = tuple(sorted(most)), tuple(seed for seed, has in full.items() if has >= most)
        values = [np.stack([found[*kind, f, seed].right for kind in kinds for f in fractions]) for seed in seeds]
        groups = [found[*kinds[0], fractions[0], seed].groups for seed in seeds]
        draws = stats.bootstrap_runs(values, groups, n)
        scores = np.mean([v.mean(1) for v in values], 0)
        at = {kind: slice(i * len(fractions), (i + 1) * len(fractions)) for i, kind in enumerate(kinds)}
        clips = np.mean([[found[*kinds[0], f, seed].clips for f in fractions] for seed in seeds], 0)
        shares = tuple(fractions[-1] * clips / clips[-1])
        out.append(Curves(target, network, fractions, shares, seeds, len(np.unique(np.concatenate(groups))),
                          {kind: scores[place] for kind, place in at.items()},
                          {kind: draws[:, place] for kind, place in at.items()}))
    return out


def means(found: Sequence[Curves]) -> pd.DataFrame:
    """Every point of every curve: ``target, network, input, mode, fraction, share, seeds, score, ci_low,
    ci_high``."""
    return pd.DataFrame([
        {"target": one.target, "network": one.network, "input": kind[0], "mode": kind[1], "fraction": fraction,
         "share": share, "seeds": len(one.seeds), "score": score, "ci_low": low, "ci_high": high}
        for one in found for kind in one.scores
        for fraction, share, score, low, high in zip(one.fractions, one.shares, one.scores[kind],
                                                     *_band(one.draws[kind]), strict=True)])


def effects(found: Sequence[Curves]) -> pd.DataFrame:
    """Differences of the 2 x 2: ``target, network, effect, fraction, difference, ci_low, ci_high, test_groups, sure``.

    The fraction is a number, or ``"mean"`` over all of them; `sure` is what `sign` gives. Intervals are paired: seeds
    and test groups are drawn together for all corners.
    """
    rows = []
    for one in found:
        for effect, signs in EFFECTS.items():
            if not all(kind in one.scores for kind in signs):
                continue
            value = sum(sign * one.scores[kind] for kind, sign in signs.items())
            drawn = sum(sign * one.draws[kind] for kind, sign in signs.items())
            value, drawn = np.append(value.mean(), value), np.column_stack([drawn.mean(1), drawn])
            rows += [{"target": one.target, "network": one.network, "effect": effect, "fraction": fraction,
                      "difference": difference, "ci_low": low, "ci_high": high, "test_groups": one.test_groups,
                      "sure": sign(low, high, one.test_groups)}
                     for fraction, difference, low, high in zip(["mean", *one.fractions], value, *_band(drawn),
                                                                strict=True)]
    return pd.DataFrame(rows, columns=["target", "network", "effect", "fraction", "difference", "ci_low", "ci_high",
                                       "test_groups", "sure"])


def sign(low: float, high: float, test_groups: int) -> int:
    """1 or -1 if an interval of a difference lies above or below zero; 0 if not, or with fewer than `FEWEST` groups.

    >>> sign(0.01, 0.02, 20), sign(-0.02, -0.01, 20), sign(-0.01, 0.02, 20), sign(0.01, 0.02, 2)
    (1, -1, 0, 0)
    """
    return 0 if test_groups < FEWEST else int(low > 0) - int(high < 0)


def matching(found: Sequence[Curves]) -> pd.DataFrame:
    """The fraction at which one curve reaches another's score on all clips.

    Columns ``target, network, comparison, level, fraction, ci_low, ci_high, smallest, test_groups, rises``; 0 stands
    for less than the smallest fraction that was run, infinity for not reached. `rises` is what `sign` says of the
    curve to be reached, its score on all clips minus that on the fewest: if it does not rise, no clips can be saved.
    """
    rows = []
    for one in found:
        for comparison, (rising, against) in MATCHES.items():
            if rising in one.scores and against in one.scores and one.fractions[-1] == 1:
                level, levels = one.scores[against][-1], one.draws[against][:, -1]
                rise = _band(levels - one.draws[against][:, 0])
                drawn = [crossing(one.shares, curve, aim)
                         for curve, aim in zip(one.draws[rising], levels, strict=True)]
                low, high = np.percentile(drawn, [TAIL, 100 - TAIL], method="inverted_cdf")
                rows.append({"target": one.target, "network": one.network, "comparison": comparison, "level": level,
                             "fraction": crossing(one.shares, one.scores[rising], level), "ci_low": low,
                             "ci_high": high, "smallest": one.shares[0], "test_groups": one.test_groups,
                             "rises": sign(*rise, one.test_groups)})
    return pd.DataFrame(rows, columns=["target", "network", "comparison", "level", "fraction", "ci_low", "ci_high",
                                       "smallest", "test_groups", "rises"])


def crossing(fractions: Sequence[float], scores: np.ndarray, level: float) -> float:
    """Where a curve, straight between its points on a logarithmic axis, first reaches `level`.

    >>> round(crossing((0.1, 0.4, 1.0), np.array([0.5, 0.7, 0.8]), 0.6), 3)
    0.2
    >>> crossing((0.1, 1.0), np.array([0.5, 0.7]), 0.4), crossing((0.1, 1.0), np.array([0.5, 0.7]), 0.8)
    (0.0, inf)
    """
    if scores[0] >= level:
        return BELOW
    reached = np.flatnonzero(np.asarray(scores) >= level)
    if not len(reached):
        return NOT_REACHED
    i = reached[0]
    part = (level - scores[i - 1]) / (scores[i] - scores[i - 1])
    low, high = np.log(fractions[i - 1]), np.log(fractions[i])
    return float(np.exp(low + part * (high - low)))


def longer(done: Sequence[Done], more: Sequence[Done]) -> pd.DataFrame:
    """What a longer budget changes: ``target, network, mode, steps, score, longer_steps, longer_score, difference,
    ci_low, ci_high, test_groups, sure``, a row a run of `more` that `done` has too, on the same test clips."""
    usual, rows = {one.cell: one for one in done}, []
    for one in more:
        if one.cell in usual:
            before = usual[one.cell]
            difference, low, high = stats.paired_bootstrap(one.right, before.right, one.groups)
            groups = len(np.unique(one.groups))
            rows.append({"target": one.cell.target, "network": one.cell.network, "mode": one.cell.mode,
                         "steps": before.steps, "score": before.right.mean(), "longer_steps": one.steps,
                         "longer_score": one.right.mean(), "difference": difference, "ci_low": low, "ci_high": high,
                         "test_groups": groups, "sure": sign(low, high, groups)})
    return pd.DataFrame(rows, columns=["target", "network", "mode", "steps", "score", "longer_steps", "longer_score",
                                       "difference", "ci_low", "ci_high", "test_groups", "sure"])


def gains(done: Sequence[Done], more: Sequence[Done]) -> pd.DataFrame:
    """What transfer gains over from scratch at a budget, at a longer one, and the change between them.

    Columns ``target, network, mode, when, steps, difference, ci_low, ci_high, test_groups, sure``, where `when` is
    ``"budget"``, ``"longer"`` or ``"change"`` (longer minus budget, with the longer's steps); three rows for each
    fine-tuned run of `more` whose run from scratch is there too. All four runs share their test clips.
    """
    at = {"budget": {one.cell: one for one in done}, "longer": {one.cell: one for one in more}}
    rows = []
    for cell in at["longer"]:
        base = dataclasses.replace(cell, mode=SCRATCH)
        if cell.mode not in TUNED or any(c not in runs for c in (cell, base) for runs in at.values()):
            continue
        gain = {when: runs[cell].right.astype(float) - runs[base].right for when, runs in at.items()}
        gain["change"] = gain["longer"] - gain["budget"]
        for when, values in gain.items():
            run = at.get(when, at["longer"])[cell]
            difference, low, high = stats.bootstrap_mean(values, run.groups)
            groups = len(np.unique(run.groups))
            rows.append({"target": cell.target, "network": cell.network, "mode": cell.mode, "when": when,
                         "steps": run.steps, "difference": difference, "ci_low": low, "ci_high": high,
                         "test_groups": groups, "sure": sign(low, high, groups)})
    return pd.DataFrame(rows, columns=["target", "network", "mode", "when", "steps", "difference", "ci_low", "ci_high",
                                       "test_groups", "sure"])


def _band(draws: np.ndarray) -> np.ndarray:
    return np.percentile(draws, [TAIL, 100 - TAIL], axis=0)
