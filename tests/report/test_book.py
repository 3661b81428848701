"""The book as readers meet it: from disk, without a network, in a browser where there is one."""

import contextlib
import html
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import websocket
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from audiotl import AudiotlError
from audiotl.report import book, chapters, claims, findings
from audiotl.report.book import tables

REAL = ROOT / "reports" / "real"
TICKED = "02_layer_combinations"
AXE = Path(os.environ.get("AXE_CORE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CLAIMED = pd.read_csv(REAL / claims.CLAIMS)
HIDDEN = """[...document.querySelectorAll("article table th")].filter(
    th => ["score", "difference", "estimate", "value"].includes(th.textContent.trim())
    && th.getBoundingClientRect().right > innerWidth).map(th => th.parentElement.textContent)"""
ATLAS = {"network": ["yamnet", "convnet5"], "domain": "general", "params": [3.7e6, 4e4],
         "target": "esc50", "taps": [14, 5], "last": [0.7, 0.4], "all": [0.8, 0.6],
         "all_low": [0.78, 0.58], "all_high": [0.82, np.nan], "smallest": [0.79, 0.6],
         "smallest_size": [4, 5]}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The book of the committed reports, with warnings as errors."""
    reports = tmp_path_factory.mktemp("book") / "real"
    shutil.copytree(REAL, reports, ignore=shutil.ignore_patterns("book", "*.ipynb"))
    return book.build(reports, ROOT / "notebooks", strict=True).parent


def test_every_link_leads_somewhere_and_nothing_comes_from_outside(pages):
    texts = {path: path.read_text() for path in pages.rglob("*.html")
             if "_static" not in path.parts}
    links = 0
    for path, text in texts.items():
        for tag, target in re.findall(r'<(\w+)[^>]*?\s(?:href|src)="([^"]*)"', text):
            target = html.unescape(target)
            if re.match(r"(https?:)?//|mailto:", target):
                assert tag == "a", f"{path.name} loads {target}"
                continue
            file, _, anchor = target.partition("#")
            there = path.parent / file.partition("?")[0] if file else path
            if target.startswith("data:") or path.name == "search.html" and not file:
                continue
            assert there.is_file(), (path, target)
            assert not anchor or f'id="{anchor}"' in texts[there.resolve()], (path, target)
            links += 1
        assert all("alt=" in image for image in re.findall("<img[^>]*>", text)), path
        assert path.stat().st_size < 3_000_000
        assert not re.search(r"it/s|\d+%\|", text), "a progress bar"
    assert links > 100
    assert sum(path.stat().st_size for path in pages.rglob("*") if path.is_file()) < 60_000_000


def test_a_chapter_has_answer_findings_code_figures_tables_and_its_notebook(pages):
    front = (pages / "index.html").read_text()
    assert "<strong>Question" not in front and "So this chapter" not in front
    for folder in (path.parent for path in sorted(REAL.glob("*/card.json"))):
        page = (pages / folder.name / "index.html").read_text()
        words = " ".join(re.sub("<[^>]+>", "", html.unescape(page)).replace("’", "'").split())
        answer = findings.answer(folder).replace("’", "'")
        assert answer in words and f"{folder.name}/index.html" in front
        assert len(answer.split()) <= 40 and "<section" in page.split('class="answer')[0]
        decided = CLAIMED.query("chapter == @folder.name").claim.unique()
        assert all(f'href="../claims.html#claim-{number}"' in page for number in decided)
        assert "Decided here" in page and 'href="../claims.html' in page
        record = chapters.read_json(folder / "results.json")
        for figure in record["figures"].values():
            assert f"_images/{figure['file'].rsplit('.')[0]}" in page, (folder, figure)
        for table in record["tables"].values():
            assert f"/{table['file']}" in page, (folder, table)
        prose = (ROOT / "notebooks" / f"{folder.name}.py").read_text()
        assert all(f"_images/{name}" in page for name in re.findall(r"\]\(pictures/(.*?)\)", prose))
        assert page.count("<details") >= 3 and f"{folder.name}.ipynb" in page
        shown = re.findall("<table.*?</table>", page, re.S)
        assert all(table.count("<tr") <= tables.ROWS + 1 for table in shown)
        assert shown and not re.search(r"\| ?(---|—)", words), "a table that is none"
        assert page.count("<figcaption") >= len(record["figures"]), "a figure without its caption"
        begun = re.findall("^<p>([^<]{60})", page, re.M)
        assert len(begun) == len(set(begun)), "a paragraph of the run and of the notebook"


def test_tables_give_shares_as_the_prose_does_and_leave_other_units():
    table = ("| network | SCORE | ci_low | groups |\n| --- | --- | --- | --- |\n"
             "| a | 0.6975 | -0.021 | 12 |\n| b | 1 | | 9 |\n")
    said = tables.shorten(table.replace("SCORE", "score"), [])
    assert "| a | 69.8 | -2.1 | 12 |" in said and "| b | 100.0 |  | 9 |" in said
    assert "| network | score | from | groups |" in said and "Scores in %" in said
    assert "| a | 0.698 | -0.0210 | 12 |" in tables.shorten(table.replace("SCORE", "nats"), [])


def test_the_front_page_has_the_claims_and_their_verdicts(pages):
    front, all_of_them = ((pages / name).read_text() for name in ("index.html", "claims.html"))
    for row in CLAIMED.itertuples():
        statement, _, case = row.statement.partition(": ")
        assert statement in front and row.verdict in front
        network, _, rest = case.partition(",")
        assert book.TITLES.get(network, network) in all_of_them and rest in all_of_them
        assert statement in all_of_them


def test_the_front_page_has_five_findings_each_with_a_number_and_a_picture(pages):
    said = findings.render(REAL).partition("\n## ")[0].split("### ")[1:]
    front = (pages / "index.html").read_text()
    assert len(said) == 5
    for one in said:
        [number] = re.findall(r"\*\*(.*?)\*\*", one.replace(" %", "\xa0%"))
        picture = re.search(r"!\[.+\]\((.*)\)", one)[1]
        assert re.search(r"\d", number) and f"<strong>{number}</strong>" in front
        assert f'src="_images/{Path(picture).stem}' in front and (REAL / picture).is_file()


def test_the_readers_guesses_are_quoted_and_answered_with_a_number(pages):
    front = re.sub("</?a.*?>", "", (pages / "index.html").read_text())
    guesses = findings.render(REAL).partition("## What the readers guessed")[2].split("\n- ")[1:]
    assert len(guesses) == 3 and 'id="what-the-readers-guessed"' in front
    for one in guesses:
        quoted, said, number = re.search(r"“(.+?)”.*\*\*(.+?)\*\*.*?(\d\S+)", one, re.S).groups()
        assert quoted in front and f"<strong>{said}</strong>" in front and number in front


def test_every_clip_is_small_credited_and_free_to_share(pages):
    folder, listed = pages / "_static" / "clips", (pages / "listen.html").read_text()
    clips = pd.read_csv(folder / "clips.csv")
    assert clips.groupby("corpus").size().eq(3).all() and clips.corpus.nunique() == 4
    for clip in clips.itertuples():
        assert clip.licence in listed and clip.credit in listed
        assert re.fullmatch(r"CC BY(-SA)? \d\.0", clip.licence)
        sizes = [(folder / f"{clip.name}_{i}.mp3").stat().st_size for i in range(8)]
        assert min(sizes) > 1_000 and max(sizes) < 20_000


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("[0-9]*.py")),
                         ids=lambda path: path.stem)
def test_the_folded_solutions_run(path):
    text = re.sub("^# ?", "", path.read_text(), flags=re.M)
    folded = re.findall(r"^<details><summary>Solution.*?^</details>", text, re.M | re.S)
    assert folded
    for one in folded:
        [code] = re.findall(r"^```python\n(.*?)^```", one, re.M | re.S)
        assert "assert " in code
        exec(code, {})


def test_binder_installs_the_versions_that_make_does():
    make = (ROOT / "Makefile").read_text()
    pins = (ROOT / ".binder" / "requirements.txt").read_text().split()
    assert pins[-2:] == ["-e", "."] and all(f'"{pin}"' in make for pin in pins[:-2])


def test_terms_and_papers_are_linked_where_they_are_first_named(pages):
    page = (pages / TICKED / "index.html").read_text()
    assert len(re.findall(r'href="../glossary.html#term-ridge" title="Linear', page)) == 1
    assert re.search(r'href="../references.html#\w+" title="Transfer learning for music', page)
    assert (pages / "glossary.html").read_text().count("<math") >= 2


def test_every_paper_that_a_notebook_names_is_among_the_references():
    known = (book.HERE / "references.bib").read_text()
    for path in (ROOT / "notebooks").glob("[0-9]*.py"):
        prose = re.sub(r"\n# ?", " ", path.read_text())
        for name, year in re.findall(r"([A-Z]\w+)(?: et al\.| and [A-Z]\w+) \(?(\d{4})", prose):
            assert re.search(rf"author = {{{name},.* year = {year}", known), (path.name, name)
        for number in re.findall(r"arXiv (\d{4}\.\d{5})", prose):
            assert f"https://arxiv.org/abs/{number}" in known, (path.name, number)


def test_a_run_of_ones_own_gives_no_answers_of_the_study(tmp_path, request):
    folder = tmp_path / "00_mine"
    folder.mkdir()
    outputs = [new_output("display_data", {"text/html": "<audio></audio>"}),
               new_output("stream", text="row 1"),
               new_output("error", ename="ValueError", evalue="it broke")]
    about = {"image/png": {"file": "atlas.png", "alt": "Scores."}}
    atlas = new_output("display_data", {"text/plain": "atlas"}, metadata=about)
    shutil.copy(REAL / TICKED / "cover.png", folder / "atlas.png")
    pd.DataFrame(ATLAS).to_csv(folder / "atlas.csv", index=False)
    cells = [new_markdown_cell("# Mine"), new_code_cell("listen()", outputs=outputs),
             new_code_cell("draw()", outputs=[atlas])]
    nbformat.write(new_notebook(cells=cells), folder / "00_mine.ipynb")
    card = {"name": "00_mine", "error": "It broke.", "seconds": 1.0, "parameters": {},
            "data": "my sounds", "versions": {}, "machine": "this", "date": "today"}
    (folder / "card.json").write_text(json.dumps(card))
    front = book.build(tmp_path, ROOT / "notebooks", strict=True)
    assert "Answer" not in front.read_text() and "my sounds" in front.read_text()
    page = (front.parent / "00_mine" / "index.html").read_text()
    assert "It broke." in page and "<audio>" in page and "row 1" in page
    if CHROMIUM:
        browser = request.getfixturevalue("browser")
        browser.open(front.parent / "00_mine" / "index.html", 390)
        said = "document.querySelector('.play.atlas output').textContent"
        assert "YAMNet" in browser.value(said) and "80.0 %" in browser.value(said)
    with pytest.raises(AudiotlError, match="nothing"):
        book.build(tmp_path / "nothing", ROOT / "notebooks")


class Browser:
    """A headless Chromium, driven over its debugging protocol."""

    def __init__(self, process):
        said = next(line for line in process.stderr if "DevTools listening" in line)
        port = re.search(r":(\d+)/", said)[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=60) as answer:
            tabs = json.load(answer)
        address = next(tab for tab in tabs if tab["type"] == "page")["webSocketDebuggerUrl"]
        self.socket = websocket.create_connection(address, timeout=60, suppress_origin=True)
        self.sent, self.events = 0, []
        for part in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{part}.enable")
        self.ask("Network.setBlockedURLs", urls=["http*", "ws*"])

    def ask(self, method, **given):
        self.sent += 1
        self.socket.send(json.dumps({"id": self.sent, "method": method, "params": given}))
        while (answer := self._next()).get("id") != self.sent:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self):
        message = json.loads(self.socket.recv())
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, path, width=1200, theme="light", query=""):
        self.events.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900,
                 deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": theme}])
        self.ask("Page.navigate", url=path.as_uri() + query)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._next()

    def value(self, script):
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get(
            "value")

    def complaints(self):
        """Errors on the console, and requests that leave the disk."""
        for event in self.events:
            method, given = event["method"], event["params"]
            if method == "Network.requestWillBeSent":
                if not given["request"]["url"].startswith(("file:", "data:")):
                    yield given["request"]["url"]
            elif method == "Runtime.exceptionThrown" or "error" in (
                    given.get("type"), given.get("entry", {}).get("level")):
                yield event


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not CHROMIUM:
        pytest.skip("no chromium to look at the pages with: apt-get install chromium")
    process = subprocess.Popen(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
         "--autoplay-policy=no-user-gesture-required",
         f"--user-data-dir={tmp_path_factory.mktemp('chromium')}", "about:blank"],
        stderr=subprocess.PIPE, text=True)
    yield Browser(process)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    process.kill()


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_open_from_disk_without_a_complaint(pages, browser, width, theme):
    for path in (*pages.glob("*.html"), *pages.glob("[0-9]*/index.html")):
        browser.open(path, width, theme)
        assert not list(browser.complaints())
        assert browser.value("document.documentElement.dataset.theme") == theme
        assert browser.value("document.documentElement.scrollWidth") <= width, "scrolls sideways"
        assert browser.value(HIDDEN) == [], path


def test_the_search_finds_a_word_from_disk(pages, browser):
    browser.open(pages / "search.html", query="?q=Shapley")
    found = "document.querySelectorAll('#search-results li a').length"
    assert within(30, lambda: browser.value(found) >= 2) and not list(browser.complaints())


def within(seconds, ask):
    deadline = time.monotonic() + seconds
    while not ask() and time.monotonic() < deadline:
        time.sleep(0.1)
    return ask()


def test_a_chosen_clip_plays_from_disk(pages, browser):
    browser.open(pages / "listen.html", 390)
    browser.value("document.querySelectorAll('.sounds input[type=radio]')[3].click()")
    assert within(30, lambda: browser.value("document.querySelector('.sounds audio').currentTime"))
    assert not list(browser.complaints())


def test_a_cell_of_the_matrix_shows_its_gain_and_its_taps(pages, browser):
    folder = next(REAL.glob("07_*"))
    browser.open(pages / folder.name / "index.html", 1200)
    browser.value("document.querySelectorAll('.matrix button')[1].click()")
    gain = pd.read_csv(folder / "gains.csv").iloc[1]
    said = browser.value("document.querySelector('.matrix output').textContent")
    assert f"{100 * gain.difference:+.1f} points" in said
    taps = pd.read_csv(folder / "taps.csv").query(
        "source == @gain.source and target == @gain.target and labels == 'true'").score
    rows = browser.value("document.querySelector('.matrix div:last-child tbody').textContent")
    assert all(f"{100 * score:.1f}" in rows for score in taps)


def test_the_curves_follow_the_slider(pages, browser):
    for path in pages.glob("04_*/index.html"):
        browser.open(path, 390)
        said = "document.querySelector('.curves output').textContent"
        at_all = browser.value(said)
        browser.value("(s => { s.value = 0; s.dispatchEvent(new Event('input', {bubbles: true})) })"
                      "(document.querySelector('.curves input'))")
        assert "100 %" in at_all and browser.value(said) != at_all and "NaN" not in at_all


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(pages, browser, theme):
    if not AXE.is_file():
        pytest.skip("no axe-core: npm install --no-save axe-core, or set AXE_CORE to axe.min.js")
    found = {}
    for path in sorted(set(pages.rglob("*.html")) - set(pages.rglob("_*/**/*.html"))):
        browser.open(path, 390, theme)
        browser.value(AXE.read_text() + ";0")
        browser.value("axe.run().then(r => { window.found = r.violations.filter(v => ['serious',"
                      "'critical'].includes(v.impact)).map(v => [v.id, v.nodes.length,"
                      "v.nodes[0].html.slice(0, 200)]) }); 0")
        assert within(60, lambda: browser.value("window.found !== undefined"))
        found[str(path.relative_to(pages))] = browser.value("window.found")
    assert len(found) > 10 and not any(found.values()), found


def test_three_ticks_show_the_score_of_that_subset(pages, browser):
    browser.open(pages / TICKED / "index.html", 390, "light")
    source, target, pooling, probe, protocol = (
        browser.value(f"document.querySelectorAll('.ticker select')[{i}].value") for i in range(5))
    boxes = "document.querySelectorAll('.ticker input')"
    browser.value(f"[0, 2, 4].forEach(i => {boxes}[i].checked || {boxes}[i].click())")
    said = browser.value("document.querySelector('.ticker output').textContent")
    table = pd.read_csv(REAL / TICKED / "combinations.csv", dtype={"subset": str})
    rows = table[(table[["source", "target", "pooling", "probe", "protocol"]]
                  == [source, target, pooling, probe, protocol]).all(axis=1)]
    score = rows.set_index("subset").score
    rank = int(np.sum(score > score["024"])) + 1
    assert f"{100 * score['024']:.1f} %" in said and f"{rank} of {len(score)}" in said
    browser.value(f"[0, 2, 4, 5].forEach(i => {boxes}[i].click())")
    said = browser.value("document.querySelector('.ticker output').textContent")
    mfcc = table.query("source == 'mfcc' and target == @target and probe == @probe "
                       "and protocol == @protocol").score.item()
    assert f"{100 * mfcc:.1f} %" in said and "rank" not in said
