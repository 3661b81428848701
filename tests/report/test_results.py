import html
import json
import re
import types

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from audiotl import benchmarks
from audiotl.datasets.corpus import Corpus
from audiotl.report import findings
from audiotl.report.results import Results


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOTL_REPORTS", str(tmp_path / "out"))
    return tmp_path / "out"


def sound(name, skipped):
    corpus = Corpus(name, pd.DataFrame({"group": ["x", "y"]}), ("a",), 1.0,
                    synthetic=name == "toy", title=name.title())
    return types.SimpleNamespace(corpus=corpus, skipped=skipped)


def test_everything_is_on_disk_as_soon_as_it_is_added(reports):
    results, folder = Results("02_x"), reports / "02_x"
    frame = pd.DataFrame({"a|b": ["x|y", "z"], "n": [0.123456789, np.nan]})
    shown = results.table("scores", frame, show=1)
    assert (folder / "scores.csv").read_text().splitlines() == ["a|b,n", "x|y,0.123457", "z,"]
    text = shown._repr_markdown_()
    assert "scores.csv" in text.splitlines()[-1] and "x\\|y" in text and "z" not in text[:40]
    assert "<td>0.1235</td>" in shown._repr_html_()
    some = results.table("scores", frame, show=frame.iloc[1:])._repr_markdown_()
    assert "z" in some and "x" not in some and some.endswith("1 more rows in scores.csv")
    assert "x" not in results.table("scores", frame, show=frame[["n"]])._repr_markdown_()
    hidden = results.table("scores", pd.DataFrame({"a": [1, 2]}), show=0)
    assert "scores.csv" in hidden._repr_markdown_() and "|" not in hidden._repr_markdown_()
    picture = results.figure("cover", plt.figure(), "Nothing.", "Empty")
    data, about = picture._repr_mimebundle_()
    assert data["text/plain"] == "Empty — Nothing."
    assert about["image/png"] == {"alt": "Empty — Nothing.", "file": "cover.png", "width": 704}
    record = json.loads((folder / "results.json").read_text())
    assert record["tables"]["scores"]["rows"] == 2


@pytest.mark.parametrize("label", [
    "<script>alert(1)</script>", "`<b>`", "$\\input$", "[x](javascript:1)", "a|b", "![](//x.y)",
    "two\nlines"])
def test_labels_are_shown_as_text_and_never_run(reports, label):
    from markdown_it import MarkdownIt

    shown = Results("02_x").table("labels", pd.DataFrame({"label": [label], label: [1]}))
    page = MarkdownIt("gfm-like", {"linkify": False}).render(shown._repr_markdown_())
    assert page.count("<td>") == page.count("<th>") == 2
    for markup in (page, shown._repr_html_()):
        assert not {"script", "b", "a", "img", "code"} & set(re.findall(r"<(\w+)", markup))
    assert label.splitlines()[0].partition("$")[0] in html.unescape(page)


def test_corpora_are_shown_and_kept_with_what_could_not_be_used(reports):
    results = Results("02_x")
    shown = results.corpora(sound("toy", [("/some/where/clip.wav", "it is empty")]),
                            sound("whole", []))
    assert list(shown.frame["could not be used"]) == [1, 0]
    record = json.loads((reports / "02_x" / "results.json").read_text())
    assert record["skipped"] == {"toy": [{"path": "clip.wav", "cause": "it is empty"}]}
    assert record["synthetic"] and list(record["corpora"]) == ["Toy", "Whole"]


def test_findings_of_recordings_are_marked_on_other_data(reports, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert not Results("02_x").on_recordings()._repr_mimebundle_()[0]["text/markdown"]
    committed = tmp_path / "reports" / "real" / "02_x"
    committed.mkdir(parents=True)
    (committed / findings.FILE).write_text("It is so.\n\nMore.")
    data, about = Results("02_x").on_recordings()._repr_mimebundle_()
    assert data["text/markdown"].startswith("> ") and "It is so." in data["text/markdown"]
    assert "More" not in data["text/markdown"] and not about["findings"]
    monkeypatch.delenv("AUDIOTL_REPORTS")
    assert Results("02_x").folder.resolve() == (tmp_path / "reports" / "lab" / "02_x").resolve()


def test_a_part_of_the_benchmarks_leaves_the_other_rows(tmp_path, monkeypatch):
    toys = [types.SimpleNamespace(name="toy")]
    monkeypatch.setattr(benchmarks.pkgutil, "iter_modules", lambda path: toys)
    times = iter((1.0, 2.0, 3.0))

    def bench(name):
        return lambda: [benchmarks.row(name, next(times), "the loop", 6.0, 1, "equal")]

    toy = types.SimpleNamespace(bench_first=bench("first"), bench_second=bench("second"))
    monkeypatch.setattr(benchmarks.importlib, "import_module", lambda name: toy)
    benchmarks.run(tmp_path)
    benchmarks.run(tmp_path, only="first")
    rows = {row["name"]: row["ratio"] for row in json.loads((tmp_path / "bench.json").read_text())}
    assert rows == {"first": 2.0, "second": 3.0}
    table = (tmp_path / "bench.md").read_text()
    assert "| second | 2 | the loop | 6 | 3.0 | 1 | equal | " in table and table.count("\n| ") == 4
