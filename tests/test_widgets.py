import time

import jupytext
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from audiotl import AudiotlError, explorers, stats, widgets
from audiotl.probes.subset_search import Search, all_subsets


def made(n_blocks, n_clips, probe="ridge", seed=0):
    """A finished search, its bits drawn at random: larger subsets do better."""
    rng = np.random.default_rng(seed)
    names = tuple([f"layer{i + 1}" for i in range(n_blocks - 1)] + ["mfcc"])
    subsets = all_subsets(names)
    fold = np.arange(n_clips) % 5
    chance = np.array([0.2 + 0.6 * len(s) / n_blocks for s in subsets])
    bits = np.packbits(rng.random((len(subsets), 2, n_clips)) < chance[:, None, None], axis=2)
    return Search(names, subsets, [{}, {}], fold, bits, rng.random((5, len(subsets), 2)),
                  (np.arange(n_clips) // 2).astype(str), probe)


def test_a_lookup_gives_score_interval_and_rank():
    found = made(4, 300)
    right = found.nested()
    seen = explorers.lookup(found, ("mfcc", "layer2"))
    at = found.subsets.index(("layer2", "mfcc"))
    assert (seen.score, seen.ci_low, seen.ci_high) == stats.bootstrap_mean(right[at], found.groups)
    assert seen.rank == 1 + (right.mean(1) > right[at].mean()).sum() and seen.of == 15
    best = found.subsets[int(right.mean(1).argmax())]
    assert explorers.lookup(found, best).rank == 1
    assert str(seen) == f"{100 * seen.score:.1f} % ({100 * seen.ci_low:.1f} to {100 * seen.ci_high:.1f}), " \
                        f"rank {seen.rank} of 15"
    with pytest.raises(AudiotlError, match="was not scored"):
        explorers.lookup(found, ())


def test_a_lookup_is_quick_for_three_thousand_clips_and_four_thousand_subsets():
    found = made(12, 3000)
    explorers.lookup(found, ("layer1",))  # the first one prepares
    times = []
    for subset in found.subsets[5:4000:500]:
        started = time.perf_counter()
        explorers.lookup(found, subset)
        times.append(time.perf_counter() - started)
    assert np.median(times) < 0.2


def test_a_tick_changes_the_text_and_the_picture():
    one, two = made(4, 200), made(3, 100, seed=1)
    other = made(4, 200, "svm", seed=2)
    explorer = explorers.Explorer({("esc50", "ridge"): one, ("fsdd", "ridge"): two, ("esc50", "svm"): other})
    assert explorer.ticked() == one.names and f"{100 * one.scores()[-1]:.1f} %" in explorer.text.value
    before, picture = explorer.text.value, bytes(explorer.image.value)
    explorer.boxes["layer1"].value = False
    assert explorer.ticked() == ("layer2", "layer3", "mfcc") and explorer.text.value != before
    assert str(explorers.lookup(one, explorer.ticked())) in explorer.text.value
    assert picture != bytes(explorer.image.value) and bytes(explorer.image.value).startswith(b"\x89PNG")
    explorer.probe.value = "svm"
    assert str(explorers.lookup(other, explorer.ticked())) in explorer.text.value
    explorer.target.value = "fsdd"
    assert explorer.probe.options == ("ridge",) and set(explorer.boxes) == set(two.names)
    assert str(explorers.lookup(two, explorer.ticked())) in explorer.text.value
    for box in explorer.boxes.values():
        box.value = False
    assert explorer.text.value == "<b>Tick a layer or more.</b>" and explorer.words() == "Tick a layer or more."
    explorer.target.value = "esc50"
    assert explorer.ticked() == one.names


def test_without_a_notebook_there_is_the_picture():
    explorer = explorers.Explorer({("esc50", "ridge"): made(3, 100)}, ["layer2"])
    shown = explorer._repr_mimebundle_()
    assert not widgets.alive() and shown["image/png"].startswith("iVBOR") and "rank" in shown["text/plain"]
    with pytest.raises(AudiotlError, match="no search"):
        explorers.Explorer({})


def test_a_viewer_draws_and_plays_what_is_chosen_and_asks_for_each_sound_once():
    import matplotlib.pyplot as plt

    asked = []

    def hear(domain, count):
        asked.append((domain, count))
        return np.sin(np.arange(800) / count)

    def draw(domain, count):
        return plt.figure(figsize=(len(domain) / 4, count / 10))

    viewer = widgets.Viewer(draw, {"domain": ["speech", "music"], "coefficients": (5, 13, 40)}, hear, 16_000)
    first = viewer.image.value
    assert viewer.chosen() == ("speech", 13) and "<audio" in viewer.player.value and first[1:4] == b"PNG"
    viewer.controls["coefficients"].value = 40
    assert viewer.image.value != first
    viewer.controls["coefficients"].value = 13
    assert viewer.image.value == first and asked == [("speech", 13), ("speech", 40)]
    viewer.controls["domain"].value = "music"
    assert viewer.image.value != first and asked[2:] == [("music", 13)]
    shown = viewer._repr_mimebundle_()
    assert set(shown) == {"image/png", "text/plain"} and shown["text/plain"] == "domain music, coefficients 13"
    with pytest.raises(AudiotlError, match="nothing to choose"):
        widgets.Viewer(draw, {"domain": []})


def seconds_to_move(viewer, name, *values):
    """Processor time of the quickest move to a new value, until picture and sound are there; both must change.

    The quickest, for a busy machine and a collection of garbage slow a move down, and nothing speeds one up.
    """
    times = []
    for value in values:
        before = viewer.image.value, viewer.player.value
        started = time.process_time()
        viewer.controls[name].value = value
        times.append(time.process_time() - started)
        assert viewer.image.value != before[0] and (not before[1] or viewer.player.value != before[1])
    return min(times)


def live_viewer(chapter):
    """The viewer of a notebook: its own cells are run, in the smoke profile, up to the one that makes it."""
    made = {}
    for cell in jupytext.read(ROOT / "notebooks" / f"{chapter}.py").cells:
        if cell.cell_type == "code":
            exec(cell.source, made)
            made |= {"profile": "smoke"} if "parameters" in cell.metadata.get("tags", []) else {}
        if "viewer" in made:
            return made["viewer"]


def test_the_live_moments_of_the_chapters_answer_within_a_second():
    first, then, last = map(live_viewer, ("00_start_here", "01_pretraining", "03_mfcc_ablation"))
    first.controls["clip"].value = 1  # the first time, fonts are looked up and code is compiled
    then.controls["epoch"].value = 2
    last.controls["coefficients"].value = 5
    for viewer, moves in ((first, {"clip": (2, 3), "domain": ("music", "speech")}),
                          (then, {"source": ("speech", "music"), "epoch": (1, 3)}),
                          (last, {"coefficients": (40, 13), "domain": ("speech", "environment")})):
        assert {name: seconds for name, values in moves.items()
                if (seconds := seconds_to_move(viewer, name, *values)) >= 1} == {}


def test_sliding_the_share_of_clips_changes_the_scores_and_the_picture():
    import pandas as pd

    def row(network, mode, fraction, score):
        return {"target": "words", "network": network, "input": "plain", "mode": mode, "fraction": fraction,
                "score": score, "ci_low": score - 0.05, "ci_high": score + 0.05}

    table = pd.DataFrame([row("convnet5", "scratch", 0.1, 0.2), row("convnet5", "scratch", 1.0, 0.6),
                          row("convnet5", "fine-tuned", 0.1, 0.4), row("convnet5", "fine-tuned", 1.0, 0.7),
                          row("resnet18", "scratch", 0.5, 0.55)])
    slider = explorers.FractionSlider(table)
    assert slider.slider.value == 0.1 and "fine-tuned 40.0 % (35.0 to 45.0); plain, scratch 20.0 %" in slider.text.value
    picture = bytes(slider.image.value)
    slider.slider.value = 1.0
    assert "fine-tuned 70.0 %" in slider.text.value and bytes(slider.image.value) != picture
    slider.case.value = "resnet18 on words"
    assert slider.slider.value == 0.5
    assert slider.text.value.startswith("<b>50 % of the clips, resnet18 on words: plain")
    assert slider._repr_mimebundle_()["image/png"].startswith("iVBOR")
    with pytest.raises(AudiotlError, match="no finished curve"):
        explorers.FractionSlider(table.iloc[:0].assign(network="", target=""))


def test_a_cell_of_the_matrix_is_told_in_under_a_second_and_an_own_corpus_has_none():
    rng, pairs = np.random.default_rng(0), [("environment", "fsdd"), ("speech", "esc50"), ("random", "fsdd")]
    rows = [{"source": s, "draw": "all", "target": t, "layer": layer, "score": score, "ci_low": score - 0.1,
             "ci_high": score + 0.1} for i, (s, t) in enumerate(pairs)
            for layer, score in (("layer1", 0.3 + i / 10), ("layer2", 0.4), ("all", 0.5 + i / 10))]
    table = pd.DataFrame(rows)
    spectra = {key: rng.uniform(-80, 0, (300, 16)) for key in (("source", "environment"), ("target", "fsdd"))}
    explorer = explorers.CellExplorer(table[table["layer"] == "all"], table[table["layer"] != "all"], spectra,
                                    np.geomspace(60, 7000, 16))
    first = bytes(explorer.image.value)
    assert "50.0 % (40.0 to 60.0)" in explorer.text.value and first.startswith(b"\x89PNG")
    started = time.process_time()
    explorer.source.value = ("random", "all")
    assert time.process_time() - started < 2  # 0.1 s on a quiet machine
    assert "70.0 %" in explorer.text.value and bytes(explorer.image.value) != first
    explorer.source.value = ("speech", "all")
    assert "its own corpus" in explorer.words() and not bytes(explorer.image.value)
    explorer.target.value = "esc50"
    assert "60.0 %" in explorer.text.value and explorer._repr_mimebundle_()["image/png"]
    with pytest.raises(AudiotlError, match="no cell"):
        explorers.CellExplorer(table.iloc[:0], table, spectra, np.arange(16))
