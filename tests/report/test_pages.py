"""The site as readers meet it: links that lead somewhere, pictures with words, no network, a phone's width."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from audiotl.report import pages
from audiotl.report.results import Picture, Results

CARD = {"ok": True, "error": "", "seconds": 12.0, "parameters": {"profile": "smoke"}, "data": "built-in (synthetic)",
        "versions": {"audiotl": "0.1.0"}, "machine": "Linux, 2 cores", "date": "2026-01-01"}


def chapter(out: Path, number: int) -> None:
    """One reported chapter, as `report` leaves it, without running a kernel."""
    import matplotlib.pyplot as plt

    name = f"0{number}_chapter"
    results = Results(out / name)
    figure, axis = plt.subplots(figsize=(8, 3))
    axis.plot(np.arange(10))
    picture: Picture = results.figure("cover", figure, f"Line <{number}> of the & kind.")
    table = results.table("wide", pd.DataFrame({f"a long column name {i}": [0.5] for i in range(12)}))
    results.finding(f"Chapter {number} finds a line.")
    data, about = picture._repr_mimebundle_()
    nb = new_notebook(cells=[
        new_markdown_cell(f"# Chapter {number}: a line\n\nWords.\n\n**Question.** Is there\na *line*?\n\n## Steps"),
        new_code_cell("x = 1", outputs=[
            new_output("display_data", data, metadata=about),
            new_output("display_data", {"text/html": table._repr_html_(), "text/markdown": table._repr_markdown_()})])])
    path = out / name / f"{name}.ipynb"
    nbformat.write(nb, path)
    card = CARD | {"name": name}
    pages.write(path, out / name, card)
    (out / name / "card.json").write_text(json.dumps(card))


@pytest.fixture
def site(tmp_path) -> Path:
    for number in range(3):
        chapter(tmp_path, number)
    (tmp_path / "README.md").write_text(f"# Mine\n\nBefore.\n\n{pages.MARKS[0]}\nold\n{pages.MARKS[1]}\n\nAfter.\n")
    pages.index(tmp_path, "The study")
    return tmp_path


def test_a_card_has_question_picture_answer_data_time_and_versions(site):
    page = (site / "index.html").read_text()
    assert page.count('<section class="card">') == 3
    for words in ("Chapter 1: a line", "<strong>Question.</strong> Is there a <em>line</em>?", "in 12 s",
                  "Chapter 1 finds a line.", "built-in (synthetic)", "audiotl 0.1.0",
                  'alt="Line &lt;1&gt; of the &amp; kind."'):
        assert words in page, words


def test_every_link_leads_somewhere_and_nothing_needs_a_network(site):
    for path in site.rglob("*.html"):
        page = path.read_text()
        targets = re.findall(r'(?:href|src)="([^"#]+)"', page)
        assert targets
        for target in targets:
            assert target.startswith("data:") or (path.parent / html.unescape(target)).is_file(), (path.name, target)
        assert "<details><summary>code" in page or path.name == "index.html"
        assert all("alt=" in image for image in re.findall("<img[^>]*>", page))
        assert 'name="viewport"' in page and "@media print" in page
    middle = (site / "01_chapter" / "01_chapter.html").read_text()
    assert middle.count("../00_chapter/00_chapter.html") == middle.count("../02_chapter/02_chapter.html") == 2


def test_the_gallery_of_the_repository_keeps_what_was_written_by_hand(site):
    text = (site / "README.md").read_text()
    assert text.startswith("# Mine\n\nBefore.") and text.endswith("After.\n") and "old" not in text
    for number in range(3):
        assert f"## [Chapter {number}: a line](0{number}_chapter/report.md)" in text
        assert f"**Answer.** Chapter {number} finds a line." in text
    pages.index(site, "The study")
    assert (site / "README.md").read_text() == text


def test_the_committed_gallery_shows_the_committed_reports(tmp_path):
    shutil.copytree(ROOT / "reports" / "real", tmp_path / "real")
    pages.index(tmp_path / "real", "audiotl, profile full")
    assert (tmp_path / "real" / "README.md").read_text() == (ROOT / "reports" / "real" / "README.md").read_text(), \
        "out of step; write it with pages.index, as `report --out reports/real` does"


def test_a_card_that_was_cut_off_is_left_out(site):
    (site / "01_chapter" / "card.json").write_text('{"name": "01_cha')
    (site / "02_chapter" / "results.json").write_text('{"finding": "Cha')
    pages.index(site, "The study")
    assert (site / "index.html").read_text().count('<section class="card">') == 2


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here to look at the pages with")
def test_the_pages_fit_a_phone(site):
    names = ["index.html", "01_chapter/01_chapter.html"]
    frames = "".join(f'<iframe src="{name}" style="width:390px;height:800px;border:0"></iframe>' for name in names)
    (site / "phone.html").write_text(f"""<!doctype html><body>{frames}<script>onload = () => {{
      document.body.dataset.found = JSON.stringify([...document.querySelectorAll("iframe")].map(frame => {{
        const page = frame.contentDocument;
        return [page.documentElement.scrollWidth, page.images.length, [...page.images].every(i => i.naturalWidth > 0),
                [...page.querySelectorAll("details")].some(d => d.open)]}}))}}</script>""")
    done = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
                           f"--user-data-dir={site / 'profile'}", "--dump-dom", (site / "phone.html").as_uri()],
                          capture_output=True, text=True, timeout=500)
    found = json.loads(html.unescape(re.search('data-found="([^"]*)"', done.stdout).group(1)))
    assert [row[1:] for row in found] == [[3, True, False], [1, True, False]] and max(row[0] for row in found) <= 390
