"""The book: Sphinx over the chapters of a folder, run here or committed, to be read from disk.

A chapter that ran here is read from its executed notebook, any other from ``report.md`` with the
code of its notebook between. Pages by hand, settings and the live part lie beside this module.
"""

import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import docutils_namespace, patch_docutils

from audiotl import AudiotlError
from audiotl.plots.style import TITLES, title_of
from audiotl.report import chapters, claims, findings
from audiotl.report.book import tables

HERE = Path(__file__).parent
ASSETS = ("*.png", "*.svg", "*.csv", "*.csv.gz")
REWRITTEN = """:::{note}
The notebook was rewritten since this run, of which figures and tables are shown.
:::"""

QUOTED = re.compile(r"(?:^>.*(?:\n|\Z))+", re.M)
REPORT = re.compile(r"(\d\d_\w+)/report\.md")
NEEDS_NO_RUN = re.compile(r"!\[|(?s:.*)(?:\]\(pictures/|^## Exercises|^<details>)", re.M)
"""Drawings and exercises: a page shows them as the notebook has them now."""

PLAYED = {"ticker": (r"live_\d+", ("combinations", "summary")),
          "matrix": ("grid", ("gains", "taps")),
          "curves": (r"live_\d+|slider", ("fractions",)), "atlas": ("atlas|cover", ("atlas",))}
"""What can be played with: the figure in whose place, and the tables it needs."""


def build(reports: Path, notebooks: Path, strict: bool = False) -> Path:
    """Make ``book/`` in the folder of reports; returns its first page.

    Args:
        reports: with a folder a chapter, as `audiotl.report.run.run` leaves them.
        notebooks: folder of the ``NN_name.py`` notebooks.
        strict: take a warning of Sphinx for an error.
    """
    found = chapters.reported(reports)
    if not found:
        raise AudiotlError(f"There is no chapter in {reports}; run `report` first, or give "
                           "--reports.")
    out = reports / "book"
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("__*"))
        if (notebooks / "pictures").is_dir():
            shutil.copytree(notebooks / "pictures", source / "pictures")
        decided = _claims(reports / claims.CLAIMS)
        for card in found:  # a claim by the first of its statements that has a row here
            said = {row["claim"]: row["statement"] for row in reversed(decided)
                    if row["chapter"] == card["name"]}
            card["claims"] = dict(sorted(said.items()))
            card["any_claims"] = bool(decided)
            _chapter(card, reports / card["name"], notebooks, source / card["name"])
        _front(found, decided, reports, source)
        said = _sphinx(source, Path(scratch), strict)
        if said:
            raise AudiotlError(f"The book in {out} could not be made; Sphinx says: "
                               f"{said.strip().replace(scratch, '')}")
        shutil.rmtree(out, ignore_errors=True)
        shutil.move(Path(scratch) / "book", out)
    return out / "index.html"


def _sphinx(source: Path, to: Path, strict: bool) -> str:
    # What went wrong, or nothing. In this process: a second one would take as long to import it.
    said = io.StringIO()
    with patch_docutils(source), docutils_namespace():
        try:
            app = Sphinx(source, source, to / "book", to / "trees", "html", status=None,
                         warning=said, warningiserror=strict)
            app.build()
        except SphinxError as error:
            return str(error)
    return said.getvalue() if app.statuscode else ""


def _claims(path: Path) -> list[dict]:
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    for row in rows:
        row["statement"], _, case = row["statement"].partition(": ")
        network, comma, rest = case.partition(",")
        row["case"] = TITLES.get(network, network) + comma + rest
    return rows


def _front(found: list[dict], rows: list[dict], reports: Path, source: Path) -> None:
    if rows:
        shutil.copy(reports / claims.CLAIMS, source)
    pages = Environment(loader=FileSystemLoader(source), trim_blocks=True, lstrip_blocks=True)
    said = REPORT.sub(r"\1/index.ipynb", findings.render(reports).replace(" %", "\xa0%"))
    heard = pd.read_csv(source / "static" / "clips" / "clips.csv").to_dict("records")
    given = {"chapters": found, "claims": rows, "findings": said, "clips": heard,
             "names": {card["name"] for card in found}, "data": _data("sounds", json.dumps(heard)),
             "real": any(card["answer"] for card in found)}
    for name in ("index.md", "claims.md", "listen.md"):
        text = pages.get_template(name).render(given)
        (source / name).write_text(text, encoding="utf-8")
    if not rows:
        (source / "claims.md").unlink()


def _chapter(card: dict, report: Path, notebooks: Path, to: Path) -> None:
    to.mkdir()
    for path in (path for pattern in ASSETS for path in report.glob(pattern)):
        shutil.copy(path, to)
    executed = report / f"{card['name']}.ipynb"
    script = notebooks / f"{card['name']}.py"
    known = list(chapters.read_json(report / "results.json").get("tables", {}).values())
    if executed.is_file():
        nb = nbformat.read(executed, as_version=4)
        cells = list(_run_here(nb, known))
    else:
        nb = jupytext.read(script)
        text = (report / "report.md").read_text(encoding="utf-8")
        text = QUOTED.sub("", text, count=1) if card["answer"] else text
        text = tables.shorten(text, known).rpartition("\n---\n")[0]
        card["rewritten"] = any(cell.source.strip() not in text for cell in nb.cells
                                if cell.cell_type == "markdown"
                                and not NEEDS_NO_RUN.match(cell.source))
        cells = _committed(text, nb, card["rewritten"])
    nbformat.write(nb, to / f"{card['name']}.ipynb")
    _, card["question"] = chapters.opening(cells[0].source)
    for cell in (cell for cell in cells if cell.cell_type == "markdown"):
        cell.source = _played(cell.source, to).replace("](pictures/", "](../pictures/")
    cells = _one_fold([cell for cell in cells if cell.source.strip()])
    cells[0].source = _opening(cells[0].source, card, report)
    page = new_notebook(cells=[*cells, new_markdown_cell(_closing(card, to))],
                        metadata={"language_info": {"name": "python"}})
    nbformat.write(page, to / "index.ipynb")


def _run_here(nb: nbformat.NotebookNode, known: list) -> Iterator[nbformat.NotebookNode]:
    # What a cell put out follows it as Markdown; beside sounds, in their order.
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            if not cell.source.startswith("> "):
                yield new_markdown_cell(cell.source)
            continue
        outputs = [one for one in cell.get("outputs", [])
                   if not one.get("metadata", {}).get("findings")]
        texts = list(map(chapters.shown, outputs))
        if all(texts):
            yield _code(cell)
            yield new_markdown_cell(tables.shorten("\n\n".join(texts), known))
        else:
            yield _code(cell, [
                new_output("display_data", {"text/markdown": text}) if text else one
                for one, text in zip(outputs, texts, strict=True)])


def _committed(text: str, nb: nbformat.NotebookNode,
               rewritten: bool) -> list[nbformat.NotebookNode]:
    # Prose and code of the notebook; behind the code, the report up to its next prose.
    cells, behind, place = [], 0, 0
    for cell in nb.cells:
        if cell.cell_type == "code":
            cells.append(_code(cell))
            behind = len(cells)
            continue
        prose = cell.source.strip()
        at = text.find(prose, place)
        if at >= 0:
            cells.insert(behind, _came_out(text[place:at], rewritten))
            place, behind = at + len(prose), len(cells) + 1
        cells.append(new_markdown_cell(prose))
    cells.insert(behind, _came_out(text[place:], rewritten))
    return cells


def _came_out(text: str, rewritten: bool) -> nbformat.NotebookNode:
    # All of it, or figures and tables where there is prose of another notebook between.
    parts = [part for part in text.split("\n\n") if not rewritten or part.startswith(("![", "|"))]
    return new_markdown_cell("\n\n".join(parts).strip())


def _code(cell: nbformat.NotebookNode, outputs: list = ()) -> nbformat.NotebookNode:
    folded = [] if "unfolded" in cell.metadata.get("tags", []) else ["hide-input"]
    return new_code_cell(cell.source, outputs=list(outputs), metadata={"tags": folded})


def _one_fold(cells: list) -> list:
    joined = cells[:1]
    for cell in cells[1:]:
        before = joined[-1]
        if (before.cell_type == cell.cell_type == "code" and not before.outputs
                and before.metadata == cell.metadata):
            joined[-1] = new_code_cell(f"{before.source}\n\n{cell.source}",
                                       outputs=cell.outputs, metadata=cell.metadata)
        else:
            joined.append(cell)
    return joined


def _opening(source: str, card: dict, report: Path) -> str:
    title, _, rest = source.partition("\n")
    parts = [title]
    if card["error"]:
        parts.append(f":::{{error}}\n```text\n{card['error']}\n```\n:::")
    if card["answer"]:
        _, _, more = findings.render(report).partition("\n")
        links = "; ".join(f"[{said}](#claim-{number})" for number, said in card["claims"].items())
        if card["any_claims"]:
            links = f"\n\nDecided here: {links or 'none of [the claims](../claims.md)'}."
        parts.append(f":::{{admonition}} Answer\n:class: answer\n{card['answer']}{links}\n:::")
        parts += ["## What we found", more.strip()] if more.strip() else []
        parts.append("## Question and method")
    if card.get("rewritten"):
        parts.append(REWRITTEN)
    return "\n\n".join([*parts, rest.strip()]).replace(" %", "\xa0%")  # kept on one line


def _closing(card: dict, to: Path) -> str:
    files = ", ".join(f"[{path.name}]({path.name})" for path in sorted(to.glob("*.csv*")))
    return (f"## Notebook, tables, machine\n\nThe notebook: {{download}}`{card['name']}.ipynb`. "
            f"{f'Every table: {files}. ' if files else ''}{chapters.facts(card)}")


def _played(text: str, folder: Path) -> str:
    # Figures that a reader can play with, where their tables are.
    for kind, (figure, files) in PLAYED.items():
        paths = [folder / f"{name}.csv" for name in files]
        place = re.compile(rf"^!\[[^\]]*\]\((?:{figure})\.\w+\)$", re.M)
        if place.search(text) and all(path.is_file() for path in paths):
            data = _ticks(*paths) if kind == "ticker" else json.dumps(
                {path.stem: json.loads(_named(path).to_json(orient="split", index=False,
                                                            double_precision=6))
                 for path in paths}, separators=(",", ":"))
            text = place.sub(lambda found: _live(kind, found[0], data), text, count=1)  # noqa: B023
    return text


def _live(kind: str, stands: str, data: str) -> str:
    # The picture stands where no script runs.
    return f":::{{container}} play {kind}\n{stands}\n:::\n\n{_data(kind, data)}"


def _data(kind: str, data: str) -> str:
    return (f'```{{raw}} html\n<script type="application/json" id="{kind}-data">'
            + data.replace("<", "\\u003c") + "</script>\n```")


def _named(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path)
    names = frame.columns.intersection(["source", "target", "network"])
    return frame.assign(**{name: frame[name].map(title_of) for name in names})


def _ticks(combinations: Path, summary: Path) -> str:
    # All scores, ``{"cases": [[source, target, pooling, probe, protocol,
    # {subset: [score, low, high]}]], "best": [...]}``.
    keys = ["source", "target", "pooling", "probe", "protocol"]
    frame = pd.read_csv(combinations, dtype={"subset": str}).round(4)
    frame = frame.sort_values("protocol", kind="stable")  # nested before paper
    cases = [[*key, dict(zip(rows["subset"], rows[["score", "ci_low", "ci_high"]].values.tolist(),
                             strict=True))] for key, rows in frame.groupby(keys, sort=False)]
    best = pd.read_csv(summary).round(4)
    names = {name: title_of(name) for case in cases for name in case[:2]}
    data = {"names": names, "cases": cases, "best": best[[*keys[:4], "best"]].values.tolist()}
    return json.dumps(data, separators=(",", ":"))
