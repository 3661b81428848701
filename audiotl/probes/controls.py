"""One set of blocks, nested over repeated folds: what comparisons by width and repeats need."""

import functools
import inspect
from collections.abc import Callable, Sequence

import numpy as np
from scipy import linalg

from audiotl import AudiotlError, cache, stats
from audiotl.datasets.corpus import check_split, deal_groups, splits_of
from audiotl.probes import Blocks, Probe, Ridge, Subset, beside, rows_of, standardise, targets
from audiotl.probes.subset_search import Splits, search

Transform = Callable[[Blocks, Blocks], tuple[Blocks, Blocks]]
"""Changes blocks of training and test clips, by what it measures on the training clips alone."""


class Transformed(Probe):
    """A probe that reads the blocks of a subset as `transform` leaves them.

    The transform is a function of the training and the test blocks, or a ``functools.partial`` of
    one: ``partial(joint_pca, width=32)``.
    """

    def __init__(self, probe: Probe, transform: Transform):
        whole = functools.partial(transform)  # also of a partial, this holds the plain function
        said = {"transform": whole.func.__name__, **whole.keywords,
                "source": cache.key_of(inspect.getsource(whole.func))}
        self.name, self.probe, self.transform = probe.name, probe, transform
        self.reads = probe.reads
        self.cells = [cell | said for cell in probe.cells]

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks,
             subsets: Sequence[Subset]) -> np.ndarray:
        parts = []
        for subset in subsets:
            fitted, tested = self.transform(*({name: side[name] for name in subset}
                                              for side in (train, test)))
            parts.append(self.probe.fold(fitted, y, tested, [tuple(fitted)]))
        return np.concatenate(parts)


class WideRidge(Ridge):
    """Ridge regression subset by subset, for thousands of columns: the normal equations of columns
    or of clips, whichever are fewer."""

    def fold(self, train: Blocks, y: np.ndarray, test: Blocks,
             subsets: Sequence[Subset]) -> np.ndarray:
        classes, what = targets.columns(y)[0], targets.kind(y)
        return np.array([targets.answers(self.outputs(train, y, test, subset), classes, what)
                         for subset in subsets])

    def outputs(self, train: Blocks, y: np.ndarray, test: Blocks, subset: Subset) -> np.ndarray:
        """What the regression says of the test clips, ``(n_penalties, n_test, k)``."""
        x, tested = (beside(side, subset).astype(np.float64) for side in (train, test))
        wanted = targets.columns(y)[1]
        mean, level = x.mean(0), wanted.mean(0)
        x, tested, wanted = x - mean, tested - mean, wanted - level
        wide = x.shape[1] > len(x)
        product, right = (x @ x.T, wanted) if wide else (x.T @ x, x.T @ wanted)
        tested = tested @ x.T if wide else tested
        systems = (product + penalty * np.eye(len(product)) for penalty in self.penalties)
        return level + [tested @ linalg.solve(system, right, assume_a="pos", overwrite_a=True,
                                              check_finite=False) for system in systems]

    correct = Probe.correct


def score(blocks: Blocks, y: np.ndarray, repeats: Sequence[Splits], groups: np.ndarray,
          probe: Probe, transform: Transform | None = None, scale: bool = True,
          **keys) -> stats.Scored:
    """All blocks side by side, nested, over each set of folds (`repeated_splits`).

    Columns are standardised on the training clips of each fit (`scale`), then `Transformed`.
    """
    everything = tuple(blocks)
    probe = WideRidge(probe.penalties) if type(probe) is Ridge else probe
    probe = probe if transform is None else Transformed(probe, transform)
    return stats.over_repeats([
        search(blocks, y, splits, groups, probe, subsets=[everything], scale=scale, progress=False)
        .scored(everything, **keys) for splits in repeats])


def held_out(blocks: Blocks, y: np.ndarray, splits: Splits, groups: np.ndarray,
             probe: Ridge) -> np.ndarray:
    """What a ridge on all blocks side by side says of each clip when its fold is held out.

    The penalty is chosen on the other folds.

    Returns:
        Outputs ``(n, k)``: of each class or tag, or one of the number.
    """
    wide, subset = WideRidge(probe.penalties), tuple(blocks)
    found = search(blocks, y, splits, groups, wide, subsets=[subset], progress=False)
    every = targets.columns(y)[0]
    out = np.full((len(y), len(every)), -np.inf)
    for i, (train, test) in enumerate(splits):
        sides = standardise(*rows_of(blocks, train, test))
        best = WideRidge([wide.penalties[found.inner[i, 0].argmax()]])
        trained = np.searchsorted(every, targets.columns(y[train])[0])
        out[np.ix_(test, trained)] = best.outputs(sides[0], y[train], sides[1], subset)[0]
    return out


def repeated_splits(y: np.ndarray, groups: np.ndarray, n_folds: int = 5,
                    repeats: int = 5) -> list[Splits]:
    """Several sets of folds of whole groups, dealt in different orders, for classes or tags y.

    Raises:
        AudiotlError: too few groups, a class that is tested but not trained on, or groups that can
            be dealt in fewer ways.
    """
    out = [splits_of(deal_groups(groups, y, n_folds, seed)) for seed in range(repeats)]
    for repeat, splits in enumerate(out):
        for k, (train, test) in enumerate(splits):
            check_split(groups, train, test, f"fold {k} of repeat {repeat}", y)
    seen = {frozenset(test.tobytes() for _, test in splits) for splits in out}
    if len(seen) < repeats:
        raise AudiotlError(f"The {len(np.unique(groups))} groups are dealt to {n_folds} folds in "
                           f"{len(seen)} ways, not {repeats}; ask for fewer repeats.")
    return out
