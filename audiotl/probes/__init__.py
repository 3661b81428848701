"""Probes: the simple models that read an embedding, over a grid of settings and many subsets.

A probe answers one question, `Probe.fold`: fit on the training clips of one fold, for every subset
of the blocks and every cell of its grid, and predict the test clips. What subsets and cells can
share (covariances, Gram matrices, factorisations), the probe shares inside that call.
"""

import abc
from collections.abc import Callable, Sequence

import numpy as np

from audiotl import check_known
from audiotl.probes import ridge_subsets, targets
from audiotl.probes.columns import (
    Blocks,
    beside,
    joint_pca,
    random_features,
    reduce,
    rows_of,
    standardise,
)

__all__ = ["Blocks", "beside", "joint_pca", "random_features", "reduce", "rows_of", "standardise"]

Subset = tuple[str, ...]  # names of the blocks that a probe reads side by side


class Probe(abc.ABC):
    """What every probe offers.

    Attributes:
        name: its name in tables, and in `NAMES` where it is there.
        cells: the settings of the grid, one dict a cell.
        most_blocks: blocks of which all subsets can be searched in reasonable time.
        reads: the kinds of targets that it can, of `targets.KINDS`.
    """

    name: str
    cells: list[dict]
    most_blocks: int = 12
    reads: tuple[str, ...] = ("classes",)

    @abc.abstractmethod
    def fold(self, train: Blocks, y: np.ndarray, test: Blocks,
             subsets: Sequence[Subset]) -> np.ndarray:
        """Predictions ``(n_subsets, n_cells, n_test)``: labels as in `y`, or numbers; for tags
        outputs ``(n_subsets, n_cells, n_test, k)``."""

    def correct(self, train: Blocks, y: np.ndarray, test: Blocks, answers: np.ndarray,
                subsets: Sequence[Subset]) -> np.ndarray:
        """What `fold` scores on each test clip, whose targets are `answers`.

        Returns:
            Of classes ``(n_subsets, n_cells, ceil(n_test / 8))`` uint8, packed by
            ``numpy.packbits``; of tags and numbers ``(n_subsets, n_cells, n_test)`` float32, see
            `targets.clip_scores`.
        """
        found = targets.clip_scores(answers, self.fold(train, y, test, subsets))
        return np.packbits(found, axis=2) if found.dtype == bool else found.astype(np.float32)


class Ridge(Probe):
    """Ridge regression on one-hot targets (the class with the largest output wins), on tags or on
    numbers.

    One covariance matrix of all columns serves every subset and every penalty, and a subset takes
    one step from the subset without its last block: see `audiotl.probes.ridge_subsets`. The same
    solution as ``sklearn.linear_model.Ridge(alpha=lambda)`` with an intercept.

    Args:
        lambdas: penalties, for features of unit variance.
    """

    name = "ridge"
    most_blocks = 17
    reads = targets.KINDS

    def __init__(self, lambdas: Sequence[float] = (0.1, 1.0, 10.0, 100.0, 1000.0)):
        self.penalties = [float(value) for value in lambdas]
        self.cells = [{"lambda": value} for value in self.penalties]

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks,
             subsets: Sequence[Subset]) -> np.ndarray:
        fitted = ridge_subsets.fit(train, y)
        said = ridge_subsets.walk(fitted, test, subsets, self.penalties)
        if fitted.kind == "classes":
            return fitted.classes[said]
        return targets.answers(said, fitted.classes, fitted.kind)

    def correct(self, train: Blocks, y: np.ndarray, test: Blocks, answers: np.ndarray,
                subsets: Sequence[Subset]) -> np.ndarray:
        """Scores, made without the predictions, which would take 32 times the memory of bits."""
        fitted = ridge_subsets.fit(train, y)
        return ridge_subsets.walk(fitted, test, subsets, self.penalties, answers)


class Sklearn(Probe):
    """Any scikit-learn estimator over a grid of ``set_params``, each subset and cell by itself."""

    def __init__(self, name: str, estimator, grid: Sequence[dict] = ({},)):
        from sklearn.base import is_regressor

        self.name, self.estimator, self.cells = name, estimator, list(grid)
        self.reads = ("numbers",) if is_regressor(estimator) else ("classes",)

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks,
             subsets: Sequence[Subset]) -> np.ndarray:
        from sklearn.base import clone

        n_test = len(next(iter(test.values())))
        out = np.empty((len(subsets), len(self.cells), n_test), dtype=y.dtype)
        for s, subset in enumerate(subsets):
            x, tested = beside(train, subset), beside(test, subset)
            for c, cell in enumerate(self.cells):
                out[s, c] = clone(self.estimator).set_params(**cell).fit(x, y).predict(tested)
        return out


class Weighted(Probe):
    """A probe whose grid also holds the weight of one block, which multiplies its columns."""

    def __init__(self, probe: Probe, block: str, weights: Sequence[float]):
        self.name, self.probe, self.block, self.weights = probe.name, probe, block, weights
        self.reads = probe.reads
        self.cells = [{**cell, "weight": weight} for weight in weights for cell in probe.cells]

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks,
             subsets: Sequence[Subset]) -> np.ndarray:
        parts = []
        for weight in self.weights:
            left, right = (side | {self.block: side[self.block] * weight} for side in (train, test))
            parts.append(self.probe.fold(left, y, right, subsets))
        return np.concatenate(parts, axis=1)


def logistic(c: Sequence[float] = (0.01, 0.1, 1.0)) -> Sklearn:
    """Logistic regression over a grid of inverse penalties."""
    from sklearn.linear_model import LogisticRegression

    return Sklearn("logistic", LogisticRegression(max_iter=500), [{"C": value} for value in c])


def nearest(k: Sequence[int] = (1, 5)) -> Sklearn:
    """k nearest neighbours over a grid of k."""
    from sklearn.neighbors import KNeighborsClassifier

    return Sklearn("knn", KNeighborsClassifier(), [{"n_neighbors": value} for value in k])


def two_cell_svm() -> Probe:
    """The SVM in two cells of the 32 of the 2017 paper: C of 8 with gamma 2^-9 and 1/d.

    They win or come close on standardised columns; the whole grid is ``svm.SVM()``.
    """
    from audiotl.probes.svm import SVM, grid

    return SVM(grid(costs=(8.0,), gammas=(2.0**-9, "1/d"), linear=False))


NAMES: dict[str, Callable[[], Probe]] = {"ridge": Ridge, "svm": two_cell_svm,
                                         "logistic": logistic, "knn": nearest}
"""What makes the probe of each name."""


def named(name: str) -> Probe:
    """The probe called `name`, one of `NAMES`, with its usual grid."""
    check_known("probe", name, NAMES)
    return NAMES[name]()
