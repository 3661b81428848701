import dataclasses

import numpy as np
import pytest
from conftest import pitches

from audiotl import AudiotlError, cache, datasets, training, transfer
from audiotl.features import features
from audiotl.sources import source_network
from audiotl.training import Recipe
from audiotl.transfer import FINE_TUNED, ONE_RATE, PROBE, SCRATCH, Grid, Run, target_folds

RECIPE = Recipe(epochs=3, batch=8, crop=32, validation=0.1)
SOURCE = {SCRATCH: ("none", "none")}
WANTED = [Run(*SOURCE.get(mode, ("source", "true")), "target", "convnet5", "plain", mode, fraction,
              0, 0.005)
          for fraction in (1.0, 0.5) for mode in (SCRATCH, FINE_TUNED, ONE_RATE, PROBE)]
TUNED = WANTED[1]


@pytest.fixture
def sounds(tmp_path, fresh_cache):
    """A source of four pitches and a target of three others; each speaker says each word."""
    def make(name, classes, hertz):
        home = pitches(tmp_path / name, classes, hertz, 0.5, classes)
        corpus = datasets.load("folder", home)
        speakers = [f"{name} {path[-5]}" for path in corpus.clips["path"]]
        return features(dataclasses.replace(corpus, name=name, clips=corpus.clips.assign(
            fold=-1, group=speakers)), progress=False)

    return make("source", 4, 220), make("target", 3, 170)


def grid(sounds, least=6, recipe=RECIPE, epochs=3, **how):
    return Grid({"target": sounds[1]}, {"source": sounds[0]}, {"convnet5": recipe},
                {"target": {"convnet5": epochs}}, least, **how)


def test_each_seed_tests_other_speakers_and_none_is_in_two_parts(sounds):
    corpus, made = sounds[1].corpus, grid(sounds)
    parts = [made.rows(dataclasses.replace(WANTED[0], seed=seed)) for seed in range(4)]
    speakers = [[set(corpus.groups[rows]) for rows in part[1:]] for part in parts]
    assert [part[0] for part in parts] == [0, 1, 2, 0]
    assert set.union(*(tested for *_, tested in speakers[:3])) == set(corpus.groups)
    for fit, held, tested in speakers:
        assert fit and held and tested and not (fit & held or fit & tested or held & tested)


def test_the_official_split_is_taken_where_it_is_asked_for(sounds):
    corpus = sounds[1].corpus
    place = np.array(["train", "val", "test"])[np.unique(corpus.groups, return_inverse=True)[1] % 3]
    marked = dataclasses.replace(corpus, clips=corpus.clips.assign(official=place))
    made = grid((sounds[0], dataclasses.replace(sounds[1], corpus=marked)))
    _, *parts = made.rows(dataclasses.replace(WANTED[0], official=True))
    assert [place[rows].tolist() for rows in parts] == [
        [name] * (place == name).sum() for name in ("train", "val", "test")]


def test_a_small_fraction_takes_more_passes_up_to_the_fewest_steps(sounds):
    made, small = grid(sounds, least=24), dataclasses.replace(WANTED[0], fraction=0.2)
    steps = {}
    for run in (WANTED[0], small, dataclasses.replace(WANTED[0], budget=1.5)):
        recipe, clips = made.recipe(run), len(made.rows(run)[1])
        steps[run.fraction, run.budget] = recipe.epochs, recipe.epochs * -(-clips // recipe.batch)
        assert recipe.learning_rate == 0.005 and not recipe.validation
    assert steps[0.2, 1.0] == (24, 24) and steps[1.0, 1.0][1] >= 24
    assert steps[1.0, 1.5][0] == 1.5 * steps[1.0, 1.0][0]
    assert grid(sounds, epochs=40).recipe(small).epochs == 40


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


def test_a_table_of_runs_is_taken_for_the_runs_elsewhere(sounds, tmp_path, monkeypatch):
    wanted = [WANTED[0], WANTED[3]]
    whole, _ = grid(sounds).run(wanted, progress=False)
    table, file = grid(sounds).table(WANTED), tmp_path / "runs.csv.gz"
    table.to_csv(file, index=False)
    monkeypatch.setenv("AUDIOTL_CACHE", str(tmp_path / "elsewhere"))
    transfer.adopt(file)
    adopted, missing = grid(sounds).run(WANTED, only_finished=True)
    assert missing == [run for run in WANTED if run not in wanted]
    for one, other in zip(whole, adopted, strict=True):
        assert (one.values == other.values).all() and one.keys == other.keys
    others, _ = grid(sounds, epochs=4).run(WANTED[:1], only_finished=True)
    assert not others and cache.spared() > 0
    for broken in ({"answers": "0f"}, {"answers": "no"}, {"key": "../up"}, {"clips": "many"}):
        table.assign(**broken).to_csv(file, index=False)
        with pytest.raises(AudiotlError, match=file.name):
            transfer.adopt(file)


def test_reporting_and_a_probe_on_random_weights_train_nothing(sounds, monkeypatch):
    monkeypatch.setattr(training, "_fit", lambda *args: pytest.fail("a network was trained"))
    assert grid(sounds).run(WANTED, only_finished=True) == ([], WANTED)
    made, run = grid(sounds), dataclasses.replace(WANTED[3], source_labels="none")
    random = source_network(sounds[0], RECIPE, labels="none")
    read = transfer.transfer(PROBE, sounds[1], made.rows(run)[1::2], RECIPE, source=random)
    assert (made.run([run], progress=False)[0][0].values == read.values).all()


def test_a_multiscale_source_serves_the_multiscale_runs_and_no_network_of_a_run_is_kept(sounds):
    wanted = [dataclasses.replace(run, input="dilated") for run in WANTED]
    done, _ = grid(sounds).run(wanted, progress=False)
    assert len({one.keys["train_clips"] for one in done}) == 2
    networks = list((cache.cache_root() / "networks").iterdir())
    source = source_network(sounds[0], RECIPE, multiscale=(1, 2, 3, 4), progress=False)
    assert len(networks) == 1 and list((cache.cache_root() / "networks").iterdir()) == networks
    assert source.model.settings["multiscale"] == [1, 2, 3, 4]


def test_what_determines_a_run_is_in_its_key(sounds, monkeypatch):
    def key(run, **how):
        return cache.key_of(*grid(sounds, **how).content(run))

    changes = ({"mode": SCRATCH}, {"mode": ONE_RATE}, {"input": "dilated"}, {"fraction": 0.5},
               {"seed": 1}, {"source_labels": "shuffled"}, {"learning_rate": 0.1}, {"budget": 1.5})
    keys = {key(dataclasses.replace(TUNED, **change)) for change in changes}
    other = dataclasses.replace(RECIPE, epochs=4)
    others = {key(TUNED), key(TUNED, least=90), key(TUNED, recipe=other),
              key(TUNED, device="cuda"), key(TUNED, crops={"target": 16})}
    assert len(keys | others) == 13 and key(TUNED, crops={"source": 16}) == key(TUNED)
    probe = dataclasses.replace(TUNED, mode=PROBE)
    assert key(probe, least=90) == key(probe) != key(probe, recipe=other)
    assert key(probe) != key(dataclasses.replace(probe, source_labels="none"))
    before, draw = key(TUNED), transfer.fraction_rows
    monkeypatch.setattr(transfer, "fraction_rows", lambda *args: draw(*args)[1:])
    assert key(TUNED) != before


def test_the_answers_do_not_know_the_test_labels(sounds):
    """Test labels are turned round: the network answers as before, so verdicts flip with them."""
    def verdicts(a_grid):
        return a_grid.run([TUNED], progress=False)[0][0].values[0, 0]

    first = grid(sounds)
    before = verdicts(first)
    corpus = sounds[1].corpus
    test = target_folds(corpus)[0][1]
    old, clips = corpus.targets()[test], corpus.clips.copy()
    clips.loc[test, "label"] = np.roll(clips["label"].to_numpy()[test], 2)
    turned = dataclasses.replace(sounds[1], corpus=dataclasses.replace(corpus, clips=clips))
    again = grid((sounds[0], turned))
    again.splits.update(first.splits)
    after, new = verdicts(again), turned.corpus.targets()[test]
    # Where labels agree the verdict is the same; where they differ at most one can be right.
    assert (before[old == new] == after[old == new]).all() and (old != new).any()
    assert not (before * after)[old != new].any()
