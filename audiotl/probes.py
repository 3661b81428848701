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


class Ridge:
    """Ridge regression on one-hot targets, the class with the largest output wins.

    One covariance matrix of all columns serves every subset and every lambda: each takes its sub-matrix and
    one Cholesky factor. The same solution as ``sklearn.linear_model.Ridge(alpha=lambda)`` with an
    intercept, on ``(n, n_classes)`` one-hot targets.

    Args:
        lambdas: penalties, for features of unit variance.
    """

    def __init__(self, lambdas: Sequence[float] = (0.1, 1.0, 10.0, 100.0, 1000.0)):
        self.name = "ridge"
        self.cells = [{"lambda": float(value)} for value in lambdas]

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks, subsets: Sequence[Subset]) -> np.ndarray:
        classes, onehot = one_hot(y)
        names = list(train)
        edges = np.cumsum([0] + [train[name].shape[1] for name in names])
        columns = {name: np.arange(edges[i], edges[i + 1]) for i, name in enumerate(names)}
        x = np.concatenate([train[name] for name in names], 1, dtype=np.float64)
        mean_x, mean_y = x.mean(0), onehot.mean(0)
        x -= mean_x
        tested = np.concatenate([test[name] for name in names], 1, dtype=np.float64) - mean_x
        covariance, cross = x.T @ x, x.T @ (onehot - mean_y)
        out = np.empty((len(subsets), len(self.cells), len(tested)), dtype=classes.dtype)
        for s, subset in enumerate(subsets):
            at = np.concatenate([columns[name] for name in subset])
            part, diagonal = covariance[np.ix_(at, at)], np.arange(len(at))
            for c, cell in enumerate(self.cells):
                penalised = part.copy()
                penalised[diagonal, diagonal] += cell["lambda"]
                weights = linalg.solve(penalised, cross[at], assume_a="pos", overwrite_a=True, check_finite=False)
                out[s, c] = classes[(tested[:, at] @ weights + mean_y).argmax(1)]
        return out


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

    return Sklearn("k-NN", KNeighborsClassifier(), [{"n_neighbors": value} for value in k])
