import itertools
import math

import numpy as np
import pytest

from audiotl import AudiotlError, shapley


def gains(scores, orders):
    """What each player adds, a row an order."""
    rows = np.zeros((len(orders), len(orders[0])))
    for row, order in zip(rows, orders, strict=True):
        mask = 0
        for player in order:
            row[player] = scores[mask | 1 << int(player)] - scores[mask]
            mask |= 1 << int(player)
    return rows


def test_values_follow_their_definition():
    scores = np.random.default_rng(0).normal(size=64)
    by_orders = gains(scores, list(itertools.permutations(range(6)))).mean(0)
    assert np.allclose(shapley.values(scores), by_orders, atol=1e-12)


def test_interactions_follow_their_definition():
    n, scores = 5, np.random.default_rng(1).normal(size=32)
    pairs = list(itertools.combinations(range(n), 2))
    for (i, j), found in zip(pairs, shapley.interactions(scores), strict=True):
        others, expected = [k for k in range(n) if k not in (i, j)], 0.0
        for size in range(n - 1):
            for team in itertools.combinations(others, size):
                t, a, b = sum(1 << k for k in team), 1 << i, 1 << j
                gain = scores[t | a | b] - scores[t | a] - scores[t | b] + scores[t]
                expected += gain / (n - 1) / math.comb(n - 2, size)
        assert found == pytest.approx(expected, abs=1e-12)


def test_clip_by_clip_equals_the_game_of_mean_scores():
    rng = np.random.default_rng(2)
    n, clips = 5, 203
    right = rng.random((2**n, clips)) < np.linspace(0.1, 0.9, 2**n)[:, None]
    shuffled = rng.permutation(np.arange(1, 2**n))
    bits, groups = np.packbits(right[shuffled], axis=1), np.arange(clips) // 3
    none = right[0].astype(int)
    each, pairs = shapley.attribute(bits, shuffled, none, groups, list("abcde"))
    scores = right.mean(1)
    assert np.allclose(each["value"], shapley.values(scores), atol=1e-12)
    assert np.allclose(pairs["index"], shapley.interactions(scores), atol=1e-12)
    assert abs(each["value"].sum() - (scores[-1] - scores[0])) < 1e-9
    assert (each["ci_low"] < each["value"]).all() and (each["value"] < each["ci_high"]).all()
    assert pairs.loc[0, ["first", "second"]].tolist() == ["a", "b"] and len(pairs) == 10
    with pytest.raises(AudiotlError, match="31"):
        shapley.attribute(bits[1:], shuffled[1:], none, groups, list("abcde"))
    with pytest.raises(AudiotlError):
        shapley.values(scores[1:])


def test_the_sampled_values_cover_the_exact_ones():
    n = 10
    names = [f"tap{i}" for i in range(n)]
    members = np.arange(2**n)[:, None] >> np.arange(n) & 1
    scores = 1 - np.exp(-members @ np.linspace(0.05, 0.6, n))
    exact, asked, covered = shapley.values(scores), set(), 0

    def score(subset):
        asked.add(subset)
        return scores[shapley.masks([subset], names)[0]]

    for seed in range(20):
        asked.clear()
        found = shapley.sampled(score, names, pairs=40, seed=seed)
        covered += (np.abs(found["value"] - exact) < 2.02 * found["error"]).sum()
        assert found["value"].sum() == pytest.approx(scores[-1] - scores[0], abs=1e-9)
        assert asked - {()} == set(shapley.sample(names, 40, seed))
    assert 0.9 <= covered / (20 * n) < 1.0
    one_way = gains(scores, shapley.orders(n, 400)[::2])
    both = gains(scores, shapley.orders(n, 200)).reshape(200, 2, n).mean(1)
    assert both.var(0).mean() / 200 < one_way.var(0).mean() / 400  # reverse orders earn their keep
