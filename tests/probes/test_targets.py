"""Classes, tags and numbers through the whole search, against scikit-learn on the same folds."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audiotl import probes, shapley, stats
from audiotl.datasets.corpus import splits_of
from audiotl.probes import controls, targets
from audiotl.probes.coalitions import guesses
from audiotl.probes.subset_search import search

PENALTIES = (0.1, 10.0, 1000.0)


@pytest.fixture(params=targets.KINDS)
def problem(request, fresh_cache):
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i:02d}" for i in range(40)], 4)
    hidden = rng.normal(size=(160, 6))
    y = {"classes": np.digitize(hidden[:, 0], (-0.4, 0.4)),
         "tags": (hidden[:, :4] > 0.3).astype(np.float32),
         "numbers": hidden[:, 0] - 0.5 * hidden[:, 1] + 3}[request.param]
    blocks = {f"layer{k}": hidden @ rng.normal(size=(6, 5)) + rng.normal(size=(160, 5)) * noise
              for k, noise in enumerate((1.0, 3.0, 9.0), 1)}
    return blocks, y, splits_of(np.repeat(np.arange(40) % 5, 4)), groups


@pytest.fixture
def found(problem):
    return search(*problem, probes.Ridge(PENALTIES), progress=False)


def held_out(blocks, y, splits, subset, penalty):
    x, out = probes.beside(blocks, subset), np.zeros(y.shape)
    model = RidgeClassifier if targets.kind(y) == "classes" else Ridge
    for train, test in splits:
        out[test] = make_pipeline(StandardScaler(), model(penalty)).fit(
            x[train], y[train]).predict(x[test])
    return out


def score_of(y, said, rows=slice(None)):
    if y.ndim == 2:
        return metrics.label_ranking_average_precision_score(y[rows], said[rows])
    if targets.kind(y) == "classes":
        return np.mean(said[rows] == y[rows])
    return 1 - metrics.mean_squared_error(y[rows], said[rows]) / y.var()


def test_every_subset_and_penalty_scores_as_scikit_learn(problem, found):
    blocks, y, splits, _ = problem
    for s, subset in enumerate(found.subsets):
        for c, penalty in enumerate(PENALTIES):
            expected = score_of(y, held_out(blocks, y, splits, subset, penalty))
            assert found.unpack(found.bits[s, c]).mean(dtype=float) == pytest.approx(
                expected, abs=1e-6)
    if targets.kind(y) == "numbers":
        assert expected == pytest.approx(metrics.r2_score(
            y, held_out(blocks, y, splits, found.names, PENALTIES[-1])), abs=1e-9)


def test_choices_are_made_on_the_other_folds(problem, found):
    blocks, y, splits, _ = problem
    for subset in (("layer1", "layer3"), found.names):
        said, s = np.zeros(y.shape), found.position(subset)
        for i, (train, test) in enumerate(splits):
            inner = [(np.intersect1d(train, splits[j][0]), splits[j][1])
                     for j in range(len(splits)) if j != i]
            means = [score_of(y, held_out(blocks, y, inner, subset, penalty), train)
                     for penalty in PENALTIES]
            assert np.allclose(found.inner[i, s], means, atol=1e-6)
            best = PENALTIES[np.argmax(means)]
            said[test] = held_out(blocks, y, splits, subset, best)[test]
        assert found.scores()[s] == pytest.approx(score_of(y, said), abs=1e-6)
    outputs = controls.held_out(blocks, *problem[1:], probes.Ridge(PENALTIES))
    kind, one = targets.kind(y), found.scored(found.names)
    assert np.allclose(targets.answers(outputs, np.arange(outputs.shape[1]), kind), said)
    further = {"classes": (), "tags": (metrics.average_precision_score, metrics.roc_auc_score),
               "numbers": (metrics.mean_squared_error,)}[kind]
    assert np.allclose(list(targets.measures(y, outputs).values()),
                       [one.mean, *(measure(y, said) for measure in further)], atol=1e-6)
    row = stats.score_table([one]).iloc[0]
    assert row["ci_low"] < row["score"] < row["ci_high"]


def test_the_best_subset_is_chosen_on_the_other_folds_or_as_published_on_all(problem, found):
    best, picks = found.nested_best()
    for i, (_, test) in enumerate(problem[2]):
        s, c = np.unravel_index(found.inner[i].argmax(), found.inner[i].shape)
        assert picks[i] == found.subsets[s] and "layer1" in picks[i]
        assert (best == found.unpack(found.bits[s, c]))[test].all()
    every = found.unpack(found.bits).mean(2, dtype=float).max(1)
    assert np.allclose(found.scores("paper"), every) and every.max() >= best.mean(dtype=float)


def test_shapley_values_sum_to_all_minus_nothing(problem, found):
    _, y, splits, groups = problem
    nobody = guesses(y, splits)
    each, pairs = shapley.attribute(found.nested_bits, shapley.masks(found.subsets, found.names),
                                    nobody, groups, found.names)
    whole = found.scored(found.names).mean
    assert each["value"].sum() == pytest.approx(whole - nobody.mean(), abs=1e-6)
    assert each["value"].idxmax() == 0 and len(pairs) == 3
    said = np.zeros(y.shape)
    for train, test in splits:
        classes = targets.kind(y) == "classes"
        said[test] = np.bincount(y[train]).argmax() if classes else y[train].mean(0)
    assert nobody.mean() == pytest.approx(score_of(y, said), abs=1e-6)


def test_all_blocks_at_one_width_score_the_same(problem, found):
    blocks, y, splits, groups = problem
    wide = controls.score(blocks, y, [splits], groups, probes.Ridge(PENALTIES))
    assert np.allclose(wide.values[0, 0], found.scored(found.names).values[0, 0], atol=1e-5)
    seen = controls.repeated_splits(y, groups, repeats=2)
    assert controls.score(blocks, y, seen, groups, probes.Ridge(PENALTIES)).values.shape[1] == 2
    weighted = probes.Weighted(probes.Ridge((1.0,)), "layer1", (0.1, 1.0))
    clips = 20 if targets.kind(y) == "classes" else 160  # packed
    assert search(*problem, weighted, progress=False).bits.shape == (7, 2, clips)


def test_any_regression_of_scikit_learn_reads_numbers(problem):
    blocks, y, splits, _ = problem
    if targets.kind(y) == "numbers":
        probe = probes.Sklearn("least squares", LinearRegression())
        found = search(*problem, probe, subsets=[("layer1",)], nested=False, progress=False)
        expected = held_out(blocks, y, splits, ("layer1",), 1e-9)
        assert found.scores("paper")[0] == pytest.approx(score_of(y, expected), abs=1e-5)


def test_ranking_precision_is_scikit_learns_with_ties_and_empty_clips():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, (60, 7))
    y[0], y[1] = 0, 1
    outputs = rng.integers(0, 4, (60, 7)) / 3
    each = targets.clip_scores(y, outputs)
    for clip, score in enumerate(each):
        assert score == pytest.approx(metrics.label_ranking_average_precision_score(
            y[[clip]], outputs[[clip]]))
