"""Probes: the simple models that read an embedding, each over a grid of settings and all subsets at once.

A probe answers one question, `fold`: fit on the training clips of one fold, for every subset of the blocks
and every cell of its grid, and predict the test clips. What subsets and cells can share (covariances, Gram
matrices, factorisations), the probe shares inside that call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy import linalg

from audiotl import AudiotlError
from audiotl.probes import ridge_subsets

Blocks = dict[str, np.ndarray]
"""Named feature blocks (taps, MFCC), each ``(n_clips, d)``, rows aligned."""

Subset = tuple[str, ...]


class Probe(Protocol):
    """What a probe offers.

    Attributes:
        name: short name for tables.
        cells: the settings of the grid, one dict a cell.
    """

    name: str
    cells: list[dict]

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks, subsets: Sequence[Subset]) -> np.ndarray:
        """Predictions of shape ``(n_subsets, n_cells, n_test)``: class labels as in `y`, or values."""
        ...


def standardise(train: Blocks, test: Blocks) -> tuple[Blocks, Blocks]:
    """Zero mean and unit variance per column, measured on the training clips alone."""
    out: tuple[Blocks, Blocks] = ({}, {})
    for name, block in train.items():
        block = block.astype(np.float64)
        mean, scale = block.mean(0), block.std(0)
        scale[scale < 1e-12 * max(1.0, np.abs(mean).max(initial=0.0))] = 1.0
        out[0][name] = (block - mean) / scale
        out[1][name] = (test[name].astype(np.float64) - mean) / scale
    return out


def reduce(train: Blocks, test: Blocks, width: int) -> tuple[Blocks, Blocks]:
    """Blocks wider than `width` as their first principal components, found on the training clips alone.

    Returns:
        Blocks of at most `width` columns (fewer where there are fewer training clips), largest variance first.
    """
    out: tuple[Blocks, Blocks] = ({}, {})
    for name, block in train.items():
        d, axes = block.shape[1], None
        if d > width:
            centred = block - block.mean(0)
            kept = min(width, len(block) - 1)
            axes = linalg.eigh(centred.T @ centred, subset_by_index=(d - kept, d - 1), check_finite=False)[1][:, ::-1]
        for side, values in zip(out, (block, test[name]), strict=True):
            side[name] = values if axes is None else (values - block.mean(0)) @ axes
    return out


class Ridge:
    """Ridge regression on one-hot targets, the class with the largest output wins.

    One covariance matrix of all columns serves every subset and every lambda, and a subset takes one step from
    the subset without its last block: see `audiotl.probes.ridge_subsets`. The same solution as
    ``sklearn.linear_model.Ridge(alpha=lambda)`` with an intercept, on ``(n, n_classes)`` one-hot targets.

    Args:
        lambdas: penalties, for features of unit variance.
    """

    def __init__(self, lambdas: Sequence[float] = (0.1, 1.0, 10.0, 100.0, 1000.0)):
        self.name = "ridge"
        self.cells = [{"lambda": float(value)} for value in lambdas]

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks, subsets: Sequence[Subset]) -> np.ndarray:
        found, tested, classes, nodes = _prepared(train, y, test, subsets)
        return classes[ridge_subsets.labels(found, tested, nodes, [cell["lambda"] for cell in self.cells])]

    def right(self, train: Blocks, y: np.ndarray, test: Blocks, answers: np.ndarray,
              subsets: Sequence[Subset]) -> np.ndarray:
        """Which test clips `fold` predicts as in `answers`: ``(n_subsets, n_cells, ceil(n_test / 8))`` packed bits."""
        found, tested, classes, nodes = _prepared(train, y, test, subsets)
        truth = np.where(np.isin(answers, classes), np.searchsorted(classes, answers), -1)
        return ridge_subsets.right(found, tested, truth, nodes, [cell["lambda"] for cell in self.cells])


def _prepared(train: Blocks, y: np.ndarray, test: Blocks,
              subsets: Sequence[Subset]) -> tuple[ridge_subsets.Fit, np.ndarray, np.ndarray, ridge_subsets.Tree]:
    classes, onehot = one_hot(y)
    number = {name: i for i, name in enumerate(train)}
    found = ridge_subsets.fit(np.concatenate(list(train.values()), 1, dtype=np.float64), onehot,
                        [block.shape[1] for block in train.values()])
    tested = np.concatenate([test[name] for name in train], 1, dtype=np.float64)
    return found, tested, classes, ridge_subsets.tree([[number[name] for name in subset] for subset in subsets])


class Sklearn:
    """Any scikit-learn estimator over a grid: the generic, unshared path (logistic regression, k-NN, ...).

    Args:
        name: short name for tables.
        estimator: an unfitted estimator; it is cloned for every fit.
        grid: settings, one dict a cell, as ``set_params`` takes them.
    """

    def __init__(self, name: str, estimator, grid: Sequence[dict] = ({},)):
        self.name, self.estimator, self.cells = name, estimator, list(grid)

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks, subsets: Sequence[Subset]) -> np.ndarray:
        from sklearn.base import clone

        n_test = len(next(iter(test.values())))
        out = np.empty((len(subsets), len(self.cells), n_test), dtype=y.dtype)
        for s, subset in enumerate(subsets):
            x = np.concatenate([train[name] for name in subset], 1)
            tested = np.concatenate([test[name] for name in subset], 1)
            for c, cell in enumerate(self.cells):
                out[s, c] = clone(self.estimator).set_params(**cell).fit(x, y).predict(tested)
        return out


def one_hot(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted classes and the 0/1 matrix ``(n, n_classes)`` of integer labels."""
    classes, index = np.unique(y, return_inverse=True)
    return classes, np.eye(len(classes))[index]


def logistic(c: Sequence[float] = (0.01, 0.1, 1.0)) -> Sklearn:
    """Logistic regression over a grid of inverse penalties."""
    from sklearn.linear_model import LogisticRegression

    return Sklearn("logistic", LogisticRegression(max_iter=500), [{"C": value} for value in c])


def nearest(k: Sequence[int] = (1, 5)) -> Sklearn:
    """k nearest neighbours over a grid of k."""
    from sklearn.neighbors import KNeighborsClassifier

    return Sklearn("knn", KNeighborsClassifier(), [{"n_neighbors": value} for value in k])


def two_cell_svm() -> Probe:
    """The SVM in two cells of the 32 that the 2017 paper tried: C of 8 with gamma 2^-9 and 1/d.

    They win or come close on standardised columns; the whole grid is ``svm.SVM()``.
    """
    from audiotl.probes.svm import SVM, grid

    return SVM(grid(costs=(8.0,), gammas=(2.0**-9, "1/d"), linear=False))


NAMES = {"ridge": Ridge, "svm": two_cell_svm, "logistic": logistic, "knn": nearest}
"""What makes the probe of each name."""


def named(name: str) -> Probe:
    """The probe called `name`, one of `NAMES`, with its usual grid.

    >>> named("ridge").cells[0]
    {'lambda': 0.1}

    Raises:
        AudiotlError: no such probe.
    """
    if name not in NAMES:
        raise AudiotlError(f"There is no probe {name!r}; choose among {', '.join(NAMES)}.")
    return NAMES[name]()
