"""Guesses how well features will serve a task, without training a probe: LogME and H-score.

Both look at the features of a target's clips and at their labels, once.
"""

import numpy as np
from scipy import linalg
from sklearn.covariance import ledoit_wolf

from audiotl.probes import targets


def evidence(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Largest log evidence over a and b of ``y ~ N(Xw, 1/b)``, ``w ~ N(0, 1/a)``.

    MacKay's fixed point, on the singular values of X (You et al., ICML 2021, algorithm 1). X is
    ``(n, d)``, y ``(n, m)`` with a model for each column; natural logarithms ``(m,)`` of the
    evidence of all n observations together.
    """
    n = len(x)
    u, s, _ = linalg.svd(x, full_matrices=False)
    z, power = u.T @ y, s[:, None] ** 2
    # What of y lies outside the span of X stays there whatever the weights.
    outside = (np.square(y).sum(0) - np.square(z).sum(0)).clip(min=0)
    a, b, value = np.ones(y.shape[1]), np.ones(y.shape[1]), -np.inf
    for _ in range(500):
        shrunk = b * power / (a + b * power)
        size = np.sum((shrunk * z) ** 2 / np.where(power > 0, power, 1.0), 0)
        missed = np.sum(((1 - shrunk) * z) ** 2, 0) + outside
        # Of d directions, those without data keep the prior's a, which cancels.
        last, value = value, 0.5 * (n * np.log(b / (2 * np.pi)) + len(s) * np.log(a) - b * missed
                                    - a * size - np.log(a + b * power).sum(0))
        if (np.abs(value - last) <= 1e-9 * np.abs(value)).all():
            break
        used = shrunk.sum(0)
        a, b = used / size.clip(min=1e-12), (n - used) / missed.clip(min=1e-12)
    return value


def logme(x: np.ndarray, y: np.ndarray) -> float:
    """LogME (You et al. 2021): log evidence per clip of a linear model of a class, averaged.

    Labels and columns are centred, which gives the model an intercept.

    Args:
        x: features, ``(n, d)``; standardise them, for the prior treats columns alike.
        y: class of each clip, ``(n,)`` int.
    """
    _, labels = targets.columns(y)
    x, labels = x - x.mean(0), labels - labels.mean(0)
    return float(evidence(x, labels).mean()) / len(x)


def effective_rank(x: np.ndarray) -> float:
    """How many directions the columns fill: exp of the entropy of the normalised singular values.

    Roy and Vetterli, "The effective rank" (EUSIPCO 2007), of centred columns ``(n, d)``; no labels.
    """
    x = x - x.mean(0)
    product = x @ x.T if x.shape[1] > len(x) else x.T @ x
    values = np.sqrt(linalg.eigvalsh(product, check_finite=False).clip(min=0))
    share = values[values > 1e-9 * values.max()] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def h_score(x: np.ndarray, y: np.ndarray) -> float:
    """H-score: ``tr(cov(X)^-1 cov(E[X | y]))``, large where classes lie apart (Bao et al. 2019).

    The covariance is Ledoit and Wolf's, shrunk by alpha, and that between classes is taken
    ``1 - alpha`` times, which stays sound with many columns (Ibrahim et al. 2021).

    Shape:
        features ``(n, d)`` and classes ``(n,)`` int.
    """
    x = x - x.mean(0)
    classes, member = np.unique(y, return_inverse=True)
    means = np.stack([x[member == k].mean(0) for k in range(len(classes))])[member]
    covariance, alpha = ledoit_wolf(x, assume_centered=True)
    between = (1 - alpha) * (means.T @ means / len(x))
    return float(np.trace(linalg.solve(covariance, between, assume_a="pos")))
