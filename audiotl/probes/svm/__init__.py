"""Support vector machines over every subset of blocks and a whole grid, sharing what can be shared.

Inner products add over blocks, and so do squared distances. One Gram matrix a block serves every
subset; one exponential serves every gamma that is a power of two away (squaring a Gaussian kernel
doubles its gamma); one kernel serves every C, every fold and every pair of classes; and a solve
that never met its C serves every larger C. The predictions are those of scikit-learn's ``SVC`` and
``SVR``: see `audiotl.probes.svm.smo`.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from audiotl import AudiotlError
from audiotl.datasets.corpus import Split
from audiotl.probes import Blocks, Probe, Subset
from audiotl.probes.svm import interior_point, multiclass

COSTS = (0.1, 2.0, 8.0, 32.0)
GAMMAS = (2.0**-3, 2.0**-5, 2.0**-7, 2.0**-9, 2.0**-11, 2.0**-13, "1/d")
"""The grid of Choi et al. (2017); ``"1/d"`` is one over the number of columns of the subset."""

TUBE = 0.1  # half width of the tube without loss, for regression
TOLERANCE = 1e-3  # the violation at which scikit-learn stops by default
ENDLESS = 2**62  # no limit on pair steps: Gaussian kernels are well enough conditioned
SMALLEST = 1.2e-38  # smaller numbers are subnormal in single precision, and stall a processor


def grid(costs: Sequence[float] = COSTS, gammas: Sequence[float | str] = GAMMAS,
         linear: bool = True) -> list[dict]:
    """Cells: Gaussian kernels over `costs` and `gammas`, then linear ones over `costs`."""
    cells = [{"kernel": "rbf", "C": float(c), "gamma": g} for c in costs for g in gammas]
    return cells + ([{"kernel": "linear", "C": float(c)} for c in costs] if linear else [])


class SVM(Probe):
    """C-SVC (one against one) or epsilon-SVR over a grid, for all subsets of the blocks.

    Args:
        cells: settings, one dict a cell with ``kernel`` (``"rbf"`` or ``"linear"``), ``C`` and
            ``gamma``; the 32 cells of the 2017 study if not given. See `grid`.
        task: ``"classification"`` or ``"regression"``.
        threads: folds and kernels solved at a time; all cores if 0.
        limit: pair steps on a linear kernel after which `interior_point` solves the problem anew,
            one for all C or as a function of C: by default ten million, where libsvm gives up
            (scikit-learn goes on for ever). A solution from there is the optimum, not the point on
            the way to it where libsvm stops.
    """

    def __init__(self, cells: Sequence[dict] | None = None, task: str = "classification",
                 threads: int = 1, limit: float | Callable[[float], float] = 10_000_000):
        if task not in ("classification", "regression"):
            raise AudiotlError(f"An SVM's task is 'classification' or 'regression', not {task!r}.")
        self.name = "svm"
        self.cells = grid() if cells is None else [dict(cell) for cell in cells]
        self.task, self.limit, self.threads = task, limit, threads or os.cpu_count() or 1

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks,
             subsets: Sequence[Subset]) -> np.ndarray:
        # Class after class: the rows of a pair of classes then lie together in memory.
        order = np.argsort(y, kind="stable") if self.task == "classification" else np.arange(len(y))
        blocks = {name: (block[order].astype(np.float64), test[name].astype(np.float64))
                  for name, block in train.items()}
        n_test = len(next(iter(test.values())))
        splits = [(np.arange(len(y)), np.arange(len(y), len(y) + n_test))]
        used = {name for subset in subsets for name in subset} if len(subsets) > 1 else ()
        shared, out = {name: _products(*blocks[name]) for name in used}, []
        for subset in subsets:
            columns, tested = (np.concatenate(side, 1)
                               for side in zip(*(blocks[name] for name in subset), strict=True))
            if shared:
                products = (sum(parts[1:], parts[0].copy())
                            for parts in zip(*(shared[name] for name in subset), strict=True))
            else:
                products = _products(columns, tested)
            out += self.over_splits(*products, columns, y[order], splits)
        return np.stack(out)

    def over_splits(self, gram: np.ndarray, left: np.ndarray, right: np.ndarray,
                    columns: np.ndarray, y: np.ndarray,
                    splits: Sequence[Split]) -> list[np.ndarray]:
        """Predictions ``(n_cells, n_test)`` of each split, from inner products that all share.

        Args:
            gram: ``(m, p)`` float64, inner products of `m` clips with the same `m` clips and, from
                column `m` on, further ones; **it is overwritten**.
            left, right: squared lengths of the `m` clips of the rows and the `p` clips of the
                columns.
            columns: the features of the `m` clips, ``(m, d)``.
            y: labels or values of the `m` clips.
            splits: rows of each split's training clips, and columns of its test clips.
        """
        classes = self.task == "classification"
        out = [np.empty((len(self.cells), len(test)), y.dtype if classes else np.float64)
               for _, test in splits]
        # Class after class, in each split too.
        members = [train[np.argsort(y[train], kind="stable")] if classes else train
                   for train, _ in splits]

        def jobs() -> Iterator[tuple]:
            for cells, values in kernels(gram, left, right, columns.shape[1], self.cells):
                order = sorted(cells, key=lambda cell: self.cells[cell]["C"])
                costs = np.array([self.cells[cell]["C"] for cell in order])
                kernel = values[:, :len(y)].astype(np.float32)
                kernel[np.abs(kernel) < SMALLEST] = 0.0
                spanning = columns if self.cells[cells[0]]["kernel"] == "linear" else None
                machine = kernel, values.diagonal().copy(), spanning, costs
                for found, rows, (_, test) in zip(out, members, splits, strict=True):
                    yield delayed(self._solve)(found, order, machine, rows, y[rows],
                                               values[np.ix_(rows, test)])

        # Each kernel in waiting takes memory: none is made ahead.
        with threadpool_limits(1):
            Parallel(self.threads, require="sharedmem", pre_dispatch="n_jobs", batch_size=1)(jobs())
        return out

    def _solve(self, out: np.ndarray, order: list[int], machine: tuple, members: np.ndarray,
               y: np.ndarray, across: np.ndarray) -> None:
        kernel, diagonal, columns, costs = machine
        limits = np.full(len(costs), ENDLESS)
        if columns is not None:
            limits[:] = [self.limit(c) if callable(self.limit) else self.limit for c in costs]
            columns = columns[members]
        one = self._classes if self.task == "classification" else self._values
        out[order] = one(kernel, diagonal, columns, costs, members, y, across, limits)

    def _classes(self, kernel, diagonal, columns, costs, members, y, across, limits) -> np.ndarray:
        classes, counts = np.unique(y, return_counts=True)
        if len(classes) < 2:
            raise AudiotlError("An SVM needs training clips of two classes or more; this fold has "
                               "one.")
        starts = np.cumsum([0, *counts])
        votes, stuck = multiclass.one_vs_one(kernel, diagonal, members, starts, across, costs,
                                             TOLERANCE, limits)
        for c, first, second in np.argwhere(stuck):
            rows = np.r_[starts[first]:starts[first + 1], starts[second]:starts[second + 1]]
            positive = rows < starts[first + 1]
            beta, rho = interior_point.solve(columns[rows], np.where(positive, 1.0, -1.0), positive,
                                             costs[c])
            won = np.where(beta @ across[rows] > rho, first, second)
            votes[c, np.arange(len(won)), won] += 1
        return classes[votes.argmax(2)]

    def _values(self, kernel, diagonal, columns, costs, members, y, across, limits) -> np.ndarray:
        y, n = y.astype(np.float64), len(y)
        target, positive = np.r_[y - TUBE, y + TUBE], np.arange(2 * n) < n
        found, solved = multiclass.rising(kernel, diagonal, np.tile(members, 2), target, positive,
                                          np.arange(n), across, costs, TOLERANCE, limits)
        for c in range(solved, len(costs)):
            beta, rho = interior_point.solve(np.tile(columns, (2, 1)), target, positive, costs[c])
            found[c] = (beta[:n] + beta[n:]) @ across - rho
        return found


def kernels(gram: np.ndarray, left: np.ndarray, right: np.ndarray, width: int,
            cells: Sequence[dict]) -> Iterator[tuple[list[int], np.ndarray]]:
    """Each kernel of a grid once: positions of its cells, and its values, good until the next step.

    Gammas that are a power of two apart come from one exponential, each from the last by squaring
    in place. `gram` is overwritten.
    """
    by_gamma: dict[float, list[int]] = {}
    for i, cell in enumerate(cells):
        if cell["kernel"] not in ("rbf", "linear"):
            raise AudiotlError("The SVM knows the kernels 'rbf' and 'linear', not "
                               f"{cell['kernel']!r}.")
        gamma = cell["gamma"] if cell["kernel"] == "rbf" else 0.0
        by_gamma.setdefault(1.0 / width if gamma == "1/d" else float(gamma), []).append(i)
    if linear := by_gamma.pop(0.0, []):
        yield linear, gram
    families: dict[float, list[float]] = {}
    for gamma in sorted(by_gamma):
        families.setdefault(math.frexp(gamma)[0], []).append(gamma)
    gram *= -2.0
    gram += left[:, None]
    gram += right
    np.maximum(gram, 0.0, out=gram)
    np.fill_diagonal(gram, 0.0)
    for position, family in enumerate(sorted(families.values(), key=len), 1):
        last = position == len(families)
        values = np.multiply(gram, -family[0], out=gram if last else None)
        np.exp(values, out=values)
        for k, gamma in enumerate(family):
            for _ in range(round(math.log2(gamma / family[k - 1])) if k else 0):
                values[values <= 1e-150] = 0.0
                np.square(values, out=values)
            yield by_gamma[gamma], values


def gram(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inner products ``(n, n)`` of all clips and their squared lengths, of features ``(n, d)``."""
    return columns @ columns.T, _squares(columns)


def _products(columns: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # What `SVM.over_splits` takes, for one training set and its test clips.
    everything = np.concatenate([columns, tested])
    return columns @ everything.T, _squares(columns), _squares(everything)


def _squares(x: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", x, x)
