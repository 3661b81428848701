"""Probes by name, and the controls for width over repeated folds, against scikit-learn."""

import functools

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audiotl import AudiotlError, probes
from audiotl.probes import controls
from audiotl.probes.controls import repeated_splits, score


@pytest.fixture
def problem(fresh_cache):
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i:02d}" for i in range(40)], 3)
    y = np.tile([0, 1, 2], 40)
    blocks = {name: rng.normal(size=(120, 4)) + 0.8 * np.eye(3, 4)[y]
              for name in ("layer1", "layer2")}
    return blocks, y, groups


def test_a_probe_is_called_as_it_is_named():
    for name in probes.NAMES:
        assert probes.named(name).name == name
    assert [cell["gamma"] for cell in probes.named("svm").cells] == [2.0**-9, "1/d"]
    with pytest.raises(AudiotlError, match="'forest'"):
        probes.named("forest")


@pytest.mark.parametrize("columns", [15, 60])  # fewer than there are clips, and more
def test_joint_components_are_those_of_scikit_learn(columns):
    rng = np.random.default_rng(1)
    train, test = ({"a": rng.normal(size=(n, 6)), "b": rng.normal(size=(n, columns - 6))}
                   for n in (50, 20))
    fitted, tested = probes.joint_pca(train, test, 4)
    pca = PCA(4).fit(np.hstack(list(train.values())))
    for side, ours in ((train, fitted), (test, tested)):
        expected = pca.transform(np.hstack(list(side.values())))
        assert np.allclose(np.abs(ours["joint"]), np.abs(expected))


def test_random_features_widen_the_last_block_by_training_clips_alone():
    rng = np.random.default_rng(2)
    train, test = ({"a": rng.normal(size=(n, 3)), "b": rng.normal(size=(n, 5))} for n in (60, 20))
    fitted, tested = probes.random_features(train, test, 30, seed=7)
    sampler = RBFSampler(gamma=1 / 5, n_components=25, random_state=7).fit(train["b"])
    scaler = StandardScaler().fit(sampler.transform(train["b"]))
    for side, ours in ((train, fitted), (test, tested)):
        assert list(ours) == ["b"] and np.array_equal(ours["b"][:, :5], side["b"])
        assert np.allclose(ours["b"][:, 5:], scaler.transform(sampler.transform(side["b"])))
    same, _ = probes.random_features(train, test, 5)
    assert np.array_equal(same["b"], train["b"])


def test_a_score_at_one_width_equals_scikit_learn_in_every_repeat(problem):
    blocks, y, groups = problem
    repeats = repeated_splits(y, groups, 4, 3)
    narrow = functools.partial(probes.joint_pca, width=3)
    found = score(blocks, y, repeats, groups, probes.Ridge((1.0,)), narrow, target="toy")
    assert found.values.shape == (1, 3, 120) and found.keys["target"] == "toy"
    x = np.hstack(list(blocks.values()))
    model = make_pipeline(StandardScaler(), PCA(3), Ridge(alpha=1.0))
    for r, splits in enumerate(repeats):
        for k, (train, test) in enumerate(splits):
            guess = model.fit(x[train], np.eye(3)[y[train]]).predict(x[test]).argmax(1)
            assert (found.values[0, r, test] == (guess == y[test])).all()
            assert (found.folds[r, test] == k).all()
    wide = score(blocks, y, repeats, groups, probes.Ridge((1.0,)))
    assert not np.array_equal(wide.values, found.values)


def test_repeated_folds_keep_groups_whole_and_differ(problem):
    _, y, groups = problem
    repeats = repeated_splits(y, groups)
    assert len(repeats) == 5 and len({repeat[0][1].tobytes() for repeat in repeats}) == 5
    for splits in repeats:
        assert np.array_equal(np.sort(np.concatenate([test for _, test in splits])), np.arange(120))
        assert all(not set(groups[train]) & set(groups[test]) for train, test in splits)
    with pytest.raises(AudiotlError):
        repeated_splits(y[:12], groups[:12], n_folds=4, repeats=30)


@pytest.mark.parametrize("columns", [5, 60])
def test_ridge_on_all_columns_at_once_answers_as_block_by_block(columns):
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 50)
    train, test = ({"a": rng.normal(size=(n, columns)), "b": rng.normal(size=(n, columns))}
                   for n in (50, 30))
    wide, block_by_block = (probe.fold(train, y, test, [("a",), ("a", "b")])
                            for probe in (controls.WideRidge(), probes.named("ridge")))
    assert wide.shape == (2, 5, 30) and np.mean(wide == block_by_block) > 0.99
