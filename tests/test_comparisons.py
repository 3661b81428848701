import numpy as np
import pandas as pd
import pytest

from audiotl import comparisons, probes
from audiotl.probes.subset_search import search


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    """Two sources on one target: one informative in its first layer, one pure noise, and an MFCC block between."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOTL_CACHE", str(tmp_path_factory.mktemp("cache")))
        rng = np.random.default_rng(0)
        y, fold = rng.integers(0, 3, 240), np.arange(240) % 4
        splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(4)]
        groups, out = np.arange(240).astype(str), {}
        for source, strengths in {"environment": (2.0, 0, 0), "random": (0, 0, 0), "mfcc": (1.0,)}.items():
            names = ["mfcc"] if source == "mfcc" else ["layer1", "layer2", "layer3"]
            blocks = {n: rng.normal(size=(240, 3)) + s * y[:, None] for n, s in zip(names, strengths, strict=True)}
            out[source, "toy", "ridge"] = search(blocks, y, splits, groups, probes.Ridge(), progress=False)
        return out


def test_the_table_has_every_subset_under_both_protocols(searches):
    table = comparisons.table(searches)
    assert len(table) == (7 + 7 + 1) * 2
    assert (table["ci_low"] <= table["score"]).all() and (table["score"] <= table["ci_high"]).all()
    paper, nested = (table[table["protocol"] == p].set_index(["source", "subset"])["score"]
                     for p in ("paper", "nested"))
    assert paper.mean() > nested.mean()  # on average: a fold of its own may like another cell


def test_differences_are_of_the_same_clips_and_point_the_right_way(searches):
    rows = comparisons.paired(searches, "ridge").set_index(["comparison", "source"])
    assert rows.loc[("all - last", "environment"), "ci_low"] > 0.2
    assert rows.loc[("all - random", "environment"), "ci_low"] > 0.2
    assert rows.loc[("all - mfcc", "random"), "ci_high"] < 0
    assert ("all - random", "random") not in rows.index
    one, two = (searches[source, "toy", "ridge"].nested()[-1].mean() for source in ("environment", "mfcc"))
    assert rows.loc[("all - mfcc", "environment"), "difference"] == pytest.approx(one - two)


def test_sentences_claim_what_the_intervals_support(searches):
    rows = comparisons.paired(searches, "ridge")
    said = comparisons.say_paired(rows, "all - random", "a trained network", "random weights")
    assert "higher in 1 of 1 cases (environment → toy" in said and "lower in none" in said
    undecided = pd.DataFrame([{"comparison": "c", "source": "s", "target": "t", "difference": 0.1, "ci_low": -0.1,
                               "ci_high": 0.3}])
    said = comparisons.say_paired(undecided, "c", "a", "b")
    assert "higher in none of 1 cases, lower in none; 1 case is undecided" in said
    assert "In no case" in comparisons.say_depth([1, 3]) and "In 1 of 2" in comparisons.say_depth([5, 3])
    assert "1 of 2 pairs" in comparisons.finding(rows, comparisons.summary(searches, "ridge"), "ridge")


def test_optimism_is_never_negative_here_and_mfcc_has_none(searches):
    rows = comparisons.optimism(searches)
    assert set(rows["source"]) == {"environment", "random"} and (rows["optimism"] >= 0).all()
