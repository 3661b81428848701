import numpy as np
import pandas as pd
import pytest

from audiotl import AudiotlError, robustness
from audiotl.datasets.corpus import Corpus
from audiotl.probes import Ridge


@pytest.fixture
def corpus():
    n = 120
    clips = pd.DataFrame({"path": [f"{i}" for i in range(n)], "label": ["a", "b", "c"] * (n // 3), "fold": -1,
                          "group": [f"g{i // 3}" for i in range(n)]})
    return Corpus("toy", clips, ("a", "b", "c"), 1.0)


def blocks_of(corpus, noise, seed):
    rng = np.random.default_rng(seed)
    at = np.eye(3)[corpus.targets()]
    return {"layer1": at + noise[0] * rng.standard_normal((120, 3)),
            "mfcc": 100 * (at + noise[1] * rng.standard_normal((120, 3)))}


def test_a_block_that_breaks_loses_and_one_that_stays_does_not(corpus, fresh_cache):
    clean = blocks_of(corpus, (0.1, 0.1), 0)
    bad = {"layer1": clean["layer1"], "mfcc": blocks_of(corpus, (0, 5), 1)["mfcc"]}
    tested = robustness.run("random", "toy", clean, {"same": clean, "bad": bad}, corpus, Ridge())
    right = tested.right
    assert list(right) == ["clean", "same", "bad"]
    assert all((right["same"][k] == right["clean"][k]).all() for k in ("mfcc", "network", "both"))
    assert (right["bad"]["network"] == right["clean"]["network"]).all()
    assert right["clean"]["mfcc"].mean() > 0.95 and right["bad"]["mfcc"].mean() < 0.7
    frame = robustness.table([tested]).set_index(["degradation", "blocks"])
    assert len(frame) == 9 and frame.loc[("bad", "mfcc"), "loss_low"] > 0.2
    assert frame.loc[("clean", "both"), "loss"] == frame.loc[("bad", "network"), "loss"] == 0
    gaps = robustness.paired([tested]).set_index(["degradation", "comparison", "what"])
    assert gaps.loc[("bad", "mfcc - network", "loss"), "ci_low"] > 0.2
    assert gaps.loc[("bad", "mfcc - network", "score"), "ci_high"] < 0 and len(gaps) == 2 * (1 + 2 * 2)


def test_clean_scores_are_those_of_the_nested_search(corpus, fresh_cache):
    clean = blocks_of(corpus, (1.0, 0.7), 3)
    tested = robustness.run("random", "toy", clean, {}, corpus, Ridge())
    sets = [("mfcc",), ("layer1",), ("layer1", "mfcc")]
    found = robustness.search(clean, corpus.targets(), corpus.splits(), corpus.groups, Ridge(), subsets=sets).nested()
    for row, key in zip(found, ("mfcc", "network", "both"), strict=True):
        assert (row == tested.right["clean"][key]).all()


def test_blocks_that_do_not_match_are_refused(corpus, fresh_cache):
    clean = blocks_of(corpus, (0.1, 0.1), 0)
    with pytest.raises(AudiotlError, match="noise 0 dB differ in shape"):
        robustness.run("random", "toy", clean, {"noise 0 dB": {k: v[:-1] for k, v in clean.items()}}, corpus, Ridge())
