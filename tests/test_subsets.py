import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from audiotl import AudiotlError, probes, subsets
from audiotl.datasets import LeakError
from audiotl.subsets import all_subsets, label, search


@pytest.fixture
def problem(fresh_cache):
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(30)], 5)
    y = rng.integers(0, 3, 150)
    blocks = {f"layer{k + 1}": rng.normal(size=(150, 4)) + s * y[:, None] * [1, 0, 0, 0] for k, s in
              enumerate((0.3, 0.9, 0.0))}
    fold = np.repeat(np.arange(30) % 5, 5)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)]
    return blocks, y, splits, groups


def test_every_subset_once_and_its_label():
    names = [f"layer{i}" for i in range(1, 6)]
    every = all_subsets(names)
    assert len(set(every)) == 31 and every[-1] == tuple(names)
    assert label(("layer1", "layer3"), names) == "02" and label(("layer2", "mfcc"), names) == "1+mfcc"


def test_ridge_equals_scikit_learn(problem):
    blocks, y, splits, groups = problem
    found = search(blocks, y, splits, groups, probes.Ridge((0.1, 10.0)), progress=False, nested=False)
    for s, subset in enumerate(found.subsets):
        for c, penalty in enumerate((0.1, 10.0)):
            for train, test in splits:
                x = np.concatenate([blocks[name] for name in subset], 1)
                scaler = StandardScaler().fit(x[train])
                model = Ridge(alpha=penalty).fit(scaler.transform(x[train]), np.eye(3)[y[train]])
                guess = model.predict(scaler.transform(x[test])).argmax(1)
                assert (found.outer[s, c, test] == (guess == y[test])).all()


def test_nested_choices_use_the_other_folds_only(problem):
    blocks, y, splits, groups = problem
    probe = probes.Ridge((0.01, 1.0, 100.0, 10_000.0))
    found = search(blocks, y, splits, groups, probe, progress=False)
    fold, right = found.fold, found.nested()
    for k, (train, test) in enumerate(splits):
        for s, subset in enumerate(found.subsets):
            inner = np.zeros(4)
            for j in range(5):
                if j != k:
                    fit, held = train[fold[train] != j], train[fold[train] == j]
                    left, tested = probes.standardise({n: b[fit] for n, b in blocks.items()},
                                                      {n: b[held] for n, b in blocks.items()})
                    inner += (probe.fold(left, y[fit], tested, [subset])[0] == y[held]).sum(1)
            assert np.allclose(found.inner[k, s], inner / len(train))
            assert (right[s, test] == found.outer[s, inner.argmax()][test]).all()
    best, picks = found.nested_best()
    assert len(picks) == 5 and all("layer2" in pick for pick in picks)
    assert found.paper().mean(1).max() >= best.mean()


def test_labels_of_a_test_fold_cannot_change_its_nested_choice(problem):
    blocks, y, splits, groups = problem
    one = search(blocks, y, splits, groups, probes.Ridge(), progress=False)
    shuffled = y.copy()
    test = splits[2][1]
    shuffled[test] = (shuffled[test] + 1) % 3
    two = search(blocks, shuffled, splits, groups, probes.Ridge(), progress=False)
    assert one.nested_best()[1][2] == two.nested_best()[1][2]
    assert np.allclose(one.inner[2], two.inner[2])
    assert not np.allclose(one.inner[0], two.inner[0])


def test_noise_scores_at_chance_when_nested_and_above_it_in_the_papers_protocol(fresh_cache):
    rng = np.random.default_rng(1)
    blocks = {f"layer{k}": rng.normal(size=(100, 5)) for k in range(1, 5)}
    y, fold = rng.integers(0, 2, 100), np.arange(100) % 5
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)]
    found = search(blocks, y, splits, np.arange(100).astype(str), probes.Ridge(), progress=False)
    assert found.paper().mean(1).max() > 0.56 and found.nested_best()[0].mean() < 0.6
    assert found.paper().mean(1).max() > found.nested_best()[0].mean()


def test_a_search_cut_off_goes_on_from_its_last_fit(problem, monkeypatch):
    blocks, y, splits, groups = problem
    calls, real = itertools.count(), subsets._fold

    def cut(*arguments):
        if next(calls) == 7:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(subsets, "_fold", cut)
    with pytest.raises(KeyboardInterrupt):
        search(blocks, y, splits, groups, probes.Ridge(), progress=False, threads=1)
    search(blocks, y, splits, groups, probes.Ridge(), progress=False, threads=1)
    assert next(calls) == 7 + 1 + 8  # seven kept, one cut, the eight that were left


def test_generic_probes_and_their_refusals(problem):
    blocks, y, splits, groups = problem
    found = search(blocks, y, splits, groups, probes.logistic((1.0,)), progress=False, nested=False,
                   subsets=[("layer1", "layer2")])
    x = np.concatenate([blocks["layer1"], blocks["layer2"]], 1)
    train, test = splits[0]
    scaler = StandardScaler().fit(x[train])
    model = LogisticRegression(max_iter=500).fit(scaler.transform(x[train]), y[train])
    guess = model.predict(scaler.transform(x[test]))
    assert (found.outer[0, 0, test] == (guess == y[test])).all()
    with pytest.raises(AudiotlError, match="nested=True"):
        found.nested()
    with pytest.raises(AudiotlError, match="tags"):
        search(blocks, np.eye(3)[y], splits, groups, probes.Ridge(), progress=False)
    with pytest.raises(AudiotlError, match="subsets; name the ones"):
        search({f"layer{i}": blocks["layer1"] for i in range(13)}, y, splits, groups, probes.Ridge(), progress=False)
    with pytest.raises(LeakError):
        search(blocks, y, splits, np.array(["same"] * 150), probes.Ridge(), progress=False)


def test_scaling_sees_the_training_clips_alone():
    train, test = {"a": np.array([[0.0], [2.0]])}, {"a": np.array([[100.0]])}
    left, right = probes.standardise(train, test)
    assert left["a"].ravel().tolist() == [-1, 1] and right["a"].ravel().tolist() == [99]
