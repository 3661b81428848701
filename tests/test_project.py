"""The project's own promises: pins, paired notebooks, size, floors of rooms, findings in step."""

import ast
import doctest
import importlib
import json
import pkgutil
import re
import tomllib

import jupytext
import pytest
import yaml
from conftest import ROOT

import audiotl
from audiotl.report import findings

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py"))
REPORTS = ROOT / "reports" / "real"
each_notebook = pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
FLOORS = [
    {"__init__", "cache", "parallel", "audio", "degrade", "stats"},
    {"frontend", "datasets", "models"},
    {"features", "learnt_frontend", "probes", "shapley", "similarity", "transferability"},
    {"training", "embedding", "transfer", "sources", "replication"},
    {"plots", "widgets", "report", "benchmarks", "__main__"},
]
MOST_ROOMS = 26
PACKAGE_LINES, TEST_LINES, NOTEBOOK_LINES = 12_364, 6_627, 595
FITTED = ("01", "02", "04", "05", "06")
"""Chapters that fit something by hand before the package does."""


def lines(path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_conda_environment_has_the_same_pins():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][-1]["pip"]
    pins = project["dependencies"] + project["optional-dependencies"]["dask"]
    assert [pin for pin in conda if pin != "-e ."] == pins


@pytest.mark.parametrize(("folder", "most"), [("audiotl", PACKAGE_LINES), ("tests", TEST_LINES)])
def test_the_code_stays_small(folder, most):
    assert 0 < sum(map(lines, (ROOT / folder).rglob("*.py"))) <= most


@each_notebook
def test_a_notebook_and_its_pair_are_in_step_and_hold_no_output(source):
    pair = source.with_suffix(".ipynb")
    assert pair.is_file(), f"{pair.name} is missing; run `make pairs`"
    text, paired = ([(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]
                    for path in (source, pair))
    assert text == paired, "out of step; run `make pairs`"
    assert not any(cell.get("outputs") for cell in jupytext.read(pair).cells)


@each_notebook
def test_a_notebook_is_a_story_and_owns_no_library_code(source):
    cells = jupytext.read(source).cells
    assert cells[0].source.startswith("# ") and lines(source) <= NOTEBOOK_LINES
    assert any(cell.source.startswith("## What we learnt") for cell in cells)
    assert any("## Exercises" in cell.source for cell in cells)


@each_notebook
def test_a_notebook_shows_by_hand_what_the_package_does_and_asks_nothing_of_its_runner(source):
    cells = [cell for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    [values] = [c.source for c in cells if "parameters" in c.metadata.get("tags", [])]
    assert not re.search(r"\bprofile\b|^out\s*=", values, re.M)
    code = "\n".join(cell.source for cell in cells)
    assert not re.search(r"\benviron\b|\bgetenv\b|headless|if out\b", code)
    chapter = source.stem[:2]
    assert chapter == "00" or any(re.search(r"^assert ", cell.source, re.M) for cell in cells)
    assert chapter not in FITTED or re.search(r"\.fit\(|\.backward\(|\boptim", code)


def rooms_imported(path):
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


def test_rooms_are_few_and_none_imports_from_a_floor_above():
    floors, rooms = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}, set()
    for path in sorted((ROOT / "audiotl").rglob("*.py")):
        room = path.relative_to(ROOT / "audiotl").parts[0].removesuffix(".py")
        rooms.add(room)
        assert room in floors, f"{room} stands on no floor; give it one"
        for other in rooms_imported(path):
            assert floors[other] <= floors[room], f"{path.name} imports {other}, which is above it"
    assert len(rooms) <= MOST_ROOMS


@pytest.mark.parametrize("name", [
    module.name for module in pkgutil.walk_packages(audiotl.__path__, "audiotl.")
    if not module.name.endswith("__main__")])
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


@each_notebook
def test_the_committed_report_is_that_of_the_present_notebook(source):
    text = (REPORTS / source.stem / "report.md").read_text()
    record = json.loads((REPORTS / source.stem / "results.json").read_text())
    cells = jupytext.read(source).cells
    for prose in (cell.source for cell in cells if cell.cell_type == "markdown"):
        assert "](pictures/" in prose or prose.strip() in text
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    named = set(re.findall(r'results\.(?:table|figure)\(\s*"(\w+)"', code))
    assert named and not named - set(record["tables"]) - set(record["figures"])


@pytest.mark.parametrize("path", sorted(REPORTS.glob(f"*/{findings.FILE}")),
                         ids=lambda path: path.parent.name)
def test_findings_hold_and_the_readme_gives_their_answer(path):
    answer = findings.answer(path.parent)
    assert 0 < len(answer.split()) <= 40
    rows = re.findall(r"^\|.*", (ROOT / "README.md").read_text(), re.M)
    assert any(f"`{path.parent.name}`" in row and answer in row for row in rows)
    assert findings.CONDITION.search(path.read_text()), "no sentence has a condition"
    assert f"> **On recordings we found:** {answer}\n" in (path.parent / "report.md").read_text()
