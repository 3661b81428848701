import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SkRidge

from audiotl import ablation, datasets, replication
from audiotl.ablation import Scored, Weighted, by_kind, differences, live, nested, published, published_svm, table
from audiotl.datasets import choi2017
from audiotl.features import features
from audiotl.probes import Ridge, Sklearn, nearest


@pytest.fixture(scope="module")
def task():
    return choi2017.demonstration(n=90)


def test_a_weighted_probe_is_the_probe_on_weighted_columns():
    rng = np.random.default_rng(0)
    train, test = ({"a": rng.standard_normal((n, 4)), "mfcc": rng.standard_normal((n, 3))} for n in (40, 11))
    y, sets = rng.integers(0, 3, 40), [("a", "mfcc"), ("mfcc",)]
    weighted = Weighted(nearest((3,)), weights=(0.5, 4.0))
    assert [cell["weight"] for cell in weighted.cells] == [0.5, 4.0]
    found = weighted.fold(train, y, test, sets)
    by_hand = nearest((3,)).fold(train | {"mfcc": 4 * train["mfcc"]}, y, test | {"mfcc": 4 * test["mfcc"]}, sets)
    assert found.shape == (2, 2, 11) and (found[:, 1] == by_hand[:, 0]).all()
    assert (found[0, 0] != found[0, 1]).any()


def test_nested_selection_on_a_task_never_looks_at_the_scored_clips(task):
    probe = Sklearn("wild", SkRidge(), [{"alpha": 1.0}, {"alpha": 1e6}])
    values = task.y.astype(float)
    regression = dataclasses.replace(task, regression=True, y=values)
    scores = nested(regression, [("0", "1"), ("mfcc",)], probe, scale=True)
    assert scores.shape == (2, len(task))
    # Wrecking the test labels of a fold changes its scores but not its choice: another fold's scores stay.
    moved = values.copy()
    moved[task.splits[0][1]] += 5
    other = nested(dataclasses.replace(regression, y=moved, splits=task.splits[:1], inner=task.inner[:1]),
                   [("0", "1"), ("mfcc",)], probe, scale=True)
    assert other.shape == (2, len(task.splits[0][1])) and (other < scores[:, :other.shape[1]]).all()


def test_published_rows_and_their_differences(task):
    rows = published(task)
    frame = table(rows)
    assert list(frame.columns) == ["features_from", "source", "target", "blocks", "scaling", "probe", "score", "ci_low",
                                   "ci_high"]
    assert len(frame) == 7 and frame.query("scaling == 'weighted'")["blocks"].tolist() == ["both"]
    by_hand = nested(task, [choi2017.LAYERS], Ridge(), scale=True)[0].mean()
    assert np.isclose(frame.query("scaling == 'standardised' and blocks == 'network'")["score"].item(), by_hand)
    gaps = differences(rows)
    assert len(gaps) == 3 + 3 + 2 and set(gaps["comparison"]) == {"both - network", "both - mfcc", "network - mfcc"}
    both = frame.query("scaling == 'raw' and blocks == 'both'")["score"].item()
    network = frame.query("scaling == 'raw' and blocks == 'network'")["score"].item()
    gap = gaps.query("scaling == 'raw' and comparison == 'both - network'").iloc[0]
    assert np.isclose(gap["difference"], both - network) and 0 <= gap["p"] <= 1
    alone = published(dataclasses.replace(task, blocks={k: v for k, v in task.blocks.items() if k != "mfcc"}))
    assert {row.blocks for row in alone} == {"network"} and differences(alone).empty


def test_svm_rows_are_taken_from_the_cache_or_made_on_demand(fresh_cache, monkeypatch):
    task, rng = choi2017.demonstration(n=60), np.random.default_rng(0)
    monkeypatch.setattr(replication, "predict", lambda task, names, splits, *_, **__: rng.integers(
        0, 3, (32, sum(len(test) for _, test in splits))))
    assert published_svm(task) == []
    values = replication.nested(task, "01234").values[0, 0]
    (row,) = published_svm(task)
    assert (row.blocks, row.scaling) == ("network", "raw") and (row.values == values).all()
    assert len(published_svm(task, compute=True)) == 6


def test_live_rows_with_and_without_a_network(class_folders, fresh_cache):
    aim = features(datasets.load("folder", class_folders), progress=False)
    rng = np.random.default_rng(0)
    taps = {"layer1": rng.standard_normal((36, 4)), "layer2": aim.mfcc[:, :5].astype(float)}
    rows = [*live("none", "folder", {}, aim, ["ridge"]), *live("random", "folder", taps, aim, ["ridge"])]
    assert [(row.blocks, row.scaling) for row in rows] == [
        ("mfcc", "raw"), ("mfcc", "standardised"), ("network", "raw"), ("both", "raw"), ("network", "standardised"),
        ("both", "standardised"), ("both", "weighted")]
    assert {row.values.shape for row in rows} == {(36,)} and len(differences(rows)) == 8


def toy(target, source, gap, blocks, seed=0):
    base = np.random.default_rng(seed).integers(0, 2, 200).astype(float)
    values = base.copy() if blocks == "network" else np.where(np.arange(200) < abs(gap), float(gap > 0), base)
    return Scored("live", source, target, blocks, "standardised", "ridge", values, np.arange(200) % 5,
                  np.arange(200).astype(str))


def test_kinds_of_task_are_counted_and_averaged_over_targets():
    rows = [toy(target, source, gap, blocks) for blocks in ("network", "both")
            for target, source, gap in (("esc50", "music", 80), ("urbansound8k", "music", 0), ("gtzan", "music", -90),
                                        ("gtzan", "random", 90))]
    found = by_kind(rows).set_index("kind")
    assert found.loc["events", ["targets", "cases", "gains", "losses"]].tolist() == [2, 2, 1, 0]
    assert found.loc["genre and dance", ["cases", "gains", "losses"]].tolist() == [1, 0, 1]
    single = differences(rows).set_index(["target", "source"])["difference"]
    assert np.isclose(found.loc["events", "difference"], single["esc50", "music"] / 2)
    assert found.loc["genre and dance", "ci_high"] < 0
    assert ablation.kind_of("philharmonia") == "instruments" and ablation.kind_of("folder") == "other"
