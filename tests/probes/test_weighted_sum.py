import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from audiotl.probes import rows_of
from audiotl.probes.weighted_sum import WeightedSum


@pytest.fixture
def halves():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 240)
    known = np.eye(3)[y] @ rng.standard_normal((3, 8)) * 2 + rng.standard_normal((240, 8))
    blocks = {"noise": rng.standard_normal((240, 8)), "known": known, "narrow": known[:, :3]}
    train, test = rows_of(blocks, slice(None, None, 2), slice(1, None, 2))
    return train, y[::2], test, y[1::2]


def test_one_layer_is_a_logistic_regression(halves):
    train, y, test, _ = halves
    ours = WeightedSum([0.01]).fold(train, y, test, [("known",)])[0, 0]
    theirs = LogisticRegression(C=1 / (2 * 0.01 * len(y)), max_iter=1000).fit(train["known"], y)
    assert (ours == theirs.predict(test["known"])).mean() > 0.98


def test_the_sum_leaves_out_the_layer_that_knows_nothing(halves):
    train, y, test, truth = halves
    subsets = [("noise",), ("known",), ("noise", "known"), ("noise", "known", "narrow")]
    right = (WeightedSum([1e-3, 1e-2]).fold(train, y, test, subsets) == truth).mean(2).max(1)
    noise, known, both, three = right
    assert noise < 0.5 < 0.85 < known and both > known - 0.05 and three > known - 0.05
