import dataclasses

import numpy as np
import pytest
from conftest import write_clip

from audiotl import cache, datasets, training, transfer
from audiotl.features import features
from audiotl.sources import source_network
from audiotl.training import Recipe
from audiotl.transfer import FINE_TUNED, HEAD, ONE_RATE, PROBE, SCRATCH, Grid, Run, target_split

RECIPE = Recipe(epochs=3, batch=8, crop=32, validation=0.1)
WANTED = [Run("target", "convnet5", "plain", mode, fraction, 0)
          for fraction in (1.0, 0.5) for mode in (SCRATCH, FINE_TUNED, ONE_RATE, PROBE)]
TUNED = WANTED[1]


@pytest.fixture
def sounds(tmp_path, fresh_cache):
    """A source of four pitches and a target of three others; each speaker says each word."""
    def make(name, classes, hertz):
        for c in range(classes):
            for i in range(6):
                write_clip(tmp_path / name / f"class{c}" / f"clip{i}.wav", 0.5,
                           hertz * 2**c * (1 + 0.02 * i), seed=100 * c + i + classes)
        corpus = datasets.load("folder", tmp_path / name)
        speakers = [f"{name} {path[-5]}" for path in corpus.clips["path"]]
        return features(dataclasses.replace(corpus, name=name, clips=corpus.clips.assign(
            fold=-1, group=speakers)), progress=False)

    return make("source", 4, 220), make("target", 3, 170)


def grid(sounds, steps=6, recipe=RECIPE):
    return Grid({"target": sounds[1]}, sounds[0], {"convnet5": recipe}, {"convnet5": steps})


def test_each_seed_tests_other_speakers(sounds):
    corpus = sounds[1].corpus
    splits = [target_split(corpus, seed) for seed in range(4)]
    tested = [set(corpus.groups[test]) for _, (_, test) in splits]
    assert [fold for fold, _ in splits] == [0, 1, 2, 0] and tested[3] == tested[0]
    assert set.union(*tested[:3]) == set(corpus.groups) and not tested[0] & tested[1]
    assert not any(tested[fold] & set(corpus.groups[rows]) for fold, (rows, _) in splits)


def test_a_grid_that_was_killed_goes_on_to_the_undisturbed_results(sounds, tmp_path, monkeypatch,
                                                                   cut_off):
    whole, missing = grid(sounds).run(WANTED, progress=False)
    assert not missing and [one.keys["mode"] for one in whole] == [run.mode for run in WANTED]
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "cut"))
    with cut_off(7):  # amid the second run: three epochs of the source and of each of the runs
        grid(sounds).run(WANTED, progress=False)
    some, missing = grid(sounds).run(WANTED, only_finished=True)
    assert 0 < len(some) < len(WANTED) == len(some) + len(missing)
    started, run = [], transfer.transfer
    monkeypatch.setattr(transfer, "transfer",
                        lambda mode, *args, **how: started.append(mode) or run(mode, *args, **how))
    resumed, _ = grid(sounds).run(WANTED, progress=False)
    assert started == [run.mode for run in missing]
    for one, other in zip(whole, resumed, strict=True):
        assert (one.values == other.values).all() and (one.groups == other.groups).all()
        assert one.keys | {"seconds": 0} == other.keys | {"seconds": 0}


def test_reporting_what_is_finished_trains_nothing(sounds, monkeypatch):
    monkeypatch.setattr(training, "_fit", lambda *args: pytest.fail("a network was trained"))
    assert grid(sounds).run(WANTED, only_finished=True) == ([], WANTED)


def test_a_multiscale_source_serves_the_multiscale_runs_and_no_network_of_a_run_is_kept(sounds):
    wanted = [dataclasses.replace(run, input="multiscale") for run in WANTED]
    done, _ = grid(sounds).run(wanted, progress=False)
    assert {one.keys["train_clips"] for one in done} == {12, 6}
    networks = list((cache.cache_root() / "networks").iterdir())
    source = source_network(sounds[0], RECIPE, multiscale=(1, 2, 3, 4), progress=False)
    assert len(networks) == 1 and list((cache.cache_root() / "networks").iterdir()) == networks
    assert source.model.settings["multiscale"] == [1, 2, 3, 4]


def test_what_determines_a_run_is_in_its_key(sounds, monkeypatch):
    def key(run, **how):
        return cache.key_of(*grid(sounds, **how).content(run))

    changes = ({"mode": SCRATCH}, {"mode": HEAD}, {"mode": ONE_RATE}, {"input": "multiscale"},
               {"fraction": 0.5}, {"seed": 1})
    keys = {key(dataclasses.replace(TUNED, **change)) for change in changes}
    other = dataclasses.replace(RECIPE, epochs=4)
    assert len(keys | {key(TUNED), key(TUNED, steps=9), key(TUNED, recipe=other)}) == 9
    probe = dataclasses.replace(TUNED, mode=PROBE)
    assert key(probe, steps=9) == key(probe) != key(probe, recipe=other)
    before, draw = key(TUNED), transfer.fraction_rows
    monkeypatch.setattr(transfer, "fraction_rows", lambda *args: draw(*args)[1:])
    assert key(TUNED) != before


def test_the_answers_do_not_know_the_test_labels(sounds):
    """Test labels are turned round: the network answers as before, so verdicts flip with them."""
    def verdicts(a_grid):
        return a_grid.run([TUNED], progress=False)[0][0].values[0, 0]

    before = verdicts(grid(sounds))
    corpus = sounds[1].corpus
    _, (_, test) = target_split(corpus, 0)
    old, clips = corpus.targets()[test], corpus.clips.copy()
    clips.loc[test, "label"] = np.roll(clips["label"].to_numpy()[test], 2)
    turned = dataclasses.replace(sounds[1], corpus=dataclasses.replace(corpus, clips=clips))
    again = grid((sounds[0], turned))
    again.splits = {("target", 0): target_split(corpus, 0)}
    after, new = verdicts(again), turned.corpus.targets()[test]
    # Where labels agree the verdict is the same; where they differ at most one can be right.
    assert (before[old == new] == after[old == new]).all() and (old != new).any()
    assert not (before * after)[old != new].any()
