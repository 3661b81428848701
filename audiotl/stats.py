"""What each clip scored, and what may be said of it: paired differences, the one rule for "clear".

`Scored` is what every protocol returns. `score_table` turns it into scores with intervals,
`compare` into a paired difference, and `clear` decides which differences of a family count.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from audiotl import AudiotlError, check_known

LEVEL = 0.05  # largest p-value, after Holm, of a clear difference
DRAWS = 2000  # of a bootstrap
FEWEST_GROUPS = 10  # that must have been tested before a difference counts; it is shown with fewer
RULES = ("difference", "equivalence", "not worse")


@dataclasses.dataclass(frozen=True)
class Scored:
    """What each tested clip scored, by seed of what was trained and by repetition of the folds.

    A clip's score is a float: 1 or 0 for the class named rightly or not, label-ranking average
    precision for tags; for a number 1 less its squared error over the variance of all tested
    numbers, so that the mean over clips is R2.

    Args:
        values: ``(seeds, repeats, n)`` float.
        folds: fold in which each clip was tested, ``(repeats, n)`` int.
        groups: group of each clip, ``(n,)`` str.
        keys: what was scored: source, network, target, subset, mode, ...
    """

    values: np.ndarray
    folds: np.ndarray
    groups: np.ndarray
    keys: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, values: np.ndarray, folds: np.ndarray, groups: np.ndarray, **keys) -> "Scored":
        """One seed and one set of folds: `values` and `folds` are ``(n,)``."""
        return cls(np.asarray(values, float)[None, None], np.asarray(folds)[None],
                   np.asarray(groups), keys)

    @property
    def mean(self) -> float:
        """Mean over clips, repeats and seeds."""
        return float(self.values.mean())

    def named(self, **keys) -> "Scored":
        """The same scores under further keys."""
        return dataclasses.replace(self, keys=self.keys | keys)


def over_seeds(parts: Sequence[Scored]) -> Scored:
    """Scores of several seeds as one; AudiotlError if their clips or folds differ."""
    for part in parts[1:]:
        _check_paired(parts[0], part)
    return dataclasses.replace(parts[0], values=np.concatenate([part.values for part in parts], 0))


def over_repeats(parts: Sequence[Scored]) -> Scored:
    """Scores over several sets of folds as one; AudiotlError if clips or seeds differ."""
    for part in parts[1:]:
        same_seeds = len(part.values) == len(parts[0].values)
        if not (same_seeds and np.array_equal(part.groups, parts[0].groups)):
            raise AudiotlError("Repeats must score the same clips with the same number of seeds.")
    return dataclasses.replace(parts[0], values=np.concatenate([part.values for part in parts], 1),
                               folds=np.concatenate([part.folds for part in parts], 0))


def over_folds(parts: Sequence[Scored]) -> Scored:
    """Scores of different folds, each with one seed, as one; a group may be tested in several."""
    folds = np.concatenate([part.folds for part in parts], 1)
    values = np.concatenate([part.values for part in parts], 2)
    if values.shape[:2] != (1, 1) or len(np.unique(folds)) < len(parts):
        raise AudiotlError("Folds must be different ones, each with one seed and one repeat.")
    groups = np.concatenate([part.groups for part in parts])
    return dataclasses.replace(parts[0], values=values, folds=folds, groups=groups)


def score_table(scored: Iterable[Scored]) -> pd.DataFrame:
    """A row for each: its keys, then ``score, ci_low, ci_high, clips, groups, seeds``.

    The interval is a percentile bootstrap over groups, and over seeds where there are several.
    """
    return pd.DataFrame([one.keys | _estimate(one.values, one.groups, "score") for one in scored])


def compare(one: Scored, other: Scored, **keys) -> dict:
    """How much more `one` scores than `other` on the same clips.

    Returns:
        The keys that both share, `keys`, then ``difference, ci_low, ci_high, p, clips, groups,
        seeds``: the interval as in `score_table`, the p-value of `corrected_t` over folds and
        repeats once seeds are averaged (NaN below three folds: two can agree by chance).
    """
    _check_paired(one, other)
    shared = {name: value for name, value in one.keys.items() if other.keys.get(name) == value}
    values = one.values - other.values  # a side of one seed stands against every seed of the other
    row = shared | keys | _estimate(values, one.groups, "difference")
    by_fold, ratio = _fold_means(values.mean(0), one.folds)
    row["p"] = corrected_t(by_fold, 1.0, ratio) if len(by_fold) > 2 else np.nan
    return row


def clear(comparisons: pd.DataFrame, family: str | list[str] | None = None) -> pd.Series:
    """Which differences of a family are clear: the one rule of this study.

    The interval leaves zero out, the p-value is below `LEVEL` after Holm's correction over the
    family, and at least `FEWEST_GROUPS` groups were tested.

    Args:
        comparisons: rows of `compare`.
        family: columns whose values tell the families; all rows are one without them.
    """
    if family is not None:
        judged = pd.Series(False, comparisons.index)
        for rows in comparisons.groupby(family).indices.values():
            judged.iloc[rows] = clear(comparisons.iloc[rows]).to_numpy()
        return judged
    outside = (comparisons["ci_low"] > 0) | (comparisons["ci_high"] < 0)
    return outside & (holm(comparisons["p"]) < LEVEL) & (comparisons["groups"] >= FEWEST_GROUPS)


def tally(comparisons: pd.DataFrame) -> str:
    """How many differences are clear (column ``clear``) and above zero, as ``"3 of 5"``."""
    ahead = comparisons["clear"] & (comparisons["difference"] > 0)
    return f"{int(ahead.sum())} of {len(comparisons)}"


def equivalent(comparisons: pd.DataFrame, margin: float) -> pd.Series:
    """Which differences, tested on enough groups, have an interval within `margin` of zero.

    Stricter than two one-sided tests at 5 % (Schuirmann 1987), which ask it of the 90 % interval.
    """
    inside = (comparisons["ci_low"] > -margin) & (comparisons["ci_high"] < margin)
    return inside & (comparisons["groups"] >= FEWEST_GROUPS)


def decide(comparisons: pd.DataFrame, rule: str, margin: float) -> pd.Series:
    """What each difference of a family (rows of `compare`) says of a claim that it is above zero.

    Args:
        rule: ``"difference"``: a clear difference decides, and one within `margin` of zero where
            none is clear; ``"equivalence"``: the other way round; ``"not worse"``: whether it lies
            above ``-margin``.

    Returns:
        ``"holds"``, ``"does not hold"``, ``"equivalent"`` (within `margin` of zero) or
        ``"cannot tell"``.
    """
    check_known("rule", rule, RULES)
    found = pd.Series("cannot tell", comparisons.index)
    enough = comparisons["groups"] >= FEWEST_GROUPS
    if rule == "not worse":
        found[enough & (comparisons["ci_low"] > -margin)] = "holds"
        found[enough & (comparisons["ci_high"] < -margin)] = "does not hold"
        return found
    within, counts = equivalent(comparisons, margin), clear(comparisons)
    found[within] = "equivalent"
    if rule == "equivalence":
        counts &= ~within
    found[counts & (comparisons["difference"] > 0)] = "holds"
    found[counts & (comparisons["difference"] < 0)] = "does not hold"
    return found


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values after Holm's correction for all that are not NaN (Holm 1979).

    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, float)
    out = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    out[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return out


def _check_paired(one: Scored, other: Scored) -> None:
    if not (np.array_equal(one.groups, other.groups) and np.array_equal(one.folds, other.folds)):
        raise AudiotlError("A comparison needs the same clips in the same folds on both sides.")


def _estimate(values: np.ndarray, groups: np.ndarray, name: str) -> dict:
    seeds = len(values)
    means = bootstrap_draws(values.mean(1), groups)
    weights = np.ones((1, DRAWS)) if seeds == 1 else _draws(seeds, 1).T
    low, high = np.percentile((means * weights).sum(0) / weights.sum(0), [2.5, 97.5])
    return {name: float(values.mean()), "ci_low": float(low), "ci_high": float(high),
            "clips": values.shape[2], "groups": len(np.unique(groups)), "seeds": seeds}


def _fold_means(values: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, float]:
    # Mean of every fold of every repeat, and clips tested over clips trained on, on average.
    means, shares = np.array([(row[fold == k].mean(), np.mean(fold == k)) for row, fold
                              in zip(values, folds, strict=True) for k in np.unique(fold)]).T
    share = float(shares.mean())
    return means, share / max(1.0 - share, 1e-12)


def bootstrap_rows(values: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Mean and 95 % percentile interval of each row, from one bootstrap over groups.

    Clips of one recording, speaker or note are not independent, so whole groups are drawn; single
    clips where there are none. Of ``(rows, n_clips)`` come ``(rows, 3)``: mean, low and high.
    """
    values = np.asarray(values, float)
    ends = np.percentile(bootstrap_draws(values, groups), [2.5, 97.5], axis=-1)
    return np.column_stack([values.mean(1), *ends])


def bootstrap_draws(values: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """The drawn means ``(..., DRAWS)`` of scores ``(..., n_clips)``, see `bootstrap_rows`."""
    _, member = np.unique(np.arange(values.shape[-1]) if groups is None else groups,
                          return_inverse=True)
    sizes = np.bincount(member)
    sums = np.zeros((len(sizes), *values.shape[:-1]))
    np.add.at(sums, member, np.moveaxis(values, -1, 0))
    weights = _draws(len(sizes), 0)
    return (weights @ sums).T / (weights @ sizes)


@functools.lru_cache(maxsize=2)
def _draws(n: int, seed: int) -> np.ndarray:
    # Kept, because many scores of one set of clips are asked for one after the other.
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), DRAWS).astype(float)
    drawn.setflags(write=False)
    return drawn


def corrected_t(differences: np.ndarray, n_train: float, n_test: float) -> float:
    """Two-sided p-value of the corrected resampled t-test (Nadeau and Bengio 2003, section 5.3).

    Training sets of the folds overlap, so the plain t-test of the differences ``(n_folds,)`` is too
    sure; the variance is inflated by ``n_test / n_train``, the clips on either side of a fold.
    """
    differences = np.asarray(differences, float)
    k, variance = len(differences), differences.var(ddof=1)
    if variance == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    t = differences.mean() / np.sqrt(variance * (1 / k + n_test / n_train))
    return float(2 * stats.t.sf(abs(t), k - 1))


def power_law(sizes: Sequence[float], scores: Sequence[float]) -> tuple[float, float, float]:
    """The learning curve ``a - b n^-c`` nearest to scores in the sense of least squares.

    Cortes et al., "Learning curves: asymptotic values and rate of convergence" (NIPS 1993).

    Args:
        sizes: numbers of training clips, three or more.
        scores: what was reached with each.

    Returns:
        ``a, b, c``, with a up to 1, b from 0 and c from 0.1 to 2.

    >>> n = np.array([10, 20, 40, 80])
    >>> np.round(power_law(n, 0.9 - 2 / n), 6).tolist()
    [0.9, 2.0, 1.0]
    """
    n, scores = np.asarray(sizes, float), np.asarray(scores, float)
    found = []
    for c in np.linspace(0.1, 2, 39):
        falling = -n**-c
        b, a = np.polyfit(falling, scores, 1)
        if a > 1:
            a, b = 1.0, max(0.0, (scores - 1) @ falling / (falling @ falling))
        elif b < 0:
            a, b = scores.mean(), 0.0
        found.append((np.square(a + b * falling - scores).sum(), a, b, c))
    return tuple(map(float, min(found)[1:]))


def sign_test(a: np.ndarray, b: np.ndarray) -> float:
    """p-value of the exact sign test on paired scores, two-sided; ties are left out (McNemar)."""
    wins, losses = int(np.sum(a > b)), int(np.sum(a < b))
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
