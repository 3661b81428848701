import numpy as np
import pytest
import torch
from conftest import tones

from audiotl import AudiotlError, datasets, models
from audiotl.features import features
from audiotl.probes import Ridge
from audiotl.probes.subset_search import search
from audiotl.shift import adapted, table, under


@pytest.fixture
def corpus(tmp_path, fresh_cache):
    return tones(tmp_path, 120)


def blocks_of(corpus, noise, seed):
    rng = np.random.default_rng(seed)
    at = np.eye(3)[corpus.targets()]
    return {"layer1": at + noise[0] * rng.standard_normal((120, 3)),
            "mfcc": 100 * (at + noise[1] * rng.standard_normal((120, 3)))}


def test_a_block_that_breaks_loses_and_one_that_stays_does_not(corpus):
    clean = blocks_of(corpus, (0.1, 0.1), 0)
    bad = {"mfcc": blocks_of(corpus, (0, 5), 1)["mfcc"]}
    alone = {"mfcc": clean["mfcc"]}
    found = under(alone, {"same": alone, "bad": bad}, corpus.targets(), corpus.splits(),
                  corpus.groups, Ridge())
    assert list(found) == ["clean", "same", "bad"] and found["bad"].keys == {"condition": "bad"}
    assert (found["same"].values == found["clean"].values).all()
    assert found["clean"].mean > 0.95 and found["bad"].mean < 0.7
    rows = table(found, 1 / 3).set_index("condition")
    assert rows.loc["same", ["kept", "kept_low", "kept_high"]].tolist() == [1, 1, 1]
    low, kept, high = rows.loc["bad", ["kept_low", "kept", "kept_high"]]
    assert low < kept < high < 0.7
    assert np.isclose(kept, (found["bad"].mean - 1 / 3) / (found["clean"].mean - 1 / 3))


def test_clean_scores_are_those_of_the_nested_search(corpus):
    clean = blocks_of(corpus, (1.0, 0.7), 3)
    problem = corpus.targets(), corpus.splits(), corpus.groups, Ridge()
    found, expected = under(clean, {}, *problem)["clean"], search(clean, *problem)
    assert (found.values == expected.scored(("layer1", "mfcc")).values).all()


def test_blocks_that_do_not_match_are_refused(corpus):
    clean = blocks_of(corpus, (0.1, 0.1), 0)
    with pytest.raises(AudiotlError, match="noise 0 dB"):
        under(clean, {"noise 0 dB": {name: block[:-1] for name, block in clean.items()}},
              corpus.targets(), corpus.splits(), corpus.groups, Ridge())


def test_batch_norm_is_measured_on_the_given_sound_alone(class_folders, fresh_cache):
    sound = features(datasets.load("folder", class_folders), progress=False)
    model = models.build("convnet5", 3).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = adapted(model, sound)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    moved = {name for name, value in other.state_dict().items()
             if not torch.equal(value, before[name])}
    assert moved and all("running" in name or "batches" in name for name in moved)
