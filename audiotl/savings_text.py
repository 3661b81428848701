"""What transfer saves, in sentences that claim what the intervals of `savings` support."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from audiotl.fraction_grid import Cell
from audiotl.savings import BELOW, FEWEST, NOT_REACHED, TUNED
from audiotl.transfer import ONE_RATE, SCRATCH


def say_fraction(fraction: float, smallest: float) -> str:
    """A matching fraction in words.

    >>> say_fraction(0.413, 0.05), say_fraction(0.0, 0.05), say_fraction(float("inf"), 0.05)
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
        reading = (f"with {row.test_groups} test groups that tells nothing of others" if row.test_groups < FEWEST else
                   "but from scratch gains nothing from more clips at this budget, so there are none to save"
                   if row.rises < 1 else
                   "so clips are saved" if row.ci_high < 1 else
                   "so transfer stays behind" if row.ci_low == NOT_REACHED else
                   "so we cannot tell whether clips are saved")
        span = f"the whole interval is {low}" if low == high else f"interval from {low} to {high}"
        lines.append(f"- {row.network} on {row.target}, {row.comparison} ({100 * row.level:.1f} % right on all clips): "
                     f"matched at **{point}** of the clips, {span}; {reading}."
                     .replace("matched at **not reached** of the clips", "**not reached** at all clips"))
    return "\n".join(lines)


def verdict(row) -> str:
    """What an interval says of a difference; `row` is one of `savings.effects` or `savings.longer`.

    >>> row = {"difference": 0.02, "ci_low": -0.01, "ci_high": 0.05, "test_groups": 20, "sure": 0}
    >>> verdict(pd.Series(row))
    '+2.0 points (-1.0 to +5.0): we cannot tell its sign'
    >>> verdict(pd.Series(row | {"ci_low": 0.01, "test_groups": 2}))
    '+2.0 points (+1.0 to +5.0): 2 test groups are too few to tell its sign'
    """
    sure = {1: "above zero", -1: "below zero"}.get(row.sure, "we cannot tell its sign")
    if row.test_groups < FEWEST:
        sure = f"{row.test_groups:g} test groups are too few to tell its sign"
    return f"{100 * row.difference:+.1f} points ({100 * row.ci_low:+.1f} to {100 * row.ci_high:+.1f}): {sure}"


def say_effects(differences: pd.DataFrame) -> str:
    """A table in Markdown: each effect as a mean over fractions, a column a network and target, bold where it is sure.

    Below the interval stand the fractions at which the effect is sure on its own.
    """
    if differences.empty:
        return ""
    cases = list(dict.fromkeys(zip(differences["network"], differences["target"], strict=True)))
    lines = ["| effect (points) | " + " | ".join(f"{network}, {target}" for network, target in cases) + " |",
             "| --- |" + " --- |" * len(cases)]
    for effect, of_effect in differences.groupby("effect", sort=False):
        cells = [_effect(of_effect[(of_effect["network"] == network) & (of_effect["target"] == target)])
                 for network, target in cases]
        lines.append(f"| {effect} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _effect(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "not run"
    mean, each = rows[rows["fraction"] == "mean"].iloc[0], rows[rows["fraction"] != "mean"]
    words = verdict(mean).partition(":")[0].replace(" points", "")
    words = f"**{words}**" if mean["sure"] else words
    if mean["test_groups"] < FEWEST:
        words += f", too few test groups ({mean['test_groups']})"
    where = [f"{sign} at {', '.join(f'{100 * f:g} %' for f in each[each['sure'] == value]['fraction'])}"
             for sign, value in (("above zero", 1), ("below zero", -1)) if (each["sure"] == value).any()]
    return "; ".join([words, *where])


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


def say_longer(budgeted: pd.DataFrame) -> str:
    """A line a mode on what a longer budget changes, and whether from scratch had converged."""
    lines = [f"- {row.network} on {row.target}, {row.mode}: {100 * row.score:.1f} % after {row.steps:,} steps, "
             f"{100 * row.longer_score:.1f} % after {row.longer_steps:,}; {verdict(row)}"
             + (", so from scratch had not converged, and what follows from the curves holds for this budget."
                if row.mode == SCRATCH and row.sure > 0 else ".")
             for row in budgeted.itertuples()]
    return "\n".join(lines)


def say_gains(gained: pd.DataFrame) -> str:
    """A line a network, target and mode on what transfer gains over from scratch at either budget."""
    lines = []
    for (network, target, mode), rows in gained.groupby(["network", "target", "mode"], sort=False):
        at = {row.when: row for row in rows.itertuples()}
        lines.append(f"- {network} on {target}, {mode} minus from scratch: {verdict(at['budget'])} after "
                     f"{at['budget'].steps:,} steps; {verdict(at['longer'])} after {at['longer'].steps:,}; a change "
                     f"of {verdict(at['change'])}.")
    return "\n".join(lines)


def finding(differences: pd.DataFrame, matched: pd.DataFrame, gained: pd.DataFrame) -> str:
    """The chapter's answer: transfer, interaction, matching fraction, and what a longer budget leaves of the gain."""
    mean = differences[differences["fraction"] == "mean"]

    def count(effect: str) -> str:
        rows = mean[mean["effect"] == effect]
        up, down = int((rows["sure"] > 0).sum()), int((rows["sure"] < 0).sum())
        return (f"{100 * rows['difference'].mean():+.1f} points (surely above zero in {up or 'none'}, below in "
                f"{down or 'none'} of {len(rows)} cases)")

    def each(effect: str) -> str:
        return " and ".join(f"{count(effect.format(how))} {words}" for how, words in ways.items()
                            if (mean["effect"] == effect.format(how)).any())

    def share(how: str) -> str:
        paper = matched[matched["comparison"] == f"multiscale and transferred{how} against plain from scratch"]
        return ", ".join(f"{say_fraction(row.fraction, row.smallest)} ({row.network}, {row.target}"
                         + ("; clips saved)" if row.ci_high < 1 and row.rises > 0 else ")")
                         for row in paper[(paper["rises"] > 0) | (paper["test_groups"] < FEWEST)].itertuples())

    ways = dict(zip(TUNED.values(), ("with early layers at a tenth of the head's rate", "with one rate for all layers"),
                    strict=True))
    parts = []
    if gains := each("transfer{}, plain input"):
        parts.append("Fine-tuning what was pretrained on environmental sound, against training from scratch at the "
                     f"same budget: {gains}.")
    if helped := each("interaction{}"):
        parts.append(f"The multiscale input and transfer add to each other {helped}.")
    if any(shares := [f"{words} {share(how)}" for how, words in ways.items() if share(how)]):
        parts.append("With both, the share of clips that does what all do from scratch on the plain input (marked "
                     f"where the interval shows clips saved): {'; '.join(shares)}.")
    flat = matched[(matched["rises"] < 1) & (matched["test_groups"] >= FEWEST)]
    if len(flat) and any(shares):
        cases = dict.fromkeys(f"{row.network}, {row.target}" for row in flat.itertuples())
        parts.append(f"Where from scratch gains nothing from more clips ({'; '.join(cases)}), there is no such share.")
    kept = {when: gained[(gained["mode"] == ONE_RATE) & (gained["when"] == when)]
            for when in ("budget", "longer", "change")}
    if len(kept["change"]) and parts:
        points = {when: f"{100 * rows['difference'].mean():+.1f}" for when, rows in kept.items()}
        up, down = ({when: int((sign * rows["sure"] > 0).sum()) or "none" for when, rows in kept.items()}
                    for sign in (1, -1))
        parts.append(f"All of this holds for the budget, not for training to the end: on all clips, four times the "
                     f"steps take the gain with one rate from {points['budget']} to {points['longer']} points (surely "
                     f"smaller in {down['change']}, larger in {up['change']} of {len(kept['change'])} cases, one seed; "
                     f"with the longer budget surely above zero in {up['longer']}, below in {down['longer']}).")
    return " ".join(parts) or "No corner of the 2 x 2 is finished yet, so nothing can be told."
