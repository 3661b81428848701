"""What is asked of a clip, one class, several tags or a number, and what an answer scores."""

import numpy as np
from numba import njit

KINDS = ("classes", "tags", "numbers")
MEASURES = {"classes": "accuracy", "tags": "ranking precision", "numbers": "R2"}
"""What the mean over clips is, by kind."""


def kind(y: np.ndarray) -> str:
    """One of `KINDS`: classes ``(n,)`` int, tags ``(n, k)`` of 0 and 1, numbers ``(n,)`` float.

    >>> kind(np.array([0, 2])), kind(np.eye(3)), kind(np.array([0.5, 2]))
    ('classes', 'tags', 'numbers')
    """
    return "tags" if y.ndim == 2 else "numbers" if y.dtype.kind == "f" else "classes"


def columns(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted classes (positions of tags, or one 0) and what a regression fits, ``(n, k)`` float."""
    if kind(y) == "classes":
        classes, index = np.unique(y, return_inverse=True)
        return classes, np.eye(len(classes))[index]
    wanted = y.reshape(len(y), -1).astype(np.float64)
    return np.arange(wanted.shape[1]), wanted


def answers(outputs: np.ndarray, classes: np.ndarray, what: str) -> np.ndarray:
    """Outputs ``(..., n, k)`` as `clip_scores` takes them: labels, outputs as they are, numbers."""
    if what == "classes":
        return classes[outputs.argmax(-1)]
    return outputs if what == "tags" else outputs[..., 0]


def clip_scores(y: np.ndarray, said: np.ndarray) -> np.ndarray:
    """What each clip scores; more is better.

    Args:
        y: as in `kind`.
        said: labels or numbers ``(..., n)``, for tags outputs ``(..., n, k)``.

    Returns:
        ``(..., n)``: 1 or 0 for a class, label-ranking average precision for tags (Tsoumakas et
        al. 2010, "Mining multi-label data"), minus the squared error for a number.
    """
    if kind(y) != "tags":
        return said == y if kind(y) == "classes" else -np.square(said - y)
    rows = np.ascontiguousarray(said, np.float64).reshape(-1, *y.shape)
    wanted = y.astype(np.float64)
    found = [[precision(one, truth) for one, truth in zip(row, wanted, strict=True)]
             for row in rows]
    return np.reshape(found, said.shape[:-1])


@njit(nogil=True, cache=True)
def precision(outputs, wanted):
    """Label-ranking average precision of one clip; 1 where all tags or none are wanted."""
    total, hits = 0.0, 0
    for j in range(len(wanted)):
        if wanted[j] > 0:
            above, right = 0, 0
            for c in range(len(wanted)):
                if outputs[c] >= outputs[j]:
                    above += 1
                    right += wanted[c] > 0
            total += right / above
            hits += 1
    return total / hits if hits and hits < len(wanted) else 1.0


def measures(y: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Scores of a set of clips.

    Args:
        y: as in `kind`; classes from 0 to k - 1.
        outputs: ``(n, k)``.

    Returns:
        Accuracy; or ``ranking precision``, and ``mAP`` and ``AUC`` averaged over tags that some
        clips have and some lack; or ``R2`` and ``mean squared error``.
    """
    from sklearn import metrics

    what = kind(y)
    if what == "tags":
        both = (y.min(0) == 0) & (y.max(0) == 1)
        seen = y[:, both], outputs[:, both]
        return {MEASURES[what]: metrics.label_ranking_average_precision_score(y, outputs),
                "mAP": metrics.average_precision_score(*seen, average="macro"),
                "AUC": metrics.roc_auc_score(*seen, average="macro")}
    said = answers(outputs, np.arange(outputs.shape[1]), what)
    if what == "classes":
        return {MEASURES[what]: metrics.accuracy_score(y, said)}
    return {MEASURES[what]: metrics.r2_score(y, said),
            "mean squared error": metrics.mean_squared_error(y, said)}
