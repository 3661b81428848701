import numpy as np
import pandas as pd
import pytest

from audiotl import AudiotlError, datasets, study
from audiotl.datasets.corpus import Corpus


def toy(name, groups, paths=None):
    n = len(groups)
    clips = pd.DataFrame({"path": paths or [f"{name}{i}" for i in range(n)], "label": ["a", "b"] * (n // 2),
                          "fold": np.arange(n) % 2, "group": groups})
    return Corpus(name, clips, ("a", "b"), 1.0)


def test_each_profile_has_its_sounds_and_refuses_what_it_does_not_know():
    assert study.plan("smoke").size == "smoke" and study.plan("quick").synthetic
    full = study.plan("full")
    assert not full.synthetic and full.sources["environment"] == "urbansound8k"
    assert study.plan("quick", targets="folder", sources="music").sources == {"music": "music"}
    assert study.plan("quick", epochs=3).recipe.epochs == study.plan("quick", epochs=3).deep.epochs == 3
    assert full.deep.learning_rate < full.recipe.learning_rate and full.deep.mixup == full.recipe.mixup
    with pytest.raises(AudiotlError, match="no profile 'huge'"):
        study.plan("huge")
    with pytest.raises(AudiotlError, match="no source 'radio'"):
        study.plan("quick", sources="radio")


def test_probes_by_name():
    assert study.probe("knn").name == "k-NN" and len(study.probe("svm").cells) == 2
    with pytest.raises(AudiotlError, match="no probe 'forest'"):
        study.probe("forest")


def test_a_target_loses_the_recordings_that_its_sources_hold(monkeypatch):
    corpora = {"urbansound8k": toy("urbansound8k", list("abcdef")), "esc50": toy("esc50", list("efghij"))}
    monkeypatch.setattr(datasets, "load", lambda name, *_: corpora[name])
    plan = study.plan("full", sources="environment", targets="esc50")
    kept, gone = study.target(plan, "esc50")
    assert gone == 2 and set(kept.groups) == set("ghij")


def test_no_source_is_scored_on_a_view_of_itself(monkeypatch):
    corpora = {"speech_commands": toy("speech_commands", list("abcd")),
               "speech_commands_10": toy("speech_commands", list("ab"), ["speech_commands0", "speech_commands1"]),
               "philharmonia_tags": toy("philharmonia_tags", list("abcd")),
               "urbansound8k": toy("urbansound8k", list("wxyz"))}
    monkeypatch.setattr(datasets, "load", lambda name, *_: corpora[name])
    pairs = study.pairs(study.plan("full", targets="speech_commands_10"))
    assert [source for source, _ in pairs] == ["environment", "music", "random"]


def test_urbansound8k_is_tested_on_fold_10(recordings):
    plan = study.plan("full", str(recordings))
    corpus = plan.corpus("urbansound8k")
    train, test = study.source_split(plan, corpus)
    assert set(corpus.clips["fold"].iloc[test]) == {10} and set(corpus.clips["fold"].iloc[train]) == {1, 2, 3}
    esc, gone = study.target(plan, "esc50")
    assert gone + len(esc) == 2000 and not set(esc.groups) & set(corpus.groups) and gone >= 35
