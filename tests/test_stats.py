import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from audiotl import AudiotlError, stats
from audiotl.stats import Scored, bootstrap_rows, compare


def test_the_interval_covers_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        ((_, low, high),) = bootstrap_rows([rng.random(150) < 0.7])
        hits += low <= 0.7 <= high
    assert 0.89 <= hits / 200 <= 0.99


def test_corrected_t_is_more_careful_than_the_plain_one():
    d = np.array([0.02, 0.03, 0.01, 0.025, 0.015])
    plain = scipy_stats.ttest_1samp(d, 0).pvalue
    assert stats.corrected_t(d, 1600, 400) > plain
    assert stats.corrected_t(d, 1e12, 1e-3) == pytest.approx(plain, rel=1e-6)
    assert stats.corrected_t(np.zeros(5), 4, 1) == 1.0 > 1e6 * stats.corrected_t(np.ones(5), 4, 1)


def test_sign_test_leaves_ties_out():
    assert stats.sign_test(np.ones(9), np.zeros(9)) == pytest.approx(2 / 2**9)
    assert stats.sign_test(np.ones(5), np.ones(5)) == 1.0


def scored(seed=0, seeds=1, repeats=1, n=60, lift=0.0, **keys):
    rng = np.random.default_rng(0)
    folds = np.array([np.repeat(rng.permutation(20), 3) % 5 for _ in range(repeats)])
    values = np.random.default_rng(seed).normal(size=(seeds, repeats, n)) + lift
    return Scored(values, folds, np.repeat([f"{i:02d}" for i in range(20)], 3), keys)


def test_a_score_has_the_interval_of_groups_drawn_by_hand():
    one = scored(target="toy")
    row = stats.score_table([one]).iloc[0]
    by_group = one.values[0, 0].reshape(20, 3).mean(1)
    drawn = np.random.default_rng(0).multinomial(20, np.full(20, 1 / 20), size=2000)
    assert row["score"] == pytest.approx(one.mean) and row["target"] == "toy"
    assert np.allclose([row["ci_low"], row["ci_high"]],
                       np.percentile(drawn @ by_group / 20, [2.5, 97.5]))
    assert (row["clips"], row["groups"], row["seeds"]) == (60, 20, 1)


def test_a_comparison_is_paired_and_its_p_is_the_corrected_t_over_folds_and_repeats():
    one, other = scored(1, 3, 2, lift=1.0, target="toy", subset="a"), scored(2, 3, 2, target="toy")
    row = compare(one, other, question=1)
    difference = (one.values - other.values).mean(0)
    means = [difference[r, one.folds[r] == k].mean() for r in range(2) for k in range(5)]
    t = np.mean(means) / np.sqrt(np.var(means, ddof=1) * (1 / 10 + 12 / 48))
    assert row["p"] == pytest.approx(2 * scipy_stats.t.sf(abs(t), 9))
    assert row["difference"] == pytest.approx(difference.mean())
    assert row["target"] == "toy" and row["question"] == 1 and "subset" not in row
    with pytest.raises(AudiotlError):
        compare(one, scored(2, 3, 1))


def test_seeds_and_repeats_are_put_side_by_side():
    parts = [scored(s) for s in range(3)]
    whole = stats.over_seeds(parts)
    assert whole.values.shape == (3, 1, 60) and whole.named(mode="x").keys == {"mode": "x"}
    assert np.array_equal(whole.values[2], parts[2].values[0])
    assert stats.over_repeats(parts).values.shape == (1, 3, 60)
    assert stats.over_repeats(parts).folds.shape == (3, 60)
    apart = [Scored.of(one.values[0, 0], np.full(60, k), one.groups) for k, one in enumerate(parts)]
    assert (stats.over_folds(apart).folds == np.repeat([[0, 1, 2]], 60, 1)).all()
    assert np.isnan(compare(*[stats.over_folds(apart[:2])] * 2)["p"])
    for together, wrong in ((stats.over_seeds, [scored(), scored(repeats=2)]),
                            (stats.over_folds, apart[:1] * 2)):
        with pytest.raises(AudiotlError):
            together(wrong)


def test_clear_asks_for_interval_p_after_holm_and_groups():
    frame = pd.DataFrame({"ci_low": [0.1, -0.1, 0.1, 0.1, -0.3],
                          "ci_high": [0.3, 0.1, 0.3, 0.3, -0.1],
                          "p": [0.001, 0.001, 0.03, 0.001, 0.001], "groups": [20, 20, 20, 9, 20]})
    assert stats.clear(frame).tolist() == [True, False, True, False, True]
    frame.loc[0, "p"] = 0.04  # below 0.05 alone, and 0.06 as one of two that are left
    assert stats.clear(frame).tolist() == [False, False, False, False, True]
    frame["asked"] = ["one", "one", "two", "two", "one"]
    assert stats.clear(frame, "asked").tolist() == [True, False, True, False, True]
    assert stats.clear(frame.loc[[2, 2]], "asked").tolist() == [False, False]  # twice 0.03
    assert stats.equivalent(frame, 0.2).tolist() == [False, True, False, False, False]
    frame["clear"], frame["difference"] = stats.clear(frame, "asked"), [0.2, 0, 0.2, 0.2, -0.2]
    assert stats.tally(frame) == "2 of 5"


def test_holm_steps_down_and_leaves_the_unknown_out():
    p = np.array([0.02, np.nan, 0.01, 0.5])
    assert np.allclose(stats.holm(p), [2 * 0.02, np.nan, 3 * 0.01, 0.5], equal_nan=True)
    assert stats.holm([0.6, 0.9]).tolist() == [1.0, 1.0]


def test_verdicts_follow_from_interval_p_value_and_groups():
    rows = pd.DataFrame({"difference": [.05, -.05, .004, .004, .05, .05],
                         "ci_low": [.02, -.08, -.002, .002, .02, -.01],
                         "ci_high": [.08, -.02, .008, .006, .08, .11],
                         "p": [.001, .001, .5, .001, .001, .5], "groups": [20, 20, 20, 20, 9, 20]})
    assert stats.decide(rows, "difference", 0.01).tolist() == [
        "holds", "does not hold", "equivalent", "holds", "cannot tell", "cannot tell"]
    assert stats.decide(rows, "equivalence", 0.01).tolist() == [
        "holds", "does not hold", "equivalent", "equivalent", "cannot tell", "cannot tell"]
    assert stats.decide(rows, "not worse", 0.01).tolist() == [
        "holds", "does not hold", "holds", "holds", "cannot tell", "cannot tell"]
    with pytest.raises(AudiotlError, match="guess"):
        stats.decide(rows, "guess", 0.01)
