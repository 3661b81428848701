"""Leaks from test to training, each planted: refused, or without any effect."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import tones, write_clip

from audiotl import datasets, models, probes
from audiotl.datasets.corpus import LeakError, splits_of
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.probes.subset_search import search
from audiotl.training import Recipe, train

N = 120
SPLITS = splits_of(np.arange(N) % 4)
PROBES = [probes.Ridge(), probes.named("svm"), probes.logistic((1.0,)), probes.nearest((3,))]


def problem():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, N)
    return {name: rng.standard_normal((N, 6)) + 0.7 * rng.standard_normal((3, 6))[y]
            for name in ("layer1", "mfcc")}, y


def check_a_wild_test_clip_moves_no_other(probe, **settings) -> None:
    blocks, y = problem()
    wild, others = SPLITS[1][1][0], SPLITS[1][1][1:]
    spoilt = {name: block.copy() for name, block in blocks.items()}
    for block in spoilt.values():
        block[wild] = 1e3 * (1 + np.arange(block.shape[1]))
    before, after = (search(data, y, SPLITS, np.arange(N).astype(str), probe, progress=False,
                            **settings) for data in (blocks, spoilt))
    assert (before.correct()[:, others] == after.correct()[:, others]).all()
    assert np.array_equal(before.inner[1], after.inner[1])
    elsewhere = SPLITS[1][0]
    assert (before.correct()[:, elsewhere] != after.correct()[:, elsewhere]).any(), "too tame"


@pytest.mark.parametrize("width", [None, 3])
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_nothing_measured_on_test_clips_reaches_a_fit(fresh_cache, probe, width):
    """A wild test clip changes neither the others of its fold nor what was chosen for the fold.

    A mean, a scale or a principal component that had seen the test clips would move all of them.
    """
    check_a_wild_test_clip_moves_no_other(probe, width=width)


@pytest.mark.parametrize("step", ["standardise", "reduce"])
def test_a_step_fitted_on_all_clips_would_be_caught(fresh_cache, monkeypatch, step):
    """The leak planted in the search itself: the check above must see it."""
    whole = getattr(probes, step)

    def leaky(train, test, *width):
        both = {name: np.concatenate([train[name], test[name]]) for name in train}
        return tuple(whole(both, part, *width)[1] for part in (train, test))

    monkeypatch.setattr(f"audiotl.probes.subset_search.{step}", leaky)
    with pytest.raises(AssertionError):
        check_a_wild_test_clip_moves_no_other(probes.Ridge(), width=3)


def test_a_group_on_both_sides_is_refused(tmp_path):
    blocks, y = problem()
    groups = np.array(["one recording"] * 2 + [str(i) for i in range(2, N)])
    with pytest.raises(LeakError, match="one recording"):
        search(blocks, y, SPLITS, groups, probes.Ridge(), progress=False)
    paths = [write_clip(tmp_path / f"{i}.wav", seed=i).name for i in range(8)]
    rows = [(path, "ab"[i % 2], i // 4, f"speaker {i % 5}") for i, path in enumerate(paths)]
    table = pd.DataFrame(rows, columns=["path", "label", "fold", "group"])
    table.to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(LeakError, match="speaker 0"):
        datasets.load("manifest", tmp_path).splits()


def test_copies_of_a_recording_stay_on_one_side(tmp_path):
    """The same bytes under another name, in class folders and in a table, with groups or not."""
    for i in range(12):
        path = write_clip(tmp_path / "ab"[i % 2] / f"{i}.wav", seed=i)
        if i % 3 == 0:
            shutil.copy(path, path.with_name(f"copy of {i}.wav"))
    corpus = datasets.load("folder", tmp_path)
    assert len(corpus) == 16 and len(set(corpus.groups)) == 12
    heard = corpus.clips["path"].str.extract(r"(\d+)\.wav$")[0].to_numpy()
    assert all(not set(heard[train]) & set(heard[test]) for train, test in corpus.splits(4))
    table = pd.DataFrame({"path": ["a/0.wav", "b/1.wav", "a/copy of 0.wav"], "label": list("aba")})
    table.to_csv(tmp_path / "manifest.csv", index=False)
    assert datasets.load("manifest", tmp_path).groups.tolist() == ["a/0.wav", "b/1.wav", "a/0.wav"]
    table.assign(group=["x", "y", "z"]).to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(LeakError, match=r"copy of 0\.wav"):
        datasets.load("manifest", tmp_path)


def test_a_recording_of_the_source_is_no_target(tmp_path):
    for i in range(10):
        path = write_clip(tmp_path / "source" / "ab"[i % 2] / f"{i}.wav", seed=i)
        mine = write_clip(tmp_path / "target" / "cd"[i % 2] / f"mine {i}.wav", seed=50 + i)
        if i < 3:
            shutil.copy(path, mine.with_name(f"theirs {i}.wav"))
    source, target = (datasets.load("folder", tmp_path / name) for name in ("source", "target"))
    kept, gone = datasets.without_shared(target, [source])
    assert gone == 3 and not kept.clips["path"].str.contains("theirs").any()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return features(tones(tmp_path_factory.mktemp("clips"), 30), progress=False)


def test_a_clips_features_know_nothing_of_the_other_clips(sound):
    """The features of 2017 took their reference and batch statistics over a batch."""
    few = features(sound.corpus.subset(np.arange(5)), progress=False)
    whole = sound.spectrograms[:5].astype(float)
    assert np.allclose(few.spectrograms.astype(float), whole, atol=0.07)  # float16 at 80
    assert np.allclose(few.mfcc, sound.mfcc[:5], rtol=1e-4, atol=1e-4)
    torch.manual_seed(0)
    net = models.build("convnet5", 3)
    one, all_of_them = (embed(net, s, progress=False) for s in (few, sound))
    assert all(np.allclose(one[tap], all_of_them[tap][:5], atol=1e-3) for tap in one)


def test_training_never_looks_at_the_test_clips(sound):
    split = (np.arange(20), np.arange(20, 30))
    noise = np.array(sound.spectrograms)
    noise[20:] = -80 * np.random.default_rng(0).random(noise[20:].shape)
    other = dataclasses.replace(sound, spectrograms=noise, key="test clips replaced")
    recipe = Recipe(epochs=3, crop=0, batch=8, validation=0.3, patience=1)
    one, two = (train(part, split, recipe, progress=False) for part in (sound, other))
    weights = [done.model.state_dict().values() for done in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
    assert not np.allclose(one.outputs, two.outputs)
    sound.corpus.clips["group"] = "one"
    with pytest.raises(LeakError, match="'one'"):
        train(sound, split, recipe, progress=False)
