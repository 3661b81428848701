"""Leaks from test to training, each planted: refused, or without any effect."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import write_clip

from audiotl import datasets, models, probes
from audiotl.datasets.corpus import Corpus, LeakError
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.probes.subset_search import search
from audiotl.training import Recipe, train

N, FOLDS = 120, 4
fold = np.arange(N) % FOLDS
SPLITS = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]


def problem(seed: int = 0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, N)
    blocks = {name: rng.standard_normal((N, 6)) + 0.7 * rng.standard_normal((3, 6))[y] for name in ("layer1", "mfcc")}
    return blocks, y


PROBES = [probes.Ridge(), probes.named("svm"), probes.logistic((1.0,)), probes.nearest((3,))]


def check_a_wild_test_clip_moves_no_other(probe) -> None:
    blocks, y = problem()
    before = search(blocks, y, SPLITS, np.arange(N).astype(str), probe, progress=False)
    k, wild = 1, SPLITS[1][1][0]
    spoilt = {name: block.copy() for name, block in blocks.items()}
    for block in spoilt.values():
        block[wild] = 1e3 * (1 + np.arange(block.shape[1]))
    after = search(spoilt, y, SPLITS, np.arange(N).astype(str), probe, progress=False)
    others = np.setdiff1d(SPLITS[k][1], wild)
    assert (before.nested()[:, others] == after.nested()[:, others]).all()
    assert np.array_equal(before.inner[k], after.inner[k])
    elsewhere = np.setdiff1d(np.arange(N), SPLITS[k][1])
    assert (before.nested()[:, elsewhere] != after.nested()[:, elsewhere]).any(), "the clip was wild enough to matter"


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_nothing_measured_on_test_clips_reaches_a_fit(fresh_cache, probe):
    """One test clip made wild: no other clip of its fold is predicted otherwise, and its fold's choices stay.

    A mean, a scale or a principal component that had seen the test clips would move all of them.
    """
    check_a_wild_test_clip_moves_no_other(probe)


def test_a_scaler_fitted_on_all_clips_would_be_caught(fresh_cache, monkeypatch):
    """The leak planted in the search itself: the check above must see it."""
    def leaky(train, test):
        everything = {name: np.concatenate([train[name], test[name]]) for name in train}
        both = {name: (block.mean(0), block.std(0)) for name, block in everything.items()}
        return tuple({name: (part[name] - both[name][0]) / both[name][1] for name in part} for part in (train, test))

    monkeypatch.setattr("audiotl.probes.subset_search.standardise", leaky)
    with pytest.raises(AssertionError):
        check_a_wild_test_clip_moves_no_other(probes.Ridge())


def test_a_group_on_both_sides_is_refused(tmp_path):
    blocks, y = problem()
    groups = np.array(["one recording"] * 2 + [str(i) for i in range(2, N)])
    with pytest.raises(LeakError, match="'one recording' is on both sides of fold 0"):
        search(blocks, y, SPLITS, groups, probes.Ridge(), progress=False)
    rows = []
    for i in range(8):
        write_clip(tmp_path / f"{i}.wav", seed=i)
        rows.append((f"{i}.wav", "ab"[i % 2], i // 4, f"speaker {i % 5}"))
    pd.DataFrame(rows, columns=["path", "label", "fold", "group"]).to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(LeakError, match="'speaker 0' is on both sides"):
        datasets.load("manifest", tmp_path).splits()


def test_copies_of_a_recording_stay_on_one_side(tmp_path):
    """The same bytes under another name, in a folder of class folders and in a table with and without groups."""
    for i in range(12):
        write_clip(tmp_path / "ab"[i % 2] / f"{i}.wav", seed=i)
    for i in range(0, 12, 3):
        shutil.copy(tmp_path / "ab"[i % 2] / f"{i}.wav", tmp_path / "ab"[i % 2] / f"copy of {i}.wav")
    corpus = datasets.load("folder", tmp_path)
    assert len(corpus) == 16 and len(set(corpus.groups)) == 12
    for train_rows, test_rows in corpus.splits(4):
        names = [{name.removeprefix("copy of ") for name in corpus.clips["path"].iloc[rows].str.split("/").str[-1]}
                 for rows in (train_rows, test_rows)]
        assert not names[0] & names[1]
    table = pd.DataFrame({"path": ["a/0.wav", "b/1.wav", "a/copy of 0.wav"], "label": list("aba")})
    table.to_csv(tmp_path / "manifest.csv", index=False)
    assert datasets.load("manifest", tmp_path).groups.tolist() == ["a/0.wav", "b/1.wav", "a/0.wav"]
    table.assign(group=["x", "y", "z"]).to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(LeakError, match=r"copy of 0\.wav of group 'z' is a copy of a clip of group 'x'"):
        datasets.load("manifest", tmp_path)


def test_a_recording_of_the_source_is_no_target(tmp_path):
    """Some of the user's clips are files of the source corpus under other names: they are left out and counted."""
    for i in range(10):
        write_clip(tmp_path / "source" / "ab"[i % 2] / f"{i}.wav", seed=i)
        write_clip(tmp_path / "target" / "cd"[i % 2] / f"mine {i}.wav", seed=50 + i)
    for i in range(3):
        shutil.copy(tmp_path / "source" / "ab"[i % 2] / f"{i}.wav", tmp_path / "target" / "c" / f"theirs {i}.wav")
    source = datasets.load("folder", tmp_path / "source")
    kept, gone = datasets.without_shared(datasets.load("folder", tmp_path / "target"), [source])
    assert gone == 3 and not kept.clips["path"].str.contains("theirs").any()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    home = tmp_path_factory.mktemp("clips")
    paths = [str(write_clip(home / f"{i:02d}.wav", 0.5, 200 + 40 * i, seed=i)) for i in range(30)]
    clips = pd.DataFrame({"path": paths, "label": [f"class {i % 3}" for i in range(30)], "fold": -1,
                          "group": [str(i) for i in range(30)]})
    return features(Corpus("tiny", clips, ("class 0", "class 1", "class 2"), 0.5), progress=False)


def test_a_clips_features_know_nothing_of_the_other_clips(sound):
    """The 2017 features took their decibel reference and batch statistics over a batch; these must not."""
    few = features(sound.corpus.subset(np.arange(5)), progress=False)
    assert np.allclose(few.spectrograms.astype(float), sound.spectrograms[:5].astype(float), atol=0.07)  # float16 at 80
    assert np.allclose(few.mfcc, sound.mfcc[:5], rtol=1e-4, atol=1e-4)
    torch.manual_seed(0)
    net = models.build("convnet5", 3)
    both = [embed(net, s, progress=False) for s in (few, sound)]
    assert all(np.allclose(both[0][tap], both[1][tap][:5], atol=1e-3) for tap in both[0])


def test_training_never_looks_at_the_test_clips(sound):
    split = (np.arange(20), np.arange(20, 30))
    noise = np.array(sound.spectrograms)
    noise[20:] = -80 * np.random.default_rng(0).random(noise[20:].shape)
    other = dataclasses.replace(sound, spectrograms=noise, key="test clips replaced")
    recipe = Recipe(epochs=3, crop=0, batch=8, validation=0.3, patience=1)
    one, two = (train(part, split, recipe, progress=False) for part in (sound, other))
    assert all(torch.equal(a, b) for a, b in zip(one.model.state_dict().values(), two.model.state_dict().values(),
                                                 strict=True))
    assert not np.allclose(one.outputs, two.outputs)
    sound.corpus.clips["group"] = "one"
    with pytest.raises(LeakError, match="'one' is on both sides of the training split"):
        train(sound, split, recipe, progress=False)
