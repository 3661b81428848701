import dataclasses
import types

import numpy as np
import pandas as pd
import pytest
from conftest import write_clip

from audiotl import datasets, matrix, reasons, study
from audiotl import study_sources as sources
from audiotl.datasets.corpus import LeakError
from audiotl.features import features
from audiotl.matrix import Cell
from audiotl.models import build
from audiotl.study_sources import ALL, MATCHED, SourceNetwork


def cell(source, target, right, seed=0, draw=ALL, mode="probe", network="convnet5"):
    net = SourceNetwork(source, draw, network, seed, None, None, 0, 0, np.nan)
    return Cell(net, target, mode, np.asarray(right, bool), np.arange(len(right)).astype(str),
                {"layer1": ~np.asarray(right, bool)})


def right(share, n=400, seed=0):
    return np.random.default_rng(seed).permutation(n) < share * n


@pytest.fixture
def aim(class_folders, fresh_cache):
    return features(datasets.load("folder", class_folders), progress=False)


def test_a_cell_scores_all_taps_and_each_alone_and_finds_an_easy_target_easy(aim):
    net = SourceNetwork("random", ALL, "convnet5", 0, build("convnet5", 4).eval(), None, 0, 0, np.nan)
    made = matrix.probed(net, "folder", aim, progress=False)
    assert made.right.mean() > 0.8 and list(made.layers) == list(net.model.tap_names)
    assert all(one.shape == made.right.shape for one in made.layers.values()) and made.guesses["h_score"] > 0.5
    rows = matrix.table([made])
    assert list(rows)[:7] == ["source", "source_clips", "target", "network", "mode", "seed", "score"]
    assert rows["score"][0] == made.right.mean() and rows["tested_clips"][0] == len(aim.corpus)


def test_a_source_that_was_taught_a_recording_of_the_target_is_refused(aim, tmp_path):
    other = write_clip(tmp_path / "elsewhere" / "a.wav", seed=9)
    paths = [str(other), aim.corpus.clips["path"].iloc[20], str(other)]
    clips = aim.corpus.clips.iloc[:3].assign(path=paths, group="x")
    heard = dataclasses.replace(aim.corpus, name="another", clips=clips.reset_index(drop=True))
    net = SourceNetwork("mine", ALL, "convnet5", 0, build("convnet5", 4).eval(), heard, 3, 1, np.nan)
    with pytest.raises(LeakError, match="holds the recording"):
        matrix.probed(net, "folder", aim, progress=False)
    clean = dataclasses.replace(net, corpus=heard.subset([0, 2]))
    assert matrix.probed(clean, "folder", aim, progress=False).right.mean() > 0.8


def test_a_source_is_not_scored_on_its_own_corpus_and_scratch_stands_in_the_row_of_random_weights(fresh_cache):
    plan = study.plan("smoke", targets="speech", epochs=1)
    aims = {"speech": features(study.target(plan, "speech")[0], progress=False)}
    nets = list(sources.compared(plan, "convnet5", 0, 1, progress=False))
    cells = matrix.matrix(plan, nets, aims, ("probe", "scratch", "fine-tuned"), 1, progress=False)
    got = [(one.net.source, one.net.draw, one.mode) for one in cells]
    assert got == [(role, draw, mode) for draw in (ALL, MATCHED) for role in ("environment", "music")
                   for mode in ("probe", "fine-tuned")] + [("random", ALL, "probe"), ("random", ALL, "scratch")]
    won = matrix.gains(cells)
    assert len(won) == 8 and set(won["mode"]) == {"probe", "fine-tuned"}
    spectra, spans = reasons.spectra(plan, aims)
    assert len(spans) == 2 and spans["coverage"].between(0, 1).all() and ("target", "speech") in spectra
    layers, of = reasons.layers_on_common_clips(plan, nets[3:], aims)
    heard = study.source_split(plan, study.source_features(plan, "speech").corpus)[0]
    assert len(of) == len(aims["speech"].corpus) - len(heard)
    assert all(tap.shape == (len(of), 32) for taps in layers.values() for tap in taps.values())


def test_gains_are_paired_means_over_seeds():
    base, better = right(0.5), right(0.5)
    better[np.flatnonzero(~base)[:40]] = True
    cells = [cell("random", "t", base, 0), cell("random", "t", base, 1), cell("music", "t", better, 0),
             cell("music", "t", base, 1)]
    row = matrix.gains(cells).iloc[0]
    assert row["difference"] == pytest.approx(0.05) and row["ci_low"] > 0
    assert row["errors_removed"] == pytest.approx(0.1)
    assert (row["seed_low"], row["seed_high"]) == (0, pytest.approx(0.1)) and row["seeds"] == 2
    assert matrix.verdict(row) == "cannot tell"
    assert matrix.verdict(types.SimpleNamespace(ci_low=-2, ci_high=-1, seed_low=-2, seed_high=-1)) == "hurts"
    taps = matrix.layer_table(cells)
    assert set(taps["layer"]) == {"layer1", "all"} and taps["score"].between(0, 1).all()


def test_asymmetry_is_the_difference_of_the_two_directions():
    def world(to_speech, to_environment, draw):
        return [cell("environment", "fsdd", right(0.5 + to_speech), draw=draw),
                cell("environment", "speech", right(0.5 + to_speech, seed=1), draw=draw),
                cell("speech", "esc50", right(0.5 + to_environment, seed=2), draw=draw)]

    base = [cell("random", "fsdd", right(0.5)), cell("random", "speech", right(0.5, seed=1)),
            cell("random", "esc50", right(0.5, seed=2))]
    turns = matrix.asymmetry([*base, *world(0.3, 0.0, ALL), *world(0.2, 0.2, MATCHED)]).set_index(["draw", "what"])
    difference = "environment → speech minus speech → environment"
    one, same = turns.loc[(ALL, difference)], turns.loc[(MATCHED, difference)]
    assert one["gain"] == pytest.approx(0.3) and one["ci_low"] > 0.2 and one["errors_removed"] == pytest.approx(0.6)
    assert same["gain"] == pytest.approx(0) and same["ci_low"] < 0 < same["ci_high"]
    assert turns.loc[(ALL, "environment → speech"), "targets"] == "fsdd speech"
    said = matrix.say_asymmetry(turns.loc[[ALL]].reset_index())
    assert "environment → speech gains more" in said and "speech → environment +0.0 points" in said
    assert "we cannot tell which gains more" in matrix.say_asymmetry(turns.loc[[MATCHED]].reset_index())
    won = matrix.gains([*base, *world(0.2, 0.2, MATCHED)])
    assert "gains more" in matrix.finding(turns.reset_index(), won)
    nothing = matrix.asymmetry([cell("music", "folder", right(0.5)), cell("random", "folder", right(0.5))])
    assert nothing.empty and "in 3 of 3 pairs, hurts in 0" in matrix.finding(nothing, won)


def test_changes_pair_draws_seed_by_seed():
    cells = [cell("environment", "t", right(share), seed, f"{classes} classes")
             for share, seed, classes in ((0.5, 0, 2), (0.4, 1, 2), (0.6, 0, 10), (0.6, 1, 10))]
    row = matrix.changes(cells, "2 classes", "10 classes").iloc[0]
    assert row["difference"] == pytest.approx(0.15) and row["seed_low"] == pytest.approx(0.1) and row["ci_low"] > 0.1


def test_guesses_stand_beside_scores_once_a_source_and_draw():
    scores = pd.DataFrame([("music", d, "t", "convnet5", "probe", s, 0.5 + s / 10, 80, s, 1.0) for d in (ALL, MATCHED)
                           for s in (0, 1)] + [("random", ALL, "t", "convnet5", "probe", 0, 0.2, 0, 0.0, 0.5)],
                          columns=["source", "draw", "target", "network", "mode", "seed", "score", "source_clips",
                                   "logme", "h_score"])
    made = reasons.guessed(scores, pd.DataFrame({"source": ["music"], "target": ["t"], "coverage": [0.9]}))
    assert made["source"].tolist() == ["music", "random"] and made["score"].tolist() == [0.55, 0.2]
    assert made["coverage"].tolist()[0] == 0.9 and np.isnan(made["coverage"].iloc[1])


def test_kin_are_named_by_source_and_seed():
    pairs = pd.DataFrame([("a", 0, "a", 1, 0.9), ("a", 0, "b", 0, 0.5), ("a", 1, "b", 0, 0.7),
                          ("a", 0, "random", 0, 0.3), ("random", 0, "random", 1, 0.2)],
                         columns=["source", "seed", "other", "other_seed", "cka"]).assign(layer="layer1")
    kin = reasons.kinships(pairs).set_index("kind")
    assert kin["cka"].to_dict() == {"same source, other seed": 0.9, "two sources": 0.6, "source and random": 0.3,
                                    "random, other seed": 0.2} and kin.loc["two sources", "pairs"] == 2
