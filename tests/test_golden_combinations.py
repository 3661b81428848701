"""Scores that chapter 02 reported on spoken digits, made again from the sound."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from audiotl import datasets, probes
from audiotl.embedding import embed
from audiotl.features import features
from audiotl.probes.subset_search import search
from audiotl.training import untrained

COMMITTED = ROOT / "reports" / "real" / "02_layer_combinations" / "combinations.csv"
TIPPED = 3 / 3000
"""Another processor adds in another order: a clip or two of the 3,000 may tip over."""


def random_network(recordings):
    """Batch norm takes its statistics from 256 clips; only these are decoded."""
    corpus = datasets.load("urbansound8k", recordings)
    rows = np.random.default_rng(0).permutation(len(corpus))[:256]
    few = features(corpus.subset(rows), progress=False)
    spectrograms = np.zeros((len(corpus), *few.spectrograms.shape[1:]), np.float16)
    spectrograms[rows] = few.spectrograms
    return untrained(dataclasses.replace(few, corpus=corpus, spectrograms=spectrograms))


@pytest.mark.parametrize(("source", "pooling", "rows"), [
    ("mfcc", "own", 2), ("random", "mean", 62), ("random", "mean+std", 62)])
def test_all_subsets_score_what_they_scored(recordings, source, pooling, rows):
    digits = features(datasets.load("fsdd", recordings), progress=False)
    blocks, corpus = {"mfcc": digits.mfcc}, digits.corpus
    if source == "random":
        blocks = embed(random_network(recordings), digits, pooling=pooling, progress=False)
    found = search(blocks, corpus.targets(), corpus.splits(), corpus.groups,
                   probes.named("ridge"), progress=False).table()
    known = pd.read_csv(COMMITTED, dtype={"subset": str}).query(
        "source == @source and pooling == @pooling and target == 'fsdd' and probe == 'ridge'")
    both = known.merge(found, on=["subset", "probe", "protocol"], suffixes=("", "_now"))
    assert len(both) == rows
    for name in ("score", "ci_low", "ci_high"):
        np.testing.assert_allclose(both[f"{name}_now"], both[name], atol=TIPPED)
