import numpy as np
from sklearn.linear_model import LogisticRegression

from audiotl.probes.weighted_sum import WeightedSum


def a_problem(n=240, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    known = np.eye(3)[y] @ rng.standard_normal((3, 8)) * 2 + rng.standard_normal((n, 8))
    return {"noise": rng.standard_normal((n, 8)), "known": known, "narrow": known[:, :3]}, y


def halves(blocks, y):
    return ({name: b[::2] for name, b in blocks.items()}, y[::2],
            {name: b[1::2] for name, b in blocks.items()}, y[1::2])


def test_one_layer_is_a_logistic_regression():
    train, y, test, _ = halves(*a_problem())
    probe = WeightedSum([0.01])
    ours = probe.fold(train, y, test, [("known",)])[0, 0]
    theirs = LogisticRegression(C=1 / (2 * 0.01 * len(y)), max_iter=1000).fit(train["known"], y)
    assert (ours == theirs.predict(test["known"])).mean() > 0.98


def test_the_sum_leaves_out_the_layer_that_knows_nothing():
    train, y, test, truth = halves(*a_problem())
    subsets = [("noise",), ("known",), ("noise", "known"), ("noise", "known", "narrow")]
    right = (WeightedSum([1e-3, 1e-2]).fold(train, y, test, subsets) == truth).mean(2).max(1)
    noise, known, both, three = right
    assert noise < 0.5 < 0.85 < known and both > known - 0.05 and three > known - 0.05
