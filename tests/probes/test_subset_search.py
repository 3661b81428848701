import itertools

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from audiotl import AudiotlError, probes, shapley
from audiotl.datasets import LeakError
from audiotl.probes import subset_search
from audiotl.probes.subset_search import all_subsets, label, search


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
                assert (found.unpack(found.bits[s, c])[test] == (guess == y[test])).all()


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
            assert (right[s, test] == found.unpack(found.bits[s, inner.argmax()])[test]).all()
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
    calls, real = itertools.count(), subset_search.fit_without

    def cut(*arguments):
        if next(calls) == 7:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(subset_search, "fit_without", cut)
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
    assert (found.unpack(found.bits[0, 0])[test] == (guess == y[test])).all()
    with pytest.raises(AudiotlError, match="nested=True"):
        found.nested()
    with pytest.raises(AudiotlError, match="tags"):
        search(blocks, np.eye(3)[y], splits, groups, probes.Ridge(), progress=False)
    with pytest.raises(LeakError):
        search(blocks, y, splits, np.array(["same"] * 150), probes.Ridge(), progress=False)


def test_scaling_sees_the_training_clips_alone():
    train, test = {"a": np.array([[0.0], [2.0]])}, {"a": np.array([[100.0]])}
    left, right = probes.standardise(train, test)
    assert left["a"].ravel().tolist() == [-1, 1] and right["a"].ravel().tolist() == [99]


def test_the_part_of_a_search_that_is_asked_for_equals_the_whole(problem):
    blocks, y, splits, groups = problem
    whole = search(blocks, y, splits, groups, probes.Ridge(), progress=False)
    some = [("layer1", "layer3"), ("layer2",)]
    part = search(blocks, y, splits, groups, probes.Ridge(), subsets=some, progress=False)
    at = [whole.position(subset) for subset in some]
    assert (part.bits == whole.bits[at]).all() and np.array_equal(part.inner, whole.inner[:, at])
    assert whole.position(("layer3", "layer1")) == at[0]
    for missing in (("layer1", "layer2"), (), ("layer2", "layer2", "nothing")):
        with pytest.raises(AudiotlError, match="was not scored; choose among layer1, layer2, layer3"):
            part.position(missing)


def test_packed_results_say_the_same_as_unpacked_ones(problem):
    blocks, y, splits, groups = problem
    found = search(blocks, y, splits, groups, probes.Ridge((0.01, 1.0, 100.0)), progress=False)
    assert found.bits.shape == (7, 3, 19)
    assert np.allclose(found.scores("paper"), found.unpack(found.bits).mean(2).max(1))
    assert np.allclose(found.scores(), found.nested().mean(1))
    best, picks = found.nested_best([0, 2])
    for k, pick in enumerate(picks):
        table = found.inner[k][[0, 2]]
        s, c = np.unravel_index(table.argmax(), table.shape)
        assert pick == found.subsets[[0, 2][s]]
        assert (best[found.fold == k] == found.unpack(found.bits[[0, 2][s], c])[found.fold == k]).all()


def test_wide_blocks_become_components_of_the_training_clips(problem):
    blocks, y, splits, groups = problem
    rng = np.random.default_rng(3)
    wide = blocks | {"wide": rng.normal(size=(150, 40)) @ rng.normal(size=(40, 40)) + y[:, None]}
    found = search(wide, y, splits, groups, probes.Ridge((1.0,)), width=5, progress=False, nested=False)
    train, test = splits[1]
    scaler = StandardScaler().fit(wide["wide"][train])
    axes = PCA(5).fit(scaler.transform(wide["wide"][train]))
    x, tested = (axes.transform(scaler.transform(wide["wide"][rows])) for rows in (train, test))
    guess = Ridge(alpha=1.0).fit(x, np.eye(3)[y[train]]).predict(tested).argmax(1)
    assert (found.unpack(found.bits[found.position(("wide",)), 0])[test] == (guess == y[test])).all()


def test_what_is_planted_in_test_clips_cannot_reach_the_components(problem, monkeypatch):
    blocks, y, splits, groups = problem
    wide = {"wide": np.random.default_rng(4).normal(size=(150, 30))}
    train, test = splits[0]
    planted = {"wide": wide["wide"].copy()}
    planted["wide"][test] = 50 * np.eye(30)[y[test]]
    seen = []
    for data in (wide, planted):
        left, right = probes.standardise({"wide": data["wide"][train]}, {"wide": data["wide"][test]})
        seen.append(probes.reduce(left, right, 3))
    assert np.array_equal(seen[0][0]["wide"], seen[1][0]["wide"]) and seen[0][0]["wide"].shape == (120, 3)
    assert not np.allclose(seen[0][1]["wide"], seen[1][1]["wide"])
    # The whole search: what the planted fold was trained on stays the same, bit for bit.
    fits, real = [], subset_search.reduce
    monkeypatch.setattr(subset_search, "reduce", lambda *sides: fits.append(real(*sides)[0]["wide"]) or real(*sides))
    for data in (wide, planted):
        search(data, y, splits, groups, probes.Ridge((1.0,)), width=3, nested=False, progress=False, threads=1)
    assert len(fits) == 10 and np.array_equal(fits[0], fits[5]) and not np.allclose(fits[1], fits[6])


def test_too_many_blocks_are_refused(problem, monkeypatch):
    blocks, y, splits, groups = problem
    thirteen = {f"tap{i}": blocks["layer1"][:, :1] for i in range(13)}
    with pytest.raises(AudiotlError, match="8,191 subsets.* logistic takes 12 .*shapley.sample"):
        search(thirteen, y, splits, groups, probes.logistic((1.0,)), progress=False)
    found = search(thirteen, y, splits, groups, probes.Ridge((1.0,)), nested=False, progress=False)
    assert len(found.subsets) == 8191
    monkeypatch.setattr(subset_search, "MOST_BYTES", 10_000)
    with pytest.raises(AudiotlError, match="13 blocks"):
        search(thirteen, y, splits, groups, probes.Ridge(), nested=False, progress=False)


def test_a_sample_stands_in_where_the_whole_is_too_much(problem):
    blocks, y, splits, groups = problem
    names = [f"tap{i}" for i in range(24)]
    many = {name: blocks[f"layer{1 + i % 3}"][:, :2] + i for i, name in enumerate(names)}
    wanted = shapley.sample(names, 4)
    found = search(many, y, splits, groups, probes.Ridge((1.0,)), subsets=wanted, progress=False)
    chance = np.bincount(y).max() / len(y)
    score = dict(zip(found.subsets, found.scores(), strict=True)) | {(): chance}
    values = shapley.sampled(score.__getitem__, names, 4)
    assert values["value"].sum() == pytest.approx(score[tuple(names)] - chance, abs=1e-9)
