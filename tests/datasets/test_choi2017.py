"""The published material: tasks, folds and scores."""

import numpy as np
import pytest

from audiotl import AudiotlError
from audiotl.datasets import choi2017


def test_folds_are_contiguous_blocks():
    assert choi2017.contiguous(np.zeros(7), 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    y = np.array([0, 1, 0, 1, 0, 1, 0, 0])
    assert choi2017.contiguous(y, 2).tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    few = choi2017.contiguous(np.array([0] * 20 + [1] * 3), 10)
    assert few[20:].tolist() == [0, 1, 2]


def test_inner_splits_stay_inside_the_training_clips():
    fold = choi2017.contiguous(np.zeros(50), 10)
    parts = choi2017.inner_splits(fold, 4)
    held = np.concatenate([test for _, test in parts])
    assert sorted(held) == np.flatnonzero(fold != 4).tolist()
    for train, test in parts:
        assert not set(train) & set(test) and (fold[train] != 4).all()


def test_features_and_blocks():
    features = choi2017.features()
    assert len(features) == len(set(features)) == 33
    assert choi2017.inputs_of("urbansound", "mfcc") == "missing"
    assert choi2017.inputs_of("urbansound", "0124") == "unpublished"
    assert choi2017.inputs_of("urbansound", "14") == "other file"
    assert choi2017.inputs_of("gtzan_genre", "14") == "same"


def test_missing_data_is_named(tmp_path):
    with pytest.raises(AudiotlError, match="choi2017"):
        choi2017.load(tmp_path, "gtzan_genre")
    with pytest.raises(AudiotlError, match="jazz"):
        choi2017.load(tmp_path, "jazz")
    (tmp_path / "choi2017").mkdir()
    with pytest.raises(AudiotlError, match="gtzan_genre.csv"):
        choi2017.load(tmp_path, "gtzan_genre")


def test_damaged_features_are_named(tmp_path):
    (tmp_path / "choi2017" / "data_csv").mkdir(parents=True)
    (tmp_path / "choi2017" / "data_feats").mkdir()
    (tmp_path / "choi2017" / "data_csv" / "gtzan_genre.csv").write_text("id,label\na,0\nb,1\n")
    (tmp_path / "choi2017" / "data_feats" / "gtzan_genre_layer_0.npy").write_bytes(b"no array")
    with pytest.raises(AudiotlError, match="layer_0.npy"):
        choi2017.load(tmp_path, "gtzan_genre")


def test_seven_tasks(recordings):
    if not (recordings / "choi2017").is_dir():
        pytest.skip("no choi2017 folder")
    tasks = {name: choi2017.load(recordings, name) for name in choi2017.TASKS}
    assert {name: len(task) for name, task in tasks.items()} == {
        "ballroom_extended": 4180, "gtzan_genre": 1000, "gtzan_speechmusic": 128,
        "emoMusic_a": 744, "emoMusic_v": 744, "jamendo_vd": 4086, "urbansound": 8732}
    for name, task in tasks.items():
        assert ("mfcc" in task.blocks) == (name != "urbansound")
        assert len(task.splits) == (1 if name == "jamendo_vd" else 10)
        shared = set()
        for train, test in task.splits:
            shared |= set(task.groups[train]) & set(task.groups[test])
        # UrbanSound8K's official folds do share five of their 1,297 Freesound sources.
        assert len(shared) == (5 if name == "urbansound" else 0)
    published = choi2017.published(recordings)
    assert len(published) == 210 and published["task"].nunique() == 7
    row = published.set_index(["task", "features"])["published"]
    assert row["gtzan_genre", "01"] == 0.863 and row["gtzan_genre", "mfcc+01234"] == 0.781
