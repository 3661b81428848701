"""The project's own promises: equal pins, paired notebooks, rooms that import only from their left."""

import ast
import doctest
import importlib
import pkgutil
import re
import tomllib

import jupytext
import pytest
import yaml
from conftest import ROOT

import audiotl

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py"))
ORDER = ["", "cache", "engine", "audio", "degrade", "_torchaudio", "frontend", "datasets", "models", "features",
         "augmentation", "finetuning", "checkpoints", "training", "embedding", "stats", "shapley", "similarity",
         "lattice", "cepstrum", "frontend_grid", "probes", "transferability", "smo", "machines", "interior", "svm",
         "searched", "subsets", "transfer", "study", "sources", "fraction_grid", "savings", "savings_text",
         "comparisons", "layerwise", "matrix", "reasons", "replication", "audit", "ablation", "players", "robustness",
         "plots", "widgets", "explorers", "results", "pages", "report", "benchmarks", "__main__"]


def test_the_conda_environment_has_the_same_pins():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][-1]["pip"]
    assert [pin for pin in conda if pin != "-e ."] == project["dependencies"] + project["optional-dependencies"]["dask"]


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_and_its_pair_are_in_step_and_hold_no_output(source):
    pair = source.with_suffix(".ipynb")
    assert pair.is_file(), f"{pair.name} is missing; run `make pairs`"
    text, paired = jupytext.read(source), jupytext.read(pair)
    assert [(c.cell_type, c.source) for c in text.cells] == [(c.cell_type, c.source) for c in paired.cells], \
        "out of step; run `make pairs`"
    assert not any(cell.get("outputs") for cell in paired.cells)


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_story_and_owns_no_library_code(source):
    cells = jupytext.read(source).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1 and cells[0].source.startswith("# ")
    assert any(cell.source.startswith("## What we learnt") for cell in cells)
    assert any("## Exercises" in cell.source for cell in cells)
    assert len(source.read_text().splitlines()) <= 400


def test_no_room_imports_from_its_right():
    places = {name: place for place, name in enumerate(ORDER)}
    for path in sorted((ROOT / "audiotl").rglob("*.py")):
        room = path.relative_to(ROOT / "audiotl").parts[0].removesuffix(".py")
        here = places.get(room.replace("__init__", ""))
        if here is None:
            continue
        for node in ast.parse(path.read_text()).body:
            names = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "audiotl":
                names = ([node.module.split(".")[1]] if "." in node.module else
                         [alias.name if alias.name in places else "" for alias in node.names])
            for name in names:
                assert places.get(name, 0) <= here, f"{path.name} imports {name}, which is to its right"


@pytest.mark.parametrize("name", [m.name for m in pkgutil.walk_packages(audiotl.__path__, "audiotl.")
                                  if not m.name.endswith("__main__")])
def test_the_examples_in_docstrings_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_the_readme_shows_the_two_commands_and_names_every_notebook():
    readme = (ROOT / "README.md").read_text()
    assert "make study" in readme and "make test" in readme
    for source in NOTEBOOKS:
        assert source.stem in readme
    for path in re.findall(r"\((reports/real/[^)]+)\)", readme):
        assert (ROOT / path).exists(), path
