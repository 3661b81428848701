import numpy as np
import pandas as pd
import pytest

from audiotl import savings, savings_text, stats
from audiotl.fraction_grid import Cell, Done
from audiotl.transfer import HEAD, ONE_RATE, PROBE

FRACTIONS = (0.1, 0.4, 1.0)
TRUTH = {("plain", "scratch"): (0.3, 0.5, 0.7), ("plain", "fine-tuned"): (0.5, 0.7, 0.8),
         ("plain", ONE_RATE): (0.6, 0.7, 0.75), ("multiscale", ONE_RATE): (0.6, 0.8, 0.9),
         ("multiscale", "scratch"): (0.3, 0.5, 0.7), ("multiscale", "fine-tuned"): (0.7, 0.85, 0.9)}


def runs(seeds=(0, 1, 2), speakers=60, clips=20, truth=TRUTH):
    """Runs whose answers are right at the rates of `truth`, drawn clip by clip from one uniform number a clip."""
    out = []
    for seed in seeds:
        luck = np.random.default_rng(seed).random(speakers * clips)
        groups = np.repeat([f"{seed} {s}" for s in range(speakers)], clips)
        out += [Done(Cell("words", "convnet5", *kind, fraction, seed), round(1000 * fraction), 300, luck < rate, groups,
                     1.0)
                for kind, rates in truth.items() for fraction, rate in zip(FRACTIONS, rates, strict=True)]
    return out


def test_the_effects_are_the_planted_ones_and_their_intervals_hold_them():
    effects = savings.effects(savings.curves(runs()))
    assert set(effects["effect"]) == set(savings.EFFECTS) and len(effects) == 10 * 4
    planted = {"transfer, plain input": (0.2, 0.2, 0.1), "transfer at one rate, plain input": (0.3, 0.2, 0.05),
               "one rate against a lower one early, plain input": (0.1, 0, -0.05),
               "transfer at one rate, multiscale input": (0.3, 0.3, 0.2),
               "multiscale, transferred at one rate": (0, 0.1, 0.15), "interaction at one rate": (0, 0.1, 0.15),
               "transfer, multiscale input": (0.4, 0.35, 0.2),
               "multiscale, from scratch": (0, 0, 0), "multiscale, transferred": (0.2, 0.15, 0.1),
               "interaction": (0.2, 0.15, 0.1)}
    for effect, values in planted.items():
        rows = effects[effects["effect"] == effect].set_index("fraction")
        for fraction, value in zip(("mean", *FRACTIONS), (np.mean(values), *values), strict=True):
            row = rows.loc[fraction]
            assert row["difference"] == pytest.approx(value, abs=0.03)
            assert row["ci_low"] <= row["difference"] <= row["ci_high"] and row["ci_high"] - row["ci_low"] < 0.1


def test_the_interaction_of_each_draw_is_of_one_draw_of_clips():
    one = savings.curves(runs(speakers=6))[0]
    plain, scales = one.draws["plain", "scratch"], one.draws["multiscale", "scratch"]
    apart, together = (plain.std(0), scales.std(0)), (plain - scales).std(0)
    assert np.allclose(together, 0) and (np.array(apart) > 0.005).all()


def test_runs_are_drawn_too_where_seeds_differ():
    right = [np.tile(rate, (1, 400)) for rate in (0.2, 0.5, 0.8)]
    groups = [np.arange(400)] * 3
    wide = stats.bootstrap_runs(right, groups, n=500)
    assert wide.shape == (500, 1) and wide.std() == pytest.approx(np.std([0.2, 0.5, 0.8]) / np.sqrt(3), rel=0.1)
    assert stats.bootstrap_runs(right[:1], groups[:1], n=50).std() == pytest.approx(0, abs=1e-12)
    luck = (np.random.default_rng(0).random((1, 400)) < 0.5).astype(float)
    single = stats.bootstrap_runs([luck], groups[:1])[:, 0]
    assert single.std() == pytest.approx(0.5 / 20, rel=0.1) and single.mean() == pytest.approx(luck.mean(), abs=0.003)


def test_the_matching_fraction_is_read_off_with_its_interval():
    matched = savings.matching(savings.curves(runs())).set_index("comparison")
    assert list(matched.index) == list(savings.MATCHES)
    plain, both = matched.iloc[0], matched.iloc[2]
    assert 0.3 < plain["fraction"] < 0.5 and plain["ci_low"] <= plain["fraction"] <= plain["ci_high"] < 0.7
    assert both["ci_low"] == savings.BELOW and both["ci_high"] < 0.3  # about the smallest fraction
    never = {**TRUTH, ("plain", "fine-tuned"): (0.3, 0.4, 0.5), ("multiscale", "fine-tuned"): (0.8, 0.85, 0.9)}
    matched = savings.matching(savings.curves(runs(truth=never)))
    text = savings_text.say_matching(matched).splitlines()
    assert "**not reached** at all clips" in text[0] and "transfer stays behind" in text[0]
    assert "**less than 10 %** of the clips" in text[2] and text[2].endswith("so clips are saved.")


def test_no_clips_are_saved_where_from_scratch_gains_nothing_from_them():
    flat = {**TRUTH, ("plain", "scratch"): (0.3, 0.3, 0.3), ("multiscale", "scratch"): (0.4, 0.35, 0.3)}
    found = savings.curves(runs(truth=flat))
    matched = savings.matching(found)
    assert (matched["rises"] < 1).all() and (savings.matching(savings.curves(runs()))["rises"] == 1).all()
    assert all("none to save" in line for line in savings_text.say_matching(matched).splitlines())
    text = savings_text.finding(savings.effects(found), matched, savings.gains([], []))
    assert "clips saved" not in text and "share of clips that does" not in text
    mixed = pd.concat([matched, savings.matching(savings.curves(runs())).assign(network="resnet18")])
    text = savings_text.finding(savings.effects(found), mixed, savings.gains([], []))
    assert "gains nothing from more clips (convnet5, words), there is no such share" in text
    assert text.count("(resnet18, words; clips saved)") == 2


def test_shares_are_the_clips_that_were_drawn():
    done = [Done(one.cell, {100: 150, 400: 390, 1000: 1000}[one.clips], *[getattr(one, name) for name in (
        "steps", "right", "groups", "seconds")]) for one in runs()]
    one = savings.curves(done)[0]
    assert one.shares == pytest.approx((0.15, 0.39, 1.0)) and one.fractions == FRACTIONS
    assert savings.matching([one])["smallest"].tolist() == [pytest.approx(0.15)] * 6


def test_an_unfinished_grid_gives_what_is_complete():
    done = [one for one in runs() if not (one.cell.seed == 2 and one.cell.fraction == 0.1)]
    assert savings.curves(done)[0].seeds == (0, 1) and savings.curves(done)[0].fractions == FRACTIONS
    first = [one for one in runs((0,)) if one.cell.fraction != 0.4 or one.cell.mode == "scratch"]
    assert savings.curves(first)[0].fractions == (0.1, 1.0)
    head = Done(Cell("words", "convnet5", "plain", HEAD, 1.0, 0), 1000, 300, first[0].right, first[0].groups, 1.0)
    assert savings.curves([*first, head])[0].scores.keys() == TRUTH.keys()
    plain = [one for one in runs() if one.cell.input == "plain" and one.cell.mode != ONE_RATE]
    assert set(savings.effects(savings.curves(plain))["effect"]) == {"transfer, plain input"}
    assert savings.curves(first[:1])[0].fractions == (0.1,) and savings.matching(savings.curves(first[:1])).empty
    for nothing in (savings.means([]), savings.effects([]), savings.matching([])):
        assert nothing.empty
    nothing = savings.effects([]), savings.matching([]), savings.gains([], [])
    assert "nothing can be told" in savings_text.finding(*nothing)
    assert list(savings.table([], "s")) == ["source", "target", "network", "input", "mode", "fraction", "seed", "score"]


def test_the_table_begins_with_the_columns_of_the_study():
    table = savings.table(runs((0,)), "urbansound8k")
    assert list(table)[:8] == ["source", "target", "network", "input", "mode", "fraction", "seed", "score"]
    assert (table["ci_low"] <= table["score"]).all() and (table["test_groups"] == 60).all()


def test_sentences_claim_what_intervals_support():
    effects = savings.effects(savings.curves(runs()))
    head, _, *rows = savings_text.say_effects(effects).splitlines()
    cells = {row.split(" | ")[0].strip("| "): row.split(" | ")[1].strip("| ") for row in rows}
    assert "convnet5, words" in head and set(cells) == set(savings.EFFECTS)
    assert cells["interaction"].startswith("**+") and cells["interaction"].endswith("above zero at 10 %, 40 %, 100 %")
    assert "**" not in cells["multiscale, from scratch"] and "zero" not in cells["multiscale, from scratch"]
    assert cells["one rate against a lower one early, plain input"].endswith("above zero at 10 %; below zero at 100 %")
    text = savings_text.finding(effects, savings.matching(savings.curves(runs())), savings.gains([], []))
    assert "surely above zero in 1, below in none of 1 cases" in text
    assert text.count("(convnet5, words; clips saved)") == 2
    even = effects[(effects["effect"] == "transfer at one rate, plain input") & (effects["fraction"] == "mean")].iloc[0]
    assert f"and {100 * even['difference']:+.1f} points (surely above" in text
    assert savings_text.say_missing([]) == "Every run of the grid is finished."
    missing = savings_text.say_missing([Cell("words", "resnet18", "plain", PROBE, 0.05, 2)])
    assert "1 runs of the grid" in missing and "resnet18 on words" in missing and "5 %" in missing


def test_a_longer_budget_is_compared_on_the_same_clips():
    done = runs((0,))
    more = [Done(one.cell, one.clips, 1200, one.right | (np.arange(len(one.right)) % 5 == 0), one.groups, 4.0)
            for one in done if one.cell.fraction == 1 and one.cell.input == "plain"]
    frame = savings.longer(done, more)
    before = {one.cell: one.right.mean() for one in done}
    assert frame["difference"].tolist() == pytest.approx([one.right.mean() - before[one.cell] for one in more])
    text = savings_text.say_longer(frame)
    assert "after 300 steps" in text and "after 1,200" in text and "had not converged" in text
    assert savings_text.say_longer(savings.longer(done, [])) == "" and isinstance(frame, pd.DataFrame)


def test_a_gain_that_goes_with_more_steps_is_seen():
    """From scratch gains what transfer had ahead, on the same clips: the gain shrinks by what was planted."""
    done, late = runs((0,)), {("plain", "scratch"): 0.9, ("plain", "fine-tuned"): 0.85, ("plain", ONE_RATE): 0.9}
    longer = runs((0,), truth={kind: (rate,) * 3 for kind, rate in late.items()})
    more = [Done(one.cell, one.clips, 1200, one.right, one.groups, 4.0) for one in longer if one.cell.fraction == 1]
    gained = savings.gains(done, more)
    found = gained.set_index(["mode", "when"])
    for mode, gain in (("fine-tuned", (0.1, -0.05, -0.15)), (ONE_RATE, (0.05, 0, -0.05))):
        for when, planted in zip(("budget", "longer", "change"), gain, strict=True):
            row = found.loc[mode, when]
            assert row["difference"] == pytest.approx(planted, abs=0.02)
            assert row["ci_low"] <= row["difference"] <= row["ci_high"] and row["sure"] == np.sign(planted)
    assert list(gained["steps"]) == [300, 1200, 1200] * 2 and len(gained) == 6
    lines = savings_text.say_gains(gained).splitlines()
    assert len(lines) == 2 and "after 300 steps" in lines[1] and "we cannot tell its sign after 1,200" in lines[1]
    whole = savings_text.finding(savings.effects(savings.curves(done)), savings.matching([]), gained)
    assert "surely smaller in 1, larger in none of 1 cases" in whole and "above zero in none, below in none" in whole
    assert savings.gains(done, [one for one in more if one.cell.mode != "scratch"]).empty
    assert savings_text.say_gains(savings.gains(done, [])) == ""


def test_two_speakers_say_nothing_of_others():
    """Every clip of two speakers goes one way: the interval is as narrow as can be, and no sentence claims a sign."""
    done = runs((0,), speakers=2, clips=500)
    found = savings.curves(done)
    effects, matched = savings.effects(found), savings.matching(found)
    transfer = effects[effects["effect"] == "transfer, plain input"]
    assert (transfer["ci_low"] > 0).all() and (effects["sure"] == 0).all() and (effects["test_groups"] == 2).all()
    assert "too few test groups (2)" in savings_text.say_effects(effects)
    assert "tells nothing of others" in savings_text.say_matching(matched)
    text = savings_text.finding(effects, matched, savings.gains([], []))
    assert "surely above zero in none, below in none of 1 cases" in text and "; clips saved)" not in text
    more = [Done(one.cell, one.clips, 1200, np.ones_like(one.right), one.groups, 4.0) for one in done
            if one.cell.fraction == 1 and one.cell.input == "plain"]
    frame = savings.longer(done, more)
    assert (frame["ci_low"] > 0).all() and "had not converged" not in savings_text.say_longer(frame)
    gained = savings.gains(done, more)
    assert (gained["sure"] == 0).all() and "2 test groups are too few" in savings_text.say_gains(gained)
