"""Intervals and paired tests for scores that are means over clips or folds."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from scipy import stats


def bootstrap_mean(values: np.ndarray, groups: np.ndarray | None = None, n: int = 2000, seed: int = 0,
                   level: float = 0.95) -> tuple[float, float, float]:
    """Mean of per-clip scores with a percentile interval from a bootstrap over groups.

    Args:
        values: one score a clip (1 correct, 0 wrong, or any number), shape ``(n_clips,)``.
        groups: group of each clip; clips of one recording, speaker or note are not independent, so whole
            groups are drawn. None draws single clips.
        n: bootstrap draws.

    Returns:
        ``(mean, low, high)``.

    >>> mean, low, high = bootstrap_mean(np.ones(10))
    >>> (mean, low, high)
    (1.0, 1.0, 1.0)
    """
    means = _group_means(np.asarray(values, float)[None], groups, n, seed)[0]
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(np.mean(values)), float(low), float(high)


def bootstrap_rows(values: np.ndarray, groups: np.ndarray | None = None, n: int = 2000, seed: int = 0,
                   level: float = 0.95) -> np.ndarray:
    """`bootstrap_mean` of many rows over the same draws: ``(rows, n_clips)`` to ``(rows, 3)``."""
    values = np.asarray(values, float)
    means = _group_means(values, groups, n, seed)
    tail = 100 * (1 - level) / 2
    return np.column_stack([values.mean(1), *np.percentile(means, [tail, 100 - tail], axis=1)])


def paired_bootstrap(a: np.ndarray, b: np.ndarray, groups: np.ndarray | None = None, n: int = 2000,
                     seed: int = 0, level: float = 0.95) -> tuple[float, float, float]:
    """Mean difference ``a - b`` on the same clips with its interval: ``(difference, low, high)``."""
    return bootstrap_mean(np.asarray(a, float) - np.asarray(b, float), groups, n, seed, level)


def bootstrap_runs(values: Sequence[np.ndarray], groups: Sequence[np.ndarray], n: int = 2000,
                   seed: int = 0) -> np.ndarray:
    """Draws of the mean over runs of scores on each run's own test clips: runs are drawn, and in each its groups.

    Args:
        values: per run ``(rows, n_clips)``; all rows share the draws, so that differences of rows are paired.
        groups: per run the group of each clip, ``(n_clips,)``.

    Returns:
        ``(n, rows)``. With a single run, only groups are drawn.
    """
    drawn = np.random.default_rng(seed).integers(len(values), size=(n, len(values)))
    out = np.zeros((n, len(values[0])))
    for place in range(len(values)):
        for run, (scores, group) in enumerate(zip(values, groups, strict=True)):
            # A run that is drawn twice has its groups drawn twice.
            means = _group_means(np.asarray(scores, float), group, n, seed + 1 + place * len(values) + run)
            out += np.where(drawn[:, place] == run, means, 0.0).T / len(values)
    return out


def bootstrap_draws(values: np.ndarray, groups: np.ndarray, n: int = 2000, seed: int = 0) -> np.ndarray:
    """The drawn means behind `bootstrap_mean`, ``(n,)``; give different seeds to clips that are drawn independently."""
    return _group_means(np.asarray(values, float)[None], groups, n, seed)[0]


def _group_means(values: np.ndarray, groups: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    groups = np.arange(values.shape[1]) if groups is None else groups
    _, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(member)
    sums = np.zeros((len(sizes), len(values)))
    np.add.at(sums, member, values.T)
    weights = _draws(len(sizes), n, seed)
    return ((weights @ sums) / (weights @ sizes)[:, None]).T


@functools.lru_cache(maxsize=2)
def _draws(n_groups: int, n: int, seed: int) -> np.ndarray:
    # Kept, because many scores of one set of clips are asked for one after the other.
    drawn = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n).astype(float)
    drawn.setflags(write=False)
    return drawn


def corrected_t(differences: np.ndarray, n_train: float, n_test: float) -> float:
    """Two-sided p-value of the corrected resampled t-test (Nadeau and Bengio 2003, section 5.3).

    Training sets of the folds overlap, so the plain t-test is too sure; the variance is inflated by
    ``n_test / n_train``.

    Args:
        differences: score difference on each fold, shape ``(n_folds,)``.
        n_train, n_test: clips on either side of a fold (their mean where folds differ).

    Returns:
        p-value; 1.0 when all differences are zero.
    """
    differences = np.asarray(differences, float)
    k, variance = len(differences), differences.var(ddof=1)
    if variance == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    t = differences.mean() / np.sqrt(variance * (1 / k + n_test / n_train))
    return float(2 * stats.t.sf(abs(t), k - 1))


def sign_test(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided exact sign test on paired scores; ties are left out (McNemar's exact test for 0/1 scores)."""
    wins, losses = int(np.sum(np.asarray(a) > np.asarray(b))), int(np.sum(np.asarray(a) < np.asarray(b)))
    return 1.0 if wins + losses == 0 else float(stats.binomtest(wins, wins + losses).pvalue)
