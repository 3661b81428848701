import numpy as np
import pytest

from audiotl import datasets, players
from audiotl.features import features
from audiotl.probes import Ridge
from audiotl.probes.subset_search import Search, all_subsets

NAMES = ("layer1", "layer2", "mfcc")


def search_of(right):
    """A search in which a subset gets the clips right that `right` says, whatever the cell."""
    subsets = all_subsets(NAMES)
    clips = np.array([right(set(subset)) for subset in subsets], bool)
    packed = {"bits": np.packbits(clips[:, None], axis=2)} if "bits" in Search.__dataclass_fields__ else {
        "outer": clips[:, None]}
    n = clips.shape[1]
    return Search(names=NAMES, subsets=subsets, cells=[{}], fold=np.arange(n) % 2,
                  inner=np.zeros((2, len(subsets), 1)), groups=np.arange(n).astype(str), probe="toy", **packed)


def value(frame, kind, player):
    return frame[(frame["kind"] == kind) & (frame["player"] == player)]["value"].item()


def test_values_and_interactions_of_a_game_solved_by_hand():
    # 8 clips: layer1 gets 4, mfcc the same 4 (they repeat each other); layer2 and mfcc together get the other 4.
    def right(subset):
        first = 4 * [bool(subset & {"layer1", "mfcc"})]
        return np.array(first + 4 * [{"layer2", "mfcc"} <= subset])

    y = np.array([0, 1] * 4)
    found = search_of(right)
    frame = players.attribute("random", "fsdd", found, 2 + y)  # every fold guesses a class that it does not hold
    assert not players.guesses(2 + y, found.fold).any()
    assert np.isclose(value(frame, "value", "layer1"), 0.25) and np.isclose(value(frame, "value", "layer2"), 0.25)
    assert np.isclose(value(frame, "value", "mfcc"), 0.5)
    assert np.isclose(value(frame, "interaction", "layer1"), -0.5)
    assert np.isclose(value(frame, "interaction", "layer2"), 0.5)
    assert np.isclose(value(frame, "layers", "layer1 layer2"), 0)
    row = players.sides(frame).iloc[0]
    assert np.isclose(row["interaction"], 0) and row["kind_of_task"] == "speech"
    assert (row["complements"], row["repeats"]) == (1, 1)


def test_no_player_guesses_the_most_frequent_class_of_the_other_folds():
    y, fold = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 0, 0, 1, 1, 1])
    assert players.guesses(y, fold).tolist() == [False, False, True, False, False, True]


@pytest.mark.parametrize("kind,rows", [("value", 3), ("interaction", 2), ("layers", 1)])
def test_a_real_search_has_every_player(class_folders, fresh_cache, kind, rows):
    aim = features(datasets.load("folder", class_folders), progress=False)
    rng = np.random.default_rng(0)
    taps = {name: aim.mfcc[:, i::7] + rng.standard_normal((36, 18))[:, :aim.mfcc[:, i::7].shape[1]]
            for i, name in enumerate(NAMES[:2])}
    found = players.find("random", "folder", taps, aim, Ridge((1.0, 100.0)))
    frame = players.attribute("random", "folder", found, aim.corpus.targets())
    part = frame[frame["kind"] == kind]
    assert len(found.subsets) == 7 and len(part) == rows and (part["ci_low"] <= part["value"]).all()
    total = frame[frame["kind"] == "value"]["value"].sum()
    assert np.isclose(total, found.nested()[-1].mean() - players.guesses(aim.corpus.targets(), found.fold).mean())
