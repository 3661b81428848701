import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from audiotl import AudiotlError
from audiotl.probes import beside, ridge_subsets, rows_of
from audiotl.probes.subset_search import all_subsets

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
WIDTHS = (3, 8, 1, 5, 12, 2, 7, 4, 4, 6, 2)
NAMES = tuple("abcdefghijk")


@pytest.fixture(scope="module")
def problem():
    """Eleven blocks, two of them copies and one constant, seven classes; standardised."""
    rng = np.random.default_rng(0)
    y, d = rng.integers(0, 7, 900), sum(WIDTHS)
    x = rng.normal(size=(900, d)) @ rng.normal(size=(d, d)) + rng.normal(size=(7, d))[y]
    x[:, 37:41], x[:, 52:] = x[:, 33:37], 2.5
    x = StandardScaler().fit(x[:300]).transform(x)
    blocks = dict(zip(NAMES, np.split(x, np.cumsum(WIDTHS)[:-1], axis=1), strict=True))
    train, test = rows_of(blocks, slice(300), slice(300, None))
    return train, y[:300], test, y[300:]


def test_two_hundred_subsets_predict_as_scikit_learn_does(problem):
    train, y, test, answers = problem
    fitted, subsets = ridge_subsets.fit(train, y), all_subsets(NAMES)
    labels = ridge_subsets.walk(fitted, test, subsets, PENALTIES)
    bits = ridge_subsets.walk(fitted, test, subsets, PENALTIES, answers)
    correct = np.unpackbits(bits, axis=2, count=600)
    assert labels.shape == correct.shape == (2047, 5, 600)
    rng = np.random.default_rng(1)
    for s in rng.choice(2047, 200, replace=False):
        c = rng.integers(5)
        model = Ridge(alpha=PENALTIES[c], solver="svd")
        model.fit(beside(train, subsets[s]), np.eye(7)[y])
        guess = model.predict(beside(test, subsets[s])).argmax(1)
        assert (labels[s, c] == guess).all() and (correct[s, c] == (guess == answers)).all()


def test_a_class_that_was_not_trained_is_wrong_and_clips_come_in_any_number(problem):
    train, y, test, _ = problem
    fitted = ridge_subsets.fit(train, y)
    for count in (1, 7, 511, 513):
        [some] = rows_of(test, slice(count))
        asked = fitted, some, all_subsets(NAMES[:3]), (1.0,)
        labels = ridge_subsets.walk(*asked)
        assert not ridge_subsets.walk(*asked, np.full(count, 9)).any()
        bits = ridge_subsets.walk(*asked, labels[4, 0])
        assert np.unpackbits(bits[4, 0], count=count).all()


def test_a_penalty_of_zero_is_refused(problem):
    train, y, test, _ = problem
    with pytest.raises(AudiotlError, match="penalty"):
        ridge_subsets.walk(ridge_subsets.fit(train, y), test, [("a",)], (1.0, 0))
