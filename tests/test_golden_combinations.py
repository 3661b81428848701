"""Scores that chapter 02 reported on recordings, made again from the sound."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from audiotl import datasets, probes
from audiotl.features import features
from audiotl.probes.subset_search import search

COMMITTED = ROOT / "reports" / "real" / "02_layer_combinations" / "combinations.csv"


@pytest.mark.parametrize(("target", "rows"), [("fsdd", 2), ("speech_commands_10", 2),
                                              ("esc50", 2)])
def test_mfcc_and_ridge_score_what_they_scored(target, rows, recordings):
    corpus = datasets.load(target, recordings)
    if target == "esc50":
        sources = [datasets.load(name, recordings) for name in ("urbansound8k", "speech_commands")]
        corpus, _ = datasets.without_shared(corpus, sources)
    sound = features(corpus, progress=False)
    found = search({"mfcc": sound.mfcc}, corpus.targets(), corpus.splits(), corpus.groups,
                   probes.named("ridge"), progress=False).table()
    table = pd.read_csv(COMMITTED)
    known = table.query(f"source == 'mfcc' and probe == 'ridge' and target == '{target}'")
    both = known.merge(found, on=["subset", "probe", "protocol"], suffixes=("", "_now"))
    assert len(both) == rows
    for name in ("score", "ci_low", "ci_high"):
        np.testing.assert_allclose(both[f"{name}_now"], both[name], atol=1e-6)
