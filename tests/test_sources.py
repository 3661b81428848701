import numpy as np
import pandas as pd
import pytest
import torch

from audiotl import AudiotlError, cache, sources, training
from audiotl.datasets.corpus import Corpus
from audiotl.sources import source_network
from audiotl.training import Recipe, train, untrained

RECIPE = Recipe(epochs=2, crop=64)


@pytest.fixture
def corpus():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], [300, 150, 50])
    clips = pd.DataFrame({"path": [f"{i}.wav" for i in range(500)], "label": labels, "fold": -1,
                          "group": [f"{label}{rng.integers(40)}" for label in labels]})
    return Corpus("made", clips, ("a", "b", "c"), 1.0)


@pytest.mark.parametrize("clips", [1, 37, 250, 450])
def test_a_draw_has_each_class_in_its_share_and_cuts_a_group_a_class(corpus, clips):
    rows = np.arange(20, 500)
    drawn = sources.cut(corpus, rows, clips, seed=3)
    assert len(drawn) == clips and np.isin(drawn, rows).all() and (np.diff(drawn) > 0).all()
    labels = corpus.clips["label"].to_numpy()
    for label in "abc":
        assert abs((labels[drawn] == label).sum() - clips * (labels[rows] == label).mean()) <= 1.5
        mine = rows[labels[rows] == label]
        groups, kept = corpus.groups[mine], np.isin(mine, drawn)
        cut = [g for g in set(groups) if 0 < kept[groups == g].sum() < (groups == g).sum()]
        assert len(cut) <= 1


def test_draws_of_a_seed_lie_within_each_other_and_seeds_differ(corpus):
    rows = np.arange(500)
    small, large = (sources.cut(corpus, rows, n, seed=1) for n in (60, 200))
    assert set(small) < set(large) and set(sources.cut(corpus, rows, 60, seed=2)) != set(small)
    assert (sources.cut(corpus, rows, 500) == rows).all()
    with pytest.raises(AudiotlError, match="501"):
        sources.cut(corpus, rows, 501)


def made(sound, **how):
    return source_network(sound, RECIPE, progress=False, **how)


def bits(model):
    return [value.numpy().tobytes() for value in model.state_dict().values()]


def test_a_whole_source_is_trained_by_its_recipe_on_all_but_the_last_fold(sound):
    net, split = made(sound), sound.corpus.splits()[-1]
    whole = train(sound, split, RECIPE, progress=False)
    assert bits(net.model) == bits(whole.model) and net.score == whole.score
    assert (net.outputs == whole.outputs).all() and net.history.equals(whole.history)
    assert [entry.name for entry in (cache.cache_root() / "networks").iterdir()] == [whole.key]
    assert net.clips == len(split[0]) and (net.test_rows == split[1]).all()
    assert (net.domain, net.classes) == (sound.corpus.domain, 3)


def test_clips_classes_and_steps_are_what_was_asked_for(sound):
    two = sound.corpus.classes[:2]
    net = made(sound, clips=12, classes=two, steps=5, seed=1)
    assert (net.clips, net.classes, net.steps) == (12, 2, 5)
    assert set(net.corpus.clips["label"]) == set(two)
    tested = sound.corpus.groups[sound.corpus.splits()[-1][1]]
    assert not set(net.corpus.groups) & set(tested)
    assert made(sound, clips=12, steps=5).classes > 2


def test_shuffled_labels_change_places_among_the_training_clips_alone(sound, monkeypatch):
    told, teach = [], training.train
    monkeypatch.setattr(sources, "train", lambda one, *args, **how: told.append(one.corpus)
                        or teach(one, *args, **how))
    true, shuffled, again = (made(sound, labels=labels, clips=20, steps=2)
                             for labels in ("true", "shuffled", "shuffled"))
    rows, test_rows = (sources.cut(sound.corpus, sound.corpus.splits()[-1][0], 20, 0),
                       sound.corpus.splits()[-1][1])
    before, after = (told[i].clips["label"].to_numpy() for i in (0, 1))
    moved = np.flatnonzero(before != after)
    assert len(moved) > 5 and np.isin(moved, rows).all() and not np.isin(moved, test_rows).any()
    assert sorted(before) == sorted(after)
    assert bits(true.model) != bits(shuffled.model) == bits(again.model)
    assert shuffled.corpus.clips.equals(true.corpus.clips) and shuffled.steps == true.steps


def test_no_labels_leave_random_weights_of_the_seed(sound):
    net = made(sound, labels="none", seed=1)
    assert bits(net.model) == bits(untrained(sound, seed=1)) != bits(untrained(sound))
    assert (net.domain, net.clips, net.steps) == ("random", 0, 0) and np.isnan(net.score)
    with pytest.raises(AudiotlError, match="wrong"):
        made(sound, labels="wrong")


def test_permuted_weights_are_the_same_numbers_elsewhere(sound):
    model = made(sound).model
    mixed = sources.weights_permuted(model, sound)
    for name, weight in model.named_parameters():
        other = dict(mixed.named_parameters())[name]
        assert np.allclose(np.sort(weight.detach().ravel()), np.sort(other.detach().ravel()))
        assert weight.ndim == 1 or not torch.equal(weight, other)
    running = [name for name, _ in model.named_buffers() if name.endswith("running_mean")]
    assert any(not torch.equal(model.get_buffer(n), mixed.get_buffer(n)) for n in running)
