import dataclasses

import numpy as np
import pandas as pd
import pytest
from conftest import pitches

from audiotl import AudiotlError, datasets
from audiotl.datasets.corpus import Corpus
from audiotl.features import features
from audiotl.models import build
from audiotl.sources import SourceNetwork
from audiotl.training import Recipe, train
from audiotl.transfer import MODES, Start, fraction_rows, held_out, probed, transfer

SCRATCH, PROBE, FINE_TUNED, ONE_RATE = MODES
RECIPE = Recipe(batch=8, crop=64, validation=0.0)
SHORT = dataclasses.replace(RECIPE, epochs=1)


@pytest.fixture
def source(tmp_path, fresh_cache):
    """A network that tells four other pitches apart."""
    home = pitches(tmp_path / "source", 4, 220, 0.6, 50)
    sound = features(datasets.load("folder", home), progress=False)
    recipe = dataclasses.replace(RECIPE, epochs=10)
    made = train(sound, sound.corpus.splits(3)[0], recipe, progress=False)
    return SourceNetwork("pitches", "convnet5", "true", 0, made.model, sound.corpus)


def test_every_mode_learns_an_easy_target_on_the_same_steps(sound, source):
    split, recipe = sound.corpus.splits(3)[0], dataclasses.replace(RECIPE, epochs=15)
    made = {mode: transfer(mode, sound, split, recipe, source=source, progress=False)
            for mode in MODES}
    assert all(one.keys["steps"] == 45 * (mode != PROBE) for mode, one in made.items())
    assert all((one.groups == sound.corpus.groups[split[1]]).all() for one in made.values())
    assert all(one.mean > 0.8 for one in made.values())


def test_early_layers_move_less_at_a_lower_rate(sound, source):
    split, recipe = sound.corpus.splits(3)[0], dataclasses.replace(RECIPE, epochs=2)
    moved = []
    for early in (0.01, 1.0):
        made = train(sound, split, recipe, "convnet5", False, Start(source.model, early)).model
        step = made.stages[0][0].weight - source.model.stages[0][0].weight
        moved.append(step.abs().sum())
    assert 0 < moved[0] < moved[1] / 4 and made.head.out_features == 3


@pytest.mark.parametrize("name", ["convnet5", "resnet18", "densenet121"])
def test_rates_grow_from_the_first_stage_to_the_head(name):
    model = build(name, 3, multiscale=(1, 2))
    groups = Start(model, 0.01).rates(model, 1.0)
    learnt = [group["lr"] for group in groups]
    assert learnt[0] == pytest.approx(0.01) and learnt[-1] == 1.0
    assert np.allclose(np.diff(np.log(learnt)), np.log(100) / (len(learnt) - 1))
    moved = sum(p.numel() for group in groups for p in group["params"])
    assert moved == sum(p.numel() for p in model.parameters())


def test_another_start_is_another_network(sound, source):
    split, recipe = sound.corpus.splits(3)[0], dataclasses.replace(RECIPE, epochs=1)
    starts = None, Start(source.model), Start(source.model, 0.5), Start(build("convnet5", 4))
    keys = {train(sound, split, recipe, progress=False, start=start).key for start in starts}
    assert len(keys) == 4
    for name, settings in (("convnet5", {"pools": [[2, 4]] * 5}),
                           ("convnet5", {"multiscale": (1, 2)}), ("resnet18", {})):
        other = build(name, 4, **settings)
        with pytest.raises(AudiotlError, match=type(other).__name__):
            train(sound, split, recipe, progress=False, start=Start(other))


@pytest.mark.parametrize("mode", [PROBE, FINE_TUNED, ONE_RATE])
def test_a_source_that_has_heard_a_test_recording_is_refused(sound, source, mode):
    train_rows, test_rows = split = sound.corpus.splits(3)[0]

    def run(heard):
        return transfer(mode, sound, split, SHORT, progress=False,
                        source=dataclasses.replace(source, corpus=heard))

    with pytest.raises(datasets.LeakError):
        run(sound.corpus.subset(np.append(train_rows[:5], test_rows[2])))
    # Another slice of a tested recording, under another file name, is a leak as well.
    clips = sound.corpus.clips.iloc[test_rows[:1]].assign(path="another_slice.wav")
    for name in (sound.corpus.name, f"other+{sound.corpus.name}"):
        with pytest.raises(datasets.LeakError, match=str(sound.corpus.clips["path"][test_rows[0]])):
            run(dataclasses.replace(sound.corpus, name=name, clips=clips.reset_index(drop=True)))
    assert run(sound.corpus.subset(train_rows[:5])).values.shape == (1, 1, len(test_rows))


@pytest.mark.parametrize("mode", MODES)
def test_a_group_on_both_sides_is_refused_in_every_mode(sound, source, mode):
    train_rows, test_rows = sound.corpus.splits(3)[0]
    sound.corpus.clips.loc[[train_rows[0], test_rows[0]], "group"] = "planted"
    with pytest.raises(datasets.LeakError, match="planted"):
        transfer(mode, sound, (train_rows, test_rows), SHORT, source=source, progress=False)


def test_what_cannot_be_done_is_refused(sound):
    split = sound.corpus.splits(3)[0]
    tags = dataclasses.replace(sound, corpus=dataclasses.replace(sound.corpus, multilabel=True))
    for culprit, mode, target in (("distil", "distil", sound), (ONE_RATE, ONE_RATE, sound),
                                  (sound.corpus.name, SCRATCH, tags)):
        with pytest.raises(AudiotlError, match=culprit):
            transfer(mode, target, split, SHORT)


def many_groups(n=400, classes=5):
    rng = np.random.default_rng(0)
    group = np.sort(rng.integers(0, n // 4, n))
    label = np.array([f"c{k}" for k in rng.integers(0, classes, n // 4)])[group]
    clips = pd.DataFrame({"path": [f"{i}.wav" for i in range(n)], "label": label, "fold": -1,
                          "group": [f"g{g}" for g in group]})
    return Corpus("many", clips, tuple(f"c{k}" for k in range(classes)), 1.0)


def test_fractions_are_nested_group_safe_and_stratified():
    corpus = many_groups()
    rows = np.arange(40, 400)
    fractions = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
    sets = [fraction_rows(corpus, rows, fraction, seed=3) for fraction in fractions]
    for small, large in zip(sets, sets[1:], strict=False):
        assert set(small) < set(large) <= set(rows)
    assert (sets[-1] == rows).all()
    labels = corpus.clips["label"].to_numpy()
    for fraction, chosen in zip(fractions, sets, strict=True):
        outside = np.setdiff1d(rows, chosen)
        assert not set(corpus.groups[chosen]) & set(corpus.groups[outside])
        for name in corpus.classes:
            whole, part = (labels[rows] == name).sum(), (labels[chosen] == name).sum()
            assert part >= 1 and abs(part - fraction * whole) <= 6  # about one group of four
    assert set(fraction_rows(corpus, rows, 0.2, seed=4)) != set(sets[2])
    with pytest.raises(AudiotlError):
        fraction_rows(corpus, rows, 0.0)


def test_few_speakers_each_give_single_clips():
    corpus = many_groups()
    corpus.clips["group"] = [f"speaker{i % 4}" for i in range(400)]
    labels, rows = corpus.clips["label"].to_numpy(), np.arange(100, 400)
    small, large = (fraction_rows(corpus, rows, fraction, seed=1) for fraction in (0.05, 0.4))
    assert set(small) < set(large) <= set(rows) and len(set(corpus.groups[large])) == 4
    for name in corpus.classes:
        assert abs((labels[large] == name).sum() - 0.4 * (labels[rows] == name).sum()) <= 1
        assert abs((labels[small] == name).sum() - 0.05 * (labels[rows] == name).sum()) <= 1


def test_whole_groups_are_held_out_and_at_least_one():
    groups, rows = many_groups().groups, np.arange(100, 400)
    fit, held = held_out(groups, rows, seed=2)
    assert sorted([*fit, *held]) == rows.tolist() and not set(groups[fit]) & set(groups[held])
    assert len(set(groups[held])) == round(0.15 * len(set(groups[rows])))
    few = np.array(["a", "b", "b", "c"])
    assert len(set(few[held_out(few, np.arange(4), seed=0)[1]])) == 1


def test_the_probe_is_chosen_without_the_test_clips():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 40)
    blocks = {"a": rng.standard_normal((120, 6)), "b": rng.standard_normal((120, 4))}
    groups = np.arange(120)
    split = np.arange(0, 120, 2), np.arange(1, 120, 2)

    class Watch:
        name, cells = "watch", [{"k": 0}, {"k": 1}]

        def fold(self, train, y, test, subsets):
            assert list(subsets) == [("a", "b")]
            seen.append((len(train["a"]), len(test["a"])))
            return np.stack([np.full(len(test["a"]), label) for label in (0, 1)])[None]

    seen = []
    for known in (groups, np.where(groups % 2, groups, 0)):  # then a single one to learn from
        assert (probed(blocks, np.where(y > 0, 1, 0), known, split, Watch()) == 1).all()
    assert seen == 2 * ([(40, 20)] * 3 + [(60, 60)])
