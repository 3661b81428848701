"""The SVM engine against scikit-learn: the same path, hence the same predictions."""

import numpy as np
import pytest
from sklearn.svm import SVC, SVR

from audiotl import AudiotlError
from audiotl.benchmarks import svm as svm_bench
from audiotl.datasets import choi2017
from audiotl.probes import beside, rows_of
from audiotl.probes.svm import SVM, gram, grid, smo


def problem(seed, n=150, d=6):
    """Overlapping classes in two blocks; some labels negative, some clips there twice with two."""
    rng = np.random.default_rng(seed)
    n_classes = 2 + seed % 4
    y = rng.integers(0, n_classes, n)
    x = 0.7 * rng.normal(size=(n_classes, d))[y] + rng.normal(size=(n, d))
    if seed % 3 == 0:
        x[20:40], y[20:30] = x[60:80], y[60:70]
    return {"a": x[:, :2], "b": x[:, 2:]}, y - 3 * (seed % 2)


def expected(cell, blocks, y, model=SVC, **settings):
    """scikit-learn's predictions for the clips from the 110th on, trained on the others."""
    x, gamma = beside(blocks, blocks), cell.get("gamma", "1/d")
    model = model(**cell | {"gamma": "auto" if gamma == "1/d" else gamma}, **settings)
    return model.fit(x[:110], y[:110]).predict(x[110:])


def ours(svm, blocks, y, *subsets):
    train, test = rows_of(blocks, slice(110), slice(110, None))
    return svm.fold(train, y[:110], test, list(subsets) or [tuple(blocks)])


@pytest.mark.parametrize("seed", range(6))
def test_classes_equal_those_of_svc_in_every_cell(seed):
    blocks, y = problem(seed)
    found = ours(SVM(), blocks, y, ("a",), ("a", "b"))
    assert found.dtype == y.dtype
    for part, of_it in zip(found, ({"a": blocks["a"]}, blocks), strict=True):
        for cell, predicted in zip(SVM().cells, part, strict=True):
            assert (predicted == expected(cell, of_it, y)).all(), cell


def values(y):
    return 0.3 * y + 0.1 * np.random.default_rng(9).normal(size=len(y))


@pytest.mark.parametrize("seed", range(3))
def test_values_equal_those_of_svr(seed):
    blocks, y = problem(seed)
    y = values(y)
    blocks = {name: block / 3 for name, block in blocks.items()}
    svm = SVM(task="regression", cells=grid((0.1, 8.0), (2.0**-3, "1/d")))
    for cell, predicted in zip(svm.cells, ours(svm, blocks, y)[0], strict=True):
        assert np.allclose(predicted, expected(cell, blocks, y, SVR), atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_the_path_is_that_of_libsvm_step_by_step(seed):
    """The number of steps agrees, with shrinking under way."""
    rng = np.random.default_rng(seed)
    n = 280
    x = rng.normal(size=(n, 6))
    y = np.sort(np.sign(x[:, 0] + 0.8 * rng.normal(size=n)))[::-1]
    x = x[np.argsort(-np.sign(x[:, 0]), kind="stable")]
    kernel = np.exp(-0.125 * ((x[:, None] - x) ** 2).sum(2))
    for cost in (2.0, 32.0):
        _, _, steps = smo.solve(
            kernel.astype(np.float32), np.ones(n), np.arange(n), y.copy(), y > 0, cost, 1e-3, 10**7,
            np.empty((n, smo.padded(n)), "f4"), np.zeros(n, np.int64), np.empty(n))
        assert steps == SVC(C=cost, gamma=0.125).fit(x, -y).n_iter_[0]


def test_threads_and_over_splits_change_nothing():
    blocks, y = problem(2)
    splits = [(np.arange(50, 150), np.arange(50)), (np.arange(100), np.arange(100, 150))]
    columns = beside(blocks, "ab")
    inner, squares = gram(columns)
    one = SVM().over_splits(inner.copy(), squares, squares, columns, y, splits)
    two = SVM(threads=2).over_splits(inner, squares, squares, columns, y, splits)
    for (train, test), first, second in zip(splits, one, two, strict=True):
        fit, held = rows_of(blocks, train, test)
        alone = SVM().fold(fit, y[train], held, [("a", "b")])[0]
        assert (first == second).all() and (first == alone).all()


@pytest.mark.parametrize("seed", range(3))
def test_problems_that_pair_steps_leave_unsolved_are_solved_by_newton_steps(seed):
    """With hardly any pair steps allowed, linear cells come from the other solver."""
    blocks, y = problem(seed)
    cells = grid((0.1, 8.0), ())
    for cell, predicted in zip(cells, ours(SVM(cells, limit=5), blocks, y)[0], strict=True):
        assert (predicted == expected(cell, blocks, y, tol=1e-9)).all(), cell
    y = values(y)
    found = ours(SVM(cells, "regression", limit=5), blocks, y)[0]
    for cell, predicted in zip(cells, found, strict=True):
        # libsvm keeps kernel rows in single precision and ends a little above the optimum.
        assert np.allclose(predicted, expected(cell, blocks, y, SVR, tol=1e-9), atol=1e-3)


def test_mistakes_are_named():
    with pytest.raises(AudiotlError, match="ranking"):
        SVM(task="ranking")
    blocks, y = problem(0)
    with pytest.raises(AudiotlError):
        SVM().fold(blocks, np.zeros(len(y), int), blocks, [("a",)])
    with pytest.raises(AudiotlError, match="'poly'"):
        SVM(cells=[{"kernel": "poly", "C": 1.0}]).fold(blocks, y, blocks, [("a",)])


@pytest.mark.long
@pytest.mark.parametrize("feature", [name for name in choi2017.features() if "mfcc" not in name])
def test_every_cell_of_gtzan_genre_equals_grid_search(recordings, feature):
    """31 subsets, 32 cells, ten folds: some 25 minutes of one core."""
    task = choi2017.load(recordings, "gtzan_genre")
    assert (svm_bench.ours(task, feature, 1) == svm_bench.sklearns(task, feature, 1)).all()
