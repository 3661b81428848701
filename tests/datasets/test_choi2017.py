"""The published material: tasks, folds and scores."""

import numpy as np
import pytest

from audiotl import AudiotlError
from audiotl.datasets import choi2017


def test_folds_are_contiguous_blocks():
    for y, n_folds, fold in (([0] * 7, 3, [0, 0, 0, 1, 1, 2, 2]),
                             ([0, 1, 0, 1, 0, 1, 0, 0], 2, [0, 0, 0, 0, 0, 1, 1, 1]),
                             ([0, 0, 0, 0, 1, 1, 1], 4, [0, 1, 2, 3, 0, 1, 2])):
        assert choi2017.contiguous(np.array(y), n_folds).tolist() == fold


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
    inputs = [choi2017.inputs_of("urbansound", name) for name in ("mfcc", "0124", "14", "13")]
    assert inputs == ["missing", "unpublished", "other file", "same"]
    assert choi2017.inputs_of("gtzan_genre", "14") == "same"


def test_what_is_missing_or_damaged_is_named(tmp_path):
    home = tmp_path / "choi2017"
    with pytest.raises(AudiotlError, match="jazz"):
        choi2017.load(tmp_path, "jazz")
    for file, content, culprit in (("", b"", "choi2017"),
                                   ("data_feats/gtzan_genre_layer_0.npy", b"no array", "genre.csv"),
                                   ("data_csv/gtzan_genre.csv", b"id,label\na,0\n", "layer_0.npy")):
        if file:
            (home / file).parent.mkdir(parents=True)
            (home / file).write_bytes(content)
        with pytest.raises(AudiotlError, match=culprit):
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
