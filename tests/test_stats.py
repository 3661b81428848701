import numpy as np
import pytest
from scipy import stats as scipy_stats

from audiotl.stats import bootstrap_mean, bootstrap_rows, corrected_t, paired_bootstrap, sign_test


def test_the_interval_covers_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for i in range(200):
        sample = rng.random(150) < 0.7
        _, low, high = bootstrap_mean(sample, n=400, seed=i)
        hits += low <= 0.7 <= high
    assert 0.89 <= hits / 200 <= 0.99


def test_clips_of_a_group_are_drawn_together():
    groups = np.repeat(np.arange(10), 20)
    values = np.repeat(np.arange(10) % 2, 20)
    _, low, high = bootstrap_mean(values, groups)
    _, low1, high1 = bootstrap_mean(values)
    assert high - low > 3 * (high1 - low1)


def test_rows_share_their_draws_with_the_single_call():
    values = np.random.default_rng(0).random((3, 50))
    rows = bootstrap_rows(values, seed=5)
    assert np.allclose(rows[1], bootstrap_mean(values[1], seed=5))


def test_a_paired_difference_is_tighter_than_two_single_intervals():
    rng = np.random.default_rng(0)
    a = rng.random(300) < 0.6
    b = a & (rng.random(300) < 0.95)
    difference, low, high = paired_bootstrap(a, b)
    assert 0 < low < difference < high < 0.1


def test_corrected_t_is_more_careful_than_the_plain_one():
    d = np.array([0.02, 0.03, 0.01, 0.025, 0.015])
    plain = scipy_stats.ttest_1samp(d, 0).pvalue
    assert corrected_t(d, 1600, 400) > plain
    assert corrected_t(d, 1e12, 1e-3) == pytest.approx(plain, rel=1e-6)
    assert corrected_t(np.zeros(5), 4, 1) == 1.0
    assert corrected_t(np.full(5, 0.1), 4, 1) < 1e-6


def test_sign_test_leaves_ties_out():
    assert sign_test(np.ones(9), np.zeros(9)) == pytest.approx(2 / 2**9)
    assert sign_test(np.ones(5), np.ones(5)) == 1.0
