import pytest
import yaml
from conftest import ROOT

from audiotl import AudiotlError
from audiotl.report import parameters
from audiotl.report.run import Run, plan

CELL = '''# %% tags=["parameters"]
data = "built-in"   # where
targets = ["speech"]  # which; a minute each
fractions = [0.1, 1]
recipe = {"epochs": 2,
          "crop": 64}  # how # long
deep = False
steps = 10
grid = {}
'''


@pytest.fixture
def known(tmp_path):
    (tmp_path / "00_x.py").write_text(CELL)
    return parameters.of(tmp_path / "00_x.py")


def test_names_values_and_comments_are_read_without_a_kernel(known):
    assert list(known) == ["data", "targets", "fractions", "recipe", "deep", "steps", "grid"]
    assert known["targets"] == parameters.Parameter("targets", ["speech"], "which; a minute each")
    assert known["recipe"].default == {"epochs": 2, "crop": 64}
    assert known["recipe"].meaning == "how # long"
    said = parameters.describe(known, {"steps": 7})
    assert "steps (int) = 7" in said and "which; a minute each" in said


@pytest.mark.parametrize("name,text,value", [
    ("targets", "esc50,fsdd", ["esc50", "fsdd"]), ("target", "esc50", ["esc50"]),
    ("targets", "", []), ("fractions", "0.5,1", [0.5, 1]), ("fractions", "[0.2]", [0.2]),
    ("recipe", "{epochs: 5}", {"epochs": 5, "crop": 64}), ("deep", "true", True),
    ("steps", "30", 30), ("data", "1", "1"), ("grid", "{a: 1}", {"a": 1}), ("recipe", "{}", {})])
def test_a_text_becomes_what_the_parameter_is(known, name, text, value):
    given = parameters.values(known, [{"steps": 3, "other": 1}, {name: text}])
    assert given == {"steps": 3} | {name if name in known else f"{name}s": value}


@pytest.mark.parametrize("name,value,culprit", [
    ("steps", "many", "many"), ("steps", "1.5", "1.5"), ("steps", True, "True"),
    ("fractions", "0.1,some", "some"), ("deep", "3", "3"), ("recipe", "5", "5"),
    ("recipe", "{epoch: 3}", "epoch"), ("targets", "speech,esc51", "esc51"),
    ("targets", [3], "3"), ("recipe", "{a: [", "{a: \\[")])
def test_a_wrong_value_is_refused_by_name(known, name, value, culprit):
    with pytest.raises(AudiotlError, match=rf"{name}\b.*{culprit}"):
        parameters.values(known, [{name: value}])


def test_a_cell_that_computes_is_refused(tmp_path):
    (tmp_path / "00_x.py").write_text(CELL.replace('"built-in"', "str(3)"))
    with pytest.raises(AudiotlError, match="00_x.py.* 1 "):
        parameters.of(tmp_path / "00_x.py")


@pytest.mark.parametrize("profile", yaml.safe_load((ROOT / "notebooks/profiles.yaml").read_text()))
def test_the_notebooks_take_what_the_profiles_give_them(profile, tmp_path):
    given = plan(Run(ROOT / "notebooks", tmp_path, profile, tmp_path))
    own = yaml.safe_load((ROOT / "notebooks/profiles.yaml").read_text())[profile]
    for source, values in given.items():
        asked = own.get(source.stem, {}).get("data", str(tmp_path.resolve()))
        assert values["data"] == asked
    assert set(own) - {"common", "seconds"} <= {source.stem for source in given}
    numbers = {source.stem[:2] for source in given}
    assert set(own.get("seconds", numbers)) == numbers  # what each usually takes: all or none
    named = plan(Run(ROOT / "notebooks", tmp_path, profile, tmp_path, ("09",)))
    assert [values["data"] for values in named.values()] == [str(tmp_path.resolve())]
