"""What changes in the 2017 study when its protocol is put right: scaling, nested selection, paired tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from audiotl import replication, stats
from audiotl.datasets import choi2017
from audiotl.datasets.choi2017 import Task

BASICS = ("4", "01234", "mfcc", "mfcc+01234")
"""Last layer, all layers, MFCC, MFCC with all layers: what the paper's claims are about."""

SUBSETS = tuple(feature for feature in choi2017.features() if "mfcc" not in feature)
TUNED, NESTED = replication.PROTOCOLS
RAW, SCALED = "raw", "standardised"
ANY = "best of 31"


def clip_scores(task: Task, feature: str, scaling: str, protocol: str, threads: int = 1) -> np.ndarray:
    """Clip scores ``(n_tested,)`` of one row; ``"best of 31"`` searches all layer subsets as well."""
    scaled = scaling == SCALED
    if protocol == NESTED:
        chosen = SUBSETS if feature == ANY else (feature,)
        return replication.nested(task, chosen, scaled, threads)[0]
    if feature == ANY:
        rows = [replication.tuned(task, f, scaled, threads)[0] for f in SUBSETS]
        return max(rows, key=np.mean)
    return replication.tuned(task, feature, scaled, threads)[0]


def plan(task: Task, search: bool) -> list[tuple[str, str, str]]:
    """Rows of the audit for one task: ``(features, scaling, protocol)``."""
    basics = [f for f in BASICS if all(name in task.blocks for name in choi2017.names_of(f))]
    rows = [(f, scaling, protocol) for protocol in (TUNED, NESTED) for scaling in (RAW, SCALED) for f in basics]
    rows += [(f, RAW, TUNED) for f in choi2017.UNPUBLISHED] + [(ANY, RAW, TUNED)]
    return rows + ([(ANY, RAW, NESTED)] if search else [])


def table(tasks: Iterable[Task], search: Iterable[str] = (), threads: int = 2,
          say: Callable[[str], None] = print) -> tuple[pd.DataFrame, dict]:
    """Scores with intervals, by task, features, scaling and protocol.

    Args:
        tasks: loaded tasks, see `choi2017.load`.
        search: names of the tasks for which the nested protocol also searches all 31 subsets (three to four times the
            work of the whole published row of that task).

    Returns:
        ``task, features, scaling, protocol, score, ci_low, ci_high`` (bootstrap over recordings), and the clip
        scores behind it by ``(task, features, scaling, protocol)``.
    """
    rows, kept = [], {}
    for task in tasks:
        name = task.name
        for feature, scaling, protocol in plan(task, name in tuple(search)):
            scores = clip_scores(task, feature, scaling, protocol, threads)
            mean, low, high = stats.bootstrap_mean(scores, task.groups[task.tested])
            kept[name, feature, scaling, protocol] = scores
            rows.append((name, feature, scaling, protocol, mean, low, high))
            say(f"{name} {feature} {scaling}, {protocol}: {mean:.4f} [{low:.4f}, {high:.4f}]")
    columns = ["task", "features", "scaling", "protocol", "score", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns), kept


CLAIMS = {
    "all five layers - last layer": ("01234", "4"),
    "all five layers - best of 31": ("01234", ANY),
    "MFCC + all - all": ("mfcc+01234", "01234"),
}
"""The paper's claims as differences: of two feature sets under one protocol."""


def claims(tasks: Iterable[Task], kept: dict) -> pd.DataFrame:
    """Paired differences for the paper's claims, wherever both sides were scored.

    Returns:
        ``task, claim, scaling, protocol, difference, ci_low, ci_high, p_corrected_t, p_sign, p_holm``. The t-test
        needs several folds (Jamendo has one); the sign test counts clips, for accuracy only; Holm's
        correction is over the rows of one claim, scaling and protocol, from the t-test or else the sign test.
    """
    rows = []
    for task in tasks:
        name = task.name
        groups, splits = task.groups[task.tested], task.splits
        for claim, (a, b) in CLAIMS.items():
            for scaling, protocol in dict.fromkeys(key[2:] for key in kept if key[0] == name):
                left, right = kept.get((name, a, scaling, protocol)), kept.get((name, b, scaling, protocol))
                if left is None or right is None:
                    continue
                difference, low, high = stats.paired_bootstrap(left, right, groups)
                p_t = np.nan
                if len(splits) > 1:
                    by_fold = replication.fold_means(task, left) - replication.fold_means(task, right)
                    p_t = stats.corrected_t(by_fold, *np.mean([(len(tr), len(te)) for tr, te in splits], 0))
                p_sign = np.nan if task.regression else stats.sign_test(left, right)
                rows.append((name, claim, scaling, protocol, difference, low, high, p_t, p_sign))
    columns = ["task", "claim", "scaling", "protocol", "difference", "ci_low", "ci_high", "p_corrected_t", "p_sign"]
    out = pd.DataFrame(rows, columns=columns)
    out["p_holm"] = out["p_corrected_t"].fillna(out["p_sign"])
    for _, family in out.groupby(["claim", "scaling", "protocol"]):
        out.loc[family.index, "p_holm"] = holm(family["p_holm"].to_numpy())
    return out


def scaling(tasks: Iterable[Task], kept: dict) -> pd.DataFrame:
    """What standardising columns changes, nested: ``task, features, difference, ci_low, ci_high``."""
    rows = [(task.name, feature, *stats.paired_bootstrap(kept[task.name, feature, SCALED, NESTED],
                                                         kept[task.name, feature, RAW, NESTED],
                                                         task.groups[task.tested]))
            for task in tasks for feature in BASICS if (task.name, feature, SCALED, NESTED) in kept]
    return pd.DataFrame(rows, columns=["task", "features", "difference", "ci_low", "ci_high"])


def optimism(tasks: Iterable[Task], kept: dict) -> pd.DataFrame:
    """Tuned minus nested score of the same raw features: ``task, what, optimism, ci_low, ci_high``.

    ``what`` tells whether the cell alone was chosen, for all five layers, or the subset with it.
    """
    rows = []
    for task in tasks:
        for feature, what in (("01234", "cell chosen, all five layers"), (ANY, "cell and subset chosen")):
            tuned, nested = (kept.get((task.name, feature, RAW, protocol)) for protocol in (TUNED, NESTED))
            if nested is not None:
                rows.append((task.name, what, *stats.paired_bootstrap(tuned, nested, task.groups[task.tested])))
    return pd.DataFrame(rows, columns=["task", "what", "optimism", "ci_low", "ci_high"])


def reading(rows: pd.DataFrame, names: dict[str, str]) -> str:
    """Rows of `claims` or `scaling` in words, sorted by what their intervals say: loss, gain, or neither.

    >>> reading(pd.DataFrame({"task": ["a"], "difference": [.02], "ci_low": [.01], "ci_high": [.03]}), {"a": "Dances"})
    'a gain for Dances +2.0 [+1.0, +3.0]'
    """
    up, down = rows[rows["ci_low"] > 0], rows[rows["ci_high"] < 0]
    words = []
    for part, text in ((down, "a loss"), (up, "a gain"), (rows.drop([*up.index, *down.index]), "no clear difference")):
        if len(part):
            items = "; ".join(f"{names[row.task]} {100 * row.difference:+.1f} [{100 * row.ci_low:+.1f}, "
                              f"{100 * row.ci_high:+.1f}]" for row in part.itertuples())
            words.append(f"{text} for {items}")
    return ", and ".join(words) or "nothing to compare"


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of a family of p-values.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(stepped, 1.0)
    return out
