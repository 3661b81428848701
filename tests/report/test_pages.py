"""The site as readers meet it: links that lead somewhere, pictures with words, no network."""

import html
import json
import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from audiotl.report import findings, pages
from audiotl.report.results import Picture, Results

CARD = {"ok": True, "error": "", "seconds": 12.0, "parameters": {"level": 3}, "data": "built-in",
        "versions": {"audiotl": "0.1.0"}, "machine": "Linux, 2 cores", "date": "2026-01-01"}


def chapter(out: Path, number: int) -> None:
    """One reported chapter, as `report` leaves it, without running a kernel."""
    name = f"0{number}_chapter"
    results = Results(name)
    figure, axis = plt.subplots(figsize=(8, 3))
    axis.plot(np.arange(10))
    picture: Picture = results.figure("cover", figure, f"Line <{number}> of the & kind.")
    wide = pd.DataFrame({f"a long column name {i}": [0.5] for i in range(12)})
    table = results.table("wide", wide)
    (out / name / findings.FILE).write_text(f"Chapter {number} finds a line.\n\nMore.")
    data, about = picture._repr_mimebundle_()
    svg = {"image/svg+xml": "<svg></svg>", "text/plain": "A tick.", pages.WIDGET: {}}
    tabled = {"text/html": table._repr_html_(), "text/markdown": table._repr_markdown_()}
    words = f"# Chapter {number}: a line\n\nWords.\n\n**Question.** Is there\na *line*?\n\n## Steps"
    nb = new_notebook(cells=[new_markdown_cell(words), new_code_cell("x = 1", outputs=[
        new_output("display_data", data, metadata=about), new_output("display_data", tabled),
        new_output("display_data", svg), new_output("stream", name="stderr", text="noise")])])
    path = out / name / f"{name}.ipynb"
    nbformat.write(nb, path)
    pages.write(path, out / name, CARD | {"name": name})
    (out / name / "card.json").write_text(json.dumps(CARD | {"name": name}))


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AUDIOTL_REPORTS", str(tmp_path))
    for number in range(3):
        chapter(tmp_path, number)
    before = f"# Mine\n\nBefore.\n\n{pages.MARKS[0]}\nold\n{pages.MARKS[1]}\n\nAfter.\n"
    (tmp_path / "README.md").write_text(before)
    pages.index(tmp_path, "The study")
    return tmp_path


def test_a_card_has_question_picture_answer_data_time_and_versions(site):
    page = (site / "index.html").read_text()
    assert page.count('<section class="card">') == 3
    for words in ("Chapter 1: a line", "<strong>Question.</strong> Is there a <em>line</em>?",
                  "Chapter 1 finds a line.", "12 s", "built-in", "audiotl 0.1.0",
                  'alt="Line &lt;1&gt; of the &amp; kind."'):
        assert words in page, words
    report = (site / "01_chapter" / "report.md").read_text()
    assert report.index("> Chapter 1 finds a line.") < report.index("cover.png")
    assert "![A tick.](live_1.svg)" in report and "noise" not in report


def test_every_link_leads_somewhere_and_nothing_needs_a_network(site):
    for path in site.rglob("*.html"):
        page = path.read_text()
        targets = re.findall(r'(?:href|src)="([^"#]+)"', page)
        assert targets
        for target in targets:
            there = path.parent / html.unescape(target)
            assert target.startswith("data:") or there.is_file(), (path.name, target)
        assert "<details><summary>code" in page or path.name == "index.html"
        assert all("alt=" in image for image in re.findall("<img[^>]*>", page))
        assert 'name="viewport"' in page and "@media print" in page


def test_the_gallery_of_the_repository_keeps_what_was_written_by_hand(site):
    text = (site / "README.md").read_text()
    assert text.startswith("# Mine\n\nBefore.") and text.endswith("After.\n") and "old" not in text
    for number in range(3):
        assert f"## [Chapter {number}: a line](0{number}_chapter/report.md)" in text
        assert f"Chapter {number} finds a line." in text
    pages.index(site, "The study")
    assert (site / "README.md").read_text() == text


def test_the_committed_gallery_shows_the_committed_reports(tmp_path):
    real = ROOT / "reports" / "real"
    shutil.copytree(real, tmp_path / "real")
    pages.index(tmp_path / "real", "audiotl, profile full")
    assert (tmp_path / "real" / "README.md").read_text() == (real / "README.md").read_text(), \
        "out of step; write it with pages.index, as `report --out reports/real` does"


def test_a_card_that_was_cut_off_is_left_out(site):
    (site / "01_chapter" / "card.json").write_text('{"name": "01_cha')
    (site / "02_chapter" / "results.json").write_text('{"numbers": {"a')
    pages.index(site, "The study")
    assert (site / "index.html").read_text().count('<section class="card">') == 2
