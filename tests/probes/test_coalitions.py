import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audiotl import shapley
from audiotl.datasets.corpus import splits_of
from audiotl.probes.coalitions import log_likelihoods


def test_likelihoods_are_scikit_learns_and_a_copy_repeats_while_noise_does_nothing(fresh_cache):
    rng = np.random.default_rng(0)
    y, splits = rng.integers(0, 3, 150), splits_of(np.arange(150) % 5)
    layer = np.eye(3)[y] + rng.standard_normal((150, 3))
    games = {name: log_likelihoods({"layer": layer, "rival": rival}, y, splits)
             for name, rival in (("copy", layer), ("noise", rng.standard_normal((150, 3))))}
    train, test = splits[0]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    expected = model.fit(layer[train], y[train]).predict_log_proba(layer[test])
    expected = expected[np.arange(len(test)), y[test]]
    assert np.allclose(games["copy"][1, test], expected)
    assert np.allclose(games["copy"][0, test], np.log(np.bincount(y[train])[y[test]] / len(train)))
    index = {name: shapley.interactions(game).mean() for name, game in games.items()}
    assert index["copy"] < -0.02 < index["noise"] < 0.02
