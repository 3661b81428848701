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
FLOORS = [
    {"__init__", "cache", "parallel", "audio", "degrade", "stats"},
    {"frontend", "datasets", "models"},
    {"features", "learnt_frontend", "probes", "shapley", "similarity", "transferability"},
    {"training", "embedding", "transfer", "sources", "replication", "shift"},
    {"plots", "widgets", "report", "benchmarks", "__main__"},
]


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


def rooms_imported(path):
    """Rooms of the package that a module imports, anywhere in it."""
    rooms = {p.name.removesuffix(".py") for p in (ROOT / "audiotl").iterdir()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for parts in (name.split(".") for name in names):
            if parts[0] == "audiotl":
                yield parts[1] if len(parts) > 1 and parts[1] in rooms else "__init__"


def test_no_room_imports_from_a_floor_above():
    floors = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    for path in sorted((ROOT / "audiotl").rglob("*.py")):
        room = path.relative_to(ROOT / "audiotl").parts[0].removesuffix(".py")
        assert room in floors, f"{room} stands on no floor; give it one"
        for other in rooms_imported(path):
            assert floors[other] <= floors[room], f"{path.name} imports {other}, which is above it"


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
