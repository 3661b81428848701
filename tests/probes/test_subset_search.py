import itertools

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audiotl import AudiotlError, probes
from audiotl.datasets.corpus import splits_of
from audiotl.probes import subset_search
from audiotl.probes.subset_search import search


@pytest.fixture
def problem(fresh_cache):
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(30)], 5)
    y = rng.integers(0, 3, 150)
    blocks = {f"layer{k + 1}": rng.normal(size=(150, 4)) + s * y[:, None] * [1, 0, 0, 0]
              for k, s in enumerate((0.3, 0.9, 0.0))}
    return blocks, y, splits_of(np.repeat(np.arange(30) % 5, 5)), groups


def score(problem, probe, **settings):
    return search(*problem, probe, progress=False, **settings)


def check(found, problem, subset, model, cell=0, steps=()):
    """Each fold is right where scikit-learn's pipeline is."""
    blocks, y, splits, _ = problem
    right = found.unpack(found.bits[found.position(subset), cell])
    x = probes.beside(blocks, subset)
    for train, test in splits:
        pipe = make_pipeline(StandardScaler(), *steps, model).fit(x[train], y[train])
        assert (right[test] == (pipe.predict(x[test]) == y[test])).all()


def test_probes_equal_scikit_learn(problem):
    found = score(problem, probes.Ridge((0.1, 10.0)), nested=False)
    for subset, (c, penalty) in itertools.product(found.subsets, enumerate((0.1, 10.0))):
        check(found, problem, subset, RidgeClassifier(penalty), c)
    found = score(problem, probes.logistic((1.0,)), nested=False, subsets=[found.subsets[3]])
    check(found, problem, found.subsets[0], LogisticRegression(max_iter=500))


def test_wide_blocks_become_components_of_the_training_clips(problem):
    blocks, y, splits, groups = problem
    rng = np.random.default_rng(3)
    wide = rng.normal(size=(150, 40)) @ rng.normal(size=(40, 40)) + y[:, None]
    problem = (blocks | {"wide": wide}, y, splits, groups)
    found = score(problem, probes.Ridge((1.0,)), width=5, nested=False)
    check(found, problem, ("wide",), RidgeClassifier(1.0), steps=[PCA(5)])


def test_labels_of_a_test_fold_cannot_change_its_nested_choice(problem):
    blocks, y, splits, groups = problem
    one, shuffled = score(problem, probes.Ridge()), y.copy()
    test = splits[2][1]
    shuffled[test] = (shuffled[test] + 1) % 3
    two = score((blocks, shuffled, splits, groups), probes.Ridge())
    assert one.nested_best()[1][2] == two.nested_best()[1][2]
    assert np.allclose(one.inner[2], two.inner[2])
    assert not np.allclose(one.inner[0], two.inner[0])


def test_noise_scores_at_chance_when_nested_and_above_it_in_the_papers_protocol(fresh_cache):
    rng = np.random.default_rng(1)
    blocks = {f"layer{k}": rng.normal(size=(100, 5)) for k in range(1, 5)}
    y, splits = rng.integers(0, 2, 100), splits_of(np.arange(100) % 5)
    found = score((blocks, y, splits, np.arange(100).astype(str)), probes.Ridge())
    paper, nested = found.scores("paper").max(), found.nested_best()[0].mean()
    assert paper > 0.56 and nested < 0.6 and paper > nested


def test_a_search_cut_off_goes_on_from_its_last_fit(problem, monkeypatch):
    calls, real = itertools.count(), subset_search.fit_without

    def cut(*arguments):
        if next(calls) == 7:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(subset_search, "fit_without", cut)
    with pytest.raises(KeyboardInterrupt):
        score(problem, probes.Ridge(), threads=1)
    score(problem, probes.Ridge(), threads=1)
    assert next(calls) == 7 + 1 + 8  # seven kept, one cut, the eight that were left


def test_what_cannot_be_scored_is_refused(problem):
    blocks, y, splits, groups = problem
    with pytest.raises(AudiotlError, match="nested"):
        score(problem, probes.Ridge(), nested=False).correct()
    for targets in (np.eye(3)[y], y + 0.5):
        with pytest.raises(AudiotlError, match="ridge"):
            score((blocks, targets, splits, groups), probes.logistic())
    with pytest.raises(AudiotlError):
        score((blocks, np.ones(len(y)), splits, groups), probes.Ridge())


def test_the_part_of_a_search_that_is_asked_for_equals_the_whole(problem):
    whole = score(problem, probes.Ridge())
    some = [("layer1", "layer3"), ("layer2",)]
    part = score(problem, probes.Ridge(), subsets=some)
    at = [whole.position(subset) for subset in some]
    assert (part.bits == whole.bits[at]).all() and np.array_equal(part.inner, whole.inner[:, at])
    assert whole.position(("layer3", "layer1")) == at[0]
    for missing in (("layer1", "layer2"), (), ("layer2", "layer2", "nothing")):
        with pytest.raises(AudiotlError, match="layer3"):
            part.position(missing)


def test_too_many_blocks_are_refused(problem, monkeypatch):
    blocks, *rest = problem
    thirteen = ({f"tap{i}": blocks["layer1"][:, :1] for i in range(13)}, *rest)
    with pytest.raises(AudiotlError, match="logistic"):
        score(thirteen, probes.logistic((1.0,)))
    assert len(score(thirteen, probes.Ridge((1.0,)), nested=False).subsets) == 8191
    monkeypatch.setattr(subset_search, "MOST_BYTES", 10_000)
    with pytest.raises(AudiotlError, match="13"):
        score(thirteen, probes.Ridge(), nested=False)
