import jupytext
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from audiotl import layerwise, probes, study
from audiotl.datasets import Corpus
from audiotl.features import Features
from audiotl.layerwise import Layerwise
from audiotl.probes.subset_search import search


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Two networks on a toy: in one the middle layer tells the classes apart, in the other only MFCC does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOTL_CACHE", str(tmp_path_factory.mktemp("cache")))
        rng = np.random.default_rng(0)
        y, fold = rng.integers(0, 3, 240), np.arange(240) % 4
        splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(4)]
        out = []
        for source, network, strengths in (("environment", "resnet18", (0, 2.0, 0, 0)),
                                           ("music", "musicnn-msd", (0, 0, 0, 2.0))):
            blocks = {n: rng.normal(size=(240, 3)) + s * y[:, None]
                      for n, s in zip(("stem", "block1", "block2", "mfcc"), strengths, strict=True)}
            made = search(blocks, y, splits, np.arange(240).astype(str), probes.Ridge(), progress=False)
            random = rng.random(240) < 0.3 if source == "environment" else None
            out.append(Layerwise(source, network, "toy", made, layerwise.guess(y, splits), random))
        return out


def test_the_tables_have_the_columns_and_rows_that_are_promised(found):
    table = layerwise.subset_table(found)
    assert list(table)[:4] == ["source", "network", "target", "subset"] and len(table) == 30
    assert set(table.loc[table["mfcc"], "subset"]) >= {"mfcc", "stem+block1+block2+mfcc"} and table["mfcc"].sum() == 16
    values, pairs = layerwise.attributions(found)
    assert list(values)[:7] == ["source", "network", "target", "layer", "value", "ci_low", "ci_high"]
    assert len(values) == 8 and len(pairs) == 12
    for one in found:
        mine = values[values["network"] == one.network]
        assert mine["layer"].tolist() == list(one.search.names)
        assert abs(mine["value"].sum() - (one.search.scores()[-1] - one.nobody.mean())) < 1e-9
    best = values.loc[values.groupby("network")["value"].idxmax()].set_index("network")["layer"]
    assert best.to_dict() == {"resnet18": "block1", "musicnn-msd": "mfcc"}


def test_all_last_and_picked_leave_mfcc_out(found):
    scores = layerwise.summary(found).set_index("network")
    one = found[0]
    assert scores.loc["resnet18", "all"] == one.right(("stem", "block1", "block2")).mean()
    assert scores.loc["resnet18", "last"] == one.right(("block2",)).mean() < 0.5 < scores.loc["resnet18", "best"]
    assert scores.loc["musicnn-msd", "best"] < 0.5 < scores.loc["musicnn-msd", "all_mfcc"]
    assert np.isnan(scores.loc["musicnn-msd", "random"]) and (scores["layers"] == 3).all()
    shown = layerwise.marks(scores.reset_index())
    assert len(shown) == 10 and set(shown.columns) == {"title", "target", "what", "size", "score"}
    rows = layerwise.paired(found).set_index(["comparison", "network"])
    assert rows.loc[("all - last", "resnet18"), "ci_low"] > 0.2
    assert rows.loc[("with mfcc - all", "musicnn-msd"), "ci_low"] > 0.2
    assert ("all - random", "musicnn-msd") not in rows.index
    assert rows.loc[("all - last", "resnet18"), "difference"] == pytest.approx(
        scores.loc["resnet18", "all"] - scores.loc["resnet18", "last"])


def test_sentences_claim_what_the_intervals_support(found):
    values, pairs = layerwise.attributions(found)
    said = layerwise.say_values(values)
    assert "- **ResNet-18, environment**: toy layer 2 of 3 (+" in said and "It is the last one in" in said
    said = layerwise.say_mfcc(values, pairs)
    assert "above zero in 1 of 2 cases" in said and "worth most in 1." in said
    sure = pairs.assign(ci_low=0.1, ci_high=0.2)
    assert "need each other" in layerwise.say_mfcc(values, sure)
    assert "stand in for each other" in layerwise.say_mfcc(values, sure.assign(ci_low=-0.2, ci_high=-0.1))
    paired = layerwise.paired(found)
    assert "In networks of 3 layers, all of them" in layerwise.finding(paired, layerwise.summary(found))
    assert "1 of 2 cases (ResNet-18, environment → toy" in layerwise.say(paired, "all - last", "all", "the last")


def test_the_most_frequent_class_is_that_of_the_training_clips():
    y = np.array([0, 0, 0, 1, 1])
    splits = [(np.array([0, 3, 4]), np.array([1, 2])), (np.array([0, 1, 2]), np.array([3, 4])),
              (np.array([1, 2, 3, 4]), np.array([0]))]
    assert layerwise.guess(y, splits).tolist() == [1, 0, 0, 0, 0]


def test_networks_are_examined_on_targets_that_are_not_their_own(monkeypatch, fresh_cache):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    clips = pd.DataFrame({"path": [f"{i}.wav" for i in range(60)], "label": np.array(["a", "b"])[y], "fold": y * 0 - 1,
                          "group": [f"g{i}" for i in range(60)]})
    aim = Features(Corpus("toy", clips, ("a", "b"), 1.0), np.zeros((60, 1, 1)), rng.normal(size=(60, 50)), [], "key")
    plan = study.plan("smoke", sources="environment")
    monkeypatch.setattr(study, "pairs", lambda plan: [("environment", "toy"), ("random", "toy")])
    monkeypatch.setattr(layerwise, "networks", lambda plan, names: [("environment", "resnet18", "trained")])
    monkeypatch.setattr(study, "source_model", lambda plan, role, network: (role, network))
    asked = []

    def embed(model, features):
        asked.append(model)
        return {"stem": rng.normal(size=(60, 40)) + y[:, None], "block1": rng.normal(size=(60, 3))}

    monkeypatch.setattr(layerwise, "embed", embed)
    (one,) = layerwise.examine(plan, ["resnet18"], {"toy": aim, "own": aim}, width=5)
    assert asked == ["trained", ("random", "resnet18")] and one.target == "toy"
    assert one.search.names == ("stem", "block1", "mfcc") and one.layers == ("stem", "block1")
    assert one.random.shape == (60,) and one.search.inner is not None


def test_the_notebooks_own_example_runs_on_a_folder_of_sounds(class_folders):
    cells = jupytext.read(ROOT / "notebooks" / "05_deeper_networks.py").cells
    (cell,) = [cell for cell in cells if "own" in cell.metadata.get("tags", [])]
    assert len([line for line in cell.source.splitlines() if line.strip()]) < 15
    names = {"my_folder": class_folders}
    exec(cell.source, names)
    ranked = names["ranked"]
    assert len(ranked) == 15 and ranked["score"].is_monotonic_decreasing and ranked["score"].iloc[0] > 0.9
