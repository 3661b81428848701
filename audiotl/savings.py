"""What transfer saves: gains, interaction and matching fraction of data-fraction curves, and sentences about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from audiotl import stats
from audiotl.fraction_grid import MULTISCALE, PLAIN, Cell, Done
from audiotl.transfer import FINE_TUNED, HEAD, SCRATCH

TAIL = 2.5
Kind = tuple[str, str]
"""Input and mode."""

INTERACTION = "interaction"
EFFECTS: dict[str, dict[Kind, int]] = {
    "transfer, plain input": {(PLAIN, FINE_TUNED): 1, (PLAIN, SCRATCH): -1},
    "transfer, multiscale input": {(MULTISCALE, FINE_TUNED): 1, (MULTISCALE, SCRATCH): -1},
    "multiscale, from scratch": {(MULTISCALE, SCRATCH): 1, (PLAIN, SCRATCH): -1},
    "multiscale, transferred": {(MULTISCALE, FINE_TUNED): 1, (PLAIN, FINE_TUNED): -1},
    INTERACTION: {(MULTISCALE, FINE_TUNED): 1, (MULTISCALE, SCRATCH): -1, (PLAIN, FINE_TUNED): -1,
                  (PLAIN, SCRATCH): 1},
}
"""Differences between corners of the 2 x 2, as signs."""

MATCHES: dict[str, tuple[Kind, Kind]] = {
    "plain: transferred against from scratch": ((PLAIN, FINE_TUNED), (PLAIN, SCRATCH)),
    "multiscale: transferred against from scratch": ((MULTISCALE, FINE_TUNED), (MULTISCALE, SCRATCH)),
    "multiscale and transferred against plain from scratch": ((MULTISCALE, FINE_TUNED), (PLAIN, SCRATCH)),
}
"""Which curve is to reach which curve's score on all clips; the last is the comparison of the paper's claim."""

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
        scores: per input and mode ``(F,)``.
        draws: bootstrap draws of the same, ``(n, F)``; a draw is the same seeds and test groups for every curve.
    """

    target: str
    network: str
    fractions: tuple[float, ...]
    shares: tuple[float, ...]
    seeds: tuple[int, ...]
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
        out.append(Curves(target, network, fractions, shares, seeds,
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
    """Differences of the 2 x 2: ``target, network, effect, fraction, difference, ci_low, ci_high``.

    The fraction is a number, or ``"mean"`` over all of them. Intervals are paired: seeds and test groups are drawn
    together for all corners.
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
                      "difference": difference, "ci_low": low, "ci_high": high}
                     for fraction, difference, low, high in zip(["mean", *one.fractions], value, *_band(drawn),
                                                                strict=True)]
    return pd.DataFrame(rows, columns=["target", "network", "effect", "fraction", "difference", "ci_low", "ci_high"])


def matching(found: Sequence[Curves]) -> pd.DataFrame:
    """The fraction at which one curve reaches another's score on all clips.

    Columns ``target, network, comparison, level, fraction, ci_low, ci_high, smallest``; 0 stands for less than the
    smallest fraction that was run, infinity for not reached.
    """
    rows = []
    for one in found:
        for comparison, (rising, against) in MATCHES.items():
            if rising in one.scores and against in one.scores and one.fractions[-1] == 1:
                level, levels = one.scores[against][-1], one.draws[against][:, -1]
                drawn = [crossing(one.shares, curve, aim)
                         for curve, aim in zip(one.draws[rising], levels, strict=True)]
                low, high = np.percentile(drawn, [TAIL, 100 - TAIL], method="inverted_cdf")
                rows.append({"target": one.target, "network": one.network, "comparison": comparison, "level": level,
                             "fraction": crossing(one.shares, one.scores[rising], level), "ci_low": low,
                             "ci_high": high, "smallest": one.shares[0]})
    return pd.DataFrame(rows, columns=["target", "network", "comparison", "level", "fraction", "ci_low", "ci_high",
                                       "smallest"])


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


def say_fraction(fraction: float, smallest: float) -> str:
    """A matching fraction in words.

    >>> say_fraction(0.413, 0.05), say_fraction(0.0, 0.05), say_fraction(np.inf, 0.05)
    ('41 %', 'less than 5 %', 'not reached')
    """
    if fraction == NOT_REACHED:
        return "not reached"
    return f"less than {100 * smallest:.0f} %" if fraction == BELOW else f"{100 * fraction:.0f} %"


def say_matching(matched: pd.DataFrame) -> str:
    """A line a network, target and comparison on the clips that transfer saves."""
    lines = []
    for row in matched.itertuples():
        point, low, high = (say_fraction(f, row.smallest) for f in (row.fraction, row.ci_low, row.ci_high))
        reading = ("so clips are saved" if row.ci_high < 1 else
                   "so transfer stays behind" if row.ci_low == NOT_REACHED else
                   "so we cannot tell whether clips are saved")
        span = f"the whole interval is {low}" if low == high else f"interval from {low} to {high}"
        lines.append(f"- {row.network} on {row.target}, {row.comparison} ({100 * row.level:.1f} % right on all clips): "
                     f"matched at **{point}** of the clips, {span}; {reading}."
                     .replace("matched at **not reached** of the clips", "**not reached** at all clips"))
    return "\n".join(lines)


def verdict(row) -> str:
    """What an interval says of a difference.

    >>> verdict(pd.Series({"difference": 0.02, "ci_low": -0.01, "ci_high": 0.05}))
    '+2.0 points (-1.0 to +5.0): we cannot tell its sign'
    """
    sure = "above zero" if row.ci_low > 0 else "below zero" if row.ci_high < 0 else "we cannot tell its sign"
    return f"{100 * row.difference:+.1f} points ({100 * row.ci_low:+.1f} to {100 * row.ci_high:+.1f}): {sure}"


def say_effects(differences: pd.DataFrame) -> str:
    """A line a network and target: each effect as a mean over fractions, and where along the fractions it is sure."""
    lines = []
    for (network, target, effect), rows in differences.groupby(["network", "target", "effect"], sort=False):
        each, mean = rows[rows["fraction"] != "mean"], rows[rows["fraction"] == "mean"].iloc[0]
        up, down = each[each["ci_low"] > 0]["fraction"], each[each["ci_high"] < 0]["fraction"]
        where = [f"{word} at {', '.join(f'{100 * f:g} %' for f in part)}"
                 for word, part in (("above zero", up), ("below zero", down)) if len(part)]
        singly = f"one by one, {' and '.join(where)}" if where else "at no single fraction is it sure"
        lines.append(f"- {network} on {target}, {effect}: {verdict(mean)} on average over fractions; {singly}.")
    return "\n".join(lines)


def say_missing(missing: Sequence[Cell]) -> str:
    """Which runs an unfinished grid lacks, network by network."""
    if not missing:
        return "Every run of the grid is finished."
    lines = []
    for network, target in dict.fromkeys((cell.network, cell.target) for cell in missing):
        here = [cell for cell in missing if (cell.network, cell.target) == (network, target)]
        lines.append(f"- {network} on {target}: {len(here)} runs missing (seeds "
                     f"{', '.join(map(str, sorted({cell.seed for cell in here})))}; inputs "
                     f"{', '.join(dict.fromkeys(cell.input for cell in here))}; fractions "
                     f"{', '.join(f'{100 * f:g} %' for f in sorted({cell.fraction for cell in here}))})")
    return (f"**{len(missing)} runs of the grid are not finished** and take no part in what follows:\n\n"
            + "\n".join(lines))


def longer(done: Sequence[Done], more: Sequence[Done]) -> pd.DataFrame:
    """What a longer budget changes: ``target, network, mode, steps, score, longer_steps, longer_score, difference,
    ci_low, ci_high``, a row a run of `more` that `done` has too, on the same test clips."""
    usual, rows = {one.cell: one for one in done}, []
    for one in more:
        if one.cell in usual:
            before = usual[one.cell]
            difference, low, high = stats.paired_bootstrap(one.right, before.right, one.groups)
            rows.append({"target": one.cell.target, "network": one.cell.network, "mode": one.cell.mode,
                         "steps": before.steps, "score": before.right.mean(), "longer_steps": one.steps,
                         "longer_score": one.right.mean(), "difference": difference, "ci_low": low, "ci_high": high})
    return pd.DataFrame(rows, columns=["target", "network", "mode", "steps", "score", "longer_steps", "longer_score",
                                       "difference", "ci_low", "ci_high"])


def say_longer(budgeted: pd.DataFrame) -> str:
    """A line a mode on what a longer budget changes, and what that means for the gain by transfer."""
    lines = [f"- {row.network} on {row.target}, {row.mode}: {100 * row.score:.1f} % after {row.steps:,} steps, "
             f"{100 * row.longer_score:.1f} % after {row.longer_steps:,}; {verdict(row)}."
             for row in budgeted.itertuples()]
    for (network, target), rows in budgeted.groupby(["network", "target"], sort=False):
        score = rows.set_index("mode")
        if {SCRATCH, FINE_TUNED} <= set(score.index):
            before, after = (score[column][FINE_TUNED] - score[column][SCRATCH] for column in ("score", "longer_score"))
            lines.append(f"- {network} on {target}: fine-tuned minus from scratch is {100 * before:+.1f} points at the "
                         f"budget of this chapter and {100 * after:+.1f} at the longer one (one seed)"
                         + ("; from scratch had not converged, and what follows from the curves holds for this budget."
                            if score["ci_low"][SCRATCH] > 0 else "."))
    return "\n".join(lines)


def even_rates(done: Sequence[Done], even: Sequence[Done]) -> pd.DataFrame:
    """Fine-tuning with one rate for all layers against a lower one for early layers and against from scratch:
    ``target, network, fraction, seed, even_score, against, score, difference, ci_low, ci_high``."""
    usual, rows = {one.cell: one for one in done}, []
    for one in even:
        for mode in (FINE_TUNED, SCRATCH):
            other = usual.get(dataclasses.replace(one.cell, mode=mode))
            if other is not None:
                difference, low, high = stats.paired_bootstrap(one.right, other.right, one.groups)
                rows.append({"target": one.cell.target, "network": one.cell.network, "fraction": one.cell.fraction,
                             "seed": one.cell.seed, "even_score": one.right.mean(), "against": mode,
                             "score": other.right.mean(), "difference": difference, "ci_low": low, "ci_high": high})
    return pd.DataFrame(rows)


def say_even_rates(rated: pd.DataFrame) -> str:
    """A line a target and network: where along the fractions one rate for all is surely better or worse."""
    lines = []
    for (network, target, against), rows in rated.groupby(["network", "target", "against"], sort=False):
        other = "a lower rate for early layers" if against == FINE_TUNED else "training from scratch"
        each = "; ".join(f"{100 * row.fraction:g} %: {verdict(row)}" for row in rows.itertuples())
        lines.append(f"- {network} on {target}, one rate for all layers against {other}, by share of clips: {each}.")
    return "\n".join(lines)


def finding(differences: pd.DataFrame, matched: pd.DataFrame) -> str:
    """The chapter's answer: transfer, interaction, matching fraction, counted over networks and targets."""
    mean = differences[differences["fraction"] == "mean"]

    def count(effect: str) -> str:
        rows = mean[mean["effect"] == effect]
        up, down = int((rows["ci_low"] > 0).sum()), int((rows["ci_high"] < 0).sum())
        return (f"{100 * rows['difference'].mean():+.1f} points on average, surely above zero in {up or 'none'} and "
                f"surely below in {down or 'none'} of {len(rows)} cases")

    parts = []
    transferred = ("Fine-tuning what was pretrained on environmental sound, early layers at a tenth of the head's "
                   "rate, against training from scratch, gives")
    for effect, words in (("transfer, plain input", transferred),
                          (INTERACTION, "The interaction of transfer with the multiscale input is")):
        if (mean["effect"] == effect).any():
            parts.append(f"{words} {count(effect)}.")
    paper = matched[matched["comparison"] == list(MATCHES)[-1]]
    if len(paper):
        saved = paper[paper["ci_high"] < 1]
        points = ", ".join(f"{say_fraction(row.fraction, row.smallest)} ({row.network}, {row.target})"
                           for row in paper.itertuples())
        parts.append(f"With both, the score of all clips from scratch on the plain input is matched at: {points}; "
                     f"intervals show clips saved in {len(saved) or 'none'} of {len(paper)} cases.")
    return " ".join(parts) or "No corner of the 2 x 2 is finished yet, so nothing can be told."


def _band(draws: np.ndarray) -> np.ndarray:
    return np.percentile(draws, [TAIL, 100 - TAIL], axis=0)
