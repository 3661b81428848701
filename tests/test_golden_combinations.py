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


@pytest.fixture
def digits(recordings):
    return features(datasets.load("fsdd", recordings), progress=False)


def random_network(recordings):
    """Batch norm takes its statistics from 256 clips; only these are decoded."""
    corpus = datasets.load("urbansound8k", recordings)
    rows = np.random.default_rng(0).permutation(len(corpus))[:256]
    few = features(corpus.subset(rows), progress=False)
    spectrograms = np.zeros((len(corpus), *few.spectrograms.shape[1:]), np.float16)
    spectrograms[rows] = few.spectrograms
    return untrained(dataclasses.replace(few, corpus=corpus, spectrograms=spectrograms))


def compared(source, pooling, sound, blocks):
    """Committed rows of a source and a pooling, and beside them what ridge scores now."""
    corpus = sound.corpus
    found = search(blocks, corpus.targets(), corpus.splits(), corpus.groups,
                   probes.named("ridge"), progress=False).table()
    known = pd.read_csv(COMMITTED, dtype={"subset": str})
    known = known[(known["source"] == source) & (known["pooling"] == pooling)]
    known = known.query("target == 'fsdd' and probe == 'ridge'")
    return known.merge(found, on=["subset", "probe", "protocol"], suffixes=("", "_now"))


def test_mfcc_scores_what_it_scored(digits):
    both = compared("mfcc", "own", digits, {"mfcc": digits.mfcc})
    assert len(both) == 2
    for name in ("score", "ci_low", "ci_high"):
        np.testing.assert_allclose(both[f"{name}_now"], both[name], atol=TIPPED)


@pytest.mark.parametrize("pooling", ["mean", "mean+std"])
def test_all_subsets_of_random_layers_score_what_they_scored(digits, recordings, pooling):
    blocks = embed(random_network(recordings), digits, pooling=pooling, progress=False)
    both = compared("random", pooling, digits, blocks)
    assert len(both) == 62
    for name in ("score", "ci_low", "ci_high"):
        np.testing.assert_allclose(both[f"{name}_now"], both[name], atol=TIPPED)
