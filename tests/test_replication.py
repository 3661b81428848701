"""The published protocol, recomputed rather than looked up, beside the nested one."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from sklearn.linear_model import Ridge as SkRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from audiotl import replication
from audiotl.datasets import choi2017
from audiotl.datasets.choi2017 import Task
from audiotl.datasets.corpus import splits_of
from audiotl.probes import Sklearn

NOTHING = pd.DataFrame({"task": [], "features": [], "published": []})
COMMITTED = ROOT / "reports" / "real" / "06_choi2017_replication"
GOLDEN = [("gtzan_speechmusic", "0"), ("gtzan_speechmusic", "mfcc"), ("gtzan_speechmusic", "0124"),
          ("gtzan_genre", "01"), ("gtzan_genre", "01234"), ("emoMusic_v", "0"), ("emoMusic_a", "4")]
"""Rows that take a second or two each."""

COSTS, GAMMAS = [0.1, 2, 8, 32], [2.0**-k for k in (3, 5, 7, 9, 11, 13)] + ["auto"]
GRID = [{"kernel": ["rbf"], "C": COSTS, "gamma": GAMMAS}, {"kernel": ["linear"], "C": COSTS}]
"""The 32 cells, as scikit-learn writes them."""


def table(tasks: list[Task], *features: str) -> pd.DataFrame:
    return replication.table(tasks, NOTHING, features, threads=1, progress=False)


def test_clip_scores_average_to_the_weighted_mean_of_folds():
    rng = np.random.default_rng(0)
    y = rng.normal(size=23)
    fold = choi2017.contiguous(np.zeros(23), 4)
    splits = splits_of(fold)
    task = Task("values", True, {}, y, splits, [], np.arange(23).astype(str))
    predicted = y + 0.3 * rng.normal(size=23)
    by_fold = [r2_score(y[test], predicted[test]) for _, test in splits]
    scores = replication.clip_scores(task, predicted)
    assert scores.mean() == pytest.approx(np.average(by_fold, weights=[len(t) for _, t in splits]))
    np.testing.assert_allclose(np.bincount(fold, scores) / np.bincount(fold), by_fold)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_tuned_score_is_that_of_a_grid_search(fresh_cache, scaled):
    task, parts = choi2017.demonstration(n=60), []
    x = np.concatenate([task.blocks["0"], task.blocks["1"]], 1)
    for train, test in task.splits:
        mean, scale = (x[train].mean(0), x[train].std(0)) if scaled else (0, 1)
        search = GridSearchCV(SVC(), GRID, cv=[(train, test)], refit=False)
        search.fit((x - mean) / scale, task.y)
        parts.append(search.cv_results_["mean_test_score"])
    expected = np.average(parts, axis=0, weights=[len(test) for _, test in task.splits]).max()
    found = replication.tuned(task, "01", scaled)
    assert found.mean == pytest.approx(expected, abs=1e-12)
    assert found.keys == {"task": "demonstration", "features": "01", "protocol": replication.TUNED,
                          "scaling": replication.SCALED if scaled else replication.RAW}


def test_the_nested_score_is_that_of_a_grid_search_inside_each_fold(fresh_cache):
    task, correct = choi2017.demonstration(n=60), []
    x = task.blocks["2"]
    for (train, test), inner in zip(task.splits, task.inner, strict=True):
        found = GridSearchCV(SVC(), GRID, cv=inner, refit=False).fit(x, task.y).cv_results_
        parts = [found[f"split{k}_test_score"] for k in range(len(inner))]
        means = np.average(parts, axis=0, weights=[len(held) for _, held in inner])
        probe = SVC(**found["params"][means.round(9).argmax()]).fit(x[train], task.y[train])
        correct.append(probe.predict(x[test]) == task.y[test])
    assert (replication.nested(task, "2").values[0, 0] == np.concatenate(correct)).all()


@pytest.fixture
def published(recordings, fresh_cache):
    if not (recordings / "choi2017").is_dir():
        pytest.skip("no choi2017 folder")
    return recordings


@pytest.mark.parametrize(("name", "feature"), GOLDEN)
def test_committed_rows_come_out_again(published, name, feature):
    rows = pd.read_csv(COMMITTED / "replication.csv", dtype={"features": str})
    golden = rows.set_index(["task", "features"]).loc[(name, feature)]
    found = table([choi2017.load(published, name)], feature).iloc[0]
    assert found["reproduced"] == pytest.approx(golden["reproduced"], abs=1e-9)
    assert found["best_params"] == golden["best_params"] and found["inputs"] == golden["inputs"]
    if name.startswith("gtzan") and found["inputs"] == "same":
        assert found["reproduced"] == pytest.approx(golden["published"], abs=1e-12)


def test_committed_nested_scores_come_out_again(published):
    rows = pd.read_csv(COMMITTED / "audit.csv", dtype={"features": str})
    golden = rows.set_index(["task", "features", "scaling", "protocol"])["score"]
    task = choi2017.load(published, "gtzan_speechmusic")
    for feature in ("01234", "mfcc+01234"):
        for scaled in (False, True):
            for protocol in (replication.tuned, replication.nested):
                found = protocol(task, feature, scaled)
                assert found.mean == pytest.approx(golden[tuple(found.keys.values())], abs=1e-12)


def test_one_other_label_moves_the_score(fresh_cache):
    """Nothing is looked up, and the cache knows the labels apart."""
    task = choi2017.demonstration()
    before = replication.tuned(task, "01")
    y = task.y.copy()
    y[[3, 140]] = y[[140, 3]]
    assert replication.tuned(dataclasses.replace(task, y=y), "01").mean != before.mean
    assert (replication.tuned(task, "01").values == before.values).all()


def test_a_table_goes_on_where_it_stopped(fresh_cache, monkeypatch):
    task = choi2017.demonstration()
    first = table([task], "0", "01")
    nested = replication.nested(task, "0")
    blocks = {name: block for name, block in task.blocks.items() if name != "mfcc"}
    row = table([dataclasses.replace(task, blocks=blocks)], "mfcc").iloc[0]
    assert np.isnan(row["reproduced"]) and row["best_params"] == ""  # its input is missing
    monkeypatch.setattr(replication, "predict", None)  # whatever is asked for again fails
    pd.testing.assert_frame_equal(first, table([task], "0", "01"))
    assert (replication.nested(task, "0").values == nested.values).all()


def test_nested_selection_never_sees_its_test_clips(fresh_cache):
    """On labels without any signal, the tuned score is above chance and the nested one is not."""
    task = choi2017.demonstration()
    y = np.random.default_rng(5).permutation(task.y)
    fold = choi2017.contiguous(y, 10)
    inner = [choi2017.inner_splits(fold, k) for k in range(10)]
    task = dataclasses.replace(task, y=y, splits=splits_of(fold), inner=inner)
    chosen = replication.nested(task, choi2017.LAYERS)
    chance = np.bincount(y).max() / len(y)
    assert chosen.values.shape == (1, 1, 150) and chosen.keys["features"] == "best of 5"
    assert replication.tuned(task, choi2017.LAYERS).mean > chosen.mean
    assert chosen.mean < chance + 0.1


def test_a_nested_probe_never_looks_at_the_scored_clips():
    task = choi2017.demonstration(n=90)
    probe = Sklearn("wild", SkRidge(), [{"alpha": 1.0}, {"alpha": 1e6}])
    values, layers = task.y.astype(float), {name: task.blocks[name] for name in choi2017.LAYERS}
    task = dataclasses.replace(task, regression=True, y=values)
    scores = replication.nested_probe(task, layers, probe).values[0, 0]
    # Wrecked answers of a fold change its scores, but neither its choice nor other folds' fits.
    moved = values.copy()
    moved[task.splits[0][1]] += 5
    first = dataclasses.replace(task, y=moved, splits=task.splits[:1], inner=task.inner[:1])
    other = replication.nested_probe(first, layers, probe).values[0, 0]
    assert len(scores) == 90 and (other < scores[:len(other)]).all()
