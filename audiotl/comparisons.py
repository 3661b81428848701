"""From subset searches to answers: all against last, best, random and MFCC, and the sentences they support."""

from __future__ import annotations

import numpy as np
import pandas as pd

from audiotl import stats, study
from audiotl.embedding import embed
from audiotl.features import Features
from audiotl.probes.subset_search import Search, search

MFCC = "mfcc"
Searches = dict[tuple[str, str, str], Search]
"""Searches by (source, target, probe); the source ``mfcc`` is the baseline, a search with one block."""


def search_all(plan: study.Plan, aims: dict[str, Features], probe_names: list[str]) -> Searches:
    """Search the layer subsets of every source on every target, and score MFCC beside.

    Args:
        aims: features of each target.
        probe_names: see `study.probe`.
    """
    models = {source: study.source_model(plan, source) for source in dict.fromkeys(s for s, _ in study.pairs(plan))}
    out: Searches = {}
    for source, target in [*study.pairs(plan), *((MFCC, target) for target in plan.targets)]:
        aim = aims[target]
        blocks = {MFCC: aim.mfcc} if source == MFCC else embed(models[source], aim)
        for name in probe_names:
            out[source, target, name] = search(blocks, aim.corpus.targets(), aim.corpus.splits(seed=plan.seed),
                                               aim.corpus.groups, study.probe(name), title=f"{source} -> {target}")
    return out


def table(searches: Searches) -> pd.DataFrame:
    """Every score: ``source, target, subset, size, probe, protocol, score, ci_low, ci_high``."""
    return pd.concat([found.table().assign(source=source, target=target)
                      for (source, target, _), found in searches.items()], ignore_index=True)


def summary(searches: Searches, probe: str) -> pd.DataFrame:
    """Nested scores of each network on each target: ``source, target, last, best, all, picks``.

    ``best`` is the score when the combination is chosen on the other folds, ``picks`` what was chosen there.
    """
    rows = []
    for (source, target, name), found in searches.items():
        if name != probe or source == MFCC:
            continue
        right, labels = found.nested(), found.labels()
        best, picks = found.nested_best()
        digits = [labels[found.subsets.index(pick)] for pick in picks]
        rows.append({"source": source, "target": target, "last": right[_last(found)].mean(), "best": best.mean(),
                     "all": right[-1].mean(), "picks": " ".join(digits)})
    return pd.DataFrame(rows)


def paired(searches: Searches, probe: str) -> pd.DataFrame:
    """Differences on the same clips under the nested protocol.

    Columns ``comparison, source, target, difference, ci_low, ci_high, p`` with a bootstrap interval over groups
    and the p-value of the corrected resampled t-test over folds. Comparisons: all five layers minus the last,
    minus the nested best, minus the random network's five layers, minus MFCC.
    """
    rows = []
    for (source, target, name), found in searches.items():
        if name != probe or source == MFCC:
            continue
        everything = found.nested()[-1]
        against = {"all - last": found.nested()[_last(found)], "all - best": found.nested_best()[0]}
        if source != study.RANDOM:
            against["all - random"] = searches[study.RANDOM, target, name].nested()[-1]
        against["all - mfcc"] = searches[MFCC, target, name].nested()[0]
        for comparison, other in against.items():
            rows.append({"comparison": comparison, "source": source, "target": target,
                         **difference(everything, other, found)})
    return pd.DataFrame(rows)


def difference(one: np.ndarray, other: np.ndarray, found: Search) -> dict[str, float]:
    """How much more of the same clips `one` gets right than `other`: ``difference, ci_low, ci_high, p``.

    The interval is a bootstrap over groups, the p-value a corrected resampled t-test over folds.

    Args:
        one, other: ``(n,)`` bool.
        found: a search over these clips, for their groups and folds.
    """
    mean, low, high = stats.paired_bootstrap(one, other, found.groups)
    folds = [float(np.mean(one[found.fold == k])) - float(np.mean(other[found.fold == k]))
             for k in range(found.fold.max() + 1)]
    test = len(found.fold) / len(folds)
    return {"difference": mean, "ci_low": low, "ci_high": high,
            "p": stats.corrected_t(folds, len(found.fold) - test, test)}


def optimism(searches: Searches) -> pd.DataFrame:
    """What reading the best combination off the reporting folds gains over naming it beforehand.

    Columns ``source, target, probe, paper_best, nested_best, optimism``.
    """
    rows = []
    for (source, target, name), found in searches.items():
        if source != MFCC:
            flattered, honest = found.paper().mean(1).max(), found.nested_best()[0].mean()
            rows.append({"source": source, "target": target, "probe": name, "paper_best": flattered,
                         "nested_best": honest, "optimism": flattered - honest})
    return pd.DataFrame(rows)


def say_paired(table: pd.DataFrame, comparison: str, this: str, other: str) -> str:
    """One sentence on how often `this` beats `other`, claiming no more than the intervals do.

    >>> frame = pd.DataFrame([{"comparison": "c", "source": "speech", "target": "t", "difference": .1,
    ...                        "ci_low": .05, "ci_high": .15}])
    >>> say_paired(frame, "c", "one", "two")
    'Against two, one scores higher in 1 of 1 cases (speech → t +10.0 points), lower in none; no case is undecided.'
    """
    rows = table[table["comparison"] == comparison]
    if rows.empty:
        return ""
    wins, losses = rows[rows["ci_low"] > 0], rows[rows["ci_high"] < 0]
    left = len(rows) - len(wins) - len(losses)
    return (f"Against {other}, {this} scores higher in {len(wins) or 'none'} of {len(rows)} cases{_list(wins)}, "
            f"lower in {len(losses) or 'none'}{_list(losses)}; "
            f"{'no case is' if not left else '1 case is' if left == 1 else f'{left} cases are'} undecided.")


def say_depth(peaks: list[int]) -> str:
    """One sentence on where the best single layers lie (layers counted from 1)."""
    last = sum(layer == 5 for layer in peaks)
    if last == 0:
        return "In no case is it the last one, which is closest to the source's own labels."
    return f"In {last} of {len(peaks)} cases it is the last one."


def finding(table: pd.DataFrame, scores: pd.DataFrame, probe: str) -> str:
    """The chapter's answer in two sentences."""
    def count(comparison: str) -> tuple[int, int, int]:
        rows = table[table["comparison"] == comparison]
        return int((rows["ci_low"] > 0).sum()), int((rows["ci_high"] < 0).sum()), len(rows)

    last, best, random = count("all - last"), count("all - best"), count("all - random")
    gain = table[table["comparison"] == "all - last"]["difference"].mean()
    text = (f"All five layers beat the last one in {last[0]} of {last[2]} pairs of source and target (mean gain "
            f"{100 * gain:.1f} points, {probe} probe, nested), and the combination picked on other folds beats all "
            f"five in {best[1] or 'none'} of {best[2]} and loses to them in {best[0] or 'none'}.")
    if random[2]:
        text += (f" Trained layers beat the same network with random weights in {random[0]} of {random[2]} pairs and "
                 f"lose in {random[1] or 'none'}.")
    return text


def _list(rows: pd.DataFrame) -> str:
    shown = [f"{row.source} → {row.target} {100 * row.difference:+.1f} points" for row in rows.itertuples()]
    return f" ({'; '.join(shown)})" if shown else ""


def _last(found: Search) -> int:
    return found.subsets.index((found.names[-1],))
