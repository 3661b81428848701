"""Support vector machines over every subset of blocks and a whole grid, sharing what can be shared.

Inner products add over blocks, and so do squared distances. One Gram matrix a block serves every
subset; one exponential serves every gamma that is a power of two away (squaring a Gaussian kernel
doubles its gamma); one kernel serves every C, every fold and every pair of classes; and a solve
that never met its C serves every larger C. The predictions are those of scikit-learn's ``SVC`` and
``SVR``: see `audiotl.probes.svm.smo`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
from threadpoolctl import threadpool_limits

from audiotl import AudiotlError
from audiotl.probes import Blocks, Probe, Subset
from audiotl.probes.svm import interior_point, multiclass

COSTS = (0.1, 2.0, 8.0, 32.0)
GAMMAS = (2.0**-3, 2.0**-5, 2.0**-7, 2.0**-9, 2.0**-11, 2.0**-13, "1/d")
"""The grid of Choi et al. (2017); ``"1/d"`` is one over the number of columns of the subset."""

TOLERANCE = 1e-3
"""The violation at which scikit-learn stops by default."""

ENDLESS = 2**62
"""No limit on pair steps: Gaussian kernels are well enough conditioned."""

Split = tuple[np.ndarray, np.ndarray]


def grid(costs: Sequence[float] = COSTS, gammas: Sequence[float | str] = GAMMAS,
         linear: bool = True) -> list[dict]:
    """Cells of a grid: Gaussian kernels over `costs` and `gammas`, then linear ones over
    `costs`."""
    cells = [{"kernel": "rbf", "C": float(c), "gamma": g} for c in costs for g in gammas]
    return cells + ([{"kernel": "linear", "C": float(c)} for c in costs] if linear else [])


class SVM(Probe):
    """C-SVC (one against one) or epsilon-SVR over a grid, for all subsets of the blocks.

    Args:
        cells: settings, one dict a cell with ``kernel`` (``"rbf"`` or ``"linear"``), ``C`` and
            ``gamma``; the 32 cells of the 2017 study if not given. See `grid`.
        task: ``"classification"`` or ``"regression"``.
        tube: half width of the tube without loss, for regression.
        threads: folds and kernels solved at a time; all cores if 0.
        limit: pair steps on a linear kernel after which `interior_point` solves the problem anew,
            one for all C or as a function of C: by default ten million, where libsvm gives up
            (scikit-learn goes on for ever). A solution from there is the optimum, not the point on
            the way to it where libsvm stops.
    """

    def __init__(
        self,
        cells: Sequence[dict] | None = None,
        task: str = "classification",
        tube: float = 0.1,
        threads: int = 1,
        limit: float | Callable[[float], float] = 10_000_000,
    ):
        if task not in ("classification", "regression"):
            raise AudiotlError(f"An SVM's task is 'classification' or 'regression', not {task!r}.")
        self.name = "svm"
        self.cells = grid() if cells is None else [dict(cell) for cell in cells]
        self.task, self.tube = task, tube
        self.threads = threads or os.cpu_count() or 1
        self.limit = limit

    def fold(
        self, train: Blocks, y: np.ndarray, test: Blocks, subsets: Sequence[Subset]
    ) -> np.ndarray:
        """Predictions ``(n_subsets, n_cells, n_test)``; see `audiotl.probes.Probe`."""
        n = len(y)
        if self.task == "classification":
            # Class after class: the rows of a pair of classes then lie together in memory.
            order = np.argsort(y, kind="stable")
            y, train = y[order], {name: block[order] for name, block in train.items()}
        blocks = {
            name: (train[name].astype(np.float64), np.asarray(test[name], np.float64))
            for name in train
        }
        shared = (
            {name: _products(*blocks[name]) for name in {n for subset in subsets for n in subset}}
            if len(subsets) > 1
            else {}
        )
        split = [(np.arange(n), np.arange(n, n + len(next(iter(test.values())))))]
        out = None
        for s, subset in enumerate(subsets):
            columns, tested = (
                np.concatenate([blocks[name][side] for name in subset], 1) for side in (0, 1)
            )
            if shared:
                products = (sum(parts[1:], parts[0].copy())
                            for parts in zip(*(shared[name] for name in subset), strict=True))
            else:
                products = _products(columns, tested)
            (found,) = self.over_splits(*products, columns, y, split)
            out = np.empty((len(subsets), *found.shape), found.dtype) if out is None else out
            out[s] = found
        return out

    def over_splits(
        self,
        gram: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        columns: np.ndarray,
        y: np.ndarray,
        splits: Sequence[Split],
    ) -> list[np.ndarray]:
        """Predictions ``(n_cells, n_test)`` of every split, from inner products that all of them
        share.

        Args:
            gram: ``(m, p)`` float64, inner products of `m` clips with the same `m` clips and, from
                column `m` on, further ones; **it is overwritten**.
            left, right: squared lengths of the `m` clips of the rows and the `p` clips of the
                columns.
            columns: the features of the `m` clips, ``(m, d)``.
            y: labels or values of the `m` clips.
            splits: rows of each split's training clips, and columns of its test clips.
        """
        kind = y.dtype if self.task == "classification" else np.float64
        out = [np.empty((len(self.cells), len(test)), kind) for _, test in splits]
        sides = [self._side(y, train) for train, _ in splits]
        with threadpool_limits(1), ThreadPoolExecutor(self.threads) as pool:
            pending = set()
            for cells, values in kernels(gram, left, right, columns.shape[1], self.cells):
                order = sorted(cells, key=lambda cell: self.cells[cell]["C"])
                costs = np.array([self.cells[cell]["C"] for cell in order])
                kernel, diagonal = multiclass.single(values, len(y)), values.diagonal().copy()
                spanning = columns if self.cells[cells[0]]["kernel"] == "linear" else None
                for found, (members, classes, starts), (_, test) in zip(
                    out, sides, splits, strict=True
                ):
                    across = values[np.ix_(members, test)]
                    job = (
                        kernel,
                        diagonal,
                        spanning,
                        members,
                        classes,
                        starts,
                        y,
                        across,
                        costs,
                        found,
                        order,
                    )
                    if self.threads == 1:
                        self._solve(*job)
                        continue
                    # Each kernel in waiting takes memory, and splits share one.
                    if len(pending) >= self.threads * min(2, len(splits)):
                        done, pending = wait(pending, return_when="FIRST_COMPLETED")
                        for future in done:
                            future.result()
                    pending.add(pool.submit(self._solve, *job))
            for future in pending:
                future.result()
        return out

    def _side(self, y: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        train = np.asarray(train)
        if self.task == "regression":
            return train, np.empty(0), np.empty(0, np.int64)
        classes, counts = np.unique(y[train], return_counts=True)
        if len(classes) < 2:
            raise AudiotlError(
                "An SVM needs training clips of two classes or more; this fold has one."
            )
        return train[np.argsort(y[train], kind="stable")], classes, np.cumsum([0, *counts])

    def _solve(
        self, kernel, diagonal, columns, members, classes, starts, y, across, costs, out, order
    ) -> None:
        limits = np.array(
            [
                ENDLESS
                if columns is None
                else self.limit(c)
                if callable(self.limit)
                else self.limit
                for c in costs
            ],
            np.int64,
        )
        if self.task == "classification":
            votes, stuck = multiclass.one_vs_one(
                kernel, diagonal, members, starts, across, costs, TOLERANCE, limits
            )
            for c, first, second in np.argwhere(stuck):
                rows = np.r_[starts[first]:starts[first + 1], starts[second]:starts[second + 1]]
                positive = rows < starts[first + 1]
                signs = np.where(positive, 1.0, -1.0)
                beta, rho = interior_point.solve(columns[members[rows]], signs, positive, costs[c])
                won = np.where(beta @ across[rows] > rho, first, second)
                votes[c, np.arange(len(won)), won] += 1
            out[order] = classes[votes.argmax(2)]
            return
        values = y[members].astype(np.float64)
        found, stuck = multiclass.regress(
            kernel, diagonal, members, values, across, costs, self.tube, TOLERANCE, limits
        )
        for c in np.flatnonzero(stuck):
            beta, rho = interior_point.solve(np.tile(columns[members], (2, 1)),
                                       np.r_[values - self.tube, values + self.tube],
                                       np.arange(2 * len(members)) < len(members), costs[c])
            found[c] = (beta[:len(members)] + beta[len(members):]) @ across - rho
        out[order] = found


def kernels(gram: np.ndarray, left: np.ndarray, right: np.ndarray, width: int,
            cells: Sequence[dict]) -> Iterator[tuple[list[int], np.ndarray]]:
    """Each kernel of a grid once: positions of its cells, and its values, good until the next step.

    Gammas that are a power of two apart come from one exponential, each from the last by squaring
    in place. `gram` is overwritten.
    """
    linear = [i for i, cell in enumerate(cells) if cell["kernel"] == "linear"]
    if linear:
        yield linear, gram
    by_gamma: dict[float, list[int]] = {}
    for i, cell in enumerate(cells):
        if cell["kernel"] == "rbf":
            gamma = 1.0 / width if cell["gamma"] == "1/d" else float(cell["gamma"])
            by_gamma.setdefault(gamma, []).append(i)
        elif cell["kernel"] != "linear":
            raise AudiotlError(
                f"The SVM knows the kernels 'rbf' and 'linear', not {cell['kernel']!r}."
            )
    families: dict[float, list[float]] = {}
    for gamma in sorted(by_gamma):
        families.setdefault(math.frexp(gamma)[0], []).append(gamma)
    if not families:
        return
    distance = gram
    np.multiply(gram, -2.0, out=distance)
    distance += left[:, None]
    distance += right
    np.maximum(distance, 0.0, out=distance)
    np.fill_diagonal(distance, 0.0)
    members = sorted(families.values(), key=len)
    for position, family in enumerate(members):
        values = distance if position == len(members) - 1 else distance.copy()
        values *= -family[0]
        np.exp(values, out=values)
        for k, gamma in enumerate(family):
            if k:
                multiclass.square(values, round(math.log2(gamma / family[k - 1])))
            yield by_gamma[gamma], values


def gram(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inner products ``(n, n)`` of all clips, and their squared lengths, from float64 features
    ``(n, d)``."""
    return columns @ columns.T, _squares(columns)


def _products(columns: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # What `SVM.over_splits` takes, for one training set and its test clips.
    everything = np.concatenate([columns, tested])
    return columns @ everything.T, _squares(columns), _squares(everything)


def _squares(x: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", x, x)
