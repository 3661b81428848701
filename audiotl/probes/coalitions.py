"""Scores of coalitions of blocks, clip by clip: what Shapley values are made of."""

from pathlib import Path

import numpy as np

from audiotl import cache
from audiotl.probes import Blocks, beside, rows_of, standardise, targets
from audiotl.probes.subset_search import Splits


def guesses(y: np.ndarray, splits: Splits) -> np.ndarray:
    """What no block scores on each clip, ``(n,)``: a fold says of all its clips what is most common
    among its training clips, the largest class, the shares of the tags, or the mean."""
    out, kind = np.zeros(len(y)), targets.kind(y)
    for train, test in splits:
        classes, wanted = targets.columns(y[train])
        common = np.tile(wanted.mean(0), (len(test), 1))
        out[test] = targets.clip_scores(y[test], targets.answers(common, classes, kind))
    return 1 + out / y.var() if kind == "numbers" else out


def log_likelihoods(blocks: Blocks, y: np.ndarray, splits: Splits, c: float = 0.01) -> np.ndarray:
    """Log-likelihood of every held-out clip for every coalition, ``(2^k, n)`` in nats.

    Logistic regression on standardised columns; without any block it predicts the
    shares of the training classes.

    Args:
        blocks: k blocks, each ``(n, d)``; bit i of a row's number is set where block i is in.
        c: inverse penalty.
    """
    content = list(blocks.values()), y, [rows for split in splits for rows in split], c
    return np.load(_made(*content, blocks=blocks, splits=splits) / "nats.npy")


@cache.step("coalitions", version=1)
def _made(folder: Path, _, y: np.ndarray, rows: list, c: float, *, blocks: Blocks,
          splits: Splits) -> None:
    from sklearn.linear_model import LogisticRegression

    out = np.empty((2 ** len(blocks), len(y)))
    for train, test in splits:
        classes, counts = np.unique(y[train], return_counts=True)
        answers = np.arange(len(test)), np.searchsorted(classes, y[test])
        out[0, test] = np.log(counts / len(train))[answers[1]]
        sides = standardise(*rows_of(blocks, train, test))
        for mask in range(1, len(out)):
            chosen = [name for i, name in enumerate(blocks) if mask >> i & 1]
            x, tested = (beside(side, chosen) for side in sides)
            fitted = LogisticRegression(C=c, max_iter=200).fit(x, y[train])
            out[mask, test] = fitted.predict_log_proba(tested)[answers]
    np.save(folder / "nats.npy", out)
