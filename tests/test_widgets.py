import matplotlib.pyplot as plt
import numpy as np
import pytest

from audiotl import AudiotlError, stats, widgets
from audiotl.probes.subset_search import Search, all_subsets

LAYERS = ["layer1", "layer2", "layer3"]


def made(names, n_clips, probe="ridge", seed=0):
    """A finished search, its bits drawn at random: larger subsets do better."""
    rng = np.random.default_rng(seed)
    names, fold = tuple(names), np.arange(n_clips) % 5
    subsets = all_subsets(names)
    chance = np.array([0.2 + 0.6 * len(s) / len(names) for s in subsets])
    bits = np.packbits(rng.random((len(subsets), 2, n_clips)) < chance[:, None, None], axis=2)
    return Search(names, subsets, [{}, {}], fold, bits, rng.random((5, len(subsets), 2)),
                  (np.arange(n_clips) // 2).astype(str), probe)


def test_a_tick_changes_score_rank_and_picture():
    one, two = made([*LAYERS, "mfcc"], 200), made(LAYERS[:2], 100, seed=1)
    ticker = widgets.LayerTicker({"speech → esc50": one, "speech → fsdd": two})
    assert ticker.ticked() == tuple(LAYERS)
    scores, seen = one.scores(), ("layer2", "layer3", "mfcc")
    before, picture = ticker.words(), ticker.image.value
    ticker.controls["layer1"].value = False
    ticker.controls["mfcc"].value = True
    assert ticker.ticked() == seen and ticker.words() != before and ticker.image.value != picture
    row = stats.score_table([one.scored(seen)]).iloc[0]
    rank = 1 + (scores > row["score"] + 1e-12).sum()
    for part in (f"{100 * row['score']:.1f} %", f"{100 * row['ci_high']:.1f})", f"{rank} of 15"):
        assert part in ticker.words()
    ticker.controls["search"].value = "speech → fsdd"
    assert ticker.ticked() == ("layer2",) and "of 3" in ticker.words()
    assert ticker.controls["mfcc"].layout.display == "none"
    ticker.controls["layer2"].value = False
    assert "%" not in ticker.words()
    shown = ticker._repr_mimebundle_()
    assert shown["image/png"].startswith("iVBOR") and shown["text/plain"] == ticker.words()


def test_the_picture_marks_last_all_random_and_mfcc():
    searches = {"speech → esc50": made(LAYERS, 200), "random → esc50": made(LAYERS, 200, seed=3),
                "mfcc → esc50": made(["mfcc"], 200, seed=4), "speech → fsdd": made(LAYERS, 80)}
    ticker = widgets.LayerTicker(searches)
    marks = ticker.marks()
    own, random = searches["speech → esc50"].scores(), searches["random → esc50"].scores()
    assert marks["last layer"] == own[2] and marks["all layers"] == own[-1]
    assert marks["random"] == random[-1]
    assert marks["MFCC"] == searches["mfcc → esc50"].scores()[0]
    ticker.controls["search"].value = "speech → fsdd"
    assert set(ticker.marks()) == {"last layer", "all layers"}
    with pytest.raises(AudiotlError, match="choose"):
        widgets.LayerTicker({})


def test_choices_are_drawn_and_played_and_each_sound_is_asked_for_once():
    asked = []

    def hear(domain, count):
        asked.append((domain, count))
        return np.sin(np.arange(800) / count)

    def draw(domain, count):
        return plt.figure(figsize=(len(domain) / 4, count / 10))

    viewer = widgets.live(draw, hear, domain=["speech", "music"], count=(5, 13, 40))
    first = viewer.image.value
    assert viewer.chosen() == {"domain": "speech", "count": 13}
    assert "<audio" in viewer.player.value and first[1:4] == b"PNG"
    viewer.controls["count"].value = 40
    assert viewer.image.value != first
    viewer.controls["count"].value = 13
    assert viewer.image.value == first and asked == [("speech", 13), ("speech", 40)]
    viewer.controls["domain"].value = "music"
    assert viewer.image.value != first and asked[2:] == [("music", 13)]
    shown = viewer._repr_mimebundle_()
    assert shown["image/png"].startswith("iVBOR") and "music" in shown["text/plain"]
    assert widgets.live(lambda n: plt.figure(), n=range(1, 10, 2)).chosen() == {"n": 5}
    with pytest.raises(AudiotlError, match="choose"):
        widgets.live(draw, domain=[])
