import itertools
import math

import numpy as np
import pytest

from audiotl import AudiotlError, shapley


def by_orders(scores, n):
    """The definition: what each player adds, averaged over all orders."""
    out = np.zeros(n)
    for order in itertools.permutations(range(n)):
        mask = 0
        for player in order:
            out[player] += scores[mask | 1 << player] - scores[mask]
            mask |= 1 << player
    return out / math.factorial(n)


def test_values_follow_their_definition_and_sum_to_the_whole():
    scores = np.random.default_rng(0).normal(size=64)
    found = shapley.values(scores)
    assert np.allclose(found, by_orders(scores, 6), atol=1e-12)
    assert abs(found.sum() - (scores[-1] - scores[0])) < 1e-9


def test_interactions_follow_their_definition():
    n, scores = 5, np.random.default_rng(1).normal(size=32)
    found = dict(zip(itertools.combinations(range(n), 2), shapley.interactions(scores), strict=True))
    for i, j in found:
        others, expected = [k for k in range(n) if k not in (i, j)], 0.0
        for size in range(n - 1):
            for team in itertools.combinations(others, size):
                t, a, b = sum(1 << k for k in team), 1 << i, 1 << j
                gain = scores[t | a | b] - scores[t | a] - scores[t | b] + scores[t]
                expected += gain * math.factorial(size) * math.factorial(n - size - 2) / math.factorial(n - 1)
        assert found[i, j] == pytest.approx(expected, abs=1e-12)


def test_games_whose_values_are_known():
    every = np.arange(2**6)
    member = (every >> np.arange(6)[:, None]) & 1
    worth = np.array([1.0, -2, 3, 0, 5, 0.5])
    assert np.allclose(shapley.values(worth @ member), worth)  # additive
    assert np.allclose(shapley.interactions(worth @ member), 0)
    unanimity = member[[0, 2, 3]].all(0).astype(float)
    assert np.allclose(shapley.values(unanimity), [1 / 3, 0, 1 / 3, 1 / 3, 0, 0])
    pairs = dict(zip(itertools.combinations(range(6), 2), shapley.interactions(unanimity), strict=True))
    assert pairs[0, 2] == pytest.approx(0.5) and pairs[0, 1] == pytest.approx(0)
    left, right = 1, 2  # gloves: one left, two right, a pair is worth 1
    glove = np.minimum((np.arange(8) & left > 0), ((np.arange(8) & (right | 4)) > 0)).astype(float)
    assert np.allclose(shapley.values(glove), [2 / 3, 1 / 6, 1 / 6])


def test_clip_by_clip_equals_the_game_of_mean_scores():
    rng = np.random.default_rng(2)
    n, clips = 5, 203
    right = rng.random((2**n, clips)) < np.linspace(0.1, 0.9, 2**n)[:, None]
    shuffled = rng.permutation(np.arange(1, 2**n))
    each, pairs = shapley.attribute(np.packbits(right[shuffled], axis=1), shuffled, right[0].astype(int),
                                    np.arange(clips) // 3, list("abcde"), 200)
    scores = right.mean(1)
    assert np.allclose(each["value"], shapley.values(scores), atol=1e-12)
    assert np.allclose(pairs["index"], shapley.interactions(scores), atol=1e-12)
    assert abs(each["value"].sum() - (scores[-1] - scores[0])) < 1e-9
    assert (each["ci_low"] < each["value"]).all() and (each["value"] < each["ci_high"]).all()
    assert pairs.loc[0, ["first", "second"]].tolist() == ["a", "b"] and len(pairs) == 10
    with pytest.raises(AudiotlError, match="all 31 subsets, and 30 are there"):
        shapley.attribute(np.packbits(right[1:-1], axis=1), np.arange(1, 31), right[0], np.arange(clips), list("abcde"))
    with pytest.raises(AudiotlError, match="no power of two"):
        shapley.values(scores[1:])


def test_a_player_that_does_nothing_gets_an_interval_at_zero():
    rng = np.random.default_rng(3)
    helps = rng.random(400) < 0.7
    right = np.array([np.zeros(400), helps, np.zeros(400), helps], bool)
    each, _ = shapley.attribute(np.packbits(right[1:], axis=1), np.arange(1, 4), right[0], np.arange(400), ["a", "b"])
    a, b = each.to_dict("records")
    assert a["value"] == pytest.approx(helps.mean())
    assert 0.6 < a["ci_low"] < a["value"] < a["ci_high"] < 0.8
    assert b["value"] == b["ci_low"] == b["ci_high"] == 0


def test_the_sampled_values_cover_the_exact_ones():
    n = 10
    names = [f"tap{i}" for i in range(n)]
    scores = 1 - np.exp(-((np.arange(2**n) >> np.arange(n)[:, None] & 1) * np.linspace(0.05, 0.6, n)[:, None]).sum(0))
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
    one_way = np.array(list(_gains(scores, shapley.orders(n, 400)[::2])))
    both = np.array(list(_gains(scores, shapley.orders(n, 200)))).reshape(200, 2, n).mean(1)
    assert both.var(0).mean() / 200 < one_way.var(0).mean() / 400  # the reverse orders earn their keep
    with pytest.raises(AudiotlError, match="two pairs"):
        shapley.sampled(score, names, pairs=1)


def _gains(scores, orders):
    for order in orders.tolist():
        row, mask = np.empty(len(order)), 0
        for player in order:
            row[player] = scores[mask | 1 << player] - scores[mask]
            mask |= 1 << player
        yield row
