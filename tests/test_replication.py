"""The published protocol, recomputed rather than looked up, and its audit."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from audiotl import audit, replication
from audiotl.datasets import choi2017

NOTHING = pd.DataFrame({"task": [], "features": [], "published": []})


def quiet(_):
    pass


def test_clip_scores_average_to_the_weighted_mean_of_folds():
    rng = np.random.default_rng(0)
    y = rng.normal(size=23)
    fold = choi2017.contiguous(23, 4)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(4)]
    task = choi2017.Task("values", True, {}, y, splits, [], np.arange(23).astype(str))
    predicted = y + 0.3 * rng.normal(size=23)
    by_fold = [r2_score(y[test], predicted[test]) for _, test in splits]
    scores = replication.clip_scores(task, predicted)
    assert scores.mean() == pytest.approx(np.average(by_fold, weights=[len(t) for _, t in splits]))
    np.testing.assert_allclose(replication.fold_means(task, scores), by_fold)


def test_one_other_label_moves_the_score(fresh_cache):
    """Nothing is looked up, and the cache knows the labels apart."""
    task = choi2017.demonstration()
    before = replication.tuned(task, "01")[0]
    y = task.y.copy()
    y[[3, 140]] = y[[140, 3]]
    after = replication.tuned(dataclasses.replace(task, y=y), "01")[0]
    assert before.mean() != after.mean()
    again = replication.tuned(task, "01")[0]
    assert (again == before).all()


def test_a_perturbed_label_moves_a_published_row(recordings, fresh_cache):
    if not (recordings / "choi2017").is_dir():
        pytest.skip("no choi2017 folder")
    task = choi2017.load(recordings, "gtzan_genre")
    y = task.y.copy()
    y[:5], y[900:905] = y[900], y[0]
    moved = replication.tuned(dataclasses.replace(task, y=y), "4")[0].mean()
    assert replication.tuned(task, "4")[0].mean() == pytest.approx(0.788, abs=1e-12)
    assert abs(moved - 0.788) > 1e-4


def test_published_rows_come_out_to_the_last_digit(recordings, fresh_cache):
    if not (recordings / "choi2017").is_dir():
        pytest.skip("no choi2017 folder")
    published = choi2017.published(recordings)
    tasks = [choi2017.load(recordings, "gtzan_speechmusic")]
    table = replication.table(tasks, published, threads=1, say=quiet)
    assert len(table) == 33 and (table["inputs"] == "unpublished").sum() == 3
    same = table[table["inputs"] == "same"]
    assert len(same) == 30 and (same["difference"].abs() < 1e-12).all()
    tasks = [choi2017.load(recordings, "gtzan_genre")]
    for row in replication.table(tasks, published, ["01", "mfcc+01234"], 1, quiet).itertuples():
        assert row.difference == pytest.approx(0.0, abs=1e-12)


def test_a_table_goes_on_where_it_stopped(fresh_cache):
    lines = []
    tasks = [choi2017.demonstration()]
    first = replication.table(tasks, NOTHING, ["0", "01"], 1, lines.append)
    second = replication.table(tasks, NOTHING, ["0", "01"], 2, lines.append)
    pd.testing.assert_frame_equal(first, second)
    assert len(lines) == 4 and "left" in lines[0]


def test_missing_inputs_leave_a_row_empty(fresh_cache):
    task = choi2017.demonstration()
    task = dataclasses.replace(task, blocks={k: v for k, v in task.blocks.items() if k != "mfcc"})
    row = replication.table([task], NOTHING, ["mfcc"], 1, quiet).iloc[0]
    assert np.isnan(row["reproduced"]) and row["best_params"] == ""


def test_nested_selection_never_sees_its_test_clips(fresh_cache):
    """On labels without any signal, the tuned score is above chance and the nested one is not."""
    task = choi2017.demonstration()
    y = np.random.default_rng(5).permutation(task.y)
    fold = choi2017.contiguous_in_class(y, 10)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(10)]
    task = dataclasses.replace(task, y=y, splits=splits, inner=[choi2017.inner_splits(fold, k) for k in range(10)])
    features = ["0", "1", "2", "3", "4"]
    tuned = max(replication.tuned(task, f)[0].mean() for f in features)
    scores, choices = replication.nested(task, features)
    assert len(choices) == 10 and len(scores) == 150
    chance = np.bincount(y).max() / len(y)
    assert tuned > scores.mean() and scores.mean() < chance + 0.1


def test_audit_of_a_small_task(fresh_cache, monkeypatch):
    monkeypatch.setattr(audit, "SUBSETS", ("0", "01", "01234"))
    task = choi2017.demonstration()
    table, kept = audit.table([task], [task.name], 1, quiet)
    assert list(table.columns) == ["task", "features", "scaling", "protocol", "score", "ci_low", "ci_high"]
    assert (table["ci_low"] <= table["score"]).all() and (table["score"] <= table["ci_high"]).all()
    assert set(table["protocol"]) == {audit.TUNED, audit.NESTED} and set(table["scaling"]) == {audit.RAW, audit.SCALED}
    claims = audit.claims([task], kept)
    assert set(claims["claim"]) == set(audit.CLAIMS)
    assert ((claims["p_holm"] >= 0) & (claims["p_holm"] <= 1)).all()
    score = table.set_index(["features", "scaling", "protocol"])["score"]
    scaling = audit.scaling([task], kept).set_index("features")["difference"]
    assert list(scaling.index) == list(audit.BASICS)
    assert scaling["mfcc"] == pytest.approx(score["mfcc", audit.SCALED, audit.NESTED] -
                                            score["mfcc", audit.RAW, audit.NESTED])
    optimism = audit.optimism([task], kept).set_index("what")["optimism"]
    assert optimism["cell and subset chosen"] == pytest.approx(score[audit.ANY, audit.RAW, audit.TUNED] -
                                                               score[audit.ANY, audit.RAW, audit.NESTED])
    assert len(optimism) == 2


def test_holm():
    assert audit.holm(np.array([0.01, 0.04, 0.03])).round(3).tolist() == [0.03, 0.06, 0.06]
