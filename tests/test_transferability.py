import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.covariance import LedoitWolf

from audiotl.transferability import effective_rank, evidence, h_score, logme

rng = np.random.default_rng(0)


@pytest.mark.parametrize(("n", "d"), [(40, 5), (15, 30)])
def test_the_evidence_is_the_largest_marginal_likelihood(n, d):
    x = rng.standard_normal((n, d)) * rng.uniform(0.3, 2, d)
    y = x @ rng.standard_normal(d) + rng.standard_normal(n)

    def against(logs):
        a, b = np.exp(logs)
        return -stats.multivariate_normal(np.zeros(n), np.eye(n) / b + x @ x.T / a).logpdf(y)

    direct = optimize.minimize(against, [0.0, 0.0], method="Nelder-Mead",
                               options={"xatol": 1e-7, "fatol": 1e-10})
    assert evidence(x, y[:, None])[0] == pytest.approx(-direct.fun, rel=1e-6)


def test_logme_is_the_mean_over_classes_per_clip_and_prefers_features_that_tell():
    y = np.repeat(np.arange(3), 40)
    good, bad = np.eye(3)[y] + 0.3 * rng.standard_normal((120, 3)), rng.standard_normal((120, 3))
    labels = np.eye(3)[y] - 1 / 3
    centred = good - good.mean(0)
    by_hand = np.mean([evidence(centred, column[:, None])[0] for column in labels.T]) / 120
    assert logme(good, y) == pytest.approx(by_hand) and logme(good, y) > logme(bad, y) + 0.5
    assert logme(good + 7, y + 5) == pytest.approx(logme(good, y))


def test_the_h_score_is_its_definition_and_sound_with_more_columns_than_clips():
    y = np.repeat(np.arange(5), 10)
    noise = rng.standard_normal((50, 80))
    told = noise + np.repeat(rng.standard_normal((5, 80)), 10, 0)
    found = LedoitWolf().fit(told)
    means = np.stack([told[y == k].mean(0) for k in range(5)])[y] - told.mean(0)
    by_hand = np.trace(np.linalg.inv(found.covariance_) @ means.T @ means / 50)
    assert h_score(told, y) == pytest.approx(by_hand * (1 - found.shrinkage_))
    assert h_score(noise, y) < 1 < h_score(told, y)


@pytest.mark.parametrize("n", [6, 200])
def test_effective_rank_counts_the_directions_that_are_filled(n):
    equal = np.linalg.qr(rng.standard_normal((n, 4)))[0]
    equal = np.linalg.qr(equal - equal.mean(0))[0]
    assert effective_rank(equal @ np.eye(4, 30)) == pytest.approx(4, rel=1e-6)
    assert effective_rank(equal * [1, 1, 1e-6, 1e-6]) == pytest.approx(2, rel=1e-3)
