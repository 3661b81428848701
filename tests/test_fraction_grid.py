import dataclasses

import numpy as np
import pytest
from conftest import write_clip

from audiotl import AudiotlError, cache, datasets, fraction_grid, study, training
from audiotl.datasets import own_sounds
from audiotl.features import features
from audiotl.fraction_grid import FACTORIAL, Cell, Grid, budgets, cells, target_split
from audiotl.training import Recipe
from audiotl.transfer import FINE_TUNED, HEAD, ONE_RATE, PROBE, SCRATCH

RECIPE = Recipe(epochs=3, batch=8, crop=32, validation=0.1)


@pytest.fixture
def plan(tmp_path, fresh_cache, monkeypatch):
    """A source of four pitches and a target of three others, each speaker of which says each word."""
    homes = {"source": 4, "target": 3}
    for name, classes in homes.items():
        for c in range(classes):
            for i in range(6):
                write_clip(tmp_path / name / f"class{c}" / f"clip{i}.wav", 0.5, (220 if classes == 4 else 170) * 2**c
                           * (1 + 0.02 * i), seed=100 * c + i + classes)

    def load(name, *_):
        corpus = own_sounds.read(tmp_path / name)
        return dataclasses.replace(corpus, name=name, clips=corpus.clips.assign(
            fold=-1, group=[f"{name} {path[-5]}" for path in corpus.clips["path"]]))

    monkeypatch.setattr(datasets, "load", load)
    return study.Plan({"environment": "source"}, ("target",), RECIPE, RECIPE, ("ridge",), "smoke", None, 0)


def made(plan, steps=6):
    return Grid(plan, {"target": features(plan.corpus("target"), progress=False)}, {"convnet5": steps})


WANTED = cells(["target"], ["convnet5"], ["plain", "multiscale"], [0.5, 1.0], [0])


def test_the_grid_holds_the_2_x_2_the_probe_and_one_head():
    assert len(WANTED) == 2 * 7 + 1 and WANTED[0] == Cell("target", "convnet5", "plain", SCRATCH, 1.0, 0)
    assert [cell.fraction for cell in WANTED] == sorted((cell.fraction for cell in WANTED), reverse=True)
    for fraction in (0.5, 1.0):
        assert {(c.input, c.mode) for c in WANTED if c.fraction == fraction} >= {*FACTORIAL, ("plain", PROBE)}
    assert [cell.fraction for cell in WANTED if cell.mode == HEAD] == [1.0]
    assert {cell.input for cell in cells(["t"], ["n"], ["plain"], [1.0], [0, 1])} == {"plain"}
    with pytest.raises(AudiotlError, match="no input 'stereo'"):
        cells(["t"], ["n"], ["stereo"], [1.0], [0])
    with pytest.raises(AudiotlError, match="not at 5"):
        cells(["t"], ["n"], ["plain"], [5.0], [0])
    assert budgets(["convnet5"], "smoke") == {"convnet5": 4} and budgets(["resnet18"], "full", 7) == {"resnet18": 7}
    with pytest.raises(AudiotlError, match="no network 'vgg'"):
        budgets(["vgg"], "full")


def test_each_seed_tests_other_speakers(plan):
    corpus = plan.corpus("target")
    tested = [set(corpus.groups[target_split(corpus, seed)[1]]) for seed in range(4)]
    assert set.union(*tested[:3]) == set(corpus.groups) and tested[3] == tested[0] and not tested[0] & tested[1]
    for seed in range(3):
        assert not tested[seed] & set(corpus.groups[target_split(corpus, seed)[0]])


def test_a_grid_that_was_killed_goes_on_to_the_undisturbed_results(plan, tmp_path, monkeypatch, cut_off):
    wanted = [cell for cell in WANTED if cell.input == "plain"]
    whole, missing = made(plan).run(wanted)
    assert not missing and [one.cell for one in whole] == wanted

    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "cut"))
    with cut_off(7):  # amid the second run: three epochs of the source and of each of the runs
        made(plan).run(wanted)
    some, missing = made(plan).run(wanted, only_finished=True)
    assert 0 < len(some) < len(wanted) and len(some) + len(missing) == len(wanted)
    started, teach = [], fraction_grid.transfer
    monkeypatch.setattr(fraction_grid, "transfer",
                        lambda mode, *args, **how: started.append(mode) or teach(mode, *args, **how))
    resumed, _ = made(plan).run(wanted)
    assert len(started) == len(missing)
    for one, other in zip(whole, resumed, strict=True):
        assert one.cell == other.cell and (one.right == other.right).all() and one.steps == other.steps
        assert (one.groups == other.groups).all() and one.clips == other.clips


def test_reporting_what_is_finished_trains_nothing(plan, monkeypatch):
    monkeypatch.setattr(training, "_loop", lambda *args: pytest.fail("a network was trained"))
    assert made(plan).run(WANTED, only_finished=True) == ([], WANTED)


def test_a_multiscale_source_serves_the_multiscale_runs_and_no_network_of_a_run_is_kept(plan):
    done, _ = made(plan).run([cell for cell in WANTED if cell.input == "multiscale"])
    assert {one.cell.mode for one in done} == {SCRATCH, FINE_TUNED, ONE_RATE} and {one.clips for one in done} == {12, 6}
    networks = list((cache.cache_root() / "networks").iterdir())
    source = study.pretrained(plan, "environment", multiscale=(1, 2, 3, 4))
    assert [entry.name for entry in networks] == [source.key]
    assert source.model.settings["multiscale"] == [1, 2, 3, 4]


def test_what_determines_a_run_is_in_its_key(plan):
    grid, cell = made(plan), WANTED[1]
    keys = {grid.key(one) for one in (cell, *(dataclasses.replace(cell, **change) for change in (
        {"mode": SCRATCH}, {"mode": HEAD}, {"mode": ONE_RATE}, {"input": "multiscale"}, {"fraction": 0.5},
        {"seed": 1})))}
    other = dataclasses.replace(plan, recipe=dataclasses.replace(RECIPE, epochs=4))
    keys |= {made(plan, 9).key(cell), made(other).key(cell)}
    assert len(keys) == 9 and made(plan).key(cell) in keys
    probe = dataclasses.replace(cell, mode=PROBE)
    assert made(plan, 9).key(probe) == grid.key(probe) != made(other).key(probe)


def test_a_run_is_of_the_clips_that_were_drawn(plan, monkeypatch):
    before, draw = made(plan).key(WANTED[0]), fraction_grid.fraction_rows
    monkeypatch.setattr(fraction_grid, "fraction_rows", lambda *args: draw(*args)[1:])
    assert made(plan).key(WANTED[0]) != before


def test_the_answers_do_not_know_the_test_labels(plan):
    """The test clips' labels are turned round: the network answers as before, so each answer flips with its label."""
    grid = made(plan)
    cell = WANTED[1]
    before = grid.make(cell).right
    clips = grid.aims["target"].corpus.clips
    test = grid.splits["target", 0][1]
    clips.loc[test, "label"] = np.roll(clips["label"].to_numpy()[test], 2)
    again = made(plan)
    again.aims = grid.aims
    again.splits = grid.splits
    after = again.make(cell).right
    old = plan.corpus("target").targets()[test]
    new = grid.aims["target"].corpus.targets()[test]
    # Where old and new label agree the verdict is the same; where they differ, at most one can be right.
    assert (before[old == new] == after[old == new]).all() and not (before & after)[old != new].any()
    assert (old != new).any()
