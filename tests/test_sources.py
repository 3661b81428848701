import numpy as np
import pandas as pd
import pytest

from audiotl import AudiotlError, sources
from audiotl.datasets.corpus import Corpus


def corpus_of(labels, groups, multilabel=False):
    clips = pd.DataFrame({"path": [f"{i}.wav" for i in range(len(labels))], "label": labels, "fold": -1,
                          "group": groups})
    tags = sorted({tag for label in labels for tag in label.split(";")})
    return Corpus("made", clips, tuple(tags), 1.0, multilabel)


@pytest.fixture
def corpus():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], [300, 150, 50])
    groups = [f"{label}{rng.integers(40)}" for label in labels]
    return corpus_of(labels, groups)


@pytest.mark.parametrize("clips", [1, 37, 250, 450])
def test_a_draw_has_exactly_so_many_clips_each_class_in_its_share_and_cuts_a_group_a_class(corpus, clips):
    rows = np.arange(20, 500)
    drawn = sources.cut(corpus, rows, clips, seed=3)
    assert len(drawn) == clips == len(set(drawn)) and np.isin(drawn, rows).all() and (np.diff(drawn) > 0).all()
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
    with pytest.raises(AudiotlError, match="500 clips to draw from, not 501"):
        sources.cut(corpus, rows, 501)


def test_tagged_clips_are_drawn_by_their_first_tag():
    corpus = corpus_of(["oboe;low"] * 50 + ["oboe;high"] * 50 + ["tuba;low"] * 100, [str(i) for i in range(200)], True)
    drawn = sources.cut(corpus, np.arange(200), 80)
    assert (drawn < 100).sum() == 40


def test_small_classes_come_last_and_any_two_before_hold_the_draw(corpus):
    for seed in range(5):
        order = sources.class_order(corpus, np.arange(500), 250, seed)
        assert set(order[:2]) == {"a", "b"} and order[2] == "c"
    assert len({tuple(sources.class_order(corpus, np.arange(500), 60, seed)) for seed in range(8)}) > 2
    with pytest.raises(AudiotlError, match="fewer than two classes of 200"):
        sources.class_order(corpus, np.arange(500), 400)
