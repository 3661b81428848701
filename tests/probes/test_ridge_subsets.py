import itertools

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from audiotl import AudiotlError
from audiotl.probes import ridge_subsets

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)


def every(n):
    return [s for size in range(1, n + 1) for s in itertools.combinations(range(n), size)]


@pytest.fixture(scope="module")
def problem():
    """Eleven blocks of unequal width, two of them copies and one constant, seven classes; standardised."""
    rng = np.random.default_rng(0)
    widths, y = [3, 8, 1, 5, 12, 2, 7, 4, 4, 6, 2], rng.integers(0, 7, 900)
    x = rng.normal(size=(900, sum(widths))) @ rng.normal(size=(sum(widths),) * 2) + rng.normal(size=(7, 54))[y]
    x[:, 37:41], x[:, 52:] = x[:, 33:37], 2.5
    scaler = StandardScaler().fit(x[:300])
    return scaler.transform(x[:300]), y[:300], scaler.transform(x[300:]), y[300:], widths


def columns(widths, subset):
    edges = np.cumsum([0, *widths])
    return np.concatenate([np.arange(edges[block], edges[block + 1]) for block in subset])


def test_two_hundred_subsets_predict_as_scikit_learn_does(problem):
    x, y, tested, answers, widths = problem
    found, nodes, subsets = ridge_subsets.fit(x, np.eye(7)[y], widths), ridge_subsets.tree(every(11)), every(11)
    labels = ridge_subsets.labels(found, tested, nodes, PENALTIES)
    right = np.unpackbits(ridge_subsets.right(found, tested, answers, nodes, PENALTIES), axis=2, count=600)
    assert labels.shape == right.shape == (2047, 5, 600)
    rng, worst = np.random.default_rng(1), 0.0
    for s in rng.choice(2047, 200, replace=False):
        at, c = columns(widths, subsets[s]), rng.integers(5)
        model = Ridge(alpha=PENALTIES[c], solver="svd").fit(x[:, at], np.eye(7)[y])
        guess = model.predict(tested[:, at]).argmax(1)
        assert (labels[s, c] == guess).all() and (right[s, c] == (guess == answers)).all()
        weights = ridge_subsets.coefficients(found, subsets[s], PENALTIES[c])
        worst = max(worst, np.abs(weights - model.coef_.T).max() / max(np.abs(model.coef_).max(), 1e-300))
    assert worst < 1e-6


def test_the_walk_reaches_what_was_asked_for_in_any_order(problem):
    x, y, tested, answers, widths = problem
    found = ridge_subsets.fit(x, np.eye(7)[y], widths)
    whole = ridge_subsets.right(found, tested, answers, ridge_subsets.tree(every(11)), (1.0,))
    some = [(9, 2, 5), (0,), (10, 0), (2, 5), tuple(range(11))]
    part = ridge_subsets.right(found, tested, answers, ridge_subsets.tree(some), (1.0,))
    assert (part == whole[[every(11).index(tuple(sorted(s))) for s in some]]).all()
    nodes = ridge_subsets.tree(every(6))
    assert nodes.n_subsets == len(nodes.depth) == 63 and sorted(nodes.slot) == list(range(63))


def test_clips_of_a_class_that_was_not_trained_are_wrong_and_clips_come_in_any_number(problem):
    x, y, tested, _, widths = problem
    found, nodes = ridge_subsets.fit(x, np.eye(7)[y], widths), ridge_subsets.tree(every(3))
    for count in (1, 7, 511, 513):
        labels = ridge_subsets.labels(found, tested[:count], nodes, (1.0,))
        right = ridge_subsets.right(found, tested[:count], np.full(count, -1), nodes, (1.0,))
        assert not right.any()
        right = ridge_subsets.right(found, tested[:count], labels[4, 0], nodes, (1.0,))
        assert np.unpackbits(right[4, 0], count=count).all()


def test_a_penalty_of_zero_is_refused(problem):
    x, y, tested, _, widths = problem
    with pytest.raises(AudiotlError, match="must be positive, and one is 0"):
        ridge_subsets.labels(ridge_subsets.fit(x, np.eye(7)[y], widths), tested, ridge_subsets.tree([(0,)]), (1.0, 0))
